//! How long the parts of a long message are, how many may be under way, and when: so that small calls do not wait behind them.

use std::collections::VecDeque;
use std::time::Duration;

use super::event::Time;

/// What parts may wait in sockets and queues, beside the way itself: everything else waits as long. On a way within one
/// machine more of it makes nothing faster: who reads, passes on and writes share its processors.
const PATIENCE: Duration = Duration::from_micros(250);
/// The same as a part of the time that the way itself takes, where that is more, or where others speak.
const PART_OF_WAY: u32 = 4;
/// So many are under way however long they take. Where the line stands still between two, more follow at once.
const LEAST: usize = 1;
/// Bytes of a part while others speak, who may have to wait for one of them wherever they pass.
const SHORT: usize = 64 << 10;
/// Parts that are short after somebody has spoken.
const COURTEOUS: usize = 32;
/// Where parts take less than this, one leaves right behind each message of others: then it is on the way where they
/// are not. Anywhere else it would meet them, or their answers.
const NEAR: Duration = Duration::from_millis(1);
/// So long a part waits for the next message of others, at most.
pub(super) const TURN: Duration = Duration::from_millis(2);
/// Whoever takes longer than this to speak again is not waited for: the line stands still meanwhile.
const SOON: Duration = Duration::from_micros(800);
/// Parts that do not wait then.
const HURRIED: usize = 12;

/// Makes parts short, and lets them wait for their turn, as long as others speak.
#[derive(Debug)]
pub(super) struct Courtesy {
    /// What others had said when the last part was cut.
    heard: u64,
    /// Parts that are still to be short.
    left: usize,
    /// Parts that do not wait for their turn.
    hurried: usize,
}

impl Courtesy {
    /// For a message that begins to leave when others have said so much.
    pub(super) const fn new(said: u64) -> Self {
        Self { heard: said, left: 0, hurried: 0 }
    }

    /// Bytes of the next part, `max` at most.
    pub(super) fn cut(&mut self, said: u64, max: usize) -> usize {
        if self.heard != said {
            (self.heard, self.left) = (said, COURTEOUS);
        }
        self.hurried = self.hurried.saturating_sub(1);
        if self.left == 0 {
            return max;
        }
        self.left -= 1;
        SHORT.min(max)
    }

    /// Whether a part is to wait until others speak.
    pub(super) const fn waits(&self, said: u64) -> bool {
        self.left > 0 && self.hurried == 0 && self.heard == said
    }

    /// A part has waited so long.
    pub(super) fn waited(&mut self, time: Duration) {
        if time > SOON {
            self.hurried = HURRIED;
        }
    }
}

/// A part that is not confirmed yet.
#[derive(Debug)]
struct Sent {
    at: Time,
    bytes: usize,
}

/// Watches how long parts take to be confirmed, as delay-based congestion control does (RFC 6817).
#[derive(Debug, Default)]
pub(super) struct Pace {
    sent: VecDeque<Sent>,
    under_way: usize,
    /// The least time that parts of so many bytes took.
    fastest: Option<(usize, Duration)>,
    /// Beside [`LEAST`].
    more: usize,
}

impl Pace {
    /// Whether one part more may leave, where `max` bytes are allowed at most.
    pub(super) fn allows(&self, bytes: usize, max: usize) -> bool {
        self.sent.len() < LEAST + self.more && self.under_way + bytes <= max
    }

    /// Whether parts are at their end so soon that they can be kept out of the way of others.
    pub(super) fn is_near(&self) -> bool {
        self.fastest.is_some_and(|(_, took)| took < NEAR)
    }

    pub(super) fn leaves(&mut self, bytes: usize, now: Time) {
        self.under_way += bytes;
        self.sent.push_back(Sent { at: now, bytes });
    }

    /// A part was confirmed; they are so in the order in which they left. `whole` parts are not cut short.
    pub(super) fn returned(&mut self, now: Time, whole: usize) {
        let Some(Sent { at, bytes }) = self.sent.pop_front() else { return };
        self.under_way -= bytes;
        let took = now.saturating_sub(at);
        let known = self.fastest.filter(|(of, _)| *of == bytes);
        let fastest = known.map_or(took, |(_, fastest)| fastest.min(took));
        self.fastest = Some((bytes, fastest));
        let of_way = fastest / PART_OF_WAY;
        let patience = if bytes < whole { of_way } else { PATIENCE.max(of_way) };
        if took <= fastest + patience {
            // no more than there is room for: else the window would be wide open when it gets narrow again
            self.more = (self.more + 1).min(self.sent.len() + 1);
        } else {
            self.more -= self.more.div_ceil(4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: usize = 4 * SHORT;
    const MAX: usize = 16;

    /// Parts of so many bytes that take as long as `took` says for the number that are under way.
    fn settled(bytes: usize, took: impl Fn(u64) -> u64) -> usize {
        let (mut pace, mut now) = (Pace::default(), Time::ZERO);
        for _ in 0..200 {
            while pace.allows(bytes, MAX * WHOLE) {
                pace.leaves(bytes, now);
            }
            now += Duration::from_micros(took(pace.sent.len() as u64));
            pace.returned(now, WHOLE);
        }
        while pace.allows(bytes, MAX * WHOLE) {
            pace.leaves(bytes, now);
        }
        pace.sent.len()
    }

    #[test]
    fn a_line_that_holds_them_gets_all() {
        assert_eq!(settled(WHOLE, |_| 0), MAX);
        assert_eq!(settled(SHORT, |_| 0), 4 * MAX, "as many bytes");
    }

    #[test]
    fn a_long_way_is_filled_although_others_speak() {
        let mut pace = Pace::default();
        for _ in 0..8 * MAX {
            let now = pace.sent.front().map_or(Time::ZERO, |sent| sent.at + Duration::from_secs(1));
            pace.returned(now, WHOLE);
            while pace.allows(SHORT, MAX * WHOLE) {
                pace.leaves(SHORT, now);
            }
        }
        assert_eq!(pace.sent.len(), 4 * MAX);
    }

    #[test]
    fn parts_that_only_wait_are_not_sent() {
        let under_way = settled(WHOLE, |parts| 2000 * parts);
        assert!((LEAST..6).contains(&under_way), "{under_way}");
    }

    #[test]
    fn short_parts_wait_less() {
        assert!(settled(WHOLE, |_| 100) > settled(SHORT, |_| 100));
    }

    #[test]
    fn parts_are_short_while_others_speak() {
        let mut courtesy = Courtesy::new(7);
        assert_eq!(courtesy.cut(7, WHOLE), WHOLE);
        assert_eq!(courtesy.cut(8, WHOLE), SHORT);
        assert_eq!(courtesy.cut(9, SHORT / 2), SHORT / 2, "no longer than allowed");
        let cut = (0..2 * COURTEOUS).map(|_| courtesy.cut(9, WHOLE));
        assert_eq!(cut.filter(|bytes| *bytes == SHORT).count(), COURTEOUS - 1);
    }

    #[test]
    fn no_limit_is_passed() {
        let mut pace = Pace::default();
        assert!(pace.allows(SHORT, SHORT));
        pace.leaves(SHORT, Time::ZERO);
        assert!(!pace.allows(SHORT, SHORT));
        pace.returned(Time::ZERO, SHORT);
        assert!(pace.allows(SHORT, SHORT) && !pace.allows(SHORT, 0));
    }
}
