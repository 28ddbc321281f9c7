//! docs/performance.md: the sections of the groups that were measured take the place of those before; others stay.

use std::fs;

use crate::bench::row::Group;
use crate::failure::{During as _, Outcome};
use crate::layout::Layout;

pub(super) const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench`, do not edit -->";
const END: &str = "<!-- end of figures -->";
const GOALS: &str = "Goals";
const GOALS_HEAD: &str =
    "| measured by | goal | wanted | measured | reached |\n| --- | --- | --- | --- | --- |\n";

/// What stands between the marks.
#[derive(Default)]
pub(super) struct Figures {
    /// The machine and the versions of the last run.
    pub(super) machine: String,
    /// Rows of the table of goals, each with the group that measures it.
    pub(super) goals: Vec<(Group, String)>,
    /// The text below each heading.
    pub(super) sections: Vec<(Group, String)>,
}

impl Figures {
    /// The whole text; groups in the order of the page.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.machine.trim_end());
        let goals = in_order(&self.goals);
        if !goals.is_empty() {
            text += &format!("\n## {GOALS}\n\n{GOALS_HEAD}{}", goals.concat());
        }
        for group in Group::ALL {
            for (_, section) in self.sections.iter().filter(|(of, _)| *of == group) {
                text += &format!("\n## {}\n\n{}\n", group.title(), section.trim());
            }
        }
        text
    }

    fn read(text: &str) -> Self {
        let mut parts = text.split("\n## ");
        let mut figures =
            Self { machine: parts.next().unwrap_or_default().trim().to_owned(), ..Self::default() };
        for part in parts {
            let (title, body) = part.split_once('\n').unwrap_or((part, ""));
            if title == GOALS {
                figures.goals = body.lines().filter_map(goal).collect();
            } else if let Some(group) = Group::ALL.into_iter().find(|group| group.title() == title) {
                figures.sections.push((group, body.trim().to_owned()));
            }
        }
        figures
    }

    /// Takes over what `fresh` has measured.
    fn update(&mut self, fresh: Self) {
        let measured: Vec<Group> = fresh.sections.iter().map(|(group, _)| *group).collect();
        self.machine = fresh.machine;
        self.goals.retain(|(group, _)| !measured.contains(group));
        self.sections.retain(|(group, _)| !measured.contains(group));
        self.goals.extend(fresh.goals);
        self.sections.extend(fresh.sections);
    }
}

fn in_order(rows: &[(Group, String)]) -> Vec<String> {
    let of = |group| rows.iter().filter(move |(of, _)| *of == group).map(|(_, row)| format!("{row}\n"));
    Group::ALL.into_iter().flat_map(of).collect()
}

/// A row of the table of goals: its first cell names the group.
fn goal(line: &str) -> Option<(Group, String)> {
    let word = line.strip_prefix("| ")?.split(" |").next()?;
    let group = Group::ALL.into_iter().find(|group| group.word() == word)?;
    Some((group, line.to_owned()))
}

/// Puts what was measured between the marks of the page; what people wrote around them stays.
pub(super) fn write(layout: &Layout, fresh: Figures) -> Outcome {
    let path = layout.at(PAGE);
    let page = fs::read_to_string(&path).unwrap_or_else(|_| format!("# Performance\n\n{BEGIN}\n{END}\n"));
    fs::write(&path, merged(&page, fresh)).during(PAGE)
}

fn merged(page: &str, fresh: Figures) -> String {
    let (before, rest) = page.split_once(BEGIN).unwrap_or((page, END));
    let (old, after) = rest.split_once(END).unwrap_or((rest, "\n"));
    let mut figures = Figures::read(old);
    figures.update(fresh);
    format!("{}\n\n{BEGIN}\n\n{}\n{END}{after}", before.trim_end(), figures.text())
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, Figures, merged};
    use crate::bench::row::Group;

    fn measured(group: Group, figure: &str) -> Figures {
        Figures {
            machine: format!("- machine of {figure}"),
            goals: vec![(group, format!("| {} | fast | 1 | {figure} | yes |", group.word()))],
            sections: vec![(group, format!("`cargo xtask bench {}`\n\n| {figure} |", group.word()))],
        }
    }

    #[test]
    fn only_what_was_measured_is_replaced() {
        let empty = format!("# Words\n\n{BEGIN}\n{END}\n\n## More words\n");
        let rpc = merged(&empty, measured(Group::Rpc, "one"));
        let both = merged(&rpc, measured(Group::Http, "two"));
        let again = merged(&both, measured(Group::Rpc, "three"));
        assert!(both.contains("| rpc | fast | 1 | one | yes |") && both.contains("\n| one |"));
        assert!(both.find("## Functions over HTTP") < both.find("## Calls between programs"));
        assert!(!again.contains("one") && again.contains("| two |") && again.contains("- machine of three"));
        assert!(again.starts_with("# Words\n") && again.ends_with("\n## More words\n"));
        assert_eq!(merged(&again, measured(Group::Rpc, "three")), again);
    }
}
