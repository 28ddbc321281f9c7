//! Developer commands: `cargo xtask <name>`. Nothing has to be installed first but cargo, Python and Node.

mod bench;
mod build;
mod check;
mod child;
mod demo;
mod failure;
mod fetch;
mod layout;
mod step;
mod test;
mod tools;

use std::process::ExitCode;

use failure::{Failure, Outcome};
use layout::Layout;

const HELP: &str = "\
cargo xtask <command>

commands:
  demo [--once]           build, start the server and two programs, call them in all directions, keep serving
  test [parts] [filter]   install the test tools, build, run every test; parts: rust python node types wasm fuzz
  check [--fix]           formats, lints, types and budgets, as CI runs them; --fix mends what tools can
  bench [--quick] [rows]  measure ours beside Hypha, NATS and the ceilings; `bench --help` says more
  soak [--minutes N]      clients come, work and vanish; the memory of the server must stay flat
  install                 install what `test` needs beside what `check` does: it is slow, and may run meanwhile
  build [--release]       build the server and both packages in place, for running single tests by hand
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome {
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    let layout = Layout::find()?;
    match command.as_str() {
        "demo" => demo::run(&layout, rest),
        "test" => test::run(&layout, rest),
        "check" => check::run(&layout, rest),
        "bench" => bench::run(&layout, rest),
        "soak" => bench::soak::run(&layout, rest),
        "build" => build::run(&layout, rest),
        "install" => tools::install(&layout, rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(Failure::new(format!("no command `{other}`: `cargo xtask --help` lists them"))),
    }
}
