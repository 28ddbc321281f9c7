//! Asks over HTTP: wrk for many requests, plain sockets for one.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bench::stand::{Stand, finished};
use crate::failure::{During as _, Failure, Outcome};

/// Longest silence of a server before a measurement fails.
const SILENCE: Duration = Duration::from_secs(30);

/// Seconds after which a slow server has answered.
const LONG_WINDOW: f64 = 15.0;

/// What wrk saw.
pub(super) struct Asked {
    pub(super) requests: f64,
    pub(super) rate: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// Asks for `url` again and again.
pub(super) fn wrk(url: &str, connections: u32, seconds: f64) -> Outcome<Asked> {
    answered(seconds, |seconds| program(url, connections, seconds))
}

/// A server may be so slow that it answers nothing within the window: then it gets a longer one.
fn answered(seconds: f64, program: impl Fn(f64) -> Command) -> Outcome<Asked> {
    let longer = (seconds * 10.0).max(LONG_WINDOW);
    match read(&finished(program(seconds), "wrk")?)? {
        Some(asked) => Ok(asked),
        None => read(&finished(program(longer), "wrk")?)?
            .ok_or_else(|| Failure::new(format!("not one request was answered within {longer} s"))),
    }
}

/// Posts to `url` again and again; `body` is an expression of Lua.
pub(super) fn wrk_post(
    stand: &Stand<'_>,
    url: &str,
    (body, kind): (&str, &str),
    connections: u32,
    seconds: f64,
) -> Outcome<Asked> {
    let script = stand.folder().join("post.lua");
    let text = format!("wrk.method = 'POST'\nwrk.body = {body}\nwrk.headers['Content-Type'] = '{kind}'\n");
    fs::write(&script, text).during("post.lua")?;
    answered(seconds, |seconds| {
        let mut wrk = program(url, connections, seconds);
        wrk.arg("--script").arg(&script);
        wrk
    })
}

fn program(url: &str, connections: u32, seconds: f64) -> Command {
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--latency", "--timeout", "20s"]);
    wrk.args(["--connections", &connections.to_string()]);
    wrk.args(["--duration", &format!("{}s", seconds.round().max(1.0)), url]);
    wrk
}

/// What a report says; nothing when not one request was answered.
fn read(report: &str) -> Outcome<Option<Asked>> {
    let line_with = |word: &str| report.lines().find(|line| line.contains(word));
    let value = |start: &str| report.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::trim);
    if let Some(bad) = line_with("Non-2xx") {
        return Err(Failure::new(format!("not every answer is good: {}", bad.trim())));
    }
    if let Some(bad) = line_with("Socket errors:") {
        return Err(Failure::new(format!("not every request is answered: {}", bad.trim())));
    }
    if report.contains("\n  0 requests in ") {
        return Ok(None);
    }
    let missing = || Failure::new(format!("wrk did not say what was expected: {report}"));
    let requests = line_with(" requests in ").and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(Some(Asked {
        requests: requests.ok_or_else(missing)?,
        rate: value("Requests/sec:").and_then(|text| text.parse().ok()).ok_or_else(missing)?,
        p50: value("50%").and_then(milliseconds).ok_or_else(missing)?,
        p99: value("99%").and_then(milliseconds).ok_or_else(missing)?,
    }))
}

/// wrk writes times with their unit: `635.91us`, `1.05ms`, `2.00s`.
fn milliseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|value| value * factor);
        }
    }
    None
}

/// When the parts of one answer came.
pub(super) struct Answered {
    pub(super) status: u16,
    /// From the request to the first byte of the body.
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// The body as it came over the wire, its chunks not joined.
    pub(super) body: Vec<u8>,
}

/// One request on one connection; `url` is `http://ADDRESS/PATH`.
pub(super) fn once(url: &str, json: Option<&str>) -> Outcome<Answered> {
    let place = url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
    let (address, path) = place.ok_or_else(|| Failure::new(format!("not a URL with a path: {url}")))?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let head = format!("host: {address}\r\naccept: */*\r\nconnection: close\r\n");
    let request = match json {
        None => format!("GET /{path} HTTP/1.1\r\n{head}\r\n"),
        Some(body) => format!(
            "POST /{path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
    };
    let begun = Instant::now();
    stream.write_all(request.as_bytes())?;
    answer(&mut stream, begun)
}

fn answer(stream: &mut TcpStream, begun: Instant) -> Outcome<Answered> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    let (mut body, mut first) = (None, Duration::ZERO);
    loop {
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
        body = body.or_else(|| bytes.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4));
        if first.is_zero() && body.is_some_and(|at| bytes.len() > at) {
            first = begun.elapsed();
        }
        if count == 0 {
            break;
        }
    }
    let status = String::from_utf8_lossy(&bytes).split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| Failure::new("not an HTTP answer"))?;
    let body = bytes.split_off(body.unwrap_or(bytes.len()));
    Ok(Answered { status, first, last: begun.elapsed(), body })
}

#[cfg(test)]
mod tests {
    use super::{milliseconds, read};

    #[test]
    fn reads_the_times_of_wrk() {
        assert_eq!(milliseconds("635.91us"), Some(0.63591));
        assert_eq!(milliseconds("1.05ms"), Some(1.05));
        assert_eq!(milliseconds("2.00s"), Some(2000.0));
        assert_eq!(milliseconds("fast"), None);
    }

    #[test]
    fn refuses_answers_that_are_not_good() {
        let report =
            "  100 requests in 1.00s, 1MB read\n  Non-2xx or 3xx responses: 7\nRequests/sec: 100.0\n";
        assert!(read(report).is_err_and(|failure| failure.to_string().contains("responses: 7")));
    }

    #[test]
    fn a_report_without_answers_has_no_figures() {
        assert!(read("Running\n  0 requests in 1.00s, 0B read\nRequests/sec: 0.00\n").unwrap().is_none());
    }
}
