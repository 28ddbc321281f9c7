//! The native side of one JavaScript environment, and thin handles of its connections.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use napi::bindgen_prelude::{
    Array, ArrayBuffer, BufferSlice, Function, Int32ArraySlice, Uint8Array, Uint8ArraySlice,
};
use napi::threadsafe_function::UnknownReturnValue;
use napi::{Env, Status};
use napi_derive::napi;
use parking_lot::Mutex;
use polyfn_core::codec::{FORMS, Handle, Promise};
use polyfn_core::net::{ClientOptions, Connect, Connection};
use polyfn_core::session::{self, CallSpec, Event, State};
use polyfn_core::{Error, ErrorKind, Result};

use crate::batch::Told;
use crate::callback;
use crate::convert::{Extra, Player, Recorder};
use crate::error::told;
use crate::pump::{Inbox, Intake, Wake};
use crate::runtime::Runtime;
use crate::server::EmbeddedServer;
use crate::stream::Streams;

/// Settings of a connection; what is absent has core's default. Times in seconds.
#[napi(object)]
pub struct OpenOptions {
    /// The server.
    pub server_url: String,
    /// The workspace to join.
    pub workspace: Option<String>,
    /// The client's id.
    pub client_id: Option<String>,
    /// The token.
    pub token: Option<String>,
    /// A token of an earlier connection.
    pub reconnection_token: Option<String>,
    /// A name for people to read.
    pub name: Option<String>,
    /// The application.
    pub app_id: Option<String>,
    /// How long a call may take without a sign of life; connecting too.
    pub method_timeout: Option<f64>,
    /// How long connecting may take.
    pub connect_timeout: Option<f64>,
    /// How often to ask whether the server is there.
    pub ping_interval: Option<f64>,
    /// How long to wait for its answer.
    pub ping_timeout: Option<f64>,
    /// How often to fetch a reconnection token; zero for never.
    pub token_refresh_interval: Option<f64>,
    /// Messages above this size travel in parts.
    pub chunk_size: Option<f64>,
    /// Limits of the session, by core's names.
    pub limits: Option<HashMap<String, f64>>,
    /// Whether to connect again when the connection breaks.
    pub reconnect: Option<bool>,
    /// The way to the server: `auto`, `websocket` or `http`.
    pub transport: Option<String>,
    /// How long a call of a function of an interface may take without a sign of life.
    pub rintf_timeout: Option<f64>,
    /// Whether to encrypt from end to end.
    pub encryption: Option<bool>,
    /// The own private key.
    pub encryption_private_key: Option<Uint8Array>,
    /// The own public key.
    pub encryption_public_key: Option<Uint8Array>,
    /// Headers of the requests that reach the server: pairs of a name and a value.
    pub headers: Option<Vec<Vec<String>>>,
    /// Whether to believe any server.
    pub tls_unverified: Option<bool>,
    /// Certificates of authorities, as PEM.
    pub tls_authorities: Option<String>,
}

/// One connection with its way into the inbox.
struct Held {
    connection: Connection,
    intake: Arc<Intake>,
}

/// What the environment's end must reach.
struct Shared {
    inbox: Arc<Inbox>,
    runtime: Mutex<Option<Runtime>>,
    clients: Mutex<HashMap<u32, Held>>,
}

impl Shared {
    /// The environment ends: connections say goodbye, the thread stops.
    fn end(&self) {
        self.inbox.close();
        for (_, held) in self.clients.lock().drain() {
            held.connection.close();
        }
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.stop();
        }
    }
}

/// Events taken while something else waits for JavaScript's thread, at most.
const TURN: usize = 256;
/// Where `take` says how many places of the tape it filled, how many it needs, and whether more waits.
pub(crate) const HEAD: usize = 3;

/// The call on the tape has keywords.
const WITH_KWARGS: u8 = 1;
/// The call on the tape has times or a trace of its own.
const WITH_TERMS: u8 = 2;

/// What a call is made with beside its arguments.
#[derive(Default)]
struct Terms<'a> {
    patience: Option<Duration>,
    deadline: Option<Duration>,
    trace: Option<&'a str>,
}

impl<'a> Terms<'a> {
    fn read<B: AsRef<[u8]>>(tape: &mut Player<'a, B>) -> Result<Self> {
        let mut time = || {
            let seconds = tape.number()?;
            (seconds != 0.0).then(|| duration(seconds)).transpose()
        };
        let (patience, deadline) = (time()?, time()?);
        Ok(Self { patience, deadline, trace: tape.optional()? })
    }
}

/// The native side of one JavaScript environment.
#[napi]
pub struct Core {
    shared: Arc<Shared>,
    batch: RefCell<Batch>,
    pub(crate) streams: RefCell<Streams>,
}

/// What was taken from the inbox and not told yet.
#[derive(Default)]
struct Batch {
    taken: VecDeque<(u32, Event)>,
    recorder: Recorder,
    /// The last event recorded; it stays when the tape had no room for it.
    told: Told,
    is_told: bool,
}

#[napi]
impl Core {
    /// The native side of this environment; `wake` is called when there is something to take.
    #[napi(constructor)]
    pub fn new(env: Env, wake: Function<'_, (), UnknownReturnValue>) -> napi::Result<Self> {
        polyfn_core::memory::advise_with(crate::pages::ask);
        let wake: Wake = wake
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .build_callback(|_| Ok(()))?;
        let shared = Arc::new(Shared {
            inbox: Arc::new(Inbox::new(wake)),
            runtime: Mutex::default(),
            clients: Mutex::default(),
        });
        env.add_env_cleanup_hook(shared.clone(), |shared| shared.end())?;
        let batch = RefCell::new(Batch { is_told: true, ..Batch::default() });
        Ok(Self { shared, batch, streams: RefCell::default() })
    }

    /// Begins to connect as `client`, a number of JavaScript's choice.
    #[napi]
    pub fn open(&self, client: u32, options: OpenOptions) -> Option<String> {
        self.try_open(client, options, None).err().map(|error| told(&error))
    }

    /// The same, to a server of this process.
    #[napi]
    pub fn open_in_process(
        &self,
        client: u32,
        options: OpenOptions,
        server: &EmbeddedServer,
    ) -> Option<String> {
        let opened = server.connector().and_then(|way| self.try_open(client, options, Some(way)));
        opened.err().map(|error| told(&error))
    }

    fn try_open(&self, client: u32, options: OpenOptions, way: Option<Arc<dyn Connect>>) -> Result<()> {
        let mut runtime = self.shared.runtime.lock();
        let runtime = match &mut *runtime {
            Some(runtime) => runtime,
            empty => empty.insert(Runtime::start(self.shared.inbox.open())?),
        };
        let intake = Arc::new(Intake::new(client, self.shared.inbox.clone()));
        // Held before it is opened, so that its first event finds it.
        let mut clients = self.shared.clients.lock();
        let options = ClientOptions { connect: way, ..settings(options)? };
        match Connection::open(options, intake.clone(), runtime.handle()) {
            Ok(connection) => {
                clients.insert(client, Held { connection, intake });
                Ok(())
            }
            Err(error) => {
                intake.withdraw();
                Err(error)
            }
        }
    }

    /// Takes what has happened, as far as it fits on `tape`; gives what lies beside the tape.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env, mut tape: Int32ArraySlice<'_>) -> napi::Result<Array<'env>> {
        // SAFETY: JavaScript stands still during this call and has given the array to nobody else.
        let tape = unsafe { tape.as_mut() };
        let mut batch = self.batch.borrow_mut();
        let batch = &mut *batch;
        self.shared.inbox.take(&mut batch.taken);
        let mut beside = Vec::new();
        let (mut filled, mut needed) = (HEAD, 0);
        for _ in 0..TURN {
            if batch.is_told && !self.record_next(batch) {
                break;
            }
            let end = filled + batch.told.steps.len();
            let Some(room) = tape.get_mut(filled..end) else {
                needed = end + HEAD - filled;
                break;
            };
            room.copy_from_slice(&batch.told.steps);
            beside.append(&mut batch.told.beside);
            filled = end;
            batch.is_told = true;
        }
        let waits = !batch.is_told || !batch.taken.is_empty();
        if let Some(head) = tape.first_chunk_mut::<HEAD>() {
            *head = [filled as i32, needed as i32, i32::from(waits)];
        }
        self.resume();
        given(env, beside)
    }

    /// Records the next event; `false` when there is none.
    fn record_next(&self, batch: &mut Batch) -> bool {
        let Some((client, event)) = batch.taken.pop_front() else { return false };
        self.shared.inbox.done(&event);
        let connection = self.connection(client);
        batch.told.record(&mut batch.recorder, client, &event, connection.as_ref());
        batch.is_told = false;
        let released: Vec<Event> = self.note(client, &event).into_iter().map(Event::Released).collect();
        self.shared.inbox.put_back(client, released, &mut batch.taken);
        true
    }

    /// What events change on this side. Gives what JavaScript lets go of with it.
    fn note(&self, client: u32, event: &Event) -> Vec<Handle> {
        match event {
            Event::Items { stream, items, count, end } => {
                self.streams.borrow_mut().add(*stream, items, *count, end.as_ref());
            }
            Event::Released(handle) => return self.streams.borrow_mut().forget_source(*handle),
            Event::State(State::Closed { .. }) => {
                self.shared.clients.lock().remove(&client);
                self.streams.borrow_mut().forget(client);
            }
            _ => {}
        }
        Vec::new()
    }

    fn resume(&self) {
        for held in self.shared.clients.lock().values().filter(|held| held.intake.may_resume()) {
            held.connection.resume();
        }
    }

    pub(crate) fn connection(&self, client: u32) -> Option<Connection> {
        self.shared.clients.lock().get(&client).map(|held| held.connection.clone())
    }

    pub(crate) fn need(&self, client: u32) -> Result<Connection> {
        let closed = || Error::new(ErrorKind::PeerGone, "Connection is closed: connect again to go on");
        self.connection(client).ok_or_else(closed)
    }

    /// Makes the call on the tape. Its end comes as an event with this number.
    #[napi]
    pub fn call(
        &self,
        client: u32,
        call: f64,
        tape: &[u8],
        beside: Option<Vec<Uint8ArraySlice<'_>>>,
    ) -> Option<String> {
        self.try_call(client, call, tape, &beside.unwrap_or_default()).err().map(|error| told(&error))
    }

    fn try_call(&self, client: u32, call: f64, tape: &[u8], beside: &[Uint8ArraySlice<'_>]) -> Result<()> {
        let connection = self.need(client)?;
        let mut tape = Player::new(tape, beside);
        let promise = match tape.byte()? {
            0 => Promise::Never,
            1 => Promise::Star,
            _ => Promise::Full,
        };
        let flags = tape.byte()?;
        let terms = if flags & WITH_TERMS == 0 { Terms::default() } else { Terms::read(&mut tape)? };
        let (target, method, parent) = (tape.text()?, tape.text()?, tape.optional()?);
        let (seal_to, seal_answer, args) = (tape.public_key()?, tape.public_key()?, tape.count()?);
        let spec = CallSpec {
            target,
            method,
            promise,
            parent,
            args: args as usize,
            with_kwargs: flags & WITH_KWARGS != 0,
            timeout: terms.patience,
            deadline: terms.deadline,
            trace: terms.trace,
            seal_to,
            seal_answer,
            ..CallSpec::default()
        };
        let mut draft = connection.begin_call(&spec)?;
        tape.values(args, &mut draft.writer)?;
        connection.finish_call(call as u64, draft)
    }

    /// Sends `count` answers, each the client, the run, and the value with its length. Only the last may have
    /// anything beside the tape. Gives the numbers of those that were not sent.
    #[napi]
    pub fn answer(
        &self,
        count: u32,
        tape: &[u8],
        beside: Option<Vec<Uint8ArraySlice<'_>>>,
    ) -> Option<Vec<u32>> {
        let beside = beside.unwrap_or_default();
        let mut tape = Player::new(tape, &beside);
        let refused: Vec<u32> =
            (0..count).filter(|_| !self.answer_next(&mut tape).unwrap_or(false)).collect();
        (!refused.is_empty()).then_some(refused)
    }

    fn answer_next(&self, tape: &mut Player<'_, Uint8ArraySlice<'_>>) -> Result<bool> {
        let (client, run, value) = (tape.count()?, tape.number()?, tape.inner()?);
        Ok(self.connection(client).is_some_and(|connection| callback::answer(&connection, run as u64, value)))
    }

    /// Ends a run with the error on the tape.
    #[napi]
    pub fn fail(&self, client: u32, run: f64, tape: &[u8]) {
        let Some(connection) = self.connection(client) else { return };
        let error = Player::<Uint8ArraySlice<'_>>::new(tape, &[]).error();
        connection.reject(run as u64, &error.unwrap_or_else(|error| error));
    }

    /// Registers the service on the tape. Its end comes as an event with this number.
    #[napi]
    pub fn register(
        &self,
        client: u32,
        call: f64,
        tape: &[u8],
        beside: Option<Vec<Uint8ArraySlice<'_>>>,
        overwrite: bool,
        is_local: bool,
    ) -> Option<String> {
        let work = || {
            let connection = self.need(client)?;
            let mut draft = connection.begin_service();
            draft.is_local = is_local;
            Player::new(tape, &beside.unwrap_or_default()).value(&mut draft.writer)?;
            connection.finish_service(call as u64, draft, overwrite)
        };
        work().err().map(|error: Error| told(&error))
    }

    /// Takes a service back. Its end comes as an event with this number.
    #[napi]
    pub fn unregister(&self, client: u32, call: f64, service: String) -> Option<String> {
        let work = || self.need(client)?.unregister_service(call as u64, &service);
        work().err().map(|error| told(&error))
    }

    /// Takes a service back here and says nothing to the server.
    #[napi]
    pub fn remove(&self, client: u32, service: String) -> Option<String> {
        let work = || self.need(client)?.remove_service(&service);
        work().err().map(|error| told(&error))
    }

    /// Asks for events of these types. Its end comes as an event with this number.
    #[napi]
    pub fn subscribe(&self, client: u32, call: f64, types: Vec<String>) -> Option<String> {
        let asked = self.need(client).map(|connection| connection.subscribe(call as u64, &types));
        asked.err().map(|error| told(&error))
    }

    /// Asks for no more of them. Its end comes as an event with this number.
    #[napi]
    pub fn unsubscribe(&self, client: u32, call: f64, types: Vec<String>) -> Option<String> {
        let asked = self.need(client).map(|connection| connection.unsubscribe(call as u64, &types));
        asked.err().map(|error| told(&error))
    }

    /// How much the connection holds, by name; nothing once it is closed.
    #[napi]
    pub fn statistics(&self, client: u32) -> HashMap<String, u32> {
        let held = self.connection(client).map(|connection| connection.statistics().entries());
        let entry =
            |(name, count): (&str, usize)| (name.to_owned(), u32::try_from(count).unwrap_or(u32::MAX));
        held.into_iter().flatten().map(entry).collect()
    }

    /// Sends the event on the tape.
    #[napi]
    pub fn emit(&self, client: u32, tape: &[u8], beside: Option<Vec<Uint8ArraySlice<'_>>>) -> Option<String> {
        let work = || {
            let connection = self.need(client)?;
            connection.emit(&Player::new(tape, &beside.unwrap_or_default()).dynamic()?)
        };
        work().err().map(|error| told(&error))
    }

    /// Gives up waiting for a call.
    #[napi]
    pub fn forget(&self, client: u32, call: f64) {
        if let Some(connection) = self.connection(client) {
            connection.forget_call(call as u64);
        }
    }

    /// Whether so much waits to be sent that callers should wait.
    #[napi]
    pub fn is_congested(&self, client: u32) -> bool {
        self.connection(client).is_some_and(|connection| connection.is_congested())
    }

    /// The own public key in hexadecimal digits, where the connection encrypts.
    #[napi]
    pub fn public_key(&self, client: u32) -> Option<String> {
        self.connection(client)?.public_key().map(|key| key.to_string())
    }

    /// Says goodbye; that it is closed comes as an event.
    #[napi]
    pub fn close(&self, client: u32) {
        if let Some(connection) = self.connection(client) {
            connection.close();
        }
    }
}

/// From so many bytes on it takes less time to hand memory over than to copy it.
const HANDED_OVER: usize = 1 << 20;

/// What lies beside a tape, as JavaScript's values.
pub(crate) fn given<'env>(env: &'env Env, beside: Vec<Extra>) -> napi::Result<Array<'env>> {
    let too_many = |_| napi::Error::new(Status::GenericFailure, "too many values in one batch");
    let mut array = env.create_array(u32::try_from(beside.len()).map_err(too_many)?)?;
    for (at, extra) in (0..).zip(beside) {
        match extra {
            Extra::Text(text) if text.is_ascii() => array.set(at, env.create_string_latin1(text)?)?,
            Extra::Text(text) => array.set(at, env.create_string(text)?)?,
            Extra::Bytes(bytes) if bytes.len() >= HANDED_OVER => {
                let (start, len, own) = handed_over(bytes);
                // SAFETY: `own` has the memory to itself, and keeps it in its place until JavaScript lets go of it.
                array.set(at, unsafe { BufferSlice::from_external(env, start, len, own, recycled)? })?;
            }
            Extra::Memory(bytes) if bytes.len() >= HANDED_OVER => {
                let (start, len, own) = handed_over(bytes);
                // SAFETY: as above.
                array.set(at, unsafe { ArrayBuffer::from_external(env, start, len, own, recycled)? })?;
            }
            Extra::Bytes(bytes) => array.set(at, BufferSlice::copy_from(env, bytes)?)?,
            Extra::Memory(bytes) => array.set(at, ArrayBuffer::copy_from(env, bytes)?)?,
        }
    }
    Ok(array)
}

/// Memory that JavaScript may write to: where it starts, its length, and what owns it. Where somebody else has the
/// bytes as well, they are copied.
fn handed_over(bytes: Bytes) -> (*mut u8, usize, BytesMut) {
    let mut own = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    (own.as_mut_ptr(), own.len(), own)
}

/// JavaScript has no use of it any longer.
fn recycled(_: Env, memory: BytesMut) {
    polyfn_core::memory::recycle(memory.freeze());
}

/// The names that no codec may take.
#[napi]
pub fn form_names() -> Vec<&'static str> {
    FORMS.to_vec()
}

/// The names of the limits that a connection has, for the JavaScript half to know its options by.
#[napi]
pub fn limit_names() -> Vec<&'static str> {
    session::Options::limits().collect()
}

fn settings(given: OpenOptions) -> Result<ClientOptions> {
    let mut options = ClientOptions::new(given.server_url);
    options.workspace = given.workspace;
    options.client_id = given.client_id;
    options.token = given.token;
    options.reconnection_token = given.reconnection_token;
    options.name = given.name;
    let set = |place: &mut Duration, seconds: Option<f64>| -> Result<()> {
        if let Some(seconds) = seconds {
            *place = duration(seconds)?;
        }
        Ok(())
    };
    set(&mut options.session.method_timeout, given.method_timeout)?;
    set(&mut options.session.rintf_timeout, given.rintf_timeout)?;
    set(&mut options.connect_timeout, given.connect_timeout.or(given.method_timeout))?;
    set(&mut options.ping_interval, given.ping_interval)?;
    set(&mut options.ping_timeout, given.ping_timeout)?;
    set(&mut options.token_refresh_interval, given.token_refresh_interval)?;
    if let Some(size) = given.chunk_size {
        options.session.chunk_size = usize::try_from(whole("chunkSize", size)?).unwrap_or(usize::MAX);
    }
    for (name, value) in given.limits.unwrap_or_default() {
        options.session.set_limit(&name, whole(&name, value)?)?;
    }
    if let Some(app_id) = given.app_id {
        options.session.app_id = app_id;
    }
    options.reconnect = given.reconnect.unwrap_or(options.reconnect);
    if let Some(transport) = given.transport {
        options.transport = transport.parse()?;
    }
    options.encryption = given.encryption.unwrap_or(options.encryption);
    options.encryption_private_key = given.encryption_private_key.map(|key| key.to_vec());
    options.encryption_public_key = given.encryption_public_key.map(|key| key.to_vec());
    options.headers = pairs(given.headers.unwrap_or_default());
    options.tls.is_unverified = given.tls_unverified.unwrap_or_default();
    options.tls.authorities = given.tls_authorities;
    Ok(options)
}

fn pairs(given: Vec<Vec<String>>) -> Vec<(String, String)> {
    given
        .into_iter()
        .filter_map(|pair| <[String; 2]>::try_from(pair).ok().map(|[name, value]| (name, value)))
        .collect()
}

/// JavaScript's numbers are floats; those with a fraction, below zero or beyond exactness are no counts.
fn whole(name: &str, value: f64) -> Result<u64> {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    if value.fract() == 0.0 && (0.0..=EXACT).contains(&value) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, see above")]
        return Ok(value as u64);
    }
    Err(Error::invalid(format!("{name} must be a whole number from 1 on, not {value}")))
}

fn duration(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|error| Error::invalid(format!("`{seconds}` is not a time in seconds: {error}")))
}
