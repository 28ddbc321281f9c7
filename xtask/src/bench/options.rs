//! What of the benchmark runs, and for how long.

use crate::bench::row::{Group, Row};
use crate::failure::{Failure, Outcome};
use crate::layout::Profile;

const HELP: &str = "\
cargo xtask bench [--quick] [--only SYSTEMS] [--rounds N] [--window SECONDS] [--no-build] [--debug] [--write] [rows]

rows:     http bodies frameworks asgi cost services rpc data start idle registry login,
          and languages: Python Node py-py js-js py-js; all when none is named
systems:  polyfn polyfn+hypha-rpc embedded hypha nats granian uvicorn robyn functions-framework faas-js hello relay
          websocket, separated by commas
--quick   one round with windows of one second
--debug   measure what `cargo xtask build` makes, to see that a measurement runs; such figures mean nothing
--write   write docs/performance.md although not everything was measured: the groups that were replace their sections

examples:
  cargo xtask bench
  cargo xtask bench --quick --only polyfn http Python
  cargo xtask bench --rounds 1 --only polyfn,nats rpc py-py
";

/// The command line of the benchmark.
pub(super) struct Options {
    pub(super) rounds: usize,
    /// Seconds for which one figure is taken.
    pub(super) window: f64,
    pub(super) build: bool,
    pub(super) quick: bool,
    pub(super) profile: Profile,
    /// As it was asked for, to be shown beside the figures.
    pub(super) command: String,
    write: bool,
    only: Vec<String>,
    words: Vec<String>,
}

impl Options {
    /// Nothing when help was asked for, and given.
    pub(super) fn parse(arguments: &[String]) -> Outcome<Option<Self>> {
        let mut options = Self {
            rounds: 3,
            window: 3.0,
            build: true,
            quick: false,
            profile: Profile::Release,
            command: command(arguments),
            write: false,
            only: Vec::new(),
            words: Vec::new(),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| Failure::new(format!("{word} needs a value")));
            match word.as_str() {
                "--help" | "-h" => {
                    print!("{HELP}");
                    return Ok(None);
                }
                "--quick" => (options.quick, options.rounds, options.window) = (true, 1, 1.0),
                "--no-build" => options.build = false,
                "--debug" => options.profile = Profile::Dev,
                "--write" => options.write = true,
                "--only" => options.only = value()?.split(',').map(str::to_lowercase).collect(),
                "--rounds" => options.rounds = parse(word, value()?)?,
                "--window" => options.window = parse(word, value()?)?,
                flag if flag.starts_with('-') => {
                    return Err(Failure::new(format!("no option {flag}: see `cargo xtask bench --help`")));
                }
                name => options.words.push(name.to_lowercase()),
            }
        }
        Ok(Some(options))
    }

    pub(super) fn wants(&self, row: &Row) -> bool {
        let system = self.only.is_empty() || self.only.iter().any(|name| name == row.system.word());
        let (languages, groups): (Vec<_>, Vec<_>) =
            self.words.iter().partition(|word| !Group::ALL.iter().any(|group| group.word() == word.as_str()));
        let group = groups.is_empty() || groups.iter().any(|word| *word == row.group.word());
        let language = row.language.word().to_lowercase();
        let spoken = languages.is_empty() || languages.iter().any(|word| **word == language);
        system && group && spoken
    }

    /// Only a whole run makes the published page, unless asked.
    pub(super) fn writes_page(&self) -> bool {
        let whole = !self.quick && self.only.is_empty() && self.words.is_empty();
        self.profile == Profile::Release && (self.write || whole)
    }
}

fn command(arguments: &[String]) -> String {
    let shown = arguments.iter().filter(|word| !["--write", "--no-build"].contains(&word.as_str()));
    ["cargo", "xtask", "bench"].into_iter().chain(shown.map(String::as_str)).collect::<Vec<_>>().join(" ")
}

fn parse<T: std::str::FromStr>(flag: &str, text: &str) -> Outcome<T> {
    text.parse().map_err(|_| Failure::new(format!("{flag} needs a number, not `{text}`")))
}
