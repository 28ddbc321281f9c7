//! msgpack in: a pull reader over `Bytes` that never trusts a declared size.

use bytes::Bytes;

use super::Limits;
use super::build::{Build, Tagged};
use super::origin::Origin;
use super::tag::{Promise, Stub};
use crate::wire::PublicKey;
use crate::{Error, ErrorKind, Result, Value};

/// One step of the reader: a scalar, or the head of something with content.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// nil.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer with sign.
    Int(i64),
    /// An integer above `i64::MAX`.
    Uint(u64),
    /// A float.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list of so many items.
    List(usize),
    /// A map of so many pairs.
    Map(usize),
    /// An extension value.
    Extension(i8, &'a [u8]),
}

/// Reads values from a frame.
///
/// ```
/// use bytes::Bytes;
/// use polyfn_core::{Value, codec::Reader};
/// let frame = Bytes::from_static(&[0x92, 0x01, 0xa1, b'a']);
/// assert_eq!(Reader::new(&frame).value()?, Value::from(vec![Value::from(1), Value::from("a")]));
/// # Ok::<(), polyfn_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    frame: &'a Bytes,
    at: usize,
    items: usize,
    depth: usize,
    limits: Limits,
    pub(super) origin: Option<&'a Origin>,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `frame`.
    pub fn new(frame: &'a Bytes) -> Self {
        let limits = Limits::DEFAULT;
        Self { frame, at: 0, items: limits.items, depth: limits.depth, limits, origin: None }
    }

    /// The same with other limits.
    #[must_use]
    pub fn limited(mut self, limits: Limits) -> Self {
        (self.items, self.depth, self.limits) = (limits.items, limits.depth, limits);
        self
    }

    /// Makes relative addresses in values absolute, as seen from `origin`.
    #[must_use]
    pub fn from_peer(mut self, origin: &'a Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// How many bytes were read.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Goes on at `position`.
    #[must_use]
    pub const fn starting_at(mut self, position: usize) -> Self {
        self.at = position;
        self
    }

    /// Goes back, or on, to `position`. What was read before still counts against the limits.
    pub(crate) const fn go_to(&mut self, position: usize) {
        self.at = position;
    }

    /// The next scalar or head, which the reader then still has before it; `None` where it cannot be read.
    pub fn peek(&self) -> Option<Token<'a>> {
        self.ahead().token().ok()
    }

    /// A reader at the same place, to look ahead with.
    pub(super) const fn ahead(&self) -> Self {
        Self { ..*self }
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.at >= self.frame.len()
    }

    /// The next scalar or head.
    ///
    /// # Errors
    /// `invalid` for truncated or malformed input, `too_large` past a limit.
    pub fn token(&mut self) -> Result<Token<'a>> {
        self.items = self.items.checked_sub(1).ok_or_else(|| self.too_many())?;
        let marker = self.take(1)?[0];
        Ok(match marker {
            0x00..=0x7f => Token::Int(i64::from(marker)),
            0x80..=0x8f => self.map_head(usize::from(marker & 0x0f))?,
            0x90..=0x9f => self.list_head(usize::from(marker & 0x0f))?,
            0xa0..=0xbf => self.text_of(usize::from(marker & 0x1f))?,
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4..=0xc6 => {
                let len = self.size(marker - 0xc4)?;
                Token::Bytes(self.take(len)?)
            }
            0xc7..=0xc9 => {
                let len = self.size(marker - 0xc7)?;
                self.extension_of(len)?
            }
            0xca => Token::Float(f64::from(f32::from_be_bytes(self.fixed()?))),
            0xcb => Token::Float(f64::from_be_bytes(self.fixed()?)),
            0xcc => Token::Int(i64::from(u8::from_be_bytes(self.fixed()?))),
            0xcd => Token::Int(i64::from(u16::from_be_bytes(self.fixed()?))),
            0xce => Token::Int(i64::from(u32::from_be_bytes(self.fixed()?))),
            0xcf => {
                let value = u64::from_be_bytes(self.fixed()?);
                i64::try_from(value).map_or(Token::Uint(value), Token::Int)
            }
            0xd0 => Token::Int(i64::from(i8::from_be_bytes(self.fixed()?))),
            0xd1 => Token::Int(i64::from(i16::from_be_bytes(self.fixed()?))),
            0xd2 => Token::Int(i64::from(i32::from_be_bytes(self.fixed()?))),
            0xd3 => Token::Int(i64::from_be_bytes(self.fixed()?)),
            0xd4..=0xd8 => self.extension_of(1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let len = self.size(marker - 0xd9)?;
                self.text_of(len)?
            }
            0xdc | 0xdd => {
                let len = self.size(marker - 0xdb)?;
                self.list_head(len)?
            }
            0xde | 0xdf => {
                let len = self.size(marker - 0xdd)?;
                self.map_head(len)?
            }
            0xe0..=0xff => Token::Int(i64::from(marker as i8)),
            0xc1 => return Err(Error::invalid(format!("byte 0xc1 at {} is not msgpack", self.at - 1))),
        })
    }

    /// Skips one value, checking its form, and gives its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8]> {
        let start = self.at;
        self.skip_at_depth(self.limits.depth - self.depth)?;
        Ok(&self.frame[start..self.at])
    }

    fn skip_at_depth(&mut self, depth: usize) -> Result<()> {
        let members = match self.token()? {
            Token::List(len) => len,
            Token::Map(len) => len * 2,
            _ => return Ok(()),
        };
        if depth >= self.limits.depth {
            return Err(self.too_deep());
        }
        (0..members).try_for_each(|_| self.skip_at_depth(depth + 1))
    }

    /// The next value where a scalar is wanted: a list or a map is read to its end and counts as nil.
    pub fn scalar(&mut self) -> Result<Token<'a>> {
        let start = self.at;
        match self.token()? {
            Token::List(_) | Token::Map(_) => {
                self.at = start;
                self.skip()?;
                Ok(Token::Nil)
            }
            scalar => Ok(scalar),
        }
    }

    /// The next value, which must be a text.
    pub fn text(&mut self) -> Result<&'a str> {
        match self.token()? {
            Token::Text(text) => Ok(text),
            other => Err(Error::invalid(format!("expected a text, found {other:?}"))),
        }
    }

    /// The head of the next value, which must be a map.
    pub fn map(&mut self) -> Result<usize> {
        match self.token()? {
            Token::Map(len) => Ok(len),
            other => Err(Error::invalid(format!("expected a map, found {other:?}"))),
        }
    }

    /// The head of the next value, which must be a list.
    pub fn list(&mut self) -> Result<usize> {
        match self.token()? {
            Token::List(len) => Ok(len),
            other => Err(Error::invalid(format!("expected a list, found {other:?}"))),
        }
    }

    /// The next value as a [`Value`].
    pub fn value(&mut self) -> Result<Value> {
        self.build(&mut crate::value::ValueBuilder)
    }

    /// A part of the frame as reference-counted bytes, without a copy.
    pub fn shared(&self, part: &[u8]) -> Bytes {
        self.frame.slice_ref(part)
    }

    /// Builds the next value with `builder`.
    ///
    /// # Errors
    /// Those of [`Reader::token`], and those of the builder.
    pub fn build<B: Build>(&mut self, builder: &mut B) -> Result<B::Object> {
        match self.token()? {
            Token::Nil => builder.nil(),
            Token::Bool(value) => builder.bool(value),
            Token::Int(value) => builder.int(value),
            Token::Uint(value) => builder.uint(value),
            Token::Float(value) => builder.float(value),
            Token::Text(value) => builder.text(value),
            Token::Bytes(value) => builder.bytes(self.shared(value)),
            Token::Extension(code, data) => builder.extension(code, self.shared(data)),
            Token::List(len) => self.nested(|reader| reader.build_list(builder, len)),
            Token::Map(len) => self.nested(|reader| reader.build_map(builder, len)),
        }
    }

    fn build_list<B: Build>(&mut self, builder: &mut B, len: usize) -> Result<B::Object> {
        let mut list = builder.list(len)?;
        for _ in 0..len {
            let item = self.build(builder)?;
            builder.push(&mut list, item)?;
        }
        builder.end_list(list)
    }

    fn build_map<B: Build>(&mut self, builder: &mut B, len: usize) -> Result<B::Object> {
        let start = self.at;
        let mut map = builder.map(len)?;
        for _ in 0..len {
            match self.token()? {
                Token::Text("_rtype") => {
                    // Writers put `_rtype` first; where it comes later, begin this map again. What was read counts
                    // against the limit of items twice, which bounds the work for nested forms of this kind.
                    if let Some(tag) = self.known_tag(start)? {
                        return self.build_tagged(builder, tag, len);
                    }
                    let value = self.build(builder)?;
                    builder.insert(&mut map, "_rtype", value)?;
                }
                Token::Text(key) => {
                    let value = self.build(builder)?;
                    builder.insert(&mut map, key, value)?;
                }
                _ => {
                    self.at = start;
                    return self.build_other_keys(builder, len);
                }
            }
        }
        builder.end_map(map)
    }

    /// A map with keys that are not all texts: never an `_rtype` form.
    fn build_other_keys<B: Build>(&mut self, builder: &mut B, len: usize) -> Result<B::Object> {
        let mut map = builder.map(len)?;
        for _ in 0..len {
            let key = self.build(builder)?;
            let value = self.build(builder)?;
            builder.insert_other(&mut map, key, value)?;
        }
        builder.end_map(map)
    }

    /// The tag behind `_rtype` if it is one that we know; the reader then stands at the map's first key.
    fn known_tag(&mut self, start: usize) -> Result<Option<Tag>> {
        let here = self.at;
        let tag = match self.token()? {
            Token::Text(name) => Tag::named(name),
            _ => None,
        };
        self.at = if tag.is_some() { start } else { here };
        Ok(tag)
    }

    fn build_tagged<B: Build>(&mut self, builder: &mut B, tag: Tag, len: usize) -> Result<B::Object> {
        match tag {
            Tag::Method => {
                let stub = self.read_stub(len)?;
                builder.method(stub)
            }
            Tag::Generator => {
                let stub = self.read_generator(len)?;
                builder.generator(stub)
            }
            Tag::Error => {
                let error = self.read_error(len)?;
                builder.tagged(Tagged::Error(error))
            }
            Tag::Set => {
                let items = self.rvalue_list(len, |reader| reader.build(builder))?;
                builder.tagged(Tagged::Set(items))
            }
            Tag::Pairs => {
                let pairs = self.rvalue_list(len, |reader| {
                    if reader.list()? != 2 {
                        return Err(Error::invalid("an entry of an ordered map must be a pair"));
                    }
                    reader.nested(|reader| Ok((reader.build(builder)?, reader.build(builder)?)))
                })?;
                builder.tagged(Tagged::Pairs(pairs))
            }
            Tag::Memory | Tag::Array => {
                let value = self.read_array(tag, len)?;
                match value {
                    Tagged::Memory(data) => builder.tagged(Tagged::Memory(data)),
                    Tagged::Array { data, shape, dtype } => {
                        builder.tagged(Tagged::Array { data, shape, dtype })
                    }
                    _ => Err(Error::new(ErrorKind::Internal, "an array was read as something else")),
                }
            }
        }
    }

    fn rvalue_list<T>(&mut self, len: usize, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = None;
        for _ in 0..len {
            if self.text()? == "_rvalue" && items.is_none() {
                let count = self.list()?;
                items =
                    Some(self.nested(|reader| (0..count).map(|_| item(reader)).collect::<Result<Vec<T>>>())?);
            } else {
                self.skip()?;
            }
        }
        items.ok_or_else(|| Error::invalid("a tagged value lacks `_rvalue`"))
    }

    fn read_stub(&mut self, len: usize) -> Result<Stub> {
        let mut stub = Stub::default();
        for _ in 0..len {
            match self.text()? {
                "_rtarget" => stub.target = self.text()?.to_owned(),
                "_rmethod" => stub.method = self.text()?.to_owned(),
                "_rserver" => stub.server = self.optional()?,
                "_renc_pub" => stub.enc_pub = self.public_key()?,
                "_rname" => stub.name = self.optional()?,
                "_rdoc" => stub.doc = self.optional()?,
                "_rpromise" => {
                    stub.promise = match self.scalar()? {
                        Token::Text("*") => Promise::Star,
                        Token::Bool(true) => Promise::Full,
                        _ => Promise::Never,
                    }
                }
                "_rasync" => {
                    stub.is_async = if let Token::Bool(yes) = self.scalar()? { Some(yes) } else { None }
                }
                "_rschema" => {
                    let schema = self.nested(Self::value)?;
                    stub.schema = (schema != Value::Nil).then(|| Box::new(schema));
                }
                _ => {
                    self.skip()?;
                }
            }
        }
        if stub.method.is_empty() {
            return Err(Error::invalid("a remote function lacks `_rmethod`"));
        }
        if let Some(origin) = self.origin {
            stub.target = origin.absolute(&stub.target);
            stub.enc_pub = origin.seal_key.or(stub.enc_pub);
            // A stub that belongs to a third peer must not carry a session which that peer does not have, and one of a
            // service or an interface outlives the session that brought it.
            let is_of_session = stub.target == origin.from && !stub.method.starts_with("services.");
            stub.parent = is_of_session.then(|| origin.session.clone()).flatten();
        }
        Ok(stub)
    }

    fn read_error(&mut self, len: usize) -> Result<Error> {
        let (mut message, mut trace, mut code, mut class) = (String::new(), None, None, None);
        let mut cause = None;
        for _ in 0..len {
            match self.text()? {
                "_rcause" if matches!(self.peek(), Some(Token::Map(_))) => {
                    let len = self.map()?;
                    cause = Some(self.nested(|reader| reader.read_error(len))?);
                }
                "_rvalue" => message = self.optional()?.unwrap_or_default(),
                "_rtrace" => trace = self.optional()?.filter(|trace: &String| !trace.is_empty()),
                "_rcode" => code = self.optional()?,
                "_rclass" => class = self.optional()?,
                _ => {
                    self.skip()?;
                }
            }
        }
        let Some(code) = code else { return Ok(super::legacy::error(message, trace)) };
        let error = Error::new(code.parse().unwrap_or(ErrorKind::Remote), message);
        let error = trace.into_iter().fold(error, Error::with_trace);
        let error = cause.into_iter().fold(error, Error::with_cause);
        Ok(class.into_iter().fold(error, Error::with_class))
    }

    fn read_array(&mut self, tag: Tag, len: usize) -> Result<Tagged<()>> {
        let (mut data, mut shape, mut dtype) = (None, None, None);
        for _ in 0..len {
            match self.text()? {
                "_rvalue" => {
                    data = match self.token()? {
                        Token::Bytes(bytes) => Some(self.shared(bytes)),
                        other => {
                            return Err(Error::invalid(format!("array data must be bytes, found {other:?}")));
                        }
                    }
                }
                "_rshape" => {
                    let count = self.list()?;
                    shape = Some(
                        self.nested(|reader| (0..count).map(|_| reader.length()).collect::<Result<_>>())?,
                    );
                }
                "_rdtype" => dtype = self.optional()?,
                _ => {
                    self.skip()?;
                }
            }
        }
        let data = data.ok_or_else(|| Error::invalid("an array lacks `_rvalue`"))?;
        Ok(if matches!(tag, Tag::Memory) {
            Tagged::Memory(data)
        } else {
            Tagged::Array { data, shape, dtype }
        })
    }

    fn length(&mut self) -> Result<u64> {
        match self.token()? {
            Token::Int(length) if length >= 0 => Ok(length.unsigned_abs()),
            other => Err(Error::invalid(format!("bad array length {other:?}"))),
        }
    }

    pub(super) fn optional(&mut self) -> Result<Option<String>> {
        let text = if let Token::Text(text) = self.scalar()? { Some(text.to_owned()) } else { None };
        Ok(text)
    }

    /// A key; one that is none is as good as none, so that the function can still be called in the clear.
    pub(super) fn public_key(&mut self) -> Result<Option<PublicKey>> {
        Ok(match self.scalar()? {
            Token::Bytes(key) => PublicKey::from_slice(key).ok(),
            _ => None,
        })
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| self.too_deep())?;
        let value = inner(self)?;
        self.depth += 1;
        Ok(value)
    }

    fn too_many(&self) -> Error {
        Error::too_large(format!("a message may hold {} values at most", self.limits.items))
    }

    fn too_deep(&self) -> Error {
        Error::too_large(format!("nested deeper than {} levels", self.limits.depth))
    }

    fn list_head(&self, len: usize) -> Result<Token<'a>> {
        self.room_for(len).map(|()| Token::List(len))
    }

    fn map_head(&self, len: usize) -> Result<Token<'a>> {
        self.room_for(len.saturating_mul(2)).map(|()| Token::Map(len))
    }

    /// Every member takes at least one byte, so a head that promises more than is there is a lie. One that
    /// promises more than a message may hold is refused here, before anyone makes room for it.
    fn room_for(&self, members: usize) -> Result<()> {
        let left = self.frame.len() - self.at;
        if members > left {
            return Err(Error::invalid(format!("{members} members announced where {left} bytes are left")));
        }
        if members > self.items {
            return Err(self.too_many());
        }
        Ok(())
    }

    fn text_of(&mut self, len: usize) -> Result<Token<'a>> {
        let at = self.at;
        std::str::from_utf8(self.take(len)?)
            .map(Token::Text)
            .map_err(|error| Error::invalid(format!("text at {at} is not UTF-8: {error}")))
    }

    fn extension_of(&mut self, len: usize) -> Result<Token<'a>> {
        let code = self.take(1)?[0] as i8;
        self.take(len).map(|data| Token::Extension(code, data))
    }

    /// A size in 1, 2 or 4 bytes, as the low bits of a marker say.
    fn size(&mut self, width: u8) -> Result<usize> {
        Ok(match width {
            0 => usize::from(u8::from_be_bytes(self.fixed()?)),
            1 => usize::from(u16::from_be_bytes(self.fixed()?)),
            _ => u32::from_be_bytes(self.fixed()?) as usize,
        })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let frame: &'a [u8] = self.frame;
        let end = self.at.checked_add(len).filter(|end| *end <= frame.len()).ok_or_else(|| {
            Error::invalid(format!(
                "truncated: {len} bytes wanted at {}, {} are left",
                self.at,
                frame.len() - self.at
            ))
        })?;
        let part = &frame[self.at..end];
        self.at = end;
        Ok(part)
    }
}

/// Names of the forms that every peer knows (protocol section 10): no codec may take one.
pub const FORMS: [&str; 10] = [
    "method",
    "generator",
    "stop_iteration",
    "ndarray",
    "typedarray",
    "memoryview",
    "set",
    "orderedmap",
    "error",
    "iostream",
];

#[derive(Clone, Copy)]
enum Tag {
    Method,
    Generator,
    Error,
    Set,
    Pairs,
    Memory,
    Array,
}

impl Tag {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "method" => Self::Method,
            "generator" => Self::Generator,
            "error" => Self::Error,
            "set" => Self::Set,
            "orderedmap" => Self::Pairs,
            "memoryview" => Self::Memory,
            "ndarray" | "typedarray" => Self::Array,
            _ => return None,
        })
    }
}
