//! Memory of parts that have left, for those that follow. Allocators give so much of it back to the system and ask for
//! it again that 1 GB took some 45,000 page faults.

use std::collections::VecDeque;

use bytes::Bytes;

/// The frames of the last parts, some of which whoever sends them has still in hand.
#[derive(Debug, Default)]
pub(super) struct Spare(VecDeque<Bytes>);

impl Spare {
    /// A frame that leaves; no more than `max` are remembered.
    pub(super) fn leaves(&mut self, frame: Bytes, max: usize) {
        self.0.push_back(frame);
        let over = self.0.len().saturating_sub(max);
        self.0.drain(..over);
    }

    /// Memory of one that has left.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let at = self.0.iter().position(Bytes::is_unique)?;
        let mut memory = self.0.remove(at)?.try_into_mut().ok()?;
        memory.clear();
        Some(memory.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_left_is_used_again_and_nothing_else() {
        let mut spare = Spare::default();
        assert_eq!(spare.take(), None);
        let frame = |room| {
            let mut memory = Vec::with_capacity(room);
            memory.push(1);
            Bytes::from(memory)
        };
        let (first, second) = (frame(100), frame(200));
        spare.leaves(first.clone(), 2);
        spare.leaves(second.clone(), 2);
        assert_eq!(spare.take(), None, "somebody has them");
        drop(second);
        let memory = spare.take().unwrap_or_default();
        assert_eq!((memory.len(), memory.capacity()), (0, 200));
        drop(first);
        spare.leaves(frame(300), 1);
        assert_eq!(spare.take().map(|memory| memory.capacity()), Some(300), "no more than one");
        assert_eq!(spare.take(), None);
    }
}
