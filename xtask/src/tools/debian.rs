//! Programs from the system's packages, which only the benchmark needs.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::step::{run, say};

/// Makes sure that `program` is there, installing `package` where apt-get can.
pub(crate) fn debian_program(program: &str, package: &str) -> Outcome {
    if is_installed(program) {
        return Ok(());
    }
    say(&format!("installing {package} with apt-get"));
    let remedy = || Failure::new(format!("`{program}` is missing: install the package {package}"));
    let mut update = Command::new("apt-get");
    update.args(["update", "-qq"]);
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", package]).env("DEBIAN_FRONTEND", "noninteractive");
    run(update).and_then(|()| run(install)).map_err(|_| remedy())?;
    if is_installed(program) { Ok(()) } else { Err(remedy()) }
}

fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}
