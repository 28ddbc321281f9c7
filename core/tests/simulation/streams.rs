//! What the program of a client does with generators: its own, and those of others that it reads.

use std::collections::BTreeMap;
use std::time::Duration;

use polyfn_core::codec::{Handle, StreamStub};
use polyfn_core::session::{Payload, Session, StreamEnd, StreamId};
use polyfn_core::{Error, Value};

/// How many items every generator has, at most.
const MOST: u64 = 60;

/// A generator of this client: it counts up.
struct Source {
    next: i64,
    end: i64,
}

/// A generator of a peer: its items must come in order, from 0 on, each of them once.
struct Reading {
    next: i64,
    end: i64,
    /// The reader leaves after so many items.
    leaves_at: Option<i64>,
}

/// All generators of one client.
#[derive(Default)]
pub(crate) struct Streams {
    sources: BTreeMap<Handle, Source>,
    reading: BTreeMap<StreamId, Reading>,
    last: StreamId,
    /// How many were read to their end.
    pub(crate) whole: usize,
}

/// How many items the generator of this call has.
const fn length(token: u64) -> i64 {
    (token % MOST) as i64
}

impl Streams {
    /// A generator that is about to be given away.
    pub(crate) fn give(&mut self, handle: Handle, token: u64) -> Value {
        self.sources.insert(handle, Source { next: 0, end: length(token) });
        Value::Generator(handle)
    }

    /// Whether a handle that is let go of belongs to a generator.
    pub(crate) fn release(&mut self, handle: Handle) -> bool {
        self.sources.remove(&handle).is_some()
    }

    /// Produces what is wanted.
    pub(crate) fn pull(&mut self, session: &mut Session, handle: Handle, credit: u32, now: Duration) {
        let Some(source) = self.sources.get_mut(&handle) else { panic!("{handle} is pulled after its end") };
        let Some(mut draft) = session.begin_items(handle) else { return };
        let wanted = source.next + i64::from(credit);
        while source.next < wanted.min(source.end) && !draft.is_full() {
            draft.item(|out| out.int(source.next)).unwrap();
            source.next += 1;
        }
        let end = if source.next == source.end { StreamEnd::Done } else { StreamEnd::More };
        session.finish_items(draft, end, now);
    }

    /// Begins to read a generator that came with the result of the call `token`; some are left alone, some early.
    pub(crate) fn read(&mut self, session: &mut Session, stub: &StreamStub, token: u64, now: Duration) {
        if token.is_multiple_of(7) {
            return session.discard_stream(stub, now);
        }
        self.last += 1;
        let leaves_at = token.is_multiple_of(5).then_some(3);
        match session.open_stream(self.last, stub, now) {
            Ok(()) => {
                self.reading.insert(self.last, Reading { next: 0, end: length(token), leaves_at });
            }
            Err(error) => panic!("a stream cannot be opened: {error}"),
        }
    }

    /// Items have come, or an end, or both.
    pub(crate) fn items(
        &mut self,
        session: &mut Session,
        id: StreamId,
        items: &Payload,
        count: u32,
        end: Option<&Result<(), Error>>,
        now: Duration,
    ) {
        let Some(reading) = self.reading.get_mut(&id) else { panic!("items of stream {id}, which is over") };
        let (values, _) = items.values().unwrap();
        assert_eq!(values.len(), count as usize);
        for value in values {
            assert_eq!(value, Value::Int(reading.next), "items are lost, doubled or out of order");
            reading.next += 1;
        }
        if end == Some(&Ok(())) {
            assert_eq!(reading.next, reading.end, "the end comes before the last item");
            self.whole += 1;
        }
        if end.is_some() {
            self.reading.remove(&id);
        } else if reading.leaves_at.is_some_and(|at| reading.next >= at) {
            self.reading.remove(&id);
            session.close_stream(id, now);
        } else {
            session.grant(id, count, now);
        }
    }

    pub(crate) fn check_empty(&self, number: usize) {
        let (sources, reading) = (self.sources.len(), self.reading.len());
        assert_eq!((sources, reading), (0, 0), "c{number}: generators given away, generators read");
    }
}
