//! Large memory that was used and will be used again, for a while.
//!
//! What the system gives is empty first, which takes time, and on a machine that shares its memory with others a
//! multiple of that: 2 MiB may take 10 ms, in which the thread stands still. Who sends or receives one long message
//! mostly does so again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long memory is kept that nobody uses.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// Nothing is kept.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Block {
    memory: Vec<u8>,
    /// When it was first seen here; whoever gave it has no clock.
    since: Option<Duration>,
}

/// What is kept, the smallest first.
#[derive(Debug, Default)]
struct Kept(Vec<Block>);

impl Kept {
    fn bytes(&self) -> usize {
        self.0.iter().map(|block| block.memory.capacity()).sum()
    }

    /// Keeps memory; what is too much then is given back, the smallest first.
    fn give(&mut self, memory: Vec<u8>, limit: usize) -> Vec<Block> {
        let place = self.0.partition_point(|block| block.memory.capacity() < memory.capacity());
        self.0.insert(place, Block { memory, since: None });
        let mut bytes = self.bytes();
        let over = self.0.iter().take_while(|block| {
            let is_over = bytes > limit;
            bytes -= block.memory.capacity();
            is_over
        });
        let over = over.count();
        self.0.drain(..over).collect()
    }

    /// The smallest memory that has room for `bytes`.
    fn fitting(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let place = self.0.partition_point(|block| block.memory.capacity() < bytes);
        (place < self.0.len()).then(|| self.0.remove(place).memory)
    }

    /// The largest memory, if it has room for `bytes`.
    fn largest(&mut self, bytes: usize) -> Option<Vec<u8>> {
        self.0.pop_if(|block| block.memory.capacity() >= bytes).map(|block| block.memory)
    }

    /// Takes out what nobody has used for long enough.
    fn sweep(&mut self, now: Duration) -> Vec<Block> {
        for block in &mut self.0 {
            // a time that is not here yet is that of another clock
            block.since = block.since.filter(|since| *since <= now).or(Some(now));
        }
        self.0.extract_if(.., |block| block.since.is_some_and(|since| since + KEPT_FOR <= now)).collect()
    }

    /// When to sweep next.
    fn next_check(&self) -> Option<Duration> {
        self.0.iter().map(|block| block.since.map_or(Duration::ZERO, |since| since + KEPT_FOR)).min()
    }
}

static KEPT: Mutex<Kept> = Mutex::new(Kept(Vec::new()));
/// [`Kept::next_check`] in microseconds, for those who ask with every message.
static NEXT: AtomicU64 = AtomicU64::new(NEVER);
/// Who may be asked to sweep.
static USERS: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are kept at most: what the most generous user allows.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// Changes what is kept. What `work` gives is let go of when others may go on.
fn change<T>(work: impl FnOnce(&mut Kept) -> T) -> T {
    let mut kept: MutexGuard<'_, Kept> = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let value = work(&mut kept);
    let next = kept.next_check().map_or(NEVER, |at| u64::try_from(at.as_micros()).unwrap_or(NEVER));
    NEXT.store(next, Ordering::Release);
    value
}

fn is_empty() -> bool {
    NEXT.load(Ordering::Acquire) == NEVER
}

/// Somebody who uses large memory and sweeps what is kept of it: without anybody nothing is kept.
#[derive(Debug)]
pub(crate) struct Keeping(());

impl Keeping {
    /// As long as this lives, `limit` bytes may be kept.
    pub(crate) fn new(limit: usize) -> Self {
        USERS.fetch_add(1, Ordering::AcqRel);
        LIMIT.fetch_max(limit, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if USERS.fetch_sub(1, Ordering::AcqRel) == 1 {
            LIMIT.store(0, Ordering::Release);
            drop(change(|kept| std::mem::take(&mut kept.0)));
        }
    }
}

/// Keeps memory, of which the content is gone.
pub(super) fn give(memory: Vec<u8>) {
    if USERS.load(Ordering::Acquire) > 0 {
        drop(change(|kept| kept.give(memory, LIMIT.load(Ordering::Acquire))));
    }
}

/// Empty memory for so many bytes, which will not become more.
pub(super) fn fitting(bytes: usize) -> Option<Vec<u8>> {
    if is_empty() { None } else { change(|kept| kept.fitting(bytes)) }
}

/// Empty memory for so many bytes, which will become more.
pub(super) fn largest(bytes: usize) -> Option<Vec<u8>> {
    if is_empty() { None } else { change(|kept| kept.largest(bytes)) }
}

/// When to [`sweep`] next, if ever.
pub(crate) fn next_check() -> Option<Duration> {
    let next = NEXT.load(Ordering::Acquire);
    (next != NEVER).then(|| Duration::from_micros(next))
}

/// Gives back to the system what nobody has used for some time.
pub(crate) fn sweep(now: Duration) {
    if next_check().is_some_and(|at| at <= now) {
        drop(change(|kept| kept.sweep(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(rooms: &[usize]) -> Kept {
        Kept(rooms.iter().map(|room| Block { memory: Vec::with_capacity(*room), since: None }).collect())
    }

    fn rooms(kept: &Kept) -> Vec<usize> {
        kept.0.iter().map(|block| block.memory.capacity()).collect()
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let mut kept = kept(&[10, 20, 30]);
        assert!(kept.give(Vec::with_capacity(40), 100).is_empty());
        assert_eq!(kept.give(Vec::with_capacity(25), 100).len(), 2);
        assert_eq!(rooms(&kept), [25, 30, 40]);
        assert_eq!(kept.give(Vec::with_capacity(101), 100).len(), 4);
        assert!(rooms(&kept).is_empty(), "what is more by itself is not kept either");
    }

    #[test]
    fn what_fits_is_found() {
        let mut kept = kept(&[10, 20, 30]);
        assert_eq!(kept.fitting(11).map(|memory| memory.capacity()), Some(20));
        assert_eq!(kept.largest(5).map(|memory| memory.capacity()), Some(30));
        assert_eq!((kept.fitting(11), kept.largest(11)), (None, None));
        assert_eq!(rooms(&kept), [10]);
    }

    #[test]
    fn what_nobody_uses_is_given_back() {
        let second = Duration::from_secs(1);
        let mut kept = kept(&[10]);
        assert_eq!(kept.next_check(), Some(Duration::ZERO), "it is to be noted when it came");
        assert!(kept.sweep(5 * second).is_empty());
        assert_eq!(kept.next_check(), Some(5 * second + KEPT_FOR));
        kept.give(Vec::with_capacity(20), 100);
        assert!(kept.sweep(6 * second).is_empty());
        assert_eq!(kept.sweep(5 * second + KEPT_FOR).len(), 1);
        assert_eq!(rooms(&kept), [20]);
        assert_eq!(kept.sweep(6 * second + KEPT_FOR).len(), 1);
        assert_eq!(kept.next_check(), None);
    }
}
