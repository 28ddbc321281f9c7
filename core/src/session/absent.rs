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
/// How often it is asked while a reply waits for it.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

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
    /// Whether it was asked for the last time if it is back: who only waits says nothing by itself.
    is_last: bool,
    /// When it is asked before that, since a reply waits for it.
    asked: Option<Time>,
    replies: Vec<Ready>,
}

/// All callers that have gone.
#[derive(Debug, Default)]
pub(super) struct Absent {
    by_name: HashMap<String, Gone>,
    /// Bytes of replies.
    bytes: usize,
    /// We are away ourselves: nobody can answer.
    is_paused: bool,
    next_check: Option<Time>,
}

/// Callers for which it is time.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// To be asked whether they have come back.
    pub(super) asked: Vec<String>,
    /// They have not come back.
    pub(super) lost: Vec<String>,
}

impl Gone {
    fn new(now: Time) -> Self {
        Self { until: now + COMES_BACK, is_last: false, asked: None, replies: Vec::new() }
    }

    fn wait_anew(&mut self, now: Time) {
        (self.until, self.is_last) = (now + COMES_BACK, false);
    }
}

impl Absent {
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn next_check(&self) -> Option<Time> {
        self.next_check
    }

    /// Whether it is known that a caller has gone.
    pub(super) fn knows(&self, caller: &str) -> bool {
        self.by_name.contains_key(caller)
    }

    /// Whether replies wait for a caller, and functions in them.
    pub(super) fn keeps_for(&self, caller: &str) -> bool {
        self.by_name.get(caller).is_some_and(|gone| !gone.replies.is_empty())
    }

    /// A caller has gone, maybe not for the first time.
    pub(super) fn leaves(&mut self, caller: &str, now: Time) {
        self.by_name.entry(caller.to_owned()).or_insert_with(|| Gone::new(now)).wait_anew(now);
        self.plan();
    }

    /// A caller is there; gives what waits for it.
    pub(super) fn is_there(&mut self, caller: &str) -> Vec<Ready> {
        if self.by_name.is_empty() {
            return Vec::new();
        }
        let replies = self.by_name.remove(caller).map(|gone| gone.replies).unwrap_or_default();
        self.bytes -= replies.iter().map(|reply| reply.message.len()).sum::<usize>();
        self.plan();
        replies
    }

    /// Keeps a reply for a caller that has gone; gives it back when that is there, or there is no room for it among `max` bytes.
    fn keep(&mut self, reply: Ready, max: usize, now: Time) -> Option<Ready> {
        if self.by_name.is_empty() || self.bytes + reply.message.len() > max {
            return Some(reply);
        }
        let Some(gone) = self.by_name.get_mut(&reply.to) else { return Some(reply) };
        gone.asked.get_or_insert(now);
        self.bytes += reply.message.len();
        gone.replies.push(reply);
        self.plan();
        None
    }

    /// We are away ourselves.
    pub(super) fn pause(&mut self) {
        self.is_paused = true;
        self.plan();
    }

    /// We are back, and so may be all others.
    pub(super) fn resume(&mut self, now: Time) {
        self.is_paused = false;
        for gone in self.by_name.values_mut() {
            gone.wait_anew(now);
            gone.asked = gone.asked.map(|_| now);
        }
        self.plan();
    }

    /// Whose time is over now.
    pub(super) fn due(&mut self, now: Time) -> Overdue {
        let mut due = Overdue::default();
        if self.next_check.is_none_or(|at| at > now) {
            return due;
        }
        for (caller, gone) in &mut self.by_name {
            if gone.until <= now && gone.is_last {
                due.lost.push(caller.clone());
            } else if gone.until <= now {
                (gone.until, gone.is_last) = (now + ANSWERS, true);
                due.asked.push(caller.clone());
            } else if gone.asked.is_some_and(|at| at <= now) {
                gone.asked = Some(now + ASKED_AGAIN);
                due.asked.push(caller.clone());
            }
        }
        due.lost.iter().for_each(|caller| drop(self.is_there(caller)));
        self.plan();
        due
    }

    fn plan(&mut self) {
        let times = self.by_name.values().flat_map(|gone| gone.asked.into_iter().chain([gone.until]));
        self.next_check = if self.is_paused { None } else { times.min() };
    }
}

impl Session {
    /// Sends a reply, or keeps it until its caller is back: as much as may wait to be sent.
    pub(super) fn send_reply(&mut self, reply: Ready, now: Time) {
        if let Some(reply) = self.runs.absent.keep(reply, self.options.send_buffer, now) {
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
