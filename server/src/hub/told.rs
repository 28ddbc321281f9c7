//! What is told of a service.

use std::sync::OnceLock;

use bytes::Bytes;
use polyfn_core::codec::Reader;
use polyfn_core::{Map, Result, Value};

/// What is told of a service, in the shape of `list_services`.
///
/// It is kept encoded, in a fifth of the memory that a tree of values takes: of most services nobody ever asks. The tree
/// is made, and kept, for a service that is called over HTTP, where each request looks at its settings and its schema.
#[derive(Clone, Debug, Default)]
pub struct Told {
    packed: Bytes,
    tree: OnceLock<Box<Map>>,
    /// What its owner calls its visibility, which has more words than there are visibilities.
    visibility: String,
}

impl Told {
    /// Encodes `info`.
    ///
    /// # Errors
    /// What cannot be encoded.
    pub fn new(info: Map) -> Result<Self> {
        let config = info.get("config").and_then(Value::as_map);
        let visibility = config.and_then(|config| config.text("visibility")).unwrap_or_default().to_owned();
        let packed = Value::Map(info).to_msgpack()?.into_boxed_slice().into();
        Ok(Self { packed, tree: OnceLock::new(), visibility })
    }

    /// As it is kept.
    #[must_use]
    pub const fn packed(&self) -> &Bytes {
        &self.packed
    }

    /// Decoded, for once.
    #[must_use]
    pub fn read(&self) -> Map {
        match Reader::new(&self.packed).value() {
            Ok(Value::Map(map)) => map,
            // it was encoded here
            _ => Map::new(),
        }
    }

    /// Decoded, for each request over HTTP.
    #[must_use]
    pub fn tree(&self) -> &Map {
        self.tree.get_or_init(|| Box::new(self.read()))
    }

    /// The settings, as [`Told::tree`] has them.
    #[must_use]
    pub fn config(&self) -> Option<&Map> {
        self.tree().get("config").and_then(Value::as_map)
    }

    /// What its owner calls its visibility.
    #[must_use]
    pub fn visibility(&self) -> &str {
        &self.visibility
    }
}
