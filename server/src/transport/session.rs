//! A connected client: its frames go to the hub, its queue goes to the socket, at the same time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message, error::CapacityError};

use crate::hub::{Ending, Item, Next, Peer};
use crate::rate::{Bucket, Rate};
use crate::state::State;
use crate::transport::websocket::{Socket, close_frame, drain};

/// How long an end may take to be told before the connection is cut.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes that a close frame has left for its reason.
const REASON_MAX: usize = 123;

/// Serves a client until its connection ends. One task does all: reading and writing take turns in it, and neither
/// waits for the other.
pub(super) async fn run(state: &Arc<State>, socket: Socket, peer: &Arc<Peer>) {
    let (mut sink, mut stream) = socket.split();
    tokio::select! {
        biased;
        () = cut(peer) => return,
        result = write(&mut sink, peer) => {
            if result.is_err() {
                return;
            }
        }
        () = read(state, &mut stream, peer) => {
            _ = tokio::time::timeout(LAST_WORDS, sink.flush()).await;
            return;
        }
    }
    if let Ok(socket) = sink.reunite(stream) {
        drain(socket).await;
    }
}

/// Waits until the connection is to end at once, or had time enough to end in order.
async fn cut(peer: &Peer) {
    if peer.queue.end().await == Ending::Cut {
        return;
    }
    tokio::time::sleep(LAST_WORDS).await;
}

async fn write(sink: &mut SplitSink<Socket, Message>, peer: &Peer) -> Result<(), SocketError> {
    loop {
        match peer.queue.next().await {
            Next::Batch(items) => {
                for item in items {
                    sink.feed(message(item)).await?;
                }
                sink.flush().await?;
            }
            Next::End(Ending::Cut) => return Err(SocketError::ConnectionClosed),
            Next::End(Ending::Close { code, reason, told }) => {
                if told {
                    let text = serde_json::json!({"type": "error", "message": reason}).to_string();
                    sink.feed(Message::text(text)).await?;
                }
                let end = reason.floor_char_boundary(REASON_MAX);
                return sink.send(close_frame(code, &reason[..end])).await;
            }
        }
    }
}

fn message(item: Item) -> Message {
    match item {
        Item::Frame(frame) => Message::Binary(frame),
        Item::Text(text) => Message::text(text),
        Item::Ping => Message::Ping(bytes::Bytes::new()),
    }
}

/// Reads until the client closes or the connection breaks.
async fn read(state: &Arc<State>, stream: &mut SplitStream<Socket>, peer: &Arc<Peer>) {
    let limits = &state.config.limits;
    let rate = Rate::new(limits.ws_msg_rate_limit, limits.ws_msg_burst_limit);
    let mut bucket = rate.map(|rate| (rate, Bucket::full(rate, state.hub.elapsed())));
    while let Some(message) = stream.next().await {
        peer.hear();
        match message {
            Ok(Message::Binary(frame)) => {
                let now = state.hub.elapsed();
                peer.be_active(now);
                if let Some((rate, bucket)) = &mut bucket
                    && bucket.take(*rate, now).is_err()
                {
                    let text = "Rate limit exceeded: too many messages per second";
                    return end(peer, 1008, text).await;
                }
                state.hub.deliver(peer, &frame).await;
            }
            Ok(Message::Text(text)) => {
                peer.be_active(state.hub.elapsed());
                if text.len() <= limits.max_text_size || text.chars().count() <= limits.max_text_size {
                    control(state, peer, &text).await;
                }
            }
            Ok(_) => {}
            Err(SocketError::Capacity(CapacityError::MessageTooLong { size, max_size })) => {
                let text = format!("Message too long: {size} bytes, {max_size} are allowed");
                return end(peer, 1009, &text).await;
            }
            Err(error) => {
                tracing::debug!(client = peer.address(), %error, "connection broke");
                return;
            }
        }
    }
}

/// Ends the connection from our side; the writer does it, and the reader must not be done before.
async fn end(peer: &Peer, code: u16, reason: &str) {
    peer.queue.close(Ending::told(code, reason));
    std::future::pending().await
}

#[derive(Deserialize)]
struct Control<'a> {
    r#type: &'a str,
}

/// Answers a control message; what is not understood is ignored.
async fn control(state: &Arc<State>, peer: &Arc<Peer>, text: &str) {
    let Ok(control) = serde_json::from_str::<Control<'_>>(text) else { return };
    let answer = match control.r#type {
        "ping" => r#"{"type":"pong"}"#.to_owned(),
        "refresh_token" => {
            let token = state.reconnection_token(&peer.user, peer.workspace(), &peer.client_id);
            let Ok(token) = token else { return };
            serde_json::json!({"type": "reconnection_token", "reconnection_token": token}).to_string()
        }
        _ => return,
    };
    peer.queue.send(Item::Text(answer)).await;
}
