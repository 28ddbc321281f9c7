//! The transport inside one process: messages are handed over, nothing is copied.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, stream};
use tokio::sync::mpsc;

use super::transport::{Direct, Message, Transport};
use crate::{Error, ErrorKind};

/// Two ends of a transport in memory; each side may have `capacity` messages waiting before the other is slowed.
pub fn memory_pair(capacity: usize) -> (Transport, Transport) {
    let (to_right, from_left) = mpsc::channel(capacity.max(1));
    let (to_left, from_right) = mpsc::channel(capacity.max(1));
    (end(to_right, from_right), end(to_left, from_left))
}

/// Hands a frame over on the thread that has it: nobody else needs to wake up for it but the receiver.
struct HandOver(mpsc::Sender<Message>);

impl Direct for HandOver {
    fn send_now(&self, frame: &Bytes) -> bool {
        self.0.try_send(Message::Binary(frame.clone())).is_ok()
    }

    fn has_unsent(&self) -> bool {
        false
    }
}

fn end(sender: mpsc::Sender<Message>, receiver: mpsc::Receiver<Message>) -> Transport {
    let direct: Arc<dyn Direct> = Arc::new(HandOver(sender.clone()));
    let incoming = stream::unfold(receiver, |mut receiver| async move {
        let message = receiver.recv().await?;
        Some((Ok(message), receiver))
    });
    let outgoing = futures_util::sink::unfold(sender, |sender, message| async move {
        let gone = || Error::new(ErrorKind::PeerGone, "the other end of the transport is gone");
        sender.send(message).await.map_err(|_| gone())?;
        Ok(sender)
    });
    Transport {
        incoming: Box::pin(incoming),
        outgoing: Box::pin(outgoing.sink_map_err(|error: Error| error)),
        direct: Some(direct),
        connection_type: "websocket",
    }
}
