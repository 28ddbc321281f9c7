//! The settings of an embedded server: the flags of `polyfn serve`, by name.

use std::ffi::OsString;

use clap::{ArgAction, CommandFactory, FromArgMatches};
use serde_json::Value as Json;

use super::{Cli, Command, log};
use crate::config::ConfigError;
use crate::embedded::Settings;

/// The value of a setting, as a program gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// On or off.
    Flag(bool),
    /// A text, or a number in digits.
    Text(String),
    /// Several of them.
    List(Vec<String>),
}

impl Setting {
    /// Settings from a JSON object; what is `null` in it is left out.
    ///
    /// # Errors
    /// Names the setting whose value is none of these.
    pub fn read_json(text: &str) -> Result<Vec<(String, Self)>, ConfigError> {
        let object: serde_json::Map<String, Json> =
            serde_json::from_str(text).map_err(|_| ConfigError("expected settings by name".to_owned()))?;
        let given = object.into_iter().filter(|(_, value)| !value.is_null());
        given
            .map(|(name, value)| {
                let setting = match value {
                    Json::Bool(on) => Self::Flag(on),
                    Json::Number(number) => Self::Text(number.to_string()),
                    Json::String(text) => Self::Text(text),
                    Json::Array(items) if items.iter().all(Json::is_string) => {
                        let texts = items.iter().filter_map(Json::as_str).map(str::to_owned);
                        Self::List(texts.collect())
                    }
                    other => {
                        let text = format!("`{name}` is a text, a number, true or false, found {other}");
                        return Err(ConfigError(text));
                    }
                };
                Ok((name, setting))
            })
            .collect()
    }
}

/// What an embedded server is started with, from settings named as the flags of `polyfn serve` are: `base_path`,
/// `basePath` and `base-path` are all `--base-path`.
///
/// What differs from the command: any free port, one thread, a database in memory unless one is named, and the
/// environment is not read. Logs go to stderr when
/// one of the settings of the log is given.
///
/// # Errors
/// Names a setting that there is not, and one with a value that does not fit.
///
/// # Examples
/// ```
/// use polyfn_server::cli::{Setting, embedded};
/// let settings = embedded(&[("base_path".to_owned(), Setting::Text("/hy".to_owned()))])?;
/// assert_eq!((settings.config.base_path.as_str(), settings.config.port), ("/hy", 0));
/// let error = embedded(&[("prot".to_owned(), Setting::Text("1".to_owned()))]).err().expect("a refusal");
/// assert_eq!(error.to_string(), "there is no setting `prot`, did you mean `port`?");
/// # Ok::<(), polyfn_server::ConfigError>(())
/// ```
pub fn embedded(settings: &[(String, Setting)]) -> Result<Settings, ConfigError> {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").ok_or_else(|| ConfigError("no `serve`".to_owned()))?;
    let mut arguments: Vec<OsString> = ["polyfn", "serve", "--port=0", "--workers=1"].map(Into::into).into();
    let mut logs = false;
    // what a program embeds leaves nothing behind unless it is told where
    let places = ["data-dir", "database-uri"];
    if !settings.iter().any(|(given, _)| places.contains(&&*flag_name(given))) {
        arguments.push("--database-uri=sqlite::memory:".into());
    }
    for (given, value) in settings {
        let name = flag_name(given);
        let flag = serve.get_arguments().find(|flag| flag.get_long() == Some(&name));
        let flag = flag.ok_or_else(|| unknown(serve, given, &name))?;
        logs |= ["loglevel", "log-format", "access-log"].contains(&&*name);
        // the last one of a flag counts, so that defaults of ours give way
        arguments.extend(words(&name, matches!(flag.get_action(), ArgAction::SetTrue), given, value)?);
    }
    let command = command.mut_subcommand("serve", |serve| serve.args_override_self(true));
    let matches = command.try_get_matches_from(arguments).map_err(|error| refused(&error))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| refused(&error))?;
    let Command::Serve(flags) = cli.command else { return Err(ConfigError("no `serve`".to_owned())) };
    if logs {
        log::start(&flags.log);
    }
    Ok(Settings { config: flags.config(), workers: flags.workers, observer: None })
}

/// `--base-path` without the dashes before it.
fn flag_name(name: &str) -> String {
    let mut flag = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        match letter {
            '_' => flag.push('-'),
            upper if upper.is_ascii_uppercase() => {
                flag.push('-');
                flag.push(upper.to_ascii_lowercase());
            }
            other => flag.push(other),
        }
    }
    flag
}

fn words(name: &str, is_switch: bool, given: &str, value: &Setting) -> Result<Vec<OsString>, ConfigError> {
    match value {
        Setting::Flag(on) if is_switch => Ok(on.then(|| format!("--{name}").into()).into_iter().collect()),
        _ if is_switch => Err(ConfigError(format!("`{given}` is on or off: give true or false"))),
        Setting::Flag(on) => Err(ConfigError(format!("`{given}` takes a value, found {on}"))),
        Setting::Text(text) => Ok(vec![format!("--{name}={text}").into()]),
        Setting::List(items) => Ok(vec![format!("--{name}={}", items.join(",")).into()]),
    }
}

fn unknown(serve: &clap::Command, given: &str, name: &str) -> ConfigError {
    let known = serve.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(clap::Arg::get_long);
    let closest = known.map(|flag| (distance(flag, name), flag)).min();
    let hint = closest.filter(|(distance, _)| *distance <= 1 + name.len() / 4);
    let hint = hint.map(|(_, flag)| format!(", did you mean `{}`?", flag.replace('-', "_")));
    ConfigError(format!("there is no setting `{given}`{}", hint.unwrap_or_default()))
}

/// How many letters have to be put in, taken out, changed or swapped with the next one.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let changed = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

/// The first line of what the parser says, without the word `error`.
fn refused(error: &clap::Error) -> ConfigError {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    ConfigError(line.strip_prefix("error: ").unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(name: &str, value: Setting) -> Result<Config, String> {
        embedded(&[(name.to_owned(), value)]).map(|settings| settings.config).map_err(|error| error.0)
    }

    fn text(text: &str) -> Setting {
        Setting::Text(text.to_owned())
    }

    #[test]
    fn names_are_those_of_the_flags_in_any_case() {
        for name in ["max_request_body", "maxRequestBody", "max-request-body"] {
            assert_eq!(read(name, text("7")).unwrap().limits.max_request_body, 7, "{name}");
        }
        let origins = Setting::List(vec!["https://a.example".to_owned(), "https://b.example".to_owned()]);
        assert_eq!(read("allow_origins", origins).unwrap().allow_origins.len(), 2);
        assert!(read("expose_detailed_errors", Setting::Flag(true)).unwrap().expose_detailed_errors);
        assert!(!read("expose_detailed_errors", Setting::Flag(false)).unwrap().expose_detailed_errors);
        assert_eq!(read("port", text("81")).unwrap().port, 81);
    }

    #[test]
    fn what_differs_from_the_command_is_little() {
        let settings = embedded(&[]).unwrap();
        assert_eq!(settings.config, Config { port: 0, ..Config::default() });
        assert_eq!(settings.workers, 1);
    }

    #[test]
    fn errors_name_the_setting() {
        assert_eq!(read("prot", text("1")).unwrap_err(), "there is no setting `prot`, did you mean `port`?");
        assert_eq!(read("completely_else", text("1")).unwrap_err(), "there is no setting `completely_else`");
        let error = read("port", text("http")).unwrap_err();
        assert!(error.starts_with("invalid value 'http' for '--port <PORT>'"), "{error}");
        assert!(read("access_log", text("1")).unwrap_err().starts_with("`access_log` is on or off"));
        assert_eq!(read("host", Setting::Flag(true)).unwrap_err(), "`host` takes a value, found true");
    }
}
