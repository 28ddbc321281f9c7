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
}

impl Fallback {
    pub(super) fn new(options: &ClientOptions) -> Result<Self> {
        Ok(Self {
            websocket: WebSocket::new(options)?,
            http: HttpStream::new(options)?,
            avoids_websocket: AtomicBool::new(false),
        })
    }

    async fn open(&self) -> Result<Transport> {
        if self.avoids_websocket.load(Ordering::Relaxed) {
            return Ok(self.http.transport(None));
        }
        match self.websocket.open().await {
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
        self.avoids_websocket.fetch_not(Ordering::Relaxed);
    }
}
