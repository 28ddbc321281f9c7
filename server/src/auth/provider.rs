//! Tokens that a program elsewhere checks: it is asked once for each, and its answer is remembered for a while.
//!
//! As with other issuers ([`crate::auth::Foreign`]) there are two steps, since checking a token never waits:
//! [`Answers::prepare`] where a token comes in, then [`Answers::known`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::auth::lineage::{Credential, TokenId};
use crate::auth::token::TokenError;
use crate::auth::user::UserInfo;
use crate::clock;

/// Tokens whose answers are remembered; the oldest give way.
const REMEMBERED_MAX: usize = 10_000;
/// Seconds that a refusal is remembered, so that who tries over and over again asks nobody.
const REFUSED_SECONDS: u64 = 2;
/// Bytes of a token that is worth asking about.
const TOKEN_MAX: usize = 16 << 10;

/// Whoever knows the users of tokens that are not the server's own.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Whether there is anybody to ask.
    fn is_there(&self) -> bool;

    /// The user of `token`; its rights are those of its scope and roles.
    fn parse<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<UserInfo, TokenError>>;
}

#[derive(Debug)]
struct Answer {
    user: Result<UserInfo, TokenError>,
    /// Seconds since 1970 from which on it is asked again.
    until: u64,
}

type Fingerprint = [u8; 32];

/// What the provider has said of tokens.
#[derive(Debug, Default)]
pub struct Answers {
    provider: OnceLock<(Arc<dyn Provider>, u64)>,
    known: Mutex<HashMap<Fingerprint, Arc<OnceCell<Answer>>>>,
}

impl Answers {
    /// Has `provider` asked; what it says counts for `seconds`. A second one is ignored.
    pub(crate) fn ask(&self, provider: Arc<dyn Provider>, seconds: u64) {
        _ = self.provider.set((provider, seconds));
    }

    /// The name of a token that is nobody's but the provider's.
    pub(super) fn id_of(token: &str) -> TokenId {
        TokenId::named("token of a provider", token)
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.provider.get().is_some_and(|(provider, _)| provider.is_there())
    }

    /// Asks about `token` unless the answer is known. All who come with it at the same time wait for one answer.
    pub(super) async fn prepare(&self, token: &str, now: u64) {
        let Some((provider, seconds)) = self.provider.get().filter(|(provider, _)| provider.is_there())
        else {
            return;
        };
        if token.len() > TOKEN_MAX {
            return;
        }
        let cell = self.cell(fingerprint(token), now);
        cell.get_or_init(|| async {
            let user = provider.parse(token).await;
            let now = clock::now();
            let until = match &user {
                Ok(user) => {
                    let end = user.expires_at.map_or(u64::MAX, |end| end as u64);
                    (now + (*seconds).max(1)).min(end.max(now + 1))
                }
                Err(_) => now + REFUSED_SECONDS,
            };
            let lineage = vec![Self::id_of(token)];
            let credential = Credential { lineage, issued: now, ..Credential::default() };
            Answer { user: user.map(|user| UserInfo { credential, ..user }), until }
        })
        .await;
    }

    fn cell(&self, token: Fingerprint, now: u64) -> Arc<OnceCell<Answer>> {
        let mut known = self.known.lock();
        let is_old = |cell: &Arc<OnceCell<Answer>>| cell.get().is_some_and(|answer| answer.until <= now);
        if let Some(cell) = known.get(&token).filter(|cell| !is_old(cell)) {
            return Arc::clone(cell);
        }
        if known.len() >= REMEMBERED_MAX {
            known.retain(|_, cell| !is_old(cell));
        }
        if known.len() >= REMEMBERED_MAX {
            // whoever is forgotten is asked about once more
            let any: Vec<_> = known.keys().take(REMEMBERED_MAX / 10).copied().collect();
            any.iter().for_each(|token| _ = known.remove(token));
        }
        let cell = Arc::default();
        known.insert(token, Arc::clone(&cell));
        cell
    }

    /// What was said of `token`, if it was asked about.
    pub(super) fn known(&self, token: &str, now: u64) -> Option<Result<UserInfo, TokenError>> {
        self.provider.get()?;
        let known = self.known.lock();
        let answer = known.get(&fingerprint(token))?.get()?;
        let is_over =
            answer.user.as_ref().is_ok_and(|user| user.expires_at.is_some_and(|end| end <= now as f64));
        Some(if is_over { Err(TokenError::Expired) } else { answer.user.clone() })
    }

    /// Forgets all answers: somebody else is asked from now on.
    pub(crate) fn forget(&self) {
        self.known.lock().clear();
    }
}

fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, Default)]
    struct Counting {
        asked: AtomicUsize,
        gone: AtomicBool,
    }

    impl Provider for Counting {
        fn is_there(&self) -> bool {
            !self.gone.load(Ordering::Relaxed)
        }

        fn parse<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<UserInfo, TokenError>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                tokio::task::yield_now().await;
                match token {
                    "bad" => Err(TokenError::Signature),
                    id => Ok(UserInfo { id: id.to_owned(), ..UserInfo::default() }),
                }
            })
        }
    }

    fn answers(seconds: u64) -> (Answers, Arc<Counting>) {
        let (answers, provider) = (Answers::default(), Arc::new(Counting::default()));
        answers.ask(Arc::clone(&provider) as Arc<dyn Provider>, seconds);
        (answers, provider)
    }

    #[tokio::test]
    async fn who_comes_at_the_same_time_waits_for_one_answer() {
        let (answers, provider) = answers(60);
        let now = clock::now();
        tokio::join!(answers.prepare("ann", now), answers.prepare("ann", now), answers.prepare("bad", now));
        answers.prepare("ann", now).await;
        assert_eq!(provider.asked.load(Ordering::Relaxed), 2);
        assert_eq!(answers.known("ann", now).unwrap().unwrap().id, "ann");
        assert_eq!(answers.known("bad", now), Some(Err(TokenError::Signature)));
        assert_eq!(answers.known("bob", now), None);
        answers.prepare("ann", now + 120).await;
        assert_eq!(provider.asked.load(Ordering::Relaxed), 3, "asked again when the answer is old");
    }

    #[tokio::test]
    async fn no_more_is_remembered_than_is_allowed() {
        let (answers, _) = answers(60);
        for number in 0..REMEMBERED_MAX + 5 {
            answers.prepare(&format!("user{number}"), clock::now()).await;
        }
        assert!(answers.known.lock().len() <= REMEMBERED_MAX);
    }

    #[tokio::test]
    async fn nobody_is_asked_who_is_not_there() {
        let (answers, provider) = answers(60);
        provider.gone.store(true, Ordering::Relaxed);
        answers.prepare("ann", clock::now()).await;
        assert_eq!((answers.is_asked(), answers.known("ann", clock::now())), (false, None));
    }
}
