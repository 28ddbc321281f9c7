//! [`Client`]: a connection for Rust users.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::connection::{Connection, Sink, WeakConnection};
use super::options::ClientOptions;
use super::remote::{CallOptions, RemoteService};
use super::service::{Call, Handler, Service, handler};
use super::stream::{Batch, Items, Producer, Source};
use crate::codec::{Handle, Promise, Reader, StreamStub, Stub, Walk};
use crate::session::{CallId, CallSpec, Event, Invocation, RunId, State, StreamId};
use crate::wire::PublicKey;
use crate::{Error, ErrorKind, Function, Map, Result, Value};

/// A client of a polyfn (or Hypha) server. Clones are handles of the same connection.
///
/// ```no_run
/// # async fn example() -> polyfn_core::Result<()> {
/// use polyfn_core::{Value, net::{Client, ClientOptions}};
/// let client = Client::connect(ClientOptions::new("http://localhost:9527")).await?;
/// let calc = client.get_service("calc").await?;
/// let sum = calc.call("add", [Value::from(1), Value::from(2)]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
    dispatch: Arc<Dispatch>,
}

/// Where the driver's events go: waiting futures, and tasks for functions.
struct Dispatch {
    runtime: tokio::runtime::Handle,
    /// Not held, as it holds this.
    connection: OnceLock<WeakConnection>,
    waiting: Mutex<HashMap<CallId, oneshot::Sender<Result<Value>>>>,
    handlers: Mutex<HashMap<Handle, Handler>>,
    generators: Mutex<HashMap<Handle, Generator>>,
    streams: Mutex<HashMap<StreamId, mpsc::UnboundedSender<Batch>>>,
    /// Tasks of functions that callers wait for.
    running: Arc<Mutex<HashMap<RunId, AbortHandle>>>,
    last: AtomicU64,
    state: watch::Sender<Option<State>>,
}

/// A generator of ours.
enum Generator {
    /// Nobody has asked for an item.
    Fresh(Source),
    Started(Producer),
}

impl std::fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dispatch")
    }
}

impl Sink for Dispatch {
    fn deliver(&self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            match event {
                Event::Resolved { call, value } => self.end(call, value.value()),
                Event::Rejected { call, error } => self.end(call, Err(error)),
                Event::Invoke(invocation) => self.invoke(invocation),
                Event::Cancelled { run } => self.cancel(run),
                Event::Released(handle) => self.let_go(handle),
                Event::Pull { source, .. } => self.pull(source),
                Event::Items { stream, items, count, end } => {
                    self.came(stream, Batch { items, count, end });
                }
                Event::Signal { .. } => {}
                Event::State(state) => {
                    self.state.send_replace(Some(state));
                }
            }
        }
    }
}

impl Dispatch {
    fn connection(&self) -> Option<Connection> {
        self.connection.get()?.upgrade()
    }

    fn end(&self, call: CallId, result: Result<Value>) {
        let waiting = self.waiting.lock().remove(&call);
        if let Some(waiting) = waiting {
            // Whoever gave up waiting does not want to know.
            let _ = waiting.send(result);
        }
    }

    fn invoke(&self, invocation: Invocation) {
        let Some(connection) = self.connection() else { return };
        let handler = self.handlers.lock().get(&invocation.handler).cloned();
        let Some(id) = invocation.run else {
            self.runtime.spawn(async move { run(handler, &invocation).await });
            return;
        };
        let open = Arc::clone(&self.running);
        // held until the task is listed, so that it cannot end before
        let mut running = self.running.lock();
        let task = self.runtime.spawn(async move {
            let result = run(handler, &invocation).await;
            if open.lock().remove(&id).is_some() {
                answer(&connection, id, result);
            }
        });
        running.insert(id, task.abort_handle());
    }

    fn cancel(&self, run: RunId) {
        let task = self.running.lock().remove(&run);
        if let (Some(task), Some(connection)) = (task, self.connection()) {
            task.abort();
            connection.reject(run, &Error::new(ErrorKind::Cancelled, "the caller gave up"));
        }
    }

    fn let_go(&self, handle: Handle) {
        if self.handlers.lock().remove(&handle).is_some() {
            return;
        }
        let generator = self.generators.lock().remove(&handle);
        if let Some(Generator::Started(producer)) = generator {
            producer.close();
        }
    }

    /// A peer wants items of a generator.
    fn pull(&self, handle: Handle) {
        let Some(connection) = self.connection() else { return };
        let mut generators = self.generators.lock();
        let producer = match generators.remove(&handle) {
            None => return,
            Some(Generator::Started(producer)) => {
                producer.pull();
                producer
            }
            Some(Generator::Fresh(source)) => {
                let (producer, work) = Producer::new(connection, handle, source);
                self.runtime.spawn(work);
                producer
            }
        };
        generators.insert(handle, Generator::Started(producer));
    }

    /// Items of a generator of a peer have come.
    fn came(&self, stream: StreamId, batch: Batch) {
        let mut streams = self.streams.lock();
        let is_over = batch.end.is_some();
        if let Some(reader) = streams.get(&stream) {
            // Whoever stopped reading does not want to know.
            let _ = reader.send(batch);
        }
        if is_over {
            streams.remove(&stream);
        }
    }

    fn add(&self, handler: Handler) -> Handle {
        let handle = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.handlers.lock().insert(handle, handler);
        handle
    }
}

fn answer(connection: &Connection, run: RunId, result: Result<Value>) {
    let sent = result.and_then(|value| {
        let Some(mut draft) = connection.begin_reply(run) else { return Ok(()) };
        match value.walk(&mut draft.writer) {
            Ok(()) => connection.finish_reply(draft),
            Err(error) => {
                draft.abandon();
                return Err(error);
            }
        }
        Ok(())
    });
    if let Err(error) = sent {
        connection.reject(run, &error);
    }
}

async fn run(handler: Option<Handler>, invocation: &Invocation) -> Result<Value> {
    let handler = handler.ok_or_else(|| Error::new(ErrorKind::NotFound, "the function was taken back"))?;
    let (args, keywords) = invocation.payload.values()?;
    let context = match &invocation.context {
        Some(context) => Some(Reader::new(context).value()?),
        None => None,
    };
    let Invocation { deadline, trace, .. } = invocation;
    handler(Call { args, keywords, context, deadline: *deadline, trace: trace.clone() }).await
}

impl Client {
    /// Connects and joins a workspace.
    ///
    /// # Errors
    /// `peer_gone` when the server cannot be reached, `permission_denied` when it refuses, `timeout`.
    pub async fn connect(options: ClientOptions) -> Result<Self> {
        let dispatch = Arc::new(Dispatch {
            runtime: tokio::runtime::Handle::current(),
            connection: OnceLock::new(),
            waiting: Mutex::default(),
            handlers: Mutex::default(),
            generators: Mutex::default(),
            streams: Mutex::default(),
            running: Arc::default(),
            last: AtomicU64::new(0),
            state: watch::Sender::new(None),
        });
        let mut states = dispatch.state.subscribe();
        let connection = Connection::open(options, dispatch.clone(), &tokio::runtime::Handle::current())?;
        let _ = dispatch.connection.set(connection.downgrade());
        let state = states.wait_for(Option::is_some).await.map(|state| state.clone());
        match state {
            Ok(Some(State::Closed { error })) => Err(error),
            _ => Ok(Self { connection, dispatch }),
        }
    }

    /// The connection below.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Calls the function that `stub` describes.
    ///
    /// # Errors
    /// What the function fails with, or why it could not be called.
    pub async fn call(&self, stub: &Stub, args: impl IntoIterator<Item = Value>) -> Result<Value> {
        self.call_with(stub, args, Map::new()).await
    }

    /// Calls a function with arguments by name as well.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with(
        &self,
        stub: &Stub,
        args: impl IntoIterator<Item = Value>,
        keywords: Map,
    ) -> Result<Value> {
        self.call_as(stub, args, keywords, &CallOptions::default()).await
    }

    pub(super) async fn call_as(
        &self,
        stub: &Stub,
        args: impl IntoIterator<Item = Value>,
        keywords: Map,
        options: &CallOptions,
    ) -> Result<Value> {
        let mut args: Vec<Value> = args.into_iter().collect();
        let with_kwargs = !keywords.is_empty();
        if with_kwargs {
            args.push(Value::Map(keywords));
        }
        let spec = CallSpec {
            deadline: options.deadline,
            trace: options.trace.as_deref(),
            ..CallSpec::of(stub, args.len(), with_kwargs)
        };
        let mut draft = self.connection.begin_call(&spec)?;
        for (at, arg) in args.iter().enumerate() {
            arg.walk(&mut draft.writer).map_err(|error| error.at(&format!("args[{at}]")))?;
        }
        self.ended(|id| self.connection.finish_call(id, draft)).await
    }

    /// A method of the server's manager, for example `list_services`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn manager(&self, method: &str, args: impl IntoIterator<Item = Value>) -> Result<Value> {
        self.call(&manager_stub(method), args).await
    }

    /// Gets a service by its id, for example `calc` or `workspace/client:calc`.
    ///
    /// # Errors
    /// `not_found`, `permission_denied`, and those of [`Client::call`].
    pub async fn get_service(&self, id: &str) -> Result<RemoteService> {
        let value = self.manager("get_service", [Value::from(id)]).await?;
        Ok(RemoteService::new(self.clone(), value))
    }

    /// The same with the owner's public key: what its functions are told and answer is encrypted from end to end. The
    /// key must come from elsewhere, not by way of the server; this side must be connected with
    /// [`ClientOptions::encryption`].
    ///
    /// # Errors
    /// As [`Client::get_service`], and `invalid` without encryption.
    pub async fn get_sealed_service(&self, id: &str, key: PublicKey) -> Result<RemoteService> {
        let stub = Stub { answer_key: Some(key), ..manager_stub("get_service") };
        let value = self.call(&stub, [Value::from(id)]).await?;
        Ok(RemoteService::new(self.clone(), value))
    }

    /// The own public key, for others to encrypt to; none without encryption.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.connection.public_key()
    }

    /// Registers a service; gives its info.
    ///
    /// # Errors
    /// `invalid`, `conflict`, and those of [`Client::call`].
    pub async fn register_service(&self, service: Service) -> Result<Value> {
        let mut map = Map::new();
        for (path, value) in service.entries {
            insert_at(&mut map, &path, value);
        }
        map.insert("config", service.config);
        for (path, handler) in service.functions {
            let handle = self.dispatch.add(handler);
            let name = path.rsplit('.').next().unwrap_or(&path).to_owned();
            insert_at(&mut map, &path, Value::Function(Function { handle, name, ..Function::default() }));
        }
        let mut draft = self.connection.begin_service();
        Value::Map(map).walk(&mut draft.writer)?;
        self.ended(|id| self.connection.finish_service(id, draft, service.overwrite)).await
    }

    /// Takes a service back.
    ///
    /// # Errors
    /// `not_found`, and those of [`Client::call`].
    pub async fn unregister_service(&self, service: &str) -> Result<()> {
        self.ended(|id| self.connection.unregister_service(id, service)).await.map(drop)
    }

    /// A function to give away in arguments or results.
    pub fn function<F, R>(&self, name: &str, function: F) -> Value
    where
        F: Fn(Call) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Value>> + Send + 'static,
    {
        let handle = self.dispatch.add(handler(function));
        Value::Function(Function { handle, name: name.to_owned(), ..Function::default() })
    }

    /// A generator to give away in arguments or results: items are taken from `source` as the peer wants them, and
    /// it is dropped when the peer has enough.
    ///
    /// ```no_run
    /// # async fn example(client: polyfn_core::net::Client) -> polyfn_core::Result<()> {
    /// use futures_util::stream;
    /// use polyfn_core::{Value, net::Service};
    /// let giving = client.clone();
    /// let service = Service::new("counter").function("count_to", move |call| {
    ///     let last = call.argument(0, "last").as_int().unwrap_or_default();
    ///     let items = giving.generator(stream::iter((1..=last).map(|item| Ok(Value::from(item)))));
    ///     async move { Ok(items) }
    /// });
    /// client.register_service(service).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn generator(
        &self,
        source: impl futures_util::Stream<Item = Result<Value>> + Send + 'static,
    ) -> Value {
        let handle = self.dispatch.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.dispatch.generators.lock().insert(handle, Generator::Fresh(Box::pin(source)));
        Value::Generator(handle)
    }

    /// The items of a generator that a peer gave.
    pub fn items(&self, stub: &Arc<StreamStub>) -> Items {
        Items::new(self.clone(), stub.clone())
    }

    pub(super) fn open_stream(
        &self,
        stub: &StreamStub,
    ) -> Result<(StreamId, mpsc::UnboundedReceiver<Batch>)> {
        let id = self.dispatch.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = mpsc::unbounded_channel();
        self.dispatch.streams.lock().insert(id, sender);
        match self.connection.open_stream(id, stub) {
            Ok(()) => Ok((id, receiver)),
            Err(error) => {
                self.dispatch.streams.lock().remove(&id);
                Err(error)
            }
        }
    }

    pub(super) fn close_stream(&self, id: StreamId) {
        self.dispatch.streams.lock().remove(&id);
        self.connection.close_stream(id);
    }

    /// Says goodbye; ends when the connection is closed.
    pub async fn disconnect(&self) {
        let mut states = self.dispatch.state.subscribe();
        self.connection.close();
        let closed = |state: &Option<State>| matches!(state, Some(State::Closed { .. }));
        let _ = states.wait_for(closed).await;
    }

    /// Begins a call and waits for its end; one that fails at once or that nobody awaits any longer is forgotten.
    async fn ended(&self, begin: impl FnOnce(CallId) -> Result<()>) -> Result<Value> {
        let id = self.dispatch.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, end) = oneshot::channel();
        self.dispatch.waiting.lock().insert(id, sender);
        let mut guard = Forget { client: self, id: Some(id) };
        begin(id)?;
        let result =
            end.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::PeerGone, "the connection is closed")));
        guard.id = None;
        result
    }
}

struct Forget<'a> {
    client: &'a Client,
    id: Option<CallId>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.client.dispatch.waiting.lock().remove(&id);
            self.client.connection.forget_call(id);
        }
    }
}

fn manager_stub(method: &str) -> Stub {
    Stub {
        target: "*/manager".to_owned(),
        method: format!("services.default.{method}"),
        promise: Promise::Star,
        ..Stub::default()
    }
}

/// Puts a member where its path says, making folders on the way.
fn insert_at(map: &mut Map, path: &str, member: Value) {
    let Some((folder, rest)) = path.split_once('.') else {
        map.insert(path, member);
        return;
    };
    let mut inner = match map.remove(folder) {
        Some(Value::Map(inner)) => inner,
        _ => Map::new(),
    };
    insert_at(&mut inner, rest, member);
    map.insert(folder, inner);
}
