//! How busy a client is: the messages that it sends in a minute, the calls that it has not answered yet.
//!
//! Both are counted where frames pass by, so they cost no message of their own. A message takes no lock to be counted;
//! a call of another client takes one when it begins and when it ends, on the side that is called. Calls are known
//! by a hash of their caller and session; one that nobody answers is forgotten after [`FORGOTTEN_AFTER`].
//!
//! A call that is sent in parts is counted with the first of them, and an answer in parts ends its call with its first
//! one: those, and no other payload, are looked into, as far as the head of the message. A function that a call gives along
//! may be called back without a place of its own: the call that waits for that would wait for itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyfn_core::wire::{CANCEL, Relayed};

use crate::hub::peer::Peer;
use crate::hub::places::Taken;

/// A call that was not answered for so long is not counted any longer: its caller may have left.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Calls of other clients that are told apart; more are not counted.
const COUNTED_MAX: usize = 4096;
/// The time over which messages are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// How busy a client is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Messages that it sent in the last minute.
    pub messages_per_minute: u64,
    /// Calls to its functions that wait for their answers.
    pub calls: usize,
}

/// Counts what one client has to do.
#[derive(Debug, Default)]
pub(super) struct Meter {
    messages: Messages,
    /// Calls by the server itself, among them those over HTTP.
    own: AtomicUsize,
    relayed: Mutex<HashMap<u64, Counted>>,
    hasher: RandomState,
}

/// A call of another client.
#[derive(Debug)]
struct Counted {
    since: Duration,
    /// The message that the call is, while it may be taken back, by a hash of its sender and name.
    parts: Option<u64>,
    /// What it takes of the places of its caller, until it is answered.
    _taken: Taken,
}

impl Counted {
    fn is_recent(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) < FORGOTTEN_AFTER
    }
}

/// Two counts, from which the number in the last [`WINDOW`] is estimated.
///
/// Each word holds the number of its window above, and a count below: windows of an even number have the first word,
/// those of an odd number the second, so that the one before is still there while the next is counted.
#[derive(Debug, Default)]
struct Messages([AtomicU64; 2]);

/// Bits of a count.
const COUNT: u32 = 40;

impl Messages {
    const fn window(now: Duration) -> u64 {
        now.as_secs() / WINDOW.as_secs()
    }

    fn add(&self, now: Duration) {
        let window = Self::window(now);
        let word = &self.0[(window & 1) as usize];
        // only when two add at the turn of a window is the word changed in between
        _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            Some(if old >> COUNT == window { old + 1 } else { (window << COUNT) + 1 })
        });
    }

    fn count(&self, window: u64) -> u64 {
        let word = self.0[(window & 1) as usize].load(Ordering::Relaxed);
        if word >> COUNT == window { word & ((1 << COUNT) - 1) } else { 0 }
    }

    /// Messages of the window before count for the part of it that is less than [`WINDOW`] ago.
    fn per_window(&self, now: Duration) -> u64 {
        let window = Self::window(now);
        let passed = now.as_millis() as u64 % WINDOW.as_millis() as u64;
        let left = WINDOW.as_millis() as u64 - passed;
        let before = window.checked_sub(1).map_or(0, |before| self.count(before));
        self.count(window) + before * left / WINDOW.as_millis() as u64
    }
}

impl Meter {
    /// Counts a message that the client sent.
    pub(super) fn note_message(&self, now: Duration) {
        self.messages.add(now);
    }

    /// One call by the server more, until the guard is dropped.
    pub(super) fn hold(&self) -> Busy<'_> {
        self.own.fetch_add(1, Ordering::Relaxed);
        Busy(&self.own)
    }

    fn key(&self, caller: &str, session: &str) -> u64 {
        self.hasher.hash_one((caller, session))
    }

    fn begin(&self, caller: &str, call: &Asked<'_>, taken: Taken, now: Duration) {
        let key = self.key(caller, &call.session);
        let parts = call.parts.as_ref().map(|name| self.key(caller, name));
        let mut relayed = self.relayed.lock();
        if relayed.len() >= COUNTED_MAX {
            relayed.retain(|_, call| call.is_recent(now));
        }
        if relayed.len() < COUNTED_MAX {
            relayed.insert(key, Counted { since: now, parts, _taken: taken });
        }
    }

    /// The parts of a call were taken back before it was made.
    fn take_back(&self, caller: &str, parts: &str) {
        let parts = self.key(caller, parts);
        self.relayed.lock().retain(|_, call| call.parts != Some(parts));
    }

    /// Forgets calls that nobody has answered for long.
    pub(super) fn forget_old(&self, now: Duration) {
        self.relayed.lock().retain(|_, call| call.is_recent(now));
    }

    /// Forgets all: nobody is there any longer to answer them.
    pub(super) fn forget_all(&self) {
        self.relayed.lock().clear();
    }

    fn end(&self, caller: &str, session: &str) {
        let key = self.key(caller, session);
        self.relayed.lock().remove(&key);
    }

    /// The answer that `method` is ends its call.
    fn end_by(&self, caller: &str, method: &str) {
        if !method.starts_with("services.")
            && let Some((session, "resolve" | "reject")) = method.rsplit_once('.')
        {
            self.end(caller, session);
        }
    }

    pub(super) fn load(&self, now: Duration) -> Load {
        let messages_per_minute = self.messages.per_window(now);
        let mut relayed = self.relayed.lock();
        relayed.retain(|_, call| call.is_recent(now));
        Load { messages_per_minute, calls: relayed.len() + self.own.load(Ordering::Relaxed) }
    }
}

/// One of the calls that a [`Meter`] counts.
#[derive(Debug)]
pub(super) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call to a function of another client, which its caller waits for.
#[derive(Debug)]
struct Asked<'a> {
    session: Cow<'a, str>,
    /// The name of the message, where it comes in parts.
    parts: Option<String>,
}

impl<'a> Asked<'a> {
    fn read(relayed: &'a Relayed<'_>) -> Option<Self> {
        // the server's own functions are no client's
        if relayed.kind != "method" || relayed.to.starts_with("*/") {
            return None;
        }
        let session = relayed.session?;
        if is_work(relayed.method) {
            return Some(Self { session: Cow::Borrowed(session), parts: None });
        }
        let first = relayed.first_part().filter(|first| is_work(&first.method))?;
        Some(Self { session: Cow::Owned(first.session?), parts: Some(first.key) })
    }
}

/// To ask whether somebody is there, or to store a part of a message, is no work.
fn is_work(method: &str) -> bool {
    method.strip_prefix("services.").is_some_and(|service| !service.starts_with("built-in."))
}

/// Whether a message is a call to a function of another client, or begins one.
pub(super) fn is_call(relayed: &Relayed<'_>) -> bool {
    Asked::read(relayed).is_some()
}

/// Counts the call or the answer that `relayed` carries from `sender` to `target`; a call with what it has `taken`.
pub(super) fn note_relayed(sender: &Peer, target: &Peer, relayed: &Relayed<'_>, taken: Taken, now: Duration) {
    let caller = sender.address();
    if relayed.kind == CANCEL {
        if let Some(session) = relayed.session {
            target.meter.end(caller, session);
        }
    } else if let Some(call) = Asked::read(relayed) {
        target.meter.begin(caller, &call, taken, now);
    } else if let Some(parts) = relayed.taken_back() {
        target.meter.take_back(caller, &parts);
    } else {
        note_answer(sender, relayed);
    }
}

/// Counts the answer that `relayed` may be, or begin, whether its receiver is there or not.
pub(super) fn note_answer(sender: &Peer, relayed: &Relayed<'_>) {
    if relayed.kind != "method" {
        return;
    }
    match relayed.first_part() {
        Some(first) => sender.meter.end_by(&relayed.to, &first.method),
        None => sender.meter.end_by(&relayed.to, relayed.method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn begin(meter: &Meter, caller: &str, session: &str, parts: Option<&str>) {
        let call = Asked { session: session.into(), parts: parts.map(str::to_owned) };
        meter.begin(caller, &call, Taken::default(), at(0));
    }

    #[test]
    fn messages_count_for_a_minute() {
        let meter = Meter::default();
        for second in 0..60 {
            meter.note_message(at(second));
        }
        assert_eq!(meter.load(at(59)).messages_per_minute, 60);
        assert_eq!(meter.load(at(90)).messages_per_minute, 30);
        assert_eq!(meter.load(at(120)).messages_per_minute, 0);
        meter.note_message(at(600));
        assert_eq!(meter.load(at(601)).messages_per_minute, 1);
    }

    #[test]
    fn calls_count_until_they_are_answered_or_forgotten() {
        let meter = Meter::default();
        let busy = meter.hold();
        begin(&meter, "lab/ann", "s1", None);
        begin(&meter, "lab/bob", "s1", None);
        meter.end("lab/ann", "s1");
        meter.end("lab/ann", "unknown");
        assert_eq!(meter.load(at(1)).calls, 2);
        drop(busy);
        assert_eq!(meter.load(at(1)).calls, 1);
        assert_eq!(meter.load(FORGOTTEN_AFTER).calls, 0);
    }

    #[test]
    fn calls_in_parts_end_when_those_are_taken_back() {
        let meter = Meter::default();
        begin(&meter, "lab/ann", "s1", Some("k"));
        begin(&meter, "lab/bob", "s1", Some("k"));
        begin(&meter, "lab/ann", "s2", None);
        meter.take_back("lab/ann", "k");
        meter.take_back("lab/ann", "s2");
        assert_eq!(meter.load(at(1)).calls, 2);
        meter.end_by("lab/bob", "s1.resolve");
        meter.end_by("lab/ann", "services.s2.resolve");
        meter.end_by("lab/ann", "s2.heartbeat");
        assert_eq!(meter.load(at(1)).calls, 1);
    }

    #[test]
    fn memory_is_bounded() {
        let meter = Meter::default();
        for session in 0..COUNTED_MAX + 10 {
            begin(&meter, "lab/ann", &session.to_string(), None);
        }
        assert_eq!(meter.load(at(1)).calls, COUNTED_MAX);
    }
}
