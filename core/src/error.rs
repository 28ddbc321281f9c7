//! One error for every layer: a kind with a stable code, a message, and what the remote side said.

use std::fmt;
use std::str::FromStr;

/// What went wrong, by kind. The code of a kind never changes: it is the same on the wire, in HTTP
/// answers, in Python and in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing asked for does not exist, or the caller may not know that it does.
    NotFound,
    /// The caller lacks a right.
    PermissionDenied,
    /// The deadline passed before the answer came.
    Timeout,
    /// The other side disconnected, or was never there.
    PeerGone,
    /// A limit on size, depth or count was passed.
    TooLarge,
    /// The input does not have the form it must have.
    Invalid,
    /// The thing exists already, or the state does not allow the operation.
    Conflict,
    /// Too much is under way: try again later.
    Overloaded,
    /// The caller gave up.
    Cancelled,
    /// The function itself failed.
    Remote,
    /// A fault of polyfn's own.
    Internal,
}

impl ErrorKind {
    /// Every kind, in a fixed order; bindings build their exception classes from it.
    pub const ALL: [Self; 11] = [
        Self::NotFound,
        Self::PermissionDenied,
        Self::Timeout,
        Self::PeerGone,
        Self::TooLarge,
        Self::Invalid,
        Self::Conflict,
        Self::Overloaded,
        Self::Cancelled,
        Self::Remote,
        Self::Internal,
    ];

    /// The kind of a function's failure, from the code of what it raised, if that is an error of polyfn: by it a function
    /// says what went wrong. A call that it made itself and that timed out, or lost its peer, is another thing: the call
    /// of its own caller did not.
    ///
    /// ```
    /// use polyfn_core::ErrorKind;
    /// assert_eq!(ErrorKind::of_failure(Some("not_found")), ErrorKind::NotFound);
    /// assert_eq!(ErrorKind::of_failure(Some("timeout")), ErrorKind::Remote);
    /// assert_eq!(ErrorKind::of_failure(None), ErrorKind::Remote);
    /// ```
    #[must_use]
    pub fn of_failure(code: Option<&str>) -> Self {
        match code.and_then(|code| code.parse().ok()) {
            None | Some(Self::Timeout | Self::PeerGone | Self::Cancelled | Self::Internal) => Self::Remote,
            Some(kind) => kind,
        }
    }

    /// The stable code, for example `not_found`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::PermissionDenied => "permission_denied",
            Self::Timeout => "timeout",
            Self::PeerGone => "peer_gone",
            Self::TooLarge => "too_large",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
            Self::Remote => "remote",
            Self::Internal => "internal",
        }
    }
}

impl FromStr for ErrorKind {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.code() == code)
            .ok_or_else(|| Error::new(Self::Invalid, format!("unknown error code `{code}`")))
    }
}

/// An error of polyfn. `Display` gives the message alone; `Debug` gives everything.
///
/// ```
/// use polyfn_core::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::NotFound, "service not found: lab/*:calc@*");
/// assert_eq!(error.kind().code(), "not_found");
/// assert_eq!(error.to_string(), "service not found: lab/*:calc@*");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    remote: Option<Box<RemoteDetail>>,
}

/// What the side that failed told about its failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct RemoteDetail {
    class: Option<String>,
    trace: Option<String>,
    cause: Option<Error>,
}

impl Error {
    /// An error of `kind`; the message says what was asked, what was found, and the remedy if there is one.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), remote: None }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::TooLarge`].
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// Shorthand for [`ErrorKind::Remote`].
    pub fn remote(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Remote, message)
    }

    /// Adds the class name of the exception as its own language calls it, for example `ValueError`.
    #[must_use]
    pub fn with_class(mut self, class: impl Into<String>) -> Self {
        self.remote.get_or_insert_default().class = Some(class.into());
        self
    }

    /// Adds the traceback of the side that failed.
    #[must_use]
    pub fn with_trace(mut self, trace: impl Into<String>) -> Self {
        self.remote.get_or_insert_default().trace = Some(trace.into());
        self
    }

    /// Adds the error that led to this one.
    #[must_use]
    pub fn with_cause(mut self, cause: Self) -> Self {
        self.remote.get_or_insert_default().cause = Some(cause);
        self
    }

    /// Puts the place of a bad value in front: `.a`, `[3]`; called on the way up, so places nest.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        self.message = match self.message.strip_prefix("at ") {
            Some(rest) => format!("at {place}{rest}"),
            None => format!("at {place}: {}", self.message),
        };
        self
    }

    /// The kind.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message, without class or traceback.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The class name given by the remote side, if it gave one.
    pub fn class(&self) -> Option<&str> {
        self.remote.as_ref()?.class.as_deref()
    }

    /// The traceback given by the remote side, if it gave one.
    pub fn trace(&self) -> Option<&str> {
        self.remote.as_ref()?.trace.as_deref()
    }

    /// The error that led to this one, if the side that failed told.
    pub fn cause(&self) -> Option<&Self> {
        self.remote.as_ref()?.cause.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as _)
    }
}

/// The result of everything in polyfn.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for kind in ErrorKind::ALL {
            assert_eq!(kind.code().parse::<ErrorKind>(), Ok(kind));
        }
        assert!("nonsense".parse::<ErrorKind>().is_err());
    }

    #[test]
    fn places_nest_from_the_inside_out() {
        let error = Error::invalid("cannot send a lock").at("[3]").at(".items").at("args[0]");
        assert_eq!(error.message(), "at args[0].items[3]: cannot send a lock");
    }
}
