//! Generators of ours whose readers know the extension: items go out ahead, as many as the reader has room for.

use bytes::Bytes;

use super::Extensions;
use super::callee::Callee;
use super::draft::{Beside, Carrier, ItemsDraft, PushCarrier};
use super::event::{Event, Time};
use super::objects::Found;
use super::session::Session;
use super::transfer::Waiter;
use crate::codec::Handle;
use crate::wire::{Extras, Header, PublicKey, Pull, PushDraft, StreamRoute};
use crate::{Error, ErrorKind, Result};

/// Items in one frame, at most. A reader uses them up as one, and then has room for as many: with several frames under
/// way, neither side waits for the other.
const ITEMS_AT_ONCE: u32 = 256;

/// Who reads a generator of ours.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// Our address as the reader wrote it; it expects the items from there.
    me: String,
    pub(super) address: String,
    /// The reader's name for the stream.
    stream: String,
    /// The key that the reader seals with, to which items are sealed.
    key: Option<PublicKey>,
}

/// A generator of ours whose items are sent ahead.
#[derive(Debug)]
pub(super) struct Push {
    pub(super) reader: Reader,
    /// Items that may be sent.
    items: u64,
    /// Bytes that may be sent; below zero after an item that was longer.
    bytes: i64,
    /// The number of the next item.
    next: u64,
    /// Items of a frame that is leaving in parts, which nothing may overtake.
    leaving: Option<u32>,
}

/// A frame of items that leaves in parts.
#[derive(Debug)]
pub(super) struct Leaving {
    source: Handle,
    reader: Reader,
}

impl Reader {
    fn of(header: &Header<'_>, stream: &str) -> Self {
        let (me, address) = (header.to.to_owned(), header.from.to_owned());
        Self { me, address, stream: stream.to_owned(), key: None }
    }

    fn route(&self, extensions: Extensions) -> StreamRoute<'_> {
        StreamRoute {
            from: &self.me,
            to: &self.address,
            stream: &self.stream,
            extras: Extras { extensions, ..Extras::default() },
        }
    }
}

impl Push {
    const fn new(reader: Reader) -> Self {
        Self { reader, items: 0, bytes: 0, next: 0, leaving: None }
    }

    /// How many items may be sent now.
    pub(super) fn room(&self) -> u32 {
        let may_send = self.bytes > 0 && self.leaving.is_none();
        if may_send { u32::try_from(self.items).unwrap_or(u32::MAX) } else { 0 }
    }

    fn allow(&mut self, pull: &Pull) {
        self.items = self.items.saturating_add(pull.items);
        self.bytes = self.bytes.saturating_add_unsigned(pull.bytes);
    }

    fn sent(&mut self, items: u32, bytes: usize, is_leaving: bool) {
        self.items = self.items.saturating_sub(items.into());
        self.bytes = self.bytes.saturating_sub_unsigned(bytes as u64);
        self.next += u64::from(items);
        self.leaving = is_leaving.then_some(items);
    }
}

impl Session {
    /// A peer wants items of a generator, or no more of them.
    pub(super) fn receive_pull(&mut self, frame: &Bytes, header: &Header<'_>, now: Time) -> Result<()> {
        let Some(stream) = header.session else { return Err(Error::invalid("`x-pull` needs a `session`")) };
        let mut reader = Reader::of(header, stream);
        let pull = match self.read_pull(frame, header, &mut reader) {
            Ok(pull) => pull,
            // A message that was taken before says nothing.
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(error),
            Err(error) => {
                self.push_end(&reader, &Err(error.clone()));
                return Err(error);
            }
        };
        let place = header.method.rsplit_once('.').unwrap_or((header.method, ""));
        let admitted = match self.find_object(place, header.from, now) {
            Found::Generator(handle, key) => {
                Callee::given(handle, key).admits(header, reader.key).map(|()| handle)
            }
            found => Err(found.refusal(header)),
        };
        match admitted {
            Ok(handle) if pull.close => self.close_pushed(place, handle, stream, now),
            Ok(handle) => self.allow(handle, place, reader, &pull),
            Err(_) if pull.close => {}
            Err(error) => self.push_end(&reader, &Err(error)),
        }
        Ok(())
    }

    fn read_pull(&mut self, frame: &Bytes, header: &Header<'_>, reader: &mut Reader) -> Result<Pull> {
        let segment = self.read_segment(frame, header)?;
        reader.key = segment.key;
        Pull::parse(&segment.bytes, segment.start)
    }

    /// More items may be sent to a reader, unless there is another one.
    fn allow(&mut self, handle: Handle, place: (&str, &str), reader: Reader, pull: &Pull) {
        let source = self.sources.at(handle, place);
        let is_other = match &source.push {
            Some(push) => push.reader.stream != reader.stream,
            None => source.is_called(),
        };
        if is_other {
            let error = Error::new(ErrorKind::Conflict, "the generator is being read already");
            return self.push_end(&reader, &Err(error));
        }
        if let Some(end) = source.end.take() {
            self.forget_export(handle);
            return self.push_end(&reader, &end);
        }
        if source.push.is_none() && pull.is_question() {
            // Whoever asks has granted items before, and that was lost: both would wait for the other.
            let error =
                Error::new(ErrorKind::PeerGone, "what was granted to a generator was lost on the way");
            self.push_end(&reader, &Err(error));
            return self.close_source(place, handle);
        }
        let push = source.push.get_or_insert_with(|| Box::new(Push::new(reader)));
        push.allow(pull);
        if pull.is_question() {
            let (reader, next) = (push.reader.clone(), push.next - u64::from(push.leaving.unwrap_or(0)));
            self.send_bare(&reader, next, None);
        }
        self.want(handle);
    }

    /// The reader has enough: it needs no answer, and what is still leaving in parts stays here.
    fn close_pushed(&mut self, place: (&str, &str), handle: Handle, stream: &str, now: Time) {
        let source = self.sources.at(handle, place);
        if source.push.as_ref().is_some_and(|push| push.reader.stream != stream) {
            return;
        }
        source.push = None;
        self.stop_leaving(handle, now);
        self.close_source(place, handle);
    }

    /// Begins a frame of items.
    pub(super) fn begin_push(&mut self, source: Handle) -> Option<ItemsDraft> {
        let push = self.sources.get_mut(source)?.push.as_ref()?;
        let room = push.room();
        if room == 0 {
            return None;
        }
        let most = usize::try_from(push.bytes).unwrap_or(usize::MAX).min(self.options.chunk_size);
        let (reader, next) = (push.reader.clone(), push.next);
        let mut draft = PushDraft::begin(&reader.route(self.extensions), next).ok()?;
        let session = self.new_id();
        draft.writer.export_to(self.exports(reader.me, session.clone()));
        let seal = self.seal_to(reader.key);
        let carrier = Carrier::Push(PushCarrier { draft, session, most, seal, completed: None });
        Some(ItemsDraft { source, carrier, count: 0, room: room.min(ITEMS_AT_ONCE), dropped: Vec::new() })
    }

    /// Sends a frame of items, with the end behind them if it is there.
    pub(super) fn finish_push(
        &mut self,
        handle: Handle,
        mut carrier: PushCarrier,
        count: u32,
        is_over: bool,
        now: Time,
    ) {
        let Some((frame, bytes)) = carrier.completed.take() else { return };
        let is_long = frame.as_ref().is_ok_and(|frame| self.is_long(frame.len()));
        let Some(push) = self.sources.get_mut(handle).and_then(|source| source.push.as_mut()) else {
            // Another way of reading has taken its place.
            return Carrier::Push(carrier).abandon().into_iter().for_each(|handle| self.let_go(handle));
        };
        push.sent(count, if count > 0 { bytes } else { 0 }, is_long);
        let reader = push.reader.clone();
        let frame = frame.and_then(|frame| self.keep_items(&mut carrier, &reader, now).map(|()| frame));
        match frame {
            Err(error) => return self.break_off(handle, &reader, error),
            Ok(frame) if is_long => {
                let to = reader.address.clone();
                let waiter = Waiter::Items(Box::new(Leaving { source: handle, reader }));
                self.send_long(&to, frame, waiter, Beside::default(), now);
            }
            Ok(frame) => self.send(&reader.address, frame),
        }
        if is_over {
            self.emit(Event::Released(handle));
            self.forget_export(handle);
        }
    }

    /// Keeps the functions in items for their receiver.
    fn keep_items(&mut self, carrier: &mut PushCarrier, reader: &Reader, now: Time) -> Result<()> {
        let objects = self.give(&mut carrier.draft.writer, &reader.address, reader.key)?;
        let (session, to) = (std::mem::take(&mut carrier.session), (reader.address.clone(), reader.key));
        self.objects.keep(session, to, objects, now, &self.options).map_err(|objects| {
            self.take_back(&reader.address, objects);
            let text = format!("{} results with functions are kept already", self.options.max_kept);
            Error::new(ErrorKind::Overloaded, text)
        })
    }

    /// A frame that left in parts has arrived, or has not.
    pub(super) fn items_left(&mut self, leaving: &Leaving, end: Result<()>) {
        let Leaving { source, reader } = leaving;
        match end {
            Ok(()) => {
                if let Some(push) = self.sources.get_mut(*source).and_then(|source| source.push.as_mut()) {
                    push.leaving = None;
                    self.want(*source);
                }
            }
            Err(error) => self.break_off(*source, reader, error),
        }
    }

    /// Items cannot be sent: the reader is told, the language closes the generator.
    fn break_off(&mut self, handle: Handle, reader: &Reader, error: Error) {
        self.push_end(reader, &Err(error));
        if let Some(source) = self.sources.get_mut(handle).filter(|source| source.push.is_some()) {
            source.push = None;
            self.emit(Event::Released(handle));
            self.forget_export(handle);
        }
    }

    /// Tells a reader that a generator has ended, without items.
    pub(super) fn push_end(&mut self, reader: &Reader, end: &Result<()>) {
        self.send_bare(reader, 0, Some(end));
    }

    /// Sends a frame without items: a sign of life, or the end.
    fn send_bare(&mut self, reader: &Reader, next: u64, end: Option<&Result<()>>) {
        let seal = self.seal_to(reader.key);
        let frame = PushDraft::begin(&reader.route(self.extensions), next)
            .and_then(|mut draft| draft.finish(0, end))
            .and_then(|frame| seal.map_or(Ok(frame.clone()), |seal| seal.apply(&frame)));
        if let Ok(frame) = frame {
            self.send(&reader.address, frame);
        }
    }

    /// The connection broke: what was under way may be lost, so nothing can go on where it stopped.
    pub(super) fn break_off_pushed(&mut self, error: &Error) {
        for handle in self.sources.pushed() {
            let push = self.sources.get_mut(handle).and_then(|source| source.push.take());
            if let Some(push) = push {
                self.transfers.forget_leaving(handle);
                self.push_end(&push.reader, &Err(error.clone()));
                self.emit(Event::Released(handle));
                self.forget_export(handle);
            }
        }
    }
}

impl Leaving {
    /// Whether this is of the generator `handle`.
    pub(super) const fn is_of(&self, handle: Handle) -> bool {
        self.source == handle
    }
}
