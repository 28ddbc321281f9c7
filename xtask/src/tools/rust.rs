//! What rustup and cargo may have to add: the wasm32 target, and cargo-fuzz with a nightly compiler.

use std::path::PathBuf;

use crate::failure::{During as _, Failure, Outcome};
use crate::layout::Layout;
use crate::step::{capture, command, run, say};

const WASM: &str = "wasm32-unknown-unknown";
const FUZZ_VERSION: &str = "0.13.2";

/// The target under which core must build; added by rustup when missing.
pub(crate) fn wasm_target(layout: &Layout) -> Outcome<&'static str> {
    let installed = capture(command(&layout.root, "rustup", &["target", "list", "--installed"]))?;
    if !installed.lines().any(|line| line == WASM) {
        say("adding the wasm32 target");
        run(command(&layout.root, "rustup", &["target", "add", WASM])).during("rustup target add")?;
    }
    Ok(WASM)
}

/// The program cargo-fuzz, built once into cargo's output folder; it only starts others, so not optimized.
pub(crate) fn fuzzer(layout: &Layout) -> Outcome<PathBuf> {
    let toolchains = capture(command(&layout.root, "rustup", &["toolchain", "list"]))?;
    if !toolchains.lines().any(|line| line.starts_with("nightly")) {
        return Err(Failure::new("fuzzing needs a nightly compiler: rustup toolchain install nightly"));
    }
    let tools = layout.target.join("tools");
    let fuzzer = tools.join("bin").join(format!("cargo-fuzz{}", std::env::consts::EXE_SUFFIX));
    if !fuzzer.is_file() {
        say("installing cargo-fuzz");
        let mut install =
            command(&layout.root, "cargo", &["install", "--quiet", "--locked", "--debug", "cargo-fuzz"]);
        install.args(["--version", FUZZ_VERSION, "--root"]).arg(&tools);
        run(install).during("cargo install cargo-fuzz")?;
    }
    Ok(fuzzer)
}
