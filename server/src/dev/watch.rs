//! Which files have changed, found by looking at them again and again.
//!
//! Looking costs little for the few files of a project, works on every file system, and needs no thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files that are looked at, at most.
const FILES_MAX: usize = 2000;
/// Folders that hold what others have written, or what is made from sources.
const LEFT_OUT: [&str; 5] = ["node_modules", "__pycache__", "target", "venv", "site-packages"];
/// What a module in Python may be made of.
const PYTHON: &[&str] = &["py"];
/// What a module in JavaScript may be made of. JSON is not among it: functions write such files themselves.
const JAVASCRIPT: &[&str] = &["js", "mjs", "cjs", "ts", "mts", "cts"];
/// Looks that find the same before a change is told: by then nobody is writing, and what is saved together is there.
const STILL: u32 = 2;
/// The same where a file is gone or empty: some editors empty or remove it before they write it.
const STILL_IN_A_GAP: u32 = 5;

/// What is seen of a file; another one tells of a change.
type Look = (Option<SystemTime>, u64);

/// The files of some modules, and what was last seen of them.
#[derive(Debug)]
pub struct Watch {
    modules: Vec<PathBuf>,
    others: Vec<PathBuf>,
    told: BTreeMap<PathBuf, Look>,
    last: BTreeMap<PathBuf, Look>,
    /// Looks in a row that found what the last one found.
    still: u32,
}

impl Watch {
    /// Looks at these modules and the sources beside them, and at `others`: files, or folders with all that is in them.
    #[must_use]
    pub fn new(modules: Vec<PathBuf>, others: Vec<PathBuf>) -> Self {
        let mut watch = Self { modules, others, told: BTreeMap::new(), last: BTreeMap::new(), still: 0 };
        watch.told = watch.look();
        watch.last.clone_from(&watch.told);
        watch
    }

    /// The files that have changed since they were told last, once nobody is writing any longer: one save is told once,
    /// however it is made.
    pub fn changed(&mut self) -> Vec<PathBuf> {
        let now = self.look();
        self.still = if now == self.last { self.still.saturating_add(1) } else { 0 };
        self.last = now;
        if self.last == self.told {
            return Vec::new();
        }
        let both: BTreeSet<_> = self.last.keys().chain(self.told.keys()).collect();
        let differ = |path: &&&PathBuf| self.last.get(**path) != self.told.get(**path);
        let changed: Vec<_> = both.iter().filter(differ).map(|path| (*path).clone()).collect();
        let is_gap = |path: &PathBuf| {
            self.told.contains_key(path) && self.last.get(path).is_none_or(|look| look.1 == 0)
        };
        let enough = if changed.iter().any(is_gap) { STILL_IN_A_GAP } else { STILL };
        if self.still < enough {
            return Vec::new();
        }
        self.told.clone_from(&self.last);
        changed
    }

    fn look(&self) -> BTreeMap<PathBuf, Look> {
        let mut seen = BTreeMap::new();
        for module in &self.modules {
            look_at(module, &mut seen);
        }
        for module in &self.modules {
            if let Some(folder) = module.parent() {
                look_into(folder, Some(sources_of(module)), &mut seen);
            }
        }
        for other in &self.others {
            if other.is_dir() { look_into(other, None, &mut seen) } else { look_at(other, &mut seen) }
        }
        seen
    }
}

fn look_at(path: &Path, seen: &mut BTreeMap<PathBuf, Look>) {
    if let Ok(about) = fs::metadata(path) {
        seen.insert(path.to_path_buf(), (about.modified().ok(), about.len()));
    }
}

/// What a module like this one can be made of.
fn sources_of(module: &Path) -> &'static [&'static str] {
    if module.extension().is_some_and(|kind| kind == "py") { PYTHON } else { JAVASCRIPT }
}

/// Looks at the files of a folder, and of those in it, that have one of these endings; at all of them without.
fn look_into(folder: &Path, endings: Option<&[&str]>, seen: &mut BTreeMap<PathBuf, Look>) {
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
        let ending = path.extension();
        let counts = endings.is_none_or(|all| ending.is_some_and(|kind| all.iter().any(|one| kind == *one)));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => look_into(&path, endings, seen),
            Ok(_) if counts => look_at(&path, seen),
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
            for inner in ["node_modules", "sub", "__pycache__"] {
                fs::create_dir_all(path.join(inner)).unwrap();
            }
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

    /// What a save does between two looks.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Write(&'static str, &'static str),
        Rename(&'static str, &'static str),
        Remove(&'static str),
        Touch(&'static str),
        Look,
    }
    use Step::{Look as Then, Remove, Rename, Touch, Write};

    fn step(folder: &Folder, step: Step, number: u64) {
        let at = |name: &str| folder.0.join(name);
        match step {
            Write(name, text) => _ = folder.write(name, text),
            Rename(from, to) => fs::rename(at(from), at(to)).unwrap(),
            Remove(name) => fs::remove_file(at(name)).unwrap(),
            Touch(name) => {
                let file = fs::File::options().append(true).open(at(name)).unwrap();
                // a moment of its own, whatever the clock of the file system is worth
                file.set_modified(SystemTime::now() + std::time::Duration::from_secs(number)).unwrap();
            }
            Then => {}
        }
    }

    #[test]
    fn however_a_file_is_saved_it_is_told_once() {
        let saves: [(&str, &[Step], &[&str]); 11] = [
            ("written in place", &[Write("hello.py", "12")], &["hello.py"]),
            (
                "emptied, then written",
                &[Write("hello.py", ""), Then, Then, Then, Write("hello.py", "12")],
                &["hello.py"],
            ),
            ("in pieces", &[Write("hello.py", "12"), Then, Then, Write("hello.py", "123")], &["hello.py"]),
            ("draft renamed", &[Write("hello.py~", "12"), Rename("hello.py~", "hello.py")], &["hello.py"]),
            (
                "old one moved away",
                &[Rename("hello.py", "hello.py.bak"), Then, Then, Then, Write("hello.py", "12")],
                &["hello.py"],
            ),
            (
                "removed, then written",
                &[Remove("hello.py"), Then, Then, Then, Write("hello.py", "12")],
                &["hello.py"],
            ),
            ("touched", &[Touch("hello.py")], &["hello.py"]),
            (
                "two together",
                &[Write("hello.py", "12"), Then, Then, Write("helper.py", "12")],
                &["hello.py", "helper.py"],
            ),
            ("a new one", &[Write("sub/other.py", "12"), Then], &["sub/other.py"]),
            ("removed", &[Remove("helper.py")], &["helper.py"]),
            (
                "what is no source",
                &[
                    Write("__pycache__/hello.py", "1"),
                    Write("data.json", "1"),
                    Write(".hello.py.swp", "1"),
                    Write("x.js", "1"),
                ],
                &[],
            ),
        ];
        for (name, steps, expected) in saves {
            let folder = Folder::new("saves");
            let module = folder.write("hello.py", "1");
            folder.write("helper.py", "1");
            let mut watch = Watch::new(vec![module], Vec::new());
            let mut told = Vec::new();
            for (number, next) in (1..).zip(steps) {
                step(&folder, *next, number);
                if matches!(next, Then) {
                    told.extend([watch.changed()]);
                }
            }
            told.extend((0..10).map(|_| watch.changed()));
            told.retain(|files| !files.is_empty());
            let expected: Vec<_> = expected.iter().map(|name| folder.0.join(name)).collect();
            let expected: Vec<_> = (!expected.is_empty()).then_some(expected).into_iter().collect();
            assert_eq!(told, expected, "{name}");
        }
    }

    #[test]
    fn a_save_is_told_at_the_third_look_and_a_gap_at_the_sixth() {
        let folder = Folder::new("when");
        let module = folder.write("hello.py", "1");
        let mut watch = Watch::new(vec![module.clone()], Vec::new());
        folder.write("hello.py", "12");
        assert_eq!((1..=4).find(|_| !watch.changed().is_empty()), Some(3));
        fs::remove_file(&module).unwrap();
        assert_eq!((1..=9).find(|_| !watch.changed().is_empty()), Some(6));
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
        assert!((0..9).all(|_| alone.changed().is_empty()));
        assert_eq!((0..9).flat_map(|_| all.changed()).collect::<Vec<_>>(), [page]);
    }
}
