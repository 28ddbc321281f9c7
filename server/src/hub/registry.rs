//! Clients and services by workspace, in memory.
//!
//! Two locks, always taken in this order: the table of workspaces, then one workspace. Neither is held over an
//! await. Relaying a frame takes both for reading.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use polyfn_core::Map;
use polyfn_core::wire::ServiceUri;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::auth::{HandshakeError, Permission, UserInfo};
use crate::clock;
use crate::hub::members::Members;
use crate::hub::peer::Peer;
use crate::hub::recent::Recent;
use crate::hub::service::Service;
use crate::hub::shelf::Shelf;
use crate::hub::vanished::Vanished;
use crate::limits::Limits;

/// What is told of a workspace.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkspaceInfo {
    /// The name.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Whether what belongs to it stays when the last client has left.
    pub persistent: bool,
    /// Users who own it.
    pub owners: Vec<String>,
    /// Told to clients: strangers cannot keep files.
    pub read_only: bool,
    /// URL of a picture.
    pub icon: Option<String>,
    /// URLs of larger pictures.
    pub covers: Option<Vec<String>>,
    /// URL of documentation, or the text itself.
    pub docs: Option<String>,
    /// Settings of its owner.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// When somebody has made it, in seconds since 1970: tokens from before are not for it. 0 for those that came into
    /// being because somebody with a right joined.
    pub created: u64,
    /// Whether the store has it: then it stays in memory as well, so that it is found.
    #[serde(skip)]
    pub stored: bool,
}

impl WorkspaceInfo {
    /// A workspace that came into being because somebody joined it.
    #[must_use]
    pub fn joined(name: &str, owner: Option<&str>) -> Self {
        Self {
            id: name.to_owned(),
            name: name.to_owned(),
            owners: owner.map(str::to_owned).into_iter().collect(),
            ..Self::default()
        }
    }

    /// The workspace in which `user` is at home: it stays, unless nobody could come back to it.
    pub(crate) fn own(user: &UserInfo) -> Self {
        let description = if user.is_anonymous { "Anonymous workspace" } else { "Workspace of a user" };
        Self {
            description: Some(description.to_owned()),
            persistent: !user.is_anonymous,
            read_only: user.is_anonymous,
            ..Self::joined(&user.own_workspace(), Some(&user.id))
        }
    }
}

/// One workspace.
#[derive(Debug)]
pub struct Workspace {
    /// The name.
    pub name: String,
    info: RwLock<WorkspaceInfo>,
    created: AtomicU64,
    members: RwLock<Members>,
    /// Types of services, as they were registered.
    types: Mutex<Map>,
    /// Grows with each change that is told of.
    version: AtomicU64,
}

/// What became of a new connection.
#[derive(Debug)]
pub(super) struct Attached {
    /// The connection whose place it took.
    pub replaced: Option<Arc<Peer>>,
    /// The workspace that came into being with it.
    pub loaded: Option<WorkspaceInfo>,
}

/// What went with a connection that ended.
#[derive(Debug, Default)]
pub(super) struct Detached {
    /// Whether it was still the connection of its client.
    pub was_current: bool,
    /// How many services went with it.
    pub services: usize,
}

/// What became of a registration.
#[derive(Debug)]
pub(crate) struct Added {
    /// The service that it replaced.
    pub replaced: Option<Arc<Service>>,
}

/// Why a registration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddError {
    /// The connection has ended.
    Gone,
    /// The client did not register its `built-in` service.
    NotAnnounced,
    /// Another service of this name excludes others, or this one does.
    Singleton,
    /// The client has too many.
    TooMany,
    /// The workspace has too many.
    WorkspaceFull,
    /// Its user or its address has as many as this limit allows: its name, and how many.
    Full(&'static str, usize),
}

/// All workspaces.
#[derive(Debug)]
pub struct Registry {
    table: RwLock<Table>,
    recent: Recent,
    /// Grows with each change that is told of.
    changes: watch::Sender<u64>,
    max_clients: usize,
    max_connections: usize,
    max_services: usize,
    max_services_of_all: usize,
    max_names: usize,
}

#[derive(Debug, Default)]
struct Table {
    workspaces: HashMap<String, Arc<Workspace>>,
    /// Names of workspaces by owner.
    owned: HashMap<String, BTreeSet<String>>,
    /// Whose the names of those were that somebody has made and that have vanished.
    vanished: Vanished,
    connections: HashMap<String, usize>,
}

impl Registry {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            table: RwLock::new(Table {
                vanished: Vanished::new(limits.max_workspace_names),
                ..Table::default()
            }),
            recent: Recent::default(),
            changes: watch::Sender::new(0),
            max_clients: limits.max_clients_per_workspace,
            max_connections: limits.max_connections_per_user,
            max_services: limits.max_services_per_client,
            max_services_of_all: limits.max_services_per_workspace,
            max_names: limits.max_workspace_names,
        }
    }

    /// The workspace of this name, if it exists.
    #[must_use]
    pub fn workspace(&self, name: &str) -> Option<Arc<Workspace>> {
        self.table.read().workspaces.get(name).cloned()
    }

    /// All workspaces.
    #[must_use]
    pub fn workspaces(&self) -> Vec<Arc<Workspace>> {
        self.table.read().workspaces.values().cloned().collect()
    }

    /// Something in `workspace` is not as it was.
    pub(super) fn note_change(&self, workspace: &str) {
        if let Some(workspace) = self.workspace(workspace) {
            workspace.version.fetch_add(1, Ordering::Relaxed);
        }
        self.changes.send_modify(|number| *number += 1);
    }

    /// Is told of each change, in whatever workspace.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The current connection of a client.
    #[must_use]
    pub fn client(&self, workspace: &str, client: &str) -> Option<Arc<Peer>> {
        self.table.read().workspaces.get(workspace)?.client(client)
    }

    /// The services that `uri` asks for, in order of registration.
    #[must_use]
    pub fn find(&self, uri: &ServiceUri) -> Vec<Arc<Service>> {
        self.workspace(&uri.workspace).map(|workspace| workspace.find(uri)).unwrap_or_default()
    }

    /// Creates a workspace, or replaces what is told of it.
    pub fn put_workspace(&self, info: WorkspaceInfo) {
        let mut table = self.table.write();
        match table.workspaces.get(&info.id).cloned() {
            Some(workspace) => {
                table.disown(&workspace.info.read());
                table.own(&info);
                workspace.created.store(info.created, Ordering::Relaxed);
                *workspace.info.write() = info;
            }
            None => table.insert(Workspace::new(info)),
        }
    }

    /// Gives a user who comes in person the workspaces that it owns, and takes from one with a token what the token was
    /// made for before there was such a workspace: the name was somebody else's then.
    pub fn settle(&self, user: &mut UserInfo) {
        let table = self.table.read();
        let issued = user.credential.issued;
        let is_older = |name: &String| match table.workspaces.get(name) {
            Some(workspace) => {
                workspace.created() > issued && !user.speaks_for(&workspace.info.read().owners)
            }
            None => table
                .vanished
                .get(name)
                .is_some_and(|(created, owners)| created > issued && !user.speaks_for(owners)),
        };
        let lost: Vec<_> = user.scope.workspaces.iter().filter(|(name, _)| is_older(name)).cloned().collect();
        if !lost.is_empty() {
            user.scope.workspaces.retain(|right| !lost.contains(right));
        }
        if user.is_in_person() {
            let owned = table.owned.get(&user.id).into_iter().flatten();
            owned.for_each(|name| user.scope.allow(name, Permission::Admin));
        }
    }

    /// Puts in a name that was somebody's before the server started. All of them are to come before the first client.
    pub(crate) fn remember_name(&self, name: String, created: u64, owners: Vec<String>) {
        self.recent.note(&name, clock::now());
        self.table.write().vanished.put(name, created, owners);
    }

    /// How many names of workspaces that are gone are remembered.
    pub(crate) const fn max_names(&self) -> usize {
        self.max_names
    }

    /// A token for a workspace of this name is being made.
    pub(crate) fn note_token_for(&self, name: &str) {
        self.recent.note(name, clock::now());
    }

    /// Whether a token of others that was made within this second could be taken for one of a workspace of this name,
    /// if `user` made it now.
    pub(crate) fn is_recent(&self, name: &str, user: &UserInfo) -> bool {
        let table = self.table.read();
        let is_own = || table.vanished.get(name).is_some_and(|(_, owners)| user.speaks_for(owners));
        !table.workspaces.contains_key(name) && self.recent.has(name, clock::now()) && !is_own()
    }

    /// Whether somebody who is connected has a right in a workspace of this name, though it is not there, and `user` is
    /// not who gave it.
    pub(crate) fn is_claimed(&self, name: &str, user: &UserInfo) -> bool {
        let claims = |peer: &Arc<Peer>| {
            let own = peer.user.speaks_for(std::slice::from_ref(&user.id));
            !own && peer.user.scope.workspaces.iter().any(|(named, _)| named == name)
        };
        self.workspaces().iter().any(|workspace| workspace.members.read().clients.values().any(claims))
    }

    /// The names of the workspaces that a user owns.
    pub(crate) fn owned_by(&self, user: &str) -> Vec<String> {
        self.table.read().owned.get(user).into_iter().flatten().cloned().collect()
    }

    /// How many workspaces a user owns.
    #[must_use]
    pub fn count_owned_by(&self, user: &str) -> usize {
        self.table.read().owned.get(user).map_or(0, BTreeSet::len)
    }

    /// Puts a connection in, in the place of another one of its client when `supersede` says so.
    ///
    /// # Errors
    /// Says with which code and text the newcomer is refused.
    pub(super) fn attach(&self, peer: &Arc<Peer>, supersede: bool) -> Result<Attached, HandshakeError> {
        let mut table = self.table.write();
        let held = table.connections.get(&peer.user.id).copied().unwrap_or_default();
        if held >= self.max_connections {
            let text = format!("Too many connections of one user: {} are allowed", self.max_connections);
            return Err(HandshakeError::refused(text).by("max_connections_per_user"));
        }
        let name = peer.workspace();
        let workspace = table.workspaces.get(name).cloned().unwrap_or_else(|| {
            let own = peer.user.own_workspace() == name;
            let info = if own { WorkspaceInfo::own(&peer.user) } else { table.joined(name) };
            Workspace::new(info)
        });
        let replaced = workspace.attach(peer, supersede, self.max_clients)?;
        let loaded = (!table.workspaces.contains_key(name)).then(|| workspace.info());
        if loaded.is_some() {
            table.insert(workspace);
        }
        *table.connections.entry(peer.user.id.clone()).or_default() += 1;
        Ok(Attached { replaced, loaded })
    }

    /// Takes a connection out, with all that its client registered unless a newer connection holds that now.
    pub(super) fn detach(&self, peer: &Arc<Peer>) -> Detached {
        if peer.detached.swap(true, Ordering::Relaxed) {
            return Detached::default();
        }
        let mut table = self.table.write();
        if let Some(held) = table.connections.get_mut(&peer.user.id) {
            *held -= 1;
            if *held == 0 {
                table.connections.remove(&peer.user.id);
            }
        }
        let Some(workspace) = table.workspaces.get(peer.workspace()) else { return Detached::default() };
        workspace.detach(peer)
    }

    /// Forgets a workspace that nobody is in and that is not to stay; gives what was told of it.
    pub(super) fn unload(&self, name: &str) -> Option<WorkspaceInfo> {
        let mut table = self.table.write();
        let idle = table.workspaces.get(name).is_some_and(|workspace| workspace.is_idle());
        let gone = if idle { table.remove(name) } else { None }?;
        self.recent.note(name, clock::now());
        self.changes.send_modify(|number| *number += 1);
        Some(gone.info())
    }

    /// Forgets a workspace, whoever is in it; gives it.
    pub(crate) fn remove_workspace(&self, name: &str) -> Option<Arc<Workspace>> {
        let gone = self.table.write().remove(name)?;
        self.recent.note(name, clock::now());
        self.changes.send_modify(|number| *number += 1);
        Some(gone)
    }

    /// Registers a service of `peer`, in the place of the one of the same name that it had.
    pub(crate) fn add_service(&self, peer: &Arc<Peer>, service: Service) -> Result<Added, AddError> {
        let workspace = self.workspace(peer.workspace()).ok_or(AddError::Gone)?;
        // only the server itself and its root user are in there
        match peer.workspace() {
            "public" => workspace.add_service(peer, service, (usize::MAX, usize::MAX), &Shelf::default()),
            _ => {
                let max = (self.max_services, self.max_services_of_all);
                workspace.add_service(peer, service, max, &peer.shelf)
            }
        }
    }
}

impl Table {
    fn insert(&mut self, workspace: Arc<Workspace>) {
        self.own(&workspace.info.read());
        self.workspaces.insert(workspace.name.clone(), workspace);
    }

    fn remove(&mut self, name: &str) -> Option<Arc<Workspace>> {
        let workspace = self.workspaces.remove(name)?;
        let info = workspace.info();
        self.disown(&info);
        if info.created > 0 {
            self.vanished.put(info.id, info.created, info.owners);
        }
        Some(workspace)
    }

    /// A workspace that somebody joins: whose it was, it still is.
    fn joined(&self, name: &str) -> WorkspaceInfo {
        let info = WorkspaceInfo::joined(name, None);
        match self.vanished.get(name) {
            Some((created, owners)) => WorkspaceInfo { created, owners: owners.to_vec(), ..info },
            None => info,
        }
    }

    fn own(&mut self, info: &WorkspaceInfo) {
        for owner in &info.owners {
            self.owned.entry(owner.clone()).or_default().insert(info.id.clone());
        }
    }

    fn disown(&mut self, info: &WorkspaceInfo) {
        for owner in &info.owners {
            let Some(names) = self.owned.get_mut(owner) else { continue };
            names.remove(&info.id);
            if names.is_empty() {
                self.owned.remove(owner);
            }
        }
    }
}

impl Workspace {
    fn new(info: WorkspaceInfo) -> Arc<Self> {
        let name = info.id.clone();
        Arc::new(Self {
            name,
            created: AtomicU64::new(info.created),
            info: RwLock::new(info),
            members: RwLock::default(),
            types: Mutex::default(),
            version: AtomicU64::new(0),
        })
    }

    /// What is told of it.
    #[must_use]
    pub fn info(&self) -> WorkspaceInfo {
        self.info.read().clone()
    }

    fn created(&self) -> u64 {
        self.created.load(Ordering::Relaxed)
    }

    /// Differs from an earlier one when something was told to have changed in between.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Its types of services by id.
    pub(crate) fn service_types(&self) -> MutexGuard<'_, Map> {
        self.types.lock()
    }

    /// Whether `user` owns it in person.
    #[must_use]
    pub fn is_owned_by(&self, user: &str) -> bool {
        self.info.read().owners.iter().any(|owner| owner == user)
    }

    /// The current connection of a client.
    #[must_use]
    pub fn client(&self, client: &str) -> Option<Arc<Peer>> {
        self.members.read().clients.get(client).cloned()
    }

    /// All connections.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Peer>> {
        self.members.read().clients.values().cloned().collect()
    }

    /// How many clients and services it has, the `built-in` ones apart.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let members = self.members.read();
        (members.clients.len(), members.count_services())
    }

    /// Connections that want to hear of events of type `kind`.
    #[must_use]
    pub fn subscribers(&self, kind: &str) -> Vec<Arc<Peer>> {
        self.members.read().clients.values().filter(|peer| peer.wants(kind)).cloned().collect()
    }

    /// The services that `uri` asks for, in order of registration.
    #[must_use]
    pub fn find(&self, uri: &ServiceUri) -> Vec<Arc<Service>> {
        let mut found = Vec::new();
        _ = self.members.read().visit(uri, |service| {
            found.push(Arc::clone(service));
            ControlFlow::Continue(())
        });
        found
    }

    /// Shows the services that `uri` asks for, in order of registration, until `look` has seen enough; those that are
    /// `open_only` to somebody who is no member. Nobody comes or goes meanwhile, so it must be quick.
    pub(crate) fn visit(
        &self,
        uri: &ServiceUri,
        open_only: bool,
        look: impl FnMut(&Arc<Service>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let members = self.members.read();
        if open_only { members.visit_open(uri, look) } else { members.visit(uri, look) }
    }

    fn is_idle(&self) -> bool {
        self.members.read().clients.is_empty() && !self.info.read().stored
    }

    fn attach(
        &self,
        peer: &Arc<Peer>,
        supersede: bool,
        max: usize,
    ) -> Result<Option<Arc<Peer>>, HandshakeError> {
        let mut members = self.members.write();
        match members.clients.get(&peer.client_id) {
            Some(_) if !supersede => Err(HandshakeError::taken(peer.address())),
            None if members.clients.len() >= max => {
                let text = format!("Too many clients in workspace {}: {max} are allowed", self.name);
                Err(HandshakeError::refused(text).by("max_clients_per_workspace"))
            }
            _ => Ok(members.clients.insert(peer.client_id.clone(), Arc::clone(peer))),
        }
    }

    fn detach(&self, peer: &Peer) -> Detached {
        let mut members = self.members.write();
        let current = members.clients.get(&peer.client_id).map(|current| current.generation);
        if current != Some(peer.generation) {
            return Detached::default();
        }
        let services = members.leave(&peer.client_id);
        Detached { was_current: true, services }
    }

    /// `max` is how many services its client may have, and all together.
    fn add_service(
        &self,
        peer: &Peer,
        service: Service,
        max: (usize, usize),
        shelf: &Shelf,
    ) -> Result<Added, AddError> {
        let mut members = self.members.write();
        if members.clients.get(&service.client).is_none_or(|current| current.generation != peer.generation) {
            return Err(AddError::Gone);
        }
        members.add(service, max, shelf)
    }

    /// Takes a service out.
    pub(crate) fn remove_service(&self, service: &Arc<Service>) -> bool {
        self.members.write().remove(service)
    }
}
