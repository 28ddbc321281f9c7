//! [`Hub`]: who comes, who leaves, what they are told.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use polyfn_core::codec::Writer;
use polyfn_core::session::Statistics;
use polyfn_core::wire::ServiceUri;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};
use tokio::sync::Semaphore;

use crate::audit::Audit;
use crate::auth::{HandshakeError, Identity, UserInfo};
use crate::hub::gateway::Gateway;
use crate::hub::peer::{Caller, Peer, encode_user};
use crate::hub::places::Hall;
use crate::hub::queue::{Ending, Item};
use crate::hub::registry::{Registry, WorkspaceInfo};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::shutdown::Signal;

/// How long a client has to show that it is alive when another one wants its name.
const PROOF_OF_LIFE: Duration = Duration::from_secs(5);
/// How often is looked whether it did.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How often calls past their deadline are looked for.
const TICK: Duration = Duration::from_millis(250);

/// What clients are told when the server stops.
const STOPPING: &str = "Server is shutting down";

/// What a hub is made with.
pub struct Settings {
    /// What is accepted.
    pub limits: Limits,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// Client id of the workspace manager.
    pub manager_id: String,
    /// URL of the server for others.
    pub public_base_url: String,
}

/// The workspace manager, as the hub sees it.
pub trait Management: Send + Sync {
    /// Takes a frame that a client sent to it.
    fn receive(self: Arc<Self>, hub: &Arc<Hub>, frame: &Bytes, from: &Arc<Peer>);
    /// Runs one of its methods for a caller who is no client; the answer is a value.
    fn invoke(
        self: Arc<Self>,
        hub: &Arc<Hub>,
        caller: Caller,
        method: &str,
        arguments: Vec<Value>,
        keywords: Map,
    ) -> BoxFuture<'static, Result<Value>>;
    /// Takes an event of the server's own.
    fn notice(&self, event: &Bytes, hub: &Hub);
    /// A workspace is there, since somebody joined it.
    fn loaded(&self, workspace: &WorkspaceInfo, registry: &Arc<Registry>);
    /// A workspace was forgotten, since its last client has left.
    fn unloaded(&self, workspace: WorkspaceInfo, registry: &Arc<Registry>);
    /// Lets time pass.
    fn tick(self: Arc<Self>, hub: &Arc<Hub>);
    /// How much its session holds.
    fn statistics(&self) -> Statistics;
}

/// Who is connected, and where messages go.
pub struct Hub {
    /// Clients and services.
    pub registry: Arc<Registry>,
    /// Calls by those who are no clients: HTTP and the server itself.
    pub gateway: Gateway,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    hall: Hall,
    /// The server's own user, encoded.
    pub(super) root: Bytes,
    /// Places for handshakes under way.
    pub(crate) handshakes: Arc<Semaphore>,
    manager: OnceLock<Arc<dyn Management>>,
    audit: Audit,
    generations: AtomicU64,
    started: Instant,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub without clients. [`Hub::start`] must follow.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            registry: Arc::new(Registry::new(&settings.limits)),
            gateway: Gateway::new(&settings),
            handshakes: Arc::new(Semaphore::new(
                settings.limits.max_concurrent_connections.clamp(1, Semaphore::MAX_PERMITS),
            )),
            limits: settings.limits,
            hall: Hall::default(),
            metrics: settings.metrics,
            root: encode_user(&UserInfo::root("*")),
            manager: OnceLock::new(),
            audit: Audit::default(),
            generations: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Puts the manager to work. A second one is ignored.
    pub fn set_manager(&self, manager: Arc<dyn Management>) {
        _ = self.manager.set(manager);
    }

    /// The manager.
    ///
    /// # Errors
    /// `internal` before [`Hub::set_manager`].
    pub fn manager(&self) -> Result<Arc<dyn Management>> {
        self.manager
            .get()
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the server has no manager yet"))
    }

    /// Lets time pass for as long as the hub is there, and closes all connections when `signal` says so.
    pub fn start(self: &Arc<Self>, mut signal: Signal) {
        let hub = Arc::downgrade(self);
        tokio::spawn(async move {
            signal.finish().await;
            if let Some(hub) = hub.upgrade() {
                hub.close_all(&Ending::Close { code: 1001, reason: STOPPING.to_owned(), told: false });
            }
        });
        let hub = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let between = hub.upgrade().map_or(TICK, |hub| hub.time_between_looks());
            let between = between.clamp(TICK, Duration::from_secs(10));
            let mut next_look = Instant::now() + between;
            loop {
                ticks.tick().await;
                let Some(hub) = hub.upgrade() else { return };
                hub.gateway.tick(&hub);
                if let Some(manager) = hub.manager.get().cloned() {
                    manager.tick(&hub);
                }
                if Instant::now() >= next_look {
                    next_look = Instant::now() + between;
                    hub.look_after_clients();
                }
            }
        });
    }

    /// Time since the hub began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn close_all(&self, end: &Ending) {
        for workspace in self.registry.workspaces() {
            workspace.clients().iter().for_each(|peer| peer.queue.close(end.clone()));
        }
    }

    /// Lets a client in, which comes `from` an address as far as that is known. `welcome` is the first thing it is told.
    ///
    /// A client of the same name that is alive keeps its place, and notices nothing but a ping; one that is not is
    /// removed. Who comes back with a reconnection token takes over, and gets what the old connection had no time
    /// to write.
    ///
    /// # Errors
    /// Says with which code and text the client is refused.
    pub async fn join(
        &self,
        identity: Identity,
        from: Option<IpAddr>,
        welcome: String,
    ) -> Result<Arc<Peer>, HandshakeError> {
        check_workspace(&identity.workspace)?;
        // A token names a client, but only the user who was that client may take its place.
        let live = self.registry.client(&identity.workspace, &identity.client_id);
        let supersede = identity.reconnecting && live.is_none_or(|live| live.user.id == identity.user.id);
        if !supersede {
            self.clear_name(&identity.workspace, &identity.client_id).await?;
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let user = &identity.user.id;
        let places = (
            self.hall.seats(&self.limits, user, &identity.workspace, from),
            self.hall.shelf(&self.limits, user, from),
        );
        let peer = Arc::new(Peer::new(identity, generation, &self.limits, places, self.elapsed()));
        if let Some(from) = from {
            peer.comes_from(from);
        }
        // in the queue before anybody can find it, so that it comes before all else
        _ = peer.queue.push_urgent(Item::Text(welcome));
        let attached = self.registry.attach(&peer, supersede).inspect_err(|error| {
            if let Some(limit) = error.limit {
                self.metrics.limited.note(limit);
            }
        })?;
        if let (Some(info), Some(manager)) = (&attached.loaded, self.manager.get()) {
            manager.loaded(info, &self.registry);
        }
        if let Some(old) = attached.replaced {
            for item in old.queue.take_over() {
                if matches!(item, Item::Frame(_)) {
                    _ = peer.queue.push_urgent(item);
                }
            }
            peer.acquainted.adopt(&old.acquainted);
            self.registry.detach(&old);
        }
        Ok(peer)
    }

    async fn clear_name(&self, workspace: &str, client: &str) -> Result<(), HandshakeError> {
        let Some(live) = self.registry.client(workspace, client) else { return Ok(()) };
        if self.is_alive(&live).await {
            return Err(HandshakeError::taken(live.address()));
        }
        tracing::info!(client = live.address(), "removed a client that does not answer");
        live.queue.close(Ending::Cut);
        self.leave(&live);
        Ok(())
    }

    /// Whether anything is heard from a client after it was asked; it is not disturbed by that.
    async fn is_alive(&self, peer: &Peer) -> bool {
        let before = peer.heard();
        if peer.queue.push_urgent(Item::Ping).is_err() {
            return !peer.queue.is_closed();
        }
        let end = tokio::time::Instant::now() + PROOF_OF_LIFE;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep(LOOK_AGAIN).await;
            if peer.heard() != before || peer.is_waiting() {
                return true;
            }
            if peer.queue.is_closed() {
                return false;
            }
        }
        false
    }

    /// Takes out a connection that has ended, with what its client registered, and tells who wants to know.
    pub fn leave(&self, peer: &Arc<Peer>) {
        peer.queue.close(Ending::Cut);
        peer.meter.forget_all();
        peer.line.leave();
        let detached = self.registry.detach(peer);
        if !detached.was_current {
            return;
        }
        (0..detached.services).for_each(|_| self.metrics.services.decrement());
        if let Some(parting) = self.announce_parting(peer) {
            self.gateway.notice(&parting.full, self.elapsed());
            if let Some(manager) = self.manager.get() {
                manager.notice(&parting.full, self);
            }
            self.part(peer, &parting);
        }
        self.unload(peer.workspace());
    }

    fn unload(&self, workspace: &str) {
        let grace = self.limits.workspace_unload_grace_period.duration();
        let manager = self.manager.get().cloned();
        let unload = move |registry: &Arc<Registry>, name: &str| {
            if let (Some(info), Some(manager)) = (registry.unload(name), &manager) {
                manager.unloaded(info, registry);
            }
        };
        if grace.is_zero() {
            return unload(&self.registry, workspace);
        }
        // without a runtime the server is ending anyway
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (name, registry) = (workspace.to_owned(), Arc::clone(&self.registry));
        runtime.spawn(async move {
            tokio::time::sleep(grace).await;
            unload(&registry, &name);
        });
    }

    /// Whether the client has registered its `built-in` service.
    pub(crate) fn is_announced(&self, peer: &Peer) -> bool {
        let [client, service] = [peer.client_id.as_str(), "built-in"].map(str::to_owned);
        let uri = ServiceUri { workspace: peer.workspace().to_owned(), client, service, app: "*".to_owned() };
        !self.registry.find(&uri).is_empty()
    }

    /// Where is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where rights that change are noted.
    pub(crate) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The server's own user, encoded.
    pub(crate) fn root_user(&self) -> Bytes {
        self.root.clone()
    }

    /// Counts services that came (or went, with -1).
    pub(crate) fn count_services(&self, change: i8) {
        if change > 0 { self.metrics.services.increment() } else { self.metrics.services.decrement() }
    }

    /// How much the server's own sessions hold.
    pub fn sessions(&self) -> Vec<Statistics> {
        let manager = self.manager.get().map(|manager| manager.statistics());
        manager.into_iter().chain([self.gateway.statistics()]).collect()
    }

    /// Counts a call to the manager.
    pub(crate) fn count_manager_call(&self) {
        self.metrics.manager_calls_total.increment();
    }

    /// Puts what the server has to say into a client's queue. There is room for it unless the client stopped reading.
    pub(super) fn tell(peer: &Peer, item: Item) {
        if let Err(super::queue::Refused::Full(_)) = peer.queue.push_urgent(item) {
            peer.queue.close(Ending::told(1008, "Client is too slow: too many messages wait for it"));
        }
    }
}

/// Names come from tokens and are trusted; the root user may write what it likes, so they are looked at here.
fn check_workspace(name: &str) -> Result<(), HandshakeError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "/:@*#".contains(c);
    if name.is_empty() || name.len() > 255 || name.contains(bad) {
        let shown: String = name.chars().take(64).collect();
        return Err(HandshakeError::establish(format_args!("Invalid workspace name: {shown}")));
    }
    Ok(())
}

/// An error as the frame that ends the call of `session`.
pub(super) fn reject(from: &str, to: &str, session: &str, error: &Error) -> Result<Bytes> {
    let mut out = Writer::new();
    let method = format!("{session}.reject");
    polyfn_core::wire::Route { from, to, method: &method, ..Default::default() }.write(&mut out)?;
    out.open_map(1)?;
    out.text("args")?;
    out.open_list(1)?;
    out.error(error)?;
    out.close();
    out.close();
    Ok(Bytes::from(out.into_bytes()))
}
