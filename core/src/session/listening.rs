//! Whether what comes is taken. While it is not, nobody can be blamed for silence: only deadlines end what is under way.

use std::time::Duration;

use super::event::Time;
use super::session::Session;

/// Since when what comes is taken; nothing while it is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening(Option<Time>);

impl Default for Listening {
    fn default() -> Self {
        Self(Some(Time::ZERO))
    }
}

impl Listening {
    /// Whether somebody who was heard of last at `heard` has been silent for too long.
    pub(super) fn is_silent(self, heard: Time, timeout: Duration, now: Time) -> bool {
        // without any time to answer there is no difference
        timeout.is_zero() || self.0.is_some_and(|since| heard.max(since) + timeout <= now)
    }

    /// When to look again whether they have.
    pub(super) fn next_check(self, heard: Time, timeout: Duration, now: Time) -> Time {
        self.0.map_or(now, |since| heard.max(since)) + timeout
    }
}

impl Session {
    /// Says whether what comes is taken from now on. A driver stops to take it when the language does not keep up:
    /// what others have said meanwhile waits in the socket, so calls and streams end by their deadlines alone, and
    /// have their whole time again when it goes on.
    pub fn listen(&mut self, listens: bool, now: Time) {
        if listens != self.listening.0.is_some() {
            self.listening = Listening(listens.then_some(now));
        }
    }
}
