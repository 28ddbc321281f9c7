//! What a login has opened, and its end.
//!
//! Tokens of a login stand behind the *generation* of their user: an id before them in their lineage. To take it back
//! ends all that the user has logged in, and what came of it; a new generation begins. Somebody who logs out takes back
//! the one token of the browser, with what came of that.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use polyfn_core::{Error, ErrorKind, Result};

use crate::auth::grant::MAX_SECONDS;
use crate::auth::{Credential, Revocation, TokenId, UserInfo};
use crate::clock;
use crate::hub::TO_READ_THE_ANSWER;
use crate::login::Login;
use crate::store::{Store, StoreError};

/// The generations of users.
#[derive(Debug)]
pub(crate) struct Sessions {
    store: Store,
    /// Only of those who have ended one.
    generations: RwLock<HashMap<String, u64>>,
}

impl Sessions {
    pub(super) fn new(store: Store) -> Self {
        Self { store, generations: RwLock::default() }
    }

    pub(super) async fn load(&self) -> std::result::Result<(), StoreError> {
        let kept = self.store.generations().await?;
        self.generations.write().extend(kept);
        Ok(())
    }

    fn number(&self, user: &str) -> u64 {
        self.generations.read().get(user).copied().unwrap_or_default()
    }

    fn id(&self, user: &str) -> TokenId {
        generation(self.number(user), user)
    }
}

fn generation(number: u64, user: &str) -> TokenId {
    TokenId::named("login", &format!("{number} {user}"))
}

impl Login {
    /// The user as one who has just logged in: tokens that are made for it end with all others. Each login is one of its
    /// own, also when somebody logs in twice in a second.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(crate) fn arrived(&self, user: UserInfo) -> Result<UserInfo> {
        let own = TokenId::random().map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let lineage = vec![self.sessions.id(&user.id), own];
        Ok(UserInfo { credential: Credential { lineage, ..Credential::default() }, ..user })
    }

    /// Whether the user came with a token that a login has put into a browser: not with one that was made of it, nor
    /// with one that was typed in.
    pub(crate) fn is_session(&self, user: &UserInfo) -> bool {
        matches!(*user.credential.lineage, [first, _, _] if first == self.sessions.id(&user.id))
            && user.credential.session.is_none()
    }

    /// Ends the login by which `user` came, with all that came of it; says whether it was one.
    ///
    /// # Errors
    /// When the database fails: then nothing has ended.
    pub(crate) async fn end_session(&self, user: &UserInfo) -> Result<bool> {
        let Some(id) = user.credential.lineage.last().copied().filter(|_| self.is_session(user)) else {
            return Ok(false);
        };
        let revocation = self.revocation(id);
        self.sessions.store.revoke(revocation).await?;
        self.take_back(revocation);
        self.note(&user.id, "logout", &user.id, "");
        Ok(true)
    }

    /// Ends all that the user has logged in, in the name of `by`. New tokens of the user are good.
    ///
    /// # Errors
    /// When the database fails: then nothing has ended.
    pub(crate) async fn end_all(&self, by: &str, user: &str, why: &str) -> Result<()> {
        let _writing = self.sessions.store.writing().await;
        let number = self.sessions.number(user);
        let ended = self.revocation(generation(number, user));
        self.sessions.store.begin_generation(user, number + 1, ended).await?;
        self.sessions.generations.write().insert(user.to_owned(), number + 1);
        self.take_back(ended);
        self.note(by, "end_logins", user, why);
        Ok(())
    }

    fn revocation(&self, id: TokenId) -> Revocation {
        let longest = clock::now().saturating_add(MAX_SECONDS);
        Revocation { id, until: longest.saturating_add(self.tokens.reconnection_life_time()) }
    }

    fn take_back(&self, revocation: Revocation) {
        self.tokens.revoked().load([revocation]);
        let (hub, tokens) = (Arc::clone(&self.hub), Arc::clone(&self.tokens));
        tokio::spawn(async move {
            tokio::time::sleep(TO_READ_THE_ANSWER).await;
            hub.end_revoked(tokens.revoked(), None);
        });
    }

    /// Notes that somebody has logged in.
    pub(crate) fn note_login(&self, user: &UserInfo, how: &str, from: Option<IpAddr>) {
        let from = from.map_or_else(String::new, |address| format!(" from {address}"));
        self.note(&user.id, "login", &user.id, &format!("{how}{from}"));
    }

    /// Notes in the audit log.
    pub(crate) fn note(&self, by: &str, what: &str, target: &str, details: &str) {
        self.hub.audit().note(by, what, target, details);
    }
}
