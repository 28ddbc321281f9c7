//! What functions are given and give over HTTP beside the smallest: long bodies, streams; and many of them in a service.

use std::time::Instant;

use crate::bench::ask::{Answered, once, wrk, wrk_post};
use crate::bench::row::{Language, Row};
use crate::bench::server::Server;
use crate::bench::stand::{Stand, text};
use crate::failure::{Failure, Outcome};

/// The figures, and how the table names them.
pub(super) const FIGURES: [(&str, &str); 9] = [
    ("body_100k", "100 KB sent and sent back, 4 connections, MB/s one way"),
    ("body_10m", "10 MB sent and sent back, 2 connections, MB/s one way"),
    ("functions_1", "1 function in the service, 16 connections, requests/s"),
    ("functions_10", "10 functions in the service, requests/s"),
    ("functions_1000", "1,000 functions in the service, requests/s"),
    ("first_ms", "stream of a function, first byte after, ms"),
    ("items_per_s", "stream of a function, lines/s"),
    ("app_first_ms", "stream of a web app, first byte after, ms"),
    ("app_items_per_s", "stream of a web app, lines/s"),
];

/// Answers whose first byte is waited for.
const STREAMS: usize = 50;
/// The end of such a stream comes 20 ms after its begin; less apart than this, it was held back.
const APART_MS: f64 = 15.0;

pub(super) fn measure(stand: &Stand<'_>, row: &Row) -> Outcome<Vec<(String, f64)>> {
    let server = Server::start(stand, row.system)?;
    let many = [("client", row.system.client()), ("url", &*server.url), ("many", "1,10,1000")];
    let (_service, facts) = stand.service_with(row.language, &many)?;
    let place = |name: &str| Ok::<_, Failure>(server.url.clone() + &text(&facts, name)?);
    let functions = place("path")?.replace("/hello", "");
    let mut figures = Vec::new();
    let mut add = |name: &str, found: Outcome<f64>| match found {
        Ok(value) => figures.push((name.to_owned(), value)),
        Err(failure) => stand.remark(name, &failure),
    };
    for (name, size, connections) in [("body_100k", 100_000, 4), ("body_10m", 10_000_000, 2)] {
        add(name, body(stand, &functions, size, connections));
    }
    for number in [1, 10, 1000] {
        let url = format!("{}-{number}/f{}", functions.replace("bench-http", "bench"), number - 1);
        add(&format!("functions_{number}"), wrk(&url, 16, stand.window).map(|asked| asked.rate));
    }
    add("first_ms", first(&functions));
    add("items_per_s", items(&functions, stand.window));
    if row.language == Language::Python {
        let app = place("app")?;
        add("app_first_ms", first(&app));
        add("app_items_per_s", items(&app, stand.window));
    }
    Ok(figures)
}

fn body(stand: &Stand<'_>, functions: &str, size: u32, connections: u32) -> Outcome<f64> {
    let content = (&*format!("string.rep('x', {size})"), "application/octet-stream");
    let asked = wrk_post(stand, &format!("{functions}/body"), content, connections, stand.window)?;
    Ok(asked.rate * f64::from(size) / 1e6)
}

/// The median of the times to the first byte.
fn first(place: &str) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..STREAMS {
        let answered = good(&format!("{place}/first"))?;
        let (first, last) = (answered.first.as_secs_f64() * 1e3, answered.last.as_secs_f64() * 1e3);
        if last - first < APART_MS {
            return Err(Failure::new("the begin of the stream was held back until its end"));
        }
        times.push(first);
    }
    times.sort_by(f64::total_cmp);
    times.get(STREAMS / 2).copied().ok_or_else(|| Failure::new("nothing was asked"))
}

/// Lines per second of a stream that takes about as long as the window.
fn items(place: &str, window: f64) -> Outcome<f64> {
    let mut count = 1000.0_f64;
    loop {
        let begun = Instant::now();
        let answered = good(&format!("{place}/items?n={count:.0}"))?;
        let seconds = begun.elapsed().as_secs_f64();
        let lines =
            answered.body.windows(2).filter(|pair| pair[0].is_ascii_digit() && pair[1] == b'\n').count();
        if (lines as f64) < count {
            return Err(Failure::new(format!("{lines} lines came where {count} were asked for")));
        }
        if seconds > window / 2.0 {
            return Ok(count / seconds);
        }
        count *= (window / seconds).clamp(2.0, 20.0).round();
    }
}

fn good(url: &str) -> Outcome<Answered> {
    let answered = once(url, None)?;
    if answered.status == 200 {
        return Ok(answered);
    }
    let body = String::from_utf8_lossy(&answered.body).chars().take(200).collect::<String>();
    Err(Failure::new(format!("{url} answered {}: {body}", answered.status)))
}
