//! What the machine allows: `polyfn-ceiling hello | relay | echo | call URL SECONDS`.
//!
//! `hello` answers HTTP by itself, `relay` asks one worker over one websocket, `echo` answers websocket frames and
//! `call` measures such an echo. None of them checks, routes or encodes anything.

mod call;
mod echo;
mod relay;

use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

type Ended = Result<(), Box<dyn Error>>;

fn main() -> Ended {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["hello"] => tokio::runtime::Runtime::new()?.block_on(hello()),
        ["relay"] => tokio::runtime::Runtime::new()?.block_on(relay::serve()),
        ["echo"] => on_this_thread(echo::serve()),
        ["call", url, seconds] => on_this_thread(call::measure(url, seconds.parse()?)),
        _ => Err("usage: polyfn-ceiling hello | relay | echo | call URL SECONDS".into()),
    }
}

fn on_this_thread(work: impl Future<Output = Ended>) -> Ended {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

async fn hello() -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(&[("http", listener.local_addr()?)])?;
    axum::serve(listener, Router::new().route("/", get(|| async { "hello" }))).await?;
    Ok(())
}

/// Tells the benchmark where we listen: one line of JSON.
fn ready(places: &[(&str, SocketAddr)]) -> Ended {
    let places: serde_json::Map<String, serde_json::Value> =
        places.iter().map(|(name, address)| ((*name).to_owned(), address.to_string().into())).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::Value::Object(places))?;
    Ok(out.flush()?)
}
