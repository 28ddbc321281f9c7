//! The facts without which a figure says nothing: processor, memory, versions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use crate::layout::Layout;
use crate::step::{capture, command};
use crate::tools;

/// One line per fact.
pub(super) fn facts(layout: &Layout) -> String {
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let packages = "import importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in \
                    ('hypha-rpc', 'nats-py', 'websockets')), sep=', ')";
    let hypha = "import importlib.metadata as m; print('Hypha', m.version('hypha'))";
    let node = "const v = (n) => `${n} ${JSON.parse(require('fs').readFileSync(`node_modules/${n}/package.json`)).version}`;\
                console.log(['hypha-rpc', 'nats', 'ws'].map(v).join(', '))";
    let servers = "import importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in \
                   ('granian', 'uvicorn', 'robyn', 'functions-framework')), sep=', ')";
    let of_node = "const v = (n) => `${n} ${JSON.parse(require('fs').readFileSync(`node_modules/${n}/package.json`)).version}`;\
                   console.log(['@google-cloud/functions-framework', 'faas-js-runtime'].map(v).join(', '))";
    let mut lines = vec![
        format!(
            "machine: {cores} cores, {}, {} GB, {}",
            processor(),
            memory(),
            said(&mut new("uname", &["-sr"]))
        ),
        format!("{}, release profile", said(&mut new("rustc", &["--version"]))),
        format!(
            "{}; {}",
            python(layout, ".venv", &["--version"]),
            python(layout, ".venv", &["-c", packages])
        ),
        format!(
            "Node {}; npm {}",
            said(&mut new("node", &["--version"])),
            said(command(&layout.root, "node", &["-e", node]))
        ),
        format!(
            "{}; {}; {}",
            python(layout, ".venv-hypha", &["-c", hypha]),
            said(&mut new(nats_program(), &["--version"])),
            wrk(),
        ),
    ];
    if tools::servers(layout).is_file() {
        let python = capture(command(&layout.root, tools::servers(layout), &["-c", servers]));
        let node = capture(command(&tools::node_servers(layout), "node", &["-e", of_node]));
        lines.push(format!("{}; npm {}", python.unwrap_or_default(), node.unwrap_or_default()));
    }
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// The date, in UTC.
pub(super) fn today() -> String {
    said(&mut new("date", &["-u", "+%F"]))
}

fn new(program: &str, arguments: &[&str]) -> Command {
    command(Path::new("."), program, arguments)
}

fn said(command: impl std::borrow::BorrowMut<Command>) -> String {
    let mut command = command;
    let output = command.borrow_mut().output();
    let text =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn python(layout: &Layout, environment: &str, arguments: &[&str]) -> String {
    capture(command(&layout.root, layout.python(environment), arguments))
        .unwrap_or_else(|_| "unknown".to_owned())
}

fn nats_program() -> &'static str {
    if Path::new("/usr/sbin/nats-server").is_file() { "/usr/sbin/nats-server" } else { "nats-server" }
}

/// wrk tells its version in the first line of its help, and ends with an error.
fn wrk() -> String {
    said(&mut new("wrk", &["--version"])).split('[').next().unwrap_or_default().trim().to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    model
        .and_then(|line| line.split_once(": "))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kilobytes.map_or_else(|| "?".to_owned(), |count| format!("{:.0}", count / 1024.0 / 1024.0))
}
