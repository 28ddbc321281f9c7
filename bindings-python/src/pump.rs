//! Batches into an event loop's own thread. One pump for each loop.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polyfn_core::codec::{Handle, Reader};
use polyfn_core::session::{CallId, Event, Payload, RunId, State, StreamId};
use polyfn_core::{Error, ErrorKind};
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;

use crate::callback;
use crate::client::Client;
use crate::convert::{Inbound, Keys};
use crate::error::{exception, raised};
use crate::held::Held;
use crate::inbox::{Inbox, Item, call_id};
use crate::interpreter::{Interpreter, method0, method1};
use crate::link::Link;
use crate::stream::Reading;
use crate::wake::Wake;
use crate::{event_loop, runtime};

/// Items worked off before other callbacks of the loop get their turn.
const TURN: usize = 256;
/// Time after which they do in any case: functions and generators may take their time.
const LONGEST_TURN: Duration = Duration::from_millis(5);

/// Ids are numbers in a row: they spread by themselves.
#[derive(Default)]
pub(crate) struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// Whose task it is, on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Run(RunId),
    Source(Handle),
    /// Nobody waits for it, and nobody will cancel it.
    Nobody(u64),
}

/// The number of a connection, and which of its tasks.
pub(crate) type TaskKey = (u64, Owner);

type Table<T> = HashMap<u64, T, BuildHasherDefault<ById>>;

/// A call that is under way.
struct Pending {
    future: Py<PyAny>,
    link: Arc<Link>,
}

/// What one loop waits for.
pub(crate) struct Pump {
    pub(crate) number: u64,
    generation: u64,
    pub(crate) inbox: Arc<Inbox>,
    /// Weak: a loop that nobody uses any longer must be able to go.
    event_loop: Py<PyWeakrefReference>,
    pending: Mutex<Table<Pending>>,
    backlog: Mutex<VecDeque<Item>>,
    last: AtomicU64,
    /// Connections made on this loop. They live until they are closed, whether or not the program keeps them.
    own: Mutex<HashMap<u64, Arc<Link>>>,
    /// Connections of other loops that are called from this one.
    guests: Mutex<Vec<Weak<Link>>>,
    /// Taken while in use, so that a nested drain makes its own.
    keys: Mutex<Option<Keys>>,
    /// Tasks of functions that run; asyncio itself holds them weakly.
    tasks: Mutex<HashMap<TaskKey, Py<PyAny>>>,
    /// Functions that will run when their arguments are there as a whole.
    arriving: Mutex<HashSet<TaskKey>>,
    /// Generators of peers that are read here; those that nobody holds close themselves.
    streams: Mutex<Table<Weak<Reading>>>,
    pub(crate) held: Mutex<VecDeque<Held>>,
    canceller: Py<PyAny>,
}

static LAST: AtomicU64 = AtomicU64::new(0);

impl Pump {
    pub(crate) fn new(event_loop: Py<PyWeakrefReference>, canceller: Py<PyAny>, wake: Wake) -> Self {
        Self {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            generation: runtime::generation(),
            inbox: Arc::new(Inbox::new(wake)),
            event_loop,
            pending: Mutex::default(),
            backlog: Mutex::default(),
            last: AtomicU64::new(0),
            own: Mutex::default(),
            guests: Mutex::default(),
            keys: Mutex::default(),
            tasks: Mutex::default(),
            arriving: Mutex::default(),
            streams: Mutex::default(),
            held: Mutex::default(),
            canceller,
        }
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn event_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        use pyo3::types::PyWeakrefMethods as _;
        self.event_loop
            .bind(py)
            .upgrade()
            .ok_or_else(|| PyRuntimeError::new_err("the event loop of this connection is gone"))
    }

    pub(crate) fn is_of(&self, event_loop: &Bound<'_, PyAny>) -> bool {
        self.event_loop(event_loop.py()).is_ok_and(|own| own.is(event_loop))
    }

    /// A connection made on this loop.
    pub(crate) fn own(&self, link: Arc<Link>) {
        self.own.lock().insert(link.number, link);
    }

    /// A connection that is called from this loop.
    pub(crate) fn visit(&self, link: &Arc<Link>) {
        if link.home == self.number {
            return;
        }
        link.mailbox.add(self.number, &self.inbox);
        let mut guests = self.guests.lock();
        if !guests.iter().any(|guest| std::ptr::eq(guest.as_ptr(), Arc::as_ptr(link))) {
            guests.retain(|guest| guest.strong_count() > 0);
            guests.push(Arc::downgrade(link));
        }
    }

    /// A future for a call that is about to be sent, and the call's id.
    pub(crate) fn expect<'py>(
        &self,
        event_loop: &Bound<'py, PyAny>,
        link: &Arc<Link>,
    ) -> PyResult<(CallId, Bound<'py, PyAny>)> {
        let py = event_loop.py();
        let future = method0(event_loop, intern!(py, "create_future"))?;
        // Taken off again before the result is set, so it costs the loop nothing unless the call is cancelled.
        method1(&future, intern!(py, "add_done_callback"), self.canceller.bind(py))?;
        let id = call_id(self.number, self.last.fetch_add(1, Ordering::Relaxed) + 1);
        let pending = Pending { future: future.clone().unbind(), link: link.clone() };
        self.pending.lock().insert(id, pending);
        Ok((id, future))
    }

    /// Takes back what `expect` noted; the future is done with.
    pub(crate) fn unexpect(&self, py: Python<'_>, id: CallId) {
        let pending = self.pending.lock().remove(&id);
        if let Some(pending) = pending {
            // Nobody has seen the future: there is nothing to tell.
            let _ = method1(
                pending.future.bind(py),
                intern!(py, "remove_done_callback"),
                self.canceller.bind(py),
            );
        }
    }

    pub(crate) fn is_expected(&self, id: CallId) -> bool {
        self.pending.lock().contains_key(&id)
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.pending.lock().len()
    }

    pub(crate) fn task_count(&self) -> usize {
        self.tasks.lock().len()
    }

    pub(crate) fn keep_task(&self, key: TaskKey, task: Py<PyAny>) {
        self.tasks.lock().insert(key, task);
    }

    /// A function waits for its arguments.
    pub(crate) fn begin_arrival(&self, key: TaskKey) {
        self.arriving.lock().insert(key);
    }

    /// They are there; whether anybody still wants what it is for.
    pub(crate) fn end_arrival(&self, key: TaskKey) -> bool {
        self.arriving.lock().remove(&key)
    }

    pub(crate) fn drop_task(&self, key: TaskKey) {
        let task = self.tasks.lock().remove(&key);
        drop(task);
    }

    /// Nobody wants any longer what a task is for. It hears of it as of any cancellation, and ends in its own way.
    pub(crate) fn cancel_task(&self, py: Python<'_>, key: TaskKey) {
        self.arriving.lock().remove(&key);
        let task = self.tasks.lock().get(&key).map(|task| task.clone_ref(py));
        // On a loop that is closed meanwhile no task goes on.
        let _ = task.map(|task| method0(task.bind(py), intern!(py, "cancel")));
    }

    pub(crate) fn add_stream(&self, reading: &Arc<Reading>) -> StreamId {
        let id = call_id(self.number, self.next_key());
        self.streams.lock().insert(id, Arc::downgrade(reading));
        id
    }

    pub(crate) fn drop_stream(&self, id: StreamId) {
        self.streams.lock().remove(&id);
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.streams.lock().len()
    }

    /// A number for a task that is to be kept.
    pub(crate) fn next_key(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn drain(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if self.generation != runtime::generation() {
            // A forked child must not read the descriptor of its parent.
            return Ok(());
        }
        self.inbox.wake.clear();
        self.inbox.take(&mut self.backlog.lock());
        let (mut items, mut bytes) = (0, 0);
        let mut end = self.go_on(py);
        let until = Instant::now() + LONGEST_TURN;
        while end.is_ok() && items < TURN && (items == 0 || Instant::now() < until) {
            let next = self.backlog.lock().pop_front();
            let Some(item) = next else { break };
            items += 1;
            bytes += item.bytes();
            end = told(py, self.deliver(py, item));
        }
        if !self.backlog.lock().is_empty() {
            self.inbox.wake.raise();
        }
        if self.inbox.settle(items, bytes) {
            self.resume_all();
        }
        end
    }

    /// Goes on with values whose bytes were filled meanwhile.
    fn go_on(&self, py: Python<'_>) -> PyResult<()> {
        // All of them, whatever they raise: nobody else has them any longer.
        let ends = self.inbox.take_filled().into_iter().map(|filled| told(py, filled.go_on(py)));
        ends.reduce(Result::and).unwrap_or(Ok(()))
    }

    fn resume_all(&self) {
        let mut links: Vec<_> = self.own.lock().values().cloned().collect();
        links.extend(self.guests.lock().iter().filter_map(Weak::upgrade));
        links.iter().filter_map(|link| link.connection().ok()).for_each(polyfn_core::net::Connection::resume);
    }

    fn deliver(self: &Arc<Self>, py: Python<'_>, item: Item) -> PyResult<()> {
        match item.event {
            Event::Resolved { call, value } => self.resolve(py, call, &value),
            Event::Rejected { call, error } => self.reject(py, call, &error),
            Event::Items { stream, items, count, end } => {
                let reading = {
                    let mut streams = self.streams.lock();
                    let found =
                        if end.is_some() { streams.remove(&stream) } else { streams.get(&stream).cloned() };
                    found.and_then(|reading| reading.upgrade())
                };
                reading.map_or(Ok(()), |reading| reading.receive(py, items, count, end))
            }
            event => {
                let link = self.own.lock().get(&item.link).cloned();
                match link {
                    Some(link) => self.deliver_to(py, &link, event),
                    None => Ok(()),
                }
            }
        }
    }

    fn deliver_to(self: &Arc<Self>, py: Python<'_>, link: &Arc<Link>, event: Event) -> PyResult<()> {
        match event {
            Event::Invoke(invocation) => callback::invoke(py, link, self, &invocation),
            Event::Cancelled { run } => {
                self.cancel_task(py, (link.number, Owner::Run(run)));
                Ok(())
            }
            Event::Pull { source, .. } => match link.source(source) {
                Some(source) => source.pull(py, self),
                None => Ok(()),
            },
            Event::Released(handle) => {
                link.release(py, handle);
                Ok(())
            }
            Event::Signal { kind, message, origin } => {
                let interpreter = Interpreter::get(py)?;
                let message = self
                    .with_keys(|keys| {
                        let mut inbound = Inbound::new(py, interpreter, keys, link);
                        Reader::new(&message).from_peer(&origin).build(&mut inbound)
                    })
                    .map_err(|error| raised(py, &error))?;
                self.tell(py, link, &format!("message:{kind}"), message)
            }
            Event::State(state) => self.deliver_state(py, link, state),
            _ => Ok(()),
        }
    }

    fn deliver_state(&self, py: Python<'_>, link: &Arc<Link>, state: State) -> PyResult<()> {
        match state {
            State::Ready { failed, first } => {
                let opening = link.opening.lock().take();
                if let Some(opening) = opening {
                    if opening.bind(py).call_method0(intern!(py, "cancelled"))?.is_truthy()? {
                        // Nobody waits for the connection any longer, so nobody would ever close it.
                        link.close();
                        return Ok(());
                    }
                    let client = Bound::new(py, Client::new(link.clone()))?;
                    settle(py, opening.bind(py), &Ok(client.into_any()))?;
                }
                let mut reasons = Vec::with_capacity(failed.len());
                for (service, error) in &failed {
                    reasons.push((service.as_str(), exception(py, error)?));
                }
                let kind = if first { "ready" } else { "reconnected" };
                self.tell(py, link, kind, reasons.into_pyobject(py)?)
            }
            State::Disconnected { reason } => {
                self.tell(py, link, "disconnected", reason.into_pyobject(py)?.into_any())
            }
            State::Closed { error } => {
                let own = self.own.lock().remove(&link.number);
                drop(own);
                link.close_sources(py);
                let opening = link.opening.lock().take();
                let told = match opening {
                    Some(opening) => settle(py, opening.bind(py), &Err(exception(py, &error)?)),
                    None => self.tell(py, link, "closed", exception(py, &error)?),
                };
                link.let_go();
                told
            }
            _ => Ok(()),
        }
    }

    /// Tells the Python half, in a context of its own.
    fn tell(&self, py: Python<'_>, link: &Link, kind: &str, data: Bound<'_, PyAny>) -> PyResult<()> {
        let Some(on_event) = link.on_event(py) else { return Ok(()) };
        let context = Interpreter::get(py)?.copy_context.bind(py).call0()?;
        context.call_method1(intern!(py, "run"), (on_event, kind, data)).map(drop)
    }

    fn resolve(self: &Arc<Self>, py: Python<'_>, call: CallId, value: &Payload) -> PyResult<()> {
        let pending = self.pending.lock().remove(&call);
        let Some(pending) = pending else { return Ok(()) };
        let interpreter = Interpreter::get(py)?;
        let (made, fills) = self.with_keys(|keys| {
            let mut inbound = Inbound::new(py, interpreter, keys, &pending.link).filled_later();
            (value.first(&mut inbound), inbound.into_fills())
        });
        match made {
            Ok(object) if !fills.is_empty() => {
                let (pump, object) = (self.clone(), object.unbind());
                // Whoever waits may still give up.
                self.pending.lock().insert(call, pending);
                fills.run_apart(&self.inbox, move |py| match pump.take_pending(call) {
                    Some(pending) => pump.end_call(py, &pending, Ok(object.into_bound(py))),
                    None => Ok(()),
                });
                Ok(())
            }
            made => self.end_call(py, &pending, made),
        }
    }

    fn take_pending(&self, call: CallId) -> Option<Pending> {
        self.pending.lock().remove(&call)
    }

    fn end_call(
        &self,
        py: Python<'_>,
        pending: &Pending,
        made: polyfn_core::Result<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let future = pending.future.bind(py);
        method1(future, intern!(py, "remove_done_callback"), self.canceller.bind(py))?;
        match made {
            Ok(object) => settle(py, future, &Ok(object)),
            Err(error) => {
                settle(py, future, &Err(raised(py, &error).into_value(py).into_bound(py).into_any()))
            }
        }
    }

    fn reject(&self, py: Python<'_>, call: CallId, error: &Error) -> PyResult<()> {
        let pending = self.pending.lock().remove(&call);
        let Some(Pending { future, link }) = pending else { return Ok(()) };
        let future = future.bind(py);
        method1(future, intern!(py, "remove_done_callback"), self.canceller.bind(py))?;
        settle(py, future, &Err(exception(py, error)?))?;
        let is_farewell = link.is_closing() && error.kind() == ErrorKind::PeerGone;
        if is_farewell || error.kind() == ErrorKind::Cancelled {
            // The program closed the connection itself, or a function was cancelled, as at the end of a program:
            // for a call that nobody awaits that is no news for the log.
            future.setattr(intern!(py, "_log_traceback"), false).unwrap_or(());
        }
        Ok(())
    }

    /// Lends the cache of keys.
    pub(crate) fn with_keys<T>(&self, work: impl FnOnce(&mut Keys) -> T) -> T {
        let mut keys = self.keys.lock().take().unwrap_or_default();
        let value = work(&mut keys);
        *self.keys.lock() = Some(keys);
        value
    }

    /// For the garbage collector: the futures that only this pump holds.
    pub(crate) fn visit_futures(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(pending) = self.pending.try_lock() else { return Ok(()) };
        pending.values().try_for_each(|call| visit.call(&call.future))
    }

    /// A future was cancelled: the call need not be answered any longer.
    pub(crate) fn forget(&self, future: &Bound<'_, PyAny>) {
        let found = {
            let mut pending = self.pending.lock();
            let id = pending.iter().find(|(_, pending)| pending.future.is(future)).map(|(id, _)| *id);
            id.and_then(|id| pending.remove(&id).map(|pending| (id, pending)))
        };
        let Some((id, pending)) = found else { return };
        self.drop_held(id);
        if let Ok(connection) = pending.link.connection() {
            connection.forget_call(id);
        }
    }

    fn drop_held(&self, id: CallId) {
        let held = {
            let mut held = self.held.lock();
            held.iter().position(|held| held.id == id).and_then(|at| held.remove(at))
        };
        // Without the lock: arguments may run code when they go.
        drop(held);
    }

    /// The loop is closed: its connections end, nobody waits any longer.
    pub(crate) fn end(&self) {
        if self.generation != runtime::generation() {
            return;
        }
        event_loop::forget(self);
        self.inbox.end();
        let links = std::mem::take(&mut *self.own.lock());
        for link in links.values() {
            link.close();
            link.let_go();
        }
        // Taken first and dropped without the locks: futures and tasks may run code when they go.
        let pending = std::mem::take(&mut *self.pending.lock());
        let tasks = std::mem::take(&mut *self.tasks.lock());
        let held = std::mem::take(&mut *self.held.lock());
        let backlog = std::mem::take(&mut *self.backlog.lock());
        self.streams.lock().clear();
        drop((pending, tasks, held, backlog, links));
    }
}

/// What must not be caught comes back; of anything else the interpreter is told.
fn told(py: Python<'_>, end: PyResult<()>) -> PyResult<()> {
    match end {
        Err(error) if error.is_instance_of::<PyException>(py) => {
            error.write_unraisable(py, None);
            Ok(())
        }
        end => end,
    }
}

/// Ends a future. One that was cancelled meanwhile is left alone.
pub(crate) fn settle(
    py: Python<'_>,
    future: &Bound<'_, PyAny>,
    end: &Result<Bound<'_, PyAny>, Bound<'_, PyAny>>,
) -> PyResult<()> {
    let settled = match end {
        Ok(value) => method1(future, intern!(py, "set_result"), value),
        Err(exception) => method1(future, intern!(py, "set_exception"), exception),
    };
    match settled {
        Err(error) if error.is_instance(py, Interpreter::get(py)?.invalid_state_error.bind(py)) => Ok(()),
        other => other.map(drop),
    }
}
