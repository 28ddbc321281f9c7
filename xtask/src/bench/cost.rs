//! What it costs more to ask for a function over HTTP than to call it: the same function, one call at a time.

use crate::bench::ask::wrk;
use crate::bench::row::Row;
use crate::bench::rpc;
use crate::bench::server::Server;
use crate::bench::stand::{Stand, text};
use crate::failure::{Failure, Outcome};

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 3] = [
    ("http_p50_ms", "asked over HTTP, p50 ms"),
    ("rpc_p50_ms", "called by RPC, p50 ms"),
    ("more_us", "HTTP more than RPC, µs"),
];

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    let (_service, facts) = stand.service(row.system, row.language, &server.url)?;
    let url = format!("{}{}", server.url, text(&facts, "path")?);
    wrk(&url, 1, 1.0)?;
    let http = wrk(&url, 1, stand.window)?.p50;
    let called =
        rpc::told_of(stand, row, ("cost", row.language.callee()), &server, &text(&facts, "functions")?)?;
    let rpc = called.into_iter().find_map(|(name, value)| (name == "p50_ms").then_some(value));
    let rpc = rpc.ok_or_else(|| Failure::new("the caller told no p50"))?;
    let figures = [("http_p50_ms", http), ("rpc_p50_ms", rpc), ("more_us", (http - rpc) * 1000.0)];
    Ok(figures.map(|(name, value)| (name.to_owned(), value)).to_vec())
}
