//! The signature specification: what a function is told that takes one `context`.

use bytes::Bytes;

use super::event::{Header, HttpRequest, distinct, write_headers, write_texts};
use super::fields;
use super::media::Media;
use crate::codec::{Walk, Writer};
use crate::{Error, Result, Value};

/// What a context holds beside the request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The id by which the log knows the request.
    pub request_id: &'a str,
    /// The body, see [`parse_body`].
    pub body: &'a Value,
}

/// What a body is by its content type: JSON, a form, its parts or a text as values; everything else as bytes, and
/// no body as nil.
///
/// # Errors
/// `invalid` for a body that is not what its content type says.
///
/// ```
/// use bytes::Bytes;
/// use polyfn_core::{Value, functions::signature::parse_body};
/// let body = parse_body(Some("application/x-www-form-urlencoded"), &Bytes::from_static(b"a=1&a=2")).unwrap();
/// assert_eq!(body.as_map().unwrap().get("a"), Some(&Value::List(vec!["1".into(), "2".into()])));
/// ```
pub fn parse_body(content_type: Option<&str>, body: &Bytes) -> Result<Value> {
    if body.is_empty() {
        return Ok(Value::Nil);
    }
    let media = Media::new(content_type.unwrap_or_default());
    if media.is_json() {
        let json: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
            Error::invalid(format!("the body is no JSON, as its content type says: {error}"))
        })?;
        Ok(json.into())
    } else if media.is("application/x-www-form-urlencoded") || media.is("multipart/form-data") {
        fields::form(content_type.unwrap_or_default(), body).map(Value::Map)
    } else if media.is_utf8_text() {
        match std::str::from_utf8(body) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Error::invalid("the body is no text in UTF-8, as its content type says")),
        }
    } else {
        Ok(body.clone().into())
    }
}

impl<'a, H: IntoIterator<Item = (&'a str, &'a [u8])>> HttpRequest<'a, H> {
    /// Writes the context of the signature specification as one map, in the place of the event.
    ///
    /// # Errors
    /// Those of [`Writer`].
    pub fn write_context(self, told: &Told<'_>, out: &mut Writer) -> Result<()> {
        out.reserve(self.body.len() + self.user.len() + 1024);
        let optional = usize::from(self.cloudevent.is_some()) + usize::from(self.function_path.is_some());
        out.open_map(6 + optional)?;
        // by it peers know that the call is a request
        write_texts(out, &[("type", "http")])?;
        out.text("request")?;
        out.open_map(7)?;
        write_texts(
            out,
            &[("method", self.method), ("http_version", self.http_version), ("path", self.path)],
        )?;
        write_texts(out, &[("query_string", self.query_string)])?;
        out.text("query")?;
        Value::Map(fields::pairs(self.query_string.as_bytes())).walk(out)?;
        let headers: Vec<Header<'_>> = self.headers.into_iter().map(Header::from).collect();
        write_headers(out, &headers, distinct(&headers))?;
        out.text("body")?;
        told.body.walk(out)?;
        out.close();
        if let Some(event) = self.cloudevent {
            out.text("event")?;
            event.walk(out)?;
        }
        write_texts(
            out,
            &[("id", told.request_id), ("workspace", self.workspace), ("service_id", self.service_id)],
        )?;
        out.text("user")?;
        out.raw(self.user)?;
        if let Some(path) = self.function_path {
            write_texts(out, &[("function_path", path)])?;
        }
        out.close();
        Ok(())
    }
}

/// Members of a folder with a `handle` that no request reaches: they are for the owner.
const LIFECYCLE: [&str; 3] = ["init", "shutdown", "cors"];
/// Where the checks of a folder with a `handle` are found.
const HEALTH: [(&str, &str); 2] = [("liveness", "health.liveness"), ("readiness", "health.readiness")];

/// Where a request finds a member of a folder with a `handle`: `handle` answers everything there. `None` for
/// members that no request reaches.
pub(super) fn place_of(member: &str) -> Option<&str> {
    if member == "handle" {
        return Some("default");
    }
    match HEALTH.iter().find(|(name, _)| *name == member) {
        Some((_, place)) => Some(place),
        None => Some(member).filter(|member| !LIFECYCLE.contains(member)),
    }
}

/// Whether a path from the service on asks how a service with a `handle` is.
///
/// ```
/// assert!(polyfn_core::functions::signature::is_health("/health/readiness/"));
/// ```
pub fn is_health(path: &str) -> bool {
    HEALTH.iter().any(|(name, _)| path.trim_matches('/').strip_prefix("health/") == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Map;
    use crate::codec::Reader;

    fn body(content_type: &str, body: &'static [u8]) -> Result<Value> {
        parse_body(Some(content_type), &Bytes::from_static(body))
    }

    #[test]
    fn bodies_are_what_their_type_says() {
        let json = body("application/vnd.x+json; charset=utf-8", br#"{"b":[1,null],"a":"x"}"#).unwrap();
        assert_eq!(json.to_json().unwrap().to_string(), r#"{"b":[1,null],"a":"x"}"#);
        assert_eq!(body("text/x", "grüße".as_bytes()).unwrap(), "grüße".into());
        assert_eq!(body("text/x; charset=latin1", b"gr\xfc").unwrap(), Bytes::from_static(b"gr\xfc").into());
        assert_eq!(body("image/png", b"{}").unwrap(), Bytes::from_static(b"{}").into());
        assert_eq!(parse_body(None, &Bytes::from_static(b"x")).unwrap(), Bytes::from_static(b"x").into());
        assert_eq!(body("application/json", b"").unwrap(), Value::Nil);
        for (kind, wrong) in
            [("application/json", &b"{"[..]), ("text/plain", b"\xff"), ("multipart/form-data", b"x")]
        {
            assert_eq!(body(kind, wrong).unwrap_err().kind(), crate::ErrorKind::Invalid, "{kind}");
        }
    }

    #[test]
    fn a_context_holds_the_request() {
        let headers: [(&str, &[u8]); 2] = [("X-A", b"1"), ("x-a", b"2")];
        let user = Value::Nil.to_msgpack().unwrap();
        let event = Value::Map(Map::from_iter([("id", "e")]));
        let request = HttpRequest {
            method: "POST",
            scheme: "http",
            http_version: "1.1",
            path: "/x",
            raw_path: "/x",
            query_string: "a=1&b=x&a=2",
            headers,
            body: Bytes::new(),
            client: None,
            server: None,
            workspace: "ws",
            service_id: "c:web",
            user: &user,
            function_path: Some("/x"),
            context: crate::functions::Context::default(),
            cloudevent: Some(&event),
        };
        let told = Told { request_id: "r1", body: &"text".into() };
        let mut out = Writer::new();
        request.write_context(&told, &mut out).unwrap();
        let bytes = Bytes::from(out.into_bytes());
        let mut reader = Reader::new(&bytes);
        let context = reader.value().unwrap();
        assert!(reader.is_at_end(), "exactly one value was written");
        let json = context.to_json().unwrap();
        assert_eq!(json["request"]["query"], serde_json::json!({"a": ["1", "2"], "b": "x"}));
        assert_eq!(json["request"]["headers"], serde_json::json!({"x-a": "1, 2"}));
        assert_eq!((&json["request"]["method"], &json["request"]["body"]), (&"POST".into(), &"text".into()));
        assert_eq!(
            (&json["event"]["id"], &json["id"], &json["function_path"]),
            (&"e".into(), &"r1".into(), &"/x".into())
        );
    }

    #[test]
    fn members_beside_a_handle_have_their_places() {
        assert_eq!(place_of("handle"), Some("default"));
        assert_eq!(place_of("liveness"), Some("health.liveness"));
        assert_eq!(place_of("init"), None);
        assert_eq!(place_of("other"), Some("other"));
        assert!(is_health("/health/liveness") && !is_health("/health") && !is_health("/x/health/liveness"));
    }
}
