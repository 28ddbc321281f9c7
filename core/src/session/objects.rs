//! Functions given away in results: who may call them, and when they are let go.

use std::collections::HashMap;

use super::event::Time;
use super::options::Options;
use crate::codec::Handle;

#[derive(Debug)]
struct Kept {
    /// The only peer that may call them.
    target: String,
    objects: HashMap<String, Handle>,
    touched: Time,
}

/// Functions given away in results, by the session id under which they are called.
#[derive(Debug, Default)]
pub(super) struct Objects {
    kept: HashMap<String, Kept>,
    oldest: Option<Time>,
}

/// What a look-up found.
pub(super) enum Found {
    Function(Handle),
    /// The session is there, the function is not.
    NoFunction,
    /// The session belongs to another peer.
    Foreign(String),
    NoSession,
}

impl Objects {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Keeps `objects` for `target`; gives them back when too many are kept already.
    pub(super) fn keep(
        &mut self,
        session: String,
        target: String,
        objects: Vec<(String, Handle)>,
        now: Time,
        options: &Options,
    ) -> Result<(), Vec<(String, Handle)>> {
        if objects.is_empty() {
            return Ok(());
        }
        if self.kept.len() >= options.max_kept {
            return Err(objects);
        }
        self.oldest.get_or_insert(now);
        self.kept.insert(session, Kept { target, objects: objects.into_iter().collect(), touched: now });
        Ok(())
    }

    pub(super) fn find(&mut self, session: &str, object: &str, from: &str, now: Time) -> Found {
        let Some(kept) = self.kept.get_mut(session) else { return Found::NoSession };
        if kept.target != from {
            return Found::Foreign(kept.target.clone());
        }
        kept.touched = now;
        kept.objects.get(object).map_or(Found::NoFunction, |handle| Found::Function(*handle))
    }

    pub(super) fn next_check(&self, options: &Options) -> Option<Time> {
        self.oldest.map(|oldest| oldest + options.keep)
    }

    /// Functions that nobody has called for a while.
    pub(super) fn sweep(&mut self, now: Time, options: &Options) -> Vec<Handle> {
        if self.next_check(options).is_none_or(|at| at > now) {
            return Vec::new();
        }
        let unused = self.take_where(|kept| now.saturating_sub(kept.touched) >= options.keep);
        self.oldest = self.kept.values().map(|kept| kept.touched).min();
        unused
    }

    pub(super) fn forget(&mut self, target: &str) -> Vec<Handle> {
        self.take_where(|kept| kept.target == target)
    }

    pub(super) fn take_all(&mut self) -> Vec<Handle> {
        self.take_where(|_| true)
    }

    fn take_where(&mut self, wanted: impl Fn(&Kept) -> bool) -> Vec<Handle> {
        self.kept
            .extract_if(|_, kept| wanted(kept))
            .flat_map(|(_, kept)| kept.objects.into_values())
            .collect()
    }
}
