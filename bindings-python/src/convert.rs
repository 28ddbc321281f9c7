//! Python objects to the wire and back, in one pass each way.

mod arrays;
mod decode;
mod encode;
mod forms;
mod keys;
mod memory;
mod moments;

pub(crate) use decode::{Inbound, build_value};
pub(crate) use encode::{Outbound, value_of};
pub(crate) use keys::Keys;
