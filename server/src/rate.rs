//! Token buckets: so many a second on average, so many at once. Pure: the time is an argument.

use std::time::Duration;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: f64,
}

impl Rate {
    /// `per_second` on average and `burst` at once; `None` when there is no limit (0 a second).
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Option<Self> {
        (per_second > 0.0).then_some(Self { per_second, burst: burst.max(1.0) })
    }
}

/// What one sender has left.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    /// A full one. Times are counted from any fixed moment.
    #[must_use]
    pub fn full(rate: Rate, now: Duration) -> Self {
        Self { left: rate.burst, at: now }
    }

    /// Takes one out.
    ///
    /// # Errors
    /// How long to wait until there is one again.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.refill(rate, now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / rate.per_second))
    }

    /// Takes `amount` out, whether it is there or not, but no more than what comes back within `most`.
    ///
    /// Says how long to wait until the debt is paid.
    pub fn charge(&mut self, rate: Rate, amount: f64, most: Duration, now: Duration) -> Duration {
        self.refill(rate, now);
        self.left = (self.left - amount).max(-most.as_secs_f64() * rate.per_second);
        Duration::from_secs_f64((-self.left / rate.per_second).max(0.0))
    }

    /// Whether nothing was taken lately, so that the bucket may be forgotten.
    #[must_use]
    pub fn is_full(&mut self, rate: Rate, now: Duration) -> bool {
        self.refill(rate, now);
        self.left >= rate.burst
    }

    fn refill(&mut self, rate: Rate, now: Duration) {
        let gained = now.saturating_sub(self.at).as_secs_f64() * rate.per_second;
        self.left = (self.left + gained).min(rate.burst);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate::new(10.0, 3.0).unwrap();
        let mut bucket = Bucket::full(rate, Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, Duration::ZERO), Ok(()));
        }
        assert_eq!(bucket.take(rate, Duration::ZERO), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(rate, Duration::from_millis(100)), Ok(()));
        assert!(!bucket.is_full(rate, Duration::from_millis(200)));
        assert!(bucket.is_full(rate, Duration::from_secs(9)));
    }

    #[test]
    fn zero_means_no_limit() {
        assert_eq!(Rate::new(0.0, 5.0), None);
    }
}
