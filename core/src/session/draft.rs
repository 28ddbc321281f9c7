//! Messages that are being written: the language walks its objects into them, outside of the session.

use std::time::Duration;

use bytes::Bytes;

use super::Extensions;
use super::event::Time;
use super::sealer::Seal;
use crate::codec::{Export, Handle, Promise, Stub, Writer};
use crate::wire::{PublicKey, PushDraft, end_body};
use crate::{Error, ErrorKind, Result};

/// A call that is to be made.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallSpec<'a> {
    /// The owner of the function, `workspace/client` or a client of the own workspace.
    pub target: &'a str,
    /// The method path at the owner.
    pub method: &'a str,
    /// How the function wants to be called; [`Promise::Never`] sends it off without waiting.
    pub promise: Promise,
    /// The session that brought the function.
    pub parent: Option<&'a str>,
    /// How many values will be written, keywords included.
    pub args: usize,
    /// Whether the last value is a map of keywords.
    pub with_kwargs: bool,
    /// How long to wait without a sign of life, where that differs from the session's timeout.
    pub timeout: Option<Duration>,
    /// How long to wait in all; signs of life do not make it longer. The owner is told, where it knows deadlines.
    pub deadline: Option<Duration>,
    /// The trace that the call belongs to, a W3C `traceparent`; the owner is told, where it knows traces.
    pub trace: Option<&'a str>,
    /// The owner's public key: what is said is sealed to it, where this side encrypts.
    pub seal_to: Option<PublicKey>,
    /// The key, known from elsewhere, of the owner of the functions in the answer: calls of them are sealed to it.
    pub seal_answer: Option<PublicKey>,
    /// For parts of the server, which speak for others.
    pub speak_as: Option<SpeakAs<'a>>,
}

/// Whom a part of the server speaks for.
#[derive(Clone, Copy, Debug)]
pub struct SpeakAs<'a> {
    /// The address to speak from.
    pub from: &'a str,
    /// The workspace to speak from.
    pub workspace: &'a str,
    /// The user, encoded.
    pub user: &'a [u8],
    /// What the receiver can do.
    pub receiver: Extensions,
}

impl<'a> CallSpec<'a> {
    /// A call of the function that `stub` describes.
    pub fn of(stub: &'a Stub, args: usize, with_kwargs: bool) -> Self {
        Self {
            target: &stub.target,
            method: &stub.method,
            promise: stub.promise,
            parent: stub.parent.as_deref(),
            seal_to: stub.enc_pub,
            seal_answer: stub.answer_key,
            args,
            with_kwargs,
            ..Self::default()
        }
    }
}

/// A call whose arguments are being written.
#[derive(Debug)]
pub struct CallDraft {
    /// Takes the arguments: exactly as many as announced.
    pub writer: Writer,
    pub(crate) session: Option<String>,
    pub(crate) target: String,
    pub(crate) method: String,
    pub(crate) promise: Promise,
    pub(crate) with_kwargs: bool,
    pub(crate) timeout: Duration,
    pub(crate) deadline: Option<Duration>,
    pub(crate) trace: Option<String>,
    pub(crate) seal: Option<Box<Seal>>,
    pub(crate) seal_to: Option<PublicKey>,
    pub(crate) seal_answer: Option<PublicKey>,
    pub(crate) completed: Option<Result<()>>,
    pub(crate) speaker: Option<Speaker>,
}

/// Whom a part of the server speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) from: String,
    pub(crate) workspace: String,
    pub(crate) user: Vec<u8>,
    pub(crate) receiver: Extensions,
}

impl From<SpeakAs<'_>> for Speaker {
    fn from(speaker: SpeakAs<'_>) -> Self {
        Self {
            from: speaker.from.to_owned(),
            workspace: speaker.workspace.to_owned(),
            user: speaker.user.to_owned(),
            receiver: speaker.receiver,
        }
    }
}

impl Speaker {
    pub(crate) fn borrowed(&self) -> SpeakAs<'_> {
        SpeakAs { from: &self.from, workspace: &self.workspace, user: &self.user, receiver: self.receiver }
    }
}

/// What is said beside a message: with each of its parts when it travels in parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    pub(crate) speaker: Option<Speaker>,
    pub(crate) deadline: Option<Time>,
    pub(crate) trace: Option<String>,
}

impl CallDraft {
    /// Ends the message, and seals it: work that needs no session. Done once, however often it is called.
    ///
    /// # Errors
    /// `too_large` when the message is over a limit.
    pub fn complete(&mut self) -> Result<()> {
        if let Some(completed) = &self.completed {
            return completed.clone();
        }
        let interval = self.timeout.as_secs_f64() / 2.0;
        let completed = end_body(&mut self.writer, self.with_kwargs, self.promise, interval)
            .and_then(|()| apply(self.seal.as_deref(), &mut self.writer));
        self.completed.insert(completed).clone()
    }

    /// Gives the call up: the functions already written, of which the language lets go.
    pub fn abandon(mut self) -> Vec<Handle> {
        handles(&mut self.writer)
    }
}

/// A result that is being written: exactly one value.
#[derive(Debug)]
pub struct ReplyDraft {
    /// Takes the value.
    pub writer: Writer,
    pub(crate) run: u64,
    pub(crate) session: String,
    pub(crate) to: String,
    pub(crate) seal: Option<Box<Seal>>,
    pub(crate) completed: Option<Result<()>>,
}

impl ReplyDraft {
    /// Ends the message, and seals it: work that needs no session. Done once, however often it is called.
    ///
    /// # Errors
    /// `too_large` when the message is over a limit.
    pub fn complete(&mut self) -> Result<()> {
        if let Some(completed) = &self.completed {
            return completed.clone();
        }
        let completed = end_body(&mut self.writer, false, Promise::Never, 0.0)
            .and_then(|()| apply(self.seal.as_deref(), &mut self.writer));
        self.completed.insert(completed).clone()
    }

    /// Gives the result up (an error will be sent instead): the functions already written.
    pub fn abandon(mut self) -> Vec<Handle> {
        handles(&mut self.writer)
    }
}

/// Items of a generator that are being written, see [`super::Session::begin_items`].
#[derive(Debug)]
pub struct ItemsDraft {
    pub(crate) source: Handle,
    pub(crate) carrier: Carrier,
    pub(crate) count: u32,
    pub(crate) room: u32,
    /// What belonged to items that could not be written to their end.
    pub(crate) dropped: Vec<(String, Export)>,
}

/// What items travel in.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// One item, as the answer to a call.
    Reply(ReplyDraft),
    /// Many, ahead of their use.
    Push(PushCarrier),
}

#[derive(Debug)]
pub(crate) struct PushCarrier {
    pub(crate) draft: PushDraft,
    /// Where functions in the items belong.
    pub(crate) session: String,
    /// With so many bytes or more the frame is full.
    pub(crate) most: usize,
    pub(crate) seal: Option<Box<Seal>>,
    /// The frame, and how many bytes of items are in it.
    pub(crate) completed: Option<(Result<Bytes>, usize)>,
}

impl PushCarrier {
    fn complete(&mut self, count: u32, end: Option<&Result<()>>) {
        let bytes = self.draft.bytes();
        let frame = self.draft.finish(count, end);
        let frame = frame.and_then(|frame| match &self.seal {
            Some(seal) => seal.apply(&frame),
            None => Ok(frame),
        });
        self.completed = Some((frame, bytes));
    }
}

impl Carrier {
    pub(crate) const fn writer(&mut self) -> &mut Writer {
        match self {
            Self::Reply(reply) => &mut reply.writer,
            Self::Push(push) => &mut push.draft.writer,
        }
    }

    /// Gives the items up: the functions already written.
    pub(crate) fn abandon(mut self) -> Vec<Handle> {
        handles(self.writer())
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Push(push) if push.draft.bytes() >= push.most)
    }
}

impl ItemsDraft {
    /// Writes one item: exactly one value. An item that fails half-way leaves nothing behind; the items before it
    /// stay, and the generator is then ended with the error, by [`super::Session::finish_items`].
    ///
    /// # Errors
    /// Those of `write`; `internal` for more items than there is room for.
    pub fn item(&mut self, write: impl FnOnce(&mut Writer) -> Result<()>) -> Result<()> {
        if self.is_full() {
            return Err(Error::new(ErrorKind::Internal, "a generator gave more items than were asked for"));
        }
        let writer = self.carrier.writer();
        let mark = writer.mark();
        let written = write(writer);
        match written {
            Ok(()) => self.count += 1,
            Err(_) => self.dropped.append(&mut writer.rewind(mark)),
        }
        written
    }

    /// Ends the message, and seals it: work that needs no session.
    pub(crate) fn complete(&mut self, end: Option<&Result<()>>) {
        match &mut self.carrier {
            Carrier::Reply(reply) if self.count > 0 => {
                let _ = reply.complete();
            }
            Carrier::Push(push) if push.completed.is_none() && (self.count > 0 || end.is_some()) => {
                push.complete(self.count, end);
            }
            _ => {}
        }
    }

    /// Whether no more items are wanted in this draft; it is never full at its beginning.
    pub fn is_full(&self) -> bool {
        self.count >= self.room || (self.count > 0 && self.carrier.is_full())
    }

    /// How many items more are wanted in this draft.
    pub const fn room(&self) -> u32 {
        self.room - self.count
    }

    /// How many items were written.
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether no item was written.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A service that is being written: one map, its functions and values nested as they are to be called.
#[derive(Debug)]
pub struct ServiceDraft {
    /// Takes the map.
    pub writer: Writer,
    /// Whether the server is not told of it: only those who know the path can call it. So is a service whose
    /// `config` says `_local_only`.
    pub is_local: bool,
}

impl ServiceDraft {
    /// Gives the service up: the functions already written.
    pub fn abandon(mut self) -> Vec<Handle> {
        handles(&mut self.writer)
    }
}

fn apply(seal: Option<&Seal>, writer: &mut Writer) -> Result<()> {
    let Some(seal) = seal else { return Ok(()) };
    let frame = Bytes::from(writer.take_bytes());
    writer.set_bytes(seal.apply(&frame)?.into());
    Ok(())
}

fn handles(writer: &mut Writer) -> Vec<Handle> {
    let interfaces = writer.take_interfaces().into_iter().flat_map(|interface| interface.functions);
    let interfaces: Vec<_> = interfaces.map(|(_, handle)| handle).collect();
    let objects = writer.take_objects().into_iter().map(|(_, export)| export.handle());
    objects.chain(interfaces).collect()
}
