//! The protocol as a state machine: messages and time in, messages and events out.
//!
//! A [`Session`] is one end of a connection. It has no socket and no clock: whoever drives it feeds frames to
//! [`Session::receive`] and time to [`Session::tick`], sends what [`Session::poll_send`] gives, and hands what
//! [`Session::poll_event`] gives to the language. Arguments and results are encoded by the caller of the
//! session, outside of it, between a `begin_*` and a `finish_*`: no lock on the session is held while the
//! language's objects are walked.

mod absent;
mod access;
mod builtin;
mod callee;
mod calls;
mod cancel;
mod draft;
mod event;
mod incoming;
mod interfaces;
mod join;
mod listening;
mod objects;
mod options;
mod pace;
mod push;
mod references;
mod runs;
mod sealer;
mod sealing;
mod seen;
mod services;
#[expect(clippy::module_inception, reason = "the file defines `Session`; the folder is its layer")]
mod session;
mod sources;
mod spare;
mod streams;
mod subscriptions;
mod transfer;
mod window;

pub use crate::extensions::Extensions;
pub use access::Visibility;
pub use draft::{CallDraft, CallSpec, ItemsDraft, ReplyDraft, ServiceDraft, SpeakAs};
pub use event::{CallId, Event, Invocation, Payload, RunId, State, StreamEnd, StreamId, Time};
pub use options::{ConnectionInfo, Options};
pub use sealer::{Encryption, Entropy};
pub use session::{Outgoing, Session, Statistics};
