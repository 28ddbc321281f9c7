//! Which keys maps have: maps with the same keys in the same order share a shape, whose keys JavaScript has already.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Shapes that are remembered, for good: keys come from peers, so their number is bounded.
const MAX_SHAPES: usize = 4096;
/// Keys above which a map is a dictionary, not a record.
const MAX_KEYS: usize = 64;
/// Bytes of keys above which a shape is not remembered.
const MAX_BYTES: usize = 2048;
/// Shapes met once, by hash: most maps with ids for keys never come back.
const CANDIDATES: usize = 1024;

/// The shapes that JavaScript knows.
#[derive(Debug)]
pub(super) struct Shapes {
    known: HashMap<Box<[u8]>, i32>,
    candidates: Box<[u64]>,
    random: RandomState,
}

/// What is known of a map's keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Known(i32),
    /// To be told to JavaScript now.
    New(i32),
    Unknown,
}

impl Default for Shapes {
    fn default() -> Self {
        let candidates = vec![0; CANDIDATES].into_boxed_slice();
        Self { known: HashMap::new(), candidates, random: RandomState::new() }
    }
}

impl Shapes {
    /// Looks up `count` keys, each with its length before it.
    pub(super) fn find(&mut self, keys: &[u8], count: usize) -> Shape {
        if count > MAX_KEYS || keys.len() > MAX_BYTES {
            return Shape::Unknown;
        }
        if let Some(id) = self.known.get(keys) {
            return Shape::Known(*id);
        }
        if self.known.len() >= MAX_SHAPES || !self.is_met_before(keys) {
            return Shape::Unknown;
        }
        let id = self.known.len() as i32;
        self.known.insert(keys.into(), id);
        Shape::New(id)
    }

    fn is_met_before(&mut self, keys: &[u8]) -> bool {
        let mut hasher = self.random.build_hasher();
        hasher.write(keys);
        let hash = hasher.finish() | 1;
        let place = &mut self.candidates[(hash as usize >> 1) % CANDIDATES];
        std::mem::replace(place, hash) == hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_told_once_and_only_when_it_comes_back() {
        let mut shapes = Shapes::default();
        assert_eq!(shapes.find(b"a", 1), Shape::Unknown);
        assert_eq!(shapes.find(b"a", 1), Shape::New(0));
        assert_eq!(shapes.find(b"a", 1), Shape::Known(0));
        assert_eq!(shapes.find(b"b", 1), Shape::Unknown);
    }

    #[test]
    fn dictionaries_are_never_shapes() {
        let mut shapes = Shapes::default();
        for _ in 0..3 {
            assert_eq!(shapes.find(&[0; 400], MAX_KEYS + 1), Shape::Unknown);
            assert_eq!(shapes.find(&[0; MAX_BYTES + 1], 1), Shape::Unknown);
        }
    }
}
