//! What a session remembers of sealed messages, so that each counts once; and how far the keys came that it has forgotten.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::wire::{Number, PublicKey};

/// Rows of one key: each connection of its owner begins one.
const ROWS: usize = 256;
/// Rows of a forgotten key of which it is known how far they came.
const MARKED: usize = 8;

/// What a sealed message is to who remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coming {
    First,
    Again,
    /// It belongs to a row that is forgotten: nobody knows.
    TooLate,
}

/// What has come of one key.
#[derive(Debug)]
pub(super) struct Seen {
    /// That which was heard last is the last one.
    rows: VecDeque<Row>,
    /// Rows begin one after the other: those up to here were known, or are too old to be told from them.
    floor: u64,
    /// Numbers used once of old peers, the first half of each: they do not count their messages.
    nonces: VecDeque<u64>,
}

impl Seen {
    pub(super) fn of_numbered(&mut self, number: Number, max: usize) -> Coming {
        let Some(row) = self.row(number.stream) else { return Coming::TooLate };
        let has_gap = number.at > row.last.saturating_add(1);
        let coming = row.takes(number.at, max);
        if has_gap {
            self.trim(max);
        }
        coming
    }

    /// Moves the row to the end, where it is found first.
    fn row(&mut self, stream: u64) -> Option<&mut Row> {
        let place = self.rows.iter().rposition(|row| row.stream == stream);
        let row = match place {
            Some(place) if place + 1 == self.rows.len() => return self.rows.back_mut(),
            Some(place) => self.rows.remove(place)?,
            None if stream <= self.floor => return None,
            None => Row { stream, last: 0, missing: BTreeSet::new() },
        };
        if self.rows.len() >= ROWS {
            let unused = self.rows.pop_front()?;
            self.floor = self.floor.max(unused.stream);
        }
        self.rows.push_back(row);
        self.rows.back_mut()
    }

    /// Forgets what still might come, beyond `max` messages in all rows.
    fn trim(&mut self, max: usize) {
        let mut over = self.rows.iter().map(|row| row.missing.len()).sum::<usize>().saturating_sub(max);
        for row in &mut self.rows {
            while over > 0 && row.missing.pop_first().is_some() {
                over -= 1;
            }
        }
    }

    pub(super) fn of_nonce(&mut self, nonce: &[u8; 24], max: usize) -> Coming {
        let half = nonce.first_chunk().map_or(0, |half| u64::from_be_bytes(*half));
        if self.nonces.contains(&half) {
            return Coming::Again;
        }
        if self.nonces.len() >= max {
            self.nonces.pop_front();
        }
        self.nonces.push_back(half);
        Coming::First
    }

    /// How far the rows came that were heard last.
    fn mark(&self) -> Mark {
        let old = self.rows.len().saturating_sub(MARKED);
        let rows = self.rows.iter().skip(old).map(|row| Number { stream: row.stream, at: row.last });
        let floor = self.rows.iter().take(old).map(|row| row.stream).fold(self.floor, u64::max);
        Mark { rows: rows.collect(), floor }
    }
}

/// How far a forgotten key came.
#[derive(Debug)]
struct Mark {
    rows: Vec<Number>,
    floor: u64,
}

impl Mark {
    /// The row that began last.
    fn latest(&self) -> u64 {
        self.rows.iter().map(|row| row.stream).fold(self.floor, u64::max)
    }
}

/// What has come of one row of messages.
#[derive(Debug)]
struct Row {
    stream: u64,
    last: u64,
    /// Those before `last` that have not come.
    missing: BTreeSet<u64>,
}

impl Row {
    fn takes(&mut self, at: u64, max: usize) -> Coming {
        if at <= self.last {
            // one that comes too late to be told counts as repeated
            return if self.missing.remove(&at) { Coming::First } else { Coming::Again };
        }
        // What was left out may still come: long messages are overtaken by short ones.
        let from = (self.last + 1).max(at.saturating_sub(max as u64));
        self.missing.extend(from..at);
        self.last = at;
        Coming::First
    }
}

/// Keys that made room for others. What they said must not count once more.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    marks: HashMap<PublicKey, Mark>,
    by_stream: BTreeSet<(u64, PublicKey)>,
    /// Of who is not even here, rows that began up to here are not taken.
    floor: u64,
}

impl Forgotten {
    /// Where more than `max` are forgotten, the oldest are no longer told apart. Rows that claim to begin later than
    /// `now` keep nobody else out who begins one now.
    pub(super) fn put(&mut self, key: PublicKey, seen: &Seen, max: usize, now: u64) {
        let mark = seen.mark();
        let stream = mark.latest();
        if stream <= self.floor {
            return;
        }
        self.marks.insert(key, mark);
        self.by_stream.insert((stream, key));
        while self.marks.len() > max
            && let Some((stream, oldest)) = self.by_stream.pop_first()
        {
            self.marks.remove(&oldest);
            self.floor = self.floor.max(stream.min(now));
        }
    }

    /// What is to be remembered of a key from now on.
    pub(super) fn recall(&mut self, key: PublicKey) -> Seen {
        let Some(mark) = self.marks.remove(&key) else {
            return Seen { rows: VecDeque::new(), floor: self.floor, nonces: VecDeque::new() };
        };
        self.by_stream.remove(&(mark.latest(), key));
        let row = |Number { stream, at }| Row { stream, last: at, missing: BTreeSet::new() };
        let (rows, floor) = (mark.rows.into_iter().map(row).collect(), mark.floor);
        Seen { rows, floor, nonces: VecDeque::new() }
    }
}
