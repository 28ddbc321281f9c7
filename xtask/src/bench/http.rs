//! Functions over HTTP, asked by wrk with 1, 16 and 64 connections.

use std::process::Command;
use std::time::Duration;

use crate::bench::row::{Row, System};
use crate::bench::sample;
use crate::bench::server::{Server, ceiling};
use crate::bench::stand::{Stand, finished, text};
use crate::child::Child;
use crate::failure::{Failure, Outcome};

/// How many connections ask at once.
pub(super) const CONNECTIONS: [u32; 3] = [1, 16, 64];

/// What is asked, and the processes that answer.
struct Target {
    url: String,
    server: u32,
    _running: Vec<Box<dyn std::any::Any>>,
}

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let target = target(stand, row)?;
    wrk(&target.url, 16, 1.0_f64.min(stand.window))?;
    let mut figures = Vec::new();
    for connections in CONNECTIONS {
        let before = sample::cpu(target.server)?;
        let asked = wrk(&target.url, connections, stand.window)?;
        let cpu = sample::cpu(target.server)? - before;
        let mut add = |name: &str, value| figures.push((format!("{name}@{connections}"), value));
        add("requests_per_s", asked.rate);
        add("p50_ms", asked.p50);
        add("p99_ms", asked.p99);
        add("cpu_s_per_1000", cpu * 1000.0 / asked.requests.max(1.0));
    }
    Ok(figures)
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
        system => {
            let server = Server::start(stand, system)?;
            let (service, facts) = stand.service(system, row.language, &server.url)?;
            let url = format!("{}{}", server.url, text(&facts, "path")?);
            Ok(Target { url, server: server.id(), _running: vec![Box::new(service), Box::new(server)] })
        }
    }
}

fn relay_worker(stand: &Stand<'_>, row: &Row, address: &str) -> Outcome<Child> {
    let ending = row.language.callee();
    let mut worker = stand.program("relay_worker", ending, &[("url", &format!("ws://{address}/"))])?;
    stand.facts(&mut worker, "relay_worker", ending, Duration::from_secs(20))?;
    Ok(worker)
}

/// What wrk saw.
struct Asked {
    requests: f64,
    rate: f64,
    p50: f64,
    p99: f64,
}

fn wrk(url: &str, connections: u32, seconds: f64) -> Outcome<Asked> {
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--latency", "--timeout", "10s"]);
    wrk.args(["--connections", &connections.to_string()]);
    wrk.args(["--duration", &format!("{}s", seconds.round().max(1.0)), url]);
    read(&finished(wrk, "wrk")?)
}

fn read(report: &str) -> Outcome<Asked> {
    let line_with = |word: &str| report.lines().find(|line| line.contains(word));
    let value = |start: &str| report.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::trim);
    if let Some(bad) = line_with("Non-2xx") {
        return Err(Failure::new(format!("not every answer is good: {}", bad.trim())));
    }
    if let Some(bad) = line_with("Socket errors:") {
        return Err(Failure::new(format!("not every request is answered: {}", bad.trim())));
    }
    let missing = || Failure::new(format!("wrk did not say what was expected: {report}"));
    let requests = line_with(" requests in ").and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(Asked {
        requests: requests.ok_or_else(missing)?,
        rate: value("Requests/sec:").and_then(|text| text.parse().ok()).ok_or_else(missing)?,
        p50: value("50%").and_then(milliseconds).ok_or_else(missing)?,
        p99: value("99%").and_then(milliseconds).ok_or_else(missing)?,
    })
}

/// wrk writes times with their unit: `635.91us`, `1.05ms`, `2.00s`.
fn milliseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|value| value * factor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{milliseconds, read};

    #[test]
    fn reads_the_times_of_wrk() {
        assert_eq!(milliseconds("635.91us"), Some(0.63591));
        assert_eq!(milliseconds("1.05ms"), Some(1.05));
        assert_eq!(milliseconds("2.00s"), Some(2000.0));
        assert_eq!(milliseconds("fast"), None);
    }

    #[test]
    fn refuses_answers_that_are_not_good() {
        let report =
            "  100 requests in 1.00s, 1MB read\n  Non-2xx or 3xx responses: 7\nRequests/sec: 100.0\n";
        assert!(read(report).is_err_and(|failure| failure.to_string().contains("responses: 7")));
    }
}
