//! What the tokens come of that somebody else made for us: they name no origin themselves.
//!
//! A provider that makes tokens ([`crate::auth::provider`]) knows nothing of the one by which a token was asked for. It
//! is remembered here, so that such a token ends with that one, and when its own time is over.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::auth::lineage::{Credential, TokenId};
use crate::auth::token::TokenError;
use crate::auth::user::UserInfo;

/// One token that somebody else has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) id: TokenId,
    /// All whose end ends it.
    pub(crate) lineage: Vec<TokenId>,
    /// When the first of those was made, in seconds since 1970.
    pub(crate) issued: u64,
    /// The second since 1970 from which on it is refused.
    pub(crate) until: u64,
    /// Who asked for it, or made the token by which it was asked for.
    pub(crate) parent: Option<String>,
}

impl Made {
    /// The token `id` that was made for `user` at `now`, for `seconds`.
    pub(crate) fn new(id: TokenId, user: &UserInfo, seconds: u64, now: u64) -> Self {
        let Credential { lineage, issued, .. } = &user.credential;
        let issued = if *issued > 0 { (*issued).min(now) } else { now };
        let (lineage, parent) = (lineage.clone(), user.parent.clone());
        Self { id, lineage, issued, until: now.saturating_add(seconds), parent }
    }
}

/// All of them, in memory.
#[derive(Debug, Default)]
pub(crate) struct MadeTokens {
    /// Whether there is any; most servers never need to look further.
    some: AtomicBool,
    known: RwLock<HashMap<TokenId, Made>>,
}

impl MadeTokens {
    /// Puts some in.
    pub(crate) fn load(&self, made: impl IntoIterator<Item = Made>) {
        let mut known = self.known.write();
        known.extend(made.into_iter().map(|made| (made.id, made)));
        self.some.store(!known.is_empty(), Ordering::Release);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.known.read().len()
    }

    /// Forgets those whose time is over at `now`.
    pub(crate) fn forget_expired(&self, now: u64) {
        self.known.write().retain(|_, made| made.until > now);
    }

    /// The user of a token, who ends with whatever the token comes of and speaks for whoever asked for it.
    ///
    /// # Errors
    /// When the time of the token is over.
    pub(super) fn bind(&self, mut user: UserInfo, now: u64) -> Result<UserInfo, TokenError> {
        if !self.some.load(Ordering::Acquire) {
            return Ok(user);
        }
        let known = self.known.read();
        let Some(made) = user.credential.lineage.last().and_then(|id| known.get(id)) else { return Ok(user) };
        if made.until <= now {
            return Err(TokenError::Expired);
        }
        let own = std::mem::take(&mut user.credential.lineage);
        user.credential.lineage = made.lineage.iter().copied().chain(own).collect();
        user.credential.issued = made.issued;
        user.parent.clone_from(&made.parent);
        let until = made.until as f64;
        user.expires_at = Some(user.expires_at.map_or(until, |end| end.min(until)));
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: TokenId) -> UserInfo {
        let credential = Credential { lineage: vec![id], issued: 50, ..Credential::default() };
        UserInfo { credential, expires_at: Some(900.0), ..UserInfo::default() }
    }

    #[test]
    fn a_token_ends_with_what_it_comes_of() {
        let [parent, id, other] = ["parent", "id", "other"].map(|name| TokenId::named("test", name));
        let tokens = MadeTokens::default();
        assert_eq!(tokens.bind(user(id), 40).unwrap(), user(id));
        let credential = Credential { lineage: vec![parent], issued: 10, ..Credential::default() };
        let granted = UserInfo { credential, parent: Some("ann".to_owned()), ..UserInfo::default() };
        tokens.load([Made::new(id, &granted, 60, 40)]);
        let bound = tokens.bind(user(id), 40).unwrap();
        assert_eq!(bound.credential.lineage, [parent, id]);
        assert_eq!((bound.credential.issued, bound.expires_at), (10, Some(100.0)));
        assert_eq!(bound.parent.as_deref(), Some("ann"), "whose workspaces it is good for, however new");
        assert_eq!(tokens.bind(user(id), 100), Err(TokenError::Expired), "whatever the provider says");
        assert_eq!(tokens.bind(user(other), 100).unwrap(), user(other));
        tokens.forget_expired(100);
        assert_eq!(tokens.len(), 0);
    }
}
