//! Generators of peers, as Python reads them: items that have come are there without a turn of the loop.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use polyfn_core::Result;
use polyfn_core::codec::StreamStub;
use polyfn_core::session::{Payload, StreamId};
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::Inbound;
use crate::error::{exception, raised};
use crate::event_loop;
use crate::interpreter::{Interpreter, method0};
use crate::link::Link;
use crate::pump::{Pump, settle};

/// A generator of a peer: `async for` goes over its items.
///
/// It is closed at the peer when `async with` or `aclose()` ends it, and at the latest when nobody holds it.
#[pyclass(frozen, weakref, module = "polyfn._native")]
pub(crate) struct RemoteStream {
    reading: Arc<Reading>,
}

/// What is known of a generator that is read.
pub(crate) struct Reading {
    link: Arc<Link>,
    stub: StreamStub,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Its number and where it is read, from the first item on.
    open: Option<(StreamId, Weak<Pump>)>,
    parts: VecDeque<Part>,
    /// How it ended, behind the parts.
    end: Option<Result<()>>,
    waiter: Option<Py<PyAny>>,
}

/// Items that came together.
struct Part {
    items: Payload,
    /// Where the next one begins.
    at: usize,
    left: u32,
    count: u32,
}

enum Next<'py> {
    Item(Bound<'py, PyAny>),
    End,
    /// To be waited for.
    Later(Bound<'py, PyAny>),
}

impl Reading {
    /// Items have come, or the end.
    pub(crate) fn receive(
        &self,
        py: Python<'_>,
        items: Payload,
        count: u32,
        end: Option<Result<()>>,
    ) -> PyResult<()> {
        let mut reader = items.reader();
        let at = reader.list().map(|_| reader.position()).map_err(|error| raised(py, &error))?;
        let waiter = {
            let mut state = self.state.lock();
            if count > 0 {
                state.parts.push_back(Part { items, at, left: count, count });
            }
            state.end = end.or(state.end.take());
            state.waiter.take()
        };
        match waiter {
            Some(waiter) => settle(py, waiter.bind(py), &Ok(py.None().into_bound(py))),
            None => Ok(()),
        }
    }

    fn next<'py>(self: &Arc<Self>, py: Python<'py>) -> PyResult<Next<'py>> {
        loop {
            let mut state = self.state.lock();
            match state.parts.pop_front() {
                // Not put back: who asks for the next item has used these up.
                Some(Part { left: 0, count, .. }) => {
                    let open = state.open.as_ref().map(|(id, _)| *id);
                    let is_over = state.end.is_some();
                    drop(state);
                    if let (Some(id), false, Ok(connection)) = (open, is_over, self.link.connection()) {
                        connection.grant(id, count);
                    }
                }
                // Out of the queue while it is decoded, which may run any code.
                Some(mut part) => {
                    let pump = state.open.as_ref().and_then(|(_, pump)| pump.upgrade());
                    drop(state);
                    let item = self.decode(py, pump.as_deref(), &mut part);
                    self.state.lock().parts.push_front(part);
                    return item.map(Next::Item);
                }
                None => {
                    let end = state.end.take();
                    state.end = end.is_some().then_some(Ok(()));
                    drop(state);
                    return match end {
                        None => self.wait(py).map(Next::Later),
                        Some(Ok(())) => Ok(Next::End),
                        // Told once, as generators do.
                        Some(Err(error)) => Err(PyErr::from_value(exception(py, &error)?)),
                    };
                }
            }
        }
    }

    fn decode<'py>(
        self: &Arc<Self>,
        py: Python<'py>,
        pump: Option<&Pump>,
        part: &mut Part,
    ) -> PyResult<Bound<'py, PyAny>> {
        let interpreter = Interpreter::get(py)?;
        let pump = pump.ok_or_else(gone)?;
        let (made, at) = pump.with_keys(|keys| {
            let mut reader = part.items.reader().starting_at(part.at);
            let made = reader.build(&mut Inbound::new(py, interpreter, keys, &self.link));
            (made, reader.position())
        });
        match made {
            Ok(item) => {
                (part.at, part.left) = (at, part.left - 1);
                Ok(item)
            }
            Err(error) => {
                // Where the next item begins is not known.
                part.left = 0;
                self.close(py);
                Err(raised(py, &error.at("item")))
            }
        }
    }

    /// A future that is done when there is more; the first time it opens the stream.
    fn wait<'py>(self: &Arc<Self>, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (pump, event_loop) = event_loop::current(py, Interpreter::get(py)?)?;
        let (home, former) = {
            let state = self.state.lock();
            let home = state.open.as_ref().map(|(_, home)| home.as_ptr());
            (home, state.waiter.as_ref().map(|waiter| waiter.clone_ref(py)))
        };
        match home {
            Some(home) if !std::ptr::eq(home, Arc::as_ptr(&pump)) => {
                return Err(PyRuntimeError::new_err("a stream is read on one event loop only"));
            }
            Some(_) => {}
            None => self.open(py, &pump)?,
        }
        if let Some(former) = former
            && !method0(former.bind(py), intern!(py, "done"))?.is_truthy()?
        {
            return Err(PyRuntimeError::new_err("another task waits for the next item of this stream"));
        }
        let future = method0(&event_loop, intern!(py, "create_future"))?;
        self.state.lock().waiter = Some(future.clone().unbind());
        // As `Future.__await__` marks what it hands to the task.
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        Ok(future)
    }

    fn open(self: &Arc<Self>, py: Python<'_>, pump: &Arc<Pump>) -> PyResult<()> {
        pump.visit(&self.link);
        let id = pump.add_stream(self);
        self.state.lock().open = Some((id, Arc::downgrade(pump)));
        let opened = self.link.connection().and_then(|connection| connection.open_stream(id, &self.stub));
        opened.map_err(|error| {
            pump.drop_stream(id);
            self.state.lock().end = Some(Ok(()));
            raised(py, &error)
        })
    }

    /// Ends it here and at the peer.
    fn close(&self, py: Python<'_>) {
        let (open, was_over, waiter, parts) = {
            let mut state = self.state.lock();
            let was_over = state.end.replace(Ok(())).is_some();
            (state.open.take(), was_over, state.waiter.take(), std::mem::take(&mut state.parts))
        };
        drop(parts);
        if let Some((id, pump)) = &open
            && let Some(pump) = pump.upgrade()
        {
            pump.drop_stream(*id);
        }
        match (self.link.connection(), open) {
            _ if was_over => {}
            (Ok(connection), Some((id, _))) => connection.close_stream(id),
            (Ok(connection), None) => connection.discard_stream(&self.stub),
            (Err(_), _) => {}
        }
        if let Some(waiter) = waiter {
            // It may belong to a loop that is closed: then nobody waits.
            let _ = settle(py, waiter.bind(py), &Ok(py.None().into_bound(py)));
        }
    }
}

fn gone() -> PyErr {
    PyRuntimeError::new_err("the event loop of this stream is gone")
}

impl RemoteStream {
    pub(crate) fn new(link: Arc<Link>, stub: StreamStub) -> Self {
        Self { reading: Arc::new(Reading { link, stub, state: Mutex::default() }) }
    }
}

#[pymethods]
impl RemoteStream {
    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(slf: Py<Self>) -> Step {
        Step { stream: Some(slf), value: None }
    }

    /// Ends the generator at the peer, now.
    fn aclose(&self, py: Python<'_>) -> Step {
        self.reading.close(py);
        Step { stream: None, value: None }
    }

    fn __aenter__(slf: Py<Self>) -> Step {
        Step { stream: None, value: Some(slf.into_any()) }
    }

    #[pyo3(signature = (*_error))]
    fn __aexit__(&self, py: Python<'_>, _error: &Bound<'_, PyTuple>) -> Step {
        self.aclose(py)
    }

    fn __repr__(&self) -> String {
        format!("<stream {} of {}>", self.reading.stub.method, self.reading.stub.target)
    }
}

impl Drop for RemoteStream {
    fn drop(&mut self) {
        Python::attach(|py| {
            // It may be let go of while an exception passes, which what is called here would replace.
            let passing = PyErr::take(py);
            self.reading.close(py);
            if let Some(passing) = passing {
                passing.restore(py);
            }
        });
    }
}

/// What is awaited for an item, or for a value that is there.
#[pyclass(frozen, module = "polyfn._native")]
struct Step {
    stream: Option<Py<RemoteStream>>,
    value: Option<Py<PyAny>>,
}

#[pymethods]
impl Step {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// What is at hand ends the waiting at once; a future goes on to the task.
    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(stream) = &self.stream else {
            return Err(PyStopIteration::new_err((self.value.as_ref().map(|value| value.clone_ref(py)),)));
        };
        match stream.get().reading.next(py)? {
            Next::Item(item) => Err(PyStopIteration::new_err((item.unbind(),))),
            Next::End => Err(PyStopAsyncIteration::new_err(())),
            Next::Later(future) => Ok(future),
        }
    }
}
