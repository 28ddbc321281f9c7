//! Types of services: what a service of a type has to offer, told by whoever makes the type.

use futures_util::future::BoxFuture;
use polyfn_core::{Error, ErrorKind, Map, Result, Value};

use crate::auth::Permission;
use crate::hub::Workspace;
use crate::workspace::arguments::{denied, invalid};
use crate::workspace::keeping;
use crate::workspace::manager::Call;

/// Bytes of one type, encoded.
const SIZE_MAX: usize = 64 << 10;
/// Bytes of a type's id.
const ID_MAX: usize = 128;

/// `register_service_type`.
pub(super) fn register(mut call: Call) -> BoxFuture<'static, Result<Value>> {
    Box::pin(async move {
        let (id, kind) = read(&mut call)?;
        let own = &call.caller.workspace;
        let (store, registry) = (&call.manager.store, &call.hub.registry);
        let workspace = registry.workspace(own).ok_or_else(|| not_found(&id))?;
        keeping::ensure(store, registry, &workspace).await?;
        let _writing = store.writing().await;
        check_place(&call, &workspace, &id)?;
        if workspace.info().stored {
            let json = kind.to_json().map_err(|error| invalid(format!("TypeError: {}", error.message())))?;
            keeping::check_room(&call, own, id.len() + json.to_string().len()).await?;
            store.put_service_type(own, &id, &json).await?;
        }
        workspace.service_types().insert(id, kind.clone());
        Ok(kind)
    })
}

/// The id and the type.
fn read(call: &mut Call) -> Result<(String, Value)> {
    let mut kind = call.arguments.map(0, "type_info")?;
    let own = call.caller.workspace.clone();
    let id = match kind.text("id").map(|id| id.split_once('/').unwrap_or((own.as_str(), id))) {
        Some((workspace, _)) if workspace != own => {
            return Err(denied(format!(
                "AssertionError: Workspace mismatch: {workspace} != {own}, you can only register service type \
                 in your own workspace."
            )));
        }
        Some((_, id)) if !id.is_empty() && id.len() <= ID_MAX => id.to_owned(),
        _ => return Err(invalid(format!("ValueError: a service type needs an 'id' of 1 to {ID_MAX} bytes"))),
    };
    if kind.get("definition").and_then(Value::as_map).is_none() {
        return Err(invalid("ValueError: a service type needs a 'definition', an object"));
    }
    if kind.text("name").is_none() {
        kind.insert("name", id.as_str());
    }
    kind.insert("id", id.as_str());
    let size = Value::Map(kind.clone()).to_msgpack()?.len();
    if size > SIZE_MAX {
        return Err(Error::too_large(format!(
            "a service type may have {SIZE_MAX} bytes, this one has {size}"
        )));
    }
    Ok((id, Value::Map(kind)))
}

/// Whether there is a place for a new type of this id.
fn check_place(call: &Call, workspace: &Workspace, id: &str) -> Result<()> {
    let max = call.manager.limits.max_service_types;
    let types = workspace.service_types();
    if types.contains(id) {
        let text = format!("KeyError: 'Service type already exists: {id}'");
        return Err(Error::new(ErrorKind::Conflict, text));
    }
    if types.len() >= max {
        let text = format!("ValueError: Too many service types: a workspace may have {max}");
        return Err(call.limited("max_service_types", text));
    }
    Ok(())
}

/// `get_service_type`.
pub(super) fn get(call: &mut Call) -> Result<Value> {
    let asked = call.arguments.text(0, "type_id")?;
    let (workspace, id) = asked.split_once('/').unwrap_or((&call.caller.workspace, &asked));
    let found =
        call.hub.registry.workspace(workspace).and_then(|known| match known.service_types().get(id) {
            Some(Value::Map(kind)) => Some(kind.clone()),
            _ => None,
        });
    let may_read = call.caller.permission(workspace) >= Permission::Read;
    let mut kind = found.filter(|kind| may_read || is_public(kind)).ok_or_else(|| not_found(id))?;
    kind.insert("id", format!("{workspace}/{id}"));
    Ok(Value::Map(kind))
}

/// `list_service_types`.
pub(super) fn list(call: &mut Call) -> Result<Value> {
    let asked = call.arguments.optional_text(0, "workspace")?;
    let name = asked.unwrap_or_else(|| call.caller.workspace.clone());
    let may_read = call.caller.permission(&name) >= Permission::Read;
    let Some(workspace) = call.hub.registry.workspace(&name) else { return Ok(Value::List(Vec::new())) };
    let types = workspace.service_types();
    let told = types.iter().map(|(_, kind)| kind.clone());
    Ok(Value::List(told.filter(|kind| may_read || kind.as_map().is_some_and(is_public)).collect()))
}

fn is_public(kind: &Map) -> bool {
    let config = kind.get("config").and_then(Value::as_map);
    config.and_then(|config| config.text("visibility")) == Some("public")
}

/// Whoever may not see a type does not learn that there is one.
fn not_found(id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("KeyError: 'Service type not found: {id}'"))
}
