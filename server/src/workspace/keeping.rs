//! What of workspaces is kept in the store: it is written there first, then it is true in memory.

use std::sync::Arc;

use polyfn_core::{Error, ErrorKind, Result, Value};

use crate::auth::grant::MAX_SECONDS;
use crate::clock;
use crate::hub::{Registry, Workspace, WorkspaceInfo};
use crate::store::names::Named;
use crate::store::{Store, StoreError};
use crate::workspace::manager::Call;

/// Puts the workspaces that stay into the registry, and forgets what belonged to others.
pub(crate) async fn load(store: &Store, registry: &Registry) -> std::result::Result<(), StoreError> {
    store.remove_orphans().await?;
    for Named { name, created, owners } in store.names(clock::now(), registry.max_names()).await? {
        registry.remember_name(name, created, owners);
    }
    for kept in store.workspaces().await? {
        let id = kept.info.id.clone();
        registry.put_workspace(kept.info);
        let Some(workspace) = registry.workspace(&id) else { continue };
        let mut types = workspace.service_types();
        for (id, definition) in kept.types {
            types.insert(id, Value::from(definition));
        }
    }
    Ok(())
}

/// Keeps a workspace as `change` makes it.
///
/// # Errors
/// When the store fails; then nothing has changed.
pub(super) async fn change(
    store: &Store,
    registry: &Registry,
    workspace: &Workspace,
    change: impl FnOnce(&mut WorkspaceInfo) -> Result<()>,
) -> Result<()> {
    let _writing = store.writing().await;
    let mut info = workspace.info();
    change(&mut info)?;
    put(store, registry, info).await
}

/// Keeps whose the name of a workspace is that somebody makes, as long as tokens from before may live. Hold
/// [`Store::writing`].
pub(super) async fn put_name(
    store: &Store,
    registry: &Registry,
    info: &WorkspaceInfo,
    reconnection: u64,
) -> Result<()> {
    let named = Named { name: info.id.clone(), created: info.created, owners: info.owners.clone() };
    let until = info.created.saturating_add(MAX_SECONDS).saturating_add(reconnection);
    Ok(store.put_name(&named, until, registry.max_names()).await?)
}

/// Writes `info` to the store if the workspace is to stay, then to the registry. Hold [`Store::writing`].
pub(super) async fn put(store: &Store, registry: &Registry, mut info: WorkspaceInfo) -> Result<()> {
    if info.persistent {
        store.put_workspace(&info).await?;
        info.stored = true;
    } else if info.stored {
        store.remove_workspace(&info.id).await?;
        info.stored = false;
    }
    registry.put_workspace(info);
    Ok(())
}

/// Sees to it that the store has a workspace to which something is about to be added, if it is one that stays.
pub(super) async fn ensure(store: &Store, registry: &Registry, workspace: &Workspace) -> Result<()> {
    let info = workspace.info();
    if !info.persistent || info.stored {
        return Ok(());
    }
    change(store, registry, workspace, |_| Ok(())).await
}

/// Whether so many bytes more may be kept of a workspace. Hold [`Store::writing`].
///
/// # Errors
/// `overloaded` when they may not.
pub(super) async fn check_room(call: &Call, workspace: &str, more: usize) -> Result<()> {
    let max = call.manager.limits.max_stored_bytes_per_workspace;
    let held = call.manager.store.stored_bytes(workspace).await?;
    if held.saturating_add(more) <= max {
        return check_room_of_owners(call, workspace, more).await;
    }
    let text = format!(
        "ValueError: Too much is kept of workspace {workspace}: {held} of {max} bytes are used, {more} more were to come"
    );
    Err(call.limited("max_stored_bytes_per_workspace", text))
}

/// The same for all workspaces of each of its owners.
async fn check_room_of_owners(call: &Call, workspace: &str, more: usize) -> Result<()> {
    let max = call.manager.limits.max_stored_bytes_per_user;
    let known = call.hub.registry.workspace(workspace).filter(|_| max > 0);
    for owner in known.map(|known| known.info().owners).unwrap_or_default() {
        let mut held = 0_usize;
        for name in call.hub.registry.owned_by(&owner) {
            held = held.saturating_add(call.manager.store.stored_bytes(&name).await?);
        }
        if held.saturating_add(more) > max {
            let text = format!(
                "ValueError: Too much is kept of the workspaces of one owner of {workspace}: {held} of {max} bytes are \
                 used, {more} more were to come"
            );
            return Err(call.limited("max_stored_bytes_per_user", text));
        }
    }
    Ok(())
}

/// The workspace of this name.
///
/// # Errors
/// `not_found`.
pub(super) fn find(registry: &Registry, name: &str) -> Result<Arc<Workspace>> {
    registry.workspace(name).ok_or_else(|| {
        let shown: String = name.chars().take(64).collect();
        Error::new(ErrorKind::NotFound, format!("KeyError: 'Workspace {shown} not found'"))
    })
}

/// Forgets in the store what belonged to a workspace that nobody can come back to.
pub(super) fn forget(store: &Store, workspace: WorkspaceInfo, registry: &Arc<Registry>) {
    if workspace.persistent {
        return;
    }
    // without a runtime the server is ending anyway, and the next one forgets it at its start
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    let (store, registry) = (store.clone(), Arc::clone(registry));
    runtime.spawn(async move {
        let _writing = store.writing().await;
        if registry.workspace(&workspace.id).is_some() {
            return;
        }
        let removed = store.remove_workspace(&workspace.id).await;
        // at its end the server has closed the database: again the next one forgets it
        if let Err(error) = removed
            && !error.is_of_the_end()
        {
            tracing::error!(%error, workspace = workspace.id, "what belonged to a workspace is still kept");
        }
    });
}
