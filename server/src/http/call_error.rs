//! What an error of a call is to those who called over HTTP: one line to show, and a status.

use axum::http::StatusCode;
use polyfn_core::{Error, ErrorKind};

use crate::http::problem;
use crate::http::raised::{class_of, raised};

/// Whether the function itself failed, rather than the way to it.
///
/// Errors of ours carry neither a class nor a trace.
#[must_use]
pub fn is_raised(error: &Error) -> bool {
    error.kind() == ErrorKind::Remote
        || error.class().is_some()
        || error.trace().is_some_and(|trace| !trace.is_empty())
}

/// The error in one line, `ValueError: boom`, without any of the places where it happened.
#[must_use]
pub fn shown(error: &Error) -> String {
    let message = error.message();
    match error.class() {
        Some(class) if message.is_empty() => class.to_owned(),
        Some(class) if is_headed_by(message, class) => message.to_owned(),
        Some(class) => format!("{class}: {message}"),
        None => shown_of_text(message, error.trace().unwrap_or_default()),
    }
}

/// Older peers say the class in the text only: Python in the last line of the trace, JavaScript in the first.
fn shown_of_text(message: &str, trace: &str) -> String {
    let lines = || message.lines().chain(trace.lines());
    let last = lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let is_stack = last.trim_start().starts_with("at ") || last.contains("@http") || last.contains("@file:");
    if !is_stack {
        return last.trim().to_owned();
    }
    let headed = lines().find(|line| class_of(line).is_some());
    headed.or_else(|| message.lines().next()).unwrap_or_default().trim().to_owned()
}

fn is_headed_by(message: &str, class: &str) -> bool {
    message.strip_prefix(class).is_some_and(|rest| rest.starts_with(':'))
}

/// The status of an error that a service answered with: its code decides, else its class.
#[must_use]
pub fn status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Remote => of_class(error),
        // what was asked for is ambiguous; the reference calls that a bad request
        ErrorKind::Conflict if raised(error) == Some("AssertionError") => StatusCode::BAD_REQUEST,
        kind => problem::status(kind),
    }
}

/// The status of an error with which a call ended: as [`status`], and arguments that the schema of a function refuses
/// are not what the function itself refuses.
#[must_use]
pub fn status_of_call(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Invalid if !is_raised(error) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => status(error),
    }
}

/// The status of an exception without a code: that of its class, wherever the peer says the class. What an exception
/// says otherwise is for people.
fn of_class(error: &Error) -> StatusCode {
    match raised(error) {
        Some("KeyError") => StatusCode::NOT_FOUND,
        Some("PermissionError") => StatusCode::FORBIDDEN,
        Some("TypeError" | "ValueError" | "AssertionError") => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PYTHON: &str =
        "Traceback (most recent call last):\n  File \"lib/a.py\", line 1, in f\n    f()\nValueError: boom\n";
    const JAVASCRIPT: &str =
        "Error: boom\n    at f (file:///lib/a.mjs:1:2)\n    at RPC._handle_method (x.mjs:6513:31)";

    #[test]
    fn one_line_is_shown() {
        let remote = |message: &str, trace: &str| Error::remote(message).with_trace(trace);
        for (error, line) in [
            (Error::remote("boom").with_class("ValueError").with_trace(PYTHON), "ValueError: boom"),
            (Error::remote("ValueError: boom").with_class("ValueError"), "ValueError: boom"),
            (Error::remote("").with_class("KeyError"), "KeyError"),
            (remote("boom", PYTHON), "ValueError: boom"),
            (remote(PYTHON.trim(), PYTHON), "ValueError: boom"),
            (remote("Error: boom", JAVASCRIPT), "Error: boom"),
            (remote("boom", "f@https://x/a.js:1:2"), "boom"),
            (Error::remote("a text"), "a text"),
            (
                Error::new(ErrorKind::NotFound, "KeyError: 'Service not found: a'"),
                "KeyError: 'Service not found: a'",
            ),
        ] {
            assert_eq!(shown(&error), line, "{error:?}");
        }
    }

    #[test]
    fn the_code_decides_and_then_the_class() {
        let class = |class: &str| Error::remote("boom").with_class(class);
        for (error, expected) in [
            (class("KeyError"), 404),
            (class("PermissionError"), 403),
            (class("TypeError"), 400),
            (class("ValueError"), 400),
            (class("AssertionError"), 400),
            (class("RuntimeError"), 500),
            (class("FileNotFoundError"), 500),
            (class("RuntimeError").with_trace("KeyError: quoted"), 500),
            (Error::remote("thing not found").with_class("RuntimeError"), 500),
            (Error::remote("boom").with_trace(PYTHON), 400),
            (Error::remote("Error: thing not found").with_trace(JAVASCRIPT), 500),
            (Error::remote("Error: boom").with_trace(JAVASCRIPT), 500),
            (Error::new(ErrorKind::PermissionDenied, "no"), 403),
            (Error::new(ErrorKind::Timeout, "late"), 504),
            (Error::new(ErrorKind::PeerGone, "gone"), 502),
            (Error::new(ErrorKind::Conflict, "AssertionError: Multiple services found for a"), 400),
        ] {
            assert_eq!(status(&error).as_u16(), expected, "{error:?}");
            assert_eq!(status_of_call(&error).as_u16(), expected, "{error:?}");
        }
        let refused = Error::invalid("`a` of add(a): the value is not of type \"integer\"");
        assert_eq!(status_of_call(&refused).as_u16(), 422);
        assert_eq!(status_of_call(&refused.with_class("InvalidError")).as_u16(), 400);
    }
}
