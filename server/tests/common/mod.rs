//! A server on a free port, and a client that says exactly what it is told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use polyfn_server::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Starts a server inside this process.
pub(crate) async fn start(config: Config) -> Running {
    Server::start(Config { port: 0, ..config }).await.unwrap()
}

/// One answer, taken apart.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether the head has this line, in any case.
    pub(crate) fn has(&self, line: &str) -> bool {
        self.head.to_lowercase().lines().any(|known| known == line.to_lowercase())
    }

    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }
}

/// Asks with a connection of its own; `more` are whole header lines.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, more: &[&str]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut lines =
        vec![format!("{method} {path} HTTP/1.1"), "host: test".into(), "connection: close".into()];
    lines.extend(more.iter().map(|line| (*line).to_owned()));
    stream.write_all((lines.join("\r\n") + "\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = Vec::new();
    stream.read_to_end(&mut text).await.unwrap();
    Answer::read(&String::from_utf8_lossy(&text))
}

/// Asks by GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[]).await
}
