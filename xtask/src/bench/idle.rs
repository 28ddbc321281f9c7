//! What one idle connection costs the server.

use std::thread;
use std::time::Duration;

use crate::bench::row::Row;
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::failure::Outcome;

const CLIENTS: u32 = 500;
const SETTLE: Duration = Duration::from_secs(1);
const CONNECT_LIMIT: Duration = Duration::from_secs(180);

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    thread::sleep(SETTLE);
    let before = sample::memory(server.id())?;
    let count = CLIENTS.to_string();
    let arguments = [("client", row.system.client()), ("url", &*server.url), ("count", &count)];
    let mut clients = stand.program("idle", "py", &arguments)?;
    stand.facts(&mut clients, "idle", "py", CONNECT_LIMIT)?;
    thread::sleep(SETTLE);
    let after = sample::memory(server.id())?;
    Ok(vec![("idle_kb".to_owned(), (after - before) / 1000.0 / f64::from(CLIENTS))])
}
