//! Token buckets: so many a second on average, so many at once. Pure: the time is an argument.

use std::time::Duration;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    burst: u32,
}

impl Rate {
    /// `per_second` on average and `burst` at once; `None` when there is no limit (0 a second).
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Option<Self> {
        (per_second > 0).then_some(Self { per_second, burst: burst.max(1) })
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
        Self { left: f64::from(rate.burst), at: now }
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
        Err(Duration::from_secs_f64((1.0 - self.left) / f64::from(rate.per_second)))
    }

    /// Whether nothing was taken lately, so that the bucket may be forgotten.
    #[must_use]
    pub fn is_full(&mut self, rate: Rate, now: Duration) -> bool {
        self.refill(rate, now);
        self.left >= f64::from(rate.burst)
    }

    fn refill(&mut self, rate: Rate, now: Duration) {
        let gained = now.saturating_sub(self.at).as_secs_f64() * f64::from(rate.per_second);
        self.left = (self.left + gained).min(f64::from(rate.burst));
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate = Rate::new(10, 3).unwrap();
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
        assert_eq!(Rate::new(0, 5), None);
    }
}
