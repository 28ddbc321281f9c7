//! Errors that a function raises to answer with a status of its own.

use serde_json::json;

use crate::{Error, Result};

/// The content type of [`problem`].
pub const PROBLEM: &str = "application/problem+json";

/// The body that answers an `HTTPError` of a function: a JSON problem (RFC 9457). Every caller sees it.
///
/// ```
/// use polyfn_core::functions::problem;
/// let body = problem(404, "no such user")?;
/// assert_eq!(body, r#"{"type":"about:blank","title":"Not Found","status":404,"detail":"no such user"}"#);
/// # Ok::<_, polyfn_core::Error>(())
/// ```
///
/// # Errors
/// `invalid` for a status that tells of no error: those are 400 to 599.
pub fn problem(status: i64, detail: &str) -> Result<String> {
    if !(400..=599).contains(&status) {
        return Err(Error::invalid(format!("the status of an error is 400 to 599, found {status}")));
    }
    let head = format!(r#"{{"type":"about:blank","title":"{}","status":{status}"#, title(status));
    let detail = if detail.is_empty() { String::new() } else { format!(r#","detail":{}"#, json!(detail)) };
    Ok(format!("{head}{detail}}}"))
}

/// The status and the detail of an `HTTPError` that came as an error, from within a generator: as an answer it would
/// have been a [`problem`]. Errors of that name from elsewhere say something else and are none.
///
/// ```
/// use polyfn_core::{Error, functions::raised};
/// let error = Error::remote("404: no such user").with_class("HTTPError");
/// assert_eq!(raised(&error), Some((404, "no such user")));
/// assert_eq!(raised(&Error::remote("404 Client Error: Not Found").with_class("HTTPError")), None);
/// ```
pub fn raised(error: &Error) -> Option<(i64, &str)> {
    let message = error.message();
    let (status, detail) = message.split_once(": ").unwrap_or((message, ""));
    let is_one = error.class() == Some("HTTPError") && status.len() == 3;
    let status = status.parse().ok().filter(|status| is_one && (400..=599).contains(status))?;
    Some((status, detail))
}

/// What a status is called.
const fn title(status: i64) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a Teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        500 => "Internal Server Error",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_are_problems() {
        assert!(problem(399, "").is_err() && problem(600, "").is_err() && problem(-1, "").is_err());
        assert!(!problem(599, "").unwrap().contains("detail"));
        assert!(problem(500, "").unwrap().contains("Internal Server Error"));
    }
}
