//! Parts of a long message leave behind the calls that are made beside it.

use std::time::Duration;

use polyfn_core::Value;
use polyfn_core::session::{Options, Session};

use crate::extensions::{ANN, BOB, NOW, call_at, carry, peer, polyfn, relayed, spec};

/// A way within one machine.
const NEAR: Duration = Duration::from_micros(100);
const TURN: Duration = Duration::from_millis(2);

/// Two peers, of whom ann sends a long message; and what takes a message there and back.
struct Line {
    ann: Session,
    bob: Session,
    now: Duration,
    way: Duration,
}

impl Line {
    /// Some parts have left, the last of them behind a call.
    fn new(parts_take_turns: bool, way: Duration) -> Self {
        let options = Options { parts_take_turns, ..Options::default() };
        let known = polyfn_core::session::Extensions::ALL;
        let mut line = Self { ann: peer(ANN, options, known), bob: polyfn(BOB), now: NOW, way };
        call_at(&mut line.ann, &spec(None), &Value::Bytes(vec![7; 20_000_000].into()), NOW);
        (0..3).for_each(|_| assert!(!line.pass().is_empty()));
        line.speak();
        (0..2).for_each(|_| assert!(line.pass().contains(&true)));
        line
    }

    fn speak(&mut self) {
        call_at(&mut self.ann, &spec(None), &Value::Int(1), self.now);
    }

    /// What leaves now, and comes back when the way is behind it: whether each is a part.
    fn pass(&mut self) -> Vec<bool> {
        let mut left = Vec::new();
        loop {
            while let Some(sent) = self.ann.poll_send() {
                left.push(sent.frame.len() > 10_000);
                self.bob.receive(&relayed(&self.ann, &sent, true), self.now).unwrap();
            }
            if !self.ann.let_parts_follow(self.now) {
                break;
            }
        }
        self.now += self.way;
        carry(&mut self.bob, &mut self.ann, self.now);
        left
    }
}

#[test]
fn a_part_leaves_behind_each_call() {
    let mut line = Line::new(true, NEAR);
    for _ in 0..20 {
        assert!(line.pass().is_empty());
        line.speak();
        assert_eq!(line.pass(), [false, true]);
    }
}

#[test]
fn nobody_is_waited_for_longer_than_a_turn() {
    let mut line = Line::new(true, NEAR);
    assert!(line.pass().is_empty());
    line.now = line.ann.next_tick().unwrap();
    assert!(line.now < NOW + TURN + 10 * NEAR);
    line.ann.tick(line.now);
    let unhindered = std::iter::from_fn(|| Some(line.pass().len()).filter(|parts| *parts > 0));
    assert_eq!(unhindered.sum::<usize>(), 12);
    while line.ann.statistics().transfers > 0 {
        line.now += TURN;
        line.pass();
    }
}

#[test]
fn parts_wait_only_where_they_can_be_kept_out_of_the_way() {
    for mut line in [Line::new(false, NEAR), Line::new(true, 20 * NEAR)] {
        assert!(line.pass().contains(&true));
        line.speak();
        assert!(line.pass().contains(&true));
        assert!(line.pass().contains(&true));
    }
}
