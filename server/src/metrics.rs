//! Counters and gauges, and their Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use polyfn_core::session::Statistics;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more, until the guard is dropped.
    #[must_use]
    pub fn hold(&self) -> Held<'_> {
        self.increment();
        Held(self)
    }

    /// One more.
    pub fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub fn decrement(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number that was counted elsewhere.
    pub fn set(&self, number: usize) {
        self.0.store(number as u64, Ordering::Relaxed);
    }

    /// The number now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of the things a [`Gauge`] counts.
#[derive(Debug)]
pub struct Held<'a>(&'a Gauge);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.decrement();
    }
}

/// Writes the struct and its Prometheus text from one table.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident,)+) => {
        /// What the server counts; each field is published as `polyfn_<field>`.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $($(#[doc = $doc])+ pub $name: $kind,)+
            /// Answers over HTTP by the first digit of their status, 1 to 5.
            pub http_responses: [Counter; 5],
            /// How often each limit held somebody back.
            pub limited: Limited,
        }

        impl Metrics {
            fn write_table(&self, out: &mut String) {
                $(write_one(out, stringify!($name), stringify!($kind), concat!($($doc),+), self.$name.get());)+
            }
        }
    };
}

metrics! {
    /// Open network connections, HTTP and websocket.
    connections: Gauge,
    /// Network connections accepted since the start.
    connections_total: Counter,
    /// Connected clients.
    clients: Gauge,
    /// Clients that connected since the start.
    clients_total: Counter,
    /// Handshakes refused.
    handshakes_refused_total: Counter,
    /// Messages that clients sent.
    client_messages_total: Counter,
    /// Calls to functions of clients that wait for their answers.
    client_calls: Gauge,
    /// Pages that are shown and kept up to date.
    page_viewers: Gauge,
    /// Services registered now.
    services: Gauge,
    /// Frames passed on from one client to another.
    frames_relayed_total: Counter,
    /// Bytes of those frames.
    bytes_relayed_total: Counter,
    /// Frames refused: no such target, no right, malformed.
    frames_refused_total: Counter,
    /// Calls to functions and services over HTTP.
    http_calls_total: Counter,
    /// Calls over HTTP that were refused or failed.
    http_call_errors_total: Counter,
    /// Calls over HTTP under way.
    http_calls: Gauge,
    /// Websockets of web apps.
    app_websockets: Gauge,
    /// Calls to the workspace manager.
    manager_calls_total: Counter,
    /// Calls that the server itself makes to clients.
    session_calls: Gauge,
    /// Methods of the manager that run.
    session_runs: Gauge,
    /// Functions that the server itself has given to clients, in arguments, results and interfaces.
    session_functions: Gauge,
    /// Results of the server's own that hold functions.
    session_kept: Gauge,
    /// Objects of the server's own whose functions outlive the call that gave them away.
    session_interfaces: Gauge,
    /// Long messages to the server itself that arrive in parts.
    session_chunks: Gauge,
}

/// Counts by limit; each limit is there from its first time on.
#[derive(Debug, Default)]
pub struct Limited(Mutex<BTreeMap<&'static str, u64>>);

impl Limited {
    /// The limit `name` has held somebody back.
    pub fn note(&self, name: &'static str) {
        *self.0.lock().entry(name).or_default() += 1;
    }

    fn write(&self, out: &mut String) {
        out.push_str("# HELP polyfn_limited_total Times that a limit slowed or refused somebody.\n");
        out.push_str("# TYPE polyfn_limited_total counter\n");
        for (name, count) in &*self.0.lock() {
            _ = writeln!(out, "polyfn_limited_total{{limit=\"{name}\"}} {count}");
        }
    }
}

impl Metrics {
    /// Counts one HTTP answer.
    pub fn count_response(&self, status: http::StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5);
        self.http_responses[class - 1].increment();
    }

    /// Takes over what the server's own sessions hold.
    pub fn note_sessions(&self, sessions: &[Statistics]) {
        let sum = |held: fn(&Statistics) -> usize| sessions.iter().map(held).sum();
        self.session_calls.set(sum(|held| held.calls));
        self.session_runs.set(sum(|held| held.runs));
        self.session_functions.set(sum(|held| held.functions));
        self.session_kept.set(sum(|held| held.kept));
        self.session_interfaces.set(sum(|held| held.interfaces));
        self.session_chunks.set(sum(|held| held.chunks));
    }

    /// All of it as Prometheus text; the caller says how long the server is up.
    #[must_use]
    pub fn text(&self, uptime_seconds: f64) -> String {
        let mut out = String::with_capacity(4096);
        self.write_table(&mut out);
        out.push_str("# HELP polyfn_http_responses_total Answers over HTTP by class of status.\n");
        out.push_str("# TYPE polyfn_http_responses_total counter\n");
        for (class, counter) in (1..).zip(&self.http_responses) {
            _ = writeln!(out, "polyfn_http_responses_total{{status=\"{class}xx\"}} {}", counter.get());
        }
        self.limited.write(&mut out);
        write_one(&mut out, "uptime_seconds", "Gauge", "Seconds since the start.", uptime_seconds);
        if let Some(bytes) = resident_bytes() {
            write_one(&mut out, "resident_memory_bytes", "Gauge", "Memory of the process.", bytes);
        }
        out
    }
}

fn write_one(out: &mut String, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
    let (help, kind) = (help.trim(), kind.to_ascii_lowercase());
    _ = write!(out, "# HELP polyfn_{name} {help}\n# TYPE polyfn_{name} {kind}\npolyfn_{name} {value}\n");
}

/// Memory of this process in bytes, where the system tells (Linux).
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_that_of_prometheus() {
        let metrics = Metrics::default();
        let held = metrics.connections.hold();
        metrics.frames_relayed_total.add(3);
        metrics.count_response(http::StatusCode::NOT_FOUND);
        let text = metrics.text(1.5);
        let expected = "# HELP polyfn_connections Open network connections, HTTP and websocket.\n\
                        # TYPE polyfn_connections gauge\npolyfn_connections 1\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\npolyfn_frames_relayed_total 3\n"));
        assert!(text.contains("\npolyfn_http_responses_total{status=\"4xx\"} 1\n"));
        assert!(text.contains("\npolyfn_uptime_seconds 1.5\n"));
        let one = Statistics { functions: 2, calls: 1, ..Statistics::default() };
        metrics.note_sessions(&[one, one]);
        let noted = metrics.text(0.0);
        assert!(noted.contains("\npolyfn_session_functions 4\n"), "{noted}");
        assert!(noted.contains("\npolyfn_session_calls 2\n"), "{noted}");
        drop(held);
        assert!(metrics.text(0.0).contains("\npolyfn_connections 0\n"));
    }
}
