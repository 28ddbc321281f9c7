//! An accepted connection becomes a peer of the hub.

mod admission;
mod frames;
mod session;
pub mod websocket;
