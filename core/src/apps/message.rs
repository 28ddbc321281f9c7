//! What goes through `send` and `receive`.

use bytes::Bytes;

use crate::codec::Writer;
use crate::functions::octets;
use crate::session::Payload;
use crate::{Error, Map, Result, Value};

/// Names in lower case and values, both safe to send.
pub type Headers = Vec<(Bytes, Bytes)>;

/// What an app sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `http.response.start`, or `websocket.http.response.start` by which a websocket is refused.
    Start {
        /// 200 to 599.
        status: u16,
        /// In order; a name may stand more than once.
        headers: Headers,
    },
    /// `http.response.body`, or `websocket.http.response.body`.
    Body {
        /// The next part.
        body: Bytes,
        /// Whether others follow.
        more: bool,
    },
    /// `websocket.accept`.
    Accept {
        /// One of those that the client offers.
        subprotocol: Option<String>,
        /// Headers of the answer to the handshake.
        headers: Headers,
    },
    /// `websocket.send` with a text.
    Text(String),
    /// `websocket.send` with bytes.
    Binary(Bytes),
    /// `websocket.close`.
    Close {
        /// 1000 when the app said none.
        code: u16,
        /// At most 123 bytes.
        reason: String,
    },
    /// A message of a type that says nothing to whoever waits for the answer.
    Other(String),
}

impl Message {
    /// Reads the message that `send` was called with.
    ///
    /// # Errors
    /// `invalid` for what is no message, in words that help the author of the app.
    pub fn from_call(payload: &Payload) -> Result<Self> {
        let (mut args, mut keywords) = payload.values()?;
        let message = if args.is_empty() {
            keywords.remove("message").or_else(|| keywords.remove("event"))
        } else {
            Some(args.swap_remove(0))
        };
        Self::from_value(message.unwrap_or_default())
    }

    /// Reads a message.
    ///
    /// # Errors
    /// As [`Message::from_call`].
    pub fn from_value(message: Value) -> Result<Self> {
        let Value::Map(mut map) = message else {
            return Err(Error::invalid("send takes one message, an object with a `type`"));
        };
        let Some(Value::Text(kind)) = map.remove("type") else {
            return Err(Error::invalid("a message needs a `type`, a text such as `http.response.start`"));
        };
        Self::read(&kind, map).map_err(|error| Error::invalid(format!("`{kind}`: {}", error.message())))
    }

    fn read(kind: &str, mut map: Map) -> Result<Self> {
        Ok(match kind {
            "http.response.start" | "websocket.http.response.start" => Self::Start {
                status: number(map.get("status"))?
                    .filter(|status| (200..=599).contains(status))
                    .ok_or_else(|| Error::invalid("`status` must be an integer from 200 to 599"))?,
                headers: headers(map.remove("headers"))?,
            },
            "http.response.body" | "websocket.http.response.body" => Self::Body {
                body: bytes(map.remove("body"), "body")?.unwrap_or_default(),
                more: map.remove("more_body").is_some_and(|more| more == Value::Bool(true)),
            },
            "websocket.accept" => Self::Accept {
                subprotocol: text(map.remove("subprotocol"), "subprotocol")?,
                headers: headers(map.remove("headers"))?,
            },
            "websocket.send" => match (map.remove("text"), map.remove("bytes")) {
                (Some(Value::Text(text)), _) => Self::Text(text),
                (None | Some(Value::Nil), data) => Self::Binary(
                    bytes(data, "bytes")?.ok_or_else(|| Error::invalid("it needs `text` or `bytes`"))?,
                ),
                _ => return Err(Error::invalid("`text` must be a text")),
            },
            "websocket.close" => Self::Close {
                code: number(map.get("code"))?.unwrap_or(1000),
                reason: text(map.remove("reason"), "reason")?.map(shortened).unwrap_or_default(),
            },
            other => Self::Other(other.to_owned()),
        })
    }
}

/// The messages in the result of a call: apps that have the whole answer ready may give it back instead of sending it.
///
/// # Errors
/// `invalid` for a list of something else.
pub fn from_result(result: &Payload) -> Result<Vec<Message>> {
    match result.value()? {
        Value::List(messages) => messages.into_iter().map(Message::from_value).collect(),
        _ => Ok(Vec::new()),
    }
}

/// A close frame has no room for more.
fn shortened(mut reason: String) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}

fn number(value: Option<&Value>) -> Result<Option<u16>> {
    let number = match value {
        None | Some(Value::Nil) => return Ok(None),
        Some(Value::Int(number)) => u16::try_from(*number).ok(),
        Some(Value::Float(number)) if number.fract() == 0.0 && (0.0..=65535.0).contains(number) => {
            Some(*number as u16)
        }
        _ => None,
    };
    number.map(Some).ok_or_else(|| Error::invalid("a status or a code must be an integer below 65536"))
}

fn text(value: Option<Value>, name: &str) -> Result<Option<String>> {
    match value {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        _ => Err(Error::invalid(format!("`{name}` must be a text"))),
    }
}

/// Bytes in any of their forms; texts are taken for their UTF-8.
fn bytes(value: Option<Value>, name: &str) -> Result<Option<Bytes>> {
    match value {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.into())),
        Some(value) => octets(value).map(Some).map_err(|_| Error::invalid(format!("`{name}` must be bytes"))),
    }
}

fn headers(value: Option<Value>) -> Result<Headers> {
    let pairs = match value {
        None | Some(Value::Nil) => return Ok(Headers::new()),
        Some(Value::List(pairs)) => pairs,
        Some(_) => return Err(Error::invalid("`headers` must be a list of pairs of bytes")),
    };
    pairs.into_iter().map(header).collect()
}

fn header(pair: Value) -> Result<(Bytes, Bytes)> {
    let wrong = || Error::invalid("each of the `headers` must be a pair of bytes, a name and a value");
    let Value::List(pair) = pair else { return Err(wrong()) };
    let [name, value]: [Value; 2] = pair.try_into().map_err(|_| wrong())?;
    let (Some(name), Some(value)) = (bytes(Some(name), "name")?, bytes(Some(value), "value")?) else {
        return Err(wrong());
    };
    let shown = String::from_utf8_lossy(&name).into_owned();
    if name.is_empty() || !name.iter().copied().all(crate::functions::is_name_byte) {
        return Err(Error::invalid(format!("{shown:?} is not the name of a header")));
    }
    let value = value.trim_ascii();
    if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
        let text = format!("the value of header `{shown}` holds a line break or a control character");
        return Err(Error::invalid(text));
    }
    Ok((name.to_ascii_lowercase().into(), Bytes::copy_from_slice(value)))
}

/// Writes `http.request`: the next part of a request's body.
///
/// # Errors
/// Those of [`Writer`].
pub fn write_request(out: &mut Writer, body: &[u8], more: bool) -> Result<()> {
    out.reserve(body.len() + 64);
    open(out, "http.request", 2)?;
    out.text("body")?;
    out.bytes(body)?;
    out.text("more_body")?;
    out.bool(more)?;
    out.close();
    Ok(())
}

/// Writes `http.disconnect`, or `websocket.disconnect` with the code and the reason of the end.
///
/// # Errors
/// Those of [`Writer`].
pub fn write_disconnect(out: &mut Writer, websocket: Option<(u16, &str)>) -> Result<()> {
    match websocket {
        None => open(out, "http.disconnect", 0)?,
        Some((code, reason)) => {
            open(out, "websocket.disconnect", 2)?;
            out.text("code")?;
            out.uint(code.into())?;
            out.text("reason")?;
            out.text(reason)?;
        }
    }
    out.close();
    Ok(())
}

/// Writes `websocket.connect` without data, else `websocket.receive` with bytes.
///
/// # Errors
/// Those of [`Writer`].
pub fn write_websocket(out: &mut Writer, data: Option<&[u8]>) -> Result<()> {
    let Some(data) = data else {
        open(out, "websocket.connect", 0)?;
        out.close();
        return Ok(());
    };
    open(out, "websocket.receive", 2)?;
    out.text("bytes")?;
    out.bytes(data)?;
    out.text("text")?;
    out.nil()?;
    out.close();
    Ok(())
}

/// Writes `websocket.receive` with a text.
///
/// # Errors
/// Those of [`Writer`].
pub fn write_text(out: &mut Writer, text: &str) -> Result<()> {
    open(out, "websocket.receive", 2)?;
    out.text("bytes")?;
    out.nil()?;
    out.text("text")?;
    out.text(text)?;
    out.close();
    Ok(())
}

fn open(out: &mut Writer, kind: &str, others: usize) -> Result<()> {
    out.open_map(1 + others)?;
    out.text("type")?;
    out.text(kind)
}

#[cfg(test)]
mod tests;
