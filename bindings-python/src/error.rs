//! `Error` of the core to exceptions of Python, and back.

use polyfn_core::codec::MAX_CAUSES;
use polyfn_core::{Error, ErrorKind};
use pyo3::exceptions::{PyException, PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::interpreter::Interpreter;

/// What an object that has no form on the wire is refused with.
const UNSENDABLE: &str = "TypeError";
/// What a number that does not fit is refused with.
const OVERFLOW: &str = "OverflowError";

/// An object that cannot be sent.
pub(crate) fn unsendable(message: impl Into<String>) -> Error {
    Error::invalid(message).with_class(UNSENDABLE)
}

/// A number outside of 64 bits.
pub(crate) fn overflow(message: impl Into<String>) -> Error {
    Error::invalid(message).with_class(OVERFLOW)
}

/// An exception met while an object was looked at.
pub(crate) fn from_walking(py: Python<'_>, error: &PyErr) -> Error {
    let class = error.get_type(py).name().map_or_else(|_| "exception".to_owned(), |name| name.to_string());
    unsendable(format!("{class} while reading it: {}", message_of(py, error)))
}

/// For an error of our own side, raised where it was caused.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    match error.class() {
        Some(UNSENDABLE) => PyTypeError::new_err(error.message().to_owned()),
        Some(OVERFLOW) => PyOverflowError::new_err(error.message().to_owned()),
        _ => match exception(py, error) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        },
    }
}

/// A fault of our own.
pub(crate) fn internal(py: Python<'_>, message: &str) -> PyErr {
    raised(py, &Error::new(ErrorKind::Internal, message))
}

/// The exception for an error of the core: the class goes by the kind.
pub(crate) fn exception<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let make = MAKE
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import("polyfn.errors")?.getattr("from_code")?.unbind()))?;
    let made = make.bind(py).call1((error.kind().code(), error.message(), error.class(), error.trace()))?;
    if let Some(cause) = error.cause() {
        made.setattr(intern!(py, "__cause__"), exception(py, cause)?)?;
    }
    Ok(made)
}

/// What a peer is told of an exception that a function raised.
pub(crate) fn from_exception(py: Python<'_>, error: &PyErr) -> Error {
    let told = told(py, error, MAX_CAUSES);
    // It holds the tracebacks of the causes as well.
    let trace = traceback(py, error);
    let trace = trace.unwrap_or_else(|_| format!("{}: {}", told.class().unwrap_or_default(), told.message()));
    told.with_trace(trace)
}

/// The kind, class and message of an exception and of those that led to it.
fn told(py: Python<'_>, error: &PyErr, causes: usize) -> Error {
    let ours = is_ours(py, error);
    // An error of yet another peer keeps the name that it had there.
    let remote_type = error.value(py).getattr("remote_type").ok().filter(|_| ours);
    let class = remote_type
        .and_then(|name| name.extract::<String>().ok())
        .or_else(|| error.get_type(py).name().ok().map(|name| name.to_string()))
        .unwrap_or_else(|| "Exception".to_owned());
    let message = message_of(py, error);
    let told = Error::new(kind_of(py, error, ours), message).with_class(class);
    match error.cause(py).filter(|_| causes > 0) {
        Some(cause) => told.with_cause(self::told(py, &cause, causes - 1)),
        None => told,
    }
}

/// Whether an exception may be caught on behalf of a program: not one that ends it.
pub(crate) fn is_ordinary(py: Python<'_>, error: &PyErr) -> bool {
    let is_cancelled = || {
        let interpreter = Interpreter::get(py).ok();
        interpreter.is_some_and(|known| error.is_instance(py, known.cancelled_error.bind(py)))
    };
    error.is_instance_of::<PyException>(py) || is_cancelled()
}

fn is_ours(py: Python<'_>, error: &PyErr) -> bool {
    let class = py.import("polyfn.errors").and_then(|module| module.getattr("RpcError"));
    class.and_then(|class| error.value(py).is_instance(&class)).unwrap_or(false)
}

/// The stable codes, for the Python half to check its classes against.
#[pyfunction]
pub(crate) fn error_codes() -> Vec<&'static str> {
    ErrorKind::ALL.iter().map(|kind| kind.code()).collect()
}

/// A function says with our own classes what kind its failure is; any other exception is its own affair.
fn kind_of(py: Python<'_>, error: &PyErr, is_ours: bool) -> ErrorKind {
    let code = error.value(py).getattr_opt("code").ok().flatten();
    if error.get_type(py).name().is_ok_and(|name| name == "CancelledError") {
        return ErrorKind::Cancelled;
    }
    let code = code.filter(|_| is_ours).and_then(|code| code.extract::<String>().ok());
    ErrorKind::of_failure(code.as_deref())
}

fn message_of(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(
        |_| "(its message cannot be read)".to_owned(),
        |text| text.to_string_lossy().into_owned(),
    )
}

fn traceback(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    // Not `value`: below 3.12 only the conversion into a value puts the traceback into the exception.
    let exception = error.clone_ref(py).into_value(py);
    let lines = py.import("traceback")?.call_method1("format_exception", (exception,))?;
    let text: String = pyo3::types::PyString::new(py, "").call_method1("join", (lines,))?.extract()?;
    Ok(text)
}
