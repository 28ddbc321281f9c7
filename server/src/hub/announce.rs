//! What the server tells of changes: one event for each, in the form that the receiver understands.
//!
//! | change | event | data |
//! | --- | --- | --- |
//! | a client registers its `built-in` service | `client_connected` | `{id, workspace}` |
//! | it does so again: a new connection took the place of the old one | `client_updated` | `{id, workspace}` |
//! | it leaves, its connection breaks, or it unregisters `built-in` | `client_disconnected` | `{id, workspace}` |
//! | a service is registered | `service_added` | the service |
//! | it is registered again | `service_updated` | the service |
//! | it is unregistered | `service_removed` | the service |
//!
//! A client that leaves takes its services along: no event tells of each. Ids are `workspace/client` everywhere. Two
//! forms are kept for clients of old: those that name no extensions find the bare id in `client_disconnected`, since
//! they put the workspace in front of it themselves; and who does not subscribe to `service_updated` is told of a
//! `service_removed` and a `service_added`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use polyfn_core::{Map, Value};

use crate::hub::hub::Hub;
use crate::hub::peer::Peer;
use crate::hub::queue::Item;
use crate::hub::registry::Registry;
use crate::hub::service::Service;

/// An event, written once for all who hear of it.
fn event(kind: &str, data: Value) -> Option<Bytes> {
    let message = Map::from_iter([("type", Value::from(kind)), ("to", Value::from("*")), ("data", data)]);
    Some(Bytes::from(Value::Map(message).to_msgpack().ok()?))
}

fn client(id: &str, workspace: &str) -> Value {
    Value::Map(Map::from_iter([("id", id), ("workspace", workspace)]))
}

/// Tells those in `places` who want to hear of it; `data` is made only when there is somebody.
pub(crate) fn tell_subscribers(registry: &Registry, places: &[&str], kind: &str, data: &dyn Fn() -> Value) {
    let of = |name: &&str| {
        registry.workspace(name).map(|workspace| workspace.subscribers(kind)).unwrap_or_default()
    };
    let receivers: Vec<Arc<Peer>> = places.iter().flat_map(of).collect();
    if receivers.is_empty() {
        return;
    }
    let Some(event) = event(kind, data()) else { return };
    receivers.iter().for_each(|receiver| Hub::tell(receiver, Item::Frame(event.clone())));
}

/// That a client has left, for receivers of both kinds.
#[derive(Clone, Debug)]
pub(super) struct Parting {
    pub(super) full: Bytes,
    bare: Bytes,
}

impl Parting {
    fn of(peer: &Peer) -> Option<Self> {
        let told = |id: &str| event("client_disconnected", client(id, peer.workspace()));
        Some(Self { full: told(peer.address())?, bare: told(&peer.client_id)? })
    }

    /// Tells `receiver`.
    pub(super) fn tell(&self, receiver: &Peer) {
        let event = if receiver.extensions.is_empty() { &self.bare } else { &self.full };
        Hub::tell(receiver, Item::Frame(event.clone()));
    }
}

impl Hub {
    /// A client has registered its `built-in` service; `again` when it had one.
    pub(crate) fn announce_client(&self, peer: &Peer, again: bool) {
        peer.told_gone.store(false, Ordering::Relaxed);
        let kind = if again { "client_updated" } else { "client_connected" };
        self.emit(peer.workspace(), kind, client(peer.address(), peer.workspace()));
    }

    /// A client is gone as far as others are to know; says so once. Gives what was said, or would have been.
    pub(super) fn announce_parting(&self, peer: &Peer) -> Option<Parting> {
        let parting = Parting::of(peer)?;
        if !peer.told_gone.swap(true, Ordering::Relaxed) {
            for receiver in self.subscribers(peer.workspace(), "client_disconnected") {
                parting.tell(&receiver);
            }
        }
        self.registry.note_change(peer.workspace());
        Some(parting)
    }

    /// A client has unregistered its `built-in` service.
    pub(crate) fn announce_withdrawal(&self, peer: &Peer) {
        self.announce_parting(peer);
    }

    /// A service was registered, in the place of `replaced` if there was one.
    pub(crate) fn announce_service(&self, workspace: &str, info: Map, replaced: Option<&Service>) {
        let Some(replaced) = replaced else {
            self.emit(workspace, "service_added", Value::Map(info));
            return;
        };
        self.emit(workspace, "service_updated", Value::Map(info.clone()));
        for (kind, data) in [("service_removed", replaced.told.read()), ("service_added", info)] {
            let Some(event) = event(kind, Value::Map(data)) else { continue };
            let of_old = self.subscribers(workspace, kind).into_iter();
            for receiver in of_old.filter(|receiver| !receiver.wants("service_updated")) {
                Self::tell(&receiver, Item::Frame(event.clone()));
            }
        }
    }

    /// A service was unregistered.
    pub(crate) fn announce_removal(&self, service: &Service) {
        self.emit(&service.workspace, "service_removed", Value::Map(service.told.read()));
    }

    /// Tells the subscribers in `workspace` of an event of the server's own.
    pub(crate) fn emit(&self, workspace: &str, kind: &str, data: Value) {
        let receivers = self.subscribers(workspace, kind);
        if let Some(event) = (!receivers.is_empty()).then(|| event(kind, data)).flatten() {
            for receiver in receivers {
                Self::tell(&receiver, Item::Frame(event.clone()));
            }
        }
        self.registry.note_change(workspace);
    }

    fn subscribers(&self, workspace: &str, kind: &str) -> Vec<Arc<Peer>> {
        self.registry.workspace(workspace).map(|workspace| workspace.subscribers(kind)).unwrap_or_default()
    }
}
