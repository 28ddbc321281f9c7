//! Generators of ours that peers read (protocol section 10.5).
//!
//! The language only makes items when it is told to, by [`Event::Pull`]. A peer that knows no more than the common
//! protocol calls for each item; its calls are answered in their order.

use std::collections::{HashMap, VecDeque};

use super::callee::Callee;
use super::draft::{Carrier, ItemsDraft, ReplyDraft};
use super::event::{Event, RunId, StreamEnd, Time};
use super::push::Push;
use super::runs::Run;
use super::session::Session;
use crate::codec::Handle;
use crate::wire::Header;
use crate::{Error, ErrorKind, Result};

/// A generator of ours.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Where it stands in the table of objects.
    pub(super) session: String,
    pub(super) object: String,
    /// Calls for one item each.
    calls: VecDeque<RunId>,
    /// The reader to whom items are sent ahead.
    pub(super) push: Option<Box<Push>>,
    /// The language writes items.
    is_drafting: bool,
    /// The language knows that items are wanted, and has not begun.
    is_told: bool,
    /// The table of objects knows that it is being read.
    is_marked: bool,
    /// How it ended, which its reader has not been told. The language has let go of it already.
    pub(super) end: Option<Result<()>>,
}

/// Generators of ours that peers read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_handle: HashMap<Handle, Source>,
    /// Items are wanted, but too much waits to be sent.
    pub(super) is_stalled: bool,
}

/// The encoded answer to a peer that closes a generator.
const TRUE: &[u8] = &[0xc3];

impl Source {
    /// How many items are wanted.
    fn room(&self) -> u32 {
        match &self.push {
            Some(push) => push.room(),
            None => u32::from(!self.calls.is_empty()),
        }
    }

    /// Whether a peer reads it by a call for each item.
    pub(super) fn is_called(&self) -> bool {
        !self.calls.is_empty()
    }
}

impl Sources {
    pub(super) fn len(&self) -> usize {
        self.by_handle.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_handle.is_empty()
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut Source> {
        self.by_handle.get_mut(&handle)
    }

    /// The generator, which has its place in the table of objects.
    pub(super) fn at(&mut self, handle: Handle, (session, object): (&str, &str)) -> &mut Source {
        self.by_handle.entry(handle).or_insert_with(|| Source {
            session: session.to_owned(),
            object: object.to_owned(),
            ..Source::default()
        })
    }

    /// What these readers were sent needs no end: they are gone.
    pub(super) fn forget_reader(&mut self, peer: &str) {
        for source in self.by_handle.values_mut() {
            if source.push.as_ref().is_some_and(|push| push.reader.address == peer) {
                source.push = None;
            }
        }
    }

    /// Generators whose items are sent ahead.
    pub(super) fn pushed(&self) -> Vec<Handle> {
        let pushed = self.by_handle.iter().filter(|(_, source)| source.push.is_some());
        let mut pushed: Vec<Handle> = pushed.map(|(handle, _)| *handle).collect();
        pushed.sort_unstable();
        pushed
    }
}

impl Session {
    /// Begins to write items of a generator, after [`Event::Pull`]: as many as are at hand, until
    /// [`ItemsDraft::is_full`]. Then comes [`Session::finish_items`], always; if the draft was full, the language
    /// begins again.
    ///
    /// `None` when no items are wanted now (the next [`Event::Pull`] tells when they are), when the generator is not
    /// read any longer, and while another draft of it is not finished. A language needs no count of its own: it may
    /// call this whenever it has items, and produce no more when it gets `None`.
    ///
    /// ```
    /// # use polyfn_core::session::{Session, StreamEnd, Time};
    /// # use polyfn_core::codec::Handle;
    /// /// What a language does when it is told `Event::Pull { source, .. }`.
    /// fn pull(session: &mut Session, source: Handle, items: &mut dyn Iterator<Item = i64>, now: Time) {
    ///     while let Some(mut draft) = session.begin_items(source) {
    ///         let mut end = StreamEnd::More;
    ///         while end == StreamEnd::More && !draft.is_full() {
    ///             match items.next().map(|item| draft.item(|out| out.int(item))) {
    ///                 Some(Ok(())) => {}
    ///                 Some(Err(error)) => end = StreamEnd::Failed(error),
    ///                 None => end = StreamEnd::Done,
    ///             }
    ///         }
    ///         session.finish_items(draft, end, now);
    ///     }
    /// }
    /// # pull(&mut Session::new(Default::default()), 1, &mut (0..3), Time::ZERO);
    /// ```
    pub fn begin_items(&mut self, source: Handle) -> Option<ItemsDraft> {
        let congested = self.is_congested();
        let found = self.sources.by_handle.get_mut(&source)?;
        found.is_told = false;
        if found.is_drafting || found.end.is_some() {
            return None;
        }
        if congested && found.room() > 0 {
            self.sources.is_stalled = true;
            return None;
        }
        let draft = if found.push.is_some() { self.begin_push(source) } else { self.begin_answer(source) }?;
        self.sources.by_handle.get_mut(&source)?.is_drafting = true;
        Some(draft)
    }

    /// Begins the answer to the first call for an item.
    fn begin_answer(&mut self, source: Handle) -> Option<ItemsDraft> {
        loop {
            let run = *self.sources.by_handle.get_mut(&source)?.calls.front()?;
            if let Some(reply) = self.begin_reply(run) {
                let carrier = Carrier::Reply(reply);
                return Some(ItemsDraft { source, carrier, count: 0, room: 1, dropped: Vec::new() });
            }
            // Its caller does not wait any longer.
            self.sources.by_handle.get_mut(&source)?.calls.pop_front();
            self.mark_read(source);
        }
    }

    /// Sends the items that were written; none is also a number. After [`StreamEnd::Done`] and
    /// [`StreamEnd::Failed`] the generator is over: [`Event::Released`] follows. Where items are still wanted and
    /// the language does not begin again by itself, it is told by another [`Event::Pull`].
    pub fn finish_items(&mut self, draft: ItemsDraft, end: StreamEnd, now: Time) {
        self.finish_items_at(draft, end.into_end(), now);
    }

    pub(crate) fn finish_items_at(&mut self, mut draft: ItemsDraft, end: Option<Result<()>>, now: Time) {
        draft.complete(end.as_ref());
        let ItemsDraft { source: handle, carrier, count, dropped, .. } = draft;
        self.release(dropped);
        let Some(source) = self.sources.by_handle.get_mut(&handle) else {
            // Closed in the meantime.
            return carrier.abandon().into_iter().for_each(|handle| self.let_go(handle));
        };
        source.is_drafting = false;
        match carrier {
            Carrier::Reply(reply) => self.finish_answer(handle, reply, count, end, now),
            Carrier::Push(push) => self.finish_push(handle, push, count, end.is_some(), now),
        }
        self.want(handle);
    }

    fn finish_answer(
        &mut self,
        handle: Handle,
        reply: ReplyDraft,
        count: u32,
        end: Option<Result<()>>,
        now: Time,
    ) {
        if count > 0 {
            if let Some(source) = self.sources.by_handle.get_mut(&handle)
                && source.calls.front() == Some(&reply.run)
            {
                source.calls.pop_front();
            }
            self.finish_reply(reply, now);
        }
        if let Some(end) = end {
            self.end_source(handle, end, now);
        }
    }

    /// Asks the language for items where they are wanted.
    pub(super) fn want(&mut self, handle: Handle) {
        self.mark_read(handle);
        let Some(source) = self.sources.by_handle.get_mut(&handle) else { return };
        let credit = source.room();
        if credit > 0 && !source.is_drafting && !source.is_told && source.end.is_none() {
            source.is_told = true;
            self.emit(Event::Pull { source: handle, credit });
        }
    }

    /// There is room again for what is to be sent.
    pub(super) fn resume_sources(&mut self) {
        self.sources.is_stalled = false;
        let mut handles: Vec<Handle> = self.sources.by_handle.keys().copied().collect();
        handles.sort_unstable();
        handles.into_iter().for_each(|handle| self.want(handle));
    }

    /// A generator of which an item is being made is not swept, however long that takes. A reader that is sent items
    /// ahead says so itself that it is there.
    fn mark_read(&mut self, handle: Handle) {
        let Some(source) = self.sources.by_handle.get_mut(&handle) else { return };
        let is_read = source.is_called();
        if std::mem::replace(&mut source.is_marked, is_read) != is_read {
            self.objects.set_read(&source.session, is_read);
        }
    }

    /// The language's generator is over; whoever waits is told, or else who asks next.
    fn end_source(&mut self, handle: Handle, end: Result<()>, now: Time) {
        self.emit(Event::Released(handle));
        let Some(source) = self.sources.by_handle.get_mut(&handle) else { return };
        let mut waiting = std::mem::take(&mut source.calls);
        let Some(first) = waiting.pop_front() else {
            source.end = Some(end);
            return;
        };
        self.forget_export(handle);
        self.answer_end(first, end, now);
        waiting.into_iter().for_each(|run| self.answer_end(run, Ok(()), now));
    }

    fn answer_end(&mut self, run: RunId, end: Result<()>, now: Time) {
        if let Err(error) = end {
            return self.reject(run, &error, now);
        }
        let Some(mut draft) = self.begin_reply(run) else { return };
        match draft.writer.stop_iteration() {
            Ok(()) => self.finish_reply(draft, now),
            Err(error) => self.reject(run, &error, now),
        }
    }

    /// The generator and its place in the table of objects are gone.
    pub(super) fn forget_export(&mut self, handle: Handle) {
        let Some(source) = self.sources.by_handle.remove(&handle) else { return };
        if source.is_marked {
            self.objects.set_read(&source.session, false);
        }
        self.forget_place(&source.session, &source.object);
    }

    /// A generator's place is gone: whether the language still has to let go of it.
    pub(super) fn forget_source(&mut self, handle: Handle) -> bool {
        let Some(source) = self.sources.by_handle.remove(&handle) else { return true };
        if source.is_marked {
            self.objects.set_read(&source.session, false);
        }
        let error = Error::new(ErrorKind::NotFound, "Session not found: the generator was closed");
        for run in source.calls {
            if let Some(run) = self.runs.take(run) {
                self.send_refusal(&run, &error);
            }
        }
        if let Some(push) = source.push {
            self.transfers.forget_leaving(handle);
            self.push_end(&push.reader, &Err(error));
        }
        source.end.is_none()
    }

    /// A peer asks for one item.
    pub(super) fn receive_next(
        &mut self,
        frame: &bytes::Bytes,
        header: &Header<'_>,
        place: (&str, &str),
        callee: &Callee,
        now: Time,
    ) -> Result<()> {
        let Some(said) = self.read_or_refuse(frame, header, now)? else { return Ok(()) };
        // Nobody would get the item.
        let Some(run) = Run::of(header, &said, self.extensions, now) else { return Ok(()) };
        if let Err(error) = callee.admits(header, said.key) {
            self.send_reject(&run, &error, now);
            return Ok(());
        }
        let handle = callee.handle;
        let run = match self.start_run(run.unbreakable()) {
            Ok(id) => id,
            Err((run, error)) => {
                self.send_reject(&run, &error, now);
                return Ok(());
            }
        };
        let source = self.sources.at(handle, place);
        if let Some(end) = source.end.take() {
            self.forget_export(handle);
            self.answer_end(run, end, now);
        } else if source.push.is_some() {
            let error = Error::new(ErrorKind::Conflict, "the generator is being read in another way");
            self.reject(run, &error, now);
        } else {
            source.calls.push_back(run);
            self.want(handle);
        }
        Ok(())
    }

    /// A peer does not want more items.
    pub(super) fn receive_close(
        &mut self,
        frame: &bytes::Bytes,
        header: &Header<'_>,
        place: (&str, &str),
        handle: Handle,
        now: Time,
    ) -> Result<()> {
        let Some(said) = self.read_or_refuse(frame, header, now)? else { return Ok(()) };
        self.close_source(place, handle);
        if let Some(run) = Run::of(header, &said, self.extensions, now) {
            self.send_resolve(&run, TRUE, now);
        }
        Ok(())
    }

    /// The reader of a generator wants no more of it.
    pub(super) fn close_source(&mut self, (session, object): (&str, &str), handle: Handle) {
        self.forget_place(session, object);
        self.let_go(handle);
    }
}
