//! Builds the server and both packages, and puts the packages where programs can load them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{During as _, Failure, Outcome};
use crate::layout::{Layout, Profile};
use crate::step::{command, run as run_step, say};
use crate::tools;

/// The two packages, ready to be loaded.
pub(crate) struct Packages {
    /// A folder for `PYTHONPATH`.
    pub(crate) python: PathBuf,
    /// The module that Node programs import.
    pub(crate) node: PathBuf,
}

/// The compiled module, as Python looks for it.
const PYTHON_LIBRARY: &str = if cfg!(windows) { "_native.pyd" } else { "_native.abi3.so" };

/// `cargo xtask build [--release]`: everything in place, for single tests by hand.
pub(crate) fn run(layout: &Layout, arguments: &[String]) -> Outcome {
    let profile = match arguments {
        [] => Profile::Dev,
        [flag] if flag == "--release" => Profile::Release,
        _ => return Err(Failure::new("usage: cargo xtask build [--release]")),
    };
    tools::packages(layout)?;
    compile(layout, profile, &["polyfn-server", "polyfn-python", "polyfn-node"])?;
    in_place(layout, profile).map(drop)
}

/// Runs cargo for these crates, its progress shown.
pub(crate) fn compile(layout: &Layout, profile: Profile, crates: &[&str]) -> Outcome {
    say(&format!("building {} ({})", crates.join(", "), profile.folder()));
    let mut cargo = command(&layout.root, "cargo", &["build"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    cargo.args(crates.iter().flat_map(|name| ["--package", name]));
    run_step(cargo)
}

/// What is built for the tests: all of it by one choice of crates and features, since another choice compiles much of
/// what the crates depend on a second time.
pub(crate) const EVERYTHING: [&str; 3] = ["--workspace", "--features", "polyfn-core/net"];

/// Builds everything that tests run: the server, both packages, the examples in Rust, and the tests themselves.
pub(crate) fn for_tests(layout: &Layout) -> Outcome {
    say("building everything with its tests (debug)");
    let mut cargo = command(&layout.root, "cargo", &["build", "--lib", "--bins", "--examples", "--tests"]);
    cargo.args(EVERYTHING);
    run_step(cargo)
}

/// The compiled module of the Python package inside the source tree, built if it is not there yet.
pub(crate) fn python_module(layout: &Layout) -> Outcome {
    let python = layout.at("bindings-python/python");
    if python.join("polyfn").join(PYTHON_LIBRARY).exists() {
        return Ok(());
    }
    for_tests(layout)?;
    place_python_library(layout, Profile::Dev, &python)
}

/// The packages inside the source tree, as the tests load them.
pub(crate) fn in_place(layout: &Layout, profile: Profile) -> Outcome<Packages> {
    let python = layout.at("bindings-python/python");
    place_python_library(layout, profile, &python)?;
    let node = node_package(layout, profile, &layout.at("bindings-node/lib"))?;
    Ok(Packages { python, node })
}

/// The packages in a folder of their own beside cargo's output, apart from the source tree.
pub(crate) fn apart(layout: &Layout, profile: Profile) -> Outcome<Packages> {
    let folder = layout.target.join("packages").join(profile.folder());
    let python = folder.join("python");
    copy_sources(&layout.at("bindings-python/python/polyfn"), &python.join("polyfn"))?;
    place_python_library(layout, profile, &python)?;
    let node = node_package(layout, profile, &folder.join("node"))?;
    Ok(Packages { python, node })
}

fn place_python_library(layout: &Layout, profile: Profile, source: &Path) -> Outcome {
    place(&layout.library(profile, "polyfn_python"), &source.join("polyfn").join(PYTHON_LIBRARY))
}

fn node_package(layout: &Layout, profile: Profile, out: &Path) -> Outcome<PathBuf> {
    let mut build = Command::new("node");
    build.current_dir(&layout.root).arg("bindings-node/build.mjs");
    build.arg("--library").arg(layout.library(profile, "polyfn_node")).arg("--out").arg(out);
    run_step(build)?;
    Ok(out.join("index.js"))
}

/// Over a new file and a rename: writing into a library that a process has loaded would crash that process.
fn place(library: &Path, target: &Path) -> Outcome {
    let fresh = target.with_extension(format!("new-{}", std::process::id()));
    fs::copy(library, &fresh).during(&format!("copying {}", library.display()))?;
    fs::rename(&fresh, target).during(&format!("placing {}", target.display()))
}

fn copy_sources(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).during(&from.display().to_string())? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        let wanted = path.extension().is_some_and(|kind| kind == "py" || kind == "pyi" || kind == "typed");
        if path.is_dir() && !path.ends_with("__pycache__") {
            copy_sources(&path, &target)?;
        } else if wanted {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
