//! Servers of others that run the measured function, or the web app, in their own process.

use std::process::Command;

use crate::bench::row::{Language, Row, System};
use crate::layout::Layout;
use crate::step::command;
use crate::tools;

/// Where the function is: faas-js-runtime has no other place.
pub(super) fn path(system: System) -> &'static str {
    if system == System::FaasJs { "/" } else { "/hello" }
}

/// The program that serves [`path`] at `port`.
pub(super) fn program(layout: &Layout, row: &Row, port: u16) -> Command {
    let port = port.to_string();
    let place = ["--host", "127.0.0.1", "--port", &port];
    let arguments: &[&str] = match row.system {
        System::Granian => &["-m", "granian", "--interface", "asgi", "--log-level", "error", "webapp:app"],
        System::Uvicorn => &["-m", "uvicorn", "--no-access-log", "--log-level", "error", "webapp:app"],
        System::Robyn => &["robyn_app.py", "--log-level", "ERROR"],
        System::FaasJs => return faas_js(layout, &port),
        _ if row.language == Language::Node => return google_node(layout, &port),
        _ => &["-m", "functions_framework", "--target", "hello", "--source", "google_function.py"],
    };
    let mut program = command(&layout.at("xtask/bench"), tools::servers(layout), arguments);
    program.args(place);
    program
}

fn faas_js(layout: &Layout, port: &str) -> Command {
    let runtime = tools::node_servers(layout).join("node_modules/faas-js-runtime");
    let mut program = command(&layout.at("xtask/bench"), "node", &["faas.cjs"]);
    program.arg(runtime).arg(port);
    program
}

fn google_node(layout: &Layout, port: &str) -> Command {
    let main = "node_modules/@google-cloud/functions-framework/build/src/main.js";
    let mut program = command(&layout.root, "node", &[]);
    program.arg(tools::node_servers(layout).join(main)).args(["--target", "hello", "--port", port]);
    program.arg("--source").arg(layout.at("xtask/bench/google_function.cjs"));
    program
}
