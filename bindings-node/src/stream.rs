//! Generators and streams, both directions: those of peers wait here until JavaScript takes their items.

use std::collections::{HashMap, VecDeque};

use napi::Env;
use napi::bindgen_prelude::{Array, Int32ArraySlice, Uint8ArraySlice};
use napi_derive::napi;
use polyfn_core::codec::{Handle, StreamStub};
use polyfn_core::session::{ItemsDraft, Payload, StreamEnd, StreamId};
use polyfn_core::{Error, Result};

use crate::batch::{Told, taken};
use crate::client::{Core, HEAD, given};
use crate::convert::{Player, Recorder};
use crate::error::told;

/// Items that are taken at once, at most.
const MAX_ITEMS: u32 = 1024;
/// Places on the tape above which no more items are taken.
const MAX_STEPS: usize = 16 * 1024;
/// Text above which no more items are taken: whoever keeps a short text of an item keeps all of it.
const MAX_TEXT: usize = 32 * 1024;

/// How a stream goes on behind the items on the tape; the same numbers stand in `js/tape.ts`.
mod state {
    pub(super) const OPEN: i32 = 0;
    pub(super) const DONE: i32 = 1;
    /// The last value on the tape is the error.
    pub(super) const FAILED: i32 = 2;
}

/// How JavaScript says that its generator goes on; the same numbers stand in `js/tape.ts`.
mod end {
    pub(super) const MORE: u8 = 0;
    pub(super) const DONE: u8 = 1;
}

/// Streams of one environment.
#[derive(Default)]
pub(crate) struct Streams {
    incoming: HashMap<StreamId, Incoming>,
    drafts: HashMap<Handle, ItemsDraft>,
    /// Its shapes are its own: what it records is told apart from the batches of events.
    recorder: Recorder,
    /// Recorded, but longer than the tape.
    waiting: Option<Told>,
}

/// A stream of a peer.
#[derive(Default)]
struct Incoming {
    client: u32,
    parts: VecDeque<Part>,
    end: Option<Result<()>>,
    /// Items that JavaScript has taken and the peer has not been told of.
    used: u32,
}

/// Items that came together.
struct Part {
    items: Payload,
    position: usize,
    left: u32,
}

impl Streams {
    /// Items have come.
    pub(crate) fn add(&mut self, id: StreamId, items: &Payload, count: u32, end: Option<&Result<()>>) {
        let Some(stream) = self.incoming.get_mut(&id) else { return };
        let mut reader = items.reader();
        if count > 0 && reader.list().is_ok() {
            let position = reader.position();
            stream.parts.push_back(Part { items: items.clone(), position, left: count });
        }
        stream.end = stream.end.take().or_else(|| end.cloned());
    }

    /// A generator of ours is not read any longer.
    pub(crate) fn forget_draft(&mut self, source: Handle) {
        self.drafts.remove(&source);
    }

    /// A connection is over.
    pub(crate) fn forget(&mut self, client: u32) {
        self.incoming.retain(|_, stream| stream.client != client || stream.end.is_some());
    }

    /// Records what is at hand of a stream. Gives the connection of one that has to be closed, because an item of
    /// it cannot be read.
    fn record(&mut self, id: StreamId) -> (Told, Option<u32>) {
        let tape = &mut self.recorder;
        tape.clear();
        taken(tape);
        let (mut state, mut broken) = (state::DONE, None);
        if let Some(stream) = self.incoming.get_mut(&id) {
            state = match (stream.record_items(tape), &stream.end) {
                (Err(error), end) => {
                    broken = end.is_none().then_some(stream.client);
                    failure(tape, &error.at("an item"))
                }
                (Ok(()), Some(Ok(()))) if stream.parts.is_empty() => state::DONE,
                (Ok(()), Some(Err(error))) if stream.parts.is_empty() => failure(tape, error),
                _ => state::OPEN,
            };
        }
        if state != state::OPEN {
            self.incoming.remove(&id);
        }
        (Told::finished(tape, state), broken)
    }
}

fn failure(tape: &mut Recorder, error: &Error) -> i32 {
    tape.error(error);
    state::FAILED
}

impl Incoming {
    fn record_items(&mut self, tape: &mut Recorder) -> Result<()> {
        let before = self.used;
        while let Some(part) = self.parts.front_mut() {
            let mut reader = part.items.reader().starting_at(part.position);
            while part.left > 0 {
                if self.used - before >= MAX_ITEMS
                    || tape.steps.len() > MAX_STEPS
                    || tape.text.len() > MAX_TEXT
                {
                    part.position = reader.position();
                    return Ok(());
                }
                tape.whole_value(&mut reader)?;
                part.left -= 1;
                self.used += 1;
            }
            self.parts.pop_front();
        }
        Ok(())
    }
}

#[napi]
impl Core {
    /// Begins to read the generator on the tape. What comes is told by events with this number.
    #[napi]
    pub fn open_stream(&self, client: u32, stream: f64, tape: &[u8]) -> Option<String> {
        let id = stream as StreamId;
        let work = || {
            let connection = self.need(client)?;
            self.streams.borrow_mut().incoming.insert(id, Incoming { client, ..Incoming::default() });
            connection.open_stream(id, &stub(tape)?)
        };
        let error = work().err()?;
        self.streams.borrow_mut().incoming.remove(&id);
        Some(told(&error))
    }

    /// Takes items that have come, as many as fit on `tape`; gives what lies beside the tape. Those taken before are
    /// used up: the peer may send more.
    #[napi]
    pub fn items<'env>(
        &self,
        env: &'env Env,
        stream: f64,
        mut tape: Int32ArraySlice<'_>,
    ) -> napi::Result<Array<'env>> {
        // SAFETY: JavaScript stands still during this call and has given the array to nobody else.
        let tape = unsafe { tape.as_mut() };
        let id = stream as StreamId;
        let mut streams = self.streams.borrow_mut();
        let mut told = match streams.waiting.take() {
            Some(told) => told,
            None => {
                self.grant(&mut streams, id);
                let (told, broken) = streams.record(id);
                if let Some(connection) = broken.and_then(|client| self.connection(client)) {
                    connection.close_stream(id);
                }
                told
            }
        };
        let end = HEAD + told.steps.len();
        let Some(room) = tape.get_mut(HEAD..end) else {
            streams.waiting = Some(told);
            tape[..2].copy_from_slice(&[HEAD as i32, end as i32]);
            return given(env, Vec::new());
        };
        room.copy_from_slice(&told.steps);
        tape[..2].copy_from_slice(&[end as i32, 0]);
        given(env, std::mem::take(&mut told.beside))
    }

    fn grant(&self, streams: &mut Streams, id: StreamId) {
        let Some(stream) = streams.incoming.get_mut(&id) else { return };
        let used = std::mem::take(&mut stream.used);
        if used > 0
            && stream.end.is_none()
            && let Some(connection) = self.connection(stream.client)
        {
            connection.grant(id, used);
        }
    }

    /// No more items of a stream are wanted.
    #[napi]
    pub fn close_stream(&self, client: u32, stream: f64) {
        self.streams.borrow_mut().incoming.remove(&(stream as StreamId));
        if let Some(connection) = self.connection(client) {
            connection.close_stream(stream as StreamId);
        }
    }

    /// Nobody will read the generator on the tape, which was never opened.
    #[napi]
    pub fn discard_stream(&self, client: u32, tape: &[u8]) {
        if let (Some(connection), Ok(stub)) = (self.connection(client), stub(tape)) {
            connection.discard_stream(&stub);
        }
    }

    /// How many items of a generator of ours are wanted now. So many may be given to `produce`.
    #[napi]
    pub fn begin_items(&self, client: u32, source: f64) -> u32 {
        let Some(draft) = self.connection(client).and_then(|it| it.begin_items(source as Handle)) else {
            return 0;
        };
        let room = draft.room();
        self.streams.borrow_mut().drafts.insert(source as Handle, draft);
        room
    }

    /// Sends the items on the tape, and how the generator goes on; how many are wanted then, -1 when these were not.
    #[napi]
    pub fn produce(
        &self,
        client: u32,
        source: f64,
        count: u32,
        tape: &[u8],
        beside: Option<Vec<Uint8ArraySlice<'_>>>,
        end: u8,
    ) -> i32 {
        let handle = source as Handle;
        let draft = self.streams.borrow_mut().drafts.remove(&handle);
        let Some(connection) = self.connection(client) else { return -1 };
        let Some(mut draft) = draft.or_else(|| connection.begin_items(handle)) else { return -1 };
        let beside = beside.unwrap_or_default();
        let mut tape = Player::new(tape, &beside);
        let written = (0..count).try_for_each(|_| draft.item(|out| tape.value(out)));
        let end = match (written, end) {
            (Err(error), _) => StreamEnd::Failed(error.at("an item")),
            (Ok(()), end::MORE) => StreamEnd::More,
            (Ok(()), end::DONE) => StreamEnd::Done,
            (Ok(()), _) => StreamEnd::Failed(tape.error().unwrap_or_else(|error| error)),
        };
        let is_over = end != StreamEnd::More;
        connection.finish_items(draft, end);
        if is_over { 0 } else { self.begin_items(client, source) as i32 }
    }
}

fn stub(tape: &[u8]) -> Result<StreamStub> {
    let mut tape = Player::<Uint8ArraySlice<'_>>::new(tape, &[]);
    let mut text = || tape.text().map(str::to_owned);
    let (target, method, close_method) = (text()?, text()?, text()?);
    let mut optional = || Ok::<_, Error>(tape.optional()?.map(str::to_owned));
    let (doc, server, parent) = (optional()?, optional()?, optional()?);
    let (enc_pub, pushes) = (tape.public_key()?, tape.flag()? == Some(true));
    Ok(StreamStub { target, method, close_method, doc, server, parent, enc_pub, pushes })
}
