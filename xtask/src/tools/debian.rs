//! Programs from the system's packages, which only the benchmark and the tests of the store need.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::step::{run, say};

/// PostgreSQL, to test the store with; its programs lie in a folder of their own, by version.
pub(crate) fn postgres() -> Outcome {
    let installed = || {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        is_installed("initdb")
            || versions.map(|version| version.path()).any(|path| path.join("bin/initdb").is_file())
    };
    if installed() { Ok(()) } else { install("postgresql", "initdb") }
}

/// Makes sure that `program` is there, installing `package` where apt-get can.
pub(crate) fn debian_program(program: &str, package: &str) -> Outcome {
    if is_installed(program) {
        return Ok(());
    }
    install(package, program)?;
    if is_installed(program) { Ok(()) } else { Err(missing(package, program)) }
}

fn missing(package: &str, program: &str) -> Failure {
    Failure::new(format!("`{program}` is missing: install the package {package}"))
}

fn install(package: &str, program: &str) -> Outcome {
    say(&format!("installing {package} with apt-get"));
    let mut update = Command::new("apt-get");
    update.args(["update", "-qq"]);
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "-qq", package]).env("DEBIAN_FRONTEND", "noninteractive");
    run(update).and_then(|()| run(install)).map_err(|_| missing(package, program))
}

fn is_installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
        || Path::new("/usr/sbin").join(program).is_file()
}
