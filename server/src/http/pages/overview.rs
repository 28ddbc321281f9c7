//! What runs here, as far as the caller may see it: what the page shows, in JSON and as events.
//!
//! | route | right |
//! | --- | --- |
//! | `GET /overview`, `/overview/events` | none; workspaces need `read` to be named |
//! | `GET /{workspace}/overview`, `.../overview/events` | none; clients need `read`, services are those that may be listed |

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use polyfn_core::{Map, Value};
use serde_json::{Value as Told, json};

use crate::auth::Permission;
use crate::http::caller::Caller;
use crate::http::services;
use crate::hub::{self, Peer, Workspace};
use crate::state::{State, VERSION};

/// Services, clients and workspaces that are told of at once; how many there are is told beside.
const TOLD_MAX: usize = 200;
/// Functions of one service that are named.
const FUNCTIONS_MAX: usize = 100;
/// Objects in objects that are looked into for functions.
const DEPTH_MAX: usize = 8;

/// `GET /overview`.
pub(super) async fn of_server(Extract(state): Extract<Arc<State>>, caller: Caller) -> Response {
    private(Json(server(&state, &caller)).into_response())
}

/// `GET /{workspace}/overview`.
pub(super) async fn of_workspace(
    Extract(state): Extract<Arc<State>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Response {
    private(Json(workspace(&state, &caller, &name).await).into_response())
}

/// What is told depends on who asks, and changes.
pub(super) fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    response
}

/// The overview of a workspace, or of the server, for whoever sent `headers`.
pub(super) async fn told(state: &Arc<State>, headers: &HeaderMap, name: Option<&str>) -> Option<Told> {
    let caller = Caller::from_headers(state, headers).ok()?;
    Some(match name {
        Some(name) => workspace(state, &caller, name).await,
        None => server(state, &caller),
    })
}

fn about(state: &State, caller: &Caller) -> (Told, Told) {
    let server = json!({"id": state.server_id, "version": VERSION, "url": state.public_base_url});
    let user = json!({
        "id": caller.user.id,
        "email": caller.user.email,
        "signed_in": !caller.is_stranger(),
        "workspace": caller.workspace(""),
    });
    (server, user)
}

/// The workspaces that the caller may read, the public one, and how the server does.
fn server(state: &State, caller: &Caller) -> Told {
    let (about, user) = about(state, caller);
    let mut seen: Vec<Arc<Workspace>> = state.hub.registry.workspaces();
    seen.retain(|workspace| workspace.name == "public" || caller.may(Permission::Read, &workspace.name));
    seen.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let total = seen.len();
    let workspaces: Vec<Told> = seen.iter().take(TOLD_MAX).map(|workspace| of_one(workspace)).collect();
    json!({"server": about, "user": user, "workspaces": workspaces, "workspaces_total": total})
}

fn of_one(workspace: &Workspace) -> Told {
    let info = workspace.info();
    let (clients, services) = workspace.counts();
    json!({
        "id": info.id,
        "name": info.name,
        "description": info.description,
        "clients": clients,
        "services": services,
    })
}

async fn workspace(state: &Arc<State>, caller: &Caller, name: &str) -> Told {
    let (about, user) = about(state, caller);
    let found = state.hub.registry.workspace(name);
    let reads = caller.may(Permission::Read, name);
    let (services, services_total) = services(state, caller, name).await;
    let mut told = json!({
        "server": about,
        "user": user,
        "workspace": {"id": name, "reads": reads},
        "services": services,
        "services_total": services_total,
    });
    if let Some(found) = found.filter(|_| reads) {
        let info = found.info();
        told["workspace"]["name"] = info.name.into();
        told["workspace"]["description"] = info.description.into();
        let mut peers = found.clients();
        peers.sort_unstable_by(|one, other| one.client_id.cmp(&other.client_id));
        told["clients_total"] = peers.len().into();
        told["clients"] = peers.iter().take(TOLD_MAX).map(|peer| client(state, peer)).collect();
    }
    told
}

fn client(state: &State, peer: &Peer) -> Told {
    let load = peer.load(state.hub.elapsed());
    json!({
        "id": peer.client_id,
        "user": {"id": peer.user.id, "email": peer.user.email},
        "messages_per_minute": load.messages_per_minute,
        "calls": load.calls,
    })
}

/// The services that `list_services` names, the shown ones in the order of their names.
async fn services(state: &Arc<State>, caller: &Caller, name: &str) -> (Vec<Told>, usize) {
    let asks = hub::Caller::new(Arc::clone(&caller.user), caller.workspace(name));
    let query = Map::from_iter([("workspace", name)]);
    let listed = services::manage(state, asks, "list_services", vec![Value::Map(query)], Map::new()).await;
    let Ok(Value::List(listed)) = listed else { return (Vec::new(), 0) };
    let mut infos: Vec<Map> = listed
        .into_iter()
        .filter_map(|info| if let Value::Map(info) = info { Some(info) } else { None })
        .filter(|info| info.text("type") != Some("built-in"))
        .collect();
    infos.sort_unstable_by(|one, other| one.text("id").cmp(&other.text("id")));
    let total = infos.len();
    (infos.iter().take(TOLD_MAX).map(service).collect(), total)
}

fn service(info: &Map) -> Told {
    let text = |key: &str| info.text(key).unwrap_or_default().to_owned();
    let id = text("id");
    let short = id.split_once('/').map_or(id.as_str(), |(_, short)| short);
    let mut functions = Vec::new();
    if let Some(schema) = info.get("service_schema").and_then(Value::as_map) {
        collect(schema, "", DEPTH_MAX, &mut functions);
    }
    let config = info.get("config").and_then(Value::as_map);
    json!({
        "id": short,
        "name": text("name"),
        "type": text("type"),
        "description": info.text("description"),
        "visibility": config.and_then(|config| config.text("visibility")),
        "functions": functions,
    })
}

/// The dotted names of the functions in a schema.
fn collect(schema: &Map, prefix: &str, depth: usize, out: &mut Vec<String>) {
    for (key, value) in schema.iter() {
        let Some(member) = value.as_map() else { continue };
        if out.len() >= FUNCTIONS_MAX {
            return;
        }
        if member.text("type") == Some("function") {
            out.push(format!("{prefix}{key}"));
        } else if member.text("type").is_none() && depth > 0 {
            collect(member, &format!("{prefix}{key}."), depth - 1, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_with_dots() {
        let schema = json!({
            "add": {"type": "function"},
            "answer": {"type": "number"},
            "nest": {"deep": {"hello": {"type": "function"}}},
        });
        let Value::Map(schema) = Value::from(schema) else { panic!("no map") };
        let mut names = Vec::new();
        collect(&schema, "", DEPTH_MAX, &mut names);
        assert_eq!(names, ["add", "nest.deep.hello"]);
    }
}
