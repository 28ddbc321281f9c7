//! What a session tells the language.

use std::time::Duration;

use bytes::Bytes;

use crate::codec::{Build, Handle, Origin, Reader};
use crate::functions::Signature;
use crate::{Error, Result, Value};

/// Time since some fixed moment, by a clock that never goes back.
pub type Time = Duration;

/// The caller's own number for a call.
pub type CallId = u64;

/// The session's number for a function that runs on behalf of a peer.
pub type RunId = u64;

/// The language's own number for a generator of a peer that it reads.
pub type StreamId = u64;

/// How the items of a generator go on.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEnd {
    /// There may be more.
    More,
    /// There are no more.
    Done,
    /// The generator failed: there are no more.
    Failed(Error),
}

impl StreamEnd {
    /// The end, if it is one.
    pub(crate) fn into_end(self) -> Option<Result<()>> {
        match self {
            Self::More => None,
            Self::Done => Some(Ok(())),
            Self::Failed(error) => Some(Err(error)),
        }
    }
}

/// Encoded arguments (or a result: a list of one), to be decoded on the language's own thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// An encoded list.
    pub args: Bytes,
    /// Whether the last item holds the keywords.
    pub with_kwargs: bool,
    /// Who sent it.
    pub origin: Origin,
}

impl Payload {
    /// A reader at the head of the list.
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.args).from_peer(&self.origin)
    }

    /// Whether this is the answer of a generator that has ended (protocol section 10.5).
    pub(super) fn is_stop_iteration(&self) -> bool {
        let mut reader = self.reader();
        reader.list() == Ok(1) && reader.is_stop_iteration()
    }

    /// Builds the first item; nil when there is none.
    ///
    /// # Errors
    /// Those of [`Reader::build`].
    pub fn first<B: Build>(&self, builder: &mut B) -> Result<B::Object> {
        let mut reader = self.reader();
        if reader.list()? == 0 { builder.nil() } else { reader.build(builder) }
    }

    /// The first item as a [`Value`].
    ///
    /// # Errors
    /// Those of [`Reader::build`].
    pub fn value(&self) -> Result<Value> {
        self.first(&mut crate::ValueBuilder)
    }

    /// All items, and the keywords if there are any.
    ///
    /// # Errors
    /// Those of [`Reader::build`].
    pub fn values(&self) -> Result<(Vec<Value>, crate::Map)> {
        let Value::List(mut items) = self.reader().value()? else {
            return Err(Error::invalid("arguments must be a list"));
        };
        if !self.with_kwargs {
            return Ok((items, crate::Map::new()));
        }
        match items.pop() {
            Some(Value::Map(keywords)) => Ok((items, keywords)),
            _ => Err(Error::invalid("keywords must be a map")),
        }
    }
}

/// A function that a peer wants to have run.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// Names the run in the reply; `None` when no reply is wanted.
    pub run: Option<RunId>,
    /// The language's function.
    pub handler: Handle,
    /// The arguments.
    pub payload: Payload,
    /// The context as an encoded map, where the service asked for it.
    pub context: Option<Bytes>,
    /// Where the first argument is the event of an HTTP request and the function belongs to a service of type
    /// `functions`: how the function wants to have it.
    pub event: Option<Signature>,
    /// Until when the caller waits, if it said so. The run is ended then.
    pub deadline: Option<Time>,
    /// The trace that the call belongs to, a W3C `traceparent`.
    pub trace: Option<String>,
}

/// How the connection stands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Joined a workspace, everything is registered. `failed` names services that were refused, with the reason.
    Ready {
        /// Services that the server refused.
        failed: Vec<(String, Error)>,
        /// Whether this is the first time.
        first: bool,
    },
    /// The connection broke; it is being made again.
    Disconnected {
        /// Why, as far as is known.
        reason: String,
    },
    /// The connection is over for good.
    Closed {
        /// Why.
        error: Error,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A call has its result.
    Resolved {
        /// The call.
        call: CallId,
        /// The result: a list of one.
        value: Payload,
    },
    /// A call has failed.
    Rejected {
        /// The call.
        call: CallId,
        /// Why.
        error: Error,
    },
    /// A function is to be run.
    Invoke(Invocation),
    /// Nobody waits for a run any longer: it is to be broken off. It still has to be ended, by a reply or an error,
    /// which is not sent.
    Cancelled {
        /// The run.
        run: RunId,
    },
    /// A function or a generator is not needed any longer: the language lets go of it, and closes the generator at
    /// once. Told once for each handle that was written into a message which was sent, also after a generator has
    /// ended.
    Released(Handle),
    /// A peer wants items of a generator: the language produces up to so many more, between
    /// [`super::Session::begin_items`] and [`super::Session::finish_items`].
    Pull {
        /// The generator.
        source: Handle,
        /// How many items may be produced now, at least one.
        credit: u32,
    },
    /// Items of a generator that the language reads have come, or its end, or both.
    Items {
        /// The language's number for it.
        stream: StreamId,
        /// The items: a list of `count`, to be decoded one by one as they are used.
        items: Payload,
        /// How many items there are; may be 0 at the end.
        count: u32,
        /// How it ended, behind the items. Nothing is told of the stream after this.
        end: Option<Result<()>>,
    },
    /// A message of another type than `method`.
    Signal {
        /// Its type.
        kind: String,
        /// The whole message as one encoded map.
        message: Bytes,
        /// Who sent it; empty for the server itself.
        origin: Origin,
    },
    /// The connection changed.
    State(State),
}
