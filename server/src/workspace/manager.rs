//! The manager as a peer of the hub: takes calls, runs the methods of the table, answers.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use polyfn_core::codec::{Promise, Stub};
use polyfn_core::session::{
    ConnectionInfo, Event, Extensions, Invocation, Options, Outgoing, RunId, Session, Statistics,
};
use polyfn_core::wire::ChunkLimits;
use polyfn_core::{Error, ErrorKind, Function, Map, Result, Value};
use tokio::task::AbortHandle;

use crate::auth::{Permission, Tokens};
use crate::auth_service::AuthService;
use crate::config::ConfigError;
use crate::hub::{Caller, Hub, Management, OPEN_CALLS_MAX, Peer, Registry, WorkspaceInfo};
use crate::limits::Limits;
use crate::store::{Seal, Store};
use crate::workspace::arguments::{Arguments, denied};
use crate::workspace::methods::METHODS;
use crate::workspace::narrowed;
use crate::workspace::table::{self, Handler, Method};
use crate::workspace::{keeping, life};

/// Bytes of long messages to the manager that may be under way, over all clients.
const CHUNK_BYTES: usize = 256 << 20;

/// Messages above this size travel in parts, as every client takes them.
const CHUNK_SIZE: usize = 262_144;
/// More than any message.
const UNDIVIDED: usize = 1 << 31;

/// The workspace manager of one server.
pub struct Manager {
    session: Mutex<Session>,
    /// Methods that wait for other clients, until they are answered.
    running: Mutex<HashMap<RunId, AbortHandle>>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) auth: Arc<AuthService>,
    pub(super) store: Store,
    pub(super) seal: Seal,
    pub(super) limits: Limits,
    pub(super) public_base_url: String,
    /// The service as clients get it, its functions callable.
    pub(super) description: Value,
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

/// One call of a method.
pub struct Call {
    pub(super) manager: Arc<Manager>,
    pub(super) hub: Arc<Hub>,
    pub(super) caller: Caller,
    pub(super) arguments: Arguments,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Call {
    /// The connection that calls.
    ///
    /// # Errors
    /// `invalid` for callers without one: what they ask for belongs to a connection.
    pub(super) fn peer(&self) -> Result<Arc<Peer>> {
        self.caller
            .peer
            .clone()
            .ok_or_else(|| Error::invalid("only connected clients can do this: connect first"))
    }

    /// The error of a limit that leaves no room, which is counted.
    pub(super) fn limited(&self, limit: &'static str, text: impl Into<String>) -> Error {
        self.hub.metrics().limited.note(limit);
        Error::new(ErrorKind::Overloaded, text)
    }

    /// # Errors
    /// `permission_denied` when the caller lacks `right` in `workspace` and does not own it in person.
    pub(super) fn need(&self, right: Permission, workspace: &str) -> Result<()> {
        let known = self.hub.registry.workspace(workspace);
        let user = &self.caller.user;
        if user.scope.narrow.is_none() && known.is_some_and(|known| known.is_owned_by(&user.id)) {
            return Ok(());
        }
        need(&self.caller, right, workspace)
    }
}

fn need(caller: &Caller, right: Permission, workspace: &str) -> Result<()> {
    if caller.permission(workspace) >= right {
        return Ok(());
    }
    let shown: String = workspace.chars().take(64).collect();
    Err(denied(format!("PermissionError: Permission denied for workspace {shown}")))
}

impl Manager {
    /// The manager with the client id `id`.
    ///
    /// # Errors
    /// Only when the table of methods cannot be encoded, which a test would show.
    pub(crate) fn new(
        (tokens, auth): (Arc<Tokens>, Arc<AuthService>),
        (store, seal): (Store, Seal),
        limits: &Limits,
        id: &str,
        public_base_url: &str,
    ) -> Result<Self, ConfigError> {
        let options = Options {
            seed: fastrand::u64(..),
            chunk_size: CHUNK_SIZE,
            chunks: ChunkLimits { messages: 4096, bytes: CHUNK_BYTES, ..ChunkLimits::default() },
            ..Options::default()
        };
        let info = ConnectionInfo {
            workspace: "*".to_owned(),
            client_id: id.to_owned(),
            manager_id: id.to_owned(),
            public_base_url: public_base_url.to_owned(),
            extensions: Extensions::ALL,
            ..ConnectionInfo::default()
        };
        let mut session = Session::local(options, info);
        add_service(&mut session).map_err(|error| ConfigError(format!("the manager's service: {error}")))?;
        Ok(Self {
            session: Mutex::new(session),
            running: Mutex::default(),
            tokens,
            auth,
            store,
            seal,
            limits: limits.clone(),
            public_base_url: public_base_url.to_owned(),
            description: description(id, public_base_url),
        })
    }

    /// Runs the session with what came, then does what it wants done.
    fn drive(self: &Arc<Self>, hub: &Arc<Hub>, from: Option<&Arc<Peer>>, step: impl FnOnce(&mut Session)) {
        let mut invocations = Vec::new();
        let frames = {
            let mut session = self.session.lock();
            step(&mut session);
            let frames: Vec<Outgoing> = std::iter::from_fn(|| session.poll_send()).collect();
            while let Some(event) = session.poll_event() {
                match event {
                    Event::Invoke(invocation) => invocations.push(invocation),
                    Event::Cancelled { run } => self.break_off(&mut session, run, hub.elapsed()),
                    _ => {}
                }
            }
            frames
        };
        for frame in &frames {
            hub.send_own(frame);
        }
        // what is invoked here was asked for by the frame that was just taken, so its sender is the caller
        if let Some(peer) = from {
            invocations.into_iter().for_each(|invocation| self.run(hub, peer, invocation));
        }
    }

    fn run(self: &Arc<Self>, hub: &Arc<Hub>, peer: &Arc<Peer>, invocation: Invocation) {
        let Invocation { run, handler, payload, .. } = invocation;
        let method = usize::try_from(handler).ok().and_then(|at| METHODS.get(at));
        let ended = match (method, payload.values()) {
            (Some(method), Ok((values, keywords))) => {
                self.start(hub, Caller::from(peer), method, values, keywords)
            }
            (_, Err(error)) => Started::Done(Err(error)),
            (None, _) => Started::Done(Err(Error::new(ErrorKind::NotFound, "no such method"))),
        };
        let ended = match ended {
            Started::Done(result) => Ok(result),
            // a future that was not begun has done nothing yet
            Started::Open(future) => match peer.open_call() {
                Some(place) => Err((future, place)),
                None => {
                    hub.metrics().limited.note("max_manager_calls_per_client");
                    Ok(Err(crowded()))
                }
            },
        };
        match (ended, run) {
            (Ok(result), Some(run)) => self.answer(hub, peer, run, result),
            (Ok(_), None) => {}
            (Err((future, place)), run) => {
                let (manager, hub, peer) = (Arc::clone(self), Arc::clone(hub), Arc::clone(peer));
                // held until the task is listed, so that it cannot end before
                let mut running = self.running.lock();
                let task = tokio::spawn(async move {
                    let result = future.await;
                    drop(place);
                    if let Some(run) = run.filter(|run| manager.running.lock().remove(run).is_some()) {
                        manager.answer(&hub, &peer, run, result);
                    }
                });
                running.extend(run.map(|run| (run, task.abort_handle())));
            }
        }
    }

    /// Nobody waits for a method any longer.
    fn break_off(&self, session: &mut Session, run: RunId, now: Duration) {
        if let Some(task) = self.running.lock().remove(&run) {
            task.abort();
        }
        session.reject(run, &Error::new(ErrorKind::Cancelled, "the caller gave up"), now);
    }

    fn start(
        self: &Arc<Self>,
        hub: &Arc<Hub>,
        caller: Caller,
        method: &'static Method,
        values: Vec<Value>,
        keywords: Map,
    ) -> Started {
        hub.count_manager_call();
        if let Err(error) = need(&caller, method.right, &caller.workspace) {
            return Started::Done(Err(error));
        }
        if let Err(error) = narrowed::check(&caller, method.name) {
            return Started::Done(Err(error));
        }
        let arguments = match Arguments::bind(method, values, keywords) {
            Ok(arguments) => arguments,
            Err(error) => return Started::Done(Err(error)),
        };
        let mut call = Call { manager: Arc::clone(self), hub: Arc::clone(hub), caller, arguments };
        match method.handler {
            Handler::Now(handler) => Started::Done(handler(&mut call)),
            Handler::Later(handler) => Started::Open(handler(call)),
        }
    }

    fn answer(self: &Arc<Self>, hub: &Arc<Hub>, peer: &Peer, run: RunId, result: Result<Value>) {
        let now = hub.elapsed();
        let value = match result {
            Ok(value) => value,
            Err(error) => return self.drive(hub, None, |session| session.reject(run, &error, now)),
        };
        let Some(mut draft) = self.session.lock().begin_reply(run) else { return };
        match polyfn_core::codec::Walk::walk(&value, &mut draft.writer) {
            Ok(()) => self.drive(hub, None, |session| {
                // parts are joined by the `built-in` service of the receiver; without one it gets the whole
                let in_parts = draft.writer.len() <= CHUNK_SIZE || hub.is_announced(peer);
                session.set_chunk_size(if in_parts { CHUNK_SIZE } else { UNDIVIDED });
                session.finish_reply(draft, now);
            }),
            Err(error) => self.drive(hub, None, |session| session.reject(run, &error, now)),
        }
    }
}

/// A method that was called.
enum Started {
    Done(Result<Value>),
    Open(BoxFuture<'static, Result<Value>>),
}

impl Management for Manager {
    fn receive(self: Arc<Self>, hub: &Arc<Hub>, frame: &Bytes, from: &Arc<Peer>) {
        let now = hub.elapsed();
        self.drive(hub, Some(from), |session| {
            if let Err(error) = session.receive(frame, now) {
                tracing::debug!(client = from.address(), %error, "the manager dropped a frame");
            }
        });
    }

    fn invoke(
        self: Arc<Self>,
        hub: &Arc<Hub>,
        caller: Caller,
        method: &str,
        arguments: Vec<Value>,
        keywords: Map,
    ) -> BoxFuture<'static, Result<Value>> {
        let started = match table::method(method) {
            Some(method) => self.start(hub, caller, method, arguments, keywords),
            None => Started::Done(Err(no_method(method))),
        };
        match started {
            Started::Done(result) => Box::pin(std::future::ready(result)),
            Started::Open(future) => future,
        }
    }

    fn notice(&self, event: &Bytes, hub: &Hub) {
        let (mut session, now) = (self.session.lock(), hub.elapsed());
        _ = session.receive(event, now);
        while let Some(event) = session.poll_event() {
            if let Event::Cancelled { run } = event {
                self.break_off(&mut session, run, now);
            }
        }
        // what is left to say would go to a client that has left
        while session.poll_send().is_some() {}
    }

    fn loaded(&self, workspace: &WorkspaceInfo, registry: &Arc<Registry>) {
        life::loaded(registry, workspace, None);
    }

    fn unloaded(&self, workspace: WorkspaceInfo, registry: &Arc<Registry>) {
        life::unloaded(registry, &workspace);
        keeping::forget(&self.store, workspace, registry);
    }

    fn tick(self: Arc<Self>, hub: &Arc<Hub>) {
        let now = hub.elapsed();
        let due = self.session.lock().next_tick().is_some_and(|at| at <= now);
        if due {
            self.drive(hub, None, |session| session.tick(now));
        }
    }

    fn statistics(&self) -> Statistics {
        self.session.lock().statistics()
    }
}

fn crowded() -> Error {
    let text = format!(
        "a client may have {OPEN_CALLS_MAX} calls to the manager that wait for others: wait for some"
    );
    Error::new(ErrorKind::Overloaded, text)
}

fn no_method(name: &str) -> Error {
    let shown: String = name.chars().take(64).collect();
    Error::new(ErrorKind::NotFound, format!("KeyError: 'Method not found: {shown}'"))
}

fn config() -> Value {
    Value::Map(Map::from_iter([
        ("visibility", Value::from("public")),
        ("require_context", Value::Bool(true)),
    ]))
}

fn service(function: impl Fn(usize, &Method) -> Value) -> Map {
    let mut service = Map::from_iter([
        ("id", Value::from("default")),
        ("name", Value::from("Default workspace management service")),
        ("type", Value::from("workspace-manager")),
        ("description", Value::from("Services, clients, tokens and events of a workspace.")),
        ("config", config()),
    ]);
    for (at, method) in METHODS.iter().enumerate() {
        service.insert(method.name, function(at, method));
    }
    service
}

/// Registers the methods at the session, each under its place in the table.
fn add_service(session: &mut Session) -> Result<()> {
    let service = service(|at, method| {
        Value::Function(Function {
            handle: at as u64,
            name: method.name.to_owned(),
            doc: Some(method.description().to_owned()),
            schema: Some(Box::new(method.schema())),
            ..Function::default()
        })
    });
    let mut draft = session.begin_service();
    polyfn_core::codec::Walk::walk(&Value::Map(service), &mut draft.writer)?;
    session.add_service(draft, true).map(|_| ())
}

fn description(id: &str, public_base_url: &str) -> Value {
    Value::Map(service(|_, method| {
        Value::from(Stub {
            target: format!("*/{id}"),
            method: format!("services.default.{}", method.name),
            promise: Promise::Star,
            name: Some(method.name.to_owned()),
            doc: Some(method.description().to_owned()),
            schema: Some(Box::new(method.schema())),
            server: Some(public_base_url.to_owned()),
            ..Stub::default()
        })
    }))
}
