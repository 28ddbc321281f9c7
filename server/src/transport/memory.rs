//! A client in the same process: its messages are handed over as they are, without a socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use futures_util::{SinkExt, StreamExt};
use polyfn_core::net::{Connect, Message, Transport, memory_pair};
use polyfn_core::{Error, ErrorKind, Result as CoreResult};
use serde_json::Value as Json;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::auth::{AuthMessage, HandshakeError};
use crate::hub::{Ending, Item, Next, Peer};
use crate::shutdown::Signal;
use crate::state::State;
use crate::transport::admission::{Member, admit};
use crate::transport::session::{self, Heard};
use crate::transport::told::error_text;

/// Messages that may wait on the way to either side before the other is slowed.
const CAPACITY: usize = 64;

/// Opens connections to a server of this process.
pub(crate) struct InProcess {
    state: Weak<State>,
    /// The server's runtime; the server's own client runs on it anyway, and must not keep it.
    runtime: Option<Handle>,
    is_own: bool,
}

impl InProcess {
    /// To the server that runs on `runtime`.
    pub(crate) fn new(state: &Arc<State>, runtime: Handle) -> Self {
        Self { state: Arc::downgrade(state), runtime: Some(runtime), is_own: false }
    }

    /// The same for the server's own client, which is not counted.
    pub(crate) fn own(state: &Arc<State>) -> Self {
        Self { state: Arc::downgrade(state), runtime: None, is_own: true }
    }

    fn open_state(&self) -> Option<Arc<State>> {
        self.state.upgrade().filter(|state| !state.shutdown.begun())
    }

    fn open(&self) -> CoreResult<Transport> {
        let stopped = || Error::new(ErrorKind::PeerGone, "the server of this process has stopped");
        let state = self.open_state().ok_or_else(stopped)?;
        let (client, server) = memory_pair(CAPACITY);
        // before the task runs: a server that stops meanwhile waits for it
        let signal = state.shutdown.for_session();
        let serving = serve(state, server, signal, self.is_own);
        match &self.runtime {
            Some(runtime) => runtime.spawn(serving),
            None => tokio::spawn(serving),
        };
        Ok(client)
    }
}

impl Connect for InProcess {
    fn connect(&self) -> Pin<Box<dyn Future<Output = CoreResult<Transport>> + Send + '_>> {
        Box::pin(std::future::ready(self.open()))
    }

    fn is_over(&self) -> bool {
        self.open_state().is_none()
    }
}

async fn serve(state: Arc<State>, mut transport: Transport, _signal: Signal, is_own: bool) {
    let _open = (!is_own).then(|| state.metrics.connections.hold());
    match join(&state, &mut transport).await {
        Ok(member) => run(&state, transport, &member.peer).await,
        Err(error) => {
            state.refused(&error);
            let told = error_text(&error.message, Some(error.kind));
            _ = say_end(&mut transport.outgoing, &error.message, Some(told)).await;
        }
    }
}

async fn join(state: &Arc<State>, transport: &mut Transport) -> Result<Member, HandshakeError> {
    let limit = state.config.limits.time_to_authenticate.duration();
    let hello = timeout(limit, transport.incoming.next()).await.map_err(|_| HandshakeError::timeout())?;
    let Some(Ok(Message::Text(hello))) = hello else { return Err(HandshakeError::undecodable()) };
    admit(state, &AuthMessage::parse(&hello)?, None, Json::Object).await
}

async fn run(state: &Arc<State>, transport: Transport, peer: &Arc<Peer>) {
    let Transport { mut incoming, mut outgoing, .. } = transport;
    let write = async {
        loop {
            match peer.queue.next().await {
                Next::Batch(items) => {
                    for message in items.into_iter().filter_map(|item| message(peer, item)) {
                        outgoing.feed(message).await?;
                    }
                    outgoing.flush().await?;
                }
                Next::End(Ending::Cut) => return Ok::<_, Error>(()),
                Next::End(Ending::Close { reason, told, .. }) => {
                    let told = told.then(|| error_text(&reason, None));
                    return say_end(&mut outgoing, &reason, told).await;
                }
            }
        }
    };
    let read = async {
        let heard = Heard::new(state, peer);
        while let Some(Ok(message)) = incoming.next().await {
            peer.hear();
            match message {
                Message::Binary(frame) => heard.frame(&frame).await,
                Message::Text(text) => heard.text(&text).await,
                Message::Close(_) => heard.close(session::NORMAL).await,
            }
        }
    };
    tokio::select! {
        biased;
        () = session::cut(peer) => {}
        _ = write => {}
        () = read => {}
    }
    state.hub.leave(peer);
}

/// What the client gets of `item`. That nobody has cut the connection is all the sign of life there can be.
fn message(peer: &Peer, item: Item) -> Option<Message> {
    match item {
        Item::Frame(frame) => Some(Message::Binary(frame)),
        Item::Text(text) => Some(Message::Text(text)),
        Item::Ping | Item::Pong(_) => {
            peer.hear();
            None
        }
    }
}

async fn say_end(
    outgoing: &mut (impl futures_util::Sink<Message, Error = Error> + Unpin),
    reason: &str,
    told: Option<String>,
) -> CoreResult<()> {
    if let Some(text) = told {
        outgoing.send(Message::Text(text)).await?;
    }
    outgoing.send(Message::Close(reason.to_owned())).await
}
