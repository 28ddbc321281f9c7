//! Where things lie: the repository, cargo's output, the Python environments.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// How cargo builds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Profile {
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// The folders of this clone.
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Layout {
    /// From the folder cargo runs us for; `CARGO_TARGET_DIR` is honoured as cargo does.
    pub(crate) fn find() -> Outcome<Self> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
        let manifest = std::path::absolute(manifest)?;
        let root = manifest.parent().filter(|root| root.join("pyproject.toml").is_file());
        let root = root.ok_or_else(|| Failure::new("not inside the repository: run `cargo xtask` in it"))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { root: root.to_path_buf(), target: std::path::absolute(target)? })
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A program cargo has built.
    pub(crate) fn binary(&self, profile: Profile, name: &str) -> PathBuf {
        self.target.join(profile.folder()).join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// A shared library cargo has built, by the name of its crate's `[lib]`.
    pub(crate) fn library(&self, profile: Profile, name: &str) -> PathBuf {
        let file = format!("{}{name}{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        self.target.join(profile.folder()).join(file)
    }

    /// The interpreter of an environment such as `.venv`.
    pub(crate) fn python(&self, environment: &str) -> PathBuf {
        program(&self.at(environment), "python")
    }

    /// A program that pip has installed into `.venv`.
    pub(crate) fn python_tool(&self, name: &str) -> PathBuf {
        program(&self.at(".venv"), name)
    }
}

fn program(environment: &Path, name: &str) -> PathBuf {
    if cfg!(windows) {
        environment.join("Scripts").join(format!("{name}.exe"))
    } else {
        environment.join("bin").join(name)
    }
}
