//! A transport: whole messages in and out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Sink, Stream};

use crate::{Error, Result};

/// A message on a transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A control message: JSON.
    Text(String),
    /// A frame.
    Binary(Bytes),
    /// The end, with the reason that the other side gave.
    Close(String),
}

/// Sends frames past the driver, from any thread.
pub trait Direct: Send + Sync {
    /// Sends a frame at once if nothing waits before it; never waits. `false`: the driver is to send it.
    fn send_now(&self, frame: &Bytes) -> bool;

    /// Whether a part of what was sent is still to leave, by a flush of the driver's.
    fn has_unsent(&self) -> bool;
}

/// An open transport: what comes in, and where to put what goes out.
pub struct Transport {
    /// Messages from the other side; ends when the connection does.
    pub incoming: Pin<Box<dyn Stream<Item = Result<Message>> + Send>>,
    /// Messages to the other side.
    pub outgoing: Pin<Box<dyn Sink<Message, Error = Error> + Send>>,
    /// The way past the driver, where there is one.
    pub direct: Option<Arc<dyn Direct>>,
    /// What functions are told of the way that their callers came: `websocket`, `http_streaming`.
    pub connection_type: &'static str,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

/// Opens transports to one server.
pub trait Connect: Send + Sync {
    /// Opens a transport; the handshake is the driver's.
    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Transport>> + Send + '_>>;

    /// Whether there is more than one way to the server.
    fn has_other_way(&self) -> bool {
        false
    }

    /// Takes another way from now on: the transport that was opened last stayed mute.
    fn take_other_way(&self) {}

    /// Whether the server is gone for good, so that connecting again is of no use.
    fn is_over(&self) -> bool {
        false
    }
}
