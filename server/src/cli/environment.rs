//! Environment variables as flags: `--public-base-url` is `POLYFN_PUBLIC_BASE_URL`, or `HYPHA_PUBLIC_BASE_URL` for
//! those who come from there.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory};

/// Flags that have a variable without prefix as well.
const BARE: [(&str, &str); 10] = [
    ("allow-origins", "ALLOW_ORIGINS"),
    ("jwt-secret", "JWT_SECRET"),
    ("reconnection-token-life-time", "RECONNECTION_TOKEN_LIFE_TIME"),
    ("auth0-audience", "AUTH0_AUDIENCE"),
    ("auth0-issuer", "AUTH0_ISSUER"),
    ("auth0-namespace", "AUTH0_NAMESPACE"),
    ("auth0-client-id", "AUTH0_CLIENT_ID"),
    ("auth0-domain", "AUTH0_DOMAIN"),
    ("loglevel", "LOGLEVEL"),
    ("maximum-login-time", "MAXIMUM_LOGIN_TIME"),
];

/// The arguments with those that the environment adds to the subcommand `name`, and a note for each variable that
/// could not be used.
///
/// An unusable variable is left out and not refused: container systems set such as `HYPHA_PORT=tcp://10.0.0.1:80`.
pub(super) fn with_variables<C: CommandFactory>(
    arguments: Vec<OsString>,
    name: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Vec<OsString>, Vec<String>) {
    let mut notes = Vec::new();
    let command = C::command();
    let given = command.clone().try_get_matches_from(&arguments).ok();
    let given = given.as_ref().and_then(|matches| matches.subcommand_matches(name));
    let (Some(given), Some(subcommand)) = (given, command.find_subcommand(name)) else {
        return (arguments, notes);
    };
    let mut added = Vec::new();
    for flag in subcommand.get_arguments().filter(|flag| !on_command_line(given, flag)) {
        let Some((source, value)) = find(flag, variable) else { continue };
        let Some(words) = as_arguments(flag, &value) else { continue };
        let alone = ["polyfn".into(), name.into()].into_iter().chain(words.iter().cloned());
        if command.clone().try_get_matches_from(alone).is_ok() {
            added.extend(words);
        } else {
            notes.push(format!("{source} is left out: its value does not fit --{}", flag.get_id()));
        }
    }
    (insert_after(arguments, name, added), notes)
}

fn on_command_line(given: &ArgMatches, flag: &Arg) -> bool {
    given.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// The first variable that is set to something; our own name wins.
fn find(flag: &Arg, variable: &dyn Fn(&str) -> Option<String>) -> Option<(String, String)> {
    let long = flag.get_long()?;
    let upper = long.to_uppercase().replace('-', "_");
    let bare = BARE.iter().find(|(name, _)| *name == long).map(|(_, bare)| (*bare).to_owned());
    let names = [format!("POLYFN_{upper}"), format!("HYPHA_{upper}")].into_iter().chain(bare);
    names
        .filter_map(|name| variable(&name).map(|value| (name, value)))
        .find(|(_, value)| !value.trim().is_empty())
}

fn as_arguments(flag: &Arg, value: &str) -> Option<Vec<OsString>> {
    let long = flag.get_long()?;
    match flag.get_action() {
        ArgAction::SetTrue => is_true(value).then(|| vec![format!("--{long}").into()]),
        ArgAction::Append => {
            Some(value.split_whitespace().map(|item| format!("--{long}={item}").into()).collect())
        }
        ArgAction::Set => Some(vec![format!("--{long}={value}").into()]),
        _ => None,
    }
}

fn is_true(value: &str) -> bool {
    ["true", "1", "yes", "y", "on"].contains(&value.trim().to_lowercase().as_str())
}

fn insert_after(mut arguments: Vec<OsString>, name: &str, added: Vec<OsString>) -> Vec<OsString> {
    let at = arguments.iter().position(|argument| argument == name).map_or(arguments.len(), |at| at + 1);
    arguments.splice(at..at, added);
    arguments
}
