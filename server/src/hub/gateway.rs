//! Calls by those who are no clients: HTTP requests, and the server itself.
//!
//! All of them share one [`Session`]; each call carries the identity of whoever it is made for, so its owner sees
//! the true user and workspace. The address `<any workspace>/<gateway id>` is where the answers come back to.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use polyfn_core::codec::{Handle, Promise, StreamStub, Writer};
use polyfn_core::session::{
    CallId, CallSpec, ConnectionInfo, Event, Extensions, Invocation, Options, Outgoing, Payload, RunId,
    Session, SpeakAs, Statistics, StreamId,
};
use polyfn_core::wire::ChunkLimits;
use polyfn_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::hub::callbacks::{Callbacks, Handover, Place};
use crate::hub::deliver::send_later;
use crate::hub::hub::{Hub, Settings, reject};
use crate::hub::peer::Peer;
use crate::hub::queue::{Item, Refused};
use crate::hub::reading::{Batch, Reader, Reading};

/// Bytes of long results on their way, over all clients.
const CHUNK_BYTES: usize = 512 << 20;

/// A call to be made on somebody's behalf.
pub struct CallRequest<'a, W> {
    /// Who calls, encoded by [`crate::hub::encode_user`].
    pub user: &'a [u8],
    /// The workspace that the call is made from; the owner of a protected function compares it with its own.
    pub workspace: &'a str,
    /// The owner of the function, `workspace/client`.
    pub target: &'a str,
    /// The method, such as `services.calc.add`.
    pub method: &'a str,
    /// How many arguments `write` writes, keywords included.
    pub args: usize,
    /// Whether the last of them is the map of keywords.
    pub with_kwargs: bool,
    /// Writes the arguments.
    pub write: W,
    /// The time after which the call fails, whatever happens.
    pub timeout: Duration,
    /// The trace that the call belongs to.
    pub trace: Option<&'a str>,
}

impl<W> fmt::Debug for CallRequest<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallRequest")
            .field("target", &self.target)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Who waits for a call.
type Answer = oneshot::Sender<Result<Payload>>;

struct Inner {
    session: Session,
    pending: HashMap<CallId, Answer>,
    last: CallId,
    /// Who reads generators of clients.
    readers: HashMap<StreamId, UnboundedSender<Batch>>,
    /// Functions that calls have given along.
    callbacks: HashMap<Handle, Place>,
    last_callback: Handle,
}

/// The part of the hub that calls functions of clients.
pub struct Gateway {
    id: String,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a session wants done after it was touched.
#[derive(Default)]
struct Work {
    frames: Vec<Outgoing>,
    answers: Vec<(Answer, Result<Payload>)>,
    invoked: Vec<Invocation>,
}

impl Gateway {
    pub(super) fn new(settings: &Settings) -> Self {
        // random, so that no client can have it as its name
        let id = format!("gateway-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let options = Options {
            seed: fastrand::u64(..),
            max_calls: settings.limits.max_http_calls.saturating_add(4096),
            chunks: ChunkLimits { messages: 4096, bytes: CHUNK_BYTES, ..ChunkLimits::default() },
            ..Options::default()
        };
        let info = ConnectionInfo {
            workspace: "*".to_owned(),
            client_id: id.clone(),
            manager_id: settings.manager_id.clone(),
            public_base_url: settings.public_base_url.clone(),
            extensions: Extensions::ALL,
            ..ConnectionInfo::default()
        };
        let session = Session::local(options, info);
        let (pending, readers, callbacks) = (HashMap::new(), HashMap::new(), HashMap::new());
        let inner = Inner { session, pending, last: 0, readers, callbacks, last_callback: 0 };
        Self { id, inner: Mutex::new(inner) }
    }

    /// Its client id, in every workspace.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its address in `workspace`, which calls come from.
    #[must_use]
    pub fn address(&self, workspace: &str) -> String {
        [workspace, "/", &self.id].concat()
    }

    /// How much its session holds.
    pub(super) fn statistics(&self) -> Statistics {
        self.inner.lock().session.statistics()
    }

    /// Calls a function of a client and waits for its result: a list of one value.
    ///
    /// # Errors
    /// That of the function; `peer_gone` when the client is not there or leaves, `timeout`, `overloaded`.
    ///
    /// # Cancel safety
    /// A call whose future is dropped is cancelled: nobody waits for its answer any longer.
    pub async fn call<W>(&self, hub: &Arc<Hub>, request: CallRequest<'_, W>) -> Result<Payload>
    where
        W: FnOnce(&mut Writer) -> Result<()>,
    {
        let deadline = request.timeout;
        self.call_for(hub, request, Some(deadline)).await
    }

    /// Calls a function that may go on for as long as it shows signs of life: each begins its time anew.
    ///
    /// # Errors
    /// As [`Gateway::call`].
    ///
    /// # Cancel safety
    /// As [`Gateway::call`].
    pub async fn call_lasting<W>(&self, hub: &Arc<Hub>, request: CallRequest<'_, W>) -> Result<Payload>
    where
        W: FnOnce(&mut Writer) -> Result<()>,
    {
        self.call_for(hub, request, None).await
    }

    async fn call_for<W>(
        &self,
        hub: &Arc<Hub>,
        request: CallRequest<'_, W>,
        deadline: Option<Duration>,
    ) -> Result<Payload>
    where
        W: FnOnce(&mut Writer) -> Result<()>,
    {
        let target = request
            .target
            .split_once('/')
            .and_then(|(workspace, client)| hub.registry.client(workspace, client));
        let Some(target) = target else { return Err(gone(request.target)) };
        if target.queue.is_full() {
            target.queue.room().await;
        }
        let _busy = target.meter.hold();
        let (id, answer, work) = self.begin(hub, request, deadline, target.extensions)?;
        let mut call = Open { hub, id, ended: false };
        self.send(hub, work, Some(&target));
        let answer = match deadline {
            // the session looks at its clock now and then only
            Some(time) => tokio::time::timeout(time, answer).await.map_err(|_| late(time))?,
            None => answer.await,
        };
        call.ended = true;
        answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "the server stops")))
    }

    fn begin<W>(
        &self,
        hub: &Hub,
        request: CallRequest<'_, W>,
        deadline: Option<Duration>,
        receiver: Extensions,
    ) -> Result<(CallId, oneshot::Receiver<Result<Payload>>, Work)>
    where
        W: FnOnce(&mut Writer) -> Result<()>,
    {
        let from = self.address(request.workspace);
        let spec = CallSpec {
            target: request.target,
            method: request.method,
            promise: Promise::Star,
            args: request.args,
            with_kwargs: request.with_kwargs,
            timeout: Some(request.timeout),
            deadline,
            trace: request.trace,
            speak_as: Some(SpeakAs {
                from: &from,
                workspace: request.workspace,
                user: request.user,
                receiver,
            }),
            ..CallSpec::default()
        };
        let mut draft = self.inner.lock().session.begin_call(&spec)?;
        (request.write)(&mut draft.writer)?;
        let now = hub.elapsed();
        let (sender, answer) = oneshot::channel();
        let mut inner = self.inner.lock();
        inner.last += 1;
        let id = inner.last;
        inner.session.finish_call(id, draft, now)?;
        inner.pending.insert(id, sender);
        let work = inner.work();
        Ok((id, answer, work))
    }

    /// Begins to read a generator that a call has given.
    ///
    /// # Errors
    /// `overloaded` when too many are read already.
    pub fn read(&self, hub: &Arc<Hub>, stub: &StreamStub, reader: &Reader<'_>) -> Result<Reading> {
        let from = format!("{}/{}", reader.workspace, self.id);
        let (id, work, batches) = {
            let mut inner = self.inner.lock();
            inner.last += 1;
            let id = inner.last;
            inner.session.open_stream_for(id, stub, Some(reader.speaks(&from)), hub.elapsed())?;
            let (sender, batches) = unbounded_channel();
            inner.readers.insert(id, sender);
            (id, inner.work(), batches)
        };
        self.send(hub, work, None);
        Ok(Reading::new(Arc::clone(hub), id, batches))
    }

    /// Tells a client that nobody will read a generator that a call has given.
    pub fn discard(&self, hub: &Arc<Hub>, stub: &StreamStub, reader: &Reader<'_>) {
        let from = format!("{}/{}", reader.workspace, self.id);
        self.touch(hub, |session, now| session.discard_stream_for(stub, Some(reader.speaks(&from)), now));
    }

    /// So many items of a generator are used up.
    pub(super) fn grant(&self, hub: &Arc<Hub>, id: StreamId, items: u32) {
        self.touch(hub, |session, now| session.grant(id, items, now));
    }

    /// Nobody reads a generator any longer.
    pub(super) fn stop_reading(&self, hub: &Arc<Hub>, id: StreamId) {
        self.inner.lock().readers.remove(&id);
        self.touch(hub, |session, now| session.close_stream(id, now));
    }

    /// Functions to be given along with a call, under these names.
    #[must_use]
    pub fn callbacks(&self, hub: &Arc<Hub>, names: &'static [&'static str]) -> Callbacks {
        let (places, calls) = Place::many(names.len());
        let mut inner = self.inner.lock();
        let first = inner.last_callback + 1;
        inner.last_callback += names.len() as Handle;
        inner.callbacks.extend((first..).zip(places));
        Callbacks::new(Arc::clone(hub), first, names, calls)
    }

    pub(super) fn forget_callbacks(&self, first: Handle, count: usize) {
        let mut inner = self.inner.lock();
        (first..).take(count).for_each(|handle| drop(inner.callbacks.remove(&handle)));
    }

    /// Answers a call of such a function; says whether somebody waited for it.
    pub(super) fn resolve(
        &self,
        hub: &Arc<Hub>,
        run: RunId,
        write: impl FnOnce(&mut Writer) -> Result<()>,
    ) -> bool {
        let Some(mut draft) = self.inner.lock().session.begin_reply(run) else { return false };
        if let Err(error) = write(&mut draft.writer) {
            self.reject(hub, run, &error);
            return true;
        }
        self.touch(hub, |session, now| session.finish_reply(draft, now));
        true
    }

    pub(super) fn reject(&self, hub: &Arc<Hub>, run: RunId, error: &Error) {
        self.touch(hub, |session, now| session.reject(run, error, now));
    }

    /// Hands the calls of such functions to whoever answers them.
    fn hand_over(&self, hub: &Arc<Hub>, invoked: Vec<Invocation>) {
        let taken: Vec<(Option<RunId>, Result<Handover>)> = {
            let inner = self.inner.lock();
            let take = |call: Invocation| {
                let place = inner.callbacks.get(&call.handler);
                (call.run, place.ok_or_else(over).and_then(|place| place.take(hub, call)))
            };
            invoked.into_iter().map(take).collect()
        };
        for (run, taken) in taken {
            match (taken, run) {
                (Ok(call), _) => call.deliver(),
                (Err(error), Some(run)) => self.reject(hub, run, &error),
                (Err(_), None) => {}
            }
        }
    }

    fn touch(&self, hub: &Arc<Hub>, change: impl FnOnce(&mut Session, Duration)) {
        let work = {
            let mut inner = self.inner.lock();
            change(&mut inner.session, hub.elapsed());
            inner.work()
        };
        self.send(hub, work, None);
    }

    /// Takes a frame that a client sent to the gateway.
    pub(super) fn receive(&self, hub: &Arc<Hub>, frame: &Bytes) {
        let work = {
            let mut inner = self.inner.lock();
            if let Err(error) = inner.session.receive(frame, hub.elapsed()) {
                tracing::debug!(%error, "the gateway dropped a frame");
            }
            inner.work()
        };
        self.send(hub, work, None);
    }

    /// Takes an event of the server's own: calls to a client that has left end at once.
    pub(super) fn notice(&self, event: &Bytes, now: Duration) {
        let work = {
            let mut inner = self.inner.lock();
            _ = inner.session.receive(event, now);
            inner.work()
        };
        // what is left to send went to the client that has left, and it calls nothing any longer
        work.answer();
    }

    pub(super) fn tick(&self, hub: &Arc<Hub>) {
        let work = {
            let mut inner = self.inner.lock();
            let now = hub.elapsed();
            if inner.session.next_tick().is_some_and(|at| at <= now) {
                inner.session.tick(now);
            }
            inner.work()
        };
        self.send(hub, work, None);
    }

    /// Sends the frames; a call whose target is gone ends at once.
    fn send(&self, hub: &Arc<Hub>, work: Work, known: Option<&Arc<Peer>>) {
        for outgoing in &work.frames {
            let sent = match known {
                Some(target) if target.address() == outgoing.to => push(target, outgoing),
                _ => hub.send_own(outgoing),
            };
            if !sent {
                self.end_unsent(outgoing, hub.elapsed());
            }
        }
        let invoked = work.answer();
        if !invoked.is_empty() {
            self.hand_over(hub, invoked);
        }
    }

    fn end_unsent(&self, outgoing: &Outgoing, now: Duration) {
        let Ok(header) = polyfn_core::wire::Header::parse(&outgoing.frame) else { return };
        let Some(session) = header.session else { return };
        let Ok(frame) = reject(header.to, header.from, session, &gone(header.to)) else { return };
        let work = {
            let mut inner = self.inner.lock();
            _ = inner.session.receive(&frame, now);
            inner.work()
        };
        work.answer();
    }

    /// Nobody waits for the call any longer; whoever answers it is told.
    fn cancel(&self, hub: &Arc<Hub>, id: CallId) {
        let work = {
            let mut inner = self.inner.lock();
            if inner.pending.remove(&id).is_none() {
                return;
            }
            inner.session.forget_call(id, hub.elapsed());
            inner.work()
        };
        self.send(hub, work, None);
    }
}

fn push(target: &Arc<Peer>, outgoing: &Outgoing) -> bool {
    match target.queue.push(Item::Frame(outgoing.frame.clone())) {
        Ok(()) => true,
        Err(Refused::Closed) => false,
        Err(Refused::Full(_)) => send_later(Arc::clone(target), outgoing.frame.clone()),
    }
}

fn over() -> Error {
    Error::new(ErrorKind::NotFound, "Session not found: the call that this function was given to is over")
}

fn late(time: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("no answer within {} s", time.as_secs_f64()))
}

fn gone(address: &str) -> Error {
    Error::new(ErrorKind::PeerGone, format!("Target peer {address} is not connected"))
}

impl Inner {
    fn work(&mut self) -> Work {
        let mut work = Work::default();
        while let Some(outgoing) = self.session.poll_send() {
            work.frames.push(outgoing);
        }
        while let Some(event) = self.session.poll_event() {
            let (call, end) = match event {
                Event::Resolved { call, value } => (call, Ok(value)),
                Event::Rejected { call, error } => (call, Err(error)),
                Event::Items { stream, items, count, end } => {
                    self.pass_on(stream, Batch { items, count, end });
                    continue;
                }
                Event::Invoke(call) => {
                    work.invoked.push(call);
                    continue;
                }
                Event::Cancelled { run } => {
                    // whoever has it finds that nobody waits for its answer
                    self.session.reject(run, &Error::new(ErrorKind::Cancelled, "given up"), Duration::ZERO);
                    continue;
                }
                _ => continue,
            };
            if let Some(answer) = self.pending.remove(&call) {
                work.answers.push((answer, end));
            }
        }
        work
    }

    /// No more can wait for a reader than the session grants the generator's owner.
    fn pass_on(&mut self, stream: StreamId, batch: Batch) {
        let is_over = batch.end.is_some();
        if let Some(reader) = self.readers.get(&stream) {
            // a reader that has gone closes the stream by itself
            _ = reader.send(batch);
        }
        if is_over {
            self.readers.remove(&stream);
        }
    }
}

impl Work {
    /// Tells those who wait; gives back the calls of functions that were given along.
    fn answer(self) -> Vec<Invocation> {
        for (answer, end) in self.answers {
            // whoever asked may have gone
            _ = answer.send(end);
        }
        self.invoked
    }
}

/// A call under way; cancelled when its caller goes away before the answer.
struct Open<'a> {
    hub: &'a Arc<Hub>,
    id: CallId,
    ended: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.hub.gateway.cancel(self.hub, self.id);
        }
    }
}
