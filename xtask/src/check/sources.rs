//! The files of this repository, as git knows them.

use std::path::Path;

use crate::failure::Outcome;
use crate::layout::Layout;
use crate::step::{capture, command};

/// Every file that is tracked, or would be: new ones count before they are committed.
pub(super) fn all(layout: &Layout) -> Outcome<Vec<String>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];
    let listed = capture(command(&layout.root, "git", &arguments))?;
    Ok(listed.lines().filter(|path| layout.at(path).is_file()).map(str::to_owned).collect())
}

/// Whether this is source code by its name.
pub(super) fn is_code(path: &str) -> bool {
    Path::new(path)
        .extension()
        .and_then(|kind| kind.to_str())
        .is_some_and(|kind| matches!(kind, "rs" | "py" | "pyi" | "ts" | "mts" | "cts" | "js" | "mjs" | "cjs"))
}
