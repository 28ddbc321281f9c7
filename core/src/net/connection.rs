//! [`Connection`]: what a binding holds. Every method may be called on any thread, and none of them waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::clock;
use super::driver::{self, Driver};
use super::options::ClientOptions;
use super::transport::Direct;
use crate::codec::{Handle, StreamStub, Walk, Writer};
use crate::session::{
    CallDraft, CallId, CallSpec, ConnectionInfo, Event, ItemsDraft, ReplyDraft, RunId, ServiceDraft, Session,
    Statistics, StreamEnd, StreamId, Time,
};
use crate::wire::{PublicKey, is_extension};
use crate::{Error, Result, Value};

/// Takes what happens on a connection, in order.
pub trait Sink: Send + Sync + 'static {
    /// Takes a batch; called on the driver's thread and on threads that call [`Connection`]. It queues the
    /// events and wakes its language once; it never waits and never calls into the language.
    fn deliver(&self, events: &mut Vec<Event>);

    /// Whether so much is queued that the connection should not read more until [`Connection::resume`].
    fn is_full(&self) -> bool {
        false
    }
}

/// What the handle and the driver share.
pub(super) struct Shared {
    pub(super) session: Mutex<Session>,
    pub(super) sink: Arc<dyn Sink>,
    /// Frames wait to be sent.
    pub(super) wake: Notify,
    /// Something is due earlier than the driver thought.
    pub(super) sooner: Notify,
    /// The language has room again.
    pub(super) resumed: Notify,
    pub(super) closing: Notify,
    pub(super) is_closing: AtomicBool,
    pub(super) is_abandoned: AtomicBool,
    /// The way past the driver, while there is a connection that has one.
    pub(super) direct: Mutex<Option<Arc<dyn Direct>>>,
    /// The driver has frames in its hands, which nothing may overtake. Changed under the session's lock.
    pub(super) is_writing: AtomicBool,
    /// When the driver looks at the time next.
    pub(super) alarm: Mutex<Time>,
}

impl Shared {
    /// Runs `work` on the session, then sends and tells what came of it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Session, Time) -> T) -> T {
        let now = clock::now();
        let mut events = Vec::new();
        let mut session = self.session.lock();
        session.tell_time(now);
        let idle = !session.has_frames();
        let value = work(&mut session, now);
        let waits = idle && session.has_frames() && !self.send_lone(&mut session);
        // behind the lone frame, which they must not keep from leaving at once
        let wakes = session.let_parts_follow(now) || waits;
        while let Some(event) = session.poll_event() {
            events.push(event);
        }
        let is_sooner = session.next_tick().is_some_and(|next| next < *self.alarm.lock());
        drop(session);
        if wakes {
            self.wake.notify_one();
        }
        if is_sooner {
            self.sooner.notify_one();
        }
        if !events.is_empty() {
            self.sink.deliver(&mut events);
        }
        value
    }
}

impl Shared {
    /// Sends the only frame there is on this thread, when nothing else is under way; whether it is gone for good.
    fn send_lone(&self, session: &mut Session) -> bool {
        if self.is_writing.load(Ordering::Relaxed) || !session.is_quiet() {
            return false;
        }
        let direct = self.direct.lock();
        let Some(direct) = direct.as_ref() else { return false };
        let Some(outgoing) = session.poll_send() else { return false };
        if session.has_frames() || !direct.send_now(&outgoing.frame) {
            session.put_back(outgoing);
            return false;
        }
        !direct.has_unsent()
    }
}

/// A connection to a server, which lives until it is closed. Clones are handles of the same connection.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

/// A connection that is not held: what the connection itself holds has it like this.
#[derive(Clone, Debug)]
pub(super) struct WeakConnection(Weak<Shared>);

impl WeakConnection {
    /// The connection, unless it is over and nobody has it any longer.
    pub(super) fn upgrade(&self) -> Option<Connection> {
        self.0.upgrade().map(|shared| Connection { shared })
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn downgrade(&self) -> WeakConnection {
        WeakConnection(Arc::downgrade(&self.shared))
    }

    /// Begins to connect, on `runtime`. The sink is told [`crate::session::State::Ready`] when the workspace is
    /// joined, or [`crate::session::State::Closed`] when that failed.
    ///
    /// # Errors
    /// `invalid` for a URL that is none.
    pub fn open(
        options: ClientOptions,
        sink: Arc<dyn Sink>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self> {
        let options = options.without_empty().with_times_that_end();
        options.check()?;
        let connector = options.connector()?;
        let mut session = options.session.clone();
        if session.seed == 0 {
            session.seed = driver::random_seed();
        }
        session.parts_take_turns = true;
        session.encryption = options.keys()?.or(session.encryption);
        let shared = Arc::new(Shared {
            session: Mutex::new(Session::new(session)),
            sink,
            wake: Notify::new(),
            sooner: Notify::new(),
            resumed: Notify::new(),
            closing: Notify::new(),
            is_closing: AtomicBool::new(false),
            is_abandoned: AtomicBool::new(false),
            direct: Mutex::new(None),
            is_writing: AtomicBool::new(false),
            alarm: Mutex::new(Time::ZERO),
        });
        runtime.spawn(Driver::new(shared.clone(), options, connector).run());
        Ok(Self { shared })
    }

    /// Begins a call; see [`Session::begin_call`].
    ///
    /// # Errors
    /// As there.
    pub fn begin_call(&self, spec: &CallSpec<'_>) -> Result<CallDraft> {
        let mut session = self.shared.session.lock();
        if spec.seal_to.is_some() {
            session.tell_time(clock::now());
        }
        session.begin_call(spec)
    }

    /// Sends a call; see [`Session::finish_call`].
    ///
    /// # Errors
    /// As there.
    pub fn finish_call(&self, id: CallId, mut draft: CallDraft) -> Result<()> {
        // Encrypting takes its time: nobody else should wait for it. The session tells of what fails.
        let _ = draft.complete();
        self.shared.with(|session, now| session.finish_call(id, draft, now))
    }

    /// How long it is until a moment that an event names; nothing once it has passed.
    pub fn time_until(&self, moment: Time) -> Duration {
        moment.saturating_sub(clock::now())
    }

    /// Gives up waiting for a call.
    pub fn forget_call(&self, id: CallId) {
        self.shared.with(|session, now| session.forget_call(id, now));
    }

    /// Begins a reply; `None` when nobody waits for it any longer.
    pub fn begin_reply(&self, run: RunId) -> Option<ReplyDraft> {
        self.shared.session.lock().begin_reply(run)
    }

    /// Sends a reply.
    pub fn finish_reply(&self, mut draft: ReplyDraft) {
        let _ = draft.complete();
        self.shared.with(|session, now| session.finish_reply(draft, now));
    }

    /// Ends a run with an error.
    pub fn reject(&self, run: RunId, error: &Error) {
        self.shared.with(|session, now| session.reject(run, error, now));
    }

    /// Begins to write items of a generator; see [`Session::begin_items`].
    pub fn begin_items(&self, source: Handle) -> Option<ItemsDraft> {
        self.shared.session.lock().begin_items(source)
    }

    /// Sends items of a generator; see [`Session::finish_items`].
    pub fn finish_items(&self, mut draft: ItemsDraft, end: StreamEnd) {
        let end = end.into_end();
        draft.complete(end.as_ref());
        self.shared.with(|session, now| session.finish_items_at(draft, end, now));
    }

    /// Begins to read a generator of a peer; see [`Session::open_stream`].
    ///
    /// # Errors
    /// As there.
    pub fn open_stream(&self, id: StreamId, stub: &StreamStub) -> Result<()> {
        self.shared.with(|session, now| session.open_stream(id, stub, now))
    }

    /// Says that items are used up and more are wanted; see [`Session::grant`].
    pub fn grant(&self, id: StreamId, items: u32) {
        self.shared.with(|session, now| session.grant(id, items, now));
    }

    /// Ends a stream before its end; see [`Session::close_stream`].
    pub fn close_stream(&self, id: StreamId) {
        self.shared.with(|session, now| session.close_stream(id, now));
    }

    /// Tells a peer that nobody will read a generator of its, which was never opened.
    pub fn discard_stream(&self, stub: &StreamStub) {
        self.shared.with(|session, now| session.discard_stream(stub, now));
    }

    /// Begins the registration of a service.
    pub fn begin_service(&self) -> ServiceDraft {
        self.shared.session.lock().begin_service()
    }

    /// Registers a service; see [`Session::finish_service`].
    ///
    /// # Errors
    /// As there.
    pub fn finish_service(&self, id: CallId, draft: ServiceDraft, overwrite: bool) -> Result<()> {
        self.shared.with(|session, now| session.finish_service(id, draft, overwrite, now))
    }

    /// Takes a service back; ends like a call.
    ///
    /// # Errors
    /// `not_found` when it is not registered here.
    pub fn unregister_service(&self, id: CallId, service: &str) -> Result<()> {
        self.shared.with(|session, now| session.unregister_service(id, service, now))
    }

    /// Asks the server for events of these types, and asks again after each reconnect; ends like a call.
    pub fn subscribe(&self, id: CallId, types: &[String]) {
        self.shared.with(|session, now| session.subscribe(id, types, now));
    }

    /// Asks for no more of them; ends like a call.
    pub fn unsubscribe(&self, id: CallId, types: &[String]) {
        self.shared.with(|session, now| session.unsubscribe(id, types, now));
    }

    /// Takes a service back here and says nothing to the server.
    ///
    /// # Errors
    /// `not_found` when it is not registered here.
    pub fn remove_service(&self, service: &str) -> Result<()> {
        self.shared.with(|session, _| session.remove_service(service))
    }

    /// Sends an event: a map with `type` and, unless it is for everyone in the workspace, `to`.
    ///
    /// # Errors
    /// `invalid` for a message that is not such a map, `peer_gone` when the connection is over.
    pub fn emit(&self, message: &Value) -> Result<()> {
        let map =
            message.as_map().ok_or_else(|| Error::invalid("an event must be a map with `type` and `to`"))?;
        let kind = map.text("type").ok_or_else(|| Error::invalid("an event needs a `type`"))?;
        if kind == "method" {
            return Err(Error::invalid("`method` is not a type of event, call the function instead"));
        }
        if is_extension(kind) {
            return Err(Error::invalid(format!(
                "`{kind}` is not a type of event, it belongs to the protocol"
            )));
        }
        let to = match map.get("to") {
            None | Some(Value::Nil) => "*".to_owned(),
            Some(Value::Text(to)) if !to.is_empty() => to.to_string(),
            Some(_) => {
                let text = "`to` of an event must be the address of a client, or `*` for the whole workspace";
                return Err(Error::invalid(text));
            }
        };
        let mut out = Writer::new();
        let mut message = map.clone();
        message.insert("to", to.as_str());
        Value::Map(message).walk(&mut out)?;
        self.shared.with(|session, _| session.emit_frame(&to, out.into_bytes().into()))
    }

    /// Says goodbye and ends the connection; what is under way fails with `peer_gone`.
    pub fn close(&self) {
        if !self.shared.is_abandoned.load(Ordering::Acquire) {
            self.shared.with(|session, _| session.say_goodbye());
        }
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.closing.notify_one();
    }

    /// Ends the connection without a word, in a process that does not own its socket any longer.
    pub fn abandon(&self) {
        self.shared.is_abandoned.store(true, Ordering::Release);
        self.close();
    }

    /// Reading goes on after [`Sink::is_full`].
    pub fn resume(&self) {
        self.shared.resumed.notify_one();
    }

    /// Whether so much waits to be sent that callers should wait before they add to it.
    pub fn is_congested(&self) -> bool {
        self.shared.session.lock().is_congested()
    }

    /// The own address, `workspace/client`; empty before the first connection.
    pub fn address(&self) -> String {
        self.shared.session.lock().address().to_owned()
    }

    /// What the server said at the last handshake.
    pub fn connection_info(&self) -> ConnectionInfo {
        self.shared.session.lock().connection_info().clone()
    }

    /// The own public key, where the connection encrypts.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.shared.session.lock().public_key()
    }

    /// How much the session holds.
    pub fn statistics(&self) -> Statistics {
        self.shared.session.lock().statistics()
    }
}
