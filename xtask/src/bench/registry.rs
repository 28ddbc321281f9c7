//! Registration and look-up with 10, 1,000 and 100,000 services, in one workspace and in a thousand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::row::{Row, System};
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::failure::{Failure, Outcome};
use crate::fetch;

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 17] = [
    ("registrations_per_s", "registrations/s, 64 at a time"),
    ("register_us", "server CPU for one of the registrations from 1,000 to 100,000, µs"),
    ("look_up_ms@10", "`get_service_info`, 10 services, p50 ms"),
    ("look_up_ms@1000", "`get_service_info`, 1,000 services, p50 ms"),
    ("look_up_ms@100000", "`get_service_info`, 100,000 services, p50 ms"),
    ("look_up_ms@many", "`get_service_info`, 100 services in each of 1,000 workspaces, p50 ms"),
    ("get_ms@10", "`get_service`, its owner asked, 10 services, p50 ms"),
    ("get_ms@1000", "`get_service`, 1,000 services, p50 ms"),
    ("get_ms@100000", "`get_service`, 100,000 services, p50 ms"),
    ("get_ms@many", "`get_service`, 100 services in each of 1,000 workspaces, p50 ms"),
    ("list_ms@10", "`list_services` of 10, ms"),
    ("list_ms@1000", "`list_services` of 1,000, ms"),
    ("list_ms@100000", "`list_services`, 1,000 of 100,000, ms"),
    ("list_ms@many", "`list_services` of 100, 1,000 workspaces having as many, ms"),
    ("filter_ms@100000", "`list_services` of one type that 10 of 100,000 have, ms"),
    ("stall_ms", "longest wait of a request meanwhile, ms"),
    ("service_kb", "memory of the server for a service, one function each, KB"),
];

const SETTLE: Duration = Duration::from_secs(1);
const IN_ONE: u32 = 100_000;
/// The step before.
const BEFORE: u32 = 1000;

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let hypha = row.system == System::Hypha;
    let steps = if hypha { "10,1000" } else { "10,1000,100000" };
    let mut figures = one(stand, row, &[("steps", steps)])?;
    if !hypha {
        figures.extend(one(stand, row, &[("workspaces", "1000"), ("each", "100")])?);
    }
    Ok(figures)
}

fn one(stand: &Stand<'_>, row: &Row, more: &[(&str, &str)]) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    let window = stand.window.to_string();
    let arguments = [("client", row.system.client()), ("url", &*server.url), ("window", &window)];
    let address = server.url.trim_start_matches("http://").parse();
    let address = address.map_err(|_| Failure::new(format!("not an address: {}", server.url)))?;
    thread::sleep(SETTLE);
    let before = sample::memory(server.id())?;
    let mut program = stand.program("registry", "py", &[&arguments[..], more].concat())?;
    let (mut found, listed, mut worked) = (Vec::new(), AtomicBool::new(false), 0.0);
    let figures = thread::scope(|scope| {
        let mut waiting = None;
        let figures = stand.told(&mut program, ("registry", "py"), |place| {
            match place {
                "filled" => worked = sample::cpu(server.id())?,
                "100000" => {
                    let worked = sample::cpu(server.id())? - worked;
                    found.push(("register_us".to_owned(), worked * 1e6 / f64::from(IN_ONE - BEFORE)));
                    thread::sleep(SETTLE);
                    let added = sample::memory(server.id())? - before;
                    found.push(("service_kb".to_owned(), added / 1000.0 / f64::from(IN_ONE)));
                }
                "listing" => {
                    // shorter lists before this one have ended
                    listed.store(false, Ordering::Relaxed);
                    waiting = Some(scope.spawn(|| longest_wait(address, &listed)));
                }
                "listed" => listed.store(true, Ordering::Relaxed),
                _ => {}
            }
            Ok(())
        });
        listed.store(true, Ordering::Relaxed);
        if let Some(Ok(Ok(wait))) = waiting.map(thread::ScopedJoinHandle::join) {
            found.push(("stall_ms".to_owned(), wait.as_secs_f64() * 1000.0));
        }
        figures
    })?;
    Ok([figures, found].concat())
}

/// Asks again and again until `over`.
fn longest_wait(address: SocketAddr, over: &AtomicBool) -> Outcome<Duration> {
    let mut longest = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        fetch::get(address, "/health/liveness")?;
        longest = longest.max(begun.elapsed());
    }
    Ok(longest)
}
