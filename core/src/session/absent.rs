//! Callers that have gone and may come back: who has lost its connection for a moment comes back under its name, and waits for
//! its calls. Replies that are ready meanwhile wait for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::calls::Owner;
use super::draft::Beside;
use super::event::Time;
use super::session::Session;
use super::transfer::Waiter;
use crate::codec::Package;

/// How long functions go on for a caller that has gone, before it is asked.
const COMES_BACK: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const ANSWERS: Duration = Duration::from_secs(2);

/// A reply that is to leave, to the caller itself.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) to: String,
    pub(super) message: Package,
    pub(super) waiter: Waiter,
    pub(super) beside: Beside,
}

/// A caller that has gone.
#[derive(Debug)]
struct Gone {
    until: Time,
    /// Whether it was asked if it is back: who only waits says nothing by itself.
    is_asked: bool,
    replies: Vec<Ready>,
}

/// All callers that have gone.
#[derive(Debug, Default)]
pub(super) struct Absent {
    by_name: HashMap<String, Gone>,
    /// Bytes of replies.
    bytes: usize,
}

/// Callers for which it is time.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// To be asked whether they have come back.
    pub(super) asked: Vec<String>,
    /// They have not come back.
    pub(super) lost: Vec<String>,
}

impl Absent {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next_check(&self) -> Option<Time> {
        self.by_name.values().map(|gone| gone.until).min()
    }

    /// A caller has gone; gives until when it is waited for.
    pub(super) fn leaves(&mut self, caller: &str, now: Time) -> Time {
        let until = now + COMES_BACK;
        let new = || Gone { until, is_asked: false, replies: Vec::new() };
        let gone = self.by_name.entry(caller.to_owned()).or_insert_with(new);
        (gone.until, gone.is_asked) = (until, false);
        until
    }

    /// A caller is there; gives what waits for it.
    pub(super) fn is_there(&mut self, caller: &str) -> Vec<Ready> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        self.by_name.remove(caller).map(|gone| self.emptied(gone)).unwrap_or_default()
    }

    fn emptied(&mut self, gone: Gone) -> Vec<Ready> {
        self.bytes -= gone.replies.iter().map(|reply| reply.message.len()).sum::<usize>();
        gone.replies
    }

    /// Keeps a reply for a caller that has gone; gives it back when that is there, or there is no room for it among `max` bytes.
    fn keep(&mut self, reply: Ready, max: usize) -> Option<Ready> {
        if self.by_name.is_empty() || self.bytes + reply.message.len() > max {
            return Some(reply);
        }
        let Some(gone) = self.by_name.get_mut(&reply.to) else { return Some(reply) };
        self.bytes += reply.message.len();
        gone.replies.push(reply);
        None
    }

    /// Whose time is over now.
    pub(super) fn due(&mut self, now: Time) -> Overdue {
        let mut due = Overdue::default();
        for (caller, gone) in self.by_name.iter_mut().filter(|(_, gone)| gone.until <= now) {
            if gone.is_asked {
                due.lost.push(caller.clone());
            } else {
                (gone.until, gone.is_asked) = (now + ANSWERS, true);
                due.asked.push(caller.clone());
            }
        }
        due.lost.iter().for_each(|caller| drop(self.is_there(caller)));
        due
    }
}

impl Session {
    /// Sends a reply, or keeps it until its caller is back: as much as may wait to be sent.
    pub(super) fn send_reply(&mut self, reply: Ready, now: Time) {
        if let Some(reply) = self.runs.absent.keep(reply, self.options.send_buffer) {
            self.send_ready(reply, now);
        }
    }

    /// A caller is there: sends what has waited for it.
    pub(super) fn is_there(&mut self, caller: &str, now: Time) {
        self.runs.absent.is_there(caller).into_iter().for_each(|reply| self.send_ready(reply, now));
    }

    /// We are back: those whose answers we wait for may have kept them.
    pub(super) fn say_that_we_are_back(&mut self, now: Time) {
        if self.extensions.is_empty() {
            return;
        }
        let waits = self.calls.all().filter(|(_, call)| matches!(call.owner, Owner::Language(_)));
        let peers: HashSet<String> =
            waits.map(|(_, call)| call.target.clone()).filter(|peer| *peer != self.manager).collect();
        peers.iter().for_each(|peer| self.ask_whether_there(peer, now));
    }

    fn send_ready(&mut self, Ready { to, message, waiter, beside }: Ready, now: Time) {
        self.send_long(&to, message, waiter, beside, now);
    }
}
