//! What travels: streams, callbacks, long messages, arrays, small calls beside a long transfer, reconnects, a million calls.

use crate::bench::row::Row;
use crate::bench::rpc;
use crate::bench::stand::Stand;
use crate::failure::Outcome;

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 14] = [
    ("items_per_s", "stream, items/s"),
    ("callbacks_per_s", "callbacks/s, one after the other"),
    ("mb_1_per_s", "1 MB there and back, MB/s"),
    ("mb_10_per_s", "10 MB there and back, MB/s"),
    ("mb_100_per_s", "100 MB there and back, MB/s"),
    ("array_mb_per_s", "64 MB of float32 there and back, MB/s"),
    ("p99_idle_ms", "p99 of a small call, idle, ms"),
    ("p99_busy_ms", "p99 of a small call while 1 GB leaves, ms"),
    ("p99_busy_to_idle", "the same, by the connection of the transfer, to its idle value"),
    ("p99_apart_idle_ms", "p99 of a small call between two other programs, idle, ms"),
    ("p99_apart_ms", "p99 of a small call between two other programs while 1 GB passes, ms"),
    ("p99_apart_to_idle", "the same, to its idle value"),
    ("reconnect_ms", "cut connection to 200 services registered again, ms"),
    ("million_calls_mb", "memory that a million calls leave in the caller, MB"),
];

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    rpc::told_by(stand, row, "data", &FIGURES.map(|(name, _)| name))
}
