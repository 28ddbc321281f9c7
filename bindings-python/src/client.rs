//! The connection object: thin handles on the core. Everything friendly is in the Python half.

use std::sync::Arc;
use std::time::Duration;

use polyfn_core::codec::{FORMS, Promise, Stub};
use polyfn_core::net::{ClientOptions, Connect, Connection, TransportMode};
use polyfn_core::session::{CallId, Options as SessionOptions};
use polyfn_core::wire::PublicKey;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{Py, intern};

use crate::convert::{Outbound, build_value, value_of};
use crate::error::raised;
use crate::function::{self, Callee};
use crate::inbox::Mailbox;
use crate::interpreter::Interpreter;
use crate::link::{self, Link};
use crate::scope::Scope;
use crate::server::EmbeddedServer;
use crate::{event_loop, runtime};

/// A connection that has joined a workspace.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct Client {
    link: Arc<Link>,
}

/// Begins to connect; the future ends with the connection.
///
/// `on_event(kind, data)` is called on the loop for what happens outside of calls; `hooks` stands between the
/// connection and a program that blocks.
#[pyfunction]
#[pyo3(signature = (options, on_event, hooks = None))]
pub(crate) fn connect<'py>(
    py: Python<'py>,
    options: &Bound<'py, PyDict>,
    on_event: Py<PyAny>,
    hooks: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = read_options(options)?;
    let interpreter = Interpreter::get(py)?;
    let (pump, event_loop) = event_loop::current(py, interpreter)?;
    let number = link::next_number();
    let mailbox = Arc::new(Mailbox::new(number, pump.number, pump.inbox.clone()));
    let connection = Connection::open(options, mailbox.clone(), &runtime::handle()?);
    let connection = connection.map_err(|error| raised(py, &error))?;
    let opening = event_loop.call_method0(intern!(py, "create_future"))?;
    let link = Link::new(number, pump.number, connection, mailbox, on_event, opening.clone().unbind());
    hooks.into_iter().for_each(|hooks| link.use_hooks(hooks));
    pump.own(link);
    Ok(opening)
}

/// Reads the options; what is None or left out has the default of the core.
fn read_options(given: &Bound<'_, PyDict>) -> PyResult<ClientOptions> {
    fn set<'py, T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>>(
        given: &Bound<'py, PyDict>,
        name: &str,
        place: impl FnOnce(T),
    ) -> PyResult<()> {
        if let Some(value) = given.get_item(name)?.filter(|value| !value.is_none()) {
            let value: Result<T, PyErr> = value.extract().map_err(Into::into);
            place(value.map_err(|error| error_of(given.py(), name, error))?);
        }
        Ok(())
    }
    let mut options = ClientOptions::default();
    set(given, "server_url", |url| options.server_url = url)?;
    set(given, "workspace", |workspace| options.workspace = Some(workspace))?;
    set(given, "client_id", |id| options.client_id = Some(id))?;
    set(given, "token", |token| options.token = Some(token))?;
    set(given, "reconnection_token", |token| options.reconnection_token = Some(token))?;
    set(given, "name", |name| options.name = Some(name))?;
    set(given, "headers", |headers| options.headers = headers)?;
    set(given, "tls_unverified", |unverified| options.tls.is_unverified = unverified)?;
    set(given, "tls_authorities", |authorities| options.tls.authorities = Some(authorities))?;
    set(given, "reconnect", |reconnect| options.reconnect = reconnect)?;
    set(given, "transport", |mode: Mode| options.transport = mode.0)?;
    set(given, "encryption", |encryption| options.encryption = encryption)?;
    set(given, "encryption_private_key", |key: Key| options.encryption_private_key = Some(key.0))?;
    set(given, "encryption_public_key", |key: Key| options.encryption_public_key = Some(key.0))?;
    set(given, "app_id", |app_id| options.session.app_id = app_id)?;
    set(given, "long_message_chunk_size", |size: usize| options.session.chunk_size = size)?;
    set(given, "method_timeout", |time: Seconds| options.session.method_timeout = time.0)?;
    set(given, "rintf_timeout", |time: Seconds| options.session.rintf_timeout = time.0)?;
    set(given, "connect_timeout", |time: Seconds| options.connect_timeout = time.0)?;
    set(given, "ping_interval", |time: Seconds| options.ping_interval = time.0)?;
    set(given, "ping_timeout", |time: Seconds| options.ping_timeout = time.0)?;
    set(given, "in_process", |server: Way| options.connect = Some(server.0))?;
    set(given, "token_refresh_interval", |time: Seconds| options.token_refresh_interval = time.0)?;
    for name in SessionOptions::limits() {
        let mut written = Ok(());
        set(given, name, |value: u64| written = options.session.set_limit(name, value))?;
        written.map_err(|error| raised(given.py(), &error))?;
    }
    Ok(options)
}

/// What Python says of a value does not say which option has it.
fn error_of(py: Python<'_>, option: &str, error: PyErr) -> PyErr {
    let plain =
        [py.get_type::<PyTypeError>(), py.get_type::<PyValueError>(), py.get_type::<PyOverflowError>()];
    if plain.iter().any(|class| error.get_type(py).is(class)) {
        PyErr::from_type(error.get_type(py), format!("{option}: {}", error.value(py)))
    } else {
        error
    }
}

/// The names that no codec may take.
#[pyfunction]
pub(crate) fn form_names() -> Vec<&'static str> {
    FORMS.to_vec()
}

/// The names of the limits that a connection has, for the Python half to know its options by.
#[pyfunction]
pub(crate) fn limit_names() -> Vec<&'static str> {
    SessionOptions::limits().collect()
}

/// A way to the server, by its name.
struct Mode(TransportMode);

impl<'py> FromPyObject<'_, 'py> for Mode {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let name: String = object.extract()?;
        name.parse().map(Self).map_err(|error| raised(object.py(), &error))
    }
}

/// The way to an embedded server.
struct Way(Arc<dyn Connect>);

impl<'py> FromPyObject<'_, 'py> for Way {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.cast::<EmbeddedServer>()?.get().connector(object.py()).map(Self)
    }
}

/// A key as bytes, or in hexadecimal digits; the core tells which.
struct Key(Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Key {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self(text.to_str()?.as_bytes().to_vec()));
        }
        object.extract::<Vec<u8>>().map(Self)
    }
}

/// A number of seconds that can be waited for.
pub(crate) struct Seconds(pub(crate) Duration);

impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let seconds: f64 = object.extract()?;
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| PyValueError::new_err(format!("{seconds} is not a number of seconds from 0 on")))
    }
}

impl Client {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Begins something that ends like a call.
    fn expecting<'py>(
        &self,
        py: Python<'py>,
        begin: impl FnOnce(&Connection, CallId),
    ) -> PyResult<Bound<'py, PyAny>> {
        let connection = self.connection(py)?;
        let (pump, event_loop) = event_loop::current(py, Interpreter::get(py)?)?;
        pump.visit(&self.link);
        let (id, future) = pump.expect(&event_loop, &self.link)?;
        begin(connection, id);
        Ok(future)
    }

    fn connection(&self, py: Python<'_>) -> PyResult<&Connection> {
        self.link.connection().map_err(|error| raised(py, &error))
    }
}

#[pymethods]
impl Client {
    /// Calls a method by its path at a target, for example `services.default.echo` at `*/manager`.
    ///
    /// With `answer_key`, a public key, calls of the functions in the answer are encrypted to it.
    #[pyo3(signature = (target, method, args, kwargs = None, answer_key = None))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        target: String,
        method: String,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
        answer_key: Option<Key>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let answer_key = answer_key.map(|key| PublicKey::read(&key.0)).transpose();
        let answer_key = answer_key.map_err(|error| raised(py, &error))?;
        let stub = Stub { target, method, promise: Promise::Star, answer_key, ..Stub::default() };
        let callee = Callee { link: self.link.clone(), stub: Arc::new(stub), scope: Scope::default() };
        function::call(py, callee, args, kwargs)
    }

    /// Registers a service that stands ready as one dict; the future ends with its info. Without `notify` the
    /// server is not told.
    #[pyo3(signature = (service, overwrite, notify = true))]
    fn register_service<'py>(
        &self,
        py: Python<'py>,
        service: &Bound<'py, PyDict>,
        overwrite: bool,
        notify: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let connection = self.connection(py)?;
        let (pump, event_loop) = event_loop::current(py, Interpreter::get(py)?)?;
        pump.visit(&self.link);
        let mut draft = connection.begin_service();
        draft.is_local = !notify;
        let walked = Outbound::service(py, &self.link).put(&mut draft.writer, service.as_any());
        if let Err(error) = walked {
            self.link.release_all(py, draft.abandon());
            return Err(raised(py, &error));
        }
        let (id, future) = pump.expect(&event_loop, &self.link)?;
        connection.finish_service(id, draft, overwrite).map_err(|error| {
            pump.unexpect(py, id);
            raised(py, &error)
        })?;
        Ok(future)
    }

    /// Takes a service back here and says nothing to the server.
    fn remove_service(&self, py: Python<'_>, service_id: &str) -> PyResult<()> {
        self.connection(py)?.remove_service(service_id).map_err(|error| raised(py, &error))
    }

    /// Takes a service back; the future ends when the server knows.
    fn unregister_service<'py>(&self, py: Python<'py>, service_id: &str) -> PyResult<Bound<'py, PyAny>> {
        let connection = self.connection(py)?;
        let (pump, event_loop) = event_loop::current(py, Interpreter::get(py)?)?;
        pump.visit(&self.link);
        let (id, future) = pump.expect(&event_loop, &self.link)?;
        connection.unregister_service(id, service_id).map_err(|error| {
            pump.unexpect(py, id);
            raised(py, &error)
        })?;
        Ok(future)
    }

    /// Asks for events of these types, also after a reconnect; the future ends when the server knows.
    fn subscribe<'py>(&self, py: Python<'py>, types: Vec<String>) -> PyResult<Bound<'py, PyAny>> {
        self.expecting(py, move |connection, id| connection.subscribe(id, &types))
    }

    /// Asks for no more of them; the future ends when the server knows.
    fn unsubscribe<'py>(&self, py: Python<'py>, types: Vec<String>) -> PyResult<Bound<'py, PyAny>> {
        self.expecting(py, move |connection, id| connection.unsubscribe(id, &types))
    }

    /// Sends an event: a dict with `type` and, unless it is for the whole workspace, `to`.
    fn emit(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let message = value_of(message.as_any()).map_err(|error| raised(py, &error))?;
        self.connection(py)?.emit(&message).map_err(|error| raised(py, &error))
    }

    /// Takes a `polyfn.codecs.Codecs`, which is asked for every object that is sent.
    fn use_codecs(&self, codecs: Py<PyAny>) {
        self.link.use_codecs(codecs);
    }

    /// Says goodbye; the end is told by the event `closed`.
    fn close(&self) {
        self.link.close();
    }

    /// What the server said when it took the connection.
    #[getter]
    fn connection_info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        build_value(py, &self.link, &self.connection(py)?.connection_info().raw)
    }

    /// The own address, `workspace/client`.
    #[getter]
    fn address(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.connection(py)?.address())
    }

    /// The own public key in hexadecimal digits; None without encryption.
    #[getter]
    fn public_key(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.connection(py)?.public_key().map(|key| key.to_string()))
    }

    /// How much is held, by name: everything is bounded, and everything should come down to zero again.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let session = self.connection(py)?.statistics();
        let (pump, _) = event_loop::current(py, Interpreter::get(py)?)?;
        let numbers = PyDict::new(py);
        numbers.set_item("calls", session.calls)?;
        numbers.set_item("runs", session.runs)?;
        numbers.set_item("kept", session.kept)?;
        numbers.set_item("interfaces", session.interfaces)?;
        numbers.set_item("given", session.functions)?;
        numbers.set_item("chunks", session.chunks)?;
        numbers.set_item("transfers", session.transfers)?;
        numbers.set_item("outgoing_bytes", session.outgoing_bytes)?;
        numbers.set_item("functions", self.link.handler_count())?;
        numbers.set_item("generators", self.link.source_count())?;
        numbers.set_item("streams", pump.stream_count())?;
        numbers.set_item("futures", pump.pending_count())?;
        numbers.set_item("tasks", pump.task_count())?;
        Ok(numbers)
    }

    fn __repr__(&self) -> String {
        let address =
            self.link.connection().map_or_else(|_| "of another process".to_owned(), Connection::address);
        format!("<connection {address}>")
    }
}
