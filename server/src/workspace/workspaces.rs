//! Workspaces: create, delete, describe, list.

use futures_util::future::BoxFuture;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};
use tokio::sync::MutexGuard;

use crate::auth::{Permission, UserInfo};
use crate::clock;
use crate::hub::{Ending, Registry, WorkspaceInfo};
use crate::store::Store;
use crate::workspace::arguments::{count, denied, invalid};
use crate::workspace::manager::Call;
use crate::workspace::{keeping, life};

/// Bytes of a workspace's name.
const NAME_MAX: usize = 128;
/// Bytes of what is told of a workspace, as JSON.
const INFO_MAX: usize = 64 << 10;

/// `create_workspace`: for registered users.
pub(super) fn create(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let config = call.arguments.map(0, "config")?;
        let overwrite = call.arguments.flag(1);
        let user = &call.caller.user;
        if user.is_anonymous {
            return Err(denied("Exception: Only registered user can create workspace."));
        }
        let id = config.text("id").ok_or_else(|| invalid("ValueError: a workspace needs an 'id'"))?;
        check_name(id, user.has_role("admin"))?;
        let (store, registry) = (&call.manager.store, &call.hub.registry);
        let writing = writing_alone(store, registry, id, user).await;
        let known = registry.workspace(id).map(|workspace| workspace.info());
        check_free(&call, id, overwrite)?;
        let mut info = read(&config, id, &user.id)?;
        info.created = known.as_ref().map_or_else(clock::now, |known| known.created);
        info.stored = known.as_ref().is_some_and(|known| known.stored);
        if info.created > 0 {
            let reconnection = call.manager.tokens.reconnection_life_time();
            keeping::put_name(store, registry, &info, reconnection).await?;
        }
        keeping::put(store, registry, info.clone()).await?;
        drop(writing);
        let owners = format!("owners: {}", info.owners.join(", "));
        call.hub.audit().note(&user.id, "create_workspace", id, &owners);
        if known.is_some() {
            call.hub.emit(id, "workspace_changed", described(&info));
        } else {
            life::loaded(registry, &info, Some(&call.caller.workspace));
        }
        Ok(described(&info))
    })
}

/// [`Store::writing`], in a second in which nobody else has used the name: tokens that were made in it could not be
/// told from those of the new workspace.
async fn writing_alone<'a>(
    store: &'a Store,
    registry: &Registry,
    name: &str,
    user: &UserInfo,
) -> MutexGuard<'a, ()> {
    loop {
        let writing = store.writing().await;
        if !registry.is_recent(name, user) {
            return writing;
        }
        drop(writing);
        tokio::time::sleep(clock::to_next_second()).await;
    }
}

/// `delete_workspace`: ends its clients, and all that was kept of it.
pub(super) fn delete(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let name = call.arguments.text(0, "workspace")?;
        call.need(Permission::Admin, &name)?;
        if PERMANENT.contains(&name.as_str()) {
            return Err(denied(format!("PermissionError: Permission denied for workspace {name}")));
        }
        let (store, registry) = (&call.manager.store, &call.hub.registry);
        let writing = store.writing().await;
        let workspace = keeping::find(registry, &name)?;
        store.remove_workspace(&name).await?;
        call.hub.audit().note(&call.caller.user.id, "delete_workspace", &name, "");
        call.hub.emit(&name, "workspace_deleted", described(&workspace.info()));
        // without its row it goes with its last client; none of them is to make it again by coming back
        registry.put_workspace(WorkspaceInfo { stored: false, persistent: false, ..workspace.info() });
        for peer in workspace.clients() {
            peer.queue.close(Ending::told(1008, format!("Workspace {name} was deleted")));
        }
        if workspace.clients().is_empty() && registry.remove_workspace(&name).is_some() {
            life::unloaded(registry, &workspace.info());
        }
        drop(writing);
        tracing::info!(workspace = name, user = call.caller.user.id, "deleted a workspace");
        Ok(Value::Nil)
    })
}

/// Workspaces of the server's own.
const PERMANENT: [&str; 3] = ["public", "ws-anonymous", "ws-user-root"];

/// `get_workspace_info`: for those who may read the workspace. Others do not learn whether it exists.
pub(super) fn info(call: &mut Call) -> Result<Value> {
    let asked = call.arguments.optional_text(0, "workspace")?;
    let name = asked.unwrap_or_else(|| call.caller.workspace.clone());
    call.need(Permission::Read, &name)?;
    let workspace = keeping::find(&call.hub.registry, &name)?;
    let Value::Map(mut told) = described(&workspace.info()) else { return Ok(Value::Nil) };
    let types = workspace.service_types().clone();
    told.insert("service_types", Value::Map(types));
    Ok(Value::Map(told))
}

/// `list_workspaces`: those that the caller may read or owns.
pub(super) fn list(call: &mut Call) -> Result<Value> {
    let wanted = call.arguments.map(0, "match")?;
    let [offset, limit] = [(1, "offset", 0), (2, "limit", 256)]
        .map(|(at, name, default)| count(call.arguments.take(at), name, default));
    let (offset, limit) = (offset?, limit?.min(LISTED_MAX));
    let user = &call.caller.user;
    let mut infos: Vec<WorkspaceInfo> = Vec::new();
    for workspace in call.hub.registry.workspaces() {
        if user.may(Permission::Read, &workspace.name) || workspace.is_owned_by(&user.id) {
            infos.push(workspace.info());
        }
    }
    infos.sort_by(|one, other| one.id.cmp(&other.id));
    let short = infos.iter().map(|info| {
        let Value::Map(info) = described(info) else { return Map::new() };
        info.into_iter().filter(|(key, _)| LISTED.contains(&key.as_str())).collect::<Map>()
    });
    let fits = |info: &Map| wanted.iter().all(|(key, value)| info.get(key) == Some(value));
    Ok(Value::List(short.filter(fits).skip(offset).take(limit).map(Value::Map).collect()))
}

/// What is told of each workspace in a list.
const LISTED: [&str; 6] = ["id", "name", "description", "read_only", "persistent", "owners"];
/// Workspaces in one list.
const LISTED_MAX: usize = 1000;

/// The pattern of the reference: lower case letters, digits, hyphens and bars, with a hyphen unless root asks.
fn check_name(name: &str, admin: bool) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '|';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        let shown: String = name.chars().take(64).collect();
        return Err(invalid(format!(
            "ValueError: Invalid workspace name: {shown}, only lowercase letters, numbers and hyphens are allowed."
        )));
    }
    if !admin && !name.contains('-') {
        return Err(invalid(
            "ValueError: Workspace name must contain at least one hyphen (e.g. my-workspace).",
        ));
    }
    Ok(())
}

/// Whether the caller may make or replace a workspace of this name. A name that is not free answers the same whatever
/// the reason: that there is such a workspace, that one of a user is reserved, or that somebody has a right for it.
fn check_free(call: &Call, id: &str, overwrite: bool) -> Result<()> {
    let (user, registry) = (&call.caller.user, &call.hub.registry);
    let known = registry.workspace(id);
    let is_own = known.as_ref().is_some_and(|known| known.is_owned_by(&user.id));
    // a workspace named after a user is that user's, whether it exists now or not; so is that of all strangers
    let is_reserved = id == "ws-anonymous" || (id.starts_with("ws-user-") && id != user.own_workspace());
    let is_admin = user.has_role("admin");
    let is_free = match &known {
        Some(_) => overwrite && (is_own || is_admin),
        None => (is_admin || !is_reserved) && !registry.is_claimed(id, user),
    };
    if !is_free && overwrite {
        let text =
            format!("PermissionError: Permission denied: user {} cannot overwrite workspace {id}", user.id);
        return Err(denied(text));
    }
    if !is_free {
        return Err(Error::new(ErrorKind::Conflict, format!("RuntimeError: Workspace already exists: {id}")));
    }
    if known.is_some() {
        return Ok(());
    }
    let max = call.manager.limits.max_workspaces_per_user;
    if registry.count_owned_by(&user.id) >= max {
        let text = format!("ValueError: Too many workspaces: a user may own {max}");
        return Err(call.limited("max_workspaces_per_user", text));
    }
    Ok(())
}

fn read(config: &Map, id: &str, user: &str) -> Result<WorkspaceInfo> {
    let text = |key: &str| config.text(key).map(str::to_owned);
    let mut info = WorkspaceInfo::joined(id, Some(user));
    info.name = text("name").unwrap_or(info.name);
    (info.description, info.icon, info.docs) = (text("description"), text("icon"), text("docs"));
    info.covers = config.get("covers").and_then(Value::as_list).map(texts);
    info.read_only = config.get("read_only").and_then(Value::as_bool).unwrap_or(false);
    info.persistent = config.get("persistent").and_then(Value::as_bool).unwrap_or(false);
    let owners = texts(config.get("owners").and_then(Value::as_list).unwrap_or_default());
    info.owners.extend(owners.into_iter().filter(|owner| owner != user));
    if let Some(settings) = config.get("config").filter(|settings| settings.as_map().is_some()) {
        match settings.to_json().map_err(|error| invalid(format!("ValueError: {}", error.message())))? {
            serde_json::Value::Object(settings) => info.config = settings,
            _ => return Err(invalid("ValueError: the config of a workspace must be an object")),
        }
    }
    let size = serde_json::to_string(&info).map_or(0, |text| text.len());
    if size > INFO_MAX {
        return Err(Error::too_large(format!(
            "what is told of a workspace may have {INFO_MAX} bytes, this has {size}"
        )));
    }
    Ok(info)
}

fn texts(items: &[Value]) -> Vec<String> {
    items.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// The workspace in the shape of the protocol.
pub(crate) fn described(info: &WorkspaceInfo) -> Value {
    let json = serde_json::json!({
        "type": "workspace",
        "id": info.id,
        "name": info.name,
        "description": info.description,
        "persistent": info.persistent,
        "owners": info.owners,
        "read_only": info.read_only,
        "icon": info.icon,
        "covers": info.covers,
        "docs": info.docs,
        "service_types": {},
        "config": info.config,
        "status": {"ready": true, "errors": null},
    });
    Value::from(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for (name, admin, good) in [
            ("my-lab", false, true),
            ("lab", false, false),
            ("lab", true, true),
            ("My-lab", true, false),
            ("a/b-c", true, false),
            ("*", true, false),
            ("", true, false),
        ] {
            assert_eq!(check_name(name, admin).is_ok(), good, "{name}");
        }
    }
}
