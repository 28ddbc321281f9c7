//! npm packages: the TypeScript compiler, biome, and the published clients we test against.

use std::path::PathBuf;

use super::stamp::{Stamp, read};
use crate::failure::{During as _, Outcome};
use crate::layout::Layout;
use crate::step::{command, run, say};

/// `node_modules`, with the exact versions of package.json, without building our own package.
pub(crate) fn packages(layout: &Layout) -> Outcome {
    let stamp = Stamp::new(&layout.at("node_modules"), &[read(&layout.at("package.json"))?]);
    if stamp.is_current() {
        return Ok(());
    }
    say("installing the npm development packages");
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"];
    run(command(&layout.root, npm, &arguments)).during("npm install (Node 20 or newer is needed)")?;
    stamp.write()
}

/// The script of tsc, to be run by node.
pub(crate) fn typescript_compiler(layout: &Layout) -> PathBuf {
    layout.at("node_modules/typescript/bin/tsc")
}
