//! An accepted connection becomes a peer of the hub.

mod admission;
mod frames;
pub(crate) mod memory;
pub(crate) mod origins;
pub(crate) mod session;
pub mod stream;
pub mod streams;
mod told;
mod upstream;
pub mod websocket;
