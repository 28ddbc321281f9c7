//! Errors on their way to JavaScript, which makes an exception of the right class from them (`errors.ts`).

use polyfn_core::{Error, ErrorKind};

/// `code` and `message` in one text: a native call says by it that it failed, and allocates nothing else.
pub(crate) fn told(error: &Error) -> String {
    format!("{}\n{}", error.kind().code(), error.message())
}

/// The error of a function that failed.
pub(crate) fn of_function(
    code: &str,
    message: String,
    class: Option<String>,
    trace: Option<String>,
) -> Error {
    let error = Error::new(code.parse().unwrap_or(ErrorKind::Remote), message);
    let error = class.into_iter().fold(error, Error::with_class);
    trace.into_iter().fold(error, Error::with_trace)
}
