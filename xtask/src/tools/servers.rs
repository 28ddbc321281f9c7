//! Servers of others that the benchmark measures beside ours, in folders of cargo's output.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::python::base_interpreter;
use super::stamp::{Stamp, read};
use crate::failure::{During as _, Outcome};
use crate::layout::Layout;
use crate::step::{command, run, say};

/// The Python that has the servers for Python.
pub(crate) fn servers(layout: &Layout) -> PathBuf {
    layout.target.join("bench-python/bin/python")
}

/// The folder whose `node_modules` has the servers for Node.
pub(crate) fn node_servers(layout: &Layout) -> PathBuf {
    layout.target.join("bench-node")
}

/// Installs both, with the exact versions of `xtask/bench`.
pub(crate) fn measured_servers(layout: &Layout) -> Outcome {
    python(layout)?;
    node(layout)
}

fn python(layout: &Layout) -> Outcome {
    let requirements = layout.at("xtask/bench/requirements.txt");
    let folder = layout.target.join("bench-python");
    let stamp = Stamp::new(&folder, &[read(&requirements)?]);
    if stamp.is_current() {
        return Ok(());
    }
    say("installing Granian, uvicorn, Robyn and functions-framework, to measure beside");
    let mut create = Command::new(base_interpreter()?);
    create.args(["-m", "venv", "--clear"]).arg(&folder);
    run(create).during("python -m venv (Debian has it in python3-venv)")?;
    let mut pip = Command::new(servers(layout));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    run(pip).during("pip install")?;
    stamp.write()
}

fn node(layout: &Layout) -> Outcome {
    let (wanted, folder) = (layout.at("xtask/bench/package.json"), node_servers(layout));
    let stamp = Stamp::new(&folder, &[read(&wanted)?]);
    if stamp.is_current() {
        return Ok(());
    }
    say("installing faas-js-runtime and functions-framework, to measure beside");
    fs::create_dir_all(&folder)?;
    fs::copy(wanted, folder.join("package.json"))?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let arguments = ["install", "--package-lock=false", "--no-audit", "--no-fund", "--loglevel", "error"];
    run(command(&folder, npm, &arguments)).during("npm install")?;
    stamp.write()
}
