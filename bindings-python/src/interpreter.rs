//! What we use of Python's standard library and of our own Python half, looked up once.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

/// Objects that are needed for each message.
pub(crate) struct Interpreter {
    /// `asyncio._get_running_loop`: gives None where no loop runs.
    pub(crate) running_loop: Py<PyAny>,
    pub(crate) copy_context: Py<PyAny>,
    pub(crate) enter_task: Py<PyAny>,
    pub(crate) leave_task: Py<PyAny>,
    pub(crate) task: Py<PyAny>,
    pub(crate) cancelled_error: Py<PyAny>,
    pub(crate) invalid_state_error: Py<PyAny>,
    /// `polyfn.proxy.ObjectProxy`, which maps become.
    pub(crate) proxy: Py<PyType>,
    /// The same for maps in which a key has the name of a method of dict.
    pub(crate) shadowing_proxy: Py<PyType>,
    /// `polyfn.http.Event`, which the event of an HTTP request becomes.
    pub(crate) event: Py<PyType>,
    /// `polyfn.http.HTTPError`.
    pub(crate) http_error: Py<PyType>,
    /// `polyfn.functions.wait_for`: makes a coroutine of any awaitable.
    pub(crate) coroutine_of: Py<PyAny>,
    /// `polyfn.streams.produce`: takes the items of an asynchronous generator.
    pub(crate) produce: Py<PyAny>,
    pub(crate) sleep: Py<PyAny>,
    /// The context variable that holds what a function inherits from the call it serves.
    pub(crate) scope: Py<PyAny>,
    /// `types.CoroutineType`, to compare with, as the next two.
    coroutine: Py<PyType>,
    generator: Py<PyType>,
    async_generator: Py<PyType>,
    /// From 3.12 on tasks can begin at once.
    pub(crate) has_eager_tasks: bool,
    /// From 3.11 on tasks can be given a context.
    pub(crate) has_task_context: bool,
}

static INTERPRETER: PyOnceLock<Interpreter> = PyOnceLock::new();

impl Interpreter {
    pub(crate) fn get(py: Python<'_>) -> PyResult<&Self> {
        INTERPRETER.get_or_try_init(py, || Self::load(py))
    }

    fn load(py: Python<'_>) -> PyResult<Self> {
        let attribute = |module: &str, name: &str| -> PyResult<Py<PyAny>> {
            Ok(py.import(module)?.getattr(PyString::new(py, name))?.unbind())
        };
        let class = |module: &str, name: &str| -> PyResult<Py<PyType>> {
            Ok(py.import(module)?.getattr(PyString::new(py, name))?.cast_into::<PyType>()?.unbind())
        };
        let version = py.version_info();
        Ok(Self {
            running_loop: attribute("asyncio", "_get_running_loop")?,
            copy_context: attribute("contextvars", "copy_context")?,
            enter_task: attribute("asyncio.tasks", "_enter_task")?,
            leave_task: attribute("asyncio.tasks", "_leave_task")?,
            task: attribute("asyncio", "Task")?,
            cancelled_error: attribute("asyncio", "CancelledError")?,
            invalid_state_error: attribute("asyncio", "InvalidStateError")?,
            proxy: class("polyfn.proxy", "ObjectProxy")?,
            shadowing_proxy: class("polyfn.proxy", "ShadowingProxy")?,
            event: class("polyfn.http", "Event")?,
            http_error: class("polyfn.http", "HTTPError")?,
            coroutine_of: attribute("polyfn.functions", "wait_for")?,
            produce: attribute("polyfn.streams", "produce")?,
            sleep: attribute("asyncio", "sleep")?,
            scope: attribute("contextvars", "ContextVar")?.call1(py, ("polyfn call",))?,
            coroutine: class("types", "CoroutineType")?,
            generator: class("types", "GeneratorType")?,
            async_generator: class("types", "AsyncGeneratorType")?,
            has_eager_tasks: version >= (3, 12),
            has_task_context: version >= (3, 11),
        })
    }

    pub(crate) fn is_coroutine(&self, object: &Bound<'_, PyAny>) -> bool {
        object.get_type_ptr().cast() == self.coroutine.as_ptr()
    }

    /// Whether this is a generator; then, whether an asynchronous one.
    pub(crate) fn is_async_generator(&self, object: &Bound<'_, PyAny>) -> Option<bool> {
        let kind = object.get_type_ptr().cast();
        let is_async = kind == self.async_generator.as_ptr();
        (is_async || kind == self.generator.as_ptr()).then_some(is_async)
    }

    /// The loop that runs in this thread.
    pub(crate) fn current_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let running = call0(self.running_loop.bind(py))?;
        if running.is_none() {
            return Err(pyo3::exceptions::PyRuntimeError::new_err(
                "no event loop runs in this thread: call remote functions from a coroutine",
            ));
        }
        Ok(running)
    }
}

/// Calls without arguments, by the shortest way that the stable ABI has.
pub(crate) fn call0<'py>(function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `function` is alive and we are attached; the call gives a new reference or null with an error set.
    unsafe { Bound::from_owned_ptr_or_err(function.py(), ffi::PyObject_CallNoArgs(function.as_ptr())) }
}

/// Calls with two arguments, with no tuple made by us.
pub(crate) fn call2<'py>(
    function: &Bound<'py, PyAny>,
    first: &Bound<'py, PyAny>,
    second: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let end: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: all objects are alive, we are attached, and the list of arguments ends with null.
    unsafe {
        let result =
            ffi::PyObject_CallFunctionObjArgs(function.as_ptr(), first.as_ptr(), second.as_ptr(), end);
        Bound::from_owned_ptr_or_err(function.py(), result)
    }
}

/// Calls a method with one argument, with no bound method made.
pub(crate) fn method1<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let end: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: as in `call2`.
    unsafe {
        let result = ffi::PyObject_CallMethodObjArgs(object.as_ptr(), name.as_ptr(), argument.as_ptr(), end);
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}

/// Calls a method without arguments, with no bound method made.
pub(crate) fn method0<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let end: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: as in `call2`.
    unsafe {
        let result = ffi::PyObject_CallMethodObjArgs(object.as_ptr(), name.as_ptr(), end);
        Bound::from_owned_ptr_or_err(object.py(), result)
    }
}
