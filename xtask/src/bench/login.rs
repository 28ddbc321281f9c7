//! Logging in with an account of the server itself.

use crate::bench::ask::{once, wrk_post};
use crate::bench::row::Row;
use crate::bench::sample;
use crate::bench::server::Server;
use crate::bench::stand::Stand;
use crate::failure::{Failure, Outcome};

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 4] = [
    ("logins_per_s", "logins/s, 4 at a time"),
    ("login_p50_ms", "p50 ms"),
    ("login_p99_ms", "p99 ms"),
    ("login_cpu_ms", "server CPU for one, ms"),
];

const WHO: &str = r#"{"name": "Ann", "email": "ann@example.org", "password": "correct horse battery"}"#;

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start_with(stand, row.system, &["--enable-local-auth"])?;
    let functions = format!("{}/public/services/hypha-login", server.url);
    for function in ["signup", "login"] {
        succeed(&format!("{functions}/{function}"))?;
    }
    let before = sample::cpu(server.id())?;
    let body = format!("[[{WHO}]]");
    let asked = wrk_post(stand, &format!("{functions}/login"), (&body, "application/json"), 4, stand.window)?;
    let cpu = (sample::cpu(server.id())? - before) * 1000.0 / asked.requests.max(1.0);
    let figures = [
        ("logins_per_s", asked.rate),
        ("login_p50_ms", asked.p50),
        ("login_p99_ms", asked.p99),
        ("login_cpu_ms", cpu),
    ];
    Ok(figures.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

/// What goes wrong is told with a status of 200.
fn succeed(url: &str) -> Outcome {
    let answered = once(url, Some(WHO))?;
    let text = String::from_utf8_lossy(&answered.body).replace(' ', "");
    if answered.status == 200 && text.contains("\"success\":true") {
        return Ok(());
    }
    Err(Failure::new(format!("{url} answered {}: {text}", answered.status)))
}
