//! Python environments: `.venv` for the tests, `.venv-hypha` for the server we compare with.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::stamp::{Stamp, read};
use crate::failure::{During as _, Failure, Outcome};
use crate::layout::Layout;
use crate::step::{capture, command, run, say};

/// The Python that environments are made from: `PYTHON`, else the first one found.
pub(crate) fn base_interpreter() -> Outcome<String> {
    if let Ok(chosen) = std::env::var("PYTHON") {
        return Ok(chosen);
    }
    let works =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    let found = ["python3", "python"].into_iter().find(works);
    found.map(str::to_owned).ok_or_else(|| Failure::new("no python3 found: install Python 3.10 or newer"))
}

/// `.venv`, with the test tools and our package's source on its path.
pub(crate) fn test_environment(layout: &Layout) -> Outcome {
    let requirements = layout.at("tests/requirements.txt");
    let folder = layout.at(".venv");
    let stamp = Stamp::new(&folder, &[version()?, read(&requirements)?]);
    if !stamp.is_current() {
        say("installing the Python test tools into .venv");
        create(layout, ".venv")?;
        pip(layout, ".venv", &["-r", &requirements.to_string_lossy()])?;
        stamp.write()?;
    }
    put_source_on_path(layout)
}

/// `.venv-hypha`: Hypha's own packages, then the versions under which they start.
pub(crate) fn hypha(layout: &Layout) -> Outcome {
    let base = layout.at("tests/requirements-hypha-base.txt");
    let pins = layout.at("tests/requirements-hypha.txt");
    let folder = layout.at(".venv-hypha");
    let stamp = Stamp::new(&folder, &[version()?, read(&base)?, read(&pins)?]);
    if stamp.is_current() {
        return Ok(());
    }
    say("installing Hypha into .venv-hypha, to test and measure against");
    create(layout, ".venv-hypha")?;
    pip(layout, ".venv-hypha", &["-r", &base.to_string_lossy()])?;
    pip(layout, ".venv-hypha", &["--no-deps", "-r", &pins.to_string_lossy()])?;
    run(command(&layout.root, layout.python(".venv-hypha"), &["-c", "import hypha.server, hypha_rpc"]))?;
    stamp.write()
}

fn version() -> Outcome<String> {
    capture(command(Path::new("."), base_interpreter()?, &["--version"]))
}

fn create(layout: &Layout, environment: &str) -> Outcome {
    // Several work trees may share one by a link: `venv` would empty it and then refuse to fill it.
    if layout.at(environment).is_symlink() && layout.python(environment).exists() {
        return Ok(());
    }
    run(command(&layout.root, base_interpreter()?, &["-m", "venv", "--clear", environment]))
        .during("python -m venv (Debian has it in python3-venv)")
}

fn pip(layout: &Layout, environment: &str, what: &[&str]) -> Outcome {
    let mut pip = command(&layout.root, layout.python(environment), &["-m", "pip", "install"]);
    pip.args(["--quiet", "--disable-pip-version-check"]).args(what);
    run(pip).during("pip install")
}

/// A `.pth` file, so that programs which the tests start find the package as well.
fn put_source_on_path(layout: &Layout) -> Outcome {
    let ask = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let folder = capture(command(&layout.root, layout.python(".venv"), &["-c", ask]))?;
    let source = layout.at("bindings-python/python");
    fs::write(Path::new(&folder).join("polyfn-source.pth"), format!("{}\n", source.display()))
        .during("polyfn-source.pth")
}
