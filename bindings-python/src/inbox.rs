//! From the tokio thread to a loop: a bounded queue, one wake-up for all that waits. Nothing here knows Python.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use polyfn_core::net::Sink;
use polyfn_core::session::{CallId, Event};

use crate::fill::Filled;
use crate::runtime;
use crate::wake::Wake;

/// Events that may wait before connections stop to read.
const MOST_ITEMS: usize = 8_192;
/// Bytes in them.
const MOST_BYTES: usize = 64 << 20;
/// Bytes that are being copied into Python's memory; meanwhile they are held twice.
const MOST_FILLING: usize = 256 << 20;
/// Bits of a call's id below the number of its pump.
const SEQUENCE_BITS: u32 = 40;

/// Something that happened on a connection.
pub(crate) struct Item {
    /// The number of the connection.
    pub(crate) link: u64,
    pub(crate) event: Event,
}

impl Item {
    pub(crate) fn bytes(&self) -> usize {
        match &self.event {
            Event::Resolved { value, .. } => value.args.len(),
            Event::Invoke(invocation) => invocation.payload.args.len(),
            Event::Signal { message, .. } => message.len(),
            Event::Items { items, .. } => items.args.len(),
            _ => 0,
        }
    }
}

/// What waits for one loop.
pub(crate) struct Inbox {
    queue: Mutex<VecDeque<Item>>,
    /// What goes on with bytes that are filled now.
    filled: Mutex<Vec<Filled>>,
    items: AtomicUsize,
    bytes: AtomicUsize,
    filling: AtomicUsize,
    /// A connection has stopped to read because of us.
    has_stalled: AtomicBool,
    is_dead: AtomicBool,
    pub(crate) wake: Wake,
}

impl Inbox {
    pub(crate) fn new(wake: Wake) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Mutex::default(),
            items: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            filling: AtomicUsize::new(0),
            has_stalled: AtomicBool::new(false),
            is_dead: AtomicBool::new(false),
            wake,
        }
    }

    /// Any thread; never attaches.
    fn push(&self, items: impl Iterator<Item = Item>) {
        if self.is_dead.load(Ordering::Acquire) || runtime::has_exited() {
            return items.for_each(drop);
        }
        let (mut count, mut bytes) = (0, 0);
        let was_empty = {
            let mut queue = self.queue.lock();
            let was_empty = queue.is_empty();
            queue.extend(items.inspect(|item| {
                count += 1;
                bytes += item.bytes();
            }));
            // Under the lock: a drain that takes them must find them counted.
            self.items.fetch_add(count, Ordering::SeqCst);
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
            was_empty
        };
        if was_empty && count > 0 {
            self.wake.raise();
        }
    }

    /// Moves everything that waits behind `backlog`.
    pub(crate) fn take(&self, backlog: &mut VecDeque<Item>) {
        let mut queue = self.queue.lock();
        if backlog.is_empty() {
            std::mem::swap(backlog, &mut queue);
        } else {
            backlog.append(&mut queue);
        }
    }

    /// Notes that so much was worked off; true when stopped connections may read again.
    pub(crate) fn settle(&self, items: usize, bytes: usize) -> bool {
        self.items.fetch_sub(items, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        !self.is_over() && self.has_stalled.swap(false, Ordering::SeqCst)
    }

    /// So many bytes more are being filled on another thread.
    pub(crate) fn begin_fill(&self, bytes: usize) {
        self.filling.fetch_add(bytes, Ordering::SeqCst);
    }

    /// They are: the loop goes on with them. Any thread; never attaches.
    pub(crate) fn end_fill(&self, filled: Filled) {
        self.filling.fetch_sub(filled.bytes, Ordering::SeqCst);
        let mut ready = self.filled.lock();
        // Looked at under the lock: what comes behind the end would never be taken.
        if !self.is_dead.load(Ordering::Acquire) && !runtime::has_exited() {
            ready.push(filled);
            self.wake.raise();
        }
    }

    pub(crate) fn take_filled(&self) -> Vec<Filled> {
        std::mem::take(&mut *self.filled.lock())
    }

    fn is_over(&self) -> bool {
        self.items.load(Ordering::SeqCst) > MOST_ITEMS
            || self.bytes.load(Ordering::SeqCst) > MOST_BYTES
            || self.filling.load(Ordering::SeqCst) > MOST_FILLING
    }

    fn is_full(&self) -> bool {
        if !self.is_over() || self.is_dead.load(Ordering::Acquire) {
            return false;
        }
        self.has_stalled.store(true, Ordering::SeqCst);
        // The drain may have passed between the two: it would not see the flag, so look again.
        self.is_over()
    }

    /// The loop is closed: what comes later is dropped.
    pub(crate) fn end(&self) {
        self.is_dead.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut *self.queue.lock());
        drop((waiting, self.take_filled()));
        self.wake.end();
    }
}

/// The id of a call or a stream: it names the pump that waits for what comes of it.
pub(crate) const fn call_id(pump: u64, sequence: u64) -> CallId {
    (pump << SEQUENCE_BITS) | (sequence & ((1 << SEQUENCE_BITS) - 1))
}

/// Where a connection's events go: the loop that connected, and for answers the loop that asked.
pub(crate) struct Mailbox {
    link: u64,
    home: (u64, Arc<Inbox>),
    others: RwLock<Vec<(u64, Arc<Inbox>)>>,
}

impl Mailbox {
    pub(crate) fn new(link: u64, pump: u64, inbox: Arc<Inbox>) -> Self {
        Self { link, home: (pump, inbox), others: RwLock::default() }
    }

    /// Answers to calls of this pump, and items of its streams, go to its inbox.
    pub(crate) fn add(&self, pump: u64, inbox: &Arc<Inbox>) {
        if pump != self.home.0 && !self.others.read().iter().any(|(number, _)| *number == pump) {
            let mut others = self.others.write();
            others.retain(|(_, inbox)| !inbox.is_dead.load(Ordering::Acquire));
            others.push((pump, inbox.clone()));
        }
    }

    fn pump_of(&self, event: &Event) -> u64 {
        match event {
            Event::Resolved { call: id, .. }
            | Event::Rejected { call: id, .. }
            | Event::Items { stream: id, .. } => *id >> SEQUENCE_BITS,
            _ => self.home.0,
        }
    }
}

impl Sink for Mailbox {
    fn deliver(&self, events: &mut Vec<Event>) {
        let item = |event| Item { link: self.link, event };
        let others = self.others.read();
        if others.is_empty() {
            return self.home.1.push(events.drain(..).map(item));
        }
        for (number, inbox) in others.iter() {
            inbox.push(events.extract_if(.., |event| self.pump_of(event) == *number).map(item));
        }
        self.home.1.push(events.drain(..).map(item));
    }

    fn is_full(&self) -> bool {
        self.home.1.is_full() || self.others.read().iter().any(|(_, inbox)| inbox.is_full())
    }
}
