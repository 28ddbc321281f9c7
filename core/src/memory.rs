//! Large memory, for which a language may ask the system for large pages.
//!
//! In pages of 4 KiB it takes longer to get 100 MB from the system than to fill them, and as long again to give them
//! back. The core itself speaks with no system: whoever runs it says how to ask.

mod kept;

use std::sync::OnceLock;

use bytes::Bytes;

pub(crate) use kept::{Keeping, next_check, sweep};

/// Asks the system for large pages behind so many bytes from an address on. It changes no content, and may do nothing.
pub type Advice = fn(*const u8, usize);

/// From so many bytes on it is asked.
pub const LARGE: usize = 8 << 20;
/// From so many bytes on, what still grows takes large memory that is there already.
const GROWN: usize = 1 << 20;
/// What came to need less than this part of such memory is copied out of it.
const LEAST_PART: usize = 4;

static ADVICE: OnceLock<Advice> = OnceLock::new();

/// Has large memory asked for like this, in the whole process. Only the first call counts.
pub fn advise_with(advice: Advice) {
    ADVICE.get_or_init(|| advice);
}

/// Asks for large pages behind memory that is large.
pub fn advise(start: *const u8, len: usize) {
    if len >= LARGE
        && let Some(advice) = ADVICE.get()
    {
        advice(start, len);
    }
}

/// Puts `more` behind `bytes`, behind which even more may come.
pub(crate) fn append(bytes: &mut Vec<u8>, more: &[u8]) {
    let needed = bytes.len() + more.len();
    if needed > bytes.capacity() {
        grow(bytes, needed);
    }
    bytes.extend_from_slice(more);
}

fn grow(bytes: &mut Vec<u8>, needed: usize) {
    if needed >= GROWN
        && let Some(mut larger) = kept::largest(needed)
    {
        larger.extend_from_slice(bytes);
        return give(std::mem::replace(bytes, larger));
    }
    bytes.reserve(needed - bytes.len());
    advise(bytes.as_ptr(), bytes.capacity());
}

/// What will grow no more.
pub(crate) fn grown(bytes: Vec<u8>) -> Bytes {
    if bytes.capacity() < LARGE || bytes.len() >= bytes.capacity() / LEAST_PART {
        return bytes.into();
    }
    let copy = copied(&bytes);
    give(bytes);
    copy
}

/// A copy of memory that may change.
pub(crate) fn copied(bytes: &[u8]) -> Bytes {
    let kept = if bytes.len() >= LARGE { kept::fitting(bytes.len()) } else { None };
    let mut copy = kept.unwrap_or_default();
    append(&mut copy, bytes);
    copy.into()
}

/// Takes bytes whose content nobody needs any longer. Where they are large and nobody else has them, their memory is
/// used again, in processes that [ask for large pages](advise_with).
///
/// ```
/// let bytes = bytes::Bytes::from(vec![0; polyfn_core::memory::LARGE]);
/// polyfn_core::memory::recycle(bytes);
/// ```
pub fn recycle(bytes: Bytes) {
    if bytes.len() >= LARGE
        && let Ok(mut bytes) = bytes.try_into_mut()
    {
        // the whole of it, and not only what is behind the start of `bytes`
        bytes.clear();
        give(bytes.into());
    }
}

/// Takes memory whose content nobody needs any longer; see [`recycle`].
pub(crate) fn give(mut memory: Vec<u8>) {
    memory.clear();
    if memory.capacity() >= LARGE && ADVICE.get().is_some() {
        kept::give(memory);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::codec::Writer;

    const PART: usize = 256 << 10;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    /// Memory of a message that was sent, as it is behind the call that sent it.
    fn sent(len: usize) -> *const u8 {
        let mut out = Writer::new();
        out.keep_apart();
        let bytes = vec![7; len];
        out.copied(&bytes).unwrap();
        let segments = out.into_package().into_segments();
        assert_eq!(segments.len(), len + 5);
        segments.place_of(1)
    }

    fn received(len: usize) -> Bytes {
        let mut joined = Vec::new();
        (0..len / PART).for_each(|part| append(&mut joined, &[part as u8; PART]));
        grown(joined)
    }

    // One test: what is kept is the whole process's.
    #[test]
    fn large_memory_is_asked_for_once_and_used_again() {
        advise_with(|_, len| _ = ASKED.fetch_add(len, Ordering::Relaxed));
        let asked = || ASKED.swap(0, Ordering::Relaxed);
        let keeping = Keeping::new(10 * LARGE);
        assert_eq!(copied(&[7; 100])[..], [7; 100]);
        assert_eq!(asked(), 0);
        let first = sent(2 * LARGE);
        assert!(asked() >= 2 * LARGE);
        assert_eq!(sent(2 * LARGE - 1), first, "a message that has left leaves its memory to the next one");
        assert_eq!(asked(), 0);
        let bytes = received(2 * LARGE);
        assert_eq!(bytes.as_ptr(), first, "and one that comes takes it as soon as it is large");
        assert!(bytes.chunks(PART).enumerate().all(|(part, bytes)| bytes == [part as u8; PART]));
        assert_eq!(asked(), 0);
        recycle(bytes);
        let short = received(2 * GROWN);
        assert!(short.iter().take(PART).all(|byte| *byte == 0));
        assert_ne!(short.as_ptr(), first, "what is short does not hold it");
        let bytes = received(2 * LARGE);
        assert_eq!(bytes.as_ptr(), first);
        let other = bytes.slice(1..);
        recycle(bytes);
        assert_ne!(sent(2 * LARGE), first, "what somebody has is not used");
        drop((other, keeping));
    }
}
