//! Errors on their way to JavaScript, which makes an exception of the right class from them (`errors.ts`).

use polyfn_core::Error;

/// `code` and `message` in one text: a native call says by it that it failed, and allocates nothing else.
pub(crate) fn told(error: &Error) -> String {
    format!("{}\n{}", error.kind().code(), error.message())
}
