//! Functions of peers, as Python calls them.

use std::sync::Arc;

use polyfn_core::Result;
use polyfn_core::codec::Stub;
use polyfn_core::session::{CallDraft, CallSpec};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::convert::{Outbound, build_value};
use crate::error::raised;
use crate::interpreter::Interpreter;
use crate::link::Link;
use crate::{event_loop, held};

// A function of a peer. Not a doc comment: the class would have it as `__doc__`, in front of each function's own.
#[pyclass(frozen, weakref, module = "polyfn._native")]
pub(crate) struct RemoteFunction {
    link: Arc<Link>,
    stub: Arc<Stub>,
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
        Self { link, stub }
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
        call(py, &self.link, &self.stub, args, kwargs)
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
    link: &Arc<Link>,
    stub: &Arc<Stub>,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let connection = link.connection().map_err(|error| raised(py, &error))?;
    let interpreter = Interpreter::get(py)?;
    let (pump, event_loop) = event_loop::current(py, interpreter)?;
    pump.visit(link);
    if held::must_wait(&pump, link) {
        return held::hold(&pump, &event_loop, link, stub, args, keywords);
    }
    let draft = encode(py, link, stub, args, keywords).map_err(|error| raised(py, &error))?;
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
    link: &Arc<Link>,
    stub: &Stub,
    args: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> Result<CallDraft> {
    let keywords = keywords.filter(|keywords| !keywords.is_empty());
    let count = args.len() + usize::from(keywords.is_some());
    let mut draft = link.connection()?.begin_call(&CallSpec::of(stub, count, keywords.is_some()))?;
    match Outbound::new(py, link).arguments(&mut draft.writer, args, keywords) {
        Ok(()) => Ok(draft),
        Err(error) => {
            link.release_all(py, draft.abandon());
            Err(error)
        }
    }
}
