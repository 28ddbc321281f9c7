//! The parts of the tests that Python and Node run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Choice;
use crate::failure::{Failure, Outcome};
use crate::layout::{Layout, Profile};
use crate::step::{command, run};
use crate::tools;

const FOLDERS: [&str; 2] = ["bindings-node/tests", "tests"];

pub(super) fn pytest(layout: &Layout, choice: &Choice) -> Outcome<String> {
    let mut pytest = command(&layout.root, layout.python(".venv"), &["-m", "pytest", "--dist=worksteal"]);
    // Many tests wait for a peer or a clock: one process more than there are processors keeps them busy.
    let processes = std::thread::available_parallelism().map_or(1, usize::from) + 1;
    pytest.arg(format!("--numprocesses={processes}"));
    if let Some(filter) = &choice.filter {
        pytest.args(["-k", filter]);
    }
    tell_where_things_are(layout, &mut pytest);
    run(pytest).map(|()| String::new())
}

/// Node's own runner; the published JavaScript client needs the flag for a WebSocket on Node 20.
pub(super) fn node(layout: &Layout, choice: &Choice) -> Outcome<String> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        find_tests(&layout.at(folder), &mut files)?;
    }
    if files.is_empty() {
        return Err(Failure::new(format!("no *.test.mjs in {}", FOLDERS.join(" or "))));
    }
    files.sort();
    let mut node =
        command(&layout.root, "node", &["--test", "--test-reporter=spec", "--test-timeout=120000"]);
    node.env("NODE_OPTIONS", "--experimental-websocket");
    if let Some(filter) = &choice.filter {
        node.arg(format!("--test-name-pattern={filter}"));
    }
    node.args(&files);
    tell_where_things_are(layout, &mut node);
    run(node).map(|()| format!("{} files", files.len()))
}

/// Compares the stub with the module that was built.
pub(super) fn stubtest(layout: &Layout) -> Outcome<String> {
    let mut stubtest =
        command(&layout.root, layout.python(".venv"), &["-m", "mypy.stubtest", "polyfn._native"]);
    let allowed = layout.at("bindings-python/stubtest-allowlist.txt");
    if allowed.is_file() {
        stubtest.arg("--allowlist").arg(allowed);
    }
    stubtest.env("MYPYPATH", layout.at("bindings-python/python"));
    run(stubtest).map(|()| String::new())
}

/// What a user's type checker must accept and refuse: `reveal_type`, `assert_type` and expected errors.
pub(super) fn python_types(layout: &Layout) -> Outcome<String> {
    let folder = layout.at("bindings-python/tests/types");
    let mut pyright = Command::new(layout.python_tool("pyright"));
    pyright.current_dir(&layout.root).env("PYRIGHT_PYTHON_IGNORE_WARNINGS", "1");
    if !folder.is_dir() {
        return Err(Failure::new("bindings-python/tests/types is missing"));
    }
    pyright.arg("--warnings").arg(folder);
    run(pyright).map(|()| String::new())
}

/// The tests of the declarations: what tsc must accept, and refuse under `@ts-expect-error`.
pub(super) fn typescript_types(layout: &Layout) -> Outcome<String> {
    let mut tsc = Command::new("node");
    tsc.current_dir(&layout.root).arg(tools::typescript_compiler(layout)).args([
        "--noEmit",
        "-p",
        "tsconfig.json",
    ]);
    run(tsc).map(|()| String::new())
}

fn tell_where_things_are(layout: &Layout, tests: &mut Command) {
    tests.env("POLYFN_BIN", layout.binary(Profile::Dev, "polyfn"));
    // servers of the tests keep nothing on the disk unless told where
    tests.env("POLYFN_DATABASE_URI", "sqlite::memory:");
    tests.env("HYPHA_PYTHON", layout.python(".venv-hypha"));
    tests.env("POLYFN_PYTHON", layout.python(".venv"));
}

fn find_tests(folder: &Path, found: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "node_modules" {
            find_tests(&path, found)?;
        } else if [".test.mjs", ".test.js", ".test.cjs"].iter().any(|end| name.ends_with(end)) {
            found.push(path);
        }
    }
    Ok(())
}
