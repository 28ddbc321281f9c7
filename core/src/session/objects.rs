//! Functions given away in results: who may call them, and when they are let go.

use std::collections::HashMap;

use super::event::Time;
use super::options::Options;
use super::session::Session;
use crate::codec::{Export, Handle};
use crate::wire::{Header, PublicKey};
use crate::{Error, ErrorKind};

#[derive(Debug)]
struct Kept {
    /// The only peer that may call them; it may also give them back to us.
    target: String,
    /// The key that every call must be sealed with: that of the call whose result they were in.
    key: Option<PublicKey>,
    objects: HashMap<String, Export>,
    touched: Time,
    /// Generators among them that a peer is reading: these stay however long an item takes.
    read: usize,
}

/// Functions given away in results, by the session id under which they are called.
#[derive(Debug, Default)]
pub(super) struct Objects {
    kept: HashMap<String, Kept>,
    oldest: Option<Time>,
}

/// Functions that their peer cannot call any longer.
pub(super) struct LetGo {
    pub(super) target: String,
    pub(super) handles: Vec<Handle>,
}

/// What a look-up found.
pub(super) enum Found {
    Function(Handle, Option<PublicKey>),
    Generator(Handle, Option<PublicKey>),
    /// The session is there, the function is not.
    NoFunction,
    /// The session belongs to another peer.
    Foreign(String),
    NoSession,
}

impl Found {
    /// What a peer is told whose call cannot be served with this, in the words that old peers know.
    pub(super) fn refusal(&self, header: &Header<'_>) -> Error {
        let at = format!("{}:{}", header.from, header.method);
        match self {
            Self::Function(..) | Self::Generator(..) | Self::NoFunction => {
                Error::new(ErrorKind::NotFound, format!("Method expired or not found: {at}"))
            }
            Self::NoSession => Error::new(ErrorKind::NotFound, format!("Session not found: {at}")),
            Self::Foreign(target) => {
                let (method, from) = (header.method, header.from);
                let text = format!("Access denied for method call ({method}) from {from} to target {target}");
                Error::new(ErrorKind::PermissionDenied, text)
            }
        }
    }

    /// What was given away under the seal of `key`.
    pub(super) fn of(export: Option<Export>, key: Option<PublicKey>) -> Self {
        match export {
            Some(Export::Function(handle)) => Self::Function(handle, key),
            Some(Export::Generator(handle)) => Self::Generator(handle, key),
            None => Self::NoFunction,
        }
    }
}

impl Objects {
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Keeps `objects` for `target`; gives them back when too many are kept already.
    pub(super) fn keep(
        &mut self,
        session: String,
        to: (String, Option<PublicKey>),
        objects: Vec<(String, Export)>,
        now: Time,
        options: &Options,
    ) -> Result<(), Vec<(String, Export)>> {
        if objects.is_empty() {
            return Ok(());
        }
        if self.kept.len() >= options.max_kept {
            return Err(objects);
        }
        self.oldest.get_or_insert(now);
        let (target, key) = to;
        let objects = objects.into_iter().collect();
        self.kept.insert(session, Kept { target, key, objects, touched: now, read: 0 });
        Ok(())
    }

    /// A function that `peer` calls, or we ourselves.
    pub(super) fn find(&mut self, session: &str, object: &str, peer: Option<&str>, now: Time) -> Found {
        let Some(kept) = self.kept.get_mut(session) else { return Found::NoSession };
        if peer.is_some_and(|peer| kept.target != peer) {
            return Found::Foreign(kept.target.clone());
        }
        kept.touched = now;
        Found::of(kept.objects.get(object).copied(), kept.key)
    }

    /// Forgets one object, and its session with the last one: the peer that could call it.
    pub(super) fn remove(&mut self, session: &str, object: &str) -> Option<String> {
        let kept = self.kept.get_mut(session)?;
        kept.objects.remove(object)?;
        if kept.objects.is_empty() {
            return self.kept.remove(session).map(|kept| kept.target);
        }
        Some(kept.target.clone())
    }

    /// Notes that a generator of `session` is being read, or is so no longer.
    pub(super) fn set_read(&mut self, session: &str, is_read: bool) {
        if let Some(kept) = self.kept.get_mut(session) {
            kept.read = if is_read { kept.read + 1 } else { kept.read.saturating_sub(1) };
        }
    }

    pub(super) fn next_check(&self, options: &Options) -> Option<Time> {
        self.oldest.map(|oldest| oldest + options.keep)
    }

    /// Functions that nobody has called for a while.
    pub(super) fn sweep(&mut self, now: Time, options: &Options) -> Vec<LetGo> {
        if self.next_check(options).is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.kept.values_mut().filter(|kept| kept.read > 0).for_each(|kept| kept.touched = now);
        let unused = self.take_where(|kept| now.saturating_sub(kept.touched) >= options.keep);
        self.oldest = self.kept.values().map(|kept| kept.touched).min();
        unused
    }

    pub(super) fn forget(&mut self, target: &str) -> Vec<LetGo> {
        self.take_where(|kept| kept.target == target)
    }

    pub(super) fn take_all(&mut self) -> Vec<LetGo> {
        self.take_where(|_| true)
    }

    fn take_where(&mut self, wanted: impl Fn(&Kept) -> bool) -> Vec<LetGo> {
        let taken = self.kept.extract_if(|_, kept| wanted(kept));
        taken
            .map(|(_, kept)| LetGo {
                target: kept.target,
                handles: kept.objects.into_values().map(Export::handle).collect(),
            })
            .collect()
    }
}

impl Session {
    /// Lets go of what nobody can call any longer.
    pub(super) fn let_all_go(&mut self, gone: Vec<LetGo>) {
        for LetGo { target, handles } in gone {
            self.references.remove(&target, handles.len());
            handles.into_iter().for_each(|handle| self.let_go(handle));
        }
    }

    /// Forgets the place of one object, in the arguments of a call or in a result.
    pub(super) fn forget_place(&mut self, session: &str, object: &str) {
        let gone = self.objects.remove(session, object);
        if let Some(peer) = gone.or_else(|| self.calls.remove_object(session, object)) {
            self.references.remove(&peer, 1);
        }
    }
}
