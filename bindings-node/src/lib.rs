//! The Node binding: exports only. `js/` gives what is here its public shape.

mod batch;
mod callback;
mod client;
mod convert;
mod error;
mod pump;
mod runtime;

pub use client::{Core, OpenOptions};
