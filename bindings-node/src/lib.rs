//! The Node binding: exports only. `js/` gives what is here its public shape.

mod batch;
mod callback;
#[expect(clippy::needless_pass_by_value, reason = "N-API hands arguments over by value")]
mod client;
#[expect(clippy::needless_pass_by_value, reason = "N-API hands arguments over by value")]
mod command;
mod convert;
mod error;
#[expect(clippy::needless_pass_by_value, reason = "N-API hands arguments over by value")]
mod http;
mod pages;
mod pump;
mod runtime;
mod server;
mod stream;

pub use client::{Core, OpenOptions, form_names, limit_names};
pub use command::{CommandOutcome, DevModule, DevPlan, Watch, dev_failed, dev_routes, run_command};
pub use http::{location_inside, problem};
pub use server::{AnsweredRequest, EmbeddedServer};
