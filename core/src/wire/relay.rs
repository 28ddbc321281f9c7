//! What the server does with a client's frame: a function from bytes to bytes (protocol section 6.3).
//!
//! Only segment 1 is read. Keys that it may not hold are dropped, so that nobody can speak for another;
//! segment 2 is copied as it is.

use std::borrow::Cow;

use bytes::Bytes;

use super::extras::KEY;
use super::message::is_extension;
use super::part::{FirstPart, REMOVE_PARTS, SET_PART, first_part, part_key};
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

/// A client's frame, read as far as the server needs it: first where it goes, then what the receiver gets.
#[derive(Clone, Debug)]
pub struct Relayed<'a> {
    /// The receiver, absolute: `workspace/client`, `workspace/*` or `*/manager`.
    pub to: Cow<'a, str>,
    /// The receiver as the sender wrote it; a reject must answer under this name.
    pub written_to: &'a str,
    /// The sender as it wrote itself.
    pub written_from: &'a str,
    /// The type: `method`, or the name of an event.
    pub kind: &'a str,
    /// The method to call; empty in events.
    pub method: &'a str,
    /// The session that waits for a reply.
    pub session: Option<&'a str>,
    frame: &'a Bytes,
    /// The entries that pass, in the order in which they came, and behind them those that are added.
    entries: Vec<(&'a str, &'a [u8])>,
    end: usize,
}

impl<'a> Relayed<'a> {
    /// Reads a frame of `sender`.
    ///
    /// # Errors
    /// `invalid` for a first segment that is not a map or lacks `to`.
    pub fn read(frame: &'a Bytes, sender: &Sender) -> Result<Self> {
        let mut reader = Reader::new(frame);
        let len = reader.map()?;
        let mut entries = Vec::with_capacity(len.min(32) + 4);
        for _ in 0..len {
            let key = reader.text()?;
            entries.push((key, reader.skip()?));
        }
        let end = reader.position();
        let text = |key: &str| Ok::<_, Error>(text_of(frame, &entries, key)?.unwrap_or_default());
        let (kind, written_from) = (text("type")?, text("from")?);
        let method = if kind == "method" { text("method")? } else { "" };
        let session = text_of(frame, &entries, "session")?;
        // an empty one is a name that nobody has: whoever calls it is told so
        let written_to =
            text_of(frame, &entries, "to")?.ok_or_else(|| Error::invalid("a frame needs `to`"))?;
        let to = if written_to.contains('/') {
            Cow::Borrowed(written_to)
        } else {
            Cow::Owned(format!("{}/{written_to}", sender.workspace))
        };
        let has_fixed_keys = kind == "method" || is_extension(kind);
        if has_fixed_keys {
            single(&entries, KEY)?;
        }
        entries.retain(|(key, _)| passes(key, has_fixed_keys));
        for key in ["ws", "to", "from", "user"] {
            if !entries.iter().any(|(name, _)| *name == key) {
                entries.push((key, &[]));
            }
        }
        Ok(Self { to, written_to, written_from, kind, method, session, frame, entries, end })
    }

    /// The long message that begins with this frame, if it is the first part of one that can be read.
    pub fn first_part(&self) -> Option<FirstPart> {
        (self.kind == "method" && self.method == SET_PART).then(|| first_part(self.frame, self.end))?
    }

    /// The long message whose parts this frame takes back.
    pub fn taken_back(&self) -> Option<String> {
        (self.kind == "method" && self.method == REMOVE_PARTS).then(|| part_key(self.frame, self.end))?
    }

    /// The frame to deliver. `ws` is the workspace to name as the sender's; `extras` says whether the receiver gets
    /// what polyfn peers add.
    ///
    /// `from`, `ws` and `user` are replaced or added, `to` is completed. In calls every key that is not part of the
    /// routing is dropped; in events only `ctx` is, since events carry data in segment 1.
    ///
    /// # Errors
    /// Those of [`Writer`].
    pub fn write(&self, sender: &Sender, ws: &str, extras: bool) -> Result<Bytes> {
        let mut out = Writer::after(Vec::with_capacity(self.frame.len() + sender.user.len() + 192));
        let drops = |key: &str| key == KEY && !extras && (self.kind == "method" || is_extension(self.kind));
        let dropped = self.entries.iter().filter(|(key, _)| drops(key)).count();
        out.open_map(self.entries.len() - dropped)?;
        for (key, value) in self.entries.iter().filter(|(key, _)| !drops(key)) {
            out.text(key)?;
            match *key {
                "ws" => out.text(ws)?,
                "to" => out.text(&self.to)?,
                "from" => out.text(&sender.address)?,
                "user" => out.raw(&sender.user)?,
                _ => out.raw(value)?,
            }
        }
        out.close();
        let mut rewritten = out.into_bytes();
        rewritten.extend_from_slice(&self.frame[self.end..]);
        Ok(Bytes::from(rewritten))
    }
}

/// Rewrites `frame` as sent by `sender`, for a receiver that knows no extensions: [`Relayed::read`] and
/// [`Relayed::write`] in one.
///
/// # Errors
/// Theirs.
pub fn rewrite(frame: &Bytes, sender: &Sender, ws: &str) -> Result<Bytes> {
    Relayed::read(frame, sender)?.write(sender, ws, false)
}

/// Whether a client may set a key of segment 1.
fn passes(key: &str, has_fixed_keys: bool) -> bool {
    match key {
        "type" | "from" | "to" | "method" | "session" | "parent" | "ws" | "user" | KEY => true,
        "ctx" => false,
        _ => !has_fixed_keys,
    }
}

/// The value of a key, which may stand only once: two readers must never see two different values.
fn single<'a>(entries: &[(&'a str, &'a [u8])], key: &str) -> Result<Option<&'a [u8]>> {
    let mut found = entries.iter().filter(|(name, _)| *name == key);
    let value = found.next().map(|(_, value)| *value);
    if found.next().is_some() {
        return Err(Error::invalid(format!("key `{key}` stands twice in the first segment")));
    }
    Ok(value)
}

fn text_of<'a>(frame: &'a Bytes, entries: &[(&'a str, &'a [u8])], key: &str) -> Result<Option<&'a str>> {
    single(entries, key)?.map_or(Ok(None), |value| super::message::optional_text(frame, value))
}
