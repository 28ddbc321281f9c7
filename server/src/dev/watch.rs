//! Which files have changed, found by looking at them again and again.
//!
//! Looking costs little for the few files of a project, works on every file system, and needs no thread.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files that are looked at, at most.
const FILES_MAX: usize = 2000;
/// Folders that hold what others have written, or what is made from sources.
const LEFT_OUT: [&str; 5] = ["node_modules", "__pycache__", "target", "venv", "site-packages"];
/// Sources: what a module may be made of.
const SOURCES: [&str; 8] = ["py", "js", "mjs", "cjs", "ts", "mts", "cts", "json"];

/// What is seen of a file; another one tells of a change.
type Look = (Option<SystemTime>, u64);

/// The files of some modules, and what was last seen of them.
#[derive(Debug)]
pub struct Watch {
    modules: Vec<PathBuf>,
    others: Vec<PathBuf>,
    told: BTreeMap<PathBuf, Look>,
    last: BTreeMap<PathBuf, Look>,
}

impl Watch {
    /// Looks at these modules and the sources beside them, and at `others`: files, or folders with all that is in them.
    #[must_use]
    pub fn new(modules: Vec<PathBuf>, others: Vec<PathBuf>) -> Self {
        let mut watch = Self { modules, others, told: BTreeMap::new(), last: BTreeMap::new() };
        watch.told = watch.look();
        watch.last.clone_from(&watch.told);
        watch
    }

    /// The files that have changed since they were told last, and are still since the last look: nobody is writing.
    pub fn changed(&mut self) -> Vec<PathBuf> {
        let now = self.look();
        let is_still = now == self.last;
        self.last = now;
        if !is_still || self.last == self.told {
            return Vec::new();
        }
        let both = self.last.keys().chain(self.told.keys());
        let mut changed: Vec<_> =
            both.filter(|path| self.last.get(*path) != self.told.get(*path)).cloned().collect();
        changed.sort();
        changed.dedup();
        self.told.clone_from(&self.last);
        changed
    }

    fn look(&self) -> BTreeMap<PathBuf, Look> {
        let mut seen = BTreeMap::new();
        for module in &self.modules {
            look_at(module, &mut seen);
        }
        for folder in self.modules.iter().filter_map(|module| module.parent()) {
            look_into(folder, true, &mut seen);
        }
        for other in &self.others {
            if other.is_dir() { look_into(other, false, &mut seen) } else { look_at(other, &mut seen) }
        }
        seen
    }
}

fn look_at(path: &Path, seen: &mut BTreeMap<PathBuf, Look>) {
    if let Ok(about) = fs::metadata(path) {
        seen.insert(path.to_path_buf(), (about.modified().ok(), about.len()));
    }
}

fn look_into(folder: &Path, only_sources: bool, seen: &mut BTreeMap<PathBuf, Look>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if seen.len() >= FILES_MAX {
            return;
        }
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || LEFT_OUT.contains(&&*name) {
            continue;
        }
        let is_source = path.extension().is_some_and(|kind| SOURCES.iter().any(|source| kind == *source));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => look_into(&path, only_sources, seen),
            Ok(_) if is_source || !only_sources => look_at(&path, seen),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("polyfn-watch-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("node_modules")).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_change_is_told_once_and_only_when_the_file_is_still() {
        let folder = Folder::new("once");
        let module = folder.write("hello.py", "1");
        let helper = folder.write("helper.py", "1");
        let mut watch = Watch::new(vec![module.clone()], Vec::new());
        assert!(watch.changed().is_empty());
        folder.write("hello.py", "12");
        assert!(watch.changed().is_empty(), "it may still be written");
        folder.write("helper.py", "12");
        assert!(watch.changed().is_empty());
        assert_eq!(watch.changed(), [module.clone(), helper]);
        assert!(watch.changed().is_empty());
        fs::remove_file(&module).unwrap();
        watch.changed();
        assert_eq!(watch.changed(), [module]);
    }

    #[test]
    fn only_sources_beside_the_module_count_and_everything_in_folders_that_are_named() {
        let folder = Folder::new("what");
        let module = folder.write("hello.mjs", "1");
        let page = folder.write("page.html", "1");
        let mut alone = Watch::new(vec![module.clone()], Vec::new());
        let mut all = Watch::new(vec![module], vec![folder.0.clone()]);
        folder.write("page.html", "12");
        folder.write("node_modules/other.js", "1");
        assert!([alone.changed(), alone.changed()].concat().is_empty());
        assert_eq!([all.changed(), all.changed()].concat(), [page]);
    }
}
