//! `cargo xtask check`: formats, lints, types and budgets.

mod budget;
mod paths;
mod sources;

use std::process::Command;

use crate::build;
use crate::child;
use crate::failure::{Failure, Outcome};
use crate::layout::Layout;
use crate::step::{Summary, command, run as run_step};
use crate::tools;

const BIOME: &str = "node_modules/@biomejs/biome/bin/biome";

pub(crate) fn run(layout: &Layout, arguments: &[String]) -> Outcome {
    child::end_children_on_interrupt(130)?;
    match arguments {
        [] => {}
        [flag] if flag == "--fix" => return fix(layout),
        _ => return Err(Failure::new("usage: cargo xtask check [--fix]")),
    }
    let mut summary = Summary::default();
    summary.part("set-up", || {
        tools::test_environment(layout)?;
        tools::packages(layout)?;
        // pyright looks for the module that the stub describes
        build::python_module(layout)?;
        Ok(String::new())
    });
    rust(layout, &mut summary);
    python(layout, &mut summary);
    javascript(layout, &mut summary);
    summary.part("size of files", || budget::files(layout));
    summary.part("size of Python functions", || budget::python_functions(layout));
    summary.part("machine paths", || paths::check(layout));
    summary.close("cargo xtask check")
}

/// Formats everything, and mends what the linters can mend by themselves.
fn fix(layout: &Layout) -> Outcome {
    tools::test_environment(layout)?;
    tools::packages(layout)?;
    run_step(command(&layout.root, "cargo", &["fmt", "--all"]))?;
    // what is left for people is told by the check itself
    let _ = run_step(command(&layout.root, layout.python_tool("ruff"), &["check", "--fix", "--quiet", "."]));
    run_step(command(&layout.root, layout.python_tool("ruff"), &["format", "."]))?;
    let _ = run_step(command(&layout.root, "node", &[BIOME, "check", "--write", "--colors=off"]));
    Ok(())
}

fn rust(layout: &Layout, summary: &mut Summary) {
    summary.part("cargo fmt", || quiet(command(&layout.root, "cargo", &["fmt", "--all", "--check"])));
    summary.part("clippy", || {
        let mut clippy = command(&layout.root, "cargo", &["clippy", "--workspace", "--all-targets"]);
        clippy.args(["--features", "polyfn-core/net"]);
        // functions over 80 lines: the threshold stands in clippy.toml
        clippy.args(["--", "-D", "warnings", "-D", "clippy::too_many_lines"]);
        quiet(clippy)
    });
}

fn python(layout: &Layout, summary: &mut Summary) {
    let tool = |name: &str, arguments: &[&str]| {
        let mut tool = command(&layout.root, layout.python_tool(name), arguments);
        tool.env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
        quiet(tool)
    };
    summary.part("ruff check", || tool("ruff", &["check", "."]));
    summary.part("ruff format", || tool("ruff", &["format", "--check", "."]));
    summary.part("pyright", || tool("pyright", &["--warnings"]));
}

fn javascript(layout: &Layout, summary: &mut Summary) {
    let script = |path: &str, arguments: &[&str]| {
        let mut node = command(&layout.root, "node", &[]);
        node.arg(layout.at(path)).args(arguments);
        quiet(node)
    };
    summary.part("biome", || script(BIOME, &["ci", "--error-on-warnings", "--colors=off"]));
    summary.part("tsc", || {
        script("node_modules/typescript/bin/tsc", &["--noEmit", "-p", "bindings-node/tsconfig.build.json"])
    });
}

fn quiet(command: Command) -> Outcome<String> {
    run_step(command).map(|()| String::new())
}
