//! The protocol: against recorded traffic, by rule, and by chance.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calling;
mod coming_back;
mod duo;
mod encryption;
mod exchange;
mod extensions;
mod generators;
mod interfaces;
mod joining;
mod listening;
mod manager;
mod network;
mod passing;
mod properties;
mod pushing;
mod reading;
mod recording;
mod repeated;
mod replay;
mod schemas;
mod sealed;
mod sealed_streams;
mod security;
mod serving;
mod turns;
mod vectors;
