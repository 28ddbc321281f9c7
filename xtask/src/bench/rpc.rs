//! Calls between two programs: one at a time, 64 in flight, and 10 MB there and back.

use std::process::Command;
use std::time::Duration;

use crate::bench::row::{Row, System};
use crate::bench::server::{Server, ceiling};
use crate::bench::stand::{Stand, finished, number, text};
use crate::failure::Outcome;
use crate::layout::Profile;

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
    let window = stand.window.to_string();
    let arguments =
        [("client", row.system.client()), ("url", &*server.url), ("service", &service), ("window", &window)];
    let ending = row.language.caller();
    let mut caller = stand.program(program, ending, &arguments)?;
    let mut figures = Vec::new();
    loop {
        let told = stand.facts(&mut caller, program, ending, Duration::from_secs(120))?;
        if told["done"] == true {
            return Ok(figures);
        }
        if let Some(reason) = told["failed"].as_str() {
            println!("    failed: {reason}");
        }
        let known = names.iter().filter_map(|name| Some(((*name).to_owned(), told[name].as_f64()?)));
        figures.extend(known);
    }
}

fn websocket(stand: &Stand<'_>) -> Outcome<Vec<(String, f64)>> {
    let (_echo, places) = ceiling(stand, "echo")?;
    let mut caller = Command::new(stand.layout.binary(Profile::Release, "polyfn-ceiling"));
    caller.args(["call", &format!("ws://{}/", text(&places, "ws")?), &stand.window.to_string()]);
    let told = serde_json::from_str(&finished(caller, "the websocket caller")?)?;
    FIGURES.iter().map(|name| Ok(((*name).to_owned(), number(&told, name)?))).collect()
}
