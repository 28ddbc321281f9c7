//! Who has not been heard of for long is asked for a sign of life, and let go when none comes.
//!
//! A connection whose other end is gone without a word looks open for many minutes. Its callers would wait that long.

use std::time::Duration;

use crate::hub::hub::Hub;
use crate::hub::peer::Peer;
use crate::hub::queue::{Ending, Item};
use crate::limits::Seconds;

/// How many times a client is asked before it is let go.
const QUESTIONS: u32 = 3;

/// What is known of a client's silence; looked at from time to time, so that its messages need not be timed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// How much was heard when something new was last heard.
    heard: u64,
    /// When that was looked at.
    since: Duration,
    /// Questions since then.
    asked: u32,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Fine,
    Ask,
    Gone,
}

impl Silence {
    pub(super) const fn new(now: Duration) -> Self {
        Self { heard: 0, since: now, asked: 0 }
    }

    fn look(&mut self, heard: u64, limit: Duration, now: Duration) -> Look {
        if heard != self.heard {
            *self = Self { heard, since: now, asked: 0 };
        }
        let silent = now.saturating_sub(self.since);
        if silent >= limit && self.asked > 0 {
            return Look::Gone;
        }
        // one part of the time for each question, and one for the last answer
        if silent >= limit * (self.asked + 1) / (QUESTIONS + 1) {
            self.asked += 1;
            return Look::Ask;
        }
        Look::Fine
    }
}

impl Hub {
    /// How often to look after the clients.
    pub(super) fn time_between_looks(&self) -> Duration {
        let limits = &self.limits;
        let shortest = [limits.ws_idle_timeout, limits.client_silence_timeout]
            .map(Seconds::duration)
            .into_iter()
            .filter(|limit| !limit.is_zero())
            .min();
        shortest.unwrap_or_default() / 16
    }

    /// Asks the silent, lets go of those who do not answer and of those who have nothing to say for too long.
    pub(super) fn look_after_clients(&self) {
        let now = self.elapsed();
        for workspace in self.registry.workspaces() {
            for peer in &workspace.clients() {
                peer.meter.forget_old(now);
                // a reader that waits for somebody else hears nothing
                if peer.is_waiting() {
                    continue;
                }
                self.close_idle(peer, now);
                self.listen(peer, now);
            }
        }
    }

    fn close_idle(&self, peer: &Peer, now: Duration) {
        let limit = self.limits.ws_idle_timeout.duration();
        if now.saturating_sub(peer.last_active()) >= limit {
            peer.queue.close(Ending::told(1001, format!("Idle timeout ({}s)", limit.as_secs_f64())));
        }
    }

    fn listen(&self, peer: &Peer, now: Duration) {
        let limit = self.limits.client_silence_timeout.duration();
        if limit.is_zero() {
            return;
        }
        match peer.silence.lock().look(peer.heard(), limit, now) {
            Look::Fine => {}
            // a queue without room is not taken from, which is looked after elsewhere
            Look::Ask => _ = peer.queue.push_urgent(Item::Ping),
            Look::Gone => {
                tracing::info!(client = peer.address(), "no sign of life");
                let text = format!("No sign of life for {}s", limit.as_secs_f64());
                peer.queue.close(Ending::told(1001, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(8);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_silent_are_asked_and_then_let_go() {
        let mut silence = Silence::new(at(0));
        let looks: Vec<_> = (1..=8).map(|second| silence.look(0, LIMIT, at(second))).collect();
        let expected =
            [Look::Fine, Look::Ask, Look::Fine, Look::Ask, Look::Fine, Look::Ask, Look::Fine, Look::Gone];
        assert_eq!(looks, expected);
    }

    #[test]
    fn a_sign_of_life_begins_the_time_anew() {
        let mut silence = Silence::new(at(0));
        assert_eq!(silence.look(0, LIMIT, at(7)), Look::Ask);
        assert_eq!(silence.look(1, LIMIT, at(8)), Look::Fine);
        assert_eq!(silence.look(1, LIMIT, at(9)), Look::Fine);
        assert_eq!(silence.look(1, LIMIT, at(10)), Look::Ask);
    }

    #[test]
    fn nobody_is_let_go_without_a_question() {
        let mut silence = Silence::new(at(0));
        assert_eq!(silence.look(0, LIMIT, at(100)), Look::Ask);
        assert_eq!(silence.look(0, LIMIT, at(101)), Look::Gone);
    }
}
