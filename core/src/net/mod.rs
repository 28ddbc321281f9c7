//! Feature `net`: drives a [`crate::session::Session`] over a transport, with tokio.
//!
//! [`Connection`] is what bindings hold; [`Client`] is the same for Rust users, with futures.

mod backoff;
mod client;
mod clock;
mod connection;
mod driver;
mod fallback;
pub mod frame;
mod headers;
mod http_client;
mod http_stream;
mod memory;
mod options;
mod remote;
mod service;
mod socket;
mod stream;
mod tls;
mod transport;
mod websocket;

pub use backoff::Backoff;
pub use client::Client;
pub use clock::now;
pub use connection::{Connection, Sink};
pub use memory::memory_pair;
pub use options::{ClientOptions, TransportMode};
pub use remote::{CallOptions, RemoteFunction, RemoteService};
pub use service::{Call, Service};
pub use stream::Items;
pub use tls::Tls;
pub use transport::{Connect, Direct, Message, Transport};
