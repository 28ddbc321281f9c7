//! The arguments of a call, from a query or a body.

use axum::extract::{Query, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use polyfn_core::codec::{Reader, Walk, Writer};
use polyfn_core::{ErrorKind, Map, Result, Value};

use crate::http::body;
use crate::http::problem::Problem;
use crate::http::services::plain;
use crate::hub::Service;
use crate::limits::Limits;

mod form;
mod query_value;

/// Arguments by position, then by name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Arguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Map,
}

/// What a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Msgpack,
    /// `a=1&b=2`.
    Form,
    /// A form with files.
    Multipart,
}

impl Encoding {
    /// What the `Content-Type` says, parameters aside; JSON when it says nothing, `None` for anything else.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Some(Self::Json) };
        match media_type(value).as_str() {
            "" | "application/json" => Some(Self::Json),
            "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => {
                Some(Self::Msgpack)
            }
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "multipart/form-data" => Some(Self::Multipart),
            _ => None,
        }
    }
}

/// What a `Content-Type` says, in small letters and without its parameters.
fn media_type(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or("unreadable");
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

impl Arguments {
    /// Reads the arguments of a request: those of GET stand in the query, those of POST in the body.
    ///
    /// # Errors
    /// 400 for what cannot be read, 413 for a body that is too large, 415 for a body in another form.
    pub(super) async fn of(request: Request, limits: &Limits) -> Result<Self, Problem> {
        if request.method() != Method::POST {
            return Self::of_query(&request);
        }
        let (parts, body) = request.into_parts();
        let body = body::collect(body, limits).await?;
        if body.is_empty() {
            return Ok(Self::default());
        }
        match Encoding::of(&parts.headers) {
            Some(Encoding::Json) => Self::of_value(json(&body)?),
            Some(Encoding::Msgpack) => Self::of_value(msgpack(&body)?),
            Some(Encoding::Form) => Ok(Self::of_fields(form::of_pairs(&body)?)),
            Some(Encoding::Multipart) => Ok(Self::of_fields(form::of_parts(&parts.headers, body).await?)),
            None => Err(unknown_encoding(&parts.headers)),
        }
    }

    fn of_query(request: &Request) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let Query(pairs) = pairs.map_err(|error| invalid(error.body_text()))?;
        let mut named = Map::new();
        for (name, text) in pairs {
            // it says which service is meant
            if name != "_mode" {
                named.insert(name, query_value::read(&text).map_err(invalid)?);
            }
        }
        Ok(Self::of_fields(named))
    }

    const fn of_fields(named: Map) -> Self {
        Self { positional: Vec::new(), named }
    }

    fn of_value(value: Value) -> Result<Self, Problem> {
        match value {
            Value::Map(named) => Ok(Self::of_fields(named)),
            Value::List(positional) => Ok(Self { positional, named: Map::new() }),
            _ => Err(invalid("expected an object of arguments by name or a list of arguments by position")),
        }
    }

    /// Takes out what would pass for the context: a function that asks for it gets the true one.
    pub(super) fn drop_context(&mut self, service: &Service) {
        let config = service.told.config();
        let wanted = config.and_then(|config| config.get("require_context"));
        if wanted.is_some_and(|wanted| wanted.as_bool() == Some(true) || wanted.as_list().is_some()) {
            self.named.remove("context");
        }
    }

    /// How many values [`Arguments::write`] writes.
    pub(super) const fn len(&self) -> usize {
        self.positional.len() + if self.named.is_empty() { 0 } else { 1 }
    }

    /// Writes all of them, those by name as one map behind the others.
    pub(super) fn write(&self, out: &mut Writer) -> Result<()> {
        self.positional.iter().try_for_each(|value| value.walk(out))?;
        if self.named.is_empty() {
            return Ok(());
        }
        out.open_map(self.named.len())?;
        self.named.iter().try_for_each(|(name, value)| out.entry(name, value))?;
        out.close();
        Ok(())
    }
}

fn json(body: &[u8]) -> Result<Value, Problem> {
    let json = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
    plain::from_json(json).map_err(|error| invalid(error.message()))
}

fn msgpack(body: &Bytes) -> Result<Value, Problem> {
    let mut reader = Reader::new(body);
    let value = reader.value().map_err(|error| invalid(error.message()))?;
    if reader.is_at_end() { Ok(value) } else { Err(invalid("more than one value")) }
}

fn invalid(text: impl AsRef<str>) -> Problem {
    Problem::new(ErrorKind::Invalid, format!("Invalid request body: {}", text.as_ref()))
}

fn unknown_encoding(headers: &HeaderMap) -> Problem {
    let found = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let text = format!(
        "Unsupported content type: {found}, expected `application/json`, `application/msgpack`, \
         `application/x-www-form-urlencoded` or `multipart/form-data`"
    );
    Problem::new(ErrorKind::Invalid, text).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(method: &str, uri: &str, kind: Option<&str>, body: &[u8]) -> Result<String, u16> {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body.to_vec())).unwrap();
        let limits = Limits { max_request_body: 1000, ..Limits::default() };
        let read = Arguments::of(request, &limits).await.map_err(|problem| problem.status().as_u16())?;
        let named = Value::Map(read.named).to_json().unwrap();
        Ok(format!("{} {named}", Value::List(read.positional).to_json().unwrap()))
    }

    #[tokio::test]
    async fn a_query_is_arguments_by_name() {
        let query = "/f?a=5&b=x%20y+z&a=7&_mode=first&workspace=w&flag";
        let expected = r#"[] {"a":7,"b":"x y z","workspace":"w","flag":""}"#;
        assert_eq!(read("GET", query, None, b"").await.as_deref(), Ok(expected));
        assert_eq!(read("GET", "/f?a=%7Bx", None, b"").await, Err(400));
    }

    #[tokio::test]
    async fn a_body_is_arguments_by_name_or_by_position() {
        for (kind, body, expected) in [
            (None, &b"{\"a\":1}"[..], Ok(r#"[] {"a":1}"#)),
            (Some("Application/JSON; charset=utf-8"), b"[1,{}]", Ok(r#"[1,{}] {}"#)),
            (Some("application/msgpack"), b"\x81\xa1a\x01", Ok(r#"[] {"a":1}"#)),
            (Some("application/msgpack"), b"\x91\x01", Ok(r#"[1] {}"#)),
            (Some("application/x-www-form-urlencoded; charset=UTF-8"), b"a=1", Ok(r#"[] {"a":1}"#)),
            (Some("Multipart/Form-Data"), b"a", Err(400)),
            (Some("text/csv"), b"", Ok("[] {}")),
            (Some("text/csv"), b"a", Err(415)),
            (Some("application/json"), b"5", Err(400)),
            (Some("application/json"), b"{", Err(400)),
            (Some("application/msgpack"), b"\x81", Err(400)),
            (Some("application/msgpack"), b"\x80\x80", Err(400)),
            (None, &[b' '; 1001], Err(413)),
        ] {
            let found = read("POST", "/f?b=2", kind, body).await;
            assert_eq!(found, expected.map(str::to_owned), "{kind:?} {body:?}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let arguments = Arguments { positional: vec![1.into()], named: Map::from_iter([("a", "b")]) };
        let mut out = Writer::new();
        arguments.write(&mut out).unwrap();
        assert_eq!((arguments.len(), out.into_bytes()), (2, b"\x01\x81\xa1a\xa1b".to_vec()));
    }
}
