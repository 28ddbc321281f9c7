//! From a tape that JavaScript wrote to the wire.
//!
//! A tape is bytes: a step, its sizes in little endian, its content, members behind the step that holds them. Long
//! texts and bytes are not copied onto the tape but lie beside it, in order.

use bytes::Bytes;
use polyfn_core::codec::{FunctionMeta, Promise, Reader, Stub, Writer};
use polyfn_core::wire::PublicKey;
use polyfn_core::{Error, ErrorKind, Result, Value};

/// Steps; the same numbers stand in `js/tape.ts`.
mod step {
    pub(super) const NIL: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const SAFE_INT: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const BIGINT: u8 = 6;
    pub(super) const BIGUINT: u8 = 7;
    pub(super) const TEXT: u8 = 8;
    pub(super) const LONG_TEXT: u8 = 9;
    pub(super) const BYTES: u8 = 10;
    pub(super) const LONG_BYTES: u8 = 11;
    pub(super) const LIST: u8 = 12;
    pub(super) const MAP: u8 = 13;
    pub(super) const SET: u8 = 14;
    pub(super) const PAIRS: u8 = 15;
    pub(super) const MEMORY: u8 = 16;
    pub(super) const ARRAY: u8 = 17;
    pub(super) const DATE: u8 = 18;
    pub(super) const ERROR: u8 = 19;
    pub(super) const FUNCTION: u8 = 20;
    pub(super) const STUB: u8 = 21;
    pub(super) const EXTENSION: u8 = 22;
    pub(super) const STREAM: u8 = 23;
    pub(super) const INTERFACE: u8 = 24;
}

/// In place of the number of dimensions: a typed array, which has no shape.
const NO_SHAPE: u8 = u8::MAX;

/// Replays a tape.
pub(crate) struct Player<'a, B> {
    tape: &'a [u8],
    beside: &'a [B],
}

impl<'a, B: AsRef<[u8]>> Player<'a, B> {
    /// A player at the start of `tape`.
    pub(crate) const fn new(tape: &'a [u8], beside: &'a [B]) -> Self {
        Self { tape, beside }
    }

    /// Writes `count` values.
    pub(crate) fn values(&mut self, count: u32, out: &mut Writer) -> Result<()> {
        (0..count).try_for_each(|_| self.value(out))
    }

    /// Writes the next value.
    pub(crate) fn value(&mut self, out: &mut Writer) -> Result<()> {
        match self.byte()? {
            step::NIL => out.nil(),
            step::TRUE => out.bool(true),
            step::FALSE => out.bool(false),
            step::INT => out.int(i64::from(i32::from_le_bytes(self.fixed()?))),
            step::SAFE_INT => out.int(self.number()? as i64),
            step::FLOAT => out.float(self.number()?),
            step::BIGINT => out.int(i64::from_le_bytes(self.fixed()?)),
            step::BIGUINT => out.uint(u64::from_le_bytes(self.fixed()?)),
            step::TEXT => out.text(self.text()?),
            step::LONG_TEXT => out.text(utf8(self.next_beside()?)?),
            step::BYTES => out.bytes(self.block()?),
            step::LONG_BYTES => out.copied(self.next_beside()?),
            step::LIST => {
                let count = self.count()?;
                out.open_list(count as usize)?;
                self.values(count, out)?;
                out.close();
                Ok(())
            }
            step::MAP => self.map(out),
            step::INTERFACE => {
                let (id, start) = (self.text()?, out.len());
                self.map(out)?;
                out.interface(start, Some(id)).map(drop)
            }
            step::SET => {
                let count = self.count()?;
                out.open_set(count as usize)?;
                self.values(count, out)?;
                out.close_set();
                Ok(())
            }
            step::PAIRS => self.pairs(out),
            step::MEMORY => out.memory(self.bytes()?),
            step::ARRAY => self.array(out),
            step::DATE => timestamp(self.number()?, out),
            step::ERROR => out.error(&self.error()?),
            step::FUNCTION => self.function(out),
            step::STREAM => out.generator(self.number()? as u64),
            step::STUB => {
                let stub = self.stub()?;
                out.stub(&stub)
            }
            step::EXTENSION => {
                let code = self.byte()? as i8;
                let data = self.bytes()?;
                out.extension(code, data)
            }
            other => Err(torn(format!("unknown step {other}"))),
        }
    }

    fn map(&mut self, out: &mut Writer) -> Result<()> {
        let count = self.count()?;
        out.open_map(count as usize)?;
        for _ in 0..count {
            out.text(self.text()?)?;
            self.value(out)?;
        }
        out.close();
        Ok(())
    }

    fn pairs(&mut self, out: &mut Writer) -> Result<()> {
        let count = self.count()?;
        out.open_pairs(count as usize)?;
        for _ in 0..count {
            out.open_list(2)?;
            self.values(2, out)?;
            out.close();
        }
        out.close_set();
        Ok(())
    }

    fn array(&mut self, out: &mut Writer) -> Result<()> {
        let dtype = self.text()?;
        let dimensions = self.byte()?;
        let mut shape = Vec::new();
        let has_shape = dimensions != NO_SHAPE;
        for _ in 0..if has_shape { dimensions } else { 0 } {
            shape.push(self.number()? as u64);
        }
        let shape = has_shape.then_some(shape.as_slice());
        let data = self.bytes()?;
        out.array(data, shape, (!dtype.is_empty()).then_some(dtype))
    }

    /// An error without its step.
    pub(crate) fn error(&mut self) -> Result<Error> {
        let (message, code) = (self.text()?, self.text()?);
        let (class, trace) = (self.text()?, self.text()?);
        let mut error = Error::new(ErrorKind::of_failure(Some(code)), message);
        if !class.is_empty() {
            error = error.with_class(class);
        }
        if !trace.is_empty() {
            error = error.with_trace(trace);
        }
        Ok(if self.byte()? == step::ERROR { error.with_cause(self.error()?) } else { error })
    }

    fn function(&mut self, out: &mut Writer) -> Result<()> {
        let handle = self.number()? as u64;
        let name = self.text()?;
        let (doc, is_async) = (self.optional()?, self.flag()?);
        let checks_arguments = self.flag()? == Some(true);
        let schema = self.schema()?;
        out.function(handle, &FunctionMeta { name, doc, schema: schema.as_ref(), is_async, checks_arguments })
    }

    fn stub(&mut self) -> Result<Stub> {
        let promise = match self.byte()? {
            0 => Promise::Never,
            1 => Promise::Star,
            _ => Promise::Full,
        };
        let (target, method) = (self.text()?.to_owned(), self.text()?.to_owned());
        let mut optional = || Ok::<_, Error>(self.optional()?.map(str::to_owned));
        let (name, doc, server, parent) = (optional()?, optional()?, optional()?, optional()?);
        let enc_pub = self.public_key()?;
        let (is_async, schema) = (self.flag()?, self.schema()?.map(Box::new));
        let stub = Stub { target, method, promise, name, doc, schema, ..Stub::default() };
        Ok(Stub { is_async, server, enc_pub, parent, ..stub })
    }

    /// A public key, or none.
    pub(crate) fn public_key(&mut self) -> Result<Option<PublicKey>> {
        self.optional()?.map(str::parse).transpose()
    }

    fn schema(&mut self) -> Result<Option<Value>> {
        let schema = self.dynamic()?;
        Ok((schema != Value::Nil).then_some(schema))
    }

    /// The next value as a [`Value`].
    pub(crate) fn dynamic(&mut self) -> Result<Value> {
        let mut out = Writer::new();
        self.value(&mut out)?;
        Reader::new(&Bytes::from(out.into_bytes())).value()
    }

    /// A truth value, or none.
    fn flag(&mut self) -> Result<Option<bool>> {
        Ok(match self.byte()? {
            step::TRUE => Some(true),
            step::FALSE => Some(false),
            _ => None,
        })
    }

    /// A text, or none.
    pub(crate) fn optional(&mut self) -> Result<Option<&'a str>> {
        if self.byte()? == step::NIL { Ok(None) } else { self.text().map(Some) }
    }

    /// What was not played yet.
    pub(crate) fn rest(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        (self.tape.to_vec(), self.beside.iter().map(|bytes| bytes.as_ref().to_vec()).collect())
    }

    /// A part of the tape with its length before it, as a tape of its own.
    pub(crate) fn inner(&mut self) -> Result<Self> {
        Ok(Self { tape: self.block()?, beside: self.beside })
    }

    /// A text without its step.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        utf8(self.block()?)
    }

    /// A count without its step.
    pub(crate) fn count(&mut self) -> Result<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// A number without its step.
    pub(crate) fn number(&mut self) -> Result<f64> {
        self.fixed().map(f64::from_le_bytes)
    }

    /// A byte.
    pub(crate) fn byte(&mut self) -> Result<u8> {
        self.fixed::<1>().map(|[byte]| byte)
    }

    /// Bytes with their step: on the tape or beside it.
    fn bytes(&mut self) -> Result<&'a [u8]> {
        if self.byte()? == step::LONG_BYTES { self.next_beside() } else { self.block() }
    }

    fn block(&mut self) -> Result<&'a [u8]> {
        let len = self.count()? as usize;
        let (block, rest) =
            self.tape.split_at_checked(len).ok_or_else(|| torn(format!("{len} bytes are not there")))?;
        self.tape = rest;
        Ok(block)
    }

    fn next_beside(&mut self) -> Result<&'a [u8]> {
        let (first, rest) = self.beside.split_first().ok_or_else(|| torn("nothing lies beside it"))?;
        self.beside = rest;
        Ok(first.as_ref())
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.tape.split_first_chunk::<N>().ok_or_else(|| torn("it ends too early"))?;
        self.tape = rest;
        Ok(*bytes)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| Error::invalid(format!("a text is not UTF-8: {error}")))
}

/// The msgpack timestamp of a time in milliseconds since 1970.
fn timestamp(time: f64, out: &mut Writer) -> Result<()> {
    if !time.is_finite() {
        return Err(Error::invalid("an invalid Date cannot be sent"));
    }
    let seconds = (time / 1e3).floor();
    let nanoseconds = ((time - seconds * 1e3) * 1e6).round() as u32;
    let seconds = seconds as i64;
    match u64::try_from(seconds) {
        Ok(short) if nanoseconds == 0 && u32::try_from(short).is_ok() => {
            out.extension(-1, &(short as u32).to_be_bytes())
        }
        Ok(short) if short < 1 << 34 => {
            out.extension(-1, &(u64::from(nanoseconds) << 34 | short).to_be_bytes())
        }
        _ => {
            let mut data = [0; 12];
            data[..4].copy_from_slice(&nanoseconds.to_be_bytes());
            data[4..].copy_from_slice(&seconds.to_be_bytes());
            out.extension(-1, &data)
        }
    }
}

fn torn(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("a tape of values is torn: {what}"))
}
