//! The function model: which function answers a request, what it is told, and what its result means.
//!
//! A service of type `functions` is a tree of functions. [`Router`] finds the one for a path, [`HttpRequest`]
//! encodes the event that it gets, [`Context`] says who calls, [`Response`] reads what it gave back, and [`Pieces`]
//! what it gives bit by bit. [`Settings`] are what a service says of itself. [`cloudevent`]
//! finds CloudEvents in requests, and [`signature`] writes the context of the signature specification.

mod attributes;
pub mod cloudevent;
mod context;
mod cors;
mod event;
mod fields;
mod form;
mod http_error;
mod json;
mod media;
mod pieces;
mod response;
mod router;
mod settings;
pub mod signature;

pub use context::Context;
pub use cors::{Cors, Origins};
pub use event::{HttpRequest, is_event};
pub use form::{Content, Field, parse_form};
pub use http_error::{PROBLEM, problem, raised};
pub use pieces::Pieces;
pub use response::Response;
pub(crate) use response::{is_name_byte, octets};
pub use router::{METHODS, Match, Router};
pub use settings::{Settings, Signature};
