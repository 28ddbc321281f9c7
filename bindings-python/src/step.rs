//! The first step of a coroutine by hand, and a task for it only if it suspends.
//!
//! Up to Python 3.11 a task cannot begin at once, and making one costs more than most functions take. A bare
//! `send(None)` is not enough: without a current task `asyncio.timeout`, `TaskGroup` and anyio refuse to work. So
//! a [`CurrentTask`] stands in for the task. Once there is a real one it passes everything on to it, and the
//! coroutine goes on seeing the stand-in, because anyio compares by identity.

use parking_lot::Mutex;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyStopIteration};
use pyo3::ffi::{self, PySendResult};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use pyo3::intern;

use crate::callback::{Finish, Job, internal, is_awaitable};
use crate::interpreter::{Interpreter, call2, method1};

/// What came of calling a function.
pub(crate) enum Outcome {
    /// It has returned or raised.
    Ended(PyResult<Py<PyAny>>),
    /// It is a coroutine, not begun: the interpreter can begin a task at once itself.
    Coroutine(Py<PyAny>),
    /// It waits for something.
    Suspended(Suspended),
}

/// A call that is about to be made; called once, inside its context.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct Step {
    pub(crate) handler: Py<PyAny>,
    pub(crate) args: Py<PyTuple>,
    pub(crate) keywords: Option<Py<PyDict>>,
    pub(crate) event_loop: Py<PyAny>,
    pub(crate) outcome: Mutex<Option<Outcome>>,
}

#[pymethods]
impl Step {
    fn __call__(&self, py: Python<'_>) {
        let outcome = self.run(py).unwrap_or_else(|error| Outcome::Ended(Err(error)));
        *self.outcome.lock() = Some(outcome);
    }
}

impl Step {
    fn run(&self, py: Python<'_>) -> PyResult<Outcome> {
        let interpreter = Interpreter::get(py)?;
        let keywords = self.keywords.as_ref().map(|keywords| keywords.bind(py));
        let mut result = self.handler.bind(py).call(self.args.bind(py), keywords)?;
        if !interpreter.is_coroutine(&result) {
            if !is_awaitable(&result) {
                return Ok(Outcome::Ended(Ok(result.unbind())));
            }
            result = interpreter.coroutine_of.bind(py).call1((result,))?;
        }
        if interpreter.has_eager_tasks {
            return Ok(Outcome::Coroutine(result.unbind()));
        }
        first_step(py, interpreter, self.event_loop.bind(py), result)
    }
}

fn first_step(
    py: Python<'_>,
    interpreter: &Interpreter,
    event_loop: &Bound<'_, PyAny>,
    coroutine: Bound<'_, PyAny>,
) -> PyResult<Outcome> {
    let stand_in = CurrentTask {
        event_loop: event_loop.clone().unbind(),
        coroutine: Mutex::new(Some(coroutine.clone().unbind())),
        task: PyOnceLock::new(),
        early: Mutex::default(),
    };
    let stand_in = Bound::new(py, stand_in)?;
    call2(interpreter.enter_task.bind(py), event_loop, stand_in.as_any())?;
    let sent = send(&coroutine, &py.None().into_bound(py));
    call2(interpreter.leave_task.bind(py), event_loop, stand_in.as_any())?;
    match sent {
        Ok(Sent::Yielded(first)) => Ok(Outcome::Suspended(Suspended {
            coroutine: coroutine.unbind(),
            first: first.unbind(),
            stand_in: stand_in.unbind(),
        })),
        Ok(Sent::Returned(value)) => {
            stand_in.get().end(py)?;
            Ok(Outcome::Ended(Ok(value.unbind())))
        }
        Err(error) => {
            stand_in.get().end(py)?;
            Ok(Outcome::Ended(Err(error)))
        }
    }
}

enum Sent<'py> {
    Yielded(Bound<'py, PyAny>),
    Returned(Bound<'py, PyAny>),
}

/// `coroutine.send(value)`, with no exception made for the value that it returns.
fn send<'py>(coroutine: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<Sent<'py>> {
    let py = coroutine.py();
    let mut result = std::ptr::null_mut();
    // SAFETY: both objects are alive and we are attached; on success the call leaves a new reference in `result`.
    let end = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), value.as_ptr(), &raw mut result) };
    // SAFETY: as the call says, `result` holds a new reference except after an error, when it is null.
    match end {
        PySendResult::PYGEN_RETURN => unsafe { Bound::from_owned_ptr_or_err(py, result) }.map(Sent::Returned),
        PySendResult::PYGEN_NEXT => unsafe { Bound::from_owned_ptr_or_err(py, result) }.map(Sent::Yielded),
        PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
    }
}

/// A coroutine after its first step.
pub(crate) struct Suspended {
    coroutine: Py<PyAny>,
    first: Py<PyAny>,
    stand_in: Py<CurrentTask>,
}

impl Suspended {
    /// Makes a task that goes on with the coroutine.
    pub(crate) fn promote(
        self,
        py: Python<'_>,
        job: Job,
        event_loop: &Bound<'_, PyAny>,
        context: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let pump = job.pump.clone();
        let key = pump.next_key();
        let stand_in = self.stand_in.clone_ref(py);
        let parts = Parts { coroutine: self.coroutine, stand_in: self.stand_in, job, key };
        let resume = Resume {
            event_loop: event_loop.clone().unbind(),
            first: Mutex::new(Some(self.first)),
            parts: Mutex::new(Some(parts)),
        };
        let resume = Bound::new(py, resume)?;
        let task = if Interpreter::get(py)?.has_task_context {
            let keywords = PyDict::new(py);
            keywords.set_item(intern!(py, "context"), context)?;
            event_loop.call_method(intern!(py, "create_task"), (&resume,), Some(&keywords))?
        } else {
            let create = event_loop.getattr(intern!(py, "create_task"))?;
            context.call_method1(intern!(py, "run"), (create, &resume))?
        };
        pump.keep_task(key, task.clone().unbind());
        stand_in.get().promote(&task)
    }
}

/// Python 3.12 and later begin a task at once themselves.
pub(crate) fn start_eagerly(
    py: Python<'_>,
    job: Job,
    event_loop: &Bound<'_, PyAny>,
    context: &Bound<'_, PyAny>,
    coroutine: Py<PyAny>,
) -> PyResult<()> {
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "loop"), event_loop)?;
    keywords.set_item(intern!(py, "context"), context)?;
    keywords.set_item(intern!(py, "eager_start"), true)?;
    let begun = Interpreter::get(py)?.task.bind(py).call((coroutine,), Some(&keywords));
    let task = match begun {
        Ok(task) => task,
        Err(error) => return job.answer(py, Err(error)),
    };
    if task.call_method0(intern!(py, "done"))?.is_truthy()? {
        return job.answer(py, task.call_method0(intern!(py, "result")));
    }
    let key = job.pump.next_key();
    job.pump.keep_task(key, task.clone().unbind());
    let finish = Bound::new(py, Finish { job, key })?;
    method1(&task, intern!(py, "add_done_callback"), finish.as_any()).map(drop)
}

struct Parts {
    coroutine: Py<PyAny>,
    stand_in: Py<CurrentTask>,
    job: Job,
    key: u64,
}

/// What the task runs in place of the coroutine: hands over what was yielded already, then takes each step
/// under the stand-in.
#[pyclass(frozen, weakref, module = "polyfn._native")]
pub(crate) struct Resume {
    event_loop: Py<PyAny>,
    first: Mutex<Option<Py<PyAny>>>,
    /// None once the coroutine has ended: nothing then ties task and stand-in together.
    parts: Mutex<Option<Parts>>,
}

#[pymethods]
impl Resume {
    fn send<'py>(&self, py: Python<'py>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let first = self.first.lock().take();
        if let Some(first) = first {
            return Ok(first.into_bound(py));
        }
        self.step(py, |coroutine| send(coroutine, value))
    }

    #[pyo3(signature = (kind, value = None, traceback = None))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let first = self.first.lock().take();
        if let Some(first) = first {
            // Cancelled before the task's own first step: as a task does, cancel what it waits for, and let
            // the coroutine hear of it from there.
            let first = first.into_bound(py);
            let cancels = first.getattr(intern!(py, "cancel")).and_then(|cancel| cancel.call0());
            if cancels.and_then(|done| done.is_truthy()).unwrap_or(false) {
                return Ok(first);
            }
        }
        self.step(py, |coroutine| {
            let thrown = match (value, traceback) {
                (None, None) => method1(coroutine, intern!(py, "throw"), &kind),
                (value, traceback) => coroutine.call_method1(intern!(py, "throw"), (kind, value, traceback)),
            };
            match thrown {
                Ok(yielded) => Ok(Sent::Yielded(yielded)),
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                    error.value(py).getattr(intern!(py, "value")).map(Sent::Returned)
                }
                Err(error) => Err(error),
            }
        })
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.first.lock().take();
        let parts = self.parts.lock().take();
        match parts {
            Some(parts) => parts.coroutine.bind(py).call_method0(intern!(py, "close")).map(drop),
            None => Ok(()),
        }
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.send(py, &py.None().into_bound(py))
    }

    /// Tasks show the frame and the name of what they run.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let coroutine = self.parts.lock().as_ref().map(|parts| parts.coroutine.clone_ref(py));
        match coroutine {
            Some(coroutine) => coroutine.bind(py).getattr(name),
            None => Err(PyAttributeError::new_err(name.to_owned())),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the signature is PyO3's")]
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(parts) = self.parts.try_lock()
            && let Some(parts) = parts.as_ref()
        {
            visit.call(&parts.coroutine)?;
            visit.call(&parts.stand_in)?;
        }
        if let Some(first) = self.first.try_lock() {
            visit.call(&*first)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let parts = self.parts.lock().take();
        let first = self.first.lock().take();
        drop((parts, first));
    }
}

impl Resume {
    /// One step of the coroutine, during which the stand-in is the current task.
    fn step<'py>(
        &self,
        py: Python<'py>,
        advance: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Sent<'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let interpreter = Interpreter::get(py)?;
        let taken = {
            let parts = self.parts.lock();
            parts.as_ref().map(|parts| (parts.coroutine.clone_ref(py), parts.stand_in.clone_ref(py)))
        };
        let (coroutine, stand_in) =
            taken.ok_or_else(|| PyRuntimeError::new_err("cannot reuse already awaited coroutine"))?;
        let task = stand_in.get().task(py).ok_or_else(|| internal(py, "a step without a task"))?;
        let (event_loop, stand_in) = (self.event_loop.bind(py), stand_in.bind(py).as_any());
        call2(interpreter.leave_task.bind(py), event_loop, &task)?;
        call2(interpreter.enter_task.bind(py), event_loop, stand_in)?;
        let sent = advance(coroutine.bind(py));
        call2(interpreter.leave_task.bind(py), event_loop, stand_in)?;
        call2(interpreter.enter_task.bind(py), event_loop, &task)?;
        let end = match sent {
            Ok(Sent::Yielded(value)) => return Ok(value),
            Ok(Sent::Returned(value)) => Ok(value),
            Err(error) => Err(error),
        };
        self.finish(py, interpreter, end)
    }

    /// Answers, lets go of everything, and ends the task: its own result is nobody's concern.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        interpreter: &Interpreter,
        end: PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let parts = self.parts.lock().take();
        let Some(parts) = parts else { return Err(PyStopIteration::new_err(())) };
        parts.job.pump.drop_task(parts.key);
        let cancelled = match &end {
            Err(error) if error.is_instance(py, interpreter.cancelled_error.bind(py)) => Some(error.clone_ref(py)),
            _ => None,
        };
        parts.job.answer(py, end)?;
        Err(cancelled.unwrap_or_else(|| PyStopIteration::new_err(())))
    }
}

/// What happened to the stand-in before there was a task.
#[derive(Default)]
struct Early {
    cancels: Vec<Option<Py<PyAny>>>,
    must_cancel: bool,
    callbacks: Vec<(Py<PyAny>, Option<Py<PyAny>>)>,
    has_ended: bool,
}

/// Stands in for the current task while a function runs that may not need one.
#[pyclass(frozen, weakref, module = "polyfn._native")]
pub(crate) struct CurrentTask {
    event_loop: Py<PyAny>,
    coroutine: Mutex<Option<Py<PyAny>>>,
    task: PyOnceLock<Py<PyAny>>,
    early: Mutex<Early>,
}

impl CurrentTask {
    fn task<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.task.get(py).map(|task| task.bind(py).clone())
    }

    /// From here on the task has the word; it hears what it missed.
    fn promote(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = task.py();
        let early = std::mem::take(&mut *self.early.lock());
        let _ = self.task.set(py, task.clone().unbind());
        self.coroutine.lock().take();
        if early.must_cancel && early.cancels.is_empty() {
            task.call_method0(intern!(py, "cancel"))?;
            task.call_method0(intern!(py, "uncancel"))?;
        }
        for message in early.cancels {
            task.call_method1(intern!(py, "cancel"), (message,))?;
        }
        for (callback, context) in early.callbacks {
            add_callback(task.as_any(), "add_done_callback", (callback,), context)?;
        }
        Ok(())
    }

    /// The function ended without a task.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.coroutine.lock().take();
        let callbacks = {
            let mut early = self.early.lock();
            early.has_ended = true;
            std::mem::take(&mut early.callbacks)
        };
        // Nearly never is there one; then it hears of its end as from a task: later, from the loop.
        if callbacks.is_empty() {
            return Ok(());
        }
        let future = self.event_loop.bind(py).call_method0("create_future")?;
        future.call_method1("set_result", (py.None(),))?;
        for (callback, context) in callbacks {
            add_callback(&future, "add_done_callback", (callback,), context)?;
        }
        Ok(())
    }
}

fn add_callback(
    future: &Bound<'_, PyAny>,
    method: &str,
    callback: (Py<PyAny>,),
    context: Option<Py<PyAny>>,
) -> PyResult<()> {
    let keywords = PyDict::new(future.py());
    if let Some(context) = context {
        keywords.set_item("context", context)?;
    }
    future.call_method(method, callback, Some(&keywords)).map(drop)
}

#[pymethods]
impl CurrentTask {
    #[pyo3(signature = (msg = None))]
    fn cancel<'py>(&self, py: Python<'py>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        if let Some(task) = self.task(py) {
            return task.call_method1(intern!(py, "cancel"), (msg,))?.is_truthy();
        }
        let mut early = self.early.lock();
        if early.has_ended {
            return Ok(false);
        }
        early.cancels.push(msg);
        early.must_cancel = true;
        Ok(true)
    }

    fn uncancel(&self, py: Python<'_>) -> PyResult<usize> {
        if let Some(task) = self.task(py) {
            return task.call_method0(intern!(py, "uncancel"))?.extract();
        }
        let mut early = self.early.lock();
        early.cancels.pop();
        Ok(early.cancels.len())
    }

    fn cancelling(&self, py: Python<'_>) -> PyResult<usize> {
        match self.task(py) {
            Some(task) => task.call_method0(intern!(py, "cancelling"))?.extract(),
            None => Ok(self.early.lock().cancels.len()),
        }
    }

    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        match self.task(py) {
            Some(task) => task.call_method0(intern!(py, "done"))?.is_truthy(),
            None => Ok(self.early.lock().has_ended),
        }
    }

    fn cancelled(&self, py: Python<'_>) -> PyResult<bool> {
        match self.task(py) {
            Some(task) => task.call_method0(intern!(py, "cancelled"))?.is_truthy(),
            None => Ok(false),
        }
    }

    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.clone_ref(py)
    }

    fn get_coro<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(task) = self.task(py) {
            return task.call_method0(intern!(py, "get_coro"));
        }
        let coroutine = self.coroutine.lock().as_ref().map(|coroutine| coroutine.clone_ref(py));
        Ok(coroutine.map_or_else(|| py.None().into_bound(py), |coroutine| coroutine.into_bound(py)))
    }

    fn get_name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.task(py) {
            Some(task) => task.call_method0(intern!(py, "get_name")),
            None => "polyfn function".into_pyobject(py).map(Bound::into_any).map_err(Into::into),
        }
    }

    #[pyo3(signature = (callback, *, context = None))]
    fn add_done_callback(
        &self,
        py: Python<'_>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        if let Some(task) = self.task(py) {
            return add_callback(&task, "add_done_callback", (callback,), context);
        }
        self.early.lock().callbacks.push((callback, context));
        Ok(())
    }

    fn remove_done_callback(&self, py: Python<'_>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        if let Some(task) = self.task(py) {
            return method1(&task, intern!(py, "remove_done_callback"), callback)?.extract();
        }
        let mut removed = Vec::new();
        {
            let mut early = self.early.lock();
            let (gone, kept) = std::mem::take(&mut early.callbacks)
                .into_iter()
                .partition(|(known, _)| known.is(callback));
            early.callbacks = kept;
            removed.extend::<Vec<_>>(gone);
        }
        Ok(removed.len())
    }

    /// Everything else is the task's, once there is one; libraries look at some of its inner parts.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some(task) = self.task(py) {
            return task.getattr(name);
        }
        match name {
            "_must_cancel" => Ok(self.early.lock().must_cancel.into_pyobject(py)?.to_owned().into_any()),
            "_fut_waiter" => Ok(py.None().into_bound(py)),
            "_state" => Ok("PENDING".into_pyobject(py)?.into_any()),
            "_loop" => Ok(self.event_loop.bind(py).clone()),
            "_coro" => self.get_coro(py),
            _ => Err(PyAttributeError::new_err(format!("the current task has no attribute `{name}` yet"))),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        match self.task(py) {
            Some(task) => Ok(task.repr()?.to_string()),
            None => Ok("<current task of a polyfn function>".to_owned()),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the signature is PyO3's")]
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(coroutine) = self.coroutine.try_lock() {
            visit.call(&*coroutine)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let coroutine = self.coroutine.lock().take();
        drop(coroutine);
    }
}
