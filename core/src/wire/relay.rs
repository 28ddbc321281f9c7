//! What the server does with a client's frame: a function from bytes to bytes (protocol section 6.3).
//!
//! Only segment 1 is read. Keys that it may not hold are dropped, so that nobody can speak for another;
//! segment 2 is copied as it is.

use bytes::Bytes;

use super::address::absolute;
use crate::codec::{Reader, Writer};
use crate::{Error, Result};

/// Who sends on one connection. Made once for a connection, used for each of its frames.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The workspace that the connection is in.
    pub workspace: String,
    /// `workspace/client`.
    pub address: String,
    /// The user, encoded.
    pub user: Bytes,
}

/// A frame that is ready to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The receiver, absolute: `workspace/client`, `workspace/*` or `*/manager`.
    pub to: String,
    /// The receiver as the sender wrote it; a reject must answer under this name.
    pub written_to: String,
    /// The sender as it wrote itself.
    pub written_from: String,
    /// The type: `method`, or the name of an event.
    pub kind: String,
    /// The session that waits for a reply.
    pub session: Option<String>,
    /// The frame to deliver.
    pub frame: Bytes,
}

/// Rewrites `frame` as sent by `sender`. `ws` is the workspace to name as the sender's.
///
/// `from`, `ws` and `user` are replaced or added, `to` is completed. In calls every key that is not part of
/// the routing is dropped; in events only `ctx` is, since events carry data in segment 1.
///
/// # Errors
/// `invalid` for a first segment that is not a map or lacks `to`.
pub fn rewrite(frame: &Bytes, sender: &Sender, ws: &str) -> Result<Relayed> {
    let mut reader = Reader::new(frame);
    let len = reader.map()?;
    let mut entries = Vec::with_capacity(len.min(32) + 4);
    for _ in 0..len {
        let key = reader.text()?;
        entries.push((key, reader.skip()?));
    }
    let end = reader.position();
    let text = |key: &str| text_of(frame, &entries, key);
    let (kind, written_to) = (text("type")?.unwrap_or_default(), text("to")?.unwrap_or_default());
    if written_to.is_empty() {
        return Err(Error::invalid("a frame needs `to`"));
    }
    let to = absolute(written_to, &sender.workspace);
    let (written_from, session) = (text("from")?.unwrap_or_default(), text("session")?);
    let (kind, written_to) = (kind.to_owned(), written_to.to_owned());
    let (written_from, session) = (written_from.to_owned(), session.map(str::to_owned));
    let is_call = kind == "method";
    entries.retain(|(key, _)| passes(key, is_call));
    for key in ["ws", "to", "from", "user"] {
        if !entries.iter().any(|(name, _)| *name == key) {
            entries.push((key, &[]));
        }
    }
    let mut out = Writer::after(Vec::with_capacity(frame.len() + sender.user.len() + 192));
    write_segment(&mut out, &entries, &to, sender, ws)?;
    let mut rewritten = out.into_bytes();
    rewritten.extend_from_slice(&frame[end..]);
    Ok(Relayed { to, written_to, written_from, kind, session, frame: Bytes::from(rewritten) })
}

/// Writes segment 1: known keys in the order in which they came, new ones behind them.
fn write_segment(
    out: &mut Writer,
    entries: &[(&str, &[u8])],
    to: &str,
    sender: &Sender,
    ws: &str,
) -> Result<()> {
    out.open_map(entries.len())?;
    for (key, value) in entries {
        out.text(key)?;
        match *key {
            "ws" => out.text(ws)?,
            "to" => out.text(to)?,
            "from" => out.text(&sender.address)?,
            "user" => out.raw(&sender.user)?,
            _ => out.raw(value)?,
        }
    }
    out.close();
    Ok(())
}

/// Whether a client may set a key of segment 1.
fn passes(key: &str, is_call: bool) -> bool {
    match key {
        "type" | "from" | "to" | "method" | "session" | "parent" | "ws" | "user" => true,
        "ctx" => false,
        _ => !is_call,
    }
}

/// The text of a key, which may stand only once: two readers must never see two different values.
fn text_of<'a>(frame: &'a Bytes, entries: &[(&'a str, &'a [u8])], key: &str) -> Result<Option<&'a str>> {
    let mut found = entries.iter().filter(|(name, _)| *name == key);
    let value = found.next().map(|(_, value)| *value);
    if found.next().is_some() {
        return Err(Error::invalid(format!("key `{key}` stands twice in the first segment")));
    }
    value.map_or(Ok(None), |value| super::message::optional_text(frame, value))
}
