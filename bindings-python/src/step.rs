//! The first step of a coroutine by hand, and a task for it only if it suspends.
//!
//! Up to Python 3.11 a task cannot begin at once, and making one costs more than most functions take. A bare
//! `send(None)` is not enough: without a current task `asyncio.timeout`, `TaskGroup` and anyio refuse to work. So
//! a [`CurrentTask`] stands in for the task. Once there is a real one it passes everything on to it, and the
//! coroutine goes on seeing the stand-in, because anyio compares by identity.

use parking_lot::Mutex;
use pyo3::ffi::{self, PySendResult};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::callback::{Finish, Job, is_awaitable};
use crate::current_task::CurrentTask;
use crate::interpreter::{Interpreter, call2, method1};
use crate::resume::Suspended;

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
    let stand_in = Bound::new(py, CurrentTask::new(event_loop, &coroutine))?;
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

pub(crate) enum Sent<'py> {
    Yielded(Bound<'py, PyAny>),
    Returned(Bound<'py, PyAny>),
}

/// `coroutine.send(value)`, with no exception made for the value that it returns.
pub(crate) fn send<'py>(coroutine: &Bound<'py, PyAny>, value: &Bound<'py, PyAny>) -> PyResult<Sent<'py>> {
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

/// Python 3.12 and later begin a task at once themselves.
pub(crate) fn start_eagerly(
    py: Python<'_>,
    job: Job,
    event_loop: &Bound<'_, PyAny>,
    coroutine: Py<PyAny>,
) -> PyResult<()> {
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "loop"), event_loop)?;
    keywords.set_item(intern!(py, "context"), job.context.bind(py))?;
    keywords.set_item(intern!(py, "eager_start"), true)?;
    let begun = Interpreter::get(py)?.task.bind(py).call((coroutine,), Some(&keywords));
    let task = match begun {
        Ok(task) => task,
        Err(error) => return job.answer(py, Err(error)),
    };
    if task.call_method0(intern!(py, "done"))?.is_truthy()? {
        return job.answer(py, task.call_method0(intern!(py, "result")));
    }
    let key = job.key();
    job.pump.keep_task(key, task.clone().unbind());
    let finish = Bound::new(py, Finish { job, key })?;
    method1(&task, intern!(py, "add_done_callback"), finish.as_any()).map(drop)
}
