//! `polyfn doctor`: looks at what `polyfn serve` would need with the same flags, and changes nothing.

use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::ServeFlags;
use crate::runtime;
use crate::state::VERSION;
use crate::store::Store;

pub(super) const EXAMPLES: &str = "\
Flags and environment are those of `polyfn serve`. Nothing is changed. The code is 1 when something is broken.

Examples:
  Before the first start:
    polyfn doctor --host 0.0.0.0 --port 9527 --data-dir /var/lib/polyfn
  Whether the database of a running server can be reached, and which version it has:
    polyfn doctor --database-uri postgres://polyfn@db.example.org/polyfn";

/// Bytes that a token secret should have: as many as the hash that signs with it.
const SECRET_BYTES: usize = 32;
/// Seconds that two clocks may differ.
const SKEW_MAX: u64 = 5;
/// The first second of 2025: no clock that is right says less.
const EARLIEST: u64 = 1_735_689_600;
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Doubtful,
    Broken,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    what: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Fine => "ok  ",
            Verdict::Doubtful => "warn",
            Verdict::Broken => "FAIL",
        };
        write!(f, "{word}  {:<9} {}", self.what, self.text)
    }
}

fn fine(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Fine, what, text: text.into() }
}

fn doubtful(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Doubtful, what, text: text.into() }
}

fn broken(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { verdict: Verdict::Broken, what, text: text.into() }
}

/// Prints what was found; says whether a server could work.
pub(super) fn run(flags: &ServeFlags) -> bool {
    let mut findings = vec![settings(flags)];
    let server = at_port(flags, &mut findings);
    clock(server.as_ref(), &mut findings);
    database(flags, server.is_some(), &mut findings);
    secrets(flags, &mut findings);
    if let Some(server) = &server {
        findings.push(version(server));
    }
    for finding in &findings {
        println!("{finding}");
    }
    findings.iter().all(|finding| finding.verdict != Verdict::Broken)
}

fn settings(flags: &ServeFlags) -> Finding {
    match flags.config().checked() {
        Ok(_) => fine("settings", "all can be used"),
        Err(error) => broken("settings", error.to_string()),
    }
}

/// A server that answers already.
#[derive(Debug)]
struct Found {
    version: String,
    /// Seconds since 1970 on its clock.
    date: Option<u64>,
}

/// Looks whether the port is free, or a server of ours has it.
fn at_port(flags: &ServeFlags, findings: &mut Vec<Finding>) -> Option<Found> {
    let (host, port) = (flags.host.as_str(), flags.port);
    let Err(error) = TcpListener::bind((host, port)) else {
        findings.push(fine("port", format!("{host}:{port} is free")));
        return None;
    };
    let found = ask(host, port, &flags.base_path);
    findings.push(match &found {
        Some(_) => fine("port", format!("a server answers at {host}:{port}")),
        None => broken(
            "port",
            format!("{host}:{port} cannot be listened at: {error}; choose another with --port"),
        ),
    });
    found
}

fn ask(host: &str, port: u16, base_path: &str) -> Option<Found> {
    let host = if matches!(host, "0.0.0.0" | "::") { "127.0.0.1" } else { host };
    let address = (host, port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let base = base_path.trim_matches('/');
    let base = if base.is_empty() { String::new() } else { format!("/{base}") };
    let request = format!("GET {base}/health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| httpdate::parse_http_date(value.trim()).ok()).flatten()
    });
    let date = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok()).map(|date| date.as_secs());
    Some(Found { version: body["version"].as_str()?.to_owned(), date })
}

/// Tokens are good for a time, so a clock that is wrong refuses good ones.
fn clock(server: Option<&Found>, findings: &mut Vec<Finding>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    findings.push(match server.and_then(|server| server.date) {
        _ if now < EARLIEST => broken("clock", "it stands before 2025: tokens would be refused; set it"),
        Some(date) if date.abs_diff(now) > SKEW_MAX => {
            let text =
                format!("it differs from that of the server by {} s: set both by NTP", date.abs_diff(now));
            doubtful("clock", text)
        }
        Some(_) => fine("clock", "as that of the server"),
        None => fine("clock", "plausible"),
    });
}

fn database(flags: &ServeFlags, is_served: bool, findings: &mut Vec<Finding>) {
    let Ok(runtime) = runtime::new(1) else {
        return findings.push(broken("database", "the system gives no threads"));
    };
    findings.push(match runtime.block_on(Store::look(&flags.config().database)) {
        Ok(text) if is_served => fine("database", format!("{text}, in use")),
        Ok(text) => fine("database", text),
        Err(error) => broken("database", error.to_string()),
    });
}

fn secrets(flags: &ServeFlags, findings: &mut Vec<Finding>) {
    findings.push(match flags.jwt_secret.as_deref().map(str::len) {
        None => doubtful("secret", "none: tokens end with the process; set POLYFN_JWT_SECRET"),
        Some(bytes) if bytes < SECRET_BYTES => {
            let text = format!("{bytes} bytes can be guessed: POLYFN_JWT_SECRET should have {SECRET_BYTES}");
            doubtful("secret", text)
        }
        Some(_) => fine("secret", "set"),
    });
    findings.push(match &flags.root_token {
        None => fine("root", "no root token: `polyfn admin` is not possible"),
        Some(_) => fine("root", "a root token is set"),
    });
}

fn version(server: &Found) -> Finding {
    if server.version == VERSION {
        return fine("version", format!("{VERSION}, as the server"));
    }
    doubtful("version", format!("this is {VERSION}, the server is {}", server.version))
}
