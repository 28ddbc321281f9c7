//! Calls over HTTP under way by user, workspace and address: more are answered with 429.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use polyfn_core::ErrorKind;

use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::state::State;

/// Whose calls are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whose {
    User(String),
    Workspace(String),
    Address(IpAddr),
}

/// The calls under way.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<Whose, usize>>);

/// A call under way, until this is dropped.
#[derive(Debug)]
pub(in crate::http) struct Turn<'a> {
    turns: &'a Turns,
    held: Vec<Whose>,
}

impl Turns {
    /// A call of `caller` in `workspace` begins.
    ///
    /// # Errors
    /// 429 when as many are under way as the limit that is named allows.
    pub(in crate::http) fn take<'a>(
        state: &'a State,
        caller: &Caller,
        workspace: &str,
        address: Option<IpAddr>,
    ) -> Result<Turn<'a>, Problem> {
        if let Some(why) = state.blocks.find(&caller.user, workspace, address) {
            return Err(Problem::new(ErrorKind::PermissionDenied, why));
        }
        let limits = &state.config.limits;
        // strangers are all the same user, and are told apart by where they come from
        let user = (!caller.is_stranger()).then(|| Whose::User(caller.user.id.clone()));
        let counted = [
            ("max_http_calls_per_user", limits.max_http_calls_per_user, user),
            (
                "max_http_calls_per_workspace",
                limits.max_http_calls_per_workspace,
                Some(Whose::Workspace(workspace.to_owned())),
            ),
            ("max_http_calls_per_address", limits.max_http_calls_per_address, address.map(Whose::Address)),
        ];
        let mut turn = Turn { turns: &state.turns, held: Vec::new() };
        for (name, max, whose) in counted {
            let Some(whose) = whose.filter(|_| max > 0) else { continue };
            if !turn.hold(whose, max) {
                state.metrics.limited.note(name);
                let text = format!("{max} calls are under way already ({})", name.replace('_', "-"));
                return Err(Problem::new(ErrorKind::Overloaded, text));
            }
        }
        Ok(turn)
    }
}

impl Turn<'_> {
    fn hold(&mut self, whose: Whose, max: usize) -> bool {
        let mut calls = self.turns.0.lock();
        let count = calls.entry(whose.clone()).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        self.held.push(whose);
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut calls = self.turns.0.lock();
        for whose in &self.held {
            let Some(count) = calls.get_mut(whose) else { continue };
            *count -= 1;
            if *count == 0 {
                calls.remove(whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_enough_under_way_has_to_wait() {
        let turns = Turns::default();
        let whose = Whose::User("ann".to_owned());
        let mut one = Turn { turns: &turns, held: Vec::new() };
        assert!(one.hold(whose.clone(), 1));
        let mut other = Turn { turns: &turns, held: Vec::new() };
        assert!(!other.hold(whose.clone(), 1));
        assert!(other.hold(Whose::User("bob".to_owned()), 1));
        drop(one);
        assert!(other.hold(whose, 1));
        drop(other);
        assert!(turns.0.lock().is_empty());
    }
}
