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
    /// Most problems have none of it, and are passed about by value.
    more: Option<Box<More>>,
}

/// What is told of a failed call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    incident: Option<String>,
    traceback: Option<String>,
}

/// How a problem is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As JSON.
    Json,
    /// As JSON in the shape of the reference server's own routes: `{"success":false,"detail":...,"code":...}`.
    Reference,
    /// As plain text.
    Text,
}

impl Problem {
    /// A problem of `kind`; `detail` is shown to whoever asked.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self::with_code(status(kind), kind.code(), detail.into())
    }

    /// A token that is not accepted.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::with_code(StatusCode::UNAUTHORIZED, ErrorKind::PermissionDenied.code(), detail.into())
    }

    /// 503, for what cannot be answered now.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::with_code(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Overloaded.code(), detail.into())
    }

    const fn with_code(status: StatusCode, code: &'static str, detail: String) -> Self {
        Self { status, code, detail, more: None }
    }

    /// The same with another status.
    #[must_use]
    pub const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with the number under which the log tells more.
    #[must_use]
    pub fn with_incident(mut self, incident: String) -> Self {
        self.more.get_or_insert_default().incident = Some(incident);
        self
    }

    /// The same with a traceback: for those only who may see the program it comes from.
    #[must_use]
    pub fn with_traceback(mut self, traceback: &str) -> Self {
        self.more.get_or_insert_default().traceback = Some(traceback.to_owned());
        self
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said of it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The answer in the form that suits whoever asked.
    #[must_use]
    pub fn answer(self, form: Form) -> Response {
        let mut response = match form {
            Form::Json => self.to_json(),
            Form::Reference => {
                let body = json!({"success": false, "detail": self.detail, "code": self.code});
                (self.status, Json(body)).into_response()
            }
            Form::Text => (self.status, self.to_text()).into_response(),
        };
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer error=\"invalid_token\""),
                );
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }

    fn incident(&self) -> Option<&str> {
        self.more.as_ref()?.incident.as_deref()
    }

    fn traceback(&self) -> Option<&str> {
        self.more.as_ref()?.traceback.as_deref()
    }

    fn to_json(&self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "success": false,
            "detail": self.detail,
        });
        if let Some(incident) = self.incident() {
            body["incident"] = incident.into();
        }
        if let Some(traceback) = self.traceback() {
            body["traceback"] = traceback.into();
        }
        let mut response = (self.status, Json(body)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }

    fn to_text(&self) -> String {
        let incident = self.incident().map(|incident| format!("\nincident {incident}"));
        let traceback = self.traceback().map(|traceback| format!("\n\n{traceback}"));
        [Some(self.detail.clone()), incident, traceback].into_iter().flatten().collect()
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
        self.answer(Form::Json)
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
