//! A server inside this process: thin handles on [`polyfn_server::Embedded`]. Everything friendly is in the Python half.

use std::mem::ManuallyDrop;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use polyfn_core::net::Connect;
use polyfn_core::{Error, ErrorKind};
use polyfn_server::cli::{self, Setting};
use polyfn_server::{Answered, Embedded, Requests, StartError, dev};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::error::raised;
use crate::runtime;

/// The servers of this process, for its end.
static SERVERS: Mutex<Vec<Weak<Embedded>>> = Mutex::new(Vec::new());

/// In a forked child: their threads are not there.
pub(crate) fn forget_all() {
    // Only attached threads take this lock, and only the one that forked is here.
    std::mem::forget(std::mem::take(&mut *SERVERS.lock()));
}

/// At the end of the process, detached: nobody is waited for but the threads themselves.
pub(crate) fn end_all() {
    let servers: Vec<_> = std::mem::take(&mut *SERVERS.lock());
    for server in servers.iter().filter_map(Weak::upgrade) {
        server.abort();
        server.stop();
    }
}

/// A server on a thread of its own.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct EmbeddedServer {
    generation: u64,
    /// Never dropped in a forked child: its locks may be held by a thread that is not there.
    server: ManuallyDrop<Arc<Embedded>>,
    requests: Arc<Requests>,
}

impl EmbeddedServer {
    /// The server, unless this process is a fork of the one that started it.
    fn server(&self, py: Python<'_>) -> PyResult<&Arc<Embedded>> {
        if self.generation == runtime::generation() {
            return Ok(&self.server);
        }
        let text =
            "this process was forked from the one that started the server: start another one after fork";
        Err(raised(py, &Error::new(ErrorKind::PeerGone, text)))
    }

    pub(crate) fn connector(&self, py: Python<'_>) -> PyResult<Arc<dyn Connect>> {
        self.server(py).map(|server| server.connector())
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        if self.generation == runtime::generation() {
            // SAFETY: this is the only place that drops it, and nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.server) }
        }
    }
}

#[pymethods]
impl EmbeddedServer {
    /// Starts a server with settings by the names of the flags; blocks until it listens. With `observes` it keeps
    /// the requests for `requests`.
    #[staticmethod]
    #[pyo3(signature = (settings, observes = false))]
    fn start(py: Python<'_>, settings: &Bound<'_, PyDict>, observes: bool) -> PyResult<Self> {
        let settings = read(settings)?;
        let requests = Arc::new(Requests::default());
        let kept = requests.clone();
        let started = py.detach(move || {
            let mut settings = cli::embedded(&settings).map_err(StartError::from)?;
            if observes {
                settings.observer = Some(Arc::new(move |answered| _ = kept.push(answered)));
            }
            Embedded::start(settings)
        });
        let server = Arc::new(started.map_err(|error| raised(py, &error.into()))?);
        let mut servers = SERVERS.lock();
        servers.retain(|server| server.strong_count() > 0);
        servers.push(Arc::downgrade(&server));
        Ok(Self { generation: runtime::generation(), server: ManuallyDrop::new(server), requests })
    }

    /// Stops it, and blocks until its thread has ended; whether everything ended by itself in time.
    fn stop(&self, py: Python<'_>) -> PyResult<bool> {
        let server = self.server(py)?.clone();
        let requests = self.requests.clone();
        Ok(py.detach(move || {
            let ended = server.stop();
            requests.close();
            ended
        }))
    }

    /// Has it end at once.
    fn abort(&self, py: Python<'_>) -> PyResult<()> {
        self.server(py)?.abort();
        Ok(())
    }

    /// Blocks until requests were answered, for `timeout` seconds at most; None when no more will come. Each has its
    /// method, path, status, seconds, and a line that says all that.
    fn requests(&self, py: Python<'_>, timeout: f64) -> Option<Vec<Shown>> {
        let limit = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        let requests = self.requests.clone();
        let answered = py.detach(move || requests.wait(limit))?;
        Some(answered.into_iter().map(shown).collect())
    }

    #[getter]
    fn url(&self) -> &str {
        self.server.url()
    }

    #[getter]
    fn root_token(&self) -> &str {
        self.server.root_token()
    }
}

/// Method, path, status, seconds, and the line.
type Shown = (String, String, u16, f64, String);

fn shown(answered: Answered) -> Shown {
    let line = dev::request(&answered);
    let Answered { method, path, status, time } = answered;
    (method.to_string(), path, status, time.as_secs_f64(), line)
}

/// What is None is left out.
fn read(settings: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Setting)>> {
    let mut read = Vec::new();
    for (name, value) in settings.iter().filter(|(_, value)| !value.is_none()) {
        // before anything else: a truth value is a number too
        let setting = if let Ok(flag) = value.cast::<PyBool>() {
            Setting::Flag(flag.is_true())
        } else if value.is_instance_of::<PyString>() {
            Setting::Text(value.extract()?)
        } else if let Ok(items) = value.extract::<Vec<String>>() {
            Setting::List(items)
        } else {
            Setting::Text(value.str()?.extract()?)
        };
        read.push((name.extract()?, setting));
    }
    Ok(read)
}
