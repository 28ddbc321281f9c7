//! The websocket first; plain HTTP where a websocket cannot be had.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};

use super::http_stream::HttpStream;
use super::options::ClientOptions;
use super::transport::{Connect, Transport};
use super::websocket::{Refused, WebSocket};
use crate::Result;

/// Two ways to one server.
pub(super) struct Fallback {
    websocket: WebSocket,
    http: HttpStream,
    /// A websocket was opened and stayed mute, as behind some proxies: not that way again, unless this one fails too.
    avoids_websocket: AtomicBool,
    /// The way that was taken last is plain HTTP, as the websocket was refused.
    is_refused: AtomicBool,
}

impl Fallback {
    pub(super) fn new(options: &ClientOptions) -> Result<Self> {
        Ok(Self {
            websocket: WebSocket::new(options)?,
            http: HttpStream::new(options)?,
            avoids_websocket: AtomicBool::new(false),
            is_refused: AtomicBool::new(false),
        })
    }

    async fn open(&self) -> Result<Transport> {
        if self.avoids_websocket.load(Ordering::Relaxed) {
            return Ok(self.http.transport(None));
        }
        self.is_refused.store(false, Ordering::Relaxed);
        let opened = self.websocket.open().await;
        self.is_refused.store(matches!(opened, Err(Refused::NoWebSocket(_))), Ordering::Relaxed);
        match opened {
            Ok(transport) => Ok(transport),
            Err(Refused::Unreachable(error)) => Err(error),
            Err(Refused::NoWebSocket(error)) => {
                tracing::info!(%error, "no websocket: going on by HTTP");
                Ok(self.http.transport(Some(error.message().to_owned())))
            }
        }
    }
}

impl Connect for Fallback {
    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Transport>> + Send + '_>> {
        Box::pin(self.open())
    }

    fn has_other_way(&self) -> bool {
        true
    }

    fn take_other_way(&self) {
        // Where neither worked the server is away, and the websocket comes first when it is back.
        if !self.is_refused.swap(false, Ordering::Relaxed) {
            self.avoids_websocket.fetch_not(Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_that_was_away_is_reached_by_websocket() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fallback = Fallback::new(&ClientOptions::new(url)).unwrap();
        for _ in 0..2 {
            let refused = async { drop(listener.accept().await.unwrap()) };
            let (opened, ()) = tokio::join!(fallback.open(), refused);
            assert_eq!(opened.unwrap().connection_type, "http_streaming");
            // nothing came that way either
            fallback.take_other_way();
        }
        assert!(!fallback.avoids_websocket.load(Ordering::Relaxed));
    }
}
