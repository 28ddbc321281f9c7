//! One connection as Python holds it: the core's handle, and the functions that peers may call through it.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use polyfn_core::codec::Handle;
use polyfn_core::net::Connection;
use polyfn_core::{Error, ErrorKind, Result};
use pyo3::prelude::*;

use crate::inbox::Mailbox;
use crate::runtime;
use crate::source::Source;

/// A connection. Functions of peers, the connection object and the pump share it.
pub(crate) struct Link {
    pub(crate) number: u64,
    /// The number of the pump of the loop that connected.
    pub(crate) home: u64,
    generation: u64,
    /// Never dropped in a forked child: its locks may be held by a thread that is not there.
    connection: ManuallyDrop<Connection>,
    handlers: Mutex<HashMap<Handle, Py<PyAny>>>,
    sources: Mutex<HashMap<Handle, Arc<Source>>>,
    last_handle: AtomicU64,
    /// `on_event(kind, data)` of the Python half; gone with the connection, because it holds its object.
    on_event: Mutex<Option<Py<PyAny>>>,
    /// Resolved with the connection object when the workspace is joined.
    pub(crate) opening: Mutex<Option<Py<PyAny>>>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// `polyfn.codecs.Codecs`, once the program has registered a codec.
    codecs: Mutex<Option<Py<PyAny>>>,
    /// What stands between the connection and a program that blocks: `polyfn.client.Hooks`.
    hooks: Mutex<Option<Py<PyAny>>>,
    /// We said goodbye ourselves, so what fails because of it is no news.
    is_closing: AtomicBool,
}

static LINKS: Mutex<Vec<Weak<Link>>> = Mutex::new(Vec::new());
static LAST: AtomicU64 = AtomicU64::new(0);

/// A number for a connection that is to be made.
pub(crate) fn next_number() -> u64 {
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Says goodbye on every connection of this process.
pub(crate) fn close_all() {
    let links: Vec<_> = LINKS.lock().iter().filter_map(Weak::upgrade).collect();
    links.iter().for_each(|link| link.close());
}

impl Link {
    pub(crate) fn new(
        number: u64,
        home: u64,
        connection: Connection,
        mailbox: Arc<Mailbox>,
        on_event: Py<PyAny>,
        opening: Py<PyAny>,
    ) -> Arc<Self> {
        let link = Arc::new(Self {
            number,
            home,
            generation: runtime::generation(),
            connection: ManuallyDrop::new(connection),
            handlers: Mutex::default(),
            sources: Mutex::default(),
            last_handle: AtomicU64::new(0),
            on_event: Mutex::new(Some(on_event)),
            opening: Mutex::new(Some(opening)),
            mailbox,
            codecs: Mutex::default(),
            hooks: Mutex::default(),
            is_closing: AtomicBool::new(false),
        });
        let mut links = LINKS.lock();
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        link
    }

    /// The core's connection, unless this process is a fork of the one that made it.
    pub(crate) fn connection(&self) -> Result<&Connection> {
        if self.is_ours() {
            return Ok(&self.connection);
        }
        Err(Error::new(
            ErrorKind::PeerGone,
            "this process was forked from the one that connected: connect again after fork",
        ))
    }

    fn is_ours(&self) -> bool {
        self.generation == runtime::generation()
    }

    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        if let Ok(connection) = self.connection() {
            connection.close();
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Notes a function that is about to be given away.
    pub(crate) fn add_handler(&self, function: Py<PyAny>) -> Handle {
        let handle = self.last_handle.fetch_add(1, Ordering::Relaxed) + 1;
        self.handlers.lock().insert(handle, function);
        handle
    }

    pub(crate) fn handler<'py>(&self, py: Python<'py>, handle: Handle) -> Option<Bound<'py, PyAny>> {
        self.handlers.lock().get(&handle).map(|function| function.bind(py).clone())
    }

    /// Notes a generator that is about to be given away.
    pub(crate) fn add_source(&self, source: Arc<Source>) -> Handle {
        let handle = self.last_handle.fetch_add(1, Ordering::Relaxed) + 1;
        source.name(handle);
        self.sources.lock().insert(handle, source);
        handle
    }

    pub(crate) fn source(&self, handle: Handle) -> Option<Arc<Source>> {
        self.sources.lock().get(&handle).cloned()
    }

    /// Lets go of a function, or closes a generator.
    pub(crate) fn release(&self, py: Python<'_>, handle: Handle) {
        let function = self.handlers.lock().remove(&handle);
        let source = self.sources.lock().remove(&handle);
        // Only now, without the locks: both can run any code.
        drop(function);
        if let Some(source) = source {
            source.close(py);
        }
    }

    /// Closes all generators: nobody can read them any longer.
    pub(crate) fn close_sources(&self, py: Python<'_>) {
        let sources = std::mem::take(&mut *self.sources.lock());
        sources.values().for_each(|source| source.close(py));
    }

    /// Lets go of what was written into a message that is not sent.
    pub(crate) fn release_all(&self, py: Python<'_>, handles: Vec<Handle>) {
        handles.into_iter().for_each(|handle| self.release(py, handle));
    }

    pub(crate) fn on_event<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.on_event.lock().as_ref().map(|on_event| on_event.bind(py).clone())
    }

    pub(crate) fn codecs<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.codecs.lock().as_ref().map(|codecs| codecs.bind(py).clone())
    }

    pub(crate) fn use_codecs(&self, codecs: Py<PyAny>) {
        let former = self.codecs.lock().replace(codecs);
        drop(former);
    }

    pub(crate) fn use_hooks(&self, hooks: Py<PyAny>) {
        let former = self.hooks.lock().replace(hooks);
        drop(former);
    }

    /// What peers get in place of a function or a generator of the program.
    pub(crate) fn given<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.hook("given", object)
    }

    /// What the program gets in place of a function or a generator of a peer.
    pub(crate) fn received<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.hook("received", object)
    }

    fn hook<'py>(&self, name: &str, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let hooks = self.hooks.lock().as_ref().map(|hooks| hooks.bind(object.py()).clone());
        hooks.map_or_else(|| Ok(object.clone()), |hooks| hooks.call_method1(name, (object,)))
    }

    /// The connection is over: lets go of everything that belongs to the program.
    pub(crate) fn let_go(&self) {
        let functions = std::mem::take(&mut *self.handlers.lock());
        let sources = std::mem::take(&mut *self.sources.lock());
        let on_event = self.on_event.lock().take();
        let codecs = self.codecs.lock().take();
        let hooks = self.hooks.lock().take();
        drop((functions, sources, on_event, codecs, hooks));
    }

    pub(crate) fn handler_count(&self) -> usize {
        self.handlers.lock().len()
    }

    pub(crate) fn source_count(&self) -> usize {
        self.sources.lock().len()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_ours() {
            self.connection.close();
            // SAFETY: this is the only place that drops it, and nothing uses it afterwards.
            unsafe { ManuallyDrop::drop(&mut self.connection) }
        }
    }
}
