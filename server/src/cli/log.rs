//! Structured logs on stderr.

use std::io::{IsTerminal, stderr};

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// What is logged, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogFlags {
    /// `debug`, `info`, `warning`, `error`, or by part as in `warning,polyfn_server=debug`.
    #[arg(long, visible_alias = "log-level", default_value = "warning", value_name = "LEVEL", value_parser = targets)]
    pub loglevel: Targets,
    /// Form of the lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Log one line for each HTTP request.
    #[arg(long)]
    pub access_log: bool,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends the logs of this process to stderr; a second call changes nothing.
pub(super) fn start(flags: &LogFlags) {
    let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match flags.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let mut filter = flags.loglevel.clone();
    if flags.access_log {
        filter = filter.with_target("polyfn::access", LevelFilter::INFO);
    }
    _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

/// Reads levels by our names and by those of Python's `logging`.
fn targets(text: &str) -> Result<Targets, String> {
    let parts = text.split(',').map(|part| match part.split_once('=') {
        Some((name, level)) => format!("{name}={}", level_name(level)),
        None => level_name(part),
    });
    let parts: Vec<_> = parts.collect();
    parts.join(",").parse().map_err(|_| format!("expected a level such as `info`, found `{text}`"))
}

fn level_name(name: &str) -> String {
    match name.trim().to_lowercase().as_str() {
        "warning" => "warn".to_owned(),
        "critical" | "fatal" => "error".to_owned(),
        "notset" => "trace".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_have_the_names_of_both_worlds() {
        assert!(targets("WARNING").unwrap().would_enable("any", &Level::WARN));
        assert!(!targets("critical").unwrap().would_enable("any", &Level::WARN));
        let parts = targets("error,polyfn_server=DEBUG").unwrap();
        assert!(parts.would_enable("polyfn_server::hub", &Level::DEBUG));
        assert!(!parts.would_enable("hyper", &Level::WARN));
        assert!(targets("loud=very").is_err());
    }
}
