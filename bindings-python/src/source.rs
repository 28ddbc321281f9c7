//! Generators of ours that peers read: as many items at a time as the peer takes, and no more than a slice of time.
//!
//! A plain generator is stepped in the drain, an asynchronous one by `polyfn.streams.produce`, a coroutine that
//! begins and goes on like that of a function (`step.rs`): what it has at hand goes into one message.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyfn_core::codec::Handle;
use polyfn_core::session::{ItemsDraft, StreamEnd};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;

use crate::callback::{self, Job, Waiter};
use crate::convert::Outbound;
use crate::error::{from_exception, internal, is_ordinary, raised};
use crate::interpreter::{Interpreter, method0, method1};
use crate::link::Link;
use crate::pump::{Owner, Pump, settle};

/// How long a generator may go on before other callbacks of the loop get their turn.
const SLICE: Duration = Duration::from_millis(2);

/// A generator, and what is under way for it.
pub(crate) struct Source {
    link: Arc<Link>,
    handle: OnceLock<Handle>,
    /// Where it was made: what it sets there it finds again.
    context: Py<PyAny>,
    is_async: bool,
    state: Mutex<State>,
}

struct State {
    /// None once it was closed.
    items: Option<Py<PyAny>>,
    /// Where an asynchronous one runs, from its first item on.
    pump: Option<Arc<Pump>>,
    /// Items that were not sent yet.
    draft: Option<ItemsDraft>,
    /// The coroutine waits for it to be told that more items are wanted.
    waiter: Option<Py<PyAny>>,
    /// An item that came when none was wanted; the coroutine waits until it is written.
    held: Option<Py<PyAny>>,
    /// Since when it has had the loop for itself.
    since: Option<Instant>,
    /// It ended when nobody had asked for more.
    end: Option<StreamEnd>,
}

impl Source {
    pub(crate) fn new(link: Arc<Link>, context: Py<PyAny>, items: Py<PyAny>, is_async: bool) -> Arc<Self> {
        let (pump, draft, waiter, held) = (None, None, None, None);
        let state = State { items: Some(items), pump, draft, waiter, held, since: None, end: None };
        Arc::new(Self { link, handle: OnceLock::new(), context, is_async, state: Mutex::new(state) })
    }

    pub(crate) fn name(&self, handle: Handle) {
        let _ = self.handle.set(handle);
    }

    /// Whose task it is that produces.
    pub(crate) fn owner(&self) -> Owner {
        Owner::Source(self.handle.get().copied().unwrap_or_default())
    }

    fn begin(&self) -> Option<ItemsDraft> {
        self.link.connection().ok()?.begin_items(*self.handle.get()?)
    }

    fn finish(&self, draft: ItemsDraft, end: StreamEnd) {
        if let Ok(connection) = self.link.connection() {
            connection.finish_items(draft, end);
        }
    }

    /// A peer wants items.
    pub(crate) fn pull(self: &Arc<Self>, py: Python<'_>, pump: &Arc<Pump>) -> PyResult<()> {
        if !self.is_async {
            let Some(draft) = self.begin() else { return Ok(()) };
            let batch = Batch { source: self.clone(), draft: Mutex::new(Some(draft)) };
            return method1(self.context.bind(py), intern!(py, "run"), Bound::new(py, batch)?.as_any())
                .map(drop);
        }
        let (end, waiter, is_first, items) = {
            let mut state = self.state.lock();
            let is_first = state.pump.is_none();
            state.pump.get_or_insert_with(|| pump.clone());
            state.since = None;
            (
                state.end.take(),
                state.waiter.take(),
                is_first,
                state.items.as_ref().map(|items| items.clone_ref(py)),
            )
        };
        if let Some(end) = end {
            self.end(end);
            return Ok(());
        }
        if let Some(waiter) = waiter {
            let written = match self.write_held(py) {
                Ok(true) => Ok(py.None().into_bound(py)),
                // Still not wanted: the next pull tells.
                Ok(false) => {
                    self.state.lock().waiter = Some(waiter);
                    return Ok(());
                }
                Err(error) => Err(error.into_value(py).into_bound(py).into_any()),
            };
            return settle(py, waiter.bind(py), &written);
        }
        match items {
            Some(items) if is_first => self.start(py, pump, items),
            _ => Ok(()),
        }
    }

    fn start(self: &Arc<Self>, py: Python<'_>, pump: &Arc<Pump>, items: Py<PyAny>) -> PyResult<()> {
        let put = Bound::new(py, Put { source: self.clone() })?;
        let job = Job {
            link: self.link.clone(),
            waiter: Waiter::Reader(self.clone()),
            pump: pump.clone(),
            context: self.context.clone_ref(py),
            is_event: false,
        };
        let produce = Interpreter::get(py)?.produce.bind(py).clone();
        callback::run(py, job, produce, (items, put).into_pyobject(py)?, None)
    }

    /// Writes what a plain generator has, until nobody wants more or the slice is over.
    fn fill(&self, py: Python<'_>, draft: &mut ItemsDraft) -> (StreamEnd, PyResult<()>) {
        let items = self.state.lock().items.as_ref().map(|items| items.clone_ref(py));
        let Some(items) = items else { return (StreamEnd::Done, Ok(())) };
        let until = Instant::now() + SLICE;
        let outbound = Outbound::new(py, &self.link).within(self.context.bind(py));
        while !draft.is_full() {
            // SAFETY: `items` is an iterator and alive; the call gives a new reference, or null at the end or
            // with an error set.
            let item = unsafe { Bound::from_owned_ptr_or_opt(py, ffi::PyIter_Next(items.as_ptr())) };
            let Some(item) = item else {
                return match PyErr::take(py) {
                    None => (StreamEnd::Done, Ok(())),
                    Some(error) => failed(py, error),
                };
            };
            if let Err(error) = draft.item(|out| outbound.put(out, &item)) {
                let error = raised(py, &error.at("item"));
                // we are in its context already
                report(method0(items.bind(py), intern!(py, "close")), items.bind(py));
                return failed(py, error);
            }
            if Instant::now() >= until {
                break;
            }
        }
        (StreamEnd::More, Ok(()))
    }

    /// Takes an item of an asynchronous generator; gives what to wait for before the next one.
    fn put<'py>(self: &Arc<Self>, item: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = item.py();
        let open = self.state.lock().draft.take();
        let Some(mut draft) = open.or_else(|| self.begin()) else {
            self.state.lock().held = Some(item.clone().unbind());
            return self.wait(py).map(Some);
        };
        let outbound = Outbound::new(py, &self.link).within(self.context.bind(py));
        let written = draft.item(|out| outbound.put(out, item));
        let (is_full, is_first) = (draft.is_full(), draft.len() == 1);
        if let Err(error) = written {
            self.state.lock().draft = Some(draft);
            return Err(raised(py, &error.at("item")));
        }
        if !is_full {
            self.state.lock().draft = Some(draft);
            if is_first {
                self.flush_soon(py)?;
            }
            return self.pause(py);
        }
        self.finish(draft, StreamEnd::More);
        match self.begin() {
            Some(draft) => {
                self.state.lock().draft = Some(draft);
                self.pause(py)
            }
            None => self.wait(py).map(Some),
        }
    }

    /// Writes the item that was held back, if there is one; `false` when it is not wanted yet.
    fn write_held(self: &Arc<Self>, py: Python<'_>) -> PyResult<bool> {
        let Some(item) = self.state.lock().held.take() else { return Ok(true) };
        let Some(mut draft) = self.begin() else {
            self.state.lock().held = Some(item);
            return Ok(false);
        };
        let outbound = Outbound::new(py, &self.link).within(self.context.bind(py));
        let written = draft.item(|out| outbound.put(out, item.bind(py)));
        self.state.lock().draft = Some(draft);
        written.map_err(|error| raised(py, &error.at("item")))?;
        self.flush_soon(py)?;
        Ok(true)
    }

    fn event_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pump = self.state.lock().pump.clone();
        pump.ok_or_else(|| internal(py, "a generator without a loop"))?.event_loop(py)
    }

    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let future = method0(&self.event_loop(py)?, intern!(py, "create_future"))?;
        let former = self.state.lock().waiter.replace(future.clone().unbind());
        drop(former);
        Ok(future)
    }

    /// What is at hand leaves as soon as the generator waits for something.
    fn flush_soon(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let flush = Bound::new(py, Flush { source: self.clone() })?;
        method1(&self.event_loop(py)?, intern!(py, "call_soon"), flush.as_any()).map(drop)
    }

    fn flush(&self) {
        let draft = {
            let mut state = self.state.lock();
            state.since = None;
            state.draft.take()
        };
        if let Some(draft) = draft {
            self.finish(draft, StreamEnd::More);
        }
    }

    /// After a slice of time the loop gets its turn.
    fn pause<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.state.lock().since.get_or_insert_with(Instant::now).elapsed() < SLICE {
            return Ok(None);
        }
        self.flush();
        Interpreter::get(py)?.sleep.bind(py).call1((0,)).map(Some)
    }

    /// The coroutine has ended. What must not be caught comes back.
    pub(crate) fn ended(&self, py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> PyResult<()> {
        let (end, rest) = match result {
            Ok(_) => (StreamEnd::Done, Ok(())),
            Err(error) => failed(py, error),
        };
        self.end(end);
        rest
    }

    fn end(&self, end: StreamEnd) {
        let open = self.state.lock().draft.take();
        match open.or_else(|| self.begin()) {
            Some(draft) => self.finish(draft, end),
            None => self.state.lock().end = Some(end),
        }
    }

    /// Nobody wants more items: the generator is closed at once, wherever it stands.
    pub(crate) fn close(&self, py: Python<'_>) {
        self.flush();
        let (items, pump) = {
            let mut state = self.state.lock();
            (state.items.take(), state.pump.take())
        };
        match (items, pump) {
            (_, Some(pump)) => pump.cancel_task(py, (self.link.number, self.owner())),
            // An asynchronous one that never began has nothing to clean up.
            (Some(items), None) if !self.is_async => self.close_plain(items.bind(py)),
            _ => {}
        }
    }

    fn close_plain(&self, items: &Bound<'_, PyAny>) {
        let py = items.py();
        let closed = items
            .getattr(intern!(py, "close"))
            .and_then(|close| method1(self.context.bind(py), intern!(py, "run"), &close));
        report(closed, items);
    }
}

/// Nobody waits for what went wrong while a generator was closed.
fn report(closed: PyResult<Bound<'_, PyAny>>, items: &Bound<'_, PyAny>) {
    if let Err(error) = closed {
        error.write_unraisable(items.py(), Some(items));
    }
}

/// The end of a generator that raised; beside it what must not be caught.
fn failed(py: Python<'_>, error: PyErr) -> (StreamEnd, PyResult<()>) {
    let end = StreamEnd::Failed(from_exception(py, &error));
    (end, if is_ordinary(py, &error) { Ok(()) } else { Err(error) })
}

/// A turn of a plain generator; called once, inside its context.
#[pyclass(frozen, module = "polyfn._native")]
struct Batch {
    source: Arc<Source>,
    draft: Mutex<Option<ItemsDraft>>,
}

#[pymethods]
impl Batch {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let Some(mut draft) = self.draft.lock().take() else { return Ok(()) };
        let (end, rest) = self.source.fill(py, &mut draft);
        self.source.finish(draft, end);
        rest
    }
}

/// What `polyfn.streams.produce` calls with each item.
#[pyclass(frozen, module = "polyfn._native")]
struct Put {
    source: Arc<Source>,
}

#[pymethods]
impl Put {
    fn __call__<'py>(&self, item: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.source.put(item)
    }
}

/// What the loop calls after the first item of each message.
#[pyclass(frozen, module = "polyfn._native")]
struct Flush {
    source: Arc<Source>,
}

#[pymethods]
impl Flush {
    fn __call__(&self) {
        self.source.flush();
    }
}
