//! The smallest function, asked by wrk with a growing number of connections, on whatever serves it.

use std::time::Duration;

use crate::bench::ask::wrk;
use crate::bench::foreign;
use crate::bench::results::Results;
use crate::bench::row::{Group, Language, Row, System};
use crate::bench::sample;
use crate::bench::server::{Server, ceiling};
use crate::bench::stand::{Stand, text};
use crate::bench::table::{cell, markdown, ratio};
use crate::child::Child;
use crate::failure::Outcome;

/// How many connections ask at once.
const CONNECTIONS: [u32; 3] = [1, 16, 64];

/// What is asked, and the processes that answer.
struct Target {
    url: String,
    server: u32,
    _running: Vec<Box<dyn std::any::Any>>,
}

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let target = target(stand, row)?;
    let rate = wrk(&target.url, 16, 1.0_f64.min(stand.window))?.rate;
    let mut figures = Vec::new();
    for connections in CONNECTIONS {
        let before = sample::cpu(target.server)?;
        let asked = wrk(&target.url, connections, stand.window.max(window(connections, rate)))?;
        let cpu = sample::cpu(target.server)? - before;
        let mut add = |name: &str, value| figures.push((format!("{name}@{connections}"), value));
        add("requests_per_s", asked.rate);
        add("p50_ms", asked.p50);
        add("p99_ms", asked.p99);
        add("cpu_s_per_1000", cpu * 1000.0 / asked.requests.max(1.0));
    }
    Ok(figures)
}

/// Seconds in which a slow server answers each connection a few times.
fn window(connections: u32, rate: f64) -> f64 {
    (4.0 * f64::from(connections) / rate.max(1.0)).min(30.0)
}

fn target(stand: &Stand<'_>, row: &Row) -> Outcome<Target> {
    match row.system {
        System::Hello => {
            let (child, places) = ceiling(stand, "hello")?;
            let url = format!("http://{}/", text(&places, "http")?);
            Ok(Target { url, server: child.id(), _running: vec![Box::new(child)] })
        }
        System::Relay => {
            let (child, places) = ceiling(stand, "relay")?;
            let worker = relay_worker(stand, row, &text(&places, "worker")?)?;
            let url = format!("http://{}/hello", text(&places, "http")?);
            Ok(Target { url, server: child.id(), _running: vec![Box::new(worker), Box::new(child)] })
        }
        System::Embedded => {
            let ending = row.language.callee();
            let mut child = stand.program("embedded", ending, &[])?;
            let facts = stand.facts(&mut child, "embedded", ending, Duration::from_secs(30))?;
            let url = format!("{}{}", text(&facts, "url")?, path(row.group, &facts)?);
            Ok(Target { url, server: child.id(), _running: vec![Box::new(child)] })
        }
        system if system.is_foreign() => {
            let server = Server::of_function(stand, row)?;
            Ok(Target {
                url: server.url.clone() + foreign::path(system),
                server: server.id(),
                _running: vec![Box::new(server)],
            })
        }
        system => {
            let server = Server::start(stand, system)?;
            let (service, facts) = stand.service(system, row.language, &server.url)?;
            let url = format!("{}{}", server.url, path(row.group, &facts)?);
            Ok(Target { url, server: server.id(), _running: vec![Box::new(service), Box::new(server)] })
        }
    }
}

/// What of a service is asked.
fn path(group: Group, facts: &serde_json::Value) -> Outcome<String> {
    match group {
        Group::Asgi => Ok(text(facts, "app")? + "/hello"),
        Group::Services => Ok(text(facts, "call")? + "?value=hello"),
        Group::Frameworks => text(facts, "handler"),
        _ => text(facts, "path"),
    }
}

fn relay_worker(stand: &Stand<'_>, row: &Row, address: &str) -> Outcome<Child> {
    let ending = row.language.callee();
    let mut worker = stand.program("relay_worker", ending, &[("url", &format!("ws://{address}/"))])?;
    stand.facts(&mut worker, "relay_worker", ending, Duration::from_secs(20))?;
    Ok(worker)
}

/// With `than`, how the rate compares to that of these systems.
pub(super) fn table(results: &Results, group: Group, than: &[(System, &str)]) -> String {
    let mut lines = Vec::new();
    for language in [Language::None, Language::Python, Language::Node] {
        for connections in CONNECTIONS {
            let named = |name: &str| format!("{name}@{connections}");
            let rate = |system| results.median(group, system, language, &named("requests_per_s"));
            for row in results.group(group).filter(|row| row.language == language) {
                let figure = |name| cell(results.figure(row, &named(name)));
                let mut line = vec![
                    language.word().to_owned(),
                    connections.to_string(),
                    row.system.title().to_owned(),
                    figure("requests_per_s"),
                    figure("p50_ms"),
                    figure("p99_ms"),
                    figure("cpu_s_per_1000"),
                ];
                line.extend(than.iter().map(|(system, _)| ratio(rate(row.system), rate(*system))));
                lines.push(line);
            }
        }
    }
    let head =
        ["served by", "connections", "system", "requests/s", "p50 ms", "p99 ms", "server CPU s per 1,000"];
    let titles: Vec<&str> = than.iter().map(|(_, title)| *title).collect();
    markdown(&[&head[..], &titles].concat(), &lines)
}
