//! The protocol: against recorded traffic, by rule, and by chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod manager;
mod recording;
mod replay;
mod vectors;
