//! What the result of a function means in HTTP.

use std::sync::Arc;

use bytes::Bytes;

use super::cloudevent::{is_event, is_structured, write_binary, write_structured};
use super::json::write_json;
use crate::codec::{Origin, Reader, StreamStub, Tagged, Token};
use crate::session::Payload;
use crate::{Error, Result, Value};

/// An answer in HTTP. Header names are in lower case and, like the values, safe to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The status, 100 to 599.
    pub status: u16,
    /// Names and values in order; a name may stand more than once.
    pub headers: Vec<(String, String)>,
    /// The body; empty for one that is streamed.
    pub body: Bytes,
    /// The generator whose items are the body, see [`super::Pieces`].
    pub stream: Option<Arc<StreamStub>>,
    /// Whether the body was given as bytes.
    pub octets: bool,
}

/// An encoded value and the peer that sent it.
#[derive(Clone, Copy)]
struct Encoded<'a> {
    frame: &'a Bytes,
    origin: Option<&'a Origin>,
}

impl<'a> Encoded<'a> {
    fn reader(self, start: usize) -> Reader<'a> {
        let reader = Reader::new(self.frame).starting_at(start);
        match self.origin {
            Some(origin) => reader.from_peer(origin),
            None => reader,
        }
    }
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
pub(super) const OCTETS: &str = "application/octet-stream";
const JSON: &str = "application/json";

impl Response {
    /// Reads the answer from the result of a call.
    ///
    /// # Errors
    /// `invalid` for a result that has no form in HTTP: NaN or bytes inside of JSON, headers with line breaks.
    pub fn from_result(result: &Payload) -> Result<Self> {
        let mut reader = result.reader();
        if reader.list()? == 0 {
            return Ok(Self::nothing());
        }
        Self::read(Encoded { frame: &result.args, origin: Some(&result.origin) }, reader.position())
    }

    /// Reads the answer from one encoded value.
    ///
    /// # Errors
    /// As [`Response::from_result`].
    pub fn from_value(value: &Bytes) -> Result<Self> {
        Self::read(Encoded { frame: value, origin: None }, 0)
    }

    fn nothing() -> Self {
        Self { status: 204, headers: Vec::new(), body: Bytes::new(), stream: None, octets: false }
    }

    fn read(frame: Encoded<'_>, start: usize) -> Result<Self> {
        if let Some(parts) = Parts::find(frame, start)? {
            return parts.read(frame);
        }
        Ok(match Content::read(frame, start, None)? {
            None => Self::nothing(),
            Some(content) => {
                let kind = content.kind.map(|kind| ("content-type".to_owned(), kind.to_owned()));
                let headers = kind.into_iter().chain(content.headers).collect();
                let octets = content.kind == Some(OCTETS);
                Self { status: 200, headers, body: content.body, stream: content.stream, octets }
            }
        })
    }
}

/// Where the parts of a response object stand in the frame.
#[derive(Default)]
struct Parts {
    status: Option<u16>,
    headers: Option<usize>,
    body: Option<usize>,
}

impl Parts {
    /// Finds the parts, if the value at `start` is a response: an object with nothing but these keys, or with
    /// both a status and a body.
    fn find(frame: Encoded<'_>, start: usize) -> Result<Option<Self>> {
        let mut reader = frame.reader(start);
        let Token::Map(len @ 1..) = reader.token()? else { return Ok(None) };
        let mut parts = Self::default();
        let mut has_others = false;
        for _ in 0..len {
            let Token::Text(key) = reader.token()? else { return Ok(None) };
            let value = reader.position();
            match key {
                "status" | "statusCode" => match status(&reader.token()?) {
                    Some(status) => parts.status = Some(status),
                    None => return Ok(None),
                },
                "headers" => parts.headers = Some(value),
                "body" => parts.body = Some(value),
                "_rtype" => return Ok(None),
                _ => has_others = true,
            }
            reader = reader.starting_at(value);
            reader.skip()?;
        }
        let is_response = !has_others || (parts.status.is_some() && parts.body.is_some());
        Ok(is_response.then_some(parts))
    }

    fn read(self, frame: Encoded<'_>) -> Result<Response> {
        let mut headers = match self.headers {
            Some(at) => read_headers(frame.reader(at).value()?).map_err(|e| e.at(".headers"))?,
            None => Vec::new(),
        };
        let said = headers.iter().find(|(name, _)| name == "content-type").map(|(_, kind)| kind.as_str());
        let content = match self.body {
            Some(at) => Content::read(frame, at, said).map_err(|error| error.at(".body"))?,
            None => None,
        };
        let is_said = said.is_some();
        let (body, stream, octets) = content.map_or_else(Default::default, |content| {
            if let Some(kind) = content.kind.filter(|_| !is_said) {
                headers.push(("content-type".to_owned(), kind.to_owned()));
            }
            headers.extend(content.headers);
            (content.body, content.stream, content.kind == Some(OCTETS))
        });
        Ok(Response { status: self.status.unwrap_or(200), headers, body, stream, octets })
    }
}

fn status(token: &Token<'_>) -> Option<u16> {
    let status = match *token {
        Token::Int(status) => u16::try_from(status).ok()?,
        // JavaScript does not tell 200.0 from 200.
        Token::Float(status) if status.fract() == 0.0 && (100.0..=599.0).contains(&status) => status as u16,
        _ => return None,
    };
    (100..=599).contains(&status).then_some(status)
}

/// A body and the content type that it has by itself; that of a stream is known with its first item.
#[derive(Default)]
struct Content {
    kind: Option<&'static str>,
    /// What a CloudEvent has beside its data, the content type included.
    headers: Vec<(String, String)>,
    body: Bytes,
    stream: Option<Arc<StreamStub>>,
}

impl Content {
    /// Reads the value at `start`, for a function that has `said` the content type; `None` for nil.
    fn read(frame: Encoded<'_>, start: usize, said: Option<&str>) -> Result<Option<Self>> {
        let mut reader = frame.reader(start);
        let known = |kind, body| Self { kind: Some(kind), body, ..Self::default() };
        let json = |value: Value| Ok::<_, Error>(known(JSON, value.to_json()?.to_string().into()));
        Ok(Some(match reader.token()? {
            Token::Nil => return Ok(None),
            Token::Text(text) => {
                known(if is_html(text) { HTML } else { TEXT }, reader.shared(text.as_bytes()))
            }
            Token::Bytes(data) => known(OCTETS, reader.shared(data)),
            Token::Map(_) if is_tagged(&reader) => match reader.starting_at(start).value()? {
                Value::Stream(stub) => Self { stream: Some(stub), ..Self::default() },
                value => match octets(value) {
                    Ok(data) => known(OCTETS, data),
                    Err(value) => json(value)?,
                },
            },
            Token::Map(_) | Token::List(_) if said.is_some_and(is_structured) => {
                let body = write_structured(reader.starting_at(start).value()?)?;
                Self { body, ..Self::default() }
            }
            Token::Map(_) if said.is_none() && is_event(frame.reader(start))? => {
                let (headers, body) = write_binary(reader.starting_at(start).value()?)?;
                Self { headers, body, ..Self::default() }
            }
            _ => {
                let mut json = Vec::new();
                write_json(&mut reader.starting_at(start), &mut json)?;
                known(JSON, json.into())
            }
        }))
    }
}

/// The bytes that a value stands for; the value itself when it is none of that kind.
pub(crate) fn octets(value: Value) -> std::result::Result<Bytes, Value> {
    match value {
        Value::Bytes(data) => Ok(data),
        Value::Tagged(tagged) => match *tagged {
            Tagged::Memory(data) => Ok(data),
            Tagged::Array { data, dtype: Some(kind), .. } if is_uint8(&kind) => Ok(data),
            other => Err(Value::Tagged(Box::new(other))),
        },
        other => Err(other),
    }
}

/// Whether the map behind whose head `reader` stands begins with `_rtype`, as every writer puts it.
pub(super) fn is_tagged(reader: &Reader<'_>) -> bool {
    reader.peek().is_some_and(|token| token == Token::Text("_rtype"))
}

fn is_html(text: &str) -> bool {
    let starts = |tag: &str| text.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
    starts("<!doctype") || starts("<html")
}

fn is_uint8(dtype: &str) -> bool {
    matches!(dtype, "uint8" | "|u1" | "u1")
}

/// Headers as a map, whose values may be lists, or as a list of pairs.
fn read_headers(headers: Value) -> Result<Vec<(String, String)>> {
    let mut read = Vec::new();
    match headers {
        Value::Nil => {}
        Value::Map(map) => {
            for (name, value) in map {
                add_header(&mut read, &name, &value)?;
            }
        }
        Value::List(pairs) => {
            for pair in &pairs {
                match pair.as_list() {
                    Some([Value::Text(name), value]) => add_header(&mut read, name, value)?,
                    _ => return Err(Error::invalid("headers in a list are pairs of a name and a value")),
                }
            }
        }
        _ => return Err(Error::invalid("headers are a map, or a list of pairs")),
    }
    Ok(read)
}

fn add_header(headers: &mut Vec<(String, String)>, name: &str, value: &Value) -> Result<()> {
    if name.is_empty() || !name.bytes().all(is_name_byte) {
        return Err(Error::invalid(format!("{name:?} is not the name of a header")));
    }
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(values) if !values.iter().any(|value| value.as_list().is_some()) => {
            return values.iter().try_for_each(|value| add_header(headers, name, value));
        }
        _ => {
            return Err(Error::invalid(format!(
                "the value of header `{name}` must be a text, a number or a list of them"
            )));
        }
    };
    if text.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        return Err(Error::invalid(format!(
            "the value of header `{name}` holds a line break or a control character"
        )));
    }
    headers.push((name.to_ascii_lowercase(), text));
    Ok(())
}

/// A byte of a token, RFC 9110 section 5.6.2.
pub(crate) const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[cfg(test)]
mod tests;
