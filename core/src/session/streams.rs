//! Generators of peers that the language reads (protocol section 10.5).
//!
//! The language has one way to read all of them: it opens the stream when it wants the first item, gets
//! [`Event::Items`], and says with [`Session::grant`] how many items it has used up. A peer that knows no more than
//! the common protocol is called for one item after the other, each when the one before is used up.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::calls::Owner;
use super::draft::CallSpec;
use super::event::{Event, Payload, StreamId, Time};
use super::session::Session;
use crate::codec::{Promise, StreamStub};
use crate::{Error, ErrorKind, Result};

/// A generator of a peer.
#[derive(Debug)]
struct Stream {
    stub: Arc<StreamStub>,
    /// The call for the next item, while it is under way.
    call: Option<String>,
}

/// Generators of peers that the language reads.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_id: HashMap<StreamId, Stream>,
}

/// No items: an empty list.
const NO_ITEMS: &[u8] = &[0x90];

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}

impl Session {
    /// Begins to read a generator of a peer, under a number of the language's own choice. To be called when the
    /// first item is wanted: the peer's generator does nothing before. What comes is told by [`Event::Items`],
    /// whose `end` is told once, unless [`Session::close_stream`] is called before.
    ///
    /// # Errors
    /// `overloaded` with too many open, `conflict` for a number in use, `peer_gone` when the connection is over.
    pub fn open_stream(&mut self, id: StreamId, stub: &StreamStub, now: Time) -> Result<()> {
        self.phase.check_open()?;
        if self.streams.by_id.contains_key(&id) {
            return Err(Error::new(ErrorKind::Conflict, format!("stream {id} is open already")));
        }
        if self.streams.len() >= self.options.max_streams {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!(
                    "{} generators are being read already, end or close some of them",
                    self.options.max_streams
                ),
            ));
        }
        self.streams.by_id.insert(id, Stream { stub: Arc::new(stub.clone()), call: None });
        self.ask_for_item(id, now);
        Ok(())
    }

    /// Says that so many items are used up and that more are wanted. To be called when the language's consumer asks
    /// for an item and those of one [`Event::Items`] are used up, with their `count`; not for each item by itself.
    pub fn grant(&mut self, id: StreamId, items: u32, now: Time) {
        let Some(stream) = self.streams.by_id.get(&id) else { return };
        if items > 0 && stream.call.is_none() {
            self.ask_for_item(id, now);
        }
    }

    /// Ends a stream before its end: the peer closes its generator at once. Nothing is told of the stream after this.
    /// A stream that is not open is no error.
    pub fn close_stream(&mut self, id: StreamId, now: Time) {
        let Some(stream) = self.streams.by_id.remove(&id) else { return };
        if let Some(call) = stream.call.and_then(|call| self.calls.take(&call)) {
            self.take_back(&call.target, call.objects);
        }
        self.discard_stream(&stream.stub, now);
    }

    /// Tells a peer that nobody will read a generator of its, which was never opened.
    pub fn discard_stream(&mut self, stub: &StreamStub, now: Time) {
        let spec = CallSpec { method: &stub.close_method, ..spec_of(stub) };
        // Where the connection is over, the peer closes it by itself.
        if let Ok(draft) = self.begin_call(&spec) {
            let _ = self.send_call(Owner::Nobody, draft, now);
        }
    }

    fn ask_for_item(&mut self, id: StreamId, now: Time) {
        let Some(stream) = self.streams.by_id.get(&id) else { return };
        let stub = stream.stub.clone();
        let asked = self.begin_call(&spec_of(&stub)).and_then(|draft| {
            let call = draft.session.clone();
            self.send_call(Owner::Item(id), draft, now)?;
            Ok(call)
        });
        match asked {
            Ok(call) => {
                if let Some(stream) = self.streams.by_id.get_mut(&id) {
                    stream.call = call;
                }
            }
            Err(error) => self.end_stream(id, Err(error)),
        }
    }

    /// The call for an item has ended.
    pub(super) fn item_came(&mut self, id: StreamId, end: Result<Payload>, now: Time) {
        let Some(stream) = self.streams.by_id.get_mut(&id) else { return };
        stream.call = None;
        match end {
            Ok(items) if items.is_stop_iteration() => self.end_stream(id, Ok(())),
            Ok(items) => self.emit(Event::Items { stream: id, items, count: 1, end: None }),
            Err(error) => {
                let stub = stream.stub.clone();
                let is_there = error.kind() != ErrorKind::PeerGone;
                self.end_stream(id, Err(error));
                // The reference does so too: what failed on the way to us may still run at the peer.
                if is_there {
                    self.discard_stream(&stub, now);
                }
            }
        }
    }

    fn end_stream(&mut self, id: StreamId, end: Result<()>) {
        if self.streams.by_id.remove(&id).is_some() {
            let items = Payload { args: Bytes::from_static(NO_ITEMS), ..Payload::default() };
            self.emit(Event::Items { stream: id, items, count: 0, end: Some(end) });
        }
    }

    /// Ends the streams of some peers.
    pub(super) fn end_streams(&mut self, error: &Error, is_gone: impl Fn(&str) -> bool) {
        let gone = self.streams.by_id.iter().filter(|(_, stream)| is_gone(&stream.stub.target));
        let mut gone: Vec<StreamId> = gone.map(|(id, _)| *id).collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|id| self.end_stream(id, Err(error.clone())));
    }
}

/// The call for the next item.
fn spec_of(stub: &StreamStub) -> CallSpec<'_> {
    CallSpec {
        target: &stub.target,
        method: &stub.method,
        promise: Promise::Star,
        parent: stub.parent.as_deref(),
        seal_to: stub.enc_pub,
        ..CallSpec::default()
    }
}
