//! Coroutines that did not end in their first step: a task goes on with them.

use parking_lot::Mutex;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::callback::Job;
use crate::current_task::CurrentTask;
use crate::error::internal;
use crate::interpreter::{Interpreter, call2, method1};
use crate::pump::TaskKey;
use crate::step::{Sent, send};

/// A coroutine after its first step.
pub(crate) struct Suspended {
    pub(crate) coroutine: Py<PyAny>,
    /// What it yielded in its first step.
    pub(crate) first: Py<PyAny>,
    pub(crate) stand_in: Py<CurrentTask>,
}

impl Suspended {
    /// Makes a task that goes on with the coroutine.
    pub(crate) fn promote(self, py: Python<'_>, job: Job, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let pump = job.pump.clone();
        let context = job.context.bind(py).clone();
        let key = job.key();
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

struct Parts {
    coroutine: Py<PyAny>,
    stand_in: Py<CurrentTask>,
    job: Job,
    key: TaskKey,
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
            None if matches!(name, "__name__" | "__qualname__") => Ok("ended".into_pyobject(py)?.into_any()),
            None => Err(PyAttributeError::new_err(name.to_owned())),
        }
    }

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
            Err(error) if error.is_instance(py, interpreter.cancelled_error.bind(py)) => {
                Some(error.clone_ref(py))
            }
            _ => None,
        };
        parts.job.answer(py, end)?;
        Err(cancelled.unwrap_or_else(|| PyStopIteration::new_err(())))
    }
}
