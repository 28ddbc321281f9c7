//! The dynamic type of Rust users and of the server. Bindings never use it on the path of a message.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{Build, Handle, StreamStub, Stub, Tagged, Walk, Writer, timestamp};
use crate::{Error, Result};

/// Anything that the wire can carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `None`, `null`, `undefined`.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer above `i64::MAX`.
    Uint(u64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// A list.
    List(Vec<Self>),
    /// A map with text keys, in order.
    Map(Map),
    /// A map with other keys, in order.
    Pairs(Vec<(Self, Self)>),
    /// A msgpack extension value.
    Extension(i8, Bytes),
    /// A function of a peer.
    Method(Arc<Stub>),
    /// A function of this side.
    Function(Function),
    /// A generator of a peer.
    Stream(Arc<StreamStub>),
    /// A generator of this side, by the number that its owner gave it.
    Generator(Handle),
    /// A value with an `_rtype` form.
    Tagged(Box<Tagged<Self>>),
}

/// A function of this side, by the number that its owner gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Function {
    /// The owner's number.
    pub handle: Handle,
    /// The name.
    pub name: String,
    /// The documentation.
    pub doc: Option<String>,
    /// The JSON schema.
    pub schema: Option<Box<Value>>,
    /// Whether its arguments are checked against the schema before it runs.
    pub checks_arguments: bool,
}

/// A map with text keys that keeps their order.
#[derive(Clone, Default, PartialEq)]
pub struct Map(Vec<(String, Value)>);

impl Map {
    /// An empty map.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The map of entries whose keys are known to differ: looking for repeats would cost a square.
    pub(crate) const fn from_distinct(entries: Vec<(String, Value)>) -> Self {
        Self(entries)
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of `key`.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// Sets `key`, in its old place when it was there.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// Whether `key` is there.
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (String, Value)> {
        self.0.iter()
    }

    /// The entries in order, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, (String, Value)> {
        self.0.iter_mut()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(key, value)| (key, value))).finish()
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The truth value, if it is one.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, also of a float without fraction: JavaScript does not tell them apart.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(*value as i64),
            _ => None,
        }
    }

    /// The number as a float.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The map, if it is one with text keys.
    pub const fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The list, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// Whether it is nil.
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The value encoded by itself.
    ///
    /// # Errors
    /// Those of [`Writer`]; a function has no form by itself.
    pub fn to_msgpack(&self) -> Result<Vec<u8>> {
        let mut out = Writer::new();
        self.walk(&mut out)?;
        Ok(out.into_bytes())
    }

    /// The value as JSON.
    ///
    /// # Errors
    /// `invalid`, with its place, for what JSON cannot hold: bytes, functions, NaN.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        use serde_json::Value as Json;
        Ok(match self {
            Self::Nil => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Uint(value) => Json::from(*value),
            Self::Float(value) => serde_json::Number::from_f64(*value)
                .map(Json::Number)
                .ok_or_else(|| Error::invalid(format!("{value} has no form in JSON")))?,
            Self::Text(text) => Json::String(text.clone()),
            Self::List(items) => Json::Array(json_list(items)?),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| {
                        Ok((key.clone(), value.to_json().map_err(|e| e.at(&format!(".{key}")))?))
                    })
                    .collect::<Result<_>>()?,
            ),
            Self::Pairs(pairs) => Json::Object(
                pairs
                    .iter()
                    .map(|(key, value)| Ok((key.to_json_key()?, value.to_json()?)))
                    .collect::<Result<_>>()?,
            ),
            Self::Tagged(tagged) => match &**tagged {
                Tagged::Set(items) => Json::Array(json_list(items)?),
                Tagged::Error(error) => Json::String(error.to_string()),
                other => return Err(Error::invalid(format!("{} has no form in JSON", other.describe()))),
            },
            Self::Bytes(_) => return Err(Error::invalid("bytes have no form in JSON, ask for msgpack")),
            Self::Method(_) | Self::Function(_) => {
                return Err(Error::invalid("a function has no form in JSON: give what it returns"));
            }
            Self::Stream(_) | Self::Generator(_) => {
                let remedy = "give it alone or as the `body` to have it streamed, or a list of its items";
                return Err(Error::invalid(format!("a generator has no form in JSON: {remedy}")));
            }
            Self::Extension(code, data) => match timestamp(*code, data) {
                Some(text) => Json::String(text),
                None => return Err(Error::invalid("an extension value has no form in JSON")),
            },
        })
    }
}

impl Value {
    /// The value as a key of an object in JSON.
    fn to_json_key(&self) -> Result<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Int(number) => Ok(number.to_string()),
            Self::Uint(number) => Ok(number.to_string()),
            Self::Bool(value) => Ok(value.to_string()),
            other => Err(Error::invalid(format!("a key of an object in JSON is a text, found {other:?}"))),
        }
    }
}

impl Tagged<Value> {
    pub(crate) const fn describe(&self) -> &'static str {
        match self {
            Self::Set(_) => "a set",
            Self::Pairs(_) => "an ordered map",
            Self::Memory(_) => "raw memory",
            Self::Array { .. } => "an array",
            Self::Error(_) => "an error",
        }
    }
}

fn json_list(items: &[Value]) -> Result<Vec<serde_json::Value>> {
    items.iter().enumerate().map(|(at, item)| item.to_json().map_err(|e| e.at(&format!("[{at}]")))).collect()
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Uint(value),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            // The keys are distinct already: looking for repeats would cost a square.
            Json::Object(map) => {
                Self::Map(Map(map.into_iter().map(|(key, value)| (key, Self::from(value))).collect()))
            }
        }
    }
}

macro_rules! from_scalar {
    ($($type:ty => $make:expr),* $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                let make: fn($type) -> Self = $make;
                make(value)
            }
        })*
    };
}

from_scalar! {
    () => |()| Self::Nil,
    bool => Self::Bool,
    i64 => Self::Int,
    i32 => |value| Self::Int(value.into()),
    u32 => |value| Self::Int(value.into()),
    u64 => |value| i64::try_from(value).map_or(Self::Uint(value), Self::Int),
    f64 => Self::Float,
    String => Self::Text,
    &str => |value| Self::Text(value.to_owned()),
    Bytes => Self::Bytes,
    Vec<Self> => Self::List,
    Map => Self::Map,
    Function => Self::Function,
    Stub => |stub| Self::Method(Arc::new(stub)),
    StreamStub => |stub| Self::Stream(Arc::new(stub)),
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

impl Walk for Value {
    fn walk(&self, out: &mut Writer) -> Result<()> {
        match self {
            Self::Nil => out.nil(),
            Self::Bool(value) => out.bool(*value),
            Self::Int(value) => out.int(*value),
            Self::Uint(value) => out.uint(*value),
            Self::Float(value) => out.float(*value),
            Self::Text(text) => out.text(text),
            Self::Bytes(data) => out.bytes(data),
            Self::Extension(code, data) => out.extension(*code, data),
            Self::Method(stub) => out.stub(stub),
            Self::Stream(stub) => out.stream_stub(stub),
            Self::Generator(handle) => out.generator(*handle),
            Self::Tagged(value) => out.tagged(&**value),
            Self::Function(function) => out.function(
                function.handle,
                &crate::codec::FunctionMeta {
                    name: &function.name,
                    doc: function.doc.as_deref(),
                    schema: function.schema.as_deref(),
                    is_async: None,
                    checks_arguments: function.checks_arguments,
                },
            ),
            Self::List(items) => {
                out.open_list(items.len())?;
                for (at, item) in items.iter().enumerate() {
                    item.walk(out).map_err(|error| error.at(&format!("[{at}]")))?;
                }
                out.close();
                Ok(())
            }
            Self::Map(map) => {
                let start = out.len();
                out.open_map(map.len())?;
                map.iter().try_for_each(|(key, value)| out.entry(key, value))?;
                out.close();
                if map.get("_rintf") == Some(&Self::Bool(true)) {
                    out.interface(start, None)?;
                }
                Ok(())
            }
            Self::Pairs(pairs) => {
                out.open_map(pairs.len())?;
                pairs.iter().try_for_each(|(key, value)| key.walk(out).and_then(|()| value.walk(out)))?;
                out.close();
                Ok(())
            }
        }
    }
}

/// Builds [`Value`]s.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValueBuilder;

impl Build for ValueBuilder {
    type Object = Value;
    type List = Vec<Value>;
    type Map = Value;

    fn nil(&mut self) -> Result<Value> {
        Ok(Value::Nil)
    }
    fn bool(&mut self, value: bool) -> Result<Value> {
        Ok(Value::Bool(value))
    }
    fn int(&mut self, value: i64) -> Result<Value> {
        Ok(Value::Int(value))
    }
    fn uint(&mut self, value: u64) -> Result<Value> {
        Ok(Value::Uint(value))
    }
    fn float(&mut self, value: f64) -> Result<Value> {
        Ok(Value::Float(value))
    }
    fn text(&mut self, value: &str) -> Result<Value> {
        Ok(Value::Text(value.to_owned()))
    }
    fn bytes(&mut self, value: Bytes) -> Result<Value> {
        Ok(Value::Bytes(value))
    }
    fn extension(&mut self, code: i8, data: Bytes) -> Result<Value> {
        Ok(Value::Extension(code, data))
    }
    fn list(&mut self, len: usize) -> Result<Vec<Value>> {
        // A head can promise one item a byte; a value takes more, so grow as the items come.
        Ok(Vec::with_capacity(len.min(64)))
    }
    fn push(&mut self, list: &mut Vec<Value>, item: Value) -> Result<()> {
        list.push(item);
        Ok(())
    }
    fn end_list(&mut self, list: Vec<Value>) -> Result<Value> {
        Ok(Value::List(list))
    }
    fn map(&mut self, len: usize) -> Result<Value> {
        Ok(Value::Map(Map(Vec::with_capacity(len.min(64)))))
    }
    fn insert(&mut self, map: &mut Value, key: &str, value: Value) -> Result<()> {
        match map {
            // Looking for a repeated key would cost a square; the first one wins in `Map::get`.
            Value::Map(map) => map.0.push((key.to_owned(), value)),
            Value::Pairs(pairs) => pairs.push((Value::Text(key.to_owned()), value)),
            _ => return Err(Error::invalid("an entry was added to what is not a map")),
        }
        Ok(())
    }
    fn insert_other(&mut self, map: &mut Value, key: Value, value: Value) -> Result<()> {
        if let Value::Map(empty) = map
            && empty.is_empty()
        {
            *map = Value::Pairs(Vec::new());
        }
        match map {
            Value::Pairs(pairs) => pairs.push((key, value)),
            _ => return Err(Error::invalid("an entry was added to what is not a map")),
        }
        Ok(())
    }
    fn end_map(&mut self, map: Value) -> Result<Value> {
        Ok(map)
    }
    fn method(&mut self, stub: Stub) -> Result<Value> {
        Ok(Value::Method(Arc::new(stub)))
    }
    fn generator(&mut self, stub: StreamStub) -> Result<Value> {
        Ok(Value::Stream(Arc::new(stub)))
    }
    fn tagged(&mut self, value: Tagged<Value>) -> Result<Value> {
        Ok(Value::Tagged(Box::new(value)))
    }
}
