//! Requests by address or identity, at most so many a second; more are answered with 429.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use axum::http::{HeaderMap, Uri, header};
use parking_lot::Mutex;
use polyfn_core::ErrorKind;

use crate::auth::{Tokens, identify};
use crate::clock;
use crate::http::problem::Problem;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::rate::{Bucket, Rate};

/// Senders remembered before those that have been quiet are forgotten.
const MAX_SENDERS: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Sender {
    Address(IpAddr),
    User(String),
}

/// Remembers who sent how much.
#[derive(Debug)]
pub struct Throttle {
    address: Option<Rate>,
    identity: Option<Rate>,
    senders: Mutex<HashMap<Sender, Bucket>>,
}

impl Throttle {
    /// `None` when the settings allow any number of requests.
    #[must_use]
    pub fn new(limits: &Limits) -> Option<Self> {
        let address = Rate::new(limits.http_rate_limit.into(), limits.http_burst_limit.into());
        let identity = Rate::new(
            limits.http_authenticated_rate_limit.into(),
            limits.http_authenticated_burst_limit.into(),
        );
        let some = address.is_some() || identity.is_some();
        some.then(|| Self { address, identity, senders: Mutex::default() })
    }

    /// Counts one request. Health checks and websockets, which have limits of their own, are let through.
    ///
    /// # Errors
    /// The answer for a sender who has to wait.
    pub fn check(
        &self,
        from: IpAddr,
        uri: &Uri,
        headers: &HeaderMap,
        tokens: &Tokens,
        metrics: &Metrics,
        now: Duration,
    ) -> Result<(), Problem> {
        if uri.path().starts_with("/health") || headers.contains_key(header::UPGRADE) {
            return Ok(());
        }
        // a token that is not valid does not raise the limit
        let user = identify::user(headers, tokens, clock::now()).ok().flatten();
        let (sender, rate) = match user {
            Some(user) => (Sender::User(user.id), self.identity),
            None => (Sender::Address(from), self.address),
        };
        let limit = if matches!(sender, Sender::User(_)) {
            "http_authenticated_rate_limit"
        } else {
            "http_rate_limit"
        };
        let taken = rate.map_or(Ok(()), |rate| self.take(sender, rate, now));
        taken.inspect_err(|_| metrics.limited.note(limit))
    }

    fn take(&self, sender: Sender, rate: Rate, now: Duration) -> Result<(), Problem> {
        let mut senders = self.senders.lock();
        if senders.len() >= MAX_SENDERS && !senders.contains_key(&sender) {
            self.forget_quiet(&mut senders, now);
        }
        let bucket = senders.entry(sender).or_insert_with(|| Bucket::full(rate, now));
        bucket
            .take(rate, now)
            .map_err(|_| Problem::new(ErrorKind::Overloaded, "Rate limit exceeded. Please slow down."))
    }

    /// Forgets full buckets; when there are none, all: memory is bounded whatever is sent.
    fn forget_quiet(&self, senders: &mut HashMap<Sender, Bucket>, now: Duration) {
        senders.retain(|sender, bucket| {
            let rate = if matches!(sender, Sender::User(_)) { self.identity } else { self.address };
            rate.is_some_and(|rate| !bucket.is_full(rate, now))
        });
        if senders.len() >= MAX_SENDERS {
            senders.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn throttle() -> Throttle {
        let limits = Limits { http_rate_limit: 1, http_burst_limit: 2, ..Limits::default() };
        Throttle::new(&limits).unwrap()
    }

    fn ask(throttle: &Throttle, from: u32, path: &'static str) -> bool {
        let tokens = Tokens::new(&Config::default(), b"key");
        let from = IpAddr::V4(from.into());
        throttle
            .check(
                from,
                &Uri::from_static(path),
                &HeaderMap::new(),
                &tokens,
                &Metrics::default(),
                Duration::ZERO,
            )
            .is_ok()
    }

    #[test]
    fn one_address_does_not_spend_what_another_has() {
        let throttle = throttle();
        assert!(ask(&throttle, 1, "/") && ask(&throttle, 1, "/"));
        assert!(!ask(&throttle, 1, "/"));
        assert!(ask(&throttle, 1, "/health/liveness"));
        assert!(ask(&throttle, 2, "/"));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = throttle();
        for from in 0..MAX_SENDERS as u32 + 10 {
            ask(&throttle, from, "/");
        }
        assert!(throttle.senders.lock().len() <= MAX_SENDERS);
    }

    #[test]
    fn by_default_there_is_no_limit() {
        assert!(Throttle::new(&Limits::default()).is_none());
    }
}
