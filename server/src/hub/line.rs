//! Calls that wait for their turn: their client has as many under way as it may.
//!
//! The client is read on, as what it says next may be the very answer that its own calls wait for. Its calls stand in a
//! line and are passed on in their order; when too many bytes stand in it, the next ones are refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use polyfn_core::wire::{CANCEL, Relayed};
use polyfn_core::{Error, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::hub::hub::Hub;
use crate::hub::load;
use crate::hub::peer::Peer;
use crate::hub::places::{Seats, Taken};
use crate::limits::Limits;

/// What a message in the line takes beside its own bytes.
const OVERHEAD: usize = 256;

/// Somebody who waits, and the part of the room that it takes.
type Waiting = (Bytes, OwnedSemaphorePermit);

/// The line of one client.
#[derive(Debug)]
pub(super) struct Line {
    seats: Seats,
    /// How long a call may wait.
    patience: Duration,
    /// Bytes of the calls that may wait.
    room: Arc<Semaphore>,
    largest: usize,
    waiting: AtomicUsize,
    entrance: OnceLock<mpsc::UnboundedSender<Waiting>>,
}

/// Where a message goes.
pub(super) enum Way {
    /// On, with the places that it takes.
    On(Taken),
    /// Into the line, as there is no place for it.
    Line,
}

impl Line {
    pub(super) fn new(seats: Seats, limits: &Limits) -> Self {
        let largest = limits.max_queued_bytes.clamp(1, u32::MAX as usize >> 1);
        Self {
            seats,
            patience: limits.call_wait_timeout.duration(),
            room: Arc::new(Semaphore::new(largest)),
            largest,
            waiting: AtomicUsize::new(0),
            entrance: OnceLock::new(),
        }
    }

    /// The client has left.
    pub(super) fn leave(&self) {
        self.seats.leave();
    }

    fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }
}

impl Hub {
    /// Whether a message of `peer` is passed on now.
    pub(super) fn way(&self, peer: &Peer, relayed: &Relayed<'_>) -> Way {
        let line = &peer.line;
        if line.seats.is_free() || !load::is_call(relayed) {
            return Way::On(Taken::default());
        }
        if !line.is_empty() {
            return Way::Line;
        }
        match line.seats.try_take() {
            Ok(taken) => Way::On(taken),
            Err(limit) => {
                self.metrics.limited.note(limit);
                Way::Line
            }
        }
    }

    /// Puts a message of `peer` at the end of its line, or refuses it when that is full.
    pub(super) fn line_up(self: &Arc<Self>, peer: &Arc<Peer>, relayed: &Relayed<'_>, frame: Bytes) {
        let line = &peer.line;
        let size = (frame.len() + OVERHEAD).min(line.largest) as u32;
        let Ok(room) = Arc::clone(&line.room).try_acquire_many_owned(size) else {
            self.metrics.limited.note("max_queued_bytes");
            let text = "too many calls wait for their turn, wait for some of them (max-calls-per-client, -user, -workspace)";
            return self.refuse(peer, relayed, &Error::new(ErrorKind::Overloaded, text));
        };
        line.waiting.fetch_add(1, Ordering::AcqRel);
        let entrance = line.entrance.get_or_init(|| {
            let (entrance, waiting) = mpsc::unbounded_channel();
            tokio::spawn(serve(Arc::downgrade(self), Arc::downgrade(peer), waiting));
            entrance
        });
        _ = entrance.send((frame, room));
    }

    /// Who gave up a call may have it in the line still: the message follows it there as well.
    pub(super) fn follow(self: &Arc<Self>, peer: &Arc<Peer>, relayed: &Relayed<'_>, frame: &Bytes) {
        if relayed.kind == CANCEL && !peer.line.is_empty() {
            self.line_up(peer, relayed, frame.clone());
        }
    }
}

/// Passes on what waits, one after the other, for as long as the client is there.
async fn serve(hub: Weak<Hub>, peer: Weak<Peer>, mut line: mpsc::UnboundedReceiver<Waiting>) {
    while let Some((frame, _room)) = line.recv().await {
        let (Some(hub), Some(peer)) = (hub.upgrade(), peer.upgrade()) else { return };
        if peer.queue.is_closed() {
            return;
        }
        if let Ok(relayed) = Relayed::read(&frame, &peer.sender) {
            serve_one(&hub, &peer, &relayed).await;
        }
        peer.line.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn serve_one(hub: &Arc<Hub>, peer: &Arc<Peer>, relayed: &Relayed<'_>) {
    let patience = peer.line.patience;
    let taken = if load::is_call(relayed) {
        timeout(patience, peer.line.seats.take()).await
    } else {
        Ok(Taken::default())
    };
    match taken {
        Ok(taken) => hub.pass(peer, relayed, taken).await,
        Err(_) => {
            hub.metrics.limited.note("call_wait_timeout");
            let text = format!(
                "too many calls are under way, and none ended within {} s (max-calls-per-client, -user, -workspace)",
                patience.as_secs_f64()
            );
            hub.refuse(peer, relayed, &Error::new(ErrorKind::Overloaded, text));
        }
    }
}
