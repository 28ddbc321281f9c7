//! `cargo xtask test [parts] [filter]`: installs what the tests need, builds, and runs every test there is.

mod languages;
mod rust;

use crate::build;
use crate::child;
use crate::failure::Outcome;
use crate::layout::{Layout, Profile};
use crate::step::Summary;
use crate::tools;

const PARTS: [&str; 6] = ["rust", "python", "node", "types", "wasm", "fuzz"];

/// Which parts run, and which tests of them.
pub(super) struct Choice {
    parts: Vec<String>,
    /// Part of a test's name.
    pub(super) filter: Option<String>,
}

impl Choice {
    /// Words that name a part choose it; any other word filters tests by name in Rust, Python and Node.
    fn new(arguments: &[String]) -> Self {
        let is_part = |word: &&String| PARTS.contains(&word.as_str());
        let parts = arguments.iter().filter(is_part).cloned().collect();
        let filter = arguments.iter().find(|word| !is_part(word)).cloned();
        Self { parts, filter }
    }

    fn has(&self, part: &str) -> bool {
        if self.parts.is_empty() {
            return self.filter.is_none() || matches!(part, "rust" | "python" | "node");
        }
        self.parts.iter().any(|chosen| chosen == part)
    }

    fn needs_packages(&self) -> bool {
        ["python", "node", "types"].iter().any(|part| self.has(part))
    }
}

pub(crate) fn run(layout: &Layout, arguments: &[String]) -> Outcome {
    if arguments.iter().any(|word| word == "--help" || word == "-h") {
        println!("cargo xtask test [{}] [part of a test's name]", PARTS.join(" | "));
        return Ok(());
    }
    child::end_children_on_interrupt(130)?;
    let choice = Choice::new(arguments);
    let mut summary = Summary::default();
    if choice.needs_packages() {
        summary.part("set-up", || set_up(layout));
        summary.part("build", || build_packages(layout));
    }
    if choice.has("rust") {
        summary.part("cargo test", || rust::tests(layout, &choice));
    }
    if choice.has("wasm") {
        summary.part("core on wasm32", || rust::wasm(layout));
    }
    if choice.has("python") {
        summary.part("pytest", || languages::pytest(layout, &choice));
    }
    if choice.has("node") {
        summary.part("node --test", || languages::node(layout, &choice));
    }
    if choice.has("types") {
        summary.part("stubtest", || languages::stubtest(layout));
        summary.part("type tests, Python", || languages::python_types(layout));
        summary.part("type tests, TypeScript", || languages::typescript_types(layout));
    }
    if choice.has("fuzz") {
        summary.part("cargo fuzz", || rust::fuzz(layout));
    }
    summary.close("cargo xtask test")
}

fn set_up(layout: &Layout) -> Outcome<String> {
    tools::test_environment(layout)?;
    tools::hypha(layout)?;
    tools::packages(layout)?;
    // without it the tests of the store that need it are left out
    let missing = tools::postgres().err().map(|failure| failure.to_string());
    Ok(missing.unwrap_or_default())
}

fn build_packages(layout: &Layout) -> Outcome<String> {
    build::for_tests(layout)?;
    build::in_place(layout, Profile::Dev)?;
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::Choice;

    fn choice(words: &[&str]) -> Choice {
        Choice::new(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn without_words_every_part_runs() {
        assert!(super::PARTS.iter().all(|part| choice(&[]).has(part)));
    }

    #[test]
    fn a_filter_alone_runs_what_has_named_tests() {
        let choice = choice(&["callback"]);
        assert_eq!(choice.filter.as_deref(), Some("callback"));
        assert!(choice.has("python") && choice.has("rust") && !choice.has("fuzz"));
    }

    #[test]
    fn named_parts_run_alone() {
        let choice = choice(&["node", "callback"]);
        assert!(choice.has("node") && !choice.has("python") && choice.filter.is_some());
    }
}
