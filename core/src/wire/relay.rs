//! What the server does with a client's frame: a function from bytes to bytes (protocol section 6.3).
//!
//! Only segment 1 is read. Keys that it may not hold are dropped, so that nobody can speak for another;
//! segment 2 is copied as it is.

use bytes::Bytes;

use super::address::absolute;
use super::message::Header;
use crate::codec::Writer;
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
    let header = Header::parse(frame)?;
    if header.to.is_empty() {
        return Err(Error::invalid("a frame needs `to`"));
    }
    let to = absolute(header.to, &sender.workspace);
    let mut out = Writer::after(Vec::with_capacity(frame.len() + sender.user.len() + 192));
    write_segment(&mut out, frame, &header, &to, sender, ws)?;
    let mut rewritten = out.into_bytes();
    rewritten.extend_from_slice(&frame[header.end..]);
    Ok(Relayed {
        to,
        written_to: header.to.to_owned(),
        written_from: header.from.to_owned(),
        kind: header.kind.to_owned(),
        session: header.session.map(str::to_owned),
        frame: Bytes::from(rewritten),
    })
}

/// Writes the new segment 1: known keys in the order in which they came, new ones behind them.
fn write_segment(
    out: &mut Writer,
    frame: &Bytes,
    header: &Header<'_>,
    to: &str,
    sender: &Sender,
    ws: &str,
) -> Result<()> {
    let order = key_order(frame, header.kind == "method")?;
    let missing =
        ["ws", "to", "from", "user"].into_iter().filter(|key| !order.iter().any(|(name, _)| name == key));
    let missing: Vec<&str> = missing.collect();
    out.open_map(order.len() + missing.len())?;
    for (key, value) in
        order.iter().map(|(key, value)| (*key, *value)).chain(missing.into_iter().map(|key| (key, &[][..])))
    {
        out.text(key)?;
        match key {
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

/// The keys that pass, with their encoded values, in order.
fn key_order(frame: &Bytes, is_call: bool) -> Result<Vec<(&str, &[u8])>> {
    let mut reader = crate::codec::Reader::new(frame);
    let len = reader.map()?;
    let mut order = Vec::with_capacity(len.min(16) + 4);
    for _ in 0..len {
        let key = reader.text()?;
        let value = reader.skip()?;
        let passes = match key {
            "type" | "from" | "to" | "method" | "session" | "parent" | "ws" | "user" => true,
            "ctx" => false,
            _ => !is_call,
        };
        if passes {
            order.push((key, value));
        }
    }
    Ok(order)
}
