//! Large memory, for which a language may ask the system for large pages.
//!
//! In pages of 4 KiB it takes longer to get 100 MB from the system than to fill them, and as long again to give them
//! back. The core itself speaks with no system: whoever runs it says how to ask.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};

/// Asks the system for large pages behind so many bytes from an address on. It changes no content, and may do nothing.
pub type Advice = fn(*const u8, usize);

/// From so many bytes on it is asked.
pub const LARGE: usize = 8 << 20;

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

/// Puts `more` behind `bytes`.
pub(crate) fn append(bytes: &mut BytesMut, more: &[u8]) {
    let before = bytes.capacity();
    bytes.reserve(more.len());
    if bytes.capacity() != before {
        advise(bytes.as_ptr(), bytes.capacity());
    }
    bytes.extend_from_slice(more);
}

/// A copy of memory that may change.
pub(crate) fn copied(bytes: &[u8]) -> Bytes {
    let mut copy = BytesMut::new();
    append(&mut copy, bytes);
    copy.freeze()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn only_large_memory_is_asked_for() {
        advise_with(|_, len| _ = ASKED.fetch_max(len, Ordering::Relaxed));
        assert_eq!(copied(&[7; 100])[..], [7; 100]);
        assert_eq!(ASKED.load(Ordering::Relaxed), 0);
        assert_eq!(copied(&vec![7; LARGE])[LARGE - 2..], [7; 2]);
        assert!(ASKED.load(Ordering::Relaxed) >= LARGE);
    }
}
