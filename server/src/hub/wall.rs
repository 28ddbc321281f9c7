//! The wall between workspaces: which calls may pass it.
//!
//! A client of another workspace may call services that are public, unlisted or opened to its workspace. Whoever
//! was called may answer, and call functions that came along; functions in an answer may be called back. All else
//! is refused, and with the same words whether the other side exists or not. The owner checks once more for itself.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use polyfn_core::session::Visibility;
use polyfn_core::wire::{Relayed, ServiceUri};
use polyfn_core::{Error, ErrorKind};

use crate::auth::Permission;
use crate::hub::announce::Parting;
use crate::hub::hub::Hub;
use crate::hub::peer::Peer;

/// Clients of other workspaces that one client may be acquainted with.
const ACQUAINTED_MAX: usize = 16_384;

/// Clients of other workspaces that talked with this one.
#[derive(Debug, Default)]
pub(super) struct Acquainted(Mutex<HashMap<Box<str>, Standing>>);

/// What such a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It asked something, and hears of the end.
    Asked,
    /// It may send to what this client gave away, and hears of the end.
    Talks,
}

impl Acquainted {
    fn knows(&self, address: &str) -> bool {
        self.0.lock().get(address) == Some(&Standing::Talks)
    }

    fn meet(&self, address: &str) -> Result<(), Error> {
        let mut known = self.0.lock();
        if let Some(standing) = known.get_mut(address) {
            *standing = Standing::Talks;
            return Ok(());
        }
        if known.len() >= ACQUAINTED_MAX {
            let text = format!("a client may talk with {ACQUAINTED_MAX} clients of other workspaces");
            return Err(Error::new(ErrorKind::Overloaded, text));
        }
        known.insert(address.into(), Standing::Talks);
        Ok(())
    }

    /// Notes who asks. Everybody may, so that they must not take the places of those who talk.
    fn note(&self, address: &str) {
        let mut known = self.0.lock();
        if known.len() < ACQUAINTED_MAX / 2 && !known.contains_key(address) {
            known.insert(address.into(), Standing::Asked);
        }
    }

    fn forget(&self, address: &str) {
        self.0.lock().remove(address);
    }

    /// Takes over what an earlier connection of the same client knew.
    pub(super) fn adopt(&self, earlier: &Self) {
        self.0.lock().extend(earlier.take());
    }

    fn take(&self) -> HashMap<Box<str>, Standing> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// The same for a client that is not there and for one that does not want to be called.
fn refused(relayed: &Relayed<'_>) -> Error {
    let text = format!(
        "PermissionError: Permission denied for calling {}: it is not connected, or it has no such public service",
        relayed.to
    );
    Error::new(ErrorKind::PermissionDenied, text)
}

impl Hub {
    /// Whether a call of `peer`, or a message that belongs to one, may pass to `target` in another workspace.
    pub(super) fn check_wall(
        &self,
        peer: &Peer,
        target: Option<&Arc<Peer>>,
        relayed: &Relayed<'_>,
    ) -> Result<(), Error> {
        let target = target.ok_or_else(|| refused(relayed))?;
        // objects given away as interfaces are services only in name: they belong to the two who talk
        let service = relayed.method.strip_prefix("services.").filter(|path| !path.starts_with("_rintf_"));
        let Some(path) = service else {
            let known = target.acquainted.knows(peer.address());
            return if known { Ok(()) } else { Err(refused(relayed)) };
        };
        let service = path.split('.').next().unwrap_or_default();
        if !self.is_open(peer, target, service) {
            return Err(refused(relayed));
        }
        peer.acquainted.meet(target.address())?;
        // to ask whether somebody is there, or for a description, is no reason to be called back
        let asks_only = service == "built-in" && !path.starts_with("built-in.message_cache.");
        if asks_only {
            target.acquainted.note(peer.address());
            return Ok(());
        }
        target.acquainted.meet(peer.address())
    }

    fn is_open(&self, peer: &Peer, target: &Peer, service: &str) -> bool {
        if service == "built-in" || peer.user.permission(target.workspace()) >= Permission::Read {
            return true;
        }
        let uri = ServiceUri {
            workspace: target.workspace().to_owned(),
            client: target.client_id.clone(),
            service: service.to_owned(),
            app: "*".to_owned(),
        };
        self.registry.find(&uri).iter().any(|service| {
            service.visibility != Visibility::Protected || service.is_authorized(peer.workspace())
        })
    }

    /// Tells those in other workspaces who talked with `peer` that it is gone, as their calls would wait in vain.
    pub(super) fn part(&self, peer: &Peer, parting: &Parting) {
        for (address, _) in peer.acquainted.take() {
            let other = address
                .split_once('/')
                .and_then(|(workspace, client)| self.registry.client(workspace, client));
            let Some(other) = other else { continue };
            other.acquainted.forget(peer.address());
            if other.wants("client_disconnected") {
                parting.tell(&other);
            }
        }
    }
}
