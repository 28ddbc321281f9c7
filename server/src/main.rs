//! The `polyfn` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    polyfn_server::cli::main()
}
