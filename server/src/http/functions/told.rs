//! What a function is told of a request beside its scope: the CloudEvent that it is, and for functions that take a
//! context the body by its content type.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use polyfn_core::Value;
use polyfn_core::functions::{Signature, cloudevent, signature};

use crate::http::problem::Problem;

/// The name of the header by which a caller and the log know a request.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a caller gives; a longer one counts as none.
const REQUEST_ID_MAX: usize = 128;

/// What was read from a request before its function is called.
pub(super) struct Told {
    /// The CloudEvent, or the list of them that a batch holds.
    pub(super) event: Option<Value>,
    /// The body by its content type; only for functions that take a context.
    pub(super) context: Option<Value>,
}

impl Told {
    /// Reads it; a body that is not what it says is refused.
    pub(super) fn read(parts: &Parts, body: &Bytes, signature: Signature) -> Result<Self, Problem> {
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let event = cloudevent::detect(headers, body).map_err(|error| Problem::from(&error))?;
        let context = match signature {
            Signature::Event => None,
            Signature::Context => {
                let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
                Some(signature::parse_body(kind, body).map_err(|error| Problem::from(&error))?)
            }
        };
        Ok(Self { event, context })
    }

    /// The answer to a function that takes a context names the request.
    pub(super) fn finish(&self, mut response: Response, request_id: &str) -> Response {
        if self.context.is_some()
            && let Ok(id) = HeaderValue::from_str(request_id)
        {
            response.headers_mut().entry(REQUEST_ID).or_insert(id);
        }
        response
    }
}

/// The id that the caller gave the request, if it is well-formed, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| is_well_formed(id));
    given.map_or_else(|| format!("{:016x}", fastrand::u64(..)), str::to_owned)
}

fn is_well_formed(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    (1..=REQUEST_ID_MAX).contains(&id.len()) && id.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_kept() {
        let id = |given: &str| request_id(&HeaderMap::from_iter([(REQUEST_ID, given.parse().unwrap())]));
        assert_eq!(id("6e8bc430-9c3a:1/x"), "6e8bc430-9c3a:1/x");
        for wrong in ["", "a b", "a\tb", "{}", &"x".repeat(REQUEST_ID_MAX + 1)] {
            assert_eq!(id(wrong).len(), 16, "{wrong}");
        }
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }
}
