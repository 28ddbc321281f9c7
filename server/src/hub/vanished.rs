//! Names of workspaces that have vanished: whose they were. The store keeps them over a restart.

use std::collections::{HashMap, VecDeque};

/// When somebody made the workspace, and its owners, by name.
#[derive(Debug, Default)]
pub(super) struct Vanished {
    names: HashMap<String, (u64, Vec<String>)>,
    /// In the order in which they came; one that came again may stand in it twice.
    order: VecDeque<String>,
    /// How many are remembered; the oldest give way.
    max: usize,
}

impl Vanished {
    pub(super) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    pub(super) fn get(&self, name: &str) -> Option<(u64, &[String])> {
        self.names.get(name).map(|(created, owners)| (*created, owners.as_slice()))
    }

    pub(super) fn put(&mut self, name: String, created: u64, owners: Vec<String>) {
        if self.names.insert(name.clone(), (created, owners)).is_none() {
            self.order.push_back(name);
        }
        if self.names.len() > self.max
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
        let mut vanished = Vanished::new(100);
        let put = |vanished: &mut Vanished, number: usize, created| {
            vanished.put(format!("lab-{number}"), created, vec!["ann".to_owned()]);
        };
        (0..100).for_each(|number| put(&mut vanished, number, 5));
        put(&mut vanished, 7, 9);
        assert_eq!(vanished.get("lab-7"), Some((9, &["ann".to_owned()][..])));
        assert!(vanished.get("lab-0").is_some());
        put(&mut vanished, 100, 9);
        assert!(vanished.get("lab-0").is_none() && vanished.names.len() == 100);
    }
}
