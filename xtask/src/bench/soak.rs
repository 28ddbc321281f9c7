//! `cargo xtask soak`: clients come, work and vanish for a long time, and the memory of the server must stay flat.

mod trend;

use std::thread;
use std::time::{Duration, Instant};

use crate::bench::machine;
use crate::bench::row::System;
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::child;
use crate::failure::{Failure, Outcome};
use crate::fetch;
use crate::layout::{Layout, Profile};
use crate::step::say;

use trend::Trend;

const HELP: &str = "\
cargo xtask soak [--minutes N] [--every SECONDS] [--no-build] [--debug]

One server; programs in Python and Node that connect clients, register services, call them, ask over HTTP, and vanish,
most of them without good-bye. Prints the server's memory every SECONDS (30), and fails when it grows without bound, or
when something is left of clients that are gone. N is 30 unless said.
";

/// Clients of one program, and how often it connects as many.
const CLIENTS: u32 = 20;
const ROUNDS: u32 = 3;
/// What was left without good-bye is noticed within this time.
const NOTICE: Duration = Duration::from_secs(60);
/// What every server has by itself is up after this time.
const SETTLE: Duration = Duration::from_secs(1);
/// What must be again as it was before the first client came.
const EMPTY: [&str; 6] = [
    "polyfn_clients",
    "polyfn_services",
    "polyfn_client_calls",
    "polyfn_http_calls",
    "polyfn_session_calls",
    "polyfn_session_functions",
];

struct Options {
    minutes: f64,
    every: f64,
    build: bool,
    profile: Profile,
}

/// What the programs have done so far.
#[derive(Default)]
struct Done {
    clients: f64,
    calls: f64,
    requests: f64,
}

pub(crate) fn run(layout: &Layout, arguments: &[String]) -> Outcome {
    let Some(options) = Options::parse(arguments)? else { return Ok(()) };
    child::end_children_on_interrupt(130)?;
    let stand = Stand::of_ours(layout, options.profile, options.build)?;
    let server = Server::start(&stand, System::Polyfn)?;
    thread::sleep(SETTLE);
    let before = gauges(&server)?;
    say(&format!("{} minutes of clients that come and vanish", options.minutes));
    let (done, trend) = churn(&stand, &server, &options)?;
    println!(
        "\n{}, {} minutes: {} clients, {} calls, {} requests over HTTP\n{trend}",
        machine::today(),
        options.minutes,
        done.clients,
        done.calls,
        done.requests
    );
    left_nothing(&server, &before)?;
    println!("nothing is left of clients that are gone");
    trend.verdict()
}

impl Options {
    fn parse(arguments: &[String]) -> Outcome<Option<Self>> {
        let mut options = Self { minutes: 30.0, every: 30.0, build: true, profile: Profile::Release };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let value =
                    words.next().and_then(|text| text.parse::<f64>().ok()).filter(|value| *value > 0.0);
                value.ok_or_else(|| Failure::new(format!("{word} needs a number above 0")))
            };
            match word.as_str() {
                "--minutes" => options.minutes = number()?,
                "--every" => options.every = number()?,
                "--no-build" => options.build = false,
                "--debug" => options.profile = Profile::Dev,
                "--help" | "-h" => {
                    print!("{HELP}");
                    return Ok(None);
                }
                other => {
                    return Err(Failure::new(format!("no option {other}: see `cargo xtask soak --help`")));
                }
            }
        }
        Ok(Some(options))
    }
}

/// Keeps one program of each language at work until the time is over, looking at the memory meanwhile.
fn churn(stand: &Stand<'_>, server: &Server, options: &Options) -> Outcome<(Done, Trend)> {
    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(options.minutes * 60.0);
    thread::scope(|scope| {
        let url = &*server.url;
        let workers =
            ["py", "mjs"].map(|ending| scope.spawn(move || one_after_the_other(stand, url, ending, end)));
        let mut trend = Trend::default();
        while Instant::now() < end && workers.iter().all(|worker| !worker.is_finished()) {
            thread::sleep(
                Duration::from_secs_f64(options.every).min(end.saturating_duration_since(Instant::now())),
            );
            let (seconds, bytes) = (begun.elapsed().as_secs_f64(), sample::memory(server.id())?);
            trend.add(seconds, bytes);
            println!("    {seconds:>6.0} s  {:>7.2} MB", bytes / 1e6);
        }
        let mut done = Done::default();
        for worker in workers {
            let part = worker.join().map_err(|_| Failure::new("a worker of the soak panicked"))??;
            done.clients += part.clients;
            done.calls += part.calls;
            done.requests += part.requests;
        }
        Ok((done, trend))
    })
}

fn one_after_the_other(stand: &Stand<'_>, url: &str, ending: &str, end: Instant) -> Outcome<Done> {
    let (clients, rounds) = (CLIENTS.to_string(), ROUNDS.to_string());
    let arguments = [("client", "polyfn"), ("url", url), ("clients", &clients), ("rounds", &rounds)];
    let mut done = Done::default();
    while Instant::now() < end {
        let mut program = stand.program("churn", ending, &arguments)?;
        for (name, value) in stand.told(&mut program, ("churn", ending), |_| Ok(()))? {
            match name.as_str() {
                "clients" => done.clients += value,
                "calls" => done.calls += value,
                _ => done.requests += value,
            }
        }
    }
    Ok(done)
}

/// The server counts what it holds: all of it must be as before.
fn left_nothing(server: &Server, before: &[(&str, String)]) -> Outcome {
    let deadline = Instant::now() + NOTICE;
    loop {
        let now = gauges(server)?;
        if now == before {
            return Ok(());
        }
        if Instant::now() > deadline {
            let text = format!("something is left of clients that are gone: {now:?}, at first {before:?}");
            return Err(Failure::new(text));
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn gauges(server: &Server) -> Outcome<Vec<(&'static str, String)>> {
    let address = server.url.trim_start_matches("http://").parse();
    let address = address.map_err(|_| Failure::new(format!("not an address: {}", server.url)))?;
    let page = fetch::get(address, "/metrics")?.body;
    let value = |name: &str| page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(EMPTY.into_iter().map(|name| (name, value(name).unwrap_or("not told").to_owned())).collect())
}
