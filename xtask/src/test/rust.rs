//! The parts of the tests that cargo runs.

use std::fs;
use std::process::Command;

use super::Choice;
use crate::build::EVERYTHING;
use crate::failure::{During as _, Failure, Outcome};
use crate::layout::Layout;
use crate::step::{command, run};
use crate::tools;

const FUZZ_SECONDS: &str = "-max_total_time=10";

/// All crates; of the bindings nothing is tested here: those are libraries inside an interpreter, and tested from there.
pub(super) fn tests(layout: &Layout, choice: &Choice) -> Outcome<String> {
    let mut cargo = command(&layout.root, "cargo", &["test", "--no-fail-fast"]);
    cargo.args(EVERYTHING);
    cargo.args(&choice.filter);
    run(cargo).map(|()| String::new())
}

/// Core without features has no sockets, clocks or threads; the compiler shows it.
pub(super) fn wasm(layout: &Layout) -> Outcome<String> {
    let target = tools::wasm_target(layout)?;
    run(command(&layout.root, "cargo", &["check", "--package", "polyfn-core", "--target", target]))?;
    Ok(format!("cargo check --target {target}"))
}

/// Each fuzz target for a few seconds: enough to see that it still builds and finds nothing at once.
pub(super) fn fuzz(layout: &Layout) -> Outcome<String> {
    let targets = fuzz_targets(layout)?;
    let fuzzer = tools::fuzzer(layout)?;
    let core = layout.at("core");
    for target in &targets {
        let mut fuzz = Command::new(&fuzzer);
        fuzz.current_dir(&core).env("RUSTUP_TOOLCHAIN", "nightly");
        // No address sanitizer: core forbids unsafe code, and the build takes half of the time without. The profile of
        // `--dev` is in the fuzz crate: it optimizes core, and not all that the server is made of.
        fuzz.args(["fuzz", "run", "--dev", "--sanitizer=none", target]);
        fuzz.arg("--target-dir").arg(layout.target.join("fuzz"));
        fuzz.args(["--", FUZZ_SECONDS, "-verbosity=0", "-print_final_stats=1"]);
        run(fuzz).during(target)?;
    }
    Ok(targets.join(", "))
}

fn fuzz_targets(layout: &Layout) -> Outcome<Vec<String>> {
    let folder = layout.at("core/fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).during("core/fuzz/fuzz_targets")? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "rs") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    if names.is_empty() {
        return Err(Failure::new("no fuzz targets in core/fuzz/fuzz_targets"));
    }
    names.sort();
    Ok(names)
}
