//! Errors as HTTP answers.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use polyfn_core::{Error, ErrorKind};
use serde_json::json;

/// The status with which an error of this kind is answered.
#[must_use]
pub const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::PeerGone => StatusCode::BAD_GATEWAY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An error answered as a JSON problem (RFC 9457).
///
/// The member `code` is the stable code of the kind; `success` is there for clients of the reference server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    /// A problem of `kind`; `detail` is shown to whoever asked.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { status: status(kind), code: kind.code(), detail: detail.into() }
    }

    /// A token that is not accepted.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let code = ErrorKind::PermissionDenied.code();
        Self { status: StatusCode::UNAUTHORIZED, code, detail: detail.into() }
    }

    /// The same with another status.
    #[must_use]
    pub const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// The message of a remote error is shown, its traceback is not.
impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let detail = match error.class() {
            Some(class) if error.kind() == ErrorKind::Remote => format!("{class}: {}", error.message()),
            _ => error.message().to_owned(),
        };
        Self::new(error.kind(), detail)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "success": false,
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// `{"success":false,"detail":...}`, the shape of the reference server's own routes.
#[must_use]
pub fn failure(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"success": false, "detail": detail}))).into_response()
}

/// `{"detail":...}`, the shape of the framework that the reference server is built with.
#[must_use]
pub fn detail(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn every_kind_is_an_error_status() {
        for kind in ErrorKind::ALL {
            assert!(status(kind).as_u16() >= 400, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_problem_has_the_members_of_the_standard() {
        let error = Error::remote("boom").with_class("ValueError").with_trace("secret places");
        let response = Problem::from(error).into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let expected = json!({"type": "about:blank", "title": "Internal Server Error", "status": 500,
            "code": "remote", "success": false, "detail": "ValueError: boom"});
        assert_eq!(body(response).await, expected);
    }

    #[test]
    fn the_overloaded_are_told_when_to_come_back() {
        let response = Problem::new(ErrorKind::Overloaded, "too many calls").into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
