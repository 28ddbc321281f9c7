//! Names of workspaces in use within the second that runs.
//!
//! Tokens say in whole seconds when they were made. So that one which was made for a workspace that has vanished is never
//! taken for one of another workspace of that name, nobody makes one within the second in which the name was in use.

use std::collections::HashSet;

use parking_lot::Mutex;

/// Names of one second; beyond that all names count as used.
const NAMES_MAX: usize = 100_000;

/// The names, with the second since 1970 that they belong to.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<(u64, HashSet<String>)>);

impl Recent {
    /// The name is in use in the second `now`.
    pub(super) fn note(&self, name: &str, now: u64) {
        let mut held = self.0.lock();
        if held.0 != now {
            *held = (now, HashSet::new());
        }
        if held.1.len() < NAMES_MAX {
            held.1.insert(name.to_owned());
        }
    }

    /// Whether it was in use in the second `now`.
    pub(super) fn has(&self, name: &str, now: u64) -> bool {
        let held = self.0.lock();
        held.0 == now && (held.1.len() >= NAMES_MAX || held.1.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_in_the_next_second() {
        let recent = Recent::default();
        recent.note("lab-one", 5);
        assert!(recent.has("lab-one", 5) && !recent.has("lab-two", 5) && !recent.has("lab-one", 6));
        recent.note("lab-two", 6);
        assert!(recent.has("lab-two", 6) && !recent.has("lab-one", 6));
    }
}
