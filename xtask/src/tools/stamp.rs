//! Remembers from which requirements something was installed, so that it is done again only when they change.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{During as _, Outcome};

/// A file inside the installed folder that holds the requirements it was made from.
pub(crate) struct Stamp {
    path: PathBuf,
    wanted: String,
}

impl Stamp {
    /// `parts` are the texts on which the installation depends.
    pub(crate) fn new(folder: &Path, parts: &[String]) -> Self {
        Self { path: folder.join(".polyfn-stamp"), wanted: parts.join("\n---\n") }
    }

    pub(crate) fn is_current(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|found| found == self.wanted)
    }

    pub(crate) fn write(&self) -> Outcome {
        fs::write(&self.path, &self.wanted).during("the stamp of an installation")
    }
}

/// A requirements file as text.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).during(&path.display().to_string())
}
