//! When to try again: a pure function of attempts and of a random number.

use std::time::Duration;

/// Waits that double up to a limit, spread so that clients of a restarted server do not come all at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait. Default 0.1 s.
    pub first: Duration,
    /// The longest wait. Default 60 s.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait before attempt number `attempt` (from 0); `random` is evenly spread over 0..1.
    ///
    /// ```
    /// use polyfn_core::net::Backoff;
    /// let backoff = Backoff::default();
    /// assert_eq!(backoff.wait(0, 0.5).as_millis(), 100);
    /// assert_eq!(backoff.wait(30, 0.5).as_secs(), 60);
    /// ```
    pub fn wait(&self, attempt: u32, random: f64) -> Duration {
        let doubled = self.first.saturating_mul(2u32.saturating_pow(attempt.min(20)));
        // From 0.5 to 1.5 of the wait: wide enough to spread a crowd, narrow enough to keep the meaning.
        doubled.min(self.longest).mul_f64(0.5 + random.clamp(0.0, 1.0))
    }
}
