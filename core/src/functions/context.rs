//! Who calls: the context that a function gets when its service asks for it.

use crate::Result;
use crate::codec::Writer;
use crate::wire::PublicKey;

/// The caller and the call, as a function sees them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The caller, `workspace/client`.
    pub from: &'a str,
    /// The function's owner, `workspace/client`.
    pub to: &'a str,
    /// The method path at the owner.
    pub method: &'a str,
    /// The session of the owner to which the call belongs.
    pub parent: Option<&'a str>,
    /// The caller's session that waits for the reply.
    pub session: Option<&'a str>,
    /// The workspace that the caller speaks for; access is decided by it.
    pub ws: &'a str,
    /// The caller's user, encoded.
    pub user: Option<&'a [u8]>,
    /// How the owner is connected, for example `websocket`.
    pub connection_type: &'a str,
    /// The trace that the call belongs to, a W3C `traceparent`.
    pub trace: Option<&'a str>,
    /// The key that the call was sealed with; a call in the clear has none.
    pub caller_public_key: Option<PublicKey>,
}

impl Context<'_> {
    /// Writes the context as one map.
    ///
    /// # Errors
    /// Those of [`Writer`].
    pub fn write(&self, out: &mut Writer) -> Result<()> {
        let optional = [("parent", self.parent), ("session", self.session), ("trace", self.trace)];
        let sealed = 2 * usize::from(self.caller_public_key.is_some());
        out.open_map(7 + sealed + optional.iter().filter(|(_, value)| value.is_some()).count())?;
        for (key, value) in
            [("type", "method"), ("from", self.from), ("to", self.to), ("method", self.method)]
        {
            out.text(key)?;
            out.text(value)?;
        }
        for (key, value) in optional {
            if let Some(value) = value {
                out.text(key)?;
                out.text(value)?;
            }
        }
        out.text("ws")?;
        out.text(self.ws)?;
        out.text("user")?;
        match self.user {
            Some(user) => out.raw(user)?,
            None => out.nil()?,
        }
        out.text("connection_type")?;
        out.text(self.connection_type)?;
        if let Some(key) = self.caller_public_key {
            out.text("encryption")?;
            out.bool(true)?;
            out.text("caller_public_key")?;
            out.text(&key.to_string())?;
        }
        out.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::Reader;
    use crate::{Map, Value};

    #[test]
    fn names_the_caller() {
        let user = Value::Map(Map::from_iter([("id", "ann")])).to_msgpack().unwrap();
        let context = Context {
            from: "lab/a",
            to: "lab/b",
            method: "services.calc.add",
            session: Some("S"),
            ws: "lab",
            user: Some(&user),
            connection_type: "websocket",
            ..Context::default()
        };
        let mut out = Writer::new();
        context.write(&mut out).unwrap();
        let bytes = Bytes::from(out.into_bytes());
        let mut reader = Reader::new(&bytes);
        let value = reader.value().unwrap();
        assert!(reader.is_at_end());
        let map = value.as_map().unwrap();
        assert_eq!(
            (map.text("from"), map.text("to"), map.text("ws")),
            (Some("lab/a"), Some("lab/b"), Some("lab"))
        );
        assert_eq!(map.get("user").and_then(Value::as_map).and_then(|user| user.text("id")), Some("ann"));
        assert_eq!(map.text("type"), Some("method"));
        assert!(!map.contains("parent"));
    }
}
