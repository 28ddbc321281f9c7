//! Tokens that were taken back, until their own time ends them.

use std::collections::HashMap;
#[cfg(feature = "serve")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
#[cfg(feature = "serve")]
use tokio::sync::watch;

#[cfg(feature = "serve")]
use crate::auth::lineage::Credential;
use crate::auth::lineage::TokenId;
use crate::auth::revoke::Revocation;
#[cfg(feature = "serve")]
use crate::auth::token::Tokens;

/// The list, in memory: what checks a token looks here, and nowhere else.
#[derive(Debug, Default)]
pub struct Revoked {
    /// Whether the list holds anything; most servers never need to look further.
    some: AtomicBool,
    /// By id, with the second since 1970 from which on the token would be refused anyway.
    until: RwLock<HashMap<TokenId, u64>>,
    /// Told of each token that is taken back.
    #[cfg(feature = "serve")]
    changes: watch::Sender<()>,
}

impl Revoked {
    /// Puts in what was kept from an earlier run.
    pub fn load(&self, kept: impl IntoIterator<Item = Revocation>) {
        let mut until = self.until.write();
        until.extend(kept.into_iter().map(|revocation| (revocation.id, revocation.until)));
        self.some.store(!until.is_empty(), Ordering::Release);
        drop(until);
        #[cfg(feature = "serve")]
        self.changes.send_replace(());
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

/// The end of what is open by a token, as an answer that is being streamed.
#[cfg(feature = "serve")]
#[derive(Debug, Default)]
pub struct Ending(Option<Open>);

#[cfg(feature = "serve")]
#[derive(Debug)]
struct Open {
    tokens: Arc<Tokens>,
    lineage: Vec<TokenId>,
    changes: watch::Receiver<()>,
}

#[cfg(feature = "serve")]
impl Ending {
    /// Waits until the token, or one of those before it, is taken back; for ever where there is none, and after it has
    /// answered.
    ///
    /// # Cancel safety
    /// Nothing is lost: it may be awaited again.
    pub async fn revoked(&mut self) {
        let Some(open) = &mut self.0 else { return std::future::pending().await };
        while !open.tokens.revoked().any(&open.lineage) {
            // the sender is held by the tokens
            _ = open.changes.changed().await;
        }
        self.0 = None;
    }
}

#[cfg(feature = "serve")]
impl Tokens {
    /// Tells when what `credential` has opened must end.
    #[must_use]
    pub fn ending(self: &Arc<Self>, credential: &Credential) -> Ending {
        if credential.lineage.is_empty() {
            return Ending::default();
        }
        let (tokens, lineage) = (Arc::clone(self), credential.lineage.clone());
        Ending(Some(Open { tokens, lineage, changes: self.revoked().changes.subscribe() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_open_hears_of_the_end() {
        let tokens = Arc::new(Tokens::new(&crate::config::Config::default(), b"key"));
        let [first, other] = ["a.b.c", "d.e.f"].map(TokenId::of);
        let credential = Credential { lineage: vec![first, TokenId::of("x")], ..Credential::default() };
        let (mut ending, mut none) = (tokens.ending(&credential), tokens.ending(&Credential::default()));
        let soon = std::time::Duration::from_millis(20);
        tokens.revoked().add(other, u64::MAX);
        assert!(tokio::time::timeout(soon, ending.revoked()).await.is_err(), "that was another one");
        tokens.revoked().add(first, u64::MAX);
        ending.revoked().await;
        assert!(tokio::time::timeout(soon, none.revoked()).await.is_err());
        tokens.ending(&credential).revoked().await;
    }

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
