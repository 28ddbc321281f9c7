//! Tokens that were taken back, until their own time ends them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::auth::lineage::TokenId;
use crate::auth::revoke::Revocation;

/// The list, in memory: what checks a token looks here, and nowhere else.
#[derive(Debug, Default)]
pub struct Revoked {
    /// Whether the list holds anything; most servers never need to look further.
    some: AtomicBool,
    /// By id, with the second since 1970 from which on the token would be refused anyway.
    until: RwLock<HashMap<TokenId, u64>>,
}

impl Revoked {
    /// Puts in what was kept from an earlier run.
    pub fn load(&self, kept: impl IntoIterator<Item = Revocation>) {
        let mut until = self.until.write();
        until.extend(kept.into_iter().map(|revocation| (revocation.id, revocation.until)));
        self.some.store(!until.is_empty(), Ordering::Release);
    }

    /// Takes a token back until `until`, in seconds since 1970.
    pub fn add(&self, id: TokenId, until: u64) {
        self.load([Revocation { id, until }]);
    }

    /// Whether any of these was taken back.
    #[must_use]
    pub fn any(&self, lineage: &[TokenId]) -> bool {
        if !self.some.load(Ordering::Acquire) {
            return false;
        }
        let until = self.until.read();
        lineage.iter().any(|id| until.contains_key(id))
    }

    /// Forgets those whose time is over.
    pub fn forget_expired(&self, now: u64) {
        if self.some.load(Ordering::Acquire) {
            let mut until = self.until.write();
            until.retain(|_, end| *end > now);
            self.some.store(!until.is_empty(), Ordering::Release);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.until.read().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.some.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_back_is_found_until_its_time() {
        let (revoked, id) = (Revoked::default(), TokenId::of("a.b.c"));
        assert!(revoked.is_empty() && !revoked.any(&[id]));
        revoked.add(id, 10);
        assert!(revoked.any(&[TokenId::of("x"), id]) && !revoked.any(&[TokenId::of("x")]));
        revoked.forget_expired(9);
        assert_eq!(revoked.len(), 1);
        revoked.forget_expired(10);
        assert!(revoked.is_empty() && !revoked.any(&[id]));
    }
}
