//! What the commands need installed. Each part is skipped when it is there and up to date.

mod debian;
mod node;
mod python;
mod rust;
mod servers;
mod stamp;

pub(crate) use debian::{debian_program, postgres};
pub(crate) use node::{packages, typescript_compiler};
pub(crate) use python::{base_interpreter, hypha, test_environment};
pub(crate) use rust::{fuzzer, wasm_target};
pub(crate) use servers::{measured_servers, node_servers, servers};

use crate::failure::{Failure, Outcome};
use crate::layout::Layout;

/// `cargo xtask install`: the reference and the fuzzer, which `check` does not touch, so that both may run at once.
pub(crate) fn install(layout: &Layout, arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err(Failure::new("usage: cargo xtask install"));
    }
    postgres()?;
    hypha(layout)?;
    wasm_target(layout)?;
    fuzzer(layout).map(drop)
}
