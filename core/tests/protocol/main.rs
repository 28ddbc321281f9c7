//! The protocol: against recorded traffic, by rule, and by chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calling;
mod exchange;
mod extensions;
mod generators;
mod joining;
mod manager;
mod network;
mod properties;
mod recording;
mod replay;
mod schemas;
mod sealed;
mod security;
mod serving;
mod vectors;
