//! How long files and functions may be. Clippy and biome count the functions of Rust and TypeScript.

use std::fs;

use super::sources;
use crate::failure::{Failure, Outcome};
use crate::layout::Layout;
use crate::step::{capture, command};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: &str = "80";

const PYTHON_FUNCTIONS: &str = "
import ast, sys
limit = int(sys.argv[1])
for path in sys.argv[2:]:
    for node in ast.walk(ast.parse(open(path, encoding='utf-8').read())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > limit:
                print(f'{path}:{node.lineno}: `{node.name}` has {lines} lines')
";

pub(super) fn files(layout: &Layout) -> Outcome<String> {
    let mut lengths = Vec::new();
    for path in sources::all(layout)?.into_iter().filter(|path| sources::is_code(path)) {
        lengths.push((fs::read_to_string(layout.at(&path))?.lines().count(), path));
    }
    lengths.sort();
    let over: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > FILE_LINES).collect();
    if !over.is_empty() {
        let list: Vec<_> = over.iter().map(|(lines, path)| format!("{path} has {lines} lines")).collect();
        return Err(Failure::new(format!("over {FILE_LINES}: {}", list.join(", "))));
    }
    let median = lengths.get(lengths.len() / 2).map_or(0, |(lines, _)| *lines);
    let longest = lengths.last().map_or(0, |(lines, _)| *lines);
    Ok(format!("{} files, median {median}, longest {longest} lines", lengths.len()))
}

pub(super) fn python_functions(layout: &Layout) -> Outcome<String> {
    let files = sources::all(layout)?.into_iter().filter(|path| path.ends_with(".py"));
    // the seeds' examples are kept as they were written
    let files = files.filter(|path| !path.starts_with("tests/seeds/"));
    let mut python = command(&layout.root, layout.python(".venv"), &["-c", PYTHON_FUNCTIONS, FUNCTION_LINES]);
    python.args(files);
    let over = capture(python)?;
    if over.is_empty() { Ok(String::new()) } else { Err(Failure::new(over)) }
}
