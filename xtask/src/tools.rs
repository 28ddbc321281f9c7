//! What the commands need installed. Each part is skipped when it is there and up to date.

mod debian;
mod node;
mod python;
mod rust;
mod stamp;

pub(crate) use debian::debian_program;
pub(crate) use node::{packages, typescript_compiler};
pub(crate) use python::{base_interpreter, hypha, test_environment};
pub(crate) use rust::{fuzzer, wasm_target};
