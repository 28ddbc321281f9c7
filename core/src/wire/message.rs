//! The two segments of a frame: who it is for, and what it carries (protocol section 6).

use std::time::Duration;

use bytes::Bytes;

use super::extras::{Extras, KEY};
use crate::codec::{Promise, Reader, Stub, Token, Writer};
use crate::session::Extensions;
use crate::{Error, Result};

/// Keys that say who speaks to whom. They belong to segment 1; found in segment 2 they are a forgery.
pub(super) const RESERVED: [&str; 9] =
    ["ctx", "from", "to", "ws", "user", "type", "method", "session", "parent"];

/// The caller of `session` has given up.
pub const CANCEL: &str = "x-cancel";
/// More items of a generator are wanted.
pub const PULL: &str = "x-pull";
/// Items of a generator.
pub const PUSH: &str = "x-push";

/// Whether messages of this type belong to an extension of the protocol.
pub fn is_extension(kind: &str) -> bool {
    matches!(kind, CANCEL | PULL | PUSH)
}

/// Segment 1: the routing of a frame, borrowed from its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header<'a> {
    /// The message type: `method`, or the name of an event.
    pub kind: &'a str,
    /// The sender.
    pub from: &'a str,
    /// The receiver.
    pub to: &'a str,
    /// The method to call; empty in events.
    pub method: &'a str,
    /// The session that waits for a reply.
    pub session: Option<&'a str>,
    /// The session of the receiver to which this belongs.
    pub parent: Option<&'a str>,
    /// The sender's workspace, added by the server.
    pub ws: &'a str,
    /// The sender's user, encoded, added by the server.
    pub user: Option<&'a [u8]>,
    /// What the sender adds for polyfn peers; in calls and in messages of extensions only.
    pub extras: Option<Extras<'a>>,
    /// Every other entry, encoded as key and value; only events may have them.
    pub others: Vec<(&'a str, &'a [u8])>,
    /// Where segment 2 begins.
    pub end: usize,
}

impl<'a> Header<'a> {
    /// Reads segment 1 of `frame`.
    ///
    /// # Errors
    /// `invalid` when it is not a map with text keys, or a routing key is not a text, or a key is repeated.
    pub fn parse(frame: &'a Bytes) -> Result<Self> {
        let mut reader = Reader::new(frame);
        let mut header = Self::default();
        let (mut seen, mut extras) = (0u16, None);
        for _ in 0..reader.map()? {
            let key = reader.text()?;
            let value = reader.skip()?;
            let slot = match key {
                "type" => (1, &mut header.kind),
                "from" => (2, &mut header.from),
                "to" => (4, &mut header.to),
                "method" => (8, &mut header.method),
                "ws" => (16, &mut header.ws),
                "session" => {
                    once(&mut seen, 32, key)?;
                    header.session = optional_text(frame, value)?;
                    continue;
                }
                "parent" => {
                    once(&mut seen, 64, key)?;
                    header.parent = optional_text(frame, value)?;
                    continue;
                }
                "user" => {
                    once(&mut seen, 128, key)?;
                    header.user = Some(value);
                    continue;
                }
                KEY => {
                    once(&mut seen, 256, key)?;
                    extras = Some(value);
                    continue;
                }
                _ => {
                    header.others.push((key, value));
                    continue;
                }
            };
            once(&mut seen, slot.0, key)?;
            *slot.1 = optional_text(frame, value)?.unwrap_or_default();
        }
        header.end = reader.position();
        match extras {
            Some(value) if header.kind == "method" || is_extension(header.kind) => {
                header.extras = Some(Extras::parse(frame, position(frame, value))?);
            }
            // an event may have an entry of this name
            Some(value) => header.others.push((KEY, value)),
            None => {}
        }
        Ok(header)
    }
}

impl Header<'_> {
    /// What the sender can do.
    pub fn extensions(&self) -> Extensions {
        self.extras.map_or(Extensions::NONE, |extras| extras.extensions)
    }

    /// How long the caller still waits, where deadlines are `known`.
    pub(crate) fn deadline(&self, known: Extensions) -> Option<Duration> {
        self.extras.and_then(|extras| extras.deadline).filter(|_| known.has(Extensions::DEADLINE))
    }

    /// The trace that the call belongs to, where traces are `known`.
    pub(crate) fn trace(&self, known: Extensions) -> Option<&str> {
        self.extras.and_then(|extras| extras.trace).filter(|_| known.has(Extensions::TRACE))
    }
}

fn once(seen: &mut u16, bit: u16, key: &str) -> Result<()> {
    if *seen & bit != 0 {
        return Err(Error::invalid(format!("key `{key}` stands twice in the first segment")));
    }
    *seen |= bit;
    Ok(())
}

pub(super) fn optional_text<'a>(frame: &'a Bytes, encoded: &'a [u8]) -> Result<Option<&'a str>> {
    match Reader::new(frame).starting_at(position(frame, encoded)).token()? {
        Token::Text(text) => Ok(Some(text)),
        Token::Nil => Ok(None),
        other => Err(Error::invalid(format!("expected a text in the first segment, found {other:?}"))),
    }
}

/// Where in `frame` a part of it begins.
pub(super) fn position(frame: &Bytes, part: &[u8]) -> usize {
    part.as_ptr() as usize - frame.as_ptr() as usize
}

/// How the caller wants its reply.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Reply {
    /// No reply.
    #[default]
    None,
    /// To methods derived from the session id.
    Session,
    /// To methods written out in full.
    Methods {
        /// Takes the result.
        resolve: Box<Stub>,
        /// Takes the error.
        reject: Box<Stub>,
        /// Told that the work goes on.
        heartbeat: Option<Box<Stub>>,
    },
}

/// Segment 2 of a `method` message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body {
    /// The arguments: an encoded list.
    pub args: Bytes,
    /// Whether the last argument holds the keywords.
    pub with_kwargs: bool,
    /// How to reply.
    pub reply: Reply,
    /// Seconds between heartbeats, if the caller said so.
    pub interval: Option<f64>,
}

/// An empty list, for messages without arguments.
const NO_ARGS: &[u8] = &[0x90];

impl Body {
    /// Reads segment 2 of `frame`, which begins at `start` and may be absent.
    ///
    /// # Errors
    /// `invalid` for a malformed segment or a reserved key in it.
    pub fn parse(frame: &Bytes, start: usize) -> Result<Self> {
        let mut body = Self { args: Bytes::from_static(NO_ARGS), ..Self::default() };
        let mut reader = Reader::new(frame).starting_at(start);
        if reader.is_at_end() {
            return Ok(body);
        }
        for _ in 0..reader.map()? {
            match reader.text()? {
                "args" => body.args = frame.slice_ref(reader_list(&mut reader, frame)?),
                "with_kwargs" => body.with_kwargs = reader.scalar()? == Token::Bool(true),
                "t" => {
                    body.interval = match reader.scalar()? {
                        Token::Int(seconds) => Some(seconds as f64),
                        Token::Float(seconds) => Some(seconds),
                        _ => None,
                    }
                }
                "promise" => body.parse_promise(&mut reader)?,
                "_enc" => return Err(super::seal::beside()),
                key if RESERVED.contains(&key) => {
                    return Err(Error::invalid(format!("key `{key}` may not stand in the second segment")));
                }
                _ => {
                    reader.skip()?;
                }
            }
        }
        Ok(body)
    }

    fn parse_promise(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let promise = reader.value()?;
        self.reply = match &promise {
            crate::Value::Text(star) if star == "*" => Reply::Session,
            crate::Value::Map(map) => {
                let stub = |name| match map.get(name) {
                    Some(crate::Value::Method(stub)) => Some(Box::new((**stub).clone())),
                    _ => None,
                };
                self.interval = map.get("interval").and_then(crate::Value::as_float).or(self.interval);
                match (stub("resolve"), stub("reject")) {
                    (Some(resolve), Some(reject)) => {
                        Reply::Methods { resolve, reject, heartbeat: stub("heartbeat") }
                    }
                    _ => return Err(Error::invalid("a written promise needs both `resolve` and `reject`")),
                }
            }
            _ => Reply::None,
        };
        Ok(())
    }
}

/// Skips a list and gives its bytes; anything else is refused before user code could see it.
fn reader_list<'a>(reader: &mut Reader<'a>, frame: &'a Bytes) -> Result<&'a [u8]> {
    let start = reader.position();
    let args = reader.skip()?;
    match frame.get(start) {
        Some(0x90..=0x9f | 0xdc | 0xdd) => Ok(args),
        _ => Err(Error::invalid("`args` must be a list")),
    }
}

/// What a frame that is being written is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Route<'a> {
    /// The sender, absolute.
    pub from: &'a str,
    /// The receiver.
    pub to: &'a str,
    /// The method to call.
    pub method: &'a str,
    /// The receiver's session to which this belongs.
    pub parent: Option<&'a str>,
    /// The sender's session that waits for a reply.
    pub session: Option<&'a str>,
    /// What is added for polyfn peers.
    pub extras: Option<Extras<'a>>,
    /// The sender's workspace and its encoded user, where the sender is part of the server.
    pub identity: Option<(&'a str, &'a [u8])>,
}

impl Route<'_> {
    /// Writes segment 1.
    ///
    /// # Errors
    /// Those of [`Writer`].
    pub fn write(&self, out: &mut Writer) -> Result<()> {
        let optional = usize::from(self.parent.is_some())
            + usize::from(self.session.is_some())
            + usize::from(self.extras.is_some());
        out.open_map(4 + optional + 2 * usize::from(self.identity.is_some()))?;
        out.text("type")?;
        out.text("method")?;
        out.text("from")?;
        out.text(self.from)?;
        out.text("to")?;
        out.text(self.to)?;
        out.text("method")?;
        out.text(self.method)?;
        if let Some(parent) = self.parent {
            out.text("parent")?;
            out.text(parent)?;
        }
        if let Some(session) = self.session {
            out.text("session")?;
            out.text(session)?;
        }
        if let Some(extras) = &self.extras {
            out.text(KEY)?;
            extras.write(out)?;
        }
        if let Some((ws, user)) = self.identity {
            out.text("ws")?;
            out.text(ws)?;
            out.text("user")?;
            out.raw(user)?;
        }
        out.close();
        Ok(())
    }
}

/// Writes segment 2 up to the arguments: exactly `args` values follow, then [`end_body`].
pub(crate) fn begin_body(out: &mut Writer, args: usize, with_kwargs: bool, promise: Promise) -> Result<()> {
    let reply = if promise == Promise::Never { 0 } else { 2 };
    out.open_map(1 + usize::from(with_kwargs) + reply)?;
    out.text("args")?;
    out.open_list(args)
}

/// Ends segment 2 after the arguments. `interval` is in seconds.
pub(crate) fn end_body(out: &mut Writer, with_kwargs: bool, promise: Promise, interval: f64) -> Result<()> {
    out.close();
    if with_kwargs {
        out.text("with_kwargs")?;
        out.bool(true)?;
    }
    if promise != Promise::Never {
        out.text("promise")?;
        out.text("*")?;
        out.text("t")?;
        out.float(interval)?;
    }
    out.close();
    Ok(())
}
