//! Bytes to values and back, in one pass.
//!
//! The wire carries msgpack. A language implements [`Walk`] to put its objects on the wire and [`Build`] to
//! make objects from it; [`Writer`] and [`Reader`] do the rest: widths, `_rtype` forms, limits. There is no
//! tree of values in between.

mod build;
mod generator;
mod interface;
mod legacy;
mod limits;
mod origin;
mod package;
mod reader;
mod tag;
mod timestamp;
mod walk;
mod writer;

pub use build::{Build, Tagged};
pub use interface::Interface;
pub(crate) use interface::{DISPOSE, is_id as is_interface};
pub use limits::Limits;
pub use origin::Origin;
pub use package::SHARED_MIN;
pub(crate) use package::{Package, Segments};
pub use reader::{FORMS, Reader, Token};
pub use tag::{FunctionMeta, Promise, StreamStub, Stub};
pub use timestamp::timestamp;
pub use walk::Walk;
pub use writer::{Export, Exports, Handle, MAX_CAUSES, Writer};
