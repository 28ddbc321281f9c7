//! How long a server takes to be ready, and how much memory it holds when nobody is there.

use std::thread;
use std::time::Duration;

use crate::bench::row::{Row, System};
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::failure::Outcome;

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 5] = [
    ("ready_ms", "start to ready, ms"),
    ("rest_mb", "memory at rest, MB"),
    ("first_ms", "first start in a program, ms"),
    ("start_ms", "start in a program, the middle one of 20, ms"),
    ("stop_ms", "stop in a program, the middle one of 20, ms"),
];

/// What a server still does after it is ready is over by then.
const SETTLE: Duration = Duration::from_secs(1);

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    if row.system == System::Embedded {
        let program = ("starts", row.language.callee());
        let mut child = stand.program(program.0, program.1, &[])?;
        return stand.told(&mut child, program, |_| Ok(()));
    }
    let server = Server::start(stand, row.system)?;
    thread::sleep(SETTLE);
    let megabytes = sample::memory(server.id())? / 1e6;
    Ok(vec![
        ("ready_ms".to_owned(), server.ready_after.as_secs_f64() * 1000.0),
        ("rest_mb".to_owned(), megabytes),
    ])
}
