//! What the project has promised itself, beside what was measured.

use crate::bench::results::Results;
use crate::bench::row::{Group, Language, System};
use crate::bench::table::number;

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

/// The rows of the table of goals, each with the group that measures it; those of which nothing was measured are left out.
pub(super) fn rows(results: &Results) -> Vec<(Group, String)> {
    let parts = [
        (Group::Http, http(results)),
        (Group::Frameworks, frameworks(results)),
        (Group::Cost, cost(results)),
        (Group::Rpc, rpc(results)),
        (Group::Rpc, large(results)),
        (Group::Data, travels(results)),
        (Group::Start, start(results)),
        (Group::Idle, idle(results)),
        (Group::Registry, registry(results)),
    ];
    let rows = parts.into_iter().flat_map(|(group, goals)| goals.into_iter().map(move |goal| (group, goal)));
    rows.filter_map(|(group, goal)| Some((group, line(group, &goal)?))).collect()
}

fn line(group: Group, goal: &Goal) -> Option<String> {
    let found = goal.found?;
    let (sign, reached) = match goal.bound {
        Bound::AtLeast => ("≥", found >= goal.wanted),
        Bound::AtMost => ("≤", found <= goal.wanted),
    };
    let (word, unit) = (group.word(), goal.unit);
    let measured = number(found);
    let reached = if reached { "yes" } else { "**no**" };
    Some(format!("| {word} | {} | {sign} {}{unit} | {measured}{unit} | {reached} |", goal.what, goal.wanted))
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
        let beside = [
            ("p99_busy_to_idle", "while 1 GB leaves by the same connection, to idle"),
            ("p99_apart_to_idle", "while 1 GB passes between two others, to idle"),
        ];
        for (figure, when) in beside {
            let what = format!("p99 of a small call {name} {when}");
            goals.push(goal(what, Bound::AtMost, 2.0, "x", ours(figure)));
        }
    }
    goals
}

fn frameworks(results: &Results) -> Vec<Goal> {
    let one = |language: Language| {
        let rate = |system| results.median(Group::Frameworks, system, language, "requests_per_s@64");
        let of_theirs = divide(rate(System::Polyfn), rate(System::FunctionsFramework));
        let what = format!(
            "function in {} through the server, 64 connections, of functions-framework's requests/s",
            language.word()
        );
        goal(what, Bound::AtLeast, 1.0, "x", of_theirs)
    };
    [Language::Python, Language::Node].map(one).into_iter().collect()
}

fn cost(results: &Results) -> Vec<Goal> {
    let one = |language: Language| {
        let more = results.median(Group::Cost, System::Polyfn, language, "more_us");
        let what = format!("a function in {} over HTTP, more than the same call by RPC", language.word());
        goal(what, Bound::AtMost, 150.0, " µs", more)
    };
    [Language::Python, Language::Node].map(one).into_iter().collect()
}

fn start(results: &Results) -> Vec<Goal> {
    let found = |name| results.median(Group::Start, System::Polyfn, Language::None, name);
    let inside = |language: Language| {
        let took = results.median(Group::Start, System::Embedded, language, "start_ms");
        goal(format!("server inside of {} started", language.word()), Bound::AtMost, 20.0, " ms", took)
    };
    vec![
        goal("server ready", Bound::AtMost, 50.0, " ms", found("ready_ms")),
        goal("server memory at rest", Bound::AtMost, 20.0, " MB", found("rest_mb")),
        inside(Language::Python),
        inside(Language::Node),
    ]
}

fn idle(results: &Results) -> Vec<Goal> {
    let found = results.median(Group::Idle, System::Polyfn, Language::None, "idle_kb");
    vec![goal("memory of one of 2,000 idle connections", Bound::AtMost, 20.0, " KB", found)]
}

fn registry(results: &Results) -> Vec<Goal> {
    let found = |name| results.median(Group::Registry, System::Polyfn, Language::None, name);
    vec![
        goal(
            "look-up of one of 100,000 services, there and back",
            Bound::AtMost,
            1.0,
            " ms",
            found("look_up_ms@100000"),
        ),
        goal(
            "the same, the services being in 1,000 workspaces",
            Bound::AtMost,
            1.0,
            " ms",
            found("look_up_ms@many"),
        ),
        goal("memory of one of 100,000 services", Bound::AtMost, 2.0, " KB", found("service_kb")),
    ]
}
