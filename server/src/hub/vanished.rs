//! Names of workspaces that have vanished: whose they were.

use std::collections::{HashMap, VecDeque};

use crate::hub::registry::WorkspaceInfo;

/// Names that are remembered; the oldest give way.
const NAMES_MAX: usize = 100_000;

/// When somebody made the workspace, and its owners, by name.
#[derive(Debug, Default)]
pub(super) struct Vanished {
    names: HashMap<String, (u64, Vec<String>)>,
    /// In the order in which they came; one that came again may stand in it twice.
    order: VecDeque<String>,
}

impl Vanished {
    pub(super) fn get(&self, name: &str) -> Option<(u64, &[String])> {
        self.names.get(name).map(|(created, owners)| (*created, owners.as_slice()))
    }

    pub(super) fn put(&mut self, info: WorkspaceInfo) {
        if self.names.insert(info.id.clone(), (info.created, info.owners)).is_none() {
            self.order.push_back(info.id);
        }
        if self.names.len() > NAMES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_names_give_way() {
        let mut vanished = Vanished::default();
        let info = |number: usize, created| WorkspaceInfo {
            created,
            ..WorkspaceInfo::joined(&format!("lab-{number}"), Some("ann"))
        };
        (0..NAMES_MAX).for_each(|number| vanished.put(info(number, 5)));
        vanished.put(info(7, 9));
        assert_eq!(vanished.get("lab-7"), Some((9, &["ann".to_owned()][..])));
        assert!(vanished.get("lab-0").is_some());
        vanished.put(info(NAMES_MAX, 9));
        assert!(vanished.get("lab-0").is_none() && vanished.names.len() == NAMES_MAX);
    }
}
