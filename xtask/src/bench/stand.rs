//! The test stand: what is built and installed for a run, and how its programs are started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bench::options::Options;
use crate::bench::row::{Language, Row, System};
use crate::build::{self, Packages};
use crate::child::Child;
use crate::failure::{During as _, Failure, Outcome};
use crate::layout::{Layout, Profile};
use crate::step::command;
use crate::tools;

/// What a client program says before its facts.
pub(super) const FACTS: &str = "BENCH ";

/// How long a program may say nothing; one that takes longer tells where it is.
const PATIENCE: Duration = Duration::from_secs(180);

/// Everything the measurements stand on.
pub(super) struct Stand<'a> {
    pub(super) layout: &'a Layout,
    pub(super) window: f64,
    pub(super) profile: Profile,
    packages: Option<Packages>,
    folder: PathBuf,
    /// What of a row could not be measured, and why.
    remarks: Mutex<Vec<String>>,
}

impl<'a> Stand<'a> {
    /// Builds and installs what these rows need.
    pub(super) fn prepare(layout: &'a Layout, options: &Options, rows: &[Row]) -> Outcome<Self> {
        let uses = |systems: &[System]| rows.iter().any(|row| systems.contains(&row.system));
        if rows.is_empty() {
            return Err(Failure::new("no such rows: see `cargo xtask bench --help`"));
        }
        install(layout, rows)?;
        if options.build && uses(&[System::Hello, System::Relay, System::Websocket]) {
            build::compile(layout, options.profile, &["polyfn-ceilings"])?;
        }
        if options.build && uses(&[System::Polyfn, System::PolyfnHyphaRpc]) {
            build::compile(layout, options.profile, &["polyfn-server"])?;
        }
        let ours = uses(&[System::Polyfn, System::Embedded]);
        let packages = if ours { Some(our_packages(layout, options.profile, options.build)?) } else { None };
        Self::new(layout, options.window, options.profile, packages)
    }

    /// With nothing but our server and our packages.
    pub(super) fn of_ours(layout: &'a Layout, profile: Profile, build: bool) -> Outcome<Self> {
        tools::test_environment(layout)?;
        tools::packages(layout)?;
        if build {
            build::compile(layout, profile, &["polyfn-server"])?;
        }
        let packages = our_packages(layout, profile, build)?;
        Self::new(layout, 0.0, profile, Some(packages))
    }

    fn new(layout: &'a Layout, window: f64, profile: Profile, packages: Option<Packages>) -> Outcome<Self> {
        let folder = layout.target.join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self { layout, window, profile, packages, folder, remarks: Mutex::default() })
    }

    /// A log that is shown when something fails.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// Notes why one figure of a row is missing: the others stand.
    pub(super) fn remark(&self, figure: &str, failure: &Failure) {
        println!("    {figure}: not measured: {failure}");
        let text = failure.to_string();
        let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
        self.remarks().push(format!("{figure}: {shown}"));
    }

    /// The remarks since this was last asked.
    pub(super) fn take_remarks(&self) -> Vec<String> {
        std::mem::take(&mut *self.remarks())
    }

    fn remarks(&self) -> MutexGuard<'_, Vec<String>> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A folder of this run for files a server needs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts one of the programs beside this one, such as `service`, in the language of `ending`.
    pub(super) fn program(&self, name: &str, ending: &str, arguments: &[(&str, &str)]) -> Outcome<Child> {
        let folder = self.layout.at("xtask/bench");
        let file = format!("{name}.{ending}");
        let mut program = if ending == "py" {
            command(&folder, self.layout.python(".venv"), &["-u", &file])
        } else {
            command(&folder, "node", &["--no-warnings", "--experimental-websocket", &file])
        };
        for (flag, value) in arguments {
            program.arg(format!("--{flag}")).arg(value);
        }
        if let Some(packages) = &self.packages {
            program.env("PYTHONPATH", &packages.python).env("POLYFN_PACKAGE", &packages.node);
        }
        Child::start(&file, program, Some(&self.log(&file)))
            .map_err(|failure| Failure::new(format!("{failure}; {}", self.tail(&file))))
    }

    /// The service of one row, and what it said about itself.
    pub(super) fn service(
        &self,
        system: System,
        language: Language,
        url: &str,
    ) -> Outcome<(Child, serde_json::Value)> {
        self.service_with(language, &[("client", system.client()), ("url", url)])
    }

    /// The same, with more arguments.
    pub(super) fn service_with(
        &self,
        language: Language,
        arguments: &[(&str, &str)],
    ) -> Outcome<(Child, serde_json::Value)> {
        let mut child = self.program("service", language.callee(), arguments)?;
        let facts = self.facts(&mut child, "service", language.callee(), Duration::from_secs(30))?;
        Ok((child, facts))
    }

    /// The next facts a program tells; its last words when it ends instead.
    pub(super) fn facts(
        &self,
        child: &mut Child,
        name: &str,
        ending: &str,
        limit: Duration,
    ) -> Outcome<serde_json::Value> {
        let line = child.line_after(FACTS, limit).map_err(|failure| {
            Failure::new(format!("{failure}; {}", self.tail(&format!("{name}.{ending}"))))
        })?;
        Ok(serde_json::from_str(&line)?)
    }

    /// All the numbers that a program tells until it is done. It may tell where it is, and where it waits for `reached` to end.
    pub(super) fn told(
        &self,
        child: &mut Child,
        (name, ending): (&str, &str),
        mut reached: impl FnMut(&str) -> Outcome,
    ) -> Outcome<Vec<(String, f64)>> {
        let mut figures = Vec::new();
        loop {
            let told = self.facts(child, name, ending, PATIENCE)?;
            if told["done"] == true {
                return Ok(figures);
            }
            if let Some(reason) = told["failed"].as_str() {
                println!("    failed: {reason}");
            }
            if let Some(place) = told["at"].as_str() {
                println!("    {place}");
            }
            if let Some(place) = told["waits"].as_str() {
                reached(place)?;
                child.tell("go on")?;
            }
            let numbers = told.as_object().into_iter().flatten();
            figures.extend(numbers.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))));
        }
    }

    fn tail(&self, name: &str) -> String {
        let text = fs::read_to_string(self.log(name)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join(" | ")
    }
}

fn install(layout: &Layout, rows: &[Row]) -> Outcome {
    let uses = |system| rows.iter().any(|row| row.system == system);
    tools::test_environment(layout)?;
    tools::packages(layout)?;
    if uses(System::Hypha) {
        tools::hypha(layout)?;
    }
    if rows.iter().any(|row| row.group.asks()) {
        tools::debian_program("wrk", "wrk")?;
    }
    if uses(System::Nats) {
        tools::debian_program("nats-server", "nats-server")?;
    }
    if rows.iter().any(|row| row.system.is_foreign()) {
        tools::measured_servers(layout)?;
    }
    Ok(())
}

fn our_packages(layout: &Layout, profile: Profile, build: bool) -> Outcome<Packages> {
    if build {
        build::compile(layout, profile, &["polyfn-python", "polyfn-node"])?;
    }
    build::apart(layout, profile)
}

/// A number in what a program told.
pub(super) fn number(facts: &serde_json::Value, name: &str) -> Outcome<f64> {
    facts[name].as_f64().ok_or_else(|| Failure::new(format!("no `{name}` in {facts}")))
}

/// A text in what a program told.
pub(super) fn text(facts: &serde_json::Value, name: &str) -> Outcome<String> {
    facts[name].as_str().map(str::to_owned).ok_or_else(|| Failure::new(format!("no `{name}` in {facts}")))
}

/// Runs a program that ends by itself.
pub(super) fn finished(program: Command, what: &str) -> Outcome<String> {
    crate::step::capture(program).during(what)
}
