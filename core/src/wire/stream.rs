//! Frames of generators between peers that both know the extension: what is wanted, and what is sent.

use bytes::Bytes;

use super::extras::{Extras, KEY};
use super::message::{PULL, PUSH, RESERVED};
use crate::codec::{Reader, Tagged, Token, Writer};
use crate::{Error, Result, Value};

/// Who a frame of a generator is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamRoute<'a> {
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    /// The reader's name for the stream.
    pub(crate) stream: &'a str,
    pub(crate) extras: Extras<'a>,
}

impl StreamRoute<'_> {
    /// Writes segment 1; `method` names the generator in the frame of a reader.
    fn write(&self, out: &mut Writer, kind: &str, method: Option<&str>) -> Result<()> {
        out.open_map(5 + usize::from(method.is_some()))?;
        let entries = [("type", kind), ("from", self.from), ("to", self.to)];
        let method = method.map(|method| ("method", method));
        for (key, value) in entries.into_iter().chain(method).chain([("session", self.stream)]) {
            out.text(key)?;
            out.text(value)?;
        }
        out.text(KEY)?;
        self.extras.write(out)?;
        out.close();
        Ok(())
    }
}

/// What a reader wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pull {
    /// Items that may be sent in addition.
    pub(crate) items: u64,
    /// Bytes that may be sent in addition.
    pub(crate) bytes: u64,
    /// No more is wanted.
    pub(crate) close: bool,
}

impl Pull {
    /// Whether the reader only asks whether the generator is still there.
    pub(crate) const fn is_question(&self) -> bool {
        self.items == 0 && self.bytes == 0 && !self.close
    }

    /// Writes the frame for the generator `method`.
    pub(crate) fn frame(&self, route: &StreamRoute<'_>, method: &str) -> Result<Bytes> {
        let mut out = Writer::new();
        route.write(&mut out, PULL, Some(method))?;
        if self.close {
            out.open_map(1)?;
            out.text("close")?;
            out.bool(true)?;
        } else {
            out.open_map(2)?;
            out.text("n")?;
            out.uint(self.items)?;
            out.text("b")?;
            out.uint(self.bytes)?;
        }
        out.close();
        Ok(Bytes::from(out.into_bytes()))
    }

    /// Reads segment 2, which begins at `start`.
    pub(crate) fn parse(frame: &Bytes, start: usize) -> Result<Self> {
        let mut pull = Self::default();
        entries(frame, start, |key, reader| {
            match key {
                "n" => pull.items = number(reader)?,
                "b" => pull.bytes = number(reader)?,
                "close" => pull.close = reader.scalar()? == Token::Bool(true),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(pull)
    }
}

/// A frame of items that is being written.
#[derive(Debug)]
pub(crate) struct PushDraft {
    pub(crate) writer: Writer,
    entries_at: usize,
    list_at: usize,
}

impl PushDraft {
    /// Begins a frame whose first item is number `index`; items are then written into its writer.
    pub(crate) fn begin(route: &StreamRoute<'_>, index: u64) -> Result<Self> {
        let mut writer = Writer::new();
        route.write(&mut writer, PUSH, None)?;
        let entries_at = writer.len();
        writer.open_map(2)?;
        writer.text("i")?;
        writer.uint(index)?;
        writer.text("args")?;
        let list_at = writer.len();
        writer.open_uncounted_list()?;
        Ok(Self { writer, entries_at, list_at })
    }

    /// How many bytes of items were written.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.len() - self.list_at
    }

    /// The frame of `count` items, behind which the generator has ended or not.
    pub(crate) fn finish(&mut self, count: u32, end: Option<&Result<()>>) -> Result<Bytes> {
        self.writer.set_list_len(self.list_at, count);
        self.writer.close();
        if let Some(end) = end {
            self.writer.set_small_map_len(self.entries_at, 3);
            match end {
                Ok(()) => {
                    self.writer.text("end")?;
                    self.writer.bool(true)?;
                }
                Err(error) => {
                    self.writer.text("error")?;
                    self.writer.error(error)?;
                }
            }
        }
        self.writer.close();
        Ok(Bytes::from(self.writer.take_bytes()))
    }
}

/// Items that were sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Push {
    /// The number of the first item, from 0 on.
    pub(crate) index: u64,
    /// The items: an encoded list.
    pub(crate) items: Bytes,
    pub(crate) count: u32,
    /// How the generator ended.
    pub(crate) end: Option<Result<()>>,
}

impl Push {
    /// Reads segment 2, which begins at `start`.
    pub(crate) fn parse(frame: &Bytes, start: usize) -> Result<Self> {
        const NONE: &[u8] = &[0x90];
        let mut push = Self { index: 0, items: Bytes::from_static(NONE), count: 0, end: None };
        entries(frame, start, |key, reader| {
            match key {
                "i" => push.index = number(reader)?,
                "args" => {
                    let Some(Token::List(len)) = reader.peek() else {
                        return Err(Error::invalid("items of a generator must be a list"));
                    };
                    push.count =
                        u32::try_from(len).map_err(|_| Error::too_large("too many items in one message"))?;
                    let items = reader.skip()?;
                    push.items = reader.shared(items);
                }
                "end" if reader.scalar()? == Token::Bool(true) => push.end = push.end.take().or(Some(Ok(()))),
                "error" => push.end = Some(Err(error(reader.value()?))),
                _ => return Ok(key == "end"),
            }
            Ok(true)
        })?;
        Ok(push)
    }
}

fn error(value: Value) -> Error {
    match value {
        Value::Tagged(tagged) => match *tagged {
            Tagged::Error(error) => error,
            _ => Error::remote("the generator failed"),
        },
        _ => Error::remote("the generator failed"),
    }
}

/// Reads the entries of segment 2; `take` says whether it knew the key.
fn entries(
    frame: &Bytes,
    start: usize,
    mut take: impl FnMut(&str, &mut Reader<'_>) -> Result<bool>,
) -> Result<()> {
    let mut reader = Reader::new(frame).starting_at(start);
    if reader.is_at_end() {
        return Ok(());
    }
    for _ in 0..reader.map()? {
        let key = reader.text()?;
        if RESERVED.contains(&key) {
            return Err(Error::invalid(format!("key `{key}` may not stand in the second segment")));
        }
        if !take(key, &mut reader)? {
            reader.skip()?;
        }
    }
    Ok(())
}

fn number(reader: &mut Reader<'_>) -> Result<u64> {
    match reader.scalar()? {
        Token::Int(value) => u64::try_from(value).map_err(|_| Error::invalid("a number from 0 on is wanted")),
        Token::Uint(value) => Ok(value),
        other => Err(Error::invalid(format!("expected a number, found {other:?}"))),
    }
}
