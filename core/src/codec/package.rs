//! Large bytes that are sent from where they lie: they are not copied into the message, which leaves in parts anyway.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Writer;
use crate::wire::without_extras;
use crate::{Result, memory};

/// From so many bytes on it pays not to copy them. More than a chunk (protocol section 11), so that what they
/// stand in is split.
pub const SHARED_MIN: usize = 1 << 20;

/// What stands before and behind a part in its frame: room for it too, so that the part is not copied once more.
const AROUND: usize = 256;

/// Bytes that belong into a message, and the place where they do.
pub(super) type Shared = (usize, Bytes);

/// A whole message, large bytes in it still apart.
#[derive(Debug)]
pub(crate) struct Package {
    head: Bytes,
    shared: Vec<Shared>,
}

impl Writer {
    /// Lets [`Writer::shared`] keep bytes apart from here on: for messages that nobody seals or looks into.
    pub(crate) const fn keep_apart(&mut self) {
        self.keeps_apart = true;
    }

    /// Whether bytes of this length are better given to [`Writer::shared`] than to [`Writer::bytes`].
    pub const fn is_shared(&self, len: usize) -> bool {
        self.keeps_apart && len >= SHARED_MIN
    }

    /// Bytes that nobody changes as long as the message is on its way. They are copied only if they must be.
    ///
    /// # Errors
    /// `too_large` for 4 GiB and more.
    pub fn shared(&mut self, value: Bytes) -> Result<()> {
        if !self.is_shared(value.len()) {
            return self.bytes(&value);
        }
        self.bytes_head(value.len())?;
        self.apart.push((self.out.len(), value));
        Ok(())
    }

    /// Bytes that may change once they are written: they are copied, large ones only once.
    ///
    /// # Errors
    /// As [`Writer::shared`].
    pub fn copied(&mut self, value: &[u8]) -> Result<()> {
        if self.is_shared(value.len()) { self.shared(memory::copied(value)) } else { self.bytes(value) }
    }

    /// Takes what was kept apart behind `start` into what is written.
    pub(super) fn settle(&mut self, start: usize) {
        let first = self.apart.iter().position(|(at, _)| *at > start).unwrap_or(self.apart.len());
        let apart = self.apart.split_off(first);
        if !apart.is_empty() {
            let tail = Bytes::from(self.out.split_off(start));
            let shared = apart.into_iter().map(|(at, value)| (at - start, value)).collect();
            self.out.extend_from_slice(&Package { head: tail, shared }.into_bytes());
        }
    }

    /// The message as it is to be sent.
    pub(crate) fn into_package(self) -> Package {
        Package { head: self.out.into(), shared: self.apart }
    }
}

impl From<Bytes> for Package {
    fn from(head: Bytes) -> Self {
        Self { head, shared: Vec::new() }
    }
}

impl Package {
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.shared.iter().map(|(_, value)| value.len()).sum::<usize>()
    }

    /// One piece; copied if it is not that already.
    pub(crate) fn into_bytes(self) -> Bytes {
        if self.shared.is_empty() {
            return self.head;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        self.into_segments().iter().for_each(|segment| whole.extend_from_slice(segment));
        whole.freeze()
    }

    /// See [`without_extras`].
    pub(crate) fn without_extras(self) -> Self {
        let before = self.head.len();
        let head = without_extras(self.head);
        let gone = before - head.len();
        Self { head, shared: self.shared.into_iter().map(|(at, value)| (at - gone, value)).collect() }
    }

    /// All of it, in order.
    pub(crate) fn into_segments(self) -> Segments {
        let mut segments = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut done = 0;
        for (at, value) in self.shared {
            segments.push(self.head.slice(done..at));
            segments.push(value);
            done = at;
        }
        segments.push(self.head.slice(done..));
        Segments(segments)
    }
}

/// A message in several pieces.
#[derive(Debug)]
pub(crate) struct Segments(Vec<Bytes>);

impl Segments {
    pub(crate) fn len(&self) -> usize {
        self.iter().map(<[u8]>::len).sum()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|segment| &segment[..])
    }

    #[cfg(test)]
    pub(crate) fn place_of(&self, segment: usize) -> *const u8 {
        self.0[segment].as_ptr()
    }

    /// Writes one part of the message as bytes.
    pub(crate) fn write(&self, part: Range<usize>, out: &mut Writer) -> Result<()> {
        out.reserve(part.len() + AROUND);
        out.bytes_head(part.len())?;
        let mut start = 0;
        for segment in self.iter() {
            let cut = |at: usize| at.saturating_sub(start).min(segment.len());
            out.raw(&segment[cut(part.start)..cut(part.end)])?;
            start += segment.len();
        }
        Ok(())
    }
}

/// The message has left: its memory may serve the next one.
impl Drop for Segments {
    fn drop(&mut self) {
        self.0.drain(..).for_each(memory::recycle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use crate::codec::Reader;

    fn large(byte: u8) -> Bytes {
        vec![byte; SHARED_MIN].into()
    }

    fn writer() -> Writer {
        let mut out = Writer::new();
        out.keep_apart();
        out.open_list(3).unwrap();
        out.shared(large(1)).unwrap();
        out
    }

    #[test]
    fn what_is_kept_apart_is_sent_in_its_place() {
        let mut out = writer();
        out.text("between").unwrap();
        out.shared(large(2)).unwrap();
        let whole = Value::List(vec![Value::Bytes(large(1)), "between".into(), Value::Bytes(large(2))]);
        let whole = whole.to_msgpack().unwrap();
        let package = out.into_package();
        assert!(package.head.len() < 32);
        assert_eq!(package.len(), whole.len());
        let segments = package.into_segments();
        let mut joined = Vec::new();
        for start in (0..segments.len()).step_by(300_000) {
            let mut part = Writer::new();
            segments.write(start..segments.len().min(start + 300_000), &mut part).unwrap();
            let part = Bytes::from(part.into_bytes());
            match Reader::new(&part).value().unwrap() {
                Value::Bytes(bytes) => joined.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(joined, whole);
    }

    #[test]
    fn what_is_looked_into_or_taken_back_is_whole() {
        let mut out = writer();
        let (mark, start) = (out.mark(), out.len());
        out.shared(large(2)).unwrap();
        out.settle(start);
        assert_eq!((out.len() - start, out.apart.len()), (SHARED_MIN + 5, 1));
        out.rewind(mark);
        out.shared(large(3)).unwrap();
        out.rewind(mark);
        out.nil().unwrap();
        out.nil().unwrap();
        let whole = Value::List(vec![Value::Bytes(large(1)), Value::Nil, Value::Nil]);
        assert_eq!(out.into_bytes(), whole.to_msgpack().unwrap());
    }

    #[test]
    fn small_bytes_and_other_messages_are_copied() {
        let mut out = Writer::new();
        out.shared(large(1)).unwrap();
        assert_eq!(out.len(), SHARED_MIN + 5);
        let mut out = writer();
        out.shared(Bytes::from_static(b"small")).unwrap();
        assert_eq!(out.apart.len(), 1);
    }
}
