//! One connected client, and whoever else asks the server for something.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use polyfn_core::Value;
use polyfn_core::session::Extensions;
use polyfn_core::wire::Sender;

use crate::auth::{Identity, Permission, UserInfo};
use crate::hub::alive::Silence;
use crate::hub::line::Line;
use crate::hub::load::{Load, Meter};
use crate::hub::places::Seats;
use crate::hub::queue::Queue;
use crate::hub::shelf::Shelf;
use crate::hub::wall::Acquainted;
use crate::limits::Limits;

/// Calls to the manager that may wait for other clients at once, of one client.
pub(crate) const OPEN_CALLS_MAX: u32 = 256;

/// A user as the relay puts it into frames.
#[must_use]
pub fn encode_user(user: &UserInfo) -> Bytes {
    let json = serde_json::to_value(user).unwrap_or_default();
    // boxed, as it is kept as long as the connection and must not hold more than it needs
    let encoded = Value::from(json).to_msgpack().map(Vec::into_boxed_slice);
    encoded.map_or_else(|_| Bytes::from_static(&[0xc0]), Bytes::from)
}

/// One connection of a client.
#[derive(Debug)]
pub struct Peer {
    /// Who it is, as written into its frames.
    pub sender: Sender,
    /// Its name in the workspace.
    pub client_id: String,
    /// Its user.
    pub user: Arc<UserInfo>,
    /// Its right in the workspace, at least to read.
    pub permission: Permission,
    /// Extensions of the protocol that it knows, as far as we do.
    pub extensions: Extensions,
    /// What is to be written to it.
    pub queue: Queue,
    /// Tells connections of the same client apart: the end of an old one must not remove a newer one.
    pub(super) generation: u64,
    pub(super) detached: AtomicBool,
    /// Event types that it wants to hear of; most connections have a single one.
    subscriptions: Mutex<HashSet<Box<str>>>,
    /// Clients of other workspaces that may send to functions and sessions of this one.
    pub(super) acquainted: Acquainted,
    /// Messages received, control frames included.
    heard: AtomicU64,
    pub(super) silence: Mutex<Silence>,
    /// When the last message with data came, in milliseconds since the hub began.
    active: AtomicU64,
    /// Its reader waits for a slow receiver, so that nothing can be heard from it.
    waiting: AtomicBool,
    from: OnceLock<IpAddr>,
    /// Whether others were told already that it is gone.
    pub(super) told_gone: AtomicBool,
    /// Calls to the manager for which it waits.
    open_calls: AtomicU32,
    /// What it has to do.
    pub(super) meter: Meter,
    /// Its own calls, when it may not have more of them under way.
    pub(super) line: Line,
    /// Places for its services.
    pub(super) shelf: Shelf,
}

impl Peer {
    pub(super) fn new(
        identity: Identity,
        generation: u64,
        limits: &Limits,
        (seats, shelf): (Seats, Shelf),
        now: Duration,
    ) -> Self {
        let Identity { user, workspace, permission, client_id, reconnecting: _, extensions } = identity;
        let address = format!("{workspace}/{client_id}");
        Self {
            sender: Sender { workspace, address, user: encode_user(&user) },
            client_id,
            user: Arc::new(user),
            permission,
            extensions,
            queue: Queue::new(limits),
            generation,
            detached: AtomicBool::new(false),
            subscriptions: Mutex::default(),
            acquainted: Acquainted::default(),
            heard: AtomicU64::new(0),
            silence: Mutex::new(Silence::new(now)),
            active: AtomicU64::new(milliseconds(now)),
            waiting: AtomicBool::new(false),
            from: OnceLock::new(),
            told_gone: AtomicBool::new(false),
            open_calls: AtomicU32::new(0),
            meter: Meter::default(),
            line: Line::new(seats, limits),
            shelf,
        }
    }

    /// `workspace/client`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.sender.address
    }

    /// The workspace that it is in.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.sender.workspace
    }

    /// Notes a sign of life.
    pub fn hear(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes a message with data; `now` counts from when the hub began.
    pub fn be_active(&self, now: Duration) {
        self.active.store(milliseconds(now), Ordering::Relaxed);
        self.meter.note_message(now);
    }

    /// Rests before the next message is read: its sender has sent more than it may.
    pub async fn rest(&self, wait: Duration) {
        self.set_waiting(true);
        tokio::time::sleep(wait).await;
        self.set_waiting(false);
    }

    /// Where it comes from, as far as that is known.
    #[must_use]
    pub fn from(&self) -> Option<IpAddr> {
        self.from.get().copied()
    }

    /// Notes where it comes from; the first word counts.
    pub(crate) fn comes_from(&self, address: IpAddr) {
        _ = self.from.set(address);
    }

    /// How busy it is; `now` counts from when the hub began.
    #[must_use]
    pub fn load(&self, now: Duration) -> Load {
        self.meter.load(now)
    }

    /// When the last message with data came.
    #[must_use]
    pub fn last_active(&self) -> Duration {
        Duration::from_millis(self.active.load(Ordering::Relaxed))
    }

    /// How much was heard so far; it grows with each sign of life.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    pub(super) fn set_waiting(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Notes that a call to the manager waits for another client; `None` when too many do already.
    ///
    /// Such calls take places that all clients share, so that no client may have more than its part.
    pub(crate) fn open_call(self: &Arc<Self>) -> Option<OpenCall> {
        let open = self.open_calls.fetch_add(1, Ordering::Relaxed);
        let call = OpenCall(Arc::clone(self));
        (open < OPEN_CALLS_MAX).then_some(call)
    }

    /// Wants to hear of events of these types; refuses, changing nothing, when they are too many.
    pub fn subscribe<'a>(&self, kinds: impl Iterator<Item = &'a str>, max: usize) -> bool {
        let mut subscriptions = self.subscriptions.lock();
        let before = subscriptions.clone();
        subscriptions.extend(kinds.map(Box::from));
        if subscriptions.len() > max {
            *subscriptions = before;
            return false;
        }
        true
    }

    /// Does not want to hear of events of this type any longer.
    pub fn unsubscribe(&self, kind: &str) {
        self.subscriptions.lock().remove(kind);
    }

    /// Whether it wants to hear of events of this type.
    #[must_use]
    pub fn wants(&self, kind: &str) -> bool {
        self.subscriptions.lock().contains(kind)
    }
}

/// A call to the manager that waits for another client.
#[derive(Debug)]
pub(crate) struct OpenCall(Arc<Peer>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open_calls.fetch_sub(1, Ordering::Relaxed);
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Who asks: a connected client, or the user of an HTTP request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user.
    pub user: Arc<UserInfo>,
    /// The workspace in which the user acts.
    pub workspace: String,
    /// The connection, if there is one.
    pub peer: Option<Arc<Peer>>,
}

impl Caller {
    /// A user who acts in `workspace` over HTTP.
    #[must_use]
    pub const fn new(user: Arc<UserInfo>, workspace: String) -> Self {
        Self { user, workspace, peer: None }
    }

    /// The right in `workspace`.
    #[must_use]
    pub fn permission(&self, workspace: &str) -> Permission {
        self.user.permission(workspace)
    }
}

impl From<&Arc<Peer>> for Caller {
    fn from(peer: &Arc<Peer>) -> Self {
        Self {
            user: Arc::clone(&peer.user),
            workspace: peer.workspace().to_owned(),
            peer: Some(Arc::clone(peer)),
        }
    }
}
