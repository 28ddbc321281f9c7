//! msgpack out: the smallest form of every value, as both reference clients write it.

use super::interface::Interface;
use super::package::Shared;
use super::tag::{FunctionMeta, Promise, Stub};
use super::{Limits, Tagged, Walk};
use crate::wire::PublicKey;
use crate::{Error, Result};

/// A language's number for one of its own functions or generators.
pub type Handle = u64;

/// Errors that led to an error, at most so many of them are sent along.
pub const MAX_CAUSES: usize = 8;

/// Something of this side's that was written into a message, so that a peer can use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// A function, which may be called.
    Function(Handle),
    /// A generator, which may be asked for its items.
    Generator(Handle),
}

impl Export {
    /// The language's number.
    pub const fn handle(self) -> Handle {
        match self {
            Self::Function(handle) | Self::Generator(handle) => handle,
        }
    }
}

/// Where functions that are written belong: the session whose object table will hold them.
#[derive(Clone, Debug, Default)]
pub struct Exports {
    /// The owner as written into `_rtarget`.
    pub target: String,
    /// The owner's server, written into `_rserver`.
    pub server: String,
    /// The session id that prefixes the method path.
    pub session: String,
    /// What was written: the object id under the session, and the language's function or generator.
    pub objects: Vec<(String, Export)>,
    /// Functions among them whose arguments are to be checked.
    pub checked: Vec<Handle>,
    /// How many functions were written in all, those that are elsewhere by now among them.
    pub count: usize,
    /// Whether objects may be given away for longer than the message lasts.
    pub takes_interfaces: bool,
    /// Those that were.
    pub interfaces: Vec<Interface>,
    /// The owner's public key, for peers that encrypt.
    pub enc_pub: Option<PublicKey>,
}

/// Writes values into one growing buffer.
///
/// ```
/// use polyfn_core::codec::Writer;
/// let mut out = Writer::new();
/// out.open_list(2)?;
/// out.int(1)?;
/// out.text("a")?;
/// out.close();
/// assert_eq!(out.into_bytes(), [0x92, 0x01, 0xa1, b'a']);
/// # Ok::<(), polyfn_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    pub(super) out: Vec<u8>,
    depth: usize,
    limits: Limits,
    pub(super) exports: Option<Box<Exports>>,
    /// Whether large bytes may be kept apart, and those that are: see [`Writer::shared`].
    pub(super) keeps_apart: bool,
    pub(super) apart: Vec<Shared>,
}

/// A place in what is being written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: usize,
    depth: usize,
    objects: usize,
    interfaces: usize,
}

impl Writer {
    /// An empty writer that cannot take functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that goes on behind what `out` already holds.
    pub fn after(out: Vec<u8>) -> Self {
        Self { out, ..Self::default() }
    }

    /// A writer that takes functions for the session named in `exports`.
    pub fn exporting(exports: Exports) -> Self {
        Self { exports: Some(Box::new(exports)), ..Self::default() }
    }

    /// Lets functions be written from here on.
    pub fn export_to(&mut self, exports: Exports) {
        self.exports = Some(Box::new(exports));
    }

    /// The functions and generators written so far; the language lets go of them when the message is not sent.
    pub fn take_objects(&mut self) -> Vec<(String, Export)> {
        self.exports.as_mut().map(|exports| std::mem::take(&mut exports.objects)).unwrap_or_default()
    }

    /// Those of the functions written so far whose arguments are to be checked.
    pub(crate) fn take_checked(&mut self) -> Vec<Handle> {
        self.exports.as_mut().map(|exports| std::mem::take(&mut exports.checked)).unwrap_or_default()
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Goes on in other memory, which is empty.
    pub(crate) fn move_to(&mut self, mut memory: Vec<u8>) {
        memory.append(&mut self.out);
        self.out = memory;
    }

    /// What was written.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.settle(0);
        self.out
    }

    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        self.settle(0);
        std::mem::take(&mut self.out)
    }

    pub(crate) fn set_bytes(&mut self, bytes: Vec<u8>) {
        self.out = bytes;
    }

    /// How many bytes were written, without those that are kept apart.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What was written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// nil.
    pub fn nil(&mut self) -> Result<()> {
        self.out.push(0xc0);
        Ok(())
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) -> Result<()> {
        self.out.push(if value { 0xc3 } else { 0xc2 });
        Ok(())
    }

    /// An integer with sign.
    pub fn int(&mut self, value: i64) -> Result<()> {
        if value >= 0 {
            return self.uint(value.unsigned_abs());
        }
        match value {
            -32..=-1 => self.out.push(value as u8),
            -0x80..=-33 => self.tail(0xd0, &[value as u8]),
            -0x8000..=-0x81 => self.tail(0xd1, &(value as u16).to_be_bytes()),
            -0x8000_0000..=-0x8001 => self.tail(0xd2, &(value as u32).to_be_bytes()),
            _ => self.tail(0xd3, &value.to_be_bytes()),
        }
        Ok(())
    }

    /// An integer without sign.
    pub fn uint(&mut self, value: u64) -> Result<()> {
        match value {
            0..=0x7f => self.out.push(value as u8),
            0x80..=0xff => self.tail(0xcc, &[value as u8]),
            0x100..=0xffff => self.tail(0xcd, &(value as u16).to_be_bytes()),
            0x1_0000..=0xffff_ffff => self.tail(0xce, &(value as u32).to_be_bytes()),
            _ => self.tail(0xcf, &value.to_be_bytes()),
        }
        Ok(())
    }

    /// A float, always in 64 bits.
    pub fn float(&mut self, value: f64) -> Result<()> {
        self.tail(0xcb, &value.to_be_bytes());
        Ok(())
    }

    /// A text.
    pub fn text(&mut self, value: &str) -> Result<()> {
        let len = value.len();
        match len {
            0..=31 => self.out.push(0xa0 | len as u8),
            32..=0xff => self.tail(0xd9, &[len as u8]),
            0x100..=0xffff => self.tail(0xda, &(len as u16).to_be_bytes()),
            _ => self.tail(0xdb, &length32(len)?),
        }
        self.out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8]) -> Result<()> {
        self.bytes_head(value.len())?;
        self.out.extend_from_slice(value);
        Ok(())
    }

    pub(super) fn bytes_head(&mut self, len: usize) -> Result<()> {
        match len {
            0..=0xff => self.tail(0xc4, &[len as u8]),
            0x100..=0xffff => self.tail(0xc5, &(len as u16).to_be_bytes()),
            _ => self.tail(0xc6, &length32(len)?),
        }
        Ok(())
    }

    /// A msgpack extension value.
    pub fn extension(&mut self, code: i8, data: &[u8]) -> Result<()> {
        let len = data.len();
        match len {
            1 | 2 | 4 | 8 | 16 => self.out.push(0xd4 + len.ilog2() as u8),
            0..=0xff => self.tail(0xc7, &[len as u8]),
            0x100..=0xffff => self.tail(0xc8, &(len as u16).to_be_bytes()),
            _ => self.tail(0xc9, &length32(len)?),
        }
        self.out.push(code as u8);
        self.out.extend_from_slice(data);
        Ok(())
    }

    /// Begins a list; exactly `len` values follow, then [`Writer::close`].
    pub fn open_list(&mut self, len: usize) -> Result<()> {
        self.deeper()?;
        match len {
            0..=15 => self.out.push(0x90 | len as u8),
            16..=0xffff => self.tail(0xdc, &(len as u16).to_be_bytes()),
            _ => self.tail(0xdd, &length32(len)?),
        }
        Ok(())
    }

    /// Begins a list whose length is not known yet; [`Writer::set_list_len`] says it.
    pub(crate) fn open_uncounted_list(&mut self) -> Result<()> {
        self.deeper()?;
        self.tail(0xdd, &[0; 4]);
        Ok(())
    }

    /// Sets the length of an uncounted list that begins at `at`.
    pub(crate) fn set_list_len(&mut self, at: usize, len: u32) {
        if let Some(place) = self.out.get_mut(at + 1..at + 5) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    /// Changes the length of a map of fewer than 16 entries that begins at `at`.
    pub(crate) fn set_small_map_len(&mut self, at: usize, len: u8) {
        if let Some(place) = self.out.get_mut(at) {
            *place = 0x80 | (len & 0x0f);
        }
    }

    /// Begins a map; exactly `len` pairs of a key and a value follow, then [`Writer::close`].
    pub fn open_map(&mut self, len: usize) -> Result<()> {
        self.deeper()?;
        match len {
            0..=15 => self.out.push(0x80 | len as u8),
            16..=0xffff => self.tail(0xde, &(len as u16).to_be_bytes()),
            _ => self.tail(0xdf, &length32(len)?),
        }
        Ok(())
    }

    /// Ends the innermost list or map.
    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Bytes that are msgpack already, copied as they are.
    pub fn raw(&mut self, encoded: &[u8]) -> Result<()> {
        self.out.extend_from_slice(encoded);
        Ok(())
    }

    /// A key with its value.
    pub fn entry(&mut self, key: &str, value: &dyn Walk) -> Result<()> {
        self.text(key)?;
        value.walk(self).map_err(|error| error.at(&format!(".{key}")))
    }

    /// A function of this side: puts it into the session's object table and writes its `method` form.
    ///
    /// # Errors
    /// `invalid` where no functions can be sent.
    pub fn function(&mut self, handle: Handle, meta: &FunctionMeta<'_>) -> Result<()> {
        let Some(exports) = self.exports.as_mut() else {
            return Err(Error::invalid(
                "a function cannot be sent here: only arguments, results and services carry functions",
            ));
        };
        exports.count += 1;
        let id = exports.count.to_string();
        // The name is only a hint for people reading traffic; a dot in it would break the method path.
        let name: String = meta.name.chars().filter(|c| *c != '.').take(64).collect();
        let object = if name.is_empty() { id } else { format!("{id}#{name}") };
        let stub = Stub {
            target: exports.target.clone(),
            method: format!("{}.{object}", exports.session),
            promise: Promise::Star,
            name: Some(meta.name.to_owned()),
            doc: meta.doc.map(str::to_owned),
            schema: meta.schema.cloned().map(Box::new),
            is_async: meta.is_async,
            server: Some(exports.server.clone()),
            enc_pub: exports.enc_pub,
            ..Stub::default()
        };
        exports.objects.push((object, Export::Function(handle)));
        if meta.checks_arguments {
            exports.checked.push(handle);
        }
        self.stub(&stub)
    }

    /// The place reached so far, to go back to with [`Writer::rewind`].
    pub(crate) fn mark(&self) -> Mark {
        let (objects, interfaces) =
            self.exports.as_ref().map_or((0, 0), |exports| (exports.objects.len(), exports.interfaces.len()));
        Mark { bytes: self.out.len(), depth: self.depth, objects, interfaces }
    }

    /// Forgets what was written since `mark`: the functions and generators among it.
    pub(crate) fn rewind(&mut self, mark: Mark) -> Vec<(String, Export)> {
        self.out.truncate(mark.bytes);
        self.apart.retain(|(at, _)| *at <= mark.bytes);
        self.depth = mark.depth;
        let Some(exports) = self.exports.as_mut() else { return Vec::new() };
        let members = exports.interfaces.drain(mark.interfaces..).flat_map(|given| given.functions);
        let members: Vec<_> = members.map(|(path, handle)| (path, Export::Function(handle))).collect();
        let mut forgotten = exports.objects.split_off(mark.objects);
        forgotten.extend(members);
        forgotten
    }

    /// A function of some peer, in the `method` form.
    pub fn stub(&mut self, stub: &Stub) -> Result<()> {
        let fields = 6 + usize::from(stub.server.is_some()) + usize::from(stub.is_async.is_some());
        self.open_map(fields + usize::from(stub.schema.is_some()) + usize::from(stub.enc_pub.is_some()))?;
        self.text("_rtype")?;
        self.text("method")?;
        if let Some(server) = &stub.server {
            self.text("_rserver")?;
            self.text(server)?;
        }
        self.text("_rtarget")?;
        self.text(&stub.target)?;
        self.text("_rmethod")?;
        self.text(&stub.method)?;
        self.text("_rpromise")?;
        match stub.promise {
            Promise::Star => self.text("*")?,
            Promise::Full => self.bool(true)?,
            Promise::Never => self.bool(false)?,
        }
        self.text("_rname")?;
        self.optional_text(stub.name.as_deref())?;
        if let Some(key) = &stub.enc_pub {
            self.text("_renc_pub")?;
            self.bytes(key.as_bytes())?;
        }
        if let Some(is_async) = stub.is_async {
            self.text("_rasync")?;
            self.bool(is_async)?;
        }
        self.text("_rdoc")?;
        self.optional_text(stub.doc.as_deref())?;
        if let Some(schema) = &stub.schema {
            self.text("_rschema")?;
            schema.walk(self)?;
        }
        self.close();
        Ok(())
    }

    /// A text, or nil.
    pub fn optional_text(&mut self, value: Option<&str>) -> Result<()> {
        match value {
            Some(text) => self.text(text),
            None => self.nil(),
        }
    }

    /// An error in the form that old peers read, with our code, class and cause beside it.
    pub fn error(&mut self, error: &Error) -> Result<()> {
        self.error_with_causes(error, MAX_CAUSES)
    }

    fn error_with_causes(&mut self, error: &Error, causes: usize) -> Result<()> {
        // A long chain is cut, not refused: an error must always reach whoever waits for it.
        let cause = error.cause().filter(|_| causes > 0);
        self.open_map(4 + usize::from(error.class().is_some()) + usize::from(cause.is_some()))?;
        self.text("_rtype")?;
        self.text("error")?;
        self.text("_rvalue")?;
        self.text(error.message())?;
        self.text("_rtrace")?;
        self.text(error.trace().unwrap_or_default())?;
        self.text("_rcode")?;
        self.text(error.kind().code())?;
        if let Some(class) = error.class() {
            self.text("_rclass")?;
            self.text(class)?;
        }
        if let Some(cause) = cause {
            self.text("_rcause")?;
            self.error_with_causes(cause, causes - 1)?;
        }
        self.close();
        Ok(())
    }

    /// A value with an `_rtype` form.
    pub fn tagged<T: Walk>(&mut self, value: &Tagged<T>) -> Result<()> {
        match value {
            Tagged::Error(error) => self.error(error),
            Tagged::Memory(data) => self.memory(data),
            Tagged::Array { data, shape, dtype } => self.array(data, shape.as_deref(), dtype.as_deref()),
            Tagged::Set(items) => {
                self.open_set(items.len())?;
                items.iter().try_for_each(|item| item.walk(self))?;
                self.close_set();
                Ok(())
            }
            Tagged::Pairs(pairs) => {
                self.open_pairs(pairs.len())?;
                for (key, value) in pairs {
                    self.open_list(2)?;
                    key.walk(self)?;
                    value.walk(self)?;
                    self.close();
                }
                self.close_set();
                Ok(())
            }
        }
    }

    /// Begins a set of `len` members; ends with [`Writer::close_set`].
    pub fn open_set(&mut self, len: usize) -> Result<()> {
        self.open_tag("set", 2)?;
        self.text("_rvalue")?;
        self.open_list(len)
    }

    /// Begins an ordered map of `len` lists of a key and a value; ends with [`Writer::close_set`].
    pub fn open_pairs(&mut self, len: usize) -> Result<()> {
        self.open_tag("orderedmap", 2)?;
        self.text("_rvalue")?;
        self.open_list(len)
    }

    /// Ends a set, or an ordered map.
    pub fn close_set(&mut self) {
        self.close();
        self.close();
    }

    /// Raw memory.
    pub fn memory(&mut self, data: &[u8]) -> Result<()> {
        self.open_tag("memoryview", 2)?;
        self.text("_rvalue")?;
        self.copied(data)?;
        self.close();
        Ok(())
    }

    /// An array by its raw parts: an `ndarray` with a shape, a `typedarray` without.
    pub fn array(&mut self, data: &[u8], shape: Option<&[u64]>, dtype: Option<&str>) -> Result<()> {
        let (tag, fields) = if shape.is_some() { ("ndarray", 4) } else { ("typedarray", 3) };
        self.open_tag(tag, fields)?;
        self.text("_rvalue")?;
        self.copied(data)?;
        if let Some(shape) = shape {
            self.text("_rshape")?;
            self.open_list(shape.len())?;
            shape.iter().try_for_each(|len| self.uint(*len))?;
            self.close();
        }
        self.text("_rdtype")?;
        self.optional_text(dtype)?;
        self.close();
        Ok(())
    }

    pub(super) fn open_tag(&mut self, tag: &str, fields: usize) -> Result<()> {
        self.open_map(fields)?;
        self.text("_rtype")?;
        self.text(tag)
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(Error::too_large(format!(
                "nested deeper than {} levels (is there a cycle?)",
                self.limits.depth
            )));
        }
        Ok(())
    }

    fn tail(&mut self, marker: u8, bytes: &[u8]) {
        self.out.push(marker);
        self.out.extend_from_slice(bytes);
    }
}

fn length32(len: usize) -> Result<[u8; 4]> {
    u32::try_from(len).map(u32::to_be_bytes).map_err(|_| {
        Error::too_large(format!("{len} bytes or items do not fit into one value, split it below 4 GiB"))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::codec::Reader;
    use crate::{ErrorKind, Value};

    fn round_trip(error: &Error) -> Option<Error> {
        let mut out = Writer::new();
        out.error(error).ok()?;
        match Reader::new(&Bytes::from(out.into_bytes())).value().ok()? {
            Value::Tagged(tagged) => match *tagged {
                Tagged::Error(error) => Some(error),
                _ => None,
            },
            _ => None,
        }
    }

    #[test]
    fn an_error_comes_with_its_causes() {
        let deepest =
            Error::new(ErrorKind::Timeout, "no answer").with_class("TimeoutError").with_trace("at a");
        let error =
            Error::remote("it failed").with_cause(Error::invalid("bad input").with_cause(deepest.clone()));
        assert_eq!(round_trip(&error), Some(error));
        assert_eq!(round_trip(&deepest), Some(deepest));
    }

    #[test]
    fn a_long_chain_of_causes_is_cut() {
        let chain = (0..100).fold(Error::remote("first"), |cause, _| Error::remote("next").with_cause(cause));
        let sent = round_trip(&chain);
        let depth = std::iter::successors(sent.as_ref(), |error| error.cause()).count();
        assert_eq!(depth, MAX_CAUSES + 1);
    }
}
