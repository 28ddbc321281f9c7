//! A connected client: its frames go to the hub, its queue goes to the socket, at the same time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, error::CapacityError};

use crate::hub::{Ending, Item, Next, Peer};
use crate::pace::Pace;
use crate::state::State;
use crate::transport::frames::{self, Reader, Writer};
use crate::transport::told::error_text;

/// Close code of an ordinary end.
pub(super) const NORMAL: u16 = 1000;
/// How long an end may take to be told before the connection is cut.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves a client until its connection ends, and takes it out of the hub. One task does all: reading and writing
/// take turns in it, and neither waits for the other.
pub(super) async fn run(state: &Arc<State>, mut reader: Reader, mut writer: Writer, peer: &Arc<Peer>) {
    let orderly = tokio::select! {
        biased;
        () = cut(peer) => false,
        written = write(&mut writer, peer) => written.is_ok(),
        () = read(state, &mut reader, peer) => false,
    };
    state.hub.leave(peer);
    if orderly {
        frames::drain(reader, writer).await;
    }
}

/// Waits until the connection is to end at once, or had time enough to end in order.
pub(crate) async fn cut(peer: &Peer) {
    if peer.queue.end().await != Ending::Cut {
        tokio::time::sleep(LAST_WORDS).await;
    }
}

async fn write(writer: &mut Writer, peer: &Peer) -> io::Result<()> {
    loop {
        match peer.queue.next().await {
            Next::Batch(items) => writer.write(items).await?,
            Next::End(Ending::Cut) => return Err(io::ErrorKind::ConnectionAborted.into()),
            Next::End(Ending::Close { code, reason, told }) => {
                return writer.close(code, &reason, told.then(|| error_text(&reason, None))).await;
            }
        }
    }
}

/// Reads until the client closes or the connection breaks.
async fn read(state: &Arc<State>, reader: &mut Reader, peer: &Arc<Peer>) {
    let heard = Heard::new(state, peer);
    while let Some(message) = reader.next().await {
        peer.hear();
        match message {
            Ok(Message::Binary(frame)) => heard.frame(&frame).await,
            Ok(Message::Text(text)) => heard.text(&text).await,
            Ok(Message::Ping(payload)) => _ = peer.queue.push_urgent(Item::Pong(payload)),
            Ok(Message::Close(frame)) => heard.close(frame.map_or(NORMAL, |frame| frame.code.into())).await,
            Ok(_) => {}
            Err(SocketError::Capacity(CapacityError::MessageTooLong { size, max_size })) => {
                return end(peer, 1009, &too_long(size, max_size)).await;
            }
            Err(error) => {
                tracing::debug!(client = peer.address(), %error, "connection broke");
                return;
            }
        }
    }
}

/// What a client says, whatever it came by.
pub(super) struct Heard<'a> {
    state: &'a Arc<State>,
    peer: &'a Arc<Peer>,
    pace: Pace,
    max_frame_size: usize,
}

impl<'a> Heard<'a> {
    pub(super) fn new(state: &'a Arc<State>, peer: &'a Arc<Peer>) -> Self {
        // what the server itself offers is of any size
        let max_frame_size = if state.is_own(peer) { usize::MAX } else { state.config.limits.max_frame_size };
        Self { state, peer, pace: state.pace_of(peer), max_frame_size }
    }

    /// Takes a frame to where it goes. Does not return when the connection ends over it.
    pub(super) async fn frame(&self, frame: &Bytes) {
        let now = self.state.hub.elapsed();
        self.peer.be_active(now);
        self.state.metrics.client_messages_total.increment();
        let max = self.max_frame_size;
        if frame.len() > max {
            return end(self.peer, 1009, &too_long(frame.len(), max)).await;
        }
        if let Some(wait) = self.pace.charge(frame.len(), now, &self.state.metrics) {
            self.peer.rest(wait).await;
        }
        self.state.hub.deliver(self.peer, frame).await;
    }

    /// Answers a control message.
    pub(super) async fn text(&self, text: &str) {
        let max = self.state.config.limits.max_text_size;
        self.peer.be_active(self.state.hub.elapsed());
        if text.len() <= max || text.chars().count() <= max {
            control(self.state, self.peer, text).await;
        }
    }

    /// The client ends the connection; the writer answers, and the reader must not be done before.
    pub(super) async fn close(&self, code: u16) {
        self.peer.queue.hang_up(code);
        std::future::pending::<()>().await;
    }
}

fn too_long(size: usize, max: usize) -> String {
    format!("Message too long: {size} bytes, {max} are allowed")
}

/// Ends the connection from our side; the writer does it, and the reader must not be done before.
async fn end(peer: &Peer, code: u16, reason: &str) {
    peer.queue.close(Ending::told(code, reason));
    std::future::pending::<()>().await;
}

#[derive(Deserialize)]
struct Control<'a> {
    r#type: &'a str,
}

/// Answers a control message; what is not understood is ignored.
async fn control(state: &Arc<State>, peer: &Arc<Peer>, text: &str) {
    let Ok(control) = serde_json::from_str::<Control<'_>>(text) else { return };
    if let Some(answer) = state.answer_to_control(peer, control.r#type) {
        peer.queue.send(Item::Text(answer)).await;
    }
}

impl State {
    /// What a client is told that sends a message of control of this type.
    pub(super) fn answer_to_control(&self, peer: &Peer, kind: &str) -> Option<String> {
        match kind {
            "ping" => Some(r#"{"type":"pong"}"#.to_owned()),
            "refresh_token" => {
                let token = self.reconnection_token(&peer.user, peer.workspace(), &peer.client_id).ok()?;
                let answer = serde_json::json!({"type": "reconnection_token", "reconnection_token": token});
                Some(answer.to_string())
            }
            _ => None,
        }
    }
}
