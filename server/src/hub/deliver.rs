//! The path of a frame: rewrite, look up, pass on.

use std::sync::Arc;

use bytes::Bytes;
use polyfn_core::session::Outgoing;
use polyfn_core::wire::{Header, Relayed, Sender, is_client_event, is_server_event, rewrite};
use polyfn_core::{Error, ErrorKind};

use crate::auth::Permission;
use crate::hub::hub::{Hub, reject};
use crate::hub::peer::Peer;
use crate::hub::queue::{Item, Refused};

fn gone(address: &str) -> Error {
    Error::new(ErrorKind::PeerGone, format!("Target peer {address} is not connected"))
}

fn denied(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::PermissionDenied, text)
}

impl Hub {
    /// Passes on a frame of `peer`; waits while the receiver's queue is full.
    ///
    /// A frame that cannot be passed on is answered with an error when somebody waits for an answer, and dropped
    /// otherwise.
    pub async fn deliver(self: &Arc<Self>, peer: &Arc<Peer>, frame: &Bytes) {
        let relayed = match rewrite(frame, &peer.sender, peer.workspace()) {
            Ok(relayed) => relayed,
            Err(error) => {
                self.metrics.frames_refused_total.increment();
                tracing::debug!(client = peer.address(), %error, "dropped a frame");
                return;
            }
        };
        if let Err(error) = self.route(peer, &relayed).await {
            self.refuse(peer, &relayed, &error);
        }
    }

    async fn route(self: &Arc<Self>, peer: &Arc<Peer>, relayed: &Relayed) -> Result<(), Error> {
        let is_call = relayed.kind == "method";
        let Some((workspace, client)) = relayed.to.split_once('/') else { return Err(gone(&relayed.to)) };
        if !is_call {
            check_event(peer, &relayed.kind, workspace)?;
        }
        match (workspace, client) {
            (_, "*") => self.broadcast(peer, relayed, workspace).await,
            // before the manager: clients who send it a long message know it by the address `*/<gateway id>`
            (_, client) if is_call && client == self.gateway.id() => {
                wait_for_room(peer).await;
                self.gateway.receive(self, &relayed.frame);
                Ok(())
            }
            ("*", _) if is_call => self.to_manager(peer, relayed).await,
            _ => {
                let target = self.registry.client(workspace, client);
                if workspace != peer.workspace() {
                    self.check_wall(peer, target.as_ref(), relayed)?;
                }
                let target = target.ok_or_else(|| gone(&relayed.to))?;
                self.to_client(peer, &target, relayed).await
            }
        }
    }

    async fn to_client(&self, peer: &Peer, target: &Peer, relayed: &Relayed) -> Result<(), Error> {
        if !hand_over(peer, target, relayed.frame.clone()).await {
            return Err(gone(&relayed.to));
        }
        self.metrics.frames_relayed_total.increment();
        self.metrics.bytes_relayed_total.add(relayed.frame.len() as u64);
        Ok(())
    }

    /// The manager never waits for a client, so a client that leaves its answers unread is made to wait here.
    async fn to_manager(self: &Arc<Self>, peer: &Arc<Peer>, relayed: &Relayed) -> Result<(), Error> {
        wait_for_room(peer).await;
        self.manager()?.receive(self, &relayed.frame, peer);
        Ok(())
    }

    async fn broadcast(&self, peer: &Peer, relayed: &Relayed, workspace: &str) -> Result<(), Error> {
        if peer.permission < Permission::ReadWrite {
            return Err(denied(format!(
                "Read-only client {} cannot broadcast messages. Only point-to-point messages are allowed for \
                 read-only clients.",
                peer.address()
            )));
        }
        if workspace != peer.workspace() {
            return Err(denied(format!(
                "a message to everybody stays in its workspace, found `{}`",
                relayed.to
            )));
        }
        if relayed.kind == "method" {
            return Err(Error::invalid("a call needs one target, found everybody"));
        }
        let subscribers =
            self.registry.workspace(workspace).map(|workspace| workspace.subscribers(&relayed.kind));
        for target in subscribers.into_iter().flatten() {
            hand_over(peer, &target, relayed.frame.clone()).await;
        }
        Ok(())
    }

    fn refuse(&self, peer: &Peer, relayed: &Relayed, error: &Error) {
        self.metrics.frames_refused_total.increment();
        tracing::debug!(client = peer.address(), to = relayed.to, kind = relayed.kind, %error, "refused a frame");
        let Some(session) = &relayed.session else { return };
        if let Ok(frame) = reject(&relayed.written_to, &relayed.written_from, session, error) {
            self.tell(peer, Item::Frame(frame));
        }
    }

    /// Sends what a part of the server has to say; it names itself in `from`. Never waits: what does not fit is sent
    /// later.
    ///
    /// Answers whether the target is there.
    pub(crate) fn send_own(self: &Arc<Self>, outgoing: &Outgoing) -> bool {
        let Some((workspace, client)) = outgoing.to.split_once('/') else { return false };
        let Some(target) = self.registry.client(workspace, client) else { return false };
        let Some(frame) = self.signed(&outgoing.frame, workspace) else { return false };
        send_later(target, frame)
    }

    /// Adds to a frame of the server's own the workspace of its target and the root user (protocol section 6.3).
    fn signed(&self, frame: &Bytes, workspace: &str) -> Option<Bytes> {
        let header = Header::parse(frame).ok()?;
        if header.user.is_some() {
            return Some(frame.clone());
        }
        let sender = Sender {
            workspace: workspace.to_owned(),
            address: header.from.to_owned(),
            user: self.root.clone(),
        };
        rewrite(frame, &sender, workspace).ok().map(|relayed| relayed.frame)
    }
}

/// Events go to clients of the own workspace, and none of them looks like one of the server's.
fn check_event(peer: &Peer, kind: &str, workspace: &str) -> Result<(), Error> {
    if kind.is_empty() {
        return Err(Error::invalid("a message needs a `type`"));
    }
    if is_server_event(kind) || is_client_event(kind) {
        return Err(denied(format!("messages of type `{kind}` are not for clients to send")));
    }
    if workspace != peer.workspace() && workspace != "*" {
        return Err(denied(format!(
            "messages of type `{kind}` stay in their workspace, `{}`",
            peer.workspace()
        )));
    }
    Ok(())
}

/// Waits until the client has read some of what it was told.
async fn wait_for_room(peer: &Peer) {
    if peer.queue.is_full() {
        peer.set_waiting(true);
        peer.queue.room().await;
        peer.set_waiting(false);
    }
}

/// Puts a frame into the queue of `target`, as soon as there is room.
async fn hand_over(sender: &Peer, target: &Peer, frame: Bytes) -> bool {
    match target.queue.push(Item::Frame(frame)) {
        Ok(()) => true,
        Err(Refused::Closed) => false,
        Err(Refused::Full(item)) => {
            sender.set_waiting(true);
            let sent = target.queue.send(item).await;
            sender.set_waiting(false);
            sent
        }
    }
}

/// Puts a frame into the queue of `target` now, or by a task of its own.
pub(super) fn send_later(target: Arc<Peer>, frame: Bytes) -> bool {
    match target.queue.push_urgent(Item::Frame(frame)) {
        Ok(()) => true,
        Err(Refused::Closed) => false,
        Err(Refused::Full(item)) => {
            tokio::spawn(async move { target.queue.send(item).await });
            true
        }
    }
}
