//! What the items of a generator are in the body of an answer.

use super::json::write_json;
use super::response::{OCTETS, TEXT, is_tagged, octets};
use crate::Result;
use crate::codec::Token;
use crate::session::Payload;

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "text/event-stream";

/// Turns items into pieces of a body: texts and bytes as they are, everything else as a line of JSON, or as an event
/// with JSON in it where the content type is `text/event-stream`.
///
/// The content type, where the function has set none, is that of the first item.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    has_events: bool,
    kind: Option<&'static str>,
}

impl Pieces {
    /// For the content type that the function has set, if any.
    pub fn new(content_type: Option<&str>) -> Self {
        let essence = content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        Self { has_events: essence.eq_ignore_ascii_case(EVENTS), kind: None }
    }

    /// The content type of the first item; `None` before there was one.
    pub fn content_type(&self) -> Option<&'static str> {
        self.kind
    }

    /// Writes `count` items behind each other.
    ///
    /// # Errors
    /// `invalid` for an item that has no form: functions, NaN, bytes inside of JSON.
    pub fn write(&mut self, items: &Payload, count: u32) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let mut reader = items.reader();
        reader.list()?;
        for _ in 0..count {
            let start = reader.position();
            let kind = match reader.token()? {
                Token::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    TEXT
                }
                Token::Bytes(data) => {
                    out.extend_from_slice(data);
                    OCTETS
                }
                Token::Map(_) if is_tagged(&reader) => self.write_tagged(items, start, &mut out)?,
                _ => self.frame(&mut out, |out| write_json(&mut items.reader().starting_at(start), out))?,
            };
            self.kind.get_or_insert(kind);
            reader = reader.starting_at(start);
            reader.skip()?;
        }
        Ok(out)
    }

    /// Memory and arrays of bytes are bytes; other tagged values have the form in JSON that they have alone.
    fn write_tagged(self, items: &Payload, start: usize, out: &mut Vec<u8>) -> Result<&'static str> {
        match octets(items.reader().starting_at(start).value()?) {
            Ok(data) => {
                out.extend_from_slice(&data);
                Ok(OCTETS)
            }
            Err(value) => {
                let json = value.to_json()?.to_string();
                self.frame(out, |out| {
                    out.extend_from_slice(json.as_bytes());
                    Ok(())
                })
            }
        }
    }

    fn frame(
        self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<&'static str> {
        if self.has_events {
            out.extend_from_slice(b"data: ");
        }
        write(out)?;
        out.extend_from_slice(if self.has_events { b"\n\n" } else { b"\n" });
        Ok(LINES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn written(content_type: Option<&str>, items: Vec<Value>) -> (Option<&'static str>, String) {
        let count = items.len() as u32;
        let args = Value::List(items).to_msgpack().unwrap().into();
        let mut pieces = Pieces::new(content_type);
        let out = pieces.write(&Payload { args, ..Payload::default() }, count).unwrap();
        (pieces.content_type(), String::from_utf8(out).unwrap())
    }

    #[test]
    fn texts_and_bytes_are_sent_as_they_are() {
        assert_eq!(written(None, vec!["a".into(), "b".into()]), (Some(TEXT), "ab".to_owned()));
        let bytes = Value::Bytes(bytes::Bytes::from_static(b"x"));
        assert_eq!(written(None, vec![bytes, "b".into()]), (Some(OCTETS), "xb".to_owned()));
        assert_eq!(written(Some(EVENTS), vec!["data: 1\n\n".into()]).1, "data: 1\n\n");
    }

    #[test]
    fn everything_else_is_json() {
        let list = || vec![Value::Int(1), Value::List(vec!["a".into(), Value::Nil])];
        assert_eq!(written(None, list()), (Some(LINES), "1\n[\"a\",null]\n".to_owned()));
        let events = written(Some("Text/Event-Stream; charset=utf-8"), list()).1;
        assert_eq!(events, "data: 1\n\ndata: [\"a\",null]\n\n");
    }

    #[test]
    fn tagged_items_are_what_they_are_alone() {
        use crate::codec::Tagged;
        let memory = Value::Tagged(Box::new(Tagged::Memory(bytes::Bytes::from_static(b"m"))));
        assert_eq!(written(None, vec![memory]), (Some(OCTETS), "m".to_owned()));
        let set = Value::Tagged(Box::new(Tagged::Set(vec![Value::Int(1)])));
        assert_eq!(written(None, vec![set]), (Some(LINES), "[1]\n".to_owned()));
    }

    #[test]
    fn an_item_without_a_form_is_refused() {
        let args = Value::List(vec![Value::Float(f64::NAN)]).to_msgpack().unwrap().into();
        let items = Payload { args, ..Payload::default() };
        assert_eq!(Pieces::new(None).write(&items, 1).unwrap_err().kind(), crate::ErrorKind::Invalid);
    }
}
