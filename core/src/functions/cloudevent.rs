//! CloudEvents 1.0 in HTTP: found in requests, and written as answers.
//!
//! An event is a [`Map`]: one entry for each attribute, under its own name, and `data`. That is what the official
//! SDKs take to make one of theirs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::attributes;
use super::media::{Media, unquoted};
use super::response::octets;
use crate::codec::{Reader, Token};
use crate::{Error, Map, Result, Value};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];
const JSON: &str = "application/json";

/// Finds the event of a request, or the list of them that a batch holds; `None` when it is a plain request.
///
/// A request is an event when its content type is `application/cloudevents+json` (structured) or
/// `application/cloudevents-batch+json` (a batch), or when it has the header `ce-specversion`, or all of `ce-id`,
/// `ce-source` and `ce-type` (binary).
///
/// # Errors
/// `invalid`, naming the attribute, for an event that is not one by the specification.
///
/// ```
/// use bytes::Bytes;
/// use polyfn_core::functions::cloudevent;
/// let headers: [(&str, &[u8]); 5] = [
///     ("ce-specversion", b"1.0"),
///     ("ce-id", b"1"),
///     ("ce-source", b"/shop"),
///     ("ce-type", b"com.example.sold"),
///     ("content-type", b"text/plain"),
/// ];
/// let event = cloudevent::detect(headers, &Bytes::from_static(b"a book")).unwrap().unwrap();
/// assert_eq!(event.as_map().unwrap().text("data"), Some("a book"));
/// let plain: [(&str, &[u8]); 1] = [("content-type", b"text/plain")];
/// assert!(cloudevent::detect(plain, &Bytes::new()).unwrap().is_none());
/// ```
pub fn detect<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: &Bytes,
) -> Result<Option<Value>> {
    let mut content_type = None;
    let mut attributes = Vec::new();
    for (name, value) in headers {
        if let Some(attribute) =
            name.get(..3).filter(|head| head.eq_ignore_ascii_case("ce-")).map(|_| &name[3..])
        {
            attributes.push((attribute, value));
        } else if name.eq_ignore_ascii_case("content-type") {
            content_type = std::str::from_utf8(value).ok();
        }
    }
    let media = Media::new(content_type.unwrap_or_default());
    let is_there = |name: &str| attributes.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if media.is(STRUCTURED) {
        from_json(parsed(body)?).map(|event| Some(event.into()))
    } else if media.is(BATCH) {
        batch(parsed(body)?).map(Some)
    } else if is_there("specversion") || ["id", "source", "type"].into_iter().all(is_there) {
        binary(&attributes, content_type, body).map(|event| Some(event.into()))
    } else {
        Ok(None)
    }
}

fn parsed(body: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("the CloudEvent in the body is no JSON: {error}")))
}

fn batch(json: serde_json::Value) -> Result<Value> {
    let serde_json::Value::Array(items) = json else {
        return Err(Error::invalid("a batch of CloudEvents is a list of them"));
    };
    let read = |(at, item)| from_json(item).map_err(|error| error.at(&format!("[{at}]")));
    Ok(Value::List(
        items.into_iter().enumerate().map(|one| read(one).map(Value::Map)).collect::<Result<_>>()?,
    ))
}

/// The binary mode: attributes in headers, data in the body.
fn binary(headers: &[(&str, &[u8])], content_type: Option<&str>, body: &Bytes) -> Result<Map> {
    let mut event = Map::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if name == "datacontenttype" {
            return Err(wrong(&name, "is the content type in this form, it has no header of its own"));
        }
        let value = decoded(&name, value)?;
        if event.insert(name.as_str(), value).is_some() {
            return Err(wrong(&name, "is there twice"));
        }
    }
    if let Some(kind) = content_type {
        event.insert("datacontenttype", kind);
    }
    let mut event = attributes::checked(event)?;
    let media = content_type.map(Media::new);
    if let Some(data) = data_of(media, body)? {
        event.insert("data", data);
    }
    Ok(event)
}

/// The data in a body: JSON and text as what they are, everything else as bytes.
fn data_of(media: Option<Media<'_>>, body: &Bytes) -> Result<Option<Value>> {
    if body.is_empty() {
        return Ok(None);
    }
    Ok(Some(match media {
        Some(media) if media.is_json() => {
            let json: serde_json::Value = serde_json::from_slice(body)
                .map_err(|error| wrong("data", &format!("is no JSON, as its content type says: {error}")))?;
            json.into()
        }
        Some(media) if media.is_utf8_text() => match std::str::from_utf8(body) {
            Ok(text) => text.into(),
            Err(_) => return Err(wrong("data", "is no UTF-8, as its content type says")),
        },
        _ => body.clone().into(),
    }))
}

/// A header's value: without quotes around it, then percent-decoded once.
fn decoded(name: &str, value: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(value).map_err(|_| wrong(name, "is no UTF-8"))?;
    let text = unquoted(text);
    percent_encoding::percent_decode_str(&text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| wrong(name, "holds percent codes that are no UTF-8"))
}

/// An event in the JSON format.
fn from_json(json: serde_json::Value) -> Result<Map> {
    let Value::Map(mut event) = Value::from(json) else {
        return Err(Error::invalid("a CloudEvent in JSON is an object"));
    };
    let data = event.remove("data");
    let encoded = event.remove("data_base64").filter(|value| *value != Value::Nil);
    let mut event = attributes::checked(event)?;
    match (data, encoded) {
        (Some(_), Some(_)) => {
            return Err(wrong("data_base64", "stands beside `data`: only one may be there"));
        }
        (Some(data), None) => _ = event.insert("data", data),
        (None, Some(encoded)) => _ = event.insert("data", unpacked(&encoded)?),
        (None, None) => {}
    }
    Ok(event)
}

/// The bytes that `data_base64` stands for.
fn unpacked(encoded: &Value) -> Result<Bytes> {
    let text = encoded.as_text().ok_or_else(|| wrong("data_base64", "must be a text"))?;
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|error| wrong("data_base64", &format!("is no base64: {error}")))
}

fn wrong(name: &str, what: &str) -> Error {
    attributes::wrong(name, what)
}

/// Whether the value that `reader` stands before is an event: a map with the four required attributes, all texts.
pub(super) fn is_event(mut reader: Reader<'_>) -> Result<bool> {
    let Token::Map(len) = reader.token()? else { return Ok(false) };
    let mut found = 0;
    for _ in 0..len {
        let Token::Text(key) = reader.token()? else { return Ok(false) };
        let is_required = REQUIRED.contains(&key);
        found += usize::from(is_required);
        if is_required && !matches!(reader.peek(), Some(Token::Text(_))) {
            return Ok(false);
        }
        reader.skip()?;
    }
    Ok(found == REQUIRED.len())
}

/// Whether a function that says this content type wants the JSON format of an event, or of several.
pub(super) fn is_structured(content_type: &str) -> bool {
    let media = Media::new(content_type);
    media.is(STRUCTURED) || media.is(BATCH)
}

/// An event in the binary mode of HTTP: the headers, and the body.
///
/// # Errors
/// `invalid`, naming the attribute, for what is no event by the specification.
pub(super) fn write_binary(event: Value) -> Result<(Vec<(String, String)>, Bytes)> {
    let (event, data) = taken_apart(event)?;
    let mut headers = Vec::with_capacity(event.len());
    for (name, value) in event.iter().filter(|(name, _)| name != "datacontenttype") {
        headers.push((format!("ce-{name}"), encoded(&attributes::canonical(value))));
    }
    let kind = event.text("datacontenttype");
    let (implied, body) = data.map_or(Ok((None, Bytes::new())), |data| written(data, kind))?;
    if let Some(kind) = kind.or(implied) {
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    Ok((headers, body))
}

/// An event, or a list of them, in the JSON format.
///
/// # Errors
/// As [`write_binary`].
pub(super) fn write_structured(value: Value) -> Result<Bytes> {
    let json = match value {
        Value::List(events) => events
            .into_iter()
            .enumerate()
            .map(|(at, event)| to_json(event).map_err(|error| error.at(&format!("[{at}]"))))
            .collect::<Result<Vec<_>>>()?
            .into(),
        event => to_json(event)?,
    };
    Ok(json.to_string().into())
}

fn to_json(event: Value) -> Result<serde_json::Value> {
    let (event, data) = taken_apart(event)?;
    let mut json = Value::Map(event).to_json()?;
    if let (Some(data), Some(members)) = (data, json.as_object_mut()) {
        match octets(data) {
            Ok(data) => members.insert("data_base64".to_owned(), STANDARD.encode(data).into()),
            Err(data) => {
                members.insert("data".to_owned(), data.to_json().map_err(|error| error.at(".data"))?)
            }
        };
    }
    Ok(json)
}

/// The attributes, checked, and the data of an event that a function gave.
fn taken_apart(event: Value) -> Result<(Map, Option<Value>)> {
    let Value::Map(mut event) = event else { return Err(Error::invalid("a CloudEvent is a map")) };
    let data = event.remove("data").filter(|data| *data != Value::Nil);
    let encoded = event.remove("data_base64").filter(|data| *data != Value::Nil);
    let data = match (data, encoded) {
        // the SDK for JavaScript keeps both
        (Some(data), _) => Some(data),
        (None, Some(encoded)) => Some(unpacked(&encoded)?.into()),
        (None, None) => None,
    };
    Ok((attributes::checked(event)?, data))
}

/// Data as a body, and the content type that it has by itself.
fn written(data: Value, kind: Option<&str>) -> Result<(Option<&'static str>, Bytes)> {
    let data = match octets(data) {
        Ok(data) => return Ok((Some("application/octet-stream"), data)),
        Err(data) => data,
    };
    match (&data, kind.map(Media::new)) {
        (Value::Text(text), Some(media)) if !media.is_json() => Ok((None, Bytes::from(text.clone()))),
        (_, Some(media)) if !media.is_json() => Err(wrong(
            "data",
            &format!("must be text or bytes for the content type {}", kind.unwrap_or_default()),
        )),
        _ => Ok((Some(JSON), data.to_json().map_err(|error| error.at(".data"))?.to_string().into())),
    }
}

/// A text as the value of a header: what is not printable ASCII, spaces, quotes and percent signs are encoded.
fn encoded(text: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const HIDDEN: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
    utf8_percent_encode(text, HIDDEN).to_string()
}

#[cfg(test)]
mod tests;
