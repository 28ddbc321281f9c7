//! What the project has promised itself, beside what was measured.

use crate::bench::results::Results;
use crate::bench::row::{Group, Language, System};
use crate::bench::table::{markdown, number};

/// Whether more or less is better.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast,
    AtMost,
}

struct Goal {
    what: String,
    bound: Bound,
    wanted: f64,
    unit: &'static str,
    found: Option<f64>,
}

/// The table of goals; those of which nothing was measured are left out.
pub(super) fn table(results: &Results) -> String {
    let goals = [http(results), rpc(results), large(results), travels(results), server(results)]
        .into_iter()
        .flatten();
    let rows: Vec<Vec<String>> = goals.filter_map(|goal| line(&goal)).collect();
    markdown(&["goal", "wanted", "measured", "reached"], &rows)
}

fn line(goal: &Goal) -> Option<Vec<String>> {
    let found = goal.found?;
    let (sign, reached) = match goal.bound {
        Bound::AtLeast => ("≥", found >= goal.wanted),
        Bound::AtMost => ("≤", found <= goal.wanted),
    };
    Some(vec![
        goal.what.clone(),
        format!("{sign} {}{}", goal.wanted, goal.unit),
        format!("{}{}", number(found), goal.unit),
        if reached { "yes" } else { "**no**" }.to_owned(),
    ])
}

fn goal(what: impl Into<String>, bound: Bound, wanted: f64, unit: &'static str, found: Option<f64>) -> Goal {
    Goal { what: what.into(), bound, wanted, unit, found }
}

fn divide(ours: Option<f64>, theirs: Option<f64>) -> Option<f64> {
    Some(ours? / theirs?)
}

fn http(results: &Results) -> Vec<Goal> {
    let rate = |system, language| results.median(Group::Http, system, language, "requests_per_s@64");
    let mut goals = Vec::new();
    for (language, of_relay) in [(Language::Python, 1.0), (Language::Node, 0.7)] {
        let (name, ours) = (language.word(), rate(System::Polyfn, language));
        let of_hypha = divide(ours, rate(System::Hypha, language));
        goals.push(goal(
            format!("HTTP function in {name}, 64 connections, of Hypha's requests/s"),
            Bound::AtLeast,
            150.0,
            "x",
            of_hypha,
        ));
        let share = divide(ours, rate(System::Relay, language));
        goals.push(goal(
            format!("HTTP function in {name}, 64 connections, of the bare relay's requests/s"),
            Bound::AtLeast,
            of_relay,
            "x",
            share,
        ));
        let cpu = results.median(Group::Http, System::Polyfn, language, "cpu_s_per_1000@64");
        let what = format!("server CPU for 1,000 calls of a function in {name}");
        goals.push(goal(what, Bound::AtMost, 0.05, " s", cpu));
    }
    goals
}

fn rpc(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for language in [Language::PythonPython, Language::NodeNode] {
        let name = language.word();
        let p50 = |system| results.median(Group::Rpc, system, language, "p50_ms");
        let rate = |system| results.median(Group::Rpc, system, language, "calls_per_s");
        let of_nats = divide(p50(System::Polyfn), p50(System::Nats));
        goals.push(goal(format!("RPC {name}, p50 of NATS's"), Bound::AtMost, 0.7, "x", of_nats));
        let of_hypha = divide(p50(System::PolyfnHyphaRpc), p50(System::Hypha));
        goals.push(goal(
            format!("RPC {name}, hypha-rpc clients at both ends, p50 of Hypha's"),
            Bound::AtMost,
            0.5,
            "x",
            of_hypha,
        ));
        let calls = divide(rate(System::Polyfn), rate(System::Nats));
        goals.push(goal(
            format!("RPC {name}, 64 in flight, of NATS's calls/s"),
            Bound::AtLeast,
            2.0,
            "x",
            calls,
        ));
    }
    goals
}

fn large(results: &Results) -> Vec<Goal> {
    let languages = [Language::PythonPython, Language::NodeNode, Language::PythonNode];
    let speed = |language| results.median(Group::Rpc, System::Polyfn, language, "mb_per_s");
    let one = |language: Language| {
        let what = format!("10 MB of random bytes, {}", language.word());
        goal(what, Bound::AtLeast, 100.0, " MB/s", speed(language))
    };
    languages.map(one).into_iter().collect()
}

fn travels(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for language in [Language::PythonPython, Language::NodeNode] {
        let (name, ours) =
            (language.word(), |name| results.median(Group::Data, System::Polyfn, language, name));
        let to_hypha = |name| divide(ours(name), results.median(Group::Data, System::Hypha, language, name));
        let items = to_hypha("items_per_s");
        goals.push(goal(format!("stream {name}, of Hypha's items/s"), Bound::AtLeast, 100.0, "x", items));
        let rate = ours("items_per_s");
        goals.push(goal(format!("stream {name}, items/s"), Bound::AtLeast, 200_000.0, "", rate));
        let speed = to_hypha("mb_10_per_s");
        goals.push(goal(format!("10 MB {name}, of Hypha's MB/s"), Bound::AtLeast, 10.0, "x", speed));
        let fair = ours("p99_busy_to_idle");
        let what = format!("p99 of a small call {name} while 1 GB leaves, to idle");
        goals.push(goal(what, Bound::AtMost, 2.0, "x", fair));
    }
    goals
}

fn server(results: &Results) -> Vec<Goal> {
    let found = |group, name| results.median(group, System::Polyfn, Language::None, name);
    vec![
        goal("server ready", Bound::AtMost, 50.0, " ms", found(Group::Start, "ready_ms")),
        goal("server memory at rest", Bound::AtMost, 20.0, " MB", found(Group::Start, "rest_mb")),
        goal("memory of an idle connection", Bound::AtMost, 20.0, " KB", found(Group::Idle, "idle_kb")),
    ]
}
