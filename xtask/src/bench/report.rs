//! The tables, on the terminal and in docs/performance.md.

use std::fs;

use crate::bench::http::CONNECTIONS;
use crate::bench::options::Options;
use crate::bench::results::Results;
use crate::bench::row::{Group, Language, Row, System};
use crate::bench::table::{cell, markdown, ratio};
use crate::bench::{data, goals, machine};
use crate::failure::{During as _, Failure, Outcome};
use crate::layout::Layout;

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench`, do not edit -->";
const END: &str = "<!-- end of figures -->";

pub(super) fn publish(layout: &Layout, options: &Options, results: &Results) -> Outcome {
    let tables = tables(layout, options, results);
    println!("\n{tables}");
    if options.writes_page() {
        write_page(layout, &tables)?;
        println!("written to {PAGE}");
    }
    let failures = results.failures();
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{} measurements failed:\n  {}", failures.len(), failures.join("\n  "))))
}

fn tables(layout: &Layout, options: &Options, results: &Results) -> String {
    let parts = [
        ("Goals", goals::table(results)),
        ("Functions over HTTP", http(results)),
        ("Calls between programs", rpc(results)),
        ("What travels", data::table(results)),
        ("The server by itself", server(results)),
    ];
    let mut text = format!(
        "{}- {} rounds, {} s a figure; a cell is the median (lowest–highest)\n",
        machine::facts(layout),
        options.rounds,
        options.window
    );
    for (title, table) in parts.iter().filter(|(_, table)| !table.is_empty()) {
        text += &format!("\n## {title}\n\n{table}");
    }
    if !results.failures().is_empty() {
        text += &format!("\nNot measured:\n\n- {}\n", results.failures().join("\n- "));
    }
    text
}

fn http(results: &Results) -> String {
    let mut lines = Vec::new();
    for language in [Language::None, Language::Python, Language::Node] {
        for connections in CONNECTIONS {
            let named = |name: &str| format!("{name}@{connections}");
            let rate = |system| results.median(Group::Http, system, language, &named("requests_per_s"));
            for row in results.group(Group::Http).filter(|row| row.language == language) {
                let figure = |name| cell(results.figure(row, &named(name)));
                lines.push(vec![
                    language.word().to_owned(),
                    connections.to_string(),
                    row.system.title().to_owned(),
                    figure("requests_per_s"),
                    figure("p50_ms"),
                    figure("p99_ms"),
                    figure("cpu_s_per_1000"),
                    ratio(rate(row.system), rate(System::Hypha)),
                    ratio(rate(row.system), rate(System::Relay)),
                ]);
            }
        }
    }
    let head =
        ["function in", "connections", "system", "requests/s", "p50 ms", "p99 ms", "server CPU s per 1,000"];
    markdown(&[&head[..], &["rate to Hypha's", "rate to the relay's"]].concat(), &lines)
}

fn rpc(results: &Results) -> String {
    let lines: Vec<_> = results.group(Group::Rpc).map(|row| rpc_line(results, row)).collect();
    let head = ["caller-callee", "system", "p50 ms", "p99 ms", "calls/s, 64 in flight", "10 MB echo MB/s"];
    let ratios = ["p50 to Hypha's", "p50 to NATS's", "calls/s to Hypha's", "calls/s to NATS's"];
    markdown(&[&head[..], &ratios].concat(), &lines)
}

fn rpc_line(results: &Results, row: Row) -> Vec<String> {
    let median = |system, name: &str| results.median(Group::Rpc, system, row.language, name);
    let to = |name: &str, system| ratio(median(row.system, name), median(system, name));
    let figure = |name| cell(results.figure(row, name));
    vec![
        row.language.word().to_owned(),
        row.system.title().to_owned(),
        figure("p50_ms"),
        figure("p99_ms"),
        figure("calls_per_s"),
        figure("mb_per_s"),
        to("p50_ms", System::Hypha),
        to("p50_ms", System::Nats),
        to("calls_per_s", System::Hypha),
        to("calls_per_s", System::Nats),
    ]
}

fn server(results: &Results) -> String {
    let named = [
        (Group::Start, "ready_ms", "start to ready, ms"),
        (Group::Start, "rest_mb", "memory at rest, MB"),
        (Group::Idle, "idle_kb", "memory per idle connection, 500 clients, KB"),
    ];
    let mut lines = Vec::new();
    for (group, name, title) in named {
        let hypha = results.median(group, System::Hypha, Language::None, name);
        for row in results.group(group) {
            let figure = results.figure(row, name);
            let to_hypha = ratio(figure.map(|figure| figure.median), hypha);
            lines.push(vec![title.to_owned(), row.system.title().to_owned(), cell(figure), to_hypha]);
        }
    }
    markdown(&["what", "system", "measured", "to Hypha's"], &lines)
}

/// Replaces what stands between the marks; what people wrote around them stays.
fn write_page(layout: &Layout, tables: &str) -> Outcome {
    let path = layout.at(PAGE);
    let page = fs::read_to_string(&path).unwrap_or_else(|_| format!("# Performance\n\n{BEGIN}\n{END}\n"));
    let (before, rest) = page.split_once(BEGIN).unwrap_or((&page, END));
    let after = rest.split_once(END).map_or("\n", |(_, after)| after);
    let before = before.trim_end();
    fs::write(&path, format!("{before}\n\n{BEGIN}\n\n`cargo xtask bench`:\n\n{tables}\n{END}{after}"))
        .during(PAGE)
}
