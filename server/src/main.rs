//! The `polyfn` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    polyfn_server::cli::main()
}
