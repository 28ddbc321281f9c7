//! The polyfn core: wire format, sessions, and the function model, without sockets, clocks or threads.
//!
//! ```
//! use polyfn_core::{Map, Value};
//! let greeting = Value::from(Map::from_iter([("hello", "world")]));
//! let bytes = greeting.to_msgpack()?;
//! assert_eq!(bytes, [0x81, 0xa5, b'h', b'e', b'l', b'l', b'o', 0xa5, b'w', b'o', b'r', b'l', b'd']);
//! # Ok::<(), polyfn_core::Error>(())
//! ```

pub mod apps;
pub mod codec;
mod error;
mod extensions;
pub mod functions;
pub mod memory;
#[cfg(feature = "net")]
pub mod net;
pub mod schema;
pub mod session;
mod value;
pub mod wire;

pub use error::{Error, ErrorKind, Result};
pub use value::{Function, Map, Value, ValueBuilder};
