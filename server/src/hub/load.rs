//! How busy a client is: the messages that it sends in a minute, the calls that it has not answered yet.
//!
//! Both are counted where frames pass by, so they cost a few nanoseconds and no message of their own. Calls are known
//! by a hash of their caller and session; one that nobody answers is forgotten after [`FORGOTTEN_AFTER`].

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use polyfn_core::wire::{CANCEL, Relayed};

use crate::hub::peer::Peer;

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
    messages: Mutex<Window>,
    /// Calls by the server itself, among them those over HTTP.
    own: AtomicUsize,
    relayed: Mutex<HashMap<u64, Duration>>,
    hasher: RandomState,
}

/// Two counts, from which the number in the last [`WINDOW`] is estimated.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    index: u64,
    count: u64,
    before: u64,
}

impl Window {
    const fn turn(&mut self, now: Duration) {
        let index = now.as_secs() / WINDOW.as_secs();
        if index != self.index {
            self.before = if index == self.index + 1 { self.count } else { 0 };
            self.count = 0;
            self.index = index;
        }
    }

    const fn add(&mut self, now: Duration) {
        self.turn(now);
        self.count += 1;
    }

    /// Messages of the window before count for the part of it that is less than [`WINDOW`] ago.
    fn per_window(mut self, now: Duration) -> u64 {
        self.turn(now);
        let passed = now.as_millis() as u64 % WINDOW.as_millis() as u64;
        let left = WINDOW.as_millis() as u64 - passed;
        self.count + self.before * left / WINDOW.as_millis() as u64
    }
}

impl Meter {
    /// Counts a message that the client sent.
    pub(super) fn note_message(&self, now: Duration) {
        self.messages.lock().add(now);
    }

    /// One call by the server more, until the guard is dropped.
    pub(super) fn hold(&self) -> Busy<'_> {
        self.own.fetch_add(1, Ordering::Relaxed);
        Busy(&self.own)
    }

    fn key(&self, caller: &str, session: &str) -> u64 {
        self.hasher.hash_one((caller, session))
    }

    fn begin(&self, caller: &str, session: &str, now: Duration) {
        let key = self.key(caller, session);
        let mut relayed = self.relayed.lock();
        if relayed.len() >= COUNTED_MAX {
            relayed.retain(|_, since| now.saturating_sub(*since) < FORGOTTEN_AFTER);
        }
        if relayed.len() < COUNTED_MAX {
            relayed.insert(key, now);
        }
    }

    fn end(&self, caller: &str, session: &str) {
        let key = self.key(caller, session);
        self.relayed.lock().remove(&key);
    }

    pub(super) fn load(&self, now: Duration) -> Load {
        let messages_per_minute = self.messages.lock().per_window(now);
        let mut relayed = self.relayed.lock();
        relayed.retain(|_, since| now.saturating_sub(*since) < FORGOTTEN_AFTER);
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

/// Counts the call or the answer that `relayed` carries from `sender` to `target`.
pub(super) fn note_relayed(sender: &Peer, target: &Peer, relayed: &Relayed<'_>, now: Duration) {
    if relayed.kind == CANCEL {
        if let Some(session) = relayed.session {
            target.meter.end(sender.address(), session);
        }
        return;
    }
    if relayed.kind != "method" {
        return;
    }
    if let Some(service) = relayed.method.strip_prefix("services.") {
        // to ask whether somebody is there, or to send a part of a message, is no work
        if let Some(session) = relayed.session.filter(|_| !service.starts_with("built-in.")) {
            target.meter.begin(sender.address(), session, now);
        }
        return;
    }
    if let Some((session, "resolve" | "reject")) = relayed.method.rsplit_once('.') {
        sender.meter.end(target.address(), session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
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
        meter.begin("lab/ann", "s1", at(0));
        meter.begin("lab/bob", "s1", at(0));
        meter.end("lab/ann", "s1");
        meter.end("lab/ann", "unknown");
        assert_eq!(meter.load(at(1)).calls, 2);
        drop(busy);
        assert_eq!(meter.load(at(1)).calls, 1);
        assert_eq!(meter.load(FORGOTTEN_AFTER).calls, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let meter = Meter::default();
        for session in 0..COUNTED_MAX + 10 {
            meter.begin("lab/ann", &session.to_string(), at(0));
        }
        assert_eq!(meter.load(at(1)).calls, COUNTED_MAX);
    }
}
