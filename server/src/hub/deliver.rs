//! The path of a frame: rewrite, look up, pass on.

use std::sync::Arc;

use bytes::Bytes;
use polyfn_core::session::Extensions;
use polyfn_core::session::Outgoing;
use polyfn_core::wire::{CANCEL, Header, Relayed, Sender, is_client_event, is_extension, is_server_event};
use polyfn_core::{Error, ErrorKind};

use crate::auth::Permission;
use crate::hub::hub::{Hub, reject};
use crate::hub::line::Way;
use crate::hub::load;
use crate::hub::peer::Peer;
use crate::hub::places::Taken;
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
        let relayed = match Relayed::read(frame, &peer.sender) {
            Ok(relayed) => relayed,
            Err(error) => {
                self.metrics.frames_refused_total.increment();
                tracing::debug!(client = peer.address(), %error, "dropped a frame");
                return;
            }
        };
        match self.way(peer, &relayed) {
            Way::On(taken) => {
                self.pass(peer, &relayed, taken).await;
                self.follow(peer, &relayed, frame);
            }
            Way::Line => self.line_up(peer, &relayed, frame.clone()),
        }
    }

    /// Passes on a message that has its places.
    pub(super) async fn pass(self: &Arc<Self>, peer: &Arc<Peer>, relayed: &Relayed<'_>, taken: Taken) {
        if let Err(error) = self.route(peer, relayed, taken).await {
            self.refuse(peer, relayed, &error);
        }
    }

    async fn route(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        relayed: &Relayed<'_>,
        taken: Taken,
    ) -> Result<(), Error> {
        let Some((workspace, client)) = relayed.to.split_once('/') else { return Err(gone(&relayed.to)) };
        // messages of extensions belong to calls, and pass where those do
        let is_call = relayed.kind == "method" || is_extension(relayed.kind);
        if is_call {
            check_extension(peer.extensions, relayed.kind)?;
        } else {
            check_event(peer, relayed.kind, workspace)?;
        }
        match (workspace, client) {
            (_, "*") => {
                peer.check_narrow(workspace, client, relayed)?;
                self.broadcast(peer, relayed, workspace).await
            }
            // before the manager: clients who send it a long message know it by the address `*/<gateway id>`
            (_, client) if is_call && client == self.gateway.id() => {
                wait_for_room(peer).await;
                self.gateway.receive(self, &written(peer, relayed, Extensions::ALL)?);
                Ok(())
            }
            ("*", _) if is_call => self.to_manager(peer, relayed).await,
            _ => {
                peer.check_narrow(workspace, client, relayed)?;
                let target = self.registry.client(workspace, client);
                if workspace != peer.workspace() {
                    self.check_wall(peer, target.as_ref(), relayed)?;
                }
                if target.is_none() {
                    load::note_answer(peer, relayed);
                }
                let target = target.ok_or_else(|| gone(&relayed.to))?;
                self.to_client(peer, &target, relayed, taken).await
            }
        }
    }

    async fn to_client(
        &self,
        peer: &Peer,
        target: &Peer,
        relayed: &Relayed<'_>,
        taken: Taken,
    ) -> Result<(), Error> {
        // it would take the message for an event
        if !target.extensions.has(needed(relayed.kind)) {
            return Ok(());
        }
        let frame = written(peer, relayed, target.extensions)?;
        let len = frame.len();
        load::note_relayed(peer, target, relayed, taken, self.elapsed());
        if !hand_over(peer, target, frame).await {
            return Err(gone(&relayed.to));
        }
        self.metrics.frames_relayed_total.increment();
        self.metrics.bytes_relayed_total.add(len as u64);
        Ok(())
    }

    /// The manager never waits for a client, so a client that leaves its answers unread is made to wait here.
    async fn to_manager(self: &Arc<Self>, peer: &Arc<Peer>, relayed: &Relayed<'_>) -> Result<(), Error> {
        wait_for_room(peer).await;
        self.manager()?.receive(self, &written(peer, relayed, Extensions::ALL)?, peer);
        Ok(())
    }

    async fn broadcast(&self, peer: &Peer, relayed: &Relayed<'_>, workspace: &str) -> Result<(), Error> {
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
        if relayed.kind == "method" || is_extension(relayed.kind) {
            return Err(Error::invalid("a call needs one target, found everybody"));
        }
        let subscribers =
            self.registry.workspace(workspace).map(|workspace| workspace.subscribers(relayed.kind));
        let frame = written(peer, relayed, Extensions::NONE)?;
        for target in subscribers.into_iter().flatten() {
            hand_over(peer, &target, frame.clone()).await;
        }
        Ok(())
    }

    pub(super) fn refuse(&self, peer: &Peer, relayed: &Relayed<'_>, error: &Error) {
        self.metrics.frames_refused_total.increment();
        tracing::debug!(client = peer.address(), to = &*relayed.to, kind = relayed.kind, %error, "refused a frame");
        // who gave up waits for nothing
        let Some(session) = relayed.session.filter(|_| relayed.kind != CANCEL) else { return };
        if let Ok(frame) = reject(relayed.written_to, relayed.written_from, session, error) {
            Self::tell(peer, Item::Frame(frame));
        }
    }

    /// Sends what a part of the server has to say; it names itself in `from`. Never waits: what does not fit is sent
    /// later.
    ///
    /// Answers whether the target is there.
    pub(crate) fn send_own(self: &Arc<Self>, outgoing: &Outgoing) -> bool {
        let Some((workspace, client)) = outgoing.to.split_once('/') else { return false };
        let Some(target) = self.registry.client(workspace, client) else { return false };
        match self.signed(&outgoing.frame, workspace, target.extensions) {
            Some(Some(frame)) => send_later(target, frame),
            // it does not know what this is
            Some(None) => true,
            None => false,
        }
    }

    /// Adds to a frame of the server's own the workspace of its target and the root user (protocol section 6.3). The
    /// inner `None` is for messages of extensions that the target does not know.
    fn signed(&self, frame: &Bytes, workspace: &str, target: Extensions) -> Option<Option<Bytes>> {
        let header = Header::parse(frame).ok()?;
        if !target.has(needed(header.kind)) {
            return Some(None);
        }
        if header.user.is_some() {
            return Some(Some(frame.clone()));
        }
        let sender = Sender {
            workspace: workspace.to_owned(),
            address: header.from.to_owned(),
            user: self.root.clone(),
        };
        let signed = Relayed::read(frame, &sender).ok()?.write(&sender, workspace, !target.is_empty());
        signed.ok().map(Some)
    }
}

/// The frame for a receiver that knows `extensions`.
fn written(peer: &Peer, relayed: &Relayed<'_>, extensions: Extensions) -> Result<Bytes, Error> {
    let extras = !extensions.is_empty() && !peer.extensions.is_empty();
    relayed.write(&peer.sender, peer.workspace(), extras)
}

/// The extension that messages of a type belong to; none for those of Hypha's protocol.
fn needed(kind: &str) -> Extensions {
    match kind {
        CANCEL => Extensions::CANCEL,
        kind if is_extension(kind) => Extensions::PUSH_STREAM,
        _ => Extensions::NONE,
    }
}

/// Nobody sends messages of extensions that it did not name.
fn check_extension(known: Extensions, kind: &str) -> Result<(), Error> {
    if known.has(needed(kind)) {
        return Ok(());
    }
    Err(denied(format!("messages of type `{kind}` belong to an extension that this client did not name")))
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
