//! What one idle connection costs the server.

use std::thread;
use std::time::Duration;

use crate::bench::row::{Row, System};
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::failure::Outcome;

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 3] = [
    ("clients", "clients of one workspace"),
    ("idle_kb", "memory per idle connection, KB"),
    ("connects_per_s", "connections made, 10 at a time, per second"),
];

const CLIENTS: u32 = 2000;
/// Hypha takes minutes for more.
const CLIENTS_OF_HYPHA: u32 = 500;
const SETTLE: Duration = Duration::from_secs(1);
const CONNECT_LIMIT: Duration = Duration::from_secs(180);

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    thread::sleep(SETTLE);
    let before = sample::memory(server.id())?;
    let clients = if row.system == System::Hypha { CLIENTS_OF_HYPHA } else { CLIENTS };
    let count = clients.to_string();
    let arguments = [("client", row.system.client()), ("url", &*server.url), ("count", &count)];
    let mut program = stand.program("idle", "py", &arguments)?;
    let told = stand.facts(&mut program, "idle", "py", CONNECT_LIMIT)?;
    thread::sleep(SETTLE);
    let after = sample::memory(server.id())?;
    let count = f64::from(clients);
    let mut figures = vec![("clients", count), ("idle_kb", (after - before) / 1000.0 / count)];
    figures.extend(told["connects_per_s"].as_f64().map(|rate| ("connects_per_s", rate)));
    Ok(figures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
