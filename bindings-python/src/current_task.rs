//! What stands in for the current task of a coroutine that may end without one.

use parking_lot::Mutex;
use pyo3::exceptions::PyAttributeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::interpreter::method1;

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
    pub(crate) fn new(event_loop: &Bound<'_, PyAny>, coroutine: &Bound<'_, PyAny>) -> Self {
        Self {
            event_loop: event_loop.clone().unbind(),
            coroutine: Mutex::new(Some(coroutine.clone().unbind())),
            task: PyOnceLock::new(),
            early: Mutex::default(),
        }
    }

    pub(crate) fn task<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.task.get(py).map(|task| task.bind(py).clone())
    }

    /// From here on the task has the word; it hears what it missed.
    pub(crate) fn promote(&self, task: &Bound<'_, PyAny>) -> PyResult<()> {
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
    pub(crate) fn end(&self, py: Python<'_>) -> PyResult<()> {
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
            let (gone, kept) =
                std::mem::take(&mut early.callbacks).into_iter().partition(|(known, _)| known.is(callback));
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
