//! What travels: streams, callbacks, long messages, arrays, small calls beside a long transfer, reconnects, a million calls.

use crate::bench::results::Results;
use crate::bench::row::{Group, Row, System};
use crate::bench::rpc;
use crate::bench::stand::Stand;
use crate::bench::table::{cell, markdown, ratio};
use crate::failure::Outcome;

/// The figures, and how the table names them.
const FIGURES: [(&str, &str); 11] = [
    ("items_per_s", "stream, items/s"),
    ("callbacks_per_s", "callbacks/s, one after the other"),
    ("mb_1_per_s", "1 MB there and back, MB/s"),
    ("mb_10_per_s", "10 MB there and back, MB/s"),
    ("mb_100_per_s", "100 MB there and back, MB/s"),
    ("array_mb_per_s", "64 MB of float32 there and back, MB/s"),
    ("p99_idle_ms", "p99 of a small call, idle, ms"),
    ("p99_busy_ms", "p99 of a small call while 1 GB leaves, ms"),
    ("p99_busy_to_idle", "the same, to its idle value"),
    ("reconnect_ms", "cut connection to 200 services registered again, ms"),
    ("million_calls_mb", "memory that a million calls leave in the caller, MB"),
];

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    rpc::told_by(stand, row, "data", &FIGURES.map(|(name, _)| name))
}

/// One line for each figure and system.
pub(super) fn table(results: &Results) -> String {
    let mut lines = Vec::new();
    let rows: Vec<Row> = results.group(Group::Data).collect();
    for (name, title) in FIGURES {
        for row in rows.iter().filter(|row| results.figure(**row, name).is_some()) {
            let median = |system| results.median(Group::Data, system, row.language, name);
            let pair = row.language.word().to_owned();
            let figure = cell(results.figure(*row, name));
            let to_hypha = ratio(median(row.system), median(System::Hypha));
            lines.push(vec![title.to_owned(), pair, row.system.title().to_owned(), figure, to_hypha]);
        }
    }
    markdown(&["what", "caller-callee", "system", "measured", "to Hypha's"], &lines)
}
