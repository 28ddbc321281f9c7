//! Web apps that answer HTTP requests and websockets, in the terms of [ASGI](https://asgi.readthedocs.io).
//!
//! A service of type `asgi` has one function, `serve`. It is called once for each request with the [`Scope`] and two
//! functions: `receive` gives what comes from the browser, `send` takes what goes to it, each as a [`Message`].

mod location;
mod message;
mod scope;

pub use location::location_inside;
pub use message::{
    Headers, Message, from_result, write_disconnect, write_request, write_text, write_websocket,
};
pub use scope::{Kind, Scope};
