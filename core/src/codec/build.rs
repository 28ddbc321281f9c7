//! How a language makes its objects from the wire.

use bytes::Bytes;

use super::tag::{StreamStub, Stub};
use crate::{Error, Result};

/// Values with a form of their own, marked on the wire by `_rtype` (protocol section 10.2).
#[derive(Clone, Debug, PartialEq)]
pub enum Tagged<T> {
    /// `set`.
    Set(Vec<T>),
    /// `orderedmap`: pairs in order.
    Pairs(Vec<(T, T)>),
    /// `memoryview`: raw memory.
    Memory(Bytes),
    /// `ndarray` and `typedarray`: raw parts in C order. `shape` is absent for a typed array.
    Array {
        /// The elements.
        data: Bytes,
        /// Length of each dimension.
        shape: Option<Vec<u64>>,
        /// Element type as numpy prints it, for example `>f4`; `None` where the sender did not know.
        dtype: Option<String>,
    },
    /// `error`: an exception as a value.
    Error(Error),
}

/// Makes a language's objects. [`super::Reader::build`] calls it once for each value, members first.
pub trait Build {
    /// An object of the language.
    type Object;
    /// A list that is being filled.
    type List;
    /// A map that is being filled.
    type Map;

    /// nil.
    fn nil(&mut self) -> Result<Self::Object>;
    /// A truth value.
    fn bool(&mut self, value: bool) -> Result<Self::Object>;
    /// An integer that fits into 64 bits with sign.
    fn int(&mut self, value: i64) -> Result<Self::Object>;
    /// An integer above `i64::MAX`.
    fn uint(&mut self, value: u64) -> Result<Self::Object>;
    /// A float.
    fn float(&mut self, value: f64) -> Result<Self::Object>;
    /// A text.
    fn text(&mut self, value: &str) -> Result<Self::Object>;
    /// Bytes, a view into the received frame.
    fn bytes(&mut self, value: Bytes) -> Result<Self::Object>;
    /// A msgpack extension value other than those known; `-1` is a timestamp.
    fn extension(&mut self, code: i8, data: Bytes) -> Result<Self::Object>;

    /// Begins a list of `len` items; `len` has been checked against the bytes that are there.
    fn list(&mut self, len: usize) -> Result<Self::List>;
    /// Adds an item.
    fn push(&mut self, list: &mut Self::List, item: Self::Object) -> Result<()>;
    /// Ends a list.
    fn end_list(&mut self, list: Self::List) -> Result<Self::Object>;

    /// Begins a map of `len` entries.
    fn map(&mut self, len: usize) -> Result<Self::Map>;
    /// Adds an entry with a text key.
    fn insert(&mut self, map: &mut Self::Map, key: &str, value: Self::Object) -> Result<()>;
    /// Adds an entry with any other key.
    fn insert_other(&mut self, map: &mut Self::Map, key: Self::Object, value: Self::Object) -> Result<()>;
    /// Ends a map.
    fn end_map(&mut self, map: Self::Map) -> Result<Self::Object>;

    /// A function of a peer, to be called through the session.
    fn method(&mut self, stub: Stub) -> Result<Self::Object>;
    /// A generator of a peer: an iterator of the language, which opens the stream through the session when it is
    /// first asked for an item, see [`crate::session::Session::open_stream`].
    fn generator(&mut self, stub: StreamStub) -> Result<Self::Object>;
    /// A value with an `_rtype` form.
    fn tagged(&mut self, value: Tagged<Self::Object>) -> Result<Self::Object>;
}
