//! Batches of events into JavaScript: the only place that wakes it.
//!
//! The driver's thread appends to a queue; the append that finds it empty wakes JavaScript, once, however many
//! events follow. JavaScript then takes what is there in one native call (`Core::take`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode, UnknownReturnValue};
use parking_lot::Mutex;
use polyfn_core::net::Sink;
use polyfn_core::session::{Event, State};
use tokio::sync::watch;

/// Wakes one environment. Weak: what keeps the process alive is decided in JavaScript, by what is open.
pub(crate) type Wake = ThreadsafeFunction<(), UnknownReturnValue, (), Status, false, true>;

/// Events that may wait before connections stop reading.
const MAX_EVENTS: usize = 8192;
/// Bytes of events that may wait before connections stop reading.
const MAX_BYTES: usize = 64 << 20;

/// What happened on all connections of one environment.
pub(crate) struct Inbox {
    queue: Mutex<VecDeque<(u32, Event)>>,
    events: AtomicUsize,
    bytes: AtomicUsize,
    /// Connections that are not closed yet.
    open: watch::Sender<usize>,
    is_closed: AtomicBool,
    wake: Wake,
}

impl Inbox {
    pub(crate) fn new(wake: Wake) -> Self {
        Self {
            queue: Mutex::default(),
            events: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            open: watch::Sender::new(0),
            is_closed: AtomicBool::new(false),
            wake,
        }
    }

    fn push(&self, client: u32, events: &mut Vec<Event>) {
        if self.is_closed.load(Ordering::Acquire) {
            events.clear();
            return;
        }
        let bytes = events.iter().map(weight).sum();
        self.events.fetch_add(events.len(), Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        let first = {
            let mut queue = self.queue.lock();
            let first = queue.is_empty();
            queue.extend(events.drain(..).map(|event| (client, event)));
            first
        };
        if first && self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking) != Status::Ok {
            self.close();
        }
    }

    /// Takes everything that waits, behind what `taken` holds already. It counts until it is [`Inbox::done`].
    pub(crate) fn take(&self, taken: &mut VecDeque<(u32, Event)>) {
        let mut queue = self.queue.lock();
        if taken.is_empty() {
            std::mem::swap(&mut *queue, taken);
        } else {
            taken.append(&mut queue);
        }
    }

    /// Puts events before what was taken.
    pub(crate) fn put_back(&self, client: u32, events: Vec<Event>, taken: &mut VecDeque<(u32, Event)>) {
        for event in events {
            self.events.fetch_add(1, Ordering::SeqCst);
            self.bytes.fetch_add(weight(&event), Ordering::SeqCst);
            taken.push_front((client, event));
        }
    }

    /// JavaScript has this event.
    pub(crate) fn done(&self, event: &Event) {
        self.events.fetch_sub(1, Ordering::SeqCst);
        self.bytes.fetch_sub(weight(event), Ordering::SeqCst);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.events.load(Ordering::SeqCst) > MAX_EVENTS || self.bytes.load(Ordering::SeqCst) > MAX_BYTES
    }

    /// How many connections are not closed yet.
    pub(crate) fn open(&self) -> watch::Receiver<usize> {
        self.open.subscribe()
    }

    /// The environment ends: nothing is queued and nobody woken any longer.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.queue.lock().clear();
    }
}

/// What an event keeps in memory, as far as it is large.
fn weight(event: &Event) -> usize {
    match event {
        Event::Resolved { value, .. } => value.args.len(),
        Event::Invoke(invocation) => invocation.payload.args.len(),
        Event::Items { items, .. } => items.args.len(),
        Event::Signal { message, .. } => message.len(),
        _ => 0,
    }
}

/// One connection's way into the inbox.
pub(crate) struct Intake {
    client: u32,
    inbox: Arc<Inbox>,
    is_paused: AtomicBool,
}

impl Intake {
    pub(crate) fn new(client: u32, inbox: Arc<Inbox>) -> Self {
        inbox.open.send_modify(|open| *open += 1);
        Self { client, inbox, is_paused: AtomicBool::new(false) }
    }

    /// Whether the connection waits for room and there is some now.
    pub(crate) fn may_resume(&self) -> bool {
        !self.inbox.is_full() && self.is_paused.swap(false, Ordering::SeqCst)
    }

    /// The connection never came to be.
    pub(crate) fn withdraw(&self) {
        self.inbox.open.send_modify(|open| *open -= 1);
    }
}

impl Sink for Intake {
    fn deliver(&self, events: &mut Vec<Event>) {
        let is_over = events.iter().any(|event| matches!(event, Event::State(State::Closed { .. })));
        self.inbox.push(self.client, events);
        if is_over {
            self.withdraw();
        }
    }

    fn is_full(&self) -> bool {
        if !self.inbox.is_full() {
            return false;
        }
        // Said before looking again: either JavaScript sees that we wait, or we see that it has made room.
        self.is_paused.store(true, Ordering::SeqCst);
        self.inbox.is_full()
    }
}
