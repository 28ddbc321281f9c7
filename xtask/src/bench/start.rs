//! How long a server takes to be ready, and how much memory it holds when nobody is there.

use std::thread;
use std::time::Duration;

use crate::bench::row::Row;
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::failure::Outcome;

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 2] =
    [("ready_ms", "start to ready, ms"), ("rest_mb", "memory at rest, MB")];

/// What a server still does after it is ready is over by then.
const SETTLE: Duration = Duration::from_secs(1);

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    thread::sleep(SETTLE);
    let megabytes = sample::memory(server.id())? / 1e6;
    Ok(vec![
        ("ready_ms".to_owned(), server.ready_after.as_secs_f64() * 1000.0),
        ("rest_mb".to_owned(), megabytes),
    ])
}
