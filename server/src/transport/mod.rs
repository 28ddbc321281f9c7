//! An accepted connection becomes a peer of the hub.

mod frames;
mod session;
pub mod websocket;
