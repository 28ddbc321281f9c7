//! From the wire to a tape.
//!
//! The tape is a list of 32-bit steps for a stack machine: a step in the low five bits, its argument above. Texts
//! lie in one string per event, and a step says only how long its text is. What cannot be a number or a short text
//! goes beside the tape, in order. Steps of members come before the step that puts them together.

use bytes::Bytes;
use polyfn_core::codec::{Build, Promise, Reader, StreamStub, Stub, Tagged};
use polyfn_core::{Error, Result, Value};

use super::shapes::{Shape, Shapes};

/// Steps; the same numbers stand in `js/tape.ts`.
mod step {
    pub(super) const END: i32 = 0;
    pub(super) const NIL: i32 = 1;
    pub(super) const TRUE: i32 = 2;
    pub(super) const FALSE: i32 = 3;
    pub(super) const INT: i32 = 4;
    pub(super) const DOUBLE: i32 = 5;
    pub(super) const BIGINT: i32 = 6;
    pub(super) const BIGUINT: i32 = 7;
    pub(super) const TEXT: i32 = 8;
    pub(super) const BESIDE: i32 = 9;
    pub(super) const LIST: i32 = 10;
    pub(super) const MAP: i32 = 11;
    pub(super) const DICTIONARY: i32 = 12;
    pub(super) const OTHER_MAP: i32 = 13;
    pub(super) const SET: i32 = 14;
    pub(super) const PAIRS: i32 = 15;
    pub(super) const DATE: i32 = 16;
    pub(super) const ARRAY: i32 = 17;
    pub(super) const ERROR: i32 = 18;
    pub(super) const METHOD: i32 = 19;
    pub(super) const EXTENSION: i32 = 20;
    pub(super) const FORM: i32 = 21;
    pub(super) const STREAM: i32 = 22;
}

/// Texts above this length do not share a string with others: whoever keeps a short text would keep them too.
const LONG_TEXT: usize = 4096;
/// The largest integer that a JavaScript number holds exactly.
const MAX_SAFE: i64 = (1 << 53) - 1;
/// What fits beside a step.
const INLINE: std::ops::Range<i64> = -(1 << 26)..1 << 26;

/// What lies beside the tape.
#[derive(Debug, PartialEq)]
pub(crate) enum Extra {
    /// A long text.
    Text(String),
    /// Bytes: a `Buffer`.
    Bytes(Bytes),
    /// Raw memory: an `ArrayBuffer`.
    Memory(Bytes),
}

/// Records one event at a time.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// The steps.
    pub(crate) steps: Vec<i32>,
    /// The texts.
    pub(crate) text: String,
    /// What lies beside.
    pub(crate) extras: Vec<Extra>,
    /// Shapes that JavaScript does not know yet: number, lengths of the keys, keys.
    pub(crate) fresh: Vec<(i32, Vec<i32>, String)>,
    keys: Vec<u8>,
    shapes: Shapes,
}

/// A place on the tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    steps: usize,
    text: usize,
    extras: usize,
    keys: usize,
}

/// A value on the tape: where its steps begin and end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: Mark,
    end: Mark,
}

/// A list or map whose members are being recorded.
#[derive(Debug)]
pub(crate) struct Open {
    start: Mark,
    end: Mark,
    count: usize,
    has_other_keys: bool,
    /// It has an `_rtype` that core does not know: JavaScript may.
    is_form: bool,
}

impl Recorder {
    /// Forgets the last event, not the shapes.
    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.text.clear();
        self.extras.clear();
        self.keys.clear();
        self.fresh.clear();
    }

    /// Forgets the values of an event that cannot be told, not the shapes that it brought.
    pub(crate) fn clear_values(&mut self) {
        self.steps.clear();
        self.text.clear();
        self.extras.clear();
        self.keys.clear();
    }

    /// A number of 64 bits in two places, as ids are written.
    pub(crate) fn id(&mut self, id: u64) {
        self.steps.extend([id as u32 as i32, (id >> 32) as i32]);
    }

    /// Ends an event.
    pub(crate) fn end(&mut self) {
        self.steps.push(step::END);
    }

    /// The next value of `reader`.
    pub(crate) fn value(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let start = self.mark();
        let value = reader.build(self)?;
        self.settle(start, value.start);
        Ok(())
    }

    /// The same, for one of several: a value that cannot be read leaves nothing behind.
    pub(crate) fn whole_value(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let start = self.mark();
        let read = self.value(reader);
        if read.is_err() {
            self.steps.truncate(start.steps);
            self.text.truncate(start.text);
            self.extras.truncate(start.extras);
            self.keys.truncate(start.keys);
        }
        read
    }

    /// A text.
    pub(crate) fn string(&mut self, text: &str) {
        let units = if text.is_ascii() { text.len() } else { text.encode_utf16().count() };
        if text.len() > LONG_TEXT {
            return self.beside(Extra::Text(text.to_owned()));
        }
        self.text.push_str(text);
        self.step(step::TEXT, units as i32);
    }

    /// An error.
    pub(crate) fn error(&mut self, error: &Error) {
        self.string(error.message());
        self.string(error.kind().code());
        self.optional(error.class());
        self.optional(error.trace());
        match error.cause() {
            Some(cause) => self.error(cause),
            None => self.step(step::NIL, 0),
        }
        self.step(step::ERROR, 0);
    }

    /// A number.
    pub(crate) fn number(&mut self, value: f64) {
        self.step(step::DOUBLE, 0);
        self.id(value.to_bits());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.step(step::NIL, 0),
        }
    }

    fn optional_bool(&mut self, value: Option<bool>) {
        match value {
            Some(true) => self.step(step::TRUE, 0),
            Some(false) => self.step(step::FALSE, 0),
            None => self.step(step::NIL, 0),
        }
    }

    fn step(&mut self, step: i32, argument: i32) {
        self.steps.push(step | argument << 5);
    }

    fn beside(&mut self, extra: Extra) {
        self.extras.push(extra);
        self.step(step::BESIDE, 0);
    }

    fn mark(&self) -> Mark {
        Mark {
            steps: self.steps.len(),
            text: self.text.len(),
            extras: self.extras.len(),
            keys: self.keys.len(),
        }
    }

    fn span(&mut self, record: impl FnOnce(&mut Self)) -> Span {
        let start = self.mark();
        record(self);
        Span { start, end: self.mark() }
    }

    /// Takes out what lies between two values: a map that the reader began anew leaves its first members there.
    fn settle(&mut self, end: Mark, start: Mark) {
        if end == start {
            return;
        }
        self.steps.drain(end.steps..start.steps);
        self.text.drain(end.text..start.text);
        self.extras.drain(end.extras..start.extras);
        self.keys.drain(end.keys..start.keys);
    }

    /// Puts `members` together in one step.
    fn join(&mut self, members: &[Span], step: i32, count: usize) -> Span {
        let start = members.first().map_or_else(|| self.mark(), |first| first.start);
        for pair in members.windows(2).rev() {
            self.settle(pair[0].end, pair[1].start);
        }
        self.step(step, count as i32);
        Span { start, end: self.mark() }
    }

    fn open(&self) -> Open {
        let start = self.mark();
        Open { start, end: start, count: 0, has_other_keys: false, is_form: false }
    }

    fn closed(&mut self, open: &Open) -> Span {
        Span { start: open.start, end: self.mark() }
    }

    fn close_record(&mut self, open: &Open) {
        let keys = &self.keys[open.start.keys..];
        match self.shapes.find(keys, open.count) {
            Shape::Known(id) => self.step(step::MAP, id),
            Shape::New(id) => {
                let mut lengths = Vec::with_capacity(open.count);
                let mut text = String::new();
                for key in Keys(keys) {
                    lengths.push(key.encode_utf16().count() as i32);
                    text.push_str(key);
                }
                self.fresh.push((id, lengths, text));
                self.step(step::MAP, id);
            }
            Shape::Unknown => {
                let keys = self.keys.split_off(open.start.keys);
                self.step(step::DICTIONARY, open.count as i32);
                for key in Keys(&keys) {
                    self.steps.push(key.encode_utf16().count() as i32);
                    self.text.push_str(key);
                }
            }
        }
        self.keys.truncate(open.start.keys);
    }
}

/// Keys as they were noted, each behind its length.
struct Keys<'a>(&'a [u8]);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*head) as usize)?;
        self.0 = rest;
        std::str::from_utf8(key).ok()
    }
}

impl Build for Recorder {
    type Object = Span;
    type List = Open;
    type Map = Open;

    fn nil(&mut self) -> Result<Span> {
        Ok(self.span(|tape| tape.step(step::NIL, 0)))
    }

    fn bool(&mut self, value: bool) -> Result<Span> {
        Ok(self.span(|tape| tape.step(if value { step::TRUE } else { step::FALSE }, 0)))
    }

    fn int(&mut self, value: i64) -> Result<Span> {
        Ok(self.span(|tape| {
            if INLINE.contains(&value) {
                tape.step(step::INT, value as i32);
            } else if (-MAX_SAFE..=MAX_SAFE).contains(&value) {
                tape.number(value as f64);
            } else {
                tape.step(step::BIGINT, 0);
                tape.id(value as u64);
            }
        }))
    }

    fn uint(&mut self, value: u64) -> Result<Span> {
        Ok(self.span(|tape| {
            tape.step(step::BIGUINT, 0);
            tape.id(value);
        }))
    }

    fn float(&mut self, value: f64) -> Result<Span> {
        Ok(self.span(|tape| tape.number(value)))
    }

    fn text(&mut self, value: &str) -> Result<Span> {
        Ok(self.span(|tape| tape.string(value)))
    }

    fn bytes(&mut self, value: Bytes) -> Result<Span> {
        Ok(self.span(|tape| tape.beside(Extra::Bytes(value))))
    }

    fn extension(&mut self, code: i8, data: Bytes) -> Result<Span> {
        Ok(self.span(|tape| match (code, milliseconds(&data)) {
            (-1, Some(time)) => {
                tape.number(time);
                tape.step(step::DATE, 0);
            }
            _ => {
                tape.beside(Extra::Bytes(data));
                tape.step(step::EXTENSION, i32::from(code));
            }
        }))
    }

    fn list(&mut self, _: usize) -> Result<Open> {
        Ok(self.open())
    }

    fn push(&mut self, list: &mut Open, item: Span) -> Result<()> {
        self.settle(list.end, item.start);
        list.end = self.mark();
        list.count += 1;
        Ok(())
    }

    fn end_list(&mut self, list: Open) -> Result<Span> {
        self.step(step::LIST, list.count as i32);
        Ok(self.closed(&list))
    }

    fn map(&mut self, _: usize) -> Result<Open> {
        Ok(self.open())
    }

    fn insert(&mut self, map: &mut Open, key: &str, value: Span) -> Result<()> {
        self.settle(map.end, value.start);
        self.keys.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.keys.extend_from_slice(key.as_bytes());
        map.end = self.mark();
        map.count += 1;
        map.is_form |= key == "_rtype";
        Ok(())
    }

    fn insert_other(&mut self, map: &mut Open, key: Span, value: Span) -> Result<()> {
        self.settle(key.end, value.start);
        self.settle(map.end, key.start);
        map.end = self.mark();
        map.count += 1;
        map.has_other_keys = true;
        Ok(())
    }

    fn end_map(&mut self, map: Open) -> Result<Span> {
        if map.has_other_keys {
            self.step(step::OTHER_MAP, map.count as i32);
        } else {
            self.close_record(&map);
        }
        if map.is_form {
            self.step(step::FORM, 0);
        }
        Ok(self.closed(&map))
    }

    fn method(&mut self, stub: Stub) -> Result<Span> {
        let start = self.mark();
        self.string(&stub.target);
        self.string(&stub.method);
        let promise = match stub.promise {
            Promise::Never => 0,
            Promise::Star => 1,
            Promise::Full => 2,
        };
        self.step(step::INT, promise);
        let key = stub.enc_pub.map(|key| key.to_string());
        for text in [&stub.name, &stub.doc, &stub.server, &stub.parent, &key] {
            self.optional(text.as_deref());
        }
        self.optional_bool(stub.is_async);
        let schema = stub.schema.as_deref().unwrap_or(&Value::Nil).to_msgpack()?;
        self.value(&mut Reader::new(&Bytes::from(schema)))?;
        self.step(step::METHOD, 0);
        Ok(Span { start, end: self.mark() })
    }

    fn generator(&mut self, stub: StreamStub) -> Result<Span> {
        Ok(self.span(|tape| {
            for text in [&stub.target, &stub.method, &stub.close_method] {
                tape.string(text);
            }
            let key = stub.enc_pub.map(|key| key.to_string());
            for text in [&stub.doc, &stub.server, &stub.parent, &key] {
                tape.optional(text.as_deref());
            }
            tape.optional_bool(Some(stub.pushes));
            tape.step(step::STREAM, 0);
        }))
    }

    fn tagged(&mut self, value: Tagged<Span>) -> Result<Span> {
        Ok(match value {
            Tagged::Set(items) => self.join(&items, step::SET, items.len()),
            Tagged::Pairs(pairs) => {
                let flat: Vec<Span> = pairs.iter().flat_map(|(key, value)| [*key, *value]).collect();
                self.join(&flat, step::PAIRS, pairs.len())
            }
            Tagged::Memory(data) => self.span(|tape| tape.beside(Extra::Memory(data))),
            Tagged::Error(error) => self.span(|tape| tape.error(&error)),
            Tagged::Array { data, shape, dtype } => self.span(|tape| {
                tape.beside(Extra::Memory(data));
                tape.optional(dtype.as_deref());
                let dimensions = shape.as_ref().map_or(-1, |shape| shape.len() as i32);
                shape.iter().flatten().for_each(|length| tape.number(*length as f64));
                tape.step(step::ARRAY, dimensions);
            }),
        })
    }
}

/// The time of a msgpack timestamp, in milliseconds since 1970.
fn milliseconds(data: &[u8]) -> Option<f64> {
    let (seconds, nanoseconds) = match data.len() {
        4 => (i64::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            ((both & 0x3_ffff_ffff) as i64, (both >> 34) as u32)
        }
        12 => {
            let (nanoseconds, seconds) = data.split_first_chunk::<4>()?;
            (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes(*nanoseconds))
        }
        _ => return None,
    };
    Some(seconds as f64 * 1e3 + (f64::from(nanoseconds) / 1e6).floor())
}

#[cfg(test)]
mod tests;
