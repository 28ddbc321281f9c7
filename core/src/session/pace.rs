//! How many parts of a long message may be under way: few enough that small calls do not wait behind them.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::Time;

/// What parts may wait in sockets and queues, beside the way itself: everything else waits as long. On a way within one
/// machine more of it makes nothing faster: who reads, passes on and writes share its processors.
const PATIENCE: Duration = Duration::from_micros(250);
/// The same as a part of the time that the way itself takes, where that is more.
const PART_OF_WAY: u32 = 4;
/// So many are under way however long they take. Where the line stands still between two, more follow at once.
const LEAST: usize = 1;

/// Watches how long parts take to be confirmed, as delay-based congestion control does (RFC 6817).
#[derive(Debug, Default)]
pub(super) struct Pace {
    sent: VecDeque<Time>,
    fastest: Option<Duration>,
    /// Beside [`LEAST`].
    more: usize,
}

impl Pace {
    /// Whether one part more may leave, where `max` are allowed at most.
    pub(super) fn allows(&self, max: usize) -> bool {
        self.sent.len() < (LEAST + self.more).min(max)
    }

    pub(super) fn leaves(&mut self, now: Time) {
        self.sent.push_back(now);
    }

    /// A part was confirmed; they are so in the order in which they left.
    pub(super) fn returned(&mut self, now: Time, max: usize) {
        let Some(sent) = self.sent.pop_front() else { return };
        let took = now.saturating_sub(sent);
        let fastest = self.fastest.map_or(took, |fastest| fastest.min(took));
        self.fastest = Some(fastest);
        if took <= fastest + PATIENCE.max(fastest / PART_OF_WAY) {
            self.more = (self.more + 1).min(max.saturating_sub(LEAST));
        } else {
            self.more -= self.more.div_ceil(4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 16;

    /// Parts that take as long as `took` says for the number that are under way.
    fn settled(took: impl Fn(usize) -> u64) -> usize {
        let (mut pace, mut now) = (Pace::default(), Time::ZERO);
        for _ in 0..200 {
            while pace.allows(MAX) {
                pace.leaves(now);
            }
            now += Duration::from_millis(took(pace.sent.len()));
            pace.returned(now, MAX);
        }
        while pace.allows(MAX) {
            pace.leaves(now);
        }
        pace.sent.len()
    }

    #[test]
    fn a_line_that_holds_them_gets_all() {
        assert_eq!(settled(|_| 0), MAX);
    }

    #[test]
    fn parts_that_only_wait_are_not_sent() {
        let under_way = settled(|parts| 2 * parts as u64);
        assert!((LEAST..6).contains(&under_way), "{under_way}");
    }

    #[test]
    fn no_limit_is_passed() {
        let mut pace = Pace::default();
        assert!(pace.allows(1));
        pace.leaves(Time::ZERO);
        assert!(!pace.allows(1));
        pace.returned(Time::ZERO, 1);
        assert!(pace.allows(1) && !pace.allows(0));
    }
}
