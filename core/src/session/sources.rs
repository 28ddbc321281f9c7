//! Generators of ours that peers read (protocol section 10.5).
//!
//! The language only makes items when it is told to, by [`Event::Pull`]. A peer that knows no more than the common
//! protocol calls for each item; its calls are answered in their order.

use std::collections::{HashMap, VecDeque};

use super::callee::Callee;
use super::draft::ItemsDraft;
use super::event::{Event, RunId, StreamEnd, Time};
use super::runs::Run;
use super::session::Session;
use crate::codec::Handle;
use crate::wire::Header;
use crate::{Error, ErrorKind, Result};

/// A generator of ours.
#[derive(Debug)]
struct Source {
    /// Where it stands in the table of objects.
    session: String,
    object: String,
    /// Calls for one item each.
    calls: VecDeque<RunId>,
    /// The language writes items.
    is_drafting: bool,
    /// How it ended, which its reader has not been told. The language has let go of it already.
    end: Option<Result<()>>,
}

/// Generators of ours that peers read.
#[derive(Debug, Default)]
pub(super) struct Sources {
    by_handle: HashMap<Handle, Source>,
}

/// The encoded answer to a peer that closes a generator.
const TRUE: &[u8] = &[0xc3];

impl Sources {
    pub(super) fn len(&self) -> usize {
        self.by_handle.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_handle.is_empty()
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
        let found = self.sources.by_handle.get_mut(&source)?;
        if found.is_drafting || found.end.is_some() {
            return None;
        }
        found.calls.retain(|run| self.runs.contains(*run));
        let run = *found.calls.front()?;
        let reply = self.begin_reply(run)?;
        self.sources.by_handle.get_mut(&source)?.is_drafting = true;
        Some(ItemsDraft { source, reply, count: 0, room: 1, dropped: Vec::new() })
    }

    /// Sends the items that were written; none is also a number. After [`StreamEnd::Done`] and
    /// [`StreamEnd::Failed`] the generator is over: [`Event::Released`] follows. Where items are still wanted and
    /// the language does not begin again by itself, it is told by another [`Event::Pull`].
    pub fn finish_items(&mut self, mut draft: ItemsDraft, end: StreamEnd, now: Time) {
        let (handle, count) = (draft.source, draft.count);
        self.release(std::mem::take(&mut draft.dropped));
        let Some(source) = self.sources.by_handle.get_mut(&handle) else {
            // Closed in the meantime.
            let objects = draft.reply.writer.take_objects();
            return self.release(objects);
        };
        source.is_drafting = false;
        if count > 0 {
            source.calls.pop_front();
            self.finish_reply(draft.reply, now);
        }
        match end {
            StreamEnd::More => self.pull(handle),
            StreamEnd::Done => self.end_source(handle, Ok(()), now),
            StreamEnd::Failed(error) => self.end_source(handle, Err(error), now),
        }
        self.check_read(handle);
    }

    /// Asks the language for items where they are wanted.
    fn pull(&mut self, handle: Handle) {
        if self.sources.by_handle.get(&handle).is_some_and(|source| !source.calls.is_empty()) {
            self.emit(Event::Pull { source: handle, credit: 1 });
        }
    }

    /// A generator that nobody waits for may be swept when nobody comes back to it.
    fn check_read(&mut self, handle: Handle) {
        let Some(source) = self.sources.by_handle.get(&handle) else { return };
        if source.calls.is_empty() {
            self.objects.set_read(&source.session, false);
            if source.end.is_none() {
                self.sources.by_handle.remove(&handle);
            }
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
    fn forget_export(&mut self, handle: Handle) {
        let Some(source) = self.sources.by_handle.remove(&handle) else { return };
        self.objects.set_read(&source.session, false);
        self.forget_place(&source.session, &source.object);
    }

    /// A generator's place is gone: whether the language still has to let go of it.
    pub(super) fn forget_source(&mut self, handle: Handle) -> bool {
        let Some(source) = self.sources.by_handle.remove(&handle) else { return true };
        let error = Error::new(ErrorKind::NotFound, "Session not found: the generator was closed");
        for run in source.calls {
            if let Some(run) = self.runs.take(run) {
                self.send_refusal(&run, &error);
            }
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
        let source = self.sources.by_handle.entry(handle).or_insert_with(|| Source {
            session: place.0.to_owned(),
            object: place.1.to_owned(),
            calls: VecDeque::new(),
            is_drafting: false,
            end: None,
        });
        if let Some(end) = source.end.take() {
            self.forget_export(handle);
            self.answer_end(run, end, now);
            return Ok(());
        }
        source.calls.push_back(run);
        if source.calls.len() == 1 {
            self.objects.set_read(place.0, true);
            self.pull(handle);
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
        self.forget_place(place.0, place.1);
        self.let_go(handle);
        if let Some(run) = Run::of(header, &said, self.extensions, now) {
            self.send_resolve(&run, TRUE, now);
        }
        Ok(())
    }
}
