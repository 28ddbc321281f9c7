//! How often tokens were used that may be used so many times only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::auth::lineage::TokenId;

/// The uses of one token, shared by all that come by it.
#[derive(Debug)]
pub struct Count {
    id: TokenId,
    used: AtomicU32,
    /// Seconds since 1970 until which it matters.
    until: u64,
    /// Whether what is kept is behind.
    changed: AtomicBool,
}

impl Count {
    /// Takes one use of `max`; answers whether there was one left.
    #[must_use]
    pub fn take(&self, max: u32) -> bool {
        let more = |used: u32| (used < max).then_some(used + 1);
        let taken = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok();
        if taken {
            self.changed.store(true, Ordering::Release);
        }
        taken
    }

    /// Whether none of `max` is left.
    #[must_use]
    pub fn is_spent(&self, max: u32) -> bool {
        self.used.load(Ordering::Acquire) >= max
    }
}

/// What is kept of a token's uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// The token.
    pub id: TokenId,
    /// How many calls were made.
    pub used: u32,
    /// Seconds since 1970 until which it matters.
    pub until: u64,
}

/// All counts.
#[derive(Debug, Default)]
pub struct Uses(Mutex<HashMap<TokenId, Arc<Count>>>);

impl Uses {
    /// The count of a token.
    #[must_use]
    pub fn of(&self, id: TokenId, until: u64) -> Arc<Count> {
        Arc::clone(self.0.lock().entry(id).or_insert_with(|| Arc::new(count(Used { id, used: 0, until }))))
    }

    /// Puts in what was kept from an earlier run.
    pub fn load(&self, kept: impl IntoIterator<Item = Used>) {
        let counts = kept.into_iter().map(|used| (used.id, Arc::new(count(used))));
        self.0.lock().extend(counts);
    }

    /// What has changed since this was asked last.
    #[must_use]
    pub fn changed(&self) -> Vec<Used> {
        let counts = self.0.lock();
        let changed = counts.values().filter(|count| count.changed.swap(false, Ordering::AcqRel));
        changed
            .map(|count| Used { id: count.id, used: count.used.load(Ordering::Acquire), until: count.until })
            .collect()
    }

    /// Forgets the tokens whose time is over.
    pub fn forget_expired(&self, now: u64) {
        self.0.lock().retain(|_, count| count.until > now);
    }
}

const fn count(Used { id, used, until }: Used) -> Count {
    Count { id, used: AtomicU32::new(used), until, changed: AtomicBool::new(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_so_often_and_no_more() {
        let (uses, id) = (Uses::default(), TokenId::of("a.b.c"));
        let count = uses.of(id, 10);
        assert_eq!([count.take(2), count.take(2), count.take(2)], [true, true, false]);
        assert!(count.is_spent(2) && uses.of(id, 10).is_spent(2));
        let changed = uses.changed();
        assert_eq!(changed, [Used { id, used: 2, until: 10 }]);
        assert_eq!(uses.changed(), []);
        let next = Uses::default();
        next.load(changed);
        assert!(next.of(id, 10).is_spent(2));
        next.forget_expired(10);
        assert!(!next.of(id, 10).is_spent(2));
    }
}
