//! Generators of peers that the language reads (protocol section 10.5).
//!
//! The language has one way to read all of them: it opens the stream when it wants the first item, gets
//! [`Event::Items`], and says with [`Session::grant`] how many items it has used up. A peer that knows no more than
//! the common protocol is called for one item after the other, each when the one before is used up. A peer that knows
//! the extension sends items ahead, as many as it was granted, see [`super::window`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Extensions;
use super::calls::Owner;
use super::draft::{CallSpec, SpeakAs, Speaker};
use super::event::{Event, Payload, StreamId, Time};
use super::incoming::rejection;
use super::listening::Listening;
use super::sealing::Segment;
use super::session::Session;
use super::window::{Grant, Pool, Window};
use crate::codec::{Origin, Promise, StreamStub};
use crate::wire::{Body, Extras, Header, Pull, Push, StreamRoute};
use crate::{Error, ErrorKind, Result};

/// A generator of a peer, and who reads it.
#[derive(Debug)]
struct Source {
    stub: StreamStub,
    /// Whom a part of the server reads it for.
    reader: Option<Speaker>,
}

#[derive(Debug)]
struct Stream {
    source: Arc<Source>,
    feed: Feed,
}

/// How items come.
#[derive(Debug)]
enum Feed {
    /// By a call for each: its session, while it is under way.
    Called(Option<String>),
    /// Sent ahead.
    Pushed(Box<Pushed>),
}

#[derive(Debug)]
struct Pushed {
    /// Our name for the stream in frames.
    name: String,
    /// The number of the next item.
    next: u64,
    window: Window,
    /// When the peer sent something last.
    heard: Time,
    /// It was asked since whether it is there.
    is_asked: bool,
}

/// Generators of peers that the language reads.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_id: HashMap<StreamId, Stream>,
    /// Those whose items are sent ahead.
    by_name: HashMap<String, StreamId>,
    pool: Pool,
    next_check: Option<Time>,
}

/// No items: an empty list.
const NO_ITEMS: &[u8] = &[0x90];

impl Stream {
    fn next_check(&self, timeout: Duration, listening: Listening, now: Time) -> Option<Time> {
        match &self.feed {
            Feed::Pushed(pushed) => Some(pushed.next_check(timeout, listening, now)),
            Feed::Called(_) => None,
        }
    }
}

impl Pushed {
    /// When to ask whether the peer is there, or to give it up.
    fn next_check(&self, timeout: Duration, listening: Listening, now: Time) -> Time {
        if self.is_asked { listening.next_check(self.heard, timeout, now) } else { self.heard + timeout / 2 }
    }
}

impl Streams {
    pub(super) const fn next_check(&self) -> Option<Time> {
        self.next_check
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Bytes of items that have come and are not used up, and of those that may come.
    pub(super) const fn bytes(&self) -> usize {
        self.pool.bytes()
    }

    /// Forgets a stream; what it held is free.
    fn take(&mut self, id: StreamId) -> Option<Stream> {
        let mut stream = self.by_id.remove(&id)?;
        if let Feed::Pushed(pushed) = &mut stream.feed {
            self.by_name.remove(&pushed.name);
            std::mem::take(&mut pushed.window).close(&mut self.pool);
        }
        Some(stream)
    }

    fn which(&self, wanted: impl Fn(&Stream) -> bool) -> Vec<StreamId> {
        let mut ids: Vec<StreamId> =
            self.by_id.iter().filter(|(_, stream)| wanted(stream)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// The stream that `from` may send items for under this name.
    fn find(&self, name: &str, from: &str) -> Option<StreamId> {
        let id = *self.by_name.get(name)?;
        self.by_id.get(&id).filter(|stream| stream.source.stub.target == from).map(|_| id)
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
        self.open_stream_for(id, stub, None, now)
    }

    /// The same for a part of the server that speaks for somebody, to whom the generator was given.
    ///
    /// # Errors
    /// As [`Session::open_stream`].
    pub fn open_stream_for(
        &mut self,
        id: StreamId,
        stub: &StreamStub,
        reader: Option<SpeakAs<'_>>,
        now: Time,
    ) -> Result<()> {
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
        let source = Arc::new(Source { stub: stub.clone(), reader: reader.map(Into::into) });
        if stub.pushes && self.extensions.has(Extensions::PUSHED) {
            self.open_pushed(id, source, now);
        } else {
            self.streams.by_id.insert(id, Stream { source, feed: Feed::Called(None) });
            self.ask_for_item(id, now);
        }
        Ok(())
    }

    /// Says that so many items are used up and that more are wanted. To be called when the language's consumer asks
    /// for an item and those of one [`Event::Items`] are used up, with their `count`; not for each item by itself.
    pub fn grant(&mut self, id: StreamId, items: u32, now: Time) {
        let Some(stream) = self.streams.by_id.get_mut(&id) else { return };
        match &mut stream.feed {
            Feed::Called(None) if items > 0 => self.ask_for_item(id, now),
            Feed::Called(_) => {}
            Feed::Pushed(pushed) => {
                if let Some(grant) = pushed.window.used(&mut self.streams.pool, items, &self.options) {
                    let (source, name) = (stream.source.clone(), pushed.name.clone());
                    self.send_pull(&source, &name, grant.into());
                }
            }
        }
    }

    /// Ends a stream before its end: the peer closes its generator at once. Nothing is told of the stream after this.
    /// A stream that is not open is no error.
    pub fn close_stream(&mut self, id: StreamId, now: Time) {
        let Some(Stream { source, feed }) = self.streams.take(id) else { return };
        match feed {
            Feed::Called(call) => {
                // It has no arguments of which anything would have to be let go.
                call.and_then(|call| self.calls.take(&call));
                self.discard(&source, now);
            }
            Feed::Pushed(pushed) => self.send_pull(&source, &pushed.name, CLOSE),
        }
    }

    /// Tells a peer that nobody will read a generator of its, which was never opened.
    pub fn discard_stream(&mut self, stub: &StreamStub, now: Time) {
        self.discard_stream_for(stub, None, now);
    }

    /// The same for a part of the server that speaks for somebody, to whom the generator was given.
    pub fn discard_stream_for(&mut self, stub: &StreamStub, reader: Option<SpeakAs<'_>>, now: Time) {
        self.discard(&Source { stub: stub.clone(), reader: reader.map(Into::into) }, now);
    }

    fn discard(&mut self, source: &Source, now: Time) {
        let spec = CallSpec { method: &source.stub.close_method, ..source.asked() };
        // Where the connection is over, the peer closes it by itself.
        if let Ok(draft) = self.begin_call(&spec) {
            let _ = self.send_call(Owner::Nobody, draft, now);
        }
    }

    fn ask_for_item(&mut self, id: StreamId, now: Time) {
        let Some(stream) = self.streams.by_id.get(&id) else { return };
        let source = stream.source.clone();
        let asked = self.begin_call(&source.asked()).and_then(|draft| {
            let call = draft.session.clone();
            self.send_call(Owner::Item(id), draft, now)?;
            Ok(call)
        });
        match asked {
            Ok(call) => {
                if let Some(stream) = self.streams.by_id.get_mut(&id) {
                    stream.feed = Feed::Called(call);
                }
            }
            Err(error) => self.end_stream(id, Err(error)),
        }
    }

    /// The call for an item has ended.
    pub(super) fn item_came(&mut self, id: StreamId, end: Result<Payload>, now: Time) {
        let Some(stream) = self.streams.by_id.get_mut(&id) else { return };
        stream.feed = Feed::Called(None);
        match end {
            Ok(items) if items.is_stop_iteration() => self.end_stream(id, Ok(())),
            Ok(items) => self.emit(Event::Items { stream: id, items, count: 1, end: None }),
            Err(error) => {
                let source = stream.source.clone();
                let is_there = error.kind() != ErrorKind::PeerGone;
                self.end_stream(id, Err(error));
                // The reference does so too: what failed on the way to us may still run at the peer.
                if is_there {
                    self.discard(&source, now);
                }
            }
        }
    }

    fn end_stream(&mut self, id: StreamId, end: Result<()>) {
        if self.streams.take(id).is_some() {
            let items = Payload { args: Bytes::from_static(NO_ITEMS), ..Payload::default() };
            self.emit(Event::Items { stream: id, items, count: 0, end: Some(end) });
        }
    }

    /// Ends the streams of some peers.
    pub(super) fn end_streams(&mut self, error: &Error, is_gone: impl Fn(&str) -> bool) {
        for id in self.streams.which(|stream| is_gone(&stream.source.stub.target)) {
            self.end_stream(id, Err(error.clone()));
        }
    }

    /// The connection broke: items that were sent ahead may be lost.
    pub(super) fn end_pushed_streams(&mut self, error: &Error) {
        for id in self.streams.which(|stream| matches!(stream.feed, Feed::Pushed(_))) {
            self.break_stream(id, error.clone());
        }
    }

    /// Ends a stream that cannot go on, at both sides.
    fn break_stream(&mut self, id: StreamId, error: Error) {
        let found = self.streams.by_id.get(&id);
        let Some(Stream { source, feed: Feed::Pushed(pushed) }) = found else { return };
        let (source, name) = (source.clone(), pushed.name.clone());
        self.end_stream(id, Err(error));
        self.send_pull(&source, &name, CLOSE);
    }

    fn open_pushed(&mut self, id: StreamId, source: Arc<Source>, now: Time) {
        let name = self.new_id();
        let (window, grant) = Window::open(&mut self.streams.pool, &self.options);
        self.send_pull(&source, &name, grant.into());
        self.streams.by_name.insert(name.clone(), id);
        let pushed = Pushed { name, next: 0, window, heard: now, is_asked: false };
        let check = pushed.next_check(self.options.method_timeout, self.listening, now);
        self.streams.next_check = Some(self.streams.next_check.map_or(check, |at| at.min(check)));
        self.streams.by_id.insert(id, Stream { source, feed: Feed::Pushed(Box::new(pushed)) });
    }

    fn send_pull(&mut self, source: &Source, name: &str, pull: Pull) {
        let stub = &source.stub;
        let route = StreamRoute {
            from: source.reader.as_ref().map_or(&*self.address, |reader| &*reader.from),
            to: &stub.target,
            stream: name,
            extras: Extras { extensions: self.extensions, ..Extras::default() },
        };
        let frame = pull.frame(&route, &stub.method);
        let seal = self.seal_to(stub.enc_pub);
        if let Ok(frame) = frame.and_then(|frame| seal.map_or(Ok(frame.clone()), |seal| seal.apply(&frame))) {
            self.send(&stub.target, frame);
        }
    }

    /// A peer sends items of a generator. Those of a stream that is not open, or of another peer's, are nobody's.
    pub(super) fn receive_push(&mut self, frame: &Bytes, header: &Header<'_>, now: Time) -> Result<()> {
        let id = header.session.and_then(|name| self.streams.find(name, header.from));
        let Some(id) = id else { return Ok(()) };
        let taken = self.read_push(id, frame, header).and_then(|push| {
            self.take_items(id, &push, now)?;
            Ok(push)
        });
        match taken {
            // A message that was taken before says nothing about this stream.
            Err(error) if error.kind() == ErrorKind::Conflict => Err(error),
            Err(error) => {
                self.break_stream(id, error.clone());
                Err(error)
            }
            Ok(Push { items, count, end, .. }) => {
                if end.is_some() {
                    self.streams.take(id);
                }
                if count > 0 || end.is_some() {
                    // The name of the stream is no session that would wait for a reply.
                    let origin = Origin { session: None, ..self.origin(header, None) };
                    let items = Payload { args: items, origin, with_kwargs: false };
                    self.emit(Event::Items { stream: id, items, count, end });
                }
                Ok(())
            }
        }
    }

    fn read_push(&mut self, id: StreamId, frame: &Bytes, header: &Header<'_>) -> Result<Push> {
        let Segment { bytes, start, key } = self.read_segment(frame, header)?;
        let push = Push::parse(&bytes, start)?;
        let expected = self.streams.by_id.get(&id).and_then(|stream| stream.source.stub.enc_pub);
        let expected = expected.filter(|_| self.sealer.is_some());
        // Who cannot open what we want may say so in the clear; nobody may send items like that.
        let is_open_refusal = key.is_none() && push.count == 0 && matches!(push.end, Some(Err(_)));
        if expected.is_none() || key == expected || is_open_refusal {
            return Ok(push);
        }
        let text = format!(
            "the items of {} were refused: they are not encrypted by the owner of the key",
            header.from
        );
        Err(Error::new(ErrorKind::PermissionDenied, text))
    }

    /// Checks that items are those that come next, and not more than were granted.
    fn take_items(&mut self, id: StreamId, push: &Push, now: Time) -> Result<()> {
        let streams = &mut self.streams;
        let Some(Stream { feed: Feed::Pushed(pushed), .. }) = streams.by_id.get_mut(&id) else {
            return Ok(());
        };
        (pushed.heard, pushed.is_asked) = (now, false);
        if push.count == 0 && push.end.is_some() {
            return Ok(());
        }
        if push.index != pushed.next {
            let text = format!("item {} of a generator is missing: {} came", pushed.next, push.index);
            return Err(Error::new(ErrorKind::PeerGone, text));
        }
        if push.count == 0 {
            return Ok(());
        }
        pushed.next += u64::from(push.count);
        pushed.window.arrived(&mut streams.pool, push.count, push.items.len(), &self.options)
    }

    /// Peers that have been silent for a while are asked whether their generators are there. What was sent may be lost
    /// with a connection of theirs, of which nobody has told us.
    pub(super) fn tick_streams(&mut self, now: Time) {
        if self.streams.next_check.is_none_or(|at| at > now) {
            return;
        }
        let (timeout, listening) = (self.options.method_timeout, self.listening);
        let (mut silent, mut lost) = (Vec::new(), Vec::new());
        for (id, stream) in &mut self.streams.by_id {
            let Feed::Pushed(pushed) = &mut stream.feed else { continue };
            if listening.is_silent(pushed.heard, timeout, now) {
                lost.push(*id);
            } else if !pushed.is_asked && pushed.next_check(timeout, listening, now) <= now {
                pushed.is_asked = true;
                silent.push((*id, stream.source.clone(), pushed.name.clone()));
            }
        }
        silent.sort_unstable_by_key(|(id, ..)| *id);
        silent.into_iter().for_each(|(_, source, name)| self.send_pull(&source, &name, Pull::default()));
        lost.sort_unstable();
        for id in lost {
            let text = format!("the peer did not say within {} s that it is there", timeout.as_secs_f64());
            self.break_stream(id, Error::new(ErrorKind::Timeout, text));
        }
        let open = self.streams.by_id.values();
        self.streams.next_check = open.filter_map(|stream| stream.next_check(timeout, listening, now)).min();
    }

    /// The server could not pass on what we wanted of a peer's generator.
    pub(super) fn refuse_stream(&mut self, frame: &Bytes, header: &Header<'_>, name: &str) -> Result<()> {
        if let Some(id) = self.streams.find(name, header.from) {
            let body = Body::parse(frame, header.end)?;
            let error = rejection(&self.payload(header, body, None));
            self.end_stream(id, Err(error));
        }
        Ok(())
    }
}

/// Says that no more is wanted.
const CLOSE: Pull = Pull { items: 0, bytes: 0, close: true };

impl From<Grant> for Pull {
    fn from(grant: Grant) -> Self {
        Self { items: grant.items.into(), bytes: grant.bytes, close: false }
    }
}

impl Source {
    /// The call for the next item.
    fn asked(&self) -> CallSpec<'_> {
        let stub = &self.stub;
        CallSpec {
            target: &stub.target,
            method: &stub.method,
            promise: Promise::Star,
            parent: stub.parent.as_deref(),
            seal_to: stub.enc_pub,
            speak_as: self.reader.as_ref().map(Speaker::borrowed),
            ..CallSpec::default()
        }
    }
}
