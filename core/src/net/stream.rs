//! Generators of Rust users: streams that a function gives, and streams that it gets.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::{FutureExt, Stream, StreamExt};
use tokio::sync::{Notify, mpsc};

use super::client::Client;
use super::connection::Connection;
use crate::codec::{Handle, Reader, StreamStub, Walk};
use crate::session::{Payload, StreamEnd, StreamId};
use crate::{Error, ErrorKind, Result, Value};

/// What peers are given as a generator.
pub(super) type Source = Pin<Box<dyn Stream<Item = Result<Value>> + Send>>;

/// A generator of ours, while a peer may read it.
#[derive(Clone)]
pub(super) struct Producer(Arc<Signals>);

#[derive(Default)]
struct Signals {
    wanted: Notify,
    closed: Notify,
    is_closed: AtomicBool,
}

impl Producer {
    /// A producer of items, and its work: to be spawned when the first item is wanted.
    pub(super) fn new(
        connection: Connection,
        handle: Handle,
        source: Source,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let signals = Arc::new(Signals::default());
        (Self(signals.clone()), produce(signals, connection, handle, source))
    }

    /// Items are wanted.
    pub(super) fn pull(&self) {
        self.0.wanted.notify_one();
    }

    /// Nobody wants items any longer.
    pub(super) fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.closed.notify_one();
    }
}

async fn produce(signals: Arc<Signals>, connection: Connection, handle: Handle, mut source: Source) {
    while !signals.is_closed.load(Ordering::Acquire) {
        let Some(mut draft) = connection.begin_items(handle) else {
            tokio::select! {
                () = signals.wanted.notified() => continue,
                () = signals.closed.notified() => return,
            }
        };
        let mut next = tokio::select! {
            biased;
            () = signals.closed.notified() => Some(None),
            next = source.next() => Some(next),
        };
        // What is there already goes along; for the rest the reader does not have to wait.
        let end = loop {
            match next {
                Some(Some(Ok(item))) => {
                    if let Err(error) = draft.item(|out| item.walk(out)) {
                        break StreamEnd::Failed(error);
                    }
                }
                Some(Some(Err(error))) => break StreamEnd::Failed(error),
                Some(None) => break StreamEnd::Done,
                None => break StreamEnd::More,
            }
            if draft.is_full() {
                break StreamEnd::More;
            }
            next = source.next().now_or_never();
        };
        let is_over = end != StreamEnd::More;
        connection.finish_items(draft, end);
        if is_over {
            return;
        }
    }
}

/// Items that came together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) items: Payload,
    pub(super) count: u32,
    pub(super) end: Option<Result<()>>,
}

/// The items of a generator of a peer. The peer makes none before the first is asked for; dropping this closes the
/// generator.
///
/// ```no_run
/// # async fn example(client: polyfn_core::net::Client) -> polyfn_core::Result<()> {
/// use polyfn_core::Value;
/// let counter = client.get_service("counter").await?;
/// if let Value::Stream(stub) = counter.call("count_to", [Value::from(3)]).await? {
///     let mut items = client.items(&stub);
///     while let Some(item) = items.next().await {
///         println!("{:?}", item?);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Items {
    client: Client,
    stub: Arc<StreamStub>,
    state: State,
    /// What came and is not used up.
    payload: Payload,
    position: usize,
    left: u32,
    used: u32,
    end: Option<Result<()>>,
}

#[derive(Debug)]
enum State {
    Fresh,
    Open(StreamId, mpsc::UnboundedReceiver<Batch>),
    Over,
}

impl Items {
    pub(super) fn new(client: Client, stub: Arc<StreamStub>) -> Self {
        let (payload, end) = (Payload::default(), None);
        Self { client, stub, state: State::Fresh, payload, position: 0, left: 0, used: 0, end }
    }

    /// The next item; `None` behind the last one, and behind an error.
    pub async fn next(&mut self) -> Option<Result<Value>> {
        StreamExt::next(self).await
    }

    /// Decodes the next of the items at hand.
    fn decode(&mut self) -> Result<Value> {
        self.left -= 1;
        let mut reader =
            Reader::new(&self.payload.args).from_peer(&self.payload.origin).starting_at(self.position);
        let item = reader.value()?;
        self.position = reader.position();
        Ok(item)
    }

    fn put(&mut self, batch: Batch) -> Result<()> {
        (self.payload, self.left, self.end) = (batch.items, batch.count, batch.end);
        self.used = batch.count;
        let mut reader = self.payload.reader();
        reader.list()?;
        self.position = reader.position();
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Value>>> {
        self.close();
        Poll::Ready(Some(Err(error)))
    }

    fn close(&mut self) {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => self.client.connection().discard_stream(&self.stub),
            State::Open(id, _) => self.client.close_stream(id),
            State::Over => {}
        }
    }
}

impl Stream for Items {
    type Item = Result<Value>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Value>>> {
        loop {
            if self.left > 0 {
                let item = self.decode();
                return item.map_or_else(|error| self.fail(error), |item| Poll::Ready(Some(Ok(item))));
            }
            if let Some(end) = self.end.take() {
                self.state = State::Over;
                return Poll::Ready(end.err().map(Err));
            }
            let used = std::mem::take(&mut self.used);
            match &mut self.state {
                State::Over => return Poll::Ready(None),
                State::Fresh => match self.client.open_stream(&self.stub) {
                    Ok((id, batches)) => self.state = State::Open(id, batches),
                    Err(error) => return self.fail(error),
                },
                State::Open(id, batches) => {
                    let id = *id;
                    match batches.poll_recv(context) {
                        Poll::Ready(Some(batch)) => {
                            if used > 0 {
                                self.client.connection().grant(id, used);
                            }
                            if let Err(error) = self.put(batch) {
                                return self.fail(error);
                            }
                        }
                        Poll::Ready(None) => {
                            let gone = Error::new(ErrorKind::PeerGone, "the connection is closed");
                            return self.fail(gone);
                        }
                        Poll::Pending => {
                            if used == 0 {
                                return Poll::Pending;
                            }
                            // What this brings may have come before we looked again.
                            self.client.connection().grant(id, used);
                        }
                    }
                }
            }
        }
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        self.close();
    }
}
