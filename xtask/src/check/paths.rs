//! Nothing in the repository may name a folder of the machine it was written on.

use std::fs;

use super::sources;
use crate::failure::{Failure, Outcome};
use crate::layout::Layout;

/// Written in halves, so that this file does not name them either.
const FORBIDDEN: [(&str, &str); 3] = [("/ro", "ot/"), ("/wo", "rk/"), ("../sha", "red/")];

pub(super) fn check(layout: &Layout) -> Outcome<String> {
    let mut words: Vec<String> = FORBIDDEN.iter().map(|(first, rest)| format!("{first}{rest}")).collect();
    // a home that is the root of the file system names no folder
    let home = std::env::home_dir().into_iter().filter(|home| home.parent().is_some());
    words.extend(home.chain([layout.root.clone()]).map(|folder| format!("{}/", folder.display())));
    let mut found = Vec::new();
    for path in sources::all(layout)? {
        // what is not text has no lines to look at
        let Ok(text) = fs::read_to_string(layout.at(&path)) else { continue };
        let lines = text.lines().enumerate();
        let bad = lines.filter(|(_, line)| words.iter().any(|word| names_folder(line, word)));
        found.extend(bad.map(|(number, line)| format!("{path}:{}: {}", number + 1, shorten(line))));
    }
    if found.is_empty() { Ok(String::new()) } else { Err(Failure::new(found.join("\n         "))) }
}

/// A folder at the start of a path, not a part of a longer one or of an address.
fn names_folder(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "}])_-.~*".contains(letter))
    })
}

fn shorten(line: &str) -> String {
    line.trim().chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::names_folder;

    #[test]
    fn finds_folders_of_a_machine_and_not_parts_of_other_paths() {
        let word = "/wo\u{72}k/";
        assert!(names_folder(&format!("open('{word}main')"), word));
        assert!(names_folder(word, word));
        assert!(!names_folder(&format!("https://example.org{word}main"), word));
        assert!(!names_folder(&format!(".{word}main"), word));
    }
}
