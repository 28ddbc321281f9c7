//! The result of a call as a body: JSON or msgpack.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use polyfn_core::session::Payload;
use polyfn_core::{Error, Result, Value};

use crate::http::failure;
use crate::http::services::format::Format;
use crate::http::services::plain;

const NIL: Bytes = Bytes::from_static(&[0xc0]);

/// The answer for a value that came from a client; in msgpack its bytes are passed on as they are.
pub(super) fn of_payload(payload: &Payload, format: Format) -> Response {
    let body = match format {
        Format::Msgpack => first(payload),
        Format::Json | Format::Lines => payload.value().and_then(|value| json(&value)),
    };
    answer(body, format)
}

/// The answer for a value.
pub(super) fn of_value(value: &Value, format: Format) -> Response {
    let body = match format {
        Format::Msgpack => value.to_msgpack().map(Bytes::from),
        Format::Json | Format::Lines => json(value),
    };
    answer(body, format)
}

fn first(payload: &Payload) -> Result<Bytes> {
    let mut reader = payload.reader();
    if reader.list()? == 0 {
        return Ok(NIL);
    }
    let value = reader.skip()?;
    Ok(payload.args.slice_ref(value))
}

fn json(value: &Value) -> Result<Bytes> {
    plain::to_json(value).map(|json| json.to_string().into())
}

fn answer(body: Result<Bytes>, format: Format) -> Response {
    match body {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert(header::CONTENT_TYPE, format.content_type());
            response
        }
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &unfit(&error)),
    }
}

/// The class that Python gives to what JSON cannot hold.
fn unfit(error: &Error) -> String {
    let is_number = error.message().contains("NaN") || error.message().contains("inf ");
    format!("{}: {}", if is_number { "ValueError" } else { "TypeError" }, error.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(value: Value) -> Payload {
        Payload { args: Value::List(vec![value]).to_msgpack().unwrap().into(), ..Payload::default() }
    }

    async fn body(response: Response) -> (u16, Bytes) {
        let status = response.status().as_u16();
        (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn values_are_written_in_both_forms() {
        let value = Value::from(vec![Value::from(1), Value::Nil]);
        let both = [(Format::Json, &b"[1,null]"[..]), (Format::Msgpack, b"\x92\x01\xc0")];
        for (format, expected) in both {
            assert_eq!(body(of_payload(&payload(value.clone()), format)).await, (200, expected.into()));
            assert_eq!(body(of_value(&value, format)).await, (200, expected.into()));
        }
        let nothing = Payload { args: Bytes::from_static(&[0x90]), ..Payload::default() };
        assert_eq!(body(of_payload(&nothing, Format::Json)).await, (200, "null".into()));
        assert_eq!(body(of_payload(&nothing, Format::Msgpack)).await, (200, NIL));
    }

    #[tokio::test]
    async fn bytes_are_marked_in_json() {
        let bytes = Value::from(Bytes::from_static(b"\xff"));
        let packed = body(of_payload(&payload(bytes.clone()), Format::Msgpack)).await;
        assert_eq!(packed, (200, Bytes::from_static(b"\xc4\x01\xff")));
        let marked = r#"{"_rtype":"bytes","_rvalue":"/w=="}"#;
        assert_eq!(body(of_payload(&payload(bytes), Format::Json)).await, (200, marked.into()));
        assert_eq!(body(of_payload(&payload(Value::from(f64::NAN)), Format::Json)).await.0, 500);
    }
}
