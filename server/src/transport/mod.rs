//! An accepted connection becomes a peer of the hub.

mod session;
pub mod websocket;
