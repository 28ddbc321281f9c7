//! Objects whose functions outlive the call that brought them (protocol section 10.7): services that are known to one
//! peer only. They are never registered at the server.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use super::callee::Callee;
use super::event::Time;
use super::runs::Run;
use super::session::Session;
use crate::codec::{DISPOSE, Handle, Interface, is_interface};
use crate::wire::{Header, PublicKey};
use crate::{Error, ErrorKind, Result};

#[derive(Debug)]
struct Given {
    /// The peer that it was given to.
    caller: String,
    /// The key that every call must be sealed with: that of the call that brought it.
    key: Option<PublicKey>,
    functions: HashMap<String, Handle>,
}

/// All that was given and not ended.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    by_id: HashMap<String, Given>,
}

/// What a look-up found.
pub(super) enum Member {
    Function(Handle, Option<PublicKey>),
    /// Ends the interface.
    Dispose,
    /// Neither the one that it was given to nor of the own workspace.
    Foreign(String),
    Unknown,
}

impl Interfaces {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The member at `path` (`id.a.b`) for a caller in workspace `ws`.
    pub(super) fn find(&self, path: &str, from: &str, ws: &str, own: &str) -> Member {
        let Some((id, member)) = path.split_once('.') else { return Member::Unknown };
        let Some(given) = self.by_id.get(id) else { return Member::Unknown };
        if from != given.caller && ws != own {
            return Member::Foreign(given.caller.clone());
        }
        match given.functions.get(member) {
            Some(handle) => Member::Function(*handle, given.key),
            None if member == DISPOSE => Member::Dispose,
            None => Member::Unknown,
        }
    }

    fn take(&mut self, id: &str) -> Option<Given> {
        self.by_id.remove(id)
    }

    fn ids_of(&self, caller: &str) -> Vec<String> {
        let of_caller = self.by_id.iter().filter(|(_, given)| given.caller == caller);
        of_caller.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<Handle> {
        self.by_id.drain().flat_map(|(_, given)| given.functions.into_values()).collect()
    }
}

/// Whether a service path leads into an interface.
pub(super) fn is_member(path: &str) -> bool {
    path.split_once('.').is_some_and(|(id, _)| is_interface(id))
}

impl Session {
    /// Keeps interfaces for `caller`.
    ///
    /// # Errors
    /// `overloaded` with too many, `conflict` for an id that is in use; all of them are let go then.
    pub(super) fn give_interfaces(
        &mut self,
        interfaces: Vec<Interface>,
        caller: &str,
        key: Option<PublicKey>,
    ) -> Result<()> {
        let count = interfaces.iter().map(|interface| interface.functions.len()).sum();
        let taken = interfaces.iter().find(|interface| self.interfaces.by_id.contains_key(&interface.id));
        let allowed = match taken {
            Some(taken) => {
                Err(Error::new(ErrorKind::Conflict, format!("interface {} exists already", taken.id)))
            }
            None => self.references.add(caller, count, &self.options),
        };
        if allowed.is_err() {
            self.release_interfaces(interfaces);
            return allowed;
        }
        for Interface { id, functions } in interfaces {
            let given = Given { caller: caller.to_owned(), key, functions: functions.into_iter().collect() };
            self.interfaces.by_id.insert(id, given);
        }
        Ok(())
    }

    pub(super) fn release_interfaces(&mut self, interfaces: Vec<Interface>) {
        let functions = interfaces.into_iter().flat_map(|interface| interface.functions);
        functions.for_each(|(_, handle)| self.let_go(handle));
    }

    /// A call of a member of an interface.
    pub(super) fn receive_member_call(
        &mut self,
        frame: &Bytes,
        header: &Header<'_>,
        member: Member,
        now: Time,
    ) -> Result<()> {
        let (from, method) = (header.from, header.method);
        let error = match member {
            Member::Function(handle, key) => {
                return self.invoke(frame, header, &Callee::given(handle, key), now);
            }
            Member::Dispose => return self.dispose(frame, header, now),
            Member::Foreign(caller) => Error::new(
                ErrorKind::PermissionDenied,
                format!(
                    "Permission denied for _rintf callback {from}:{method}, caller {from} is not the allowed caller {caller}"
                ),
            )
            .with_class("PermissionError"),
            Member::Unknown => {
                Error::new(ErrorKind::NotFound, format!("Method expired or not found: {from}:{method}"))
            }
        };
        self.refuse(frame, header, &error, now)
    }

    /// A peer does not need an interface any longer.
    fn dispose(&mut self, frame: &Bytes, header: &Header<'_>, now: Time) -> Result<()> {
        let said = self.read_body(frame, header)?;
        self.end_interface(header.method.split('.').nth(1).unwrap_or_default());
        if let Some(run) = Run::of(header, &said, self.extensions, now) {
            self.send_resolve(&run, &[0xc0], now);
        }
        Ok(())
    }

    /// How long a call may take without a sign of life when its caller says nothing of it.
    pub(super) fn timeout_of(&self, method: &str) -> Duration {
        // as old peers decide it
        if method.contains("_rintf_") { self.options.rintf_timeout } else { self.options.method_timeout }
    }

    /// Ends an interface; whether there was one of this id.
    pub(super) fn end_interface(&mut self, id: &str) -> bool {
        let Some(given) = self.interfaces.take(id) else { return false };
        self.references.remove(&given.caller, given.functions.len());
        given.functions.into_values().for_each(|handle| self.let_go(handle));
        true
    }

    /// Ends what was given to a peer that is gone.
    pub(super) fn end_interfaces_of(&mut self, peer: &str) {
        for id in self.interfaces.ids_of(peer) {
            self.end_interface(&id);
        }
    }
}
