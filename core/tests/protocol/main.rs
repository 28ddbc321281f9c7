//! The protocol: against recorded traffic, by rule, and by chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calling;
mod joining;
mod manager;
mod recording;
mod replay;
mod serving;
mod vectors;
