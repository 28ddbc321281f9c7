//! Calls between two programs: one at a time, 64 in flight, and 10 MB there and back.

use std::process::Command;

use crate::bench::results::Results;
use crate::bench::row::{Group, Row, System};
use crate::bench::server::{Server, ceiling};
use crate::bench::stand::{Stand, finished, number, text};
use crate::bench::table::{cell, markdown, ratio};
use crate::failure::Outcome;

const FIGURES: [&str; 4] = ["p50_ms", "p99_ms", "calls_per_s", "mb_per_s"];

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    if row.system == System::Websocket {
        return websocket(stand);
    }
    told_by(stand, row, "caller", &FIGURES)
}

/// The figures that a program tells which calls the service of this row.
pub(super) fn told_by(
    stand: &Stand<'_>,
    row: &Row,
    program: &str,
    names: &[&str],
) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    let (_service, facts) = stand.service(row.system, row.language, &server.url)?;
    let service = text(&facts, "service")?;
    let told = told_of(stand, row, (program, row.language.caller()), &server, &service)?;
    Ok(told.into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect())
}

/// What a program tells, given by its name and ending, that calls `service`.
pub(super) fn told_of(
    stand: &Stand<'_>,
    row: &Row,
    (program, ending): (&str, &str),
    server: &Server,
    service: &str,
) -> Outcome<Vec<(String, f64)>> {
    let window = stand.window.to_string();
    let arguments =
        [("client", row.system.client()), ("url", &*server.url), ("service", service), ("window", &window)];
    let mut caller = stand.program(program, ending, &arguments)?;
    stand.told(&mut caller, (program, ending), |_| Ok(()))
}

fn websocket(stand: &Stand<'_>) -> Outcome<Vec<(String, f64)>> {
    let (_echo, places) = ceiling(stand, "echo")?;
    let mut caller = Command::new(stand.layout.binary(stand.profile, "polyfn-ceiling"));
    caller.args(["call", &format!("ws://{}/", text(&places, "ws")?), &stand.window.to_string()]);
    let told = serde_json::from_str(&finished(caller, "the websocket caller")?)?;
    FIGURES.iter().map(|name| Ok(((*name).to_owned(), number(&told, name)?))).collect()
}

/// One line for each pair of programs and system.
pub(super) fn table(results: &Results) -> String {
    let lines: Vec<_> = results.group(Group::Rpc).map(|row| line(results, row)).collect();
    let head = ["caller-callee", "system", "p50 ms", "p99 ms", "calls/s, 64 in flight", "10 MB echo MB/s"];
    let ratios = ["p50 to Hypha's", "p50 to NATS's", "calls/s to Hypha's", "calls/s to NATS's"];
    markdown(&[&head[..], &ratios].concat(), &lines)
}

fn line(results: &Results, row: Row) -> Vec<String> {
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
