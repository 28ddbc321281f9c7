//! What a client says of a service it registers, checked.

use std::sync::{Arc, OnceLock};

use polyfn_core::functions::Settings;
use polyfn_core::session::Visibility;
use polyfn_core::{Error, Map, Result, Value};
use tokio::sync::OnceCell;

use crate::hub::{Peer, Service, Told};
use crate::workspace::arguments::{denied, invalid};

/// Characters of a description.
const DESCRIPTION_MAX: usize = 1024;
/// Bytes of a service's name.
const NAME_MAX: usize = 255;
/// Bytes of all that is told of a service, encoded: it stays in memory as long as its client.
const SIZE_MAX: usize = 1 << 20;
/// Settings that the server sets, in the order in which they are shown.
const SHOWN: [&str; 8] = [
    "visibility",
    "require_context",
    "workspace",
    "flags",
    "singleton",
    "created_by",
    "service_embedding",
    "authorized_workspaces",
];

/// The service that `info` describes, offered by `peer`; `None` for one that stays between two clients.
///
/// # Errors
/// `permission_denied` for an id that is not the sender's, `invalid` for what makes no sense.
pub(super) fn read(mut info: Map, peer: &Peer) -> Result<Option<Service>> {
    let id = info.text("id").ok_or_else(|| invalid("AssertionError: Service id is required"))?.to_owned();
    let name = check_id(&id, peer)?;
    let given = match info.remove("config") {
        Some(Value::Map(config)) => config,
        None | Some(Value::Nil) => Map::new(),
        Some(_) => return Err(invalid("ValueError: the config of a service must be an object")),
    };
    if name.starts_with("_rintf_") || given.get("_local_only").and_then(Value::as_bool) == Some(true) {
        return Ok(None);
    }
    check_name(&name)?;
    let visibility = visibility(&given)?;
    let authorized = authorized(&given, visibility)?;
    if info.text("description").is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
        return Err(invalid(format!(
            "ValueError: the description of a service may have {DESCRIPTION_MAX} characters"
        )));
    }
    let app = text_or(&info, "app_id", "*");
    let kind = text_or(&info, "type", "generic");
    let settings =
        Settings::read(&kind, &given).map_err(|error| invalid(format!("ValueError: {}", error.message())))?;
    let singleton = given.get("singleton").and_then(Value::as_bool).unwrap_or(false);
    let info = shown(&name, info, &given, peer);
    let told = Told::new(info)?;
    check_size(&told)?;
    Ok(Some(Service {
        workspace: peer.workspace().to_owned(),
        client: peer.client_id.clone(),
        name,
        app,
        kind,
        visibility,
        authorized,
        singleton,
        told,
        kept: None,
        settings,
        calls: Arc::default(),
        routes: OnceLock::new(),
        number: 0,
        adopted: OnceCell::new(),
    }))
}

/// The service's name, from an id whose other parts must be the sender's own.
fn check_id(id: &str, peer: &Peer) -> Result<String> {
    let shown: String = id.chars().take(128).collect();
    let own = peer.workspace();
    let rest = match id.split_once('/') {
        Some((workspace, _)) if workspace != own && !workspace.contains(':') => {
            return Err(denied(format!(
                "PermissionError: Service ID workspace prefix '{workspace}' does not match the current workspace \
                 '{own}'. Cannot register services in other workspaces."
            )));
        }
        Some((workspace, rest)) if workspace == own => rest,
        _ => id,
    };
    // a client's id may hold colons, so it is taken off as it is known
    let name = rest.strip_prefix(&peer.client_id).and_then(|rest| rest.strip_prefix(':'));
    match name {
        Some(name) => Ok(name.to_owned()),
        None if rest.contains(':') => Err(denied(format!(
            "PermissionError: Service id '{shown}' names another client: register services as '{}:...'",
            peer.address()
        ))),
        None => Err(invalid(format!("AssertionError: Service id info must contain ':', found '{shown}'"))),
    }
}

fn check_name(name: &str) -> Result<()> {
    let bad = |c: char| "/:@*".contains(c) || c.is_control();
    if name.is_empty() || name.len() > NAME_MAX || name.contains(bad) {
        let shown: String = name.chars().take(64).collect();
        return Err(invalid(format!(
            "ValueError: Invalid service id: '{shown}', it may not be empty, longer than {NAME_MAX} bytes or hold \
             any of / : @ *"
        )));
    }
    Ok(())
}

fn check_size(told: &Told) -> Result<()> {
    let size = told.packed().len();
    if size > SIZE_MAX {
        return Err(Error::too_large(format!(
            "ValueError: the description of a service may have {SIZE_MAX} bytes with its schema, found {size}"
        )));
    }
    Ok(())
}

fn visibility(config: &Map) -> Result<Visibility> {
    let text = config.text("visibility").unwrap_or("protected");
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        invalid(format!("ValueError: Invalid visibility: '{shown}', use 'public', 'protected' or 'unlisted'"))
    })
}

fn authorized(config: &Map, visibility: Visibility) -> Result<Vec<String>> {
    let Some(Value::List(list)) = config.get("authorized_workspaces") else { return Ok(Vec::new()) };
    if visibility != Visibility::Protected {
        return Err(invalid(format!(
            "ValueError: authorized_workspaces can only be set when visibility is 'protected', got visibility='{}'",
            config.text("visibility").unwrap_or_default()
        )));
    }
    Ok(list.iter().filter_map(|item| item.as_text().map(str::to_owned)).collect())
}

fn text_or(info: &Map, key: &str, default: &str) -> String {
    info.text(key).filter(|text| !text.is_empty()).unwrap_or(default).to_owned()
}

/// The description as `list_services` shows it.
fn shown(name: &str, mut info: Map, given: &Map, peer: &Peer) -> Map {
    let mut config = Map::new();
    for key in SHOWN {
        let value = match key {
            "visibility" => Value::from(given.text(key).unwrap_or("protected")),
            "workspace" => Value::from(peer.workspace()),
            "created_by" => Value::Map(Map::from_iter([("id", peer.user.id.as_str())])),
            "flags" => given.get(key).cloned().unwrap_or_else(|| Value::List(Vec::new())),
            "require_context" | "singleton" => given.get(key).cloned().unwrap_or(Value::Bool(false)),
            "service_embedding" => Value::Nil,
            _ => given.get(key).cloned().unwrap_or_default(),
        };
        config.insert(key, value);
    }
    for (key, value) in given.iter().filter(|(key, _)| !SHOWN.contains(&key.as_str())) {
        config.insert(key.clone(), value.clone());
    }
    let mut out = Map::from_iter([("config", config)]);
    out.insert("id", format!("{}:{name}", peer.address()));
    out.insert("name", text_or(&info, "name", name));
    out.insert("type", text_or(&info, "type", "generic"));
    out.insert("description", info.remove("description").unwrap_or_default());
    out.insert("docs", info.remove("docs").unwrap_or_default());
    out.insert("app_id", text_or(&info, "app_id", "*"));
    out.insert("service_schema", info.remove("service_schema").unwrap_or_else(|| Value::Map(Map::new())));
    out
}
