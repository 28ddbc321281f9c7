//! Functions of peers, as Python calls them.

use std::sync::Arc;
use std::time::Duration;

use polyfn_core::Result;
use polyfn_core::codec::Stub;
use polyfn_core::session::{CallDraft, CallSpec};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::client::Seconds;
use crate::convert::{Outbound, build_value};
use crate::error::raised;
use crate::interpreter::Interpreter;
use crate::link::Link;
use crate::scope::Scope;
use crate::{event_loop, held};

// A function of a peer. Not a doc comment: the class would have it as `__doc__`, in front of each function's own.
#[pyclass(frozen, weakref, module = "polyfn._native")]
pub(crate) struct RemoteFunction {
    link: Arc<Link>,
    stub: Arc<Stub>,
    /// How long calls of it may take in all.
    timeout: Option<Duration>,
    trace: Option<String>,
}

/// A function that is to be called, and what limits the call.
#[derive(Clone)]
pub(crate) struct Callee {
    pub(crate) link: Arc<Link>,
    pub(crate) stub: Arc<Stub>,
    pub(crate) scope: Scope,
}

/// A function of a service, with what is said of it; made by the Python half at registration.
#[pyclass(frozen, module = "polyfn._native")]
pub(crate) struct Member {
    pub(crate) function: Py<PyAny>,
    pub(crate) schema: Py<PyDict>,
    /// Whether its arguments are checked before it runs.
    pub(crate) is_checked: bool,
}

#[pymethods]
impl Member {
    #[new]
    #[pyo3(signature = (function, schema, is_checked = false))]
    fn new(function: Py<PyAny>, schema: Py<PyDict>, is_checked: bool) -> Self {
        Self { function, schema, is_checked }
    }
}

impl RemoteFunction {
    pub(crate) fn new(link: Arc<Link>, stub: Arc<Stub>) -> Self {
        Self { link, stub, timeout: None, trace: None }
    }

    pub(crate) fn stub(&self) -> &Stub {
        &self.stub
    }

    fn own_name(&self) -> &str {
        let last = self.stub.method.rsplit('.').next().unwrap_or_default();
        self.stub.name.as_deref().unwrap_or(last)
    }
}

#[pymethods]
impl RemoteFunction {
    /// Calls the function: the answer comes by the future.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let scope = Scope::new(self.timeout, self.trace.as_deref());
        call(py, Callee { link: self.link.clone(), stub: self.stub.clone(), scope }, args, kwargs)
    }

    /// The same function, whose calls may take `timeout` seconds in all.
    ///
    /// Past it the call fails with `RpcTimeoutError`, and the function is cancelled where it runs. `trace` is a
    /// W3C `traceparent` that goes with the calls.
    #[pyo3(signature = (*, timeout = None, trace = None))]
    fn with_options(&self, timeout: Option<Seconds>, trace: Option<String>) -> Self {
        Self {
            link: self.link.clone(),
            stub: self.stub.clone(),
            timeout: timeout.map(|seconds| seconds.0).or(self.timeout),
            trace: trace.or_else(|| self.trace.clone()),
        }
    }

    #[getter]
    fn __name__(&self) -> &str {
        self.own_name()
    }

    #[getter]
    fn __qualname__(&self) -> &str {
        self.own_name()
    }

    #[getter]
    fn __doc__(&self) -> Option<&str> {
        self.stub.doc.as_deref()
    }

    /// The JSON schema that the owner gave, or None.
    #[getter]
    fn __schema__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.stub.schema.as_deref().map(|schema| build_value(py, &self.link, schema)).transpose()
    }

    /// Whether the owner declared it `async`.
    #[getter]
    fn is_async(&self) -> bool {
        self.stub.is_async.unwrap_or_default()
    }

    fn __repr__(&self) -> String {
        format!("<remote function {} of {}>", self.stub.method, self.stub.target)
    }
}

/// Sends a call; its future is done in the pump of the loop that runs here.
pub(crate) fn call<'py>(
    py: Python<'py>,
    mut callee: Callee,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    callee.scope = callee.scope.inherit(py)?;
    let link = &callee.link;
    let connection = link.connection().map_err(|error| raised(py, &error))?;
    let (pump, event_loop) = event_loop::current(py, Interpreter::get(py)?)?;
    pump.visit(link);
    if held::must_wait(&pump, link) {
        return held::hold(&pump, &event_loop, callee, args, keywords);
    }
    let draft = encode(py, &callee, args, keywords).map_err(|error| raised(py, &error))?;
    let (id, future) = match pump.expect(&event_loop, link) {
        Ok(expected) => expected,
        Err(error) => {
            link.release_all(py, draft.abandon());
            return Err(error);
        }
    };
    if let Err(error) = connection.finish_call(id, draft) {
        pump.unexpect(py, id);
        return Err(raised(py, &error));
    }
    Ok(future)
}

/// Writes a call; the functions of one that fails are let go.
pub(crate) fn encode<'py>(
    py: Python<'py>,
    callee: &Callee,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> Result<CallDraft> {
    let Callee { link, stub, scope } = callee;
    let keywords = keywords.filter(|keywords| !keywords.is_empty());
    let count = args.len() + usize::from(keywords.is_some());
    let spec = scope.limit(CallSpec::of(stub, count, keywords.is_some()));
    let mut draft = link.connection()?.begin_call(&spec)?;
    match Outbound::new(py, link).arguments(&mut draft.writer, args, keywords) {
        Ok(()) => Ok(draft),
        Err(error) => {
            link.release_all(py, draft.abandon());
            Err(error)
        }
    }
}
