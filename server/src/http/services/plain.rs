//! Values in JSON, also those that JSON has no form for: bytes and arrays stand in it as the protocol marks them
//! (`_rtype`, protocol section 10), their memory in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use polyfn_core::codec::Tagged;
use polyfn_core::{Error, Map, Result, Value};
use serde_json::{Value as Json, json};

const TYPE: &str = "_rtype";
const CONTENT: &str = "_rvalue";

/// The value in JSON.
///
/// # Errors
/// `invalid`, with its place, for what has no form in it: NaN, functions, generators inside of a value.
pub(super) fn to_json(value: &Value) -> Result<Json> {
    match value {
        Value::Bytes(data) => Ok(bytes(data)),
        Value::List(items) => list(items),
        Value::Map(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let json = to_json(value).map_err(|error| error.at(&format!(".{key}")))?;
                Ok((key.clone(), json))
            };
            map.iter().map(|(key, value)| entry((key, value))).collect::<Result<_>>().map(Json::Object)
        }
        Value::Tagged(tagged) => match &**tagged {
            Tagged::Memory(data) => Ok(bytes(data)),
            Tagged::Set(items) => list(items),
            Tagged::Array { data, shape, dtype } => {
                let kind = if shape.is_some() { "ndarray" } else { "typedarray" };
                let mut json = json!({TYPE: kind, CONTENT: STANDARD.encode(data)});
                if let Some(shape) = shape {
                    json["_rshape"] = json!(shape);
                }
                json["_rdtype"] = json!(dtype);
                Ok(json)
            }
            _ => value.to_json(),
        },
        _ => value.to_json(),
    }
}

fn list(items: &[Value]) -> Result<Json> {
    let item = |(at, item): (usize, &Value)| to_json(item).map_err(|error| error.at(&format!("[{at}]")));
    items.iter().enumerate().map(item).collect::<Result<_>>().map(Json::Array)
}

fn bytes(data: &[u8]) -> Json {
    json!({TYPE: "bytes", CONTENT: STANDARD.encode(data)})
}

/// The value that JSON stands for: the other direction of [`to_json`].
///
/// # Errors
/// `invalid`, with its place, for a marked value that is not base64 or lacks its shape.
pub(super) fn from_json(json: Json) -> Result<Value> {
    match json {
        Json::Array(items) => {
            let item = |(at, item)| from_json(item).map_err(|error: Error| error.at(&format!("[{at}]")));
            items.into_iter().enumerate().map(item).collect::<Result<_>>().map(Value::List)
        }
        Json::Object(map) => match marked(&map) {
            Some(value) => value,
            None => {
                let entry = |(key, value): (String, Json)| {
                    let value = from_json(value).map_err(|error| error.at(&format!(".{key}")))?;
                    Ok((key, value))
                };
                let entries = map.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
                Ok(Value::Map(entries.into_iter().collect::<Map>()))
            }
        },
        plain => Ok(plain.into()),
    }
}

/// Bytes or an array; `None` for any other object.
fn marked(map: &serde_json::Map<String, Json>) -> Option<Result<Value>> {
    let kind = map.get(TYPE)?.as_str()?;
    if !matches!(kind, "bytes" | "memoryview" | "ndarray" | "typedarray") {
        return None;
    }
    let data = map.get(CONTENT).and_then(Json::as_str).and_then(|text| STANDARD.decode(text).ok());
    let Some(data) = data else {
        return Some(Err(Error::invalid(format!("`{CONTENT}` of {kind} must be a text in base64"))));
    };
    if !kind.ends_with("array") {
        return Some(Ok(Value::Bytes(data.into())));
    }
    let lengths = map.get("_rshape").and_then(Json::as_array);
    let shape: Option<Vec<u64>> = lengths.and_then(|lengths| lengths.iter().map(Json::as_u64).collect());
    if kind == "ndarray" && shape.is_none() {
        return Some(Err(Error::invalid("`_rshape` of an ndarray must be a list of lengths")));
    }
    let dtype = map.get("_rdtype").and_then(Json::as_str).map(str::to_owned);
    Some(Ok(Value::Tagged(Box::new(Tagged::Array { data: data.into(), shape, dtype }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array() -> Value {
        let data = vec![0, 0, 128, 63].into();
        Value::Tagged(Box::new(Tagged::Array {
            data,
            shape: Some(vec![1]),
            dtype: Some("float32".to_owned()),
        }))
    }

    #[test]
    fn bytes_and_arrays_come_back_as_they_were() {
        let value = Value::Map(Map::from_iter([
            ("bytes", Value::Bytes(vec![0, 255].into())),
            ("list", Value::List(vec![array(), 1.into(), "text".into(), Value::Nil])),
        ]));
        let json = to_json(&value).unwrap();
        let bytes = json!({"_rtype": "bytes", "_rvalue": "AP8="});
        let array = json!({"_rtype": "ndarray", "_rvalue": "AACAPw==", "_rshape": [1], "_rdtype": "float32"});
        assert_eq!(json, json!({"bytes": bytes, "list": [array, 1, "text", null]}));
        assert_eq!(from_json(json).unwrap(), value);
    }

    #[test]
    fn what_has_no_form_says_where_it_stands() {
        let value = Value::Map(Map::from_iter([("a", Value::List(vec![Value::Float(f64::NAN)]))]));
        let error = to_json(&value).unwrap_err();
        assert!(error.message().contains(".a[0]"), "{error}");
        for json in [
            json!([{"_rtype": "bytes", "_rvalue": "?"}]),
            json!([{"_rtype": "bytes"}]),
            json!([{"_rtype": "ndarray", "_rvalue": "AA=="}]),
        ] {
            assert!(from_json(json).unwrap_err().message().contains("[0]"));
        }
        let other = json!({"_rtype": "something", "a": 1});
        assert_eq!(from_json(other.clone()).unwrap(), Value::from(other));
    }
}
