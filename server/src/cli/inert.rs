//! Flags that existing start scripts use and that do nothing here yet: accepted, each with one line of warning.

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// What follows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    List,
}

const FLAGS: [(&str, Takes); 43] = [
    ("redis-uri", Takes::Value),
    ("reset-redis", Takes::Nothing),
    ("triton-servers", Takes::Value),
    ("enable-server-apps", Takes::Nothing),
    ("enable-s3", Takes::Nothing),
    ("s3-admin-type", Takes::Value),
    ("in-docker", Takes::Nothing),
    ("endpoint-url", Takes::Value),
    ("access-key-id", Takes::Value),
    ("secret-access-key", Takes::Value),
    ("endpoint-url-public", Takes::Value),
    ("region-name", Takes::Value),
    ("workspace-bucket", Takes::Value),
    ("enable-s3-proxy", Takes::Nothing),
    ("s3-cleanup-period", Takes::Value),
    ("enable-s3-for-anonymous-users", Takes::Nothing),
    ("start-minio-server", Takes::Nothing),
    ("minio-workdir", Takes::Value),
    ("minio-port", Takes::Value),
    ("minio-console-port", Takes::Value),
    ("minio-root-user", Takes::Value),
    ("minio-root-password", Takes::Value),
    ("minio-version", Takes::Value),
    ("mc-version", Takes::Value),
    ("minio-file-system-mode", Takes::Nothing),
    ("executable-path", Takes::Value),
    ("cache-dir", Takes::Value),
    ("migrate-database", Takes::Value),
    ("static-mounts", Takes::List),
    ("startup-functions", Takes::List),
    ("enable-service-search", Takes::Nothing),
    ("enable-a2a", Takes::Nothing),
    ("enable-mcp", Takes::Nothing),
    ("disable-agent-skills", Takes::Nothing),
    ("enable-k8s-worker", Takes::Nothing),
    ("enable-terminal-worker", Takes::Nothing),
    ("enable-admin-terminal", Takes::Nothing),
    ("interactive", Takes::Nothing),
    ("enable-server", Takes::Nothing),
    ("ollama-host", Takes::Value),
    ("openai-base-url", Takes::Value),
    ("openai-api-key", Takes::Value),
    ("disable-ssl", Takes::Nothing),
];

/// Which of these flags were given.
#[derive(Clone, Debug, Default)]
pub struct Inert(Vec<&'static str>);

impl Inert {
    /// One line for each, naming it.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|name| format!("--{name} is accepted but does nothing yet"))
    }
}

impl Args for Inert {
    fn augment_args(command: Command) -> Command {
        command.args(FLAGS.map(|(name, takes)| argument(name, takes)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(name: &'static str, takes: Takes) -> Arg {
    let argument =
        Arg::new(name).long(name).hide_short_help(true).help_heading("Accepted, but doing nothing yet");
    match takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        Takes::Value => argument.action(ArgAction::Set).value_name("VALUE").overrides_with(name),
        Takes::List => argument.action(ArgAction::Append).value_name("VALUE").num_args(1..),
    }
}

impl FromArgMatches for Inert {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        Ok(Self(FLAGS.into_iter().map(|(name, _)| name).filter(|name| given(name)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
