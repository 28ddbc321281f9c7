//! Whether memory grows, from samples of it.

use std::fmt;

use crate::failure::{Failure, Outcome};

/// The share of the samples at the begin in which allocators and tables still find their size.
const WARM_UP: f64 = 0.25;
/// What may come on top by the end, whatever the slope says of it.
const SLACK_BYTES: f64 = 20e6;
/// And what may, by the size at the begin.
const SLACK_SHARE: f64 = 0.25;

/// Memory by time.
#[derive(Default)]
pub(super) struct Trend {
    samples: Vec<(f64, f64)>,
}

impl Trend {
    pub(super) fn add(&mut self, seconds: f64, bytes: f64) {
        self.samples.push((seconds, bytes));
    }

    fn settled(&self) -> &[(f64, f64)] {
        let skipped = (self.samples.len() as f64 * WARM_UP) as usize;
        self.samples.get(skipped..).unwrap_or_default()
    }

    /// Bytes per second: the line with the least squares.
    fn slope(&self) -> f64 {
        let samples = self.settled();
        let count = samples.len().max(1) as f64;
        let (time, size) =
            samples.iter().fold((0.0, 0.0), |sum, at| (sum.0 + at.0 / count, sum.1 + at.1 / count));
        let (mut product, mut square) = (0.0, 0.0);
        for (seconds, bytes) in samples {
            product += (seconds - time) * (bytes - size);
            square += (seconds - time).powi(2);
        }
        if square > 0.0 { product / square } else { 0.0 }
    }

    /// What the slope makes of the time that was looked at.
    fn growth(&self) -> f64 {
        let samples = self.settled();
        let ends = samples.first().zip(samples.last());
        ends.map_or(0.0, |(first, last)| self.slope() * (last.0 - first.0))
    }

    /// Fails when memory grows by more than what may be chance.
    pub(super) fn verdict(&self) -> Outcome {
        let first = self.settled().first().map_or(0.0, |(_, bytes)| *bytes);
        let allowed = SLACK_BYTES.max(first * SLACK_SHARE);
        if self.growth() <= allowed {
            println!("memory is flat: less than {:.0} MB more", allowed / 1e6);
            return Ok(());
        }
        let grown = self.growth() / 1e6;
        Err(Failure::new(format!("memory grows: {grown:.1} MB where {:.1} may come", allowed / 1e6)))
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = || self.settled().iter().map(|(_, bytes)| *bytes / 1e6);
        let (low, high) = (sizes().fold(f64::MAX, f64::min), sizes().fold(0.0, f64::max));
        write!(
            out,
            "memory after the first quarter: {low:.2} to {high:.2} MB, {:+.1} KB a minute",
            self.slope() * 60.0 / 1e3
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Trend;

    fn of(size: impl Fn(f64) -> f64) -> Trend {
        let mut trend = Trend::default();
        for minute in 0..40 {
            let seconds = f64::from(minute) * 60.0;
            trend.add(seconds, size(seconds));
        }
        trend
    }

    #[test]
    fn a_begin_and_noise_are_no_growth() {
        let noisy =
            of(|seconds| 30e6 + (seconds / 7.0).sin() * 5e6 + if seconds > 300.0 { 40e6 } else { 0.0 });
        assert!(noisy.verdict().is_ok());
        assert!(Trend::default().verdict().is_ok());
    }

    #[test]
    fn what_goes_on_growing_is_found() {
        let leaking = of(|seconds| 30e6 + seconds * 20e3);
        assert!((leaking.slope() - 20e3).abs() < 1.0);
        assert!(leaking.verdict().is_err());
    }
}
