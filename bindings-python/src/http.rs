//! What functions that answer HTTP requests are given beyond other functions.

use bytes::Bytes;
use polyfn_core::functions::{self, Content, Field};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use crate::interpreter::Interpreter;

/// Makes an event of what was decoded: the same dict, with methods.
pub(crate) fn make_event(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = object.py();
    let interpreter = Interpreter::get(py)?;
    if object.get_type().is(interpreter.proxy.bind(py)) {
        object.setattr(intern!(py, "__class__"), interpreter.event.bind(py))?;
    }
    Ok(())
}

/// The answer that an exception of a function stands for, if it is an `HTTPError`.
pub(crate) fn answer_of<'py>(py: Python<'py>, error: &PyErr) -> Option<PyResult<Bound<'py, PyAny>>> {
    let kind = Interpreter::get(py).ok()?.http_error.bind(py);
    let value = error.value(py);
    value.is_instance(kind).ok()?.then(|| value.call_method0(intern!(py, "response")))
}

/// The body of an answer with an error, a JSON problem.
#[pyfunction]
pub(crate) fn problem(status: i64, detail: &str) -> PyResult<String> {
    functions::problem(status, detail).map_err(|error| PyValueError::new_err(error.message().to_owned()))
}

/// The fields of a form: names, and texts or `(filename, content_type, data)`.
#[pyfunction]
pub(crate) fn parse_form<'py>(
    py: Python<'py>,
    content_type: &str,
    body: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyList>> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let fields = functions::parse_form(content_type, &body)
        .map_err(|error| PyValueError::new_err(error.message().to_owned()))?;
    let list = PyList::empty(py);
    for Field { name, content } in fields {
        let content = match content {
            Content::Text(text) => PyString::new(py, &text).into_any(),
            Content::File { filename, content_type, data } => {
                (filename, content_type, PyBytes::new(py, &data)).into_pyobject(py)?.into_any()
            }
        };
        list.append((name, content))?;
    }
    Ok(list)
}
