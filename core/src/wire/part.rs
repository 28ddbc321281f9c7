//! What the parts of a long message tell of it (protocol section 11), for a server that passes them on.

use bytes::Bytes;

use super::message::Header;
use crate::codec::{Reader, Token};

/// The method that stores one part.
pub const SET_PART: &str = "services.built-in.message_cache.set";
/// The method that takes back what was stored of a message.
pub const REMOVE_PARTS: &str = "services.built-in.message_cache.remove";

/// A long message whose first part was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstPart {
    /// The name of the message among those that its sender sends in parts.
    pub key: String,
    /// What it calls.
    pub method: String,
    /// The session that waits for a reply.
    pub session: Option<String>,
}

/// Reads a call of [`SET_PART`] whose second segment begins at `body`, as far as the head of the message in it. `None` for
/// any part but the first, and for what cannot be read, be it encrypted or no such call.
pub fn first_part(frame: &Bytes, body: usize) -> Option<FirstPart> {
    let (key, mut reader) = cache_arguments(frame, body)?;
    let (Token::Int(0), Token::Bytes(part)) = (reader.token().ok()?, reader.token().ok()?) else {
        return None;
    };
    let part = reader.shared(part);
    let head = Header::parse(&part).ok()?;
    let session = head.session.map(str::to_owned);
    Some(FirstPart { key: key.to_owned(), method: head.method.to_owned(), session })
}

/// The name of the message that a call of the receiver's cache is about.
pub fn part_key(frame: &Bytes, body: usize) -> Option<String> {
    cache_arguments(frame, body).map(|(key, _)| key.to_owned())
}

/// The first argument, and a reader at the second one.
fn cache_arguments(frame: &Bytes, body: usize) -> Option<(&str, Reader<'_>)> {
    if body > frame.len() {
        return None;
    }
    let mut reader = Reader::new(frame).starting_at(body);
    for _ in 0..reader.map().ok()? {
        if reader.text().ok()? == "args" {
            reader.list().ok().filter(|count| *count > 0)?;
            let key = reader.text().ok()?;
            return Some((key, reader));
        }
        reader.skip().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Map, Value};

    fn frame(args: impl IntoIterator<Item = Value>) -> Bytes {
        let body = Map::from_iter([
            ("kwargs", Value::Map(Map::new())),
            ("args", Value::List(args.into_iter().collect())),
        ]);
        Value::Map(body).to_msgpack().unwrap().into()
    }

    fn message(head: &Value) -> Value {
        Value::Bytes(head.to_msgpack().unwrap().into())
    }

    fn call() -> Value {
        let entries =
            [("type", "method"), ("to", "lab/bob"), ("method", "services.svc.run"), ("session", "s1")];
        message(&Value::Map(Map::from_iter(entries)))
    }

    #[test]
    fn the_first_part_shows_the_head_of_its_message() {
        let first = first_part(&frame(["k".into(), Value::Int(0), call(), false.into()]), 0).unwrap();
        assert_eq!((&*first.key, &*first.method), ("k", "services.svc.run"));
        assert_eq!(first.session.as_deref(), Some("s1"));
        assert_eq!(part_key(&frame(["k".into(), false.into()]), 0).as_deref(), Some("k"));
    }

    #[test]
    fn what_cannot_be_read_is_no_first_part() {
        for args in [
            vec!["k".into(), Value::Int(1), call()],
            vec!["k".into(), Value::Int(0), "text".into()],
            vec!["k".into(), Value::Int(0), Value::Bytes(Bytes::from_static(&[0xc1]))],
            vec!["k".into(), Value::Int(0), message(&Value::Int(7))],
            vec!["k".into()],
            vec![Value::Int(0), Value::Int(0), call()],
            vec![],
        ] {
            assert_eq!(first_part(&frame(args.clone()), 0), None, "{args:?}");
        }
        assert_eq!(first_part(&Bytes::from_static(b"\x81"), 0), None);
        assert_eq!(first_part(&Bytes::new(), 3), None);
    }
}
