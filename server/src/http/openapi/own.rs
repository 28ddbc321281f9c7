//! The description of the server's own routes.

use serde_json::{Map, Value as Json, json};

use super::{frame, with_failures};
use crate::state::VERSION;

/// Method, path, what it is, and the content type of its answer.
const ROUTES: [(&str, &str, &str, &str); 22] = [
    ("get", "/", "A page that shows what runs here.", "text/html"),
    ("get", "/overview", "The workspaces that the caller may see.", "application/json"),
    ("get", "/overview/events", "The same after each change.", "text/event-stream"),
    ("get", "/{workspace}/", "A page that shows what runs in a workspace.", "text/html"),
    ("get", "/{workspace}/overview", "The services and clients that the caller may see.", "application/json"),
    ("get", "/{workspace}/overview/events", "The same after each change.", "text/event-stream"),
    ("get", "/health", "How the server does.", "application/json"),
    ("get", "/health/liveness", "Whether the server is alive.", "application/json"),
    ("get", "/health/readiness", "Whether the server takes requests.", "application/json"),
    ("get", "/metrics", "Measurements, for Prometheus.", "text/plain"),
    ("get", "/assets/config.json", "The public settings of the server, and who asks.", "application/json"),
    ("get", "/{workspace}/info", "About a workspace; needs the right to read it.", "application/json"),
    ("get", "/{workspace}/services/", "The services that the caller may see.", "application/json"),
    ("get", "/{workspace}/services/{service}", "About a service.", "application/json"),
    ("get", "/{workspace}/services/{service}/openapi.json", "A service in OpenAPI.", "application/json"),
    ("get", "/{workspace}/services/{service}/docs", "A page to try a service.", "text/html"),
    (
        "get",
        "/{workspace}/services/{service}/{function}",
        "Calls a function, with arguments from the query.",
        "application/json",
    ),
    (
        "post",
        "/{workspace}/services/{service}/{function}",
        "Calls a function, with arguments from the body.",
        "application/json",
    ),
    (
        "get",
        "/{workspace}/apps/{service}/{path}",
        "Asks a function or a web application; all methods.",
        "*/*",
    ),
    ("get", "/rpc", "Opens a stream of messages (protocol section 16).", "application/msgpack"),
    ("post", "/rpc", "Sends a message (protocol section 16).", "application/json"),
    ("get", "/ws", "The websocket of clients (protocol section 3).", "application/json"),
];

/// Describes the server that is reached at `server`.
pub(super) fn describe(server: &str) -> Json {
    let mut paths = Map::new();
    for (method, path, summary, kind) in ROUTES {
        let entry = paths.entry(path).or_insert_with(|| json!({"parameters": parameters(path)}));
        let mut operation = json!({
            "operationId": format!("{method} {path}"),
            "summary": summary,
            "responses": with_failures(&json!({"description": "As said.", "content": {kind: {}}})),
        });
        if method == "post" {
            operation["requestBody"] =
                json!({"content": {"application/json": {}, "application/msgpack": {}}});
        }
        entry[method] = operation;
    }
    frame("polyfn", VERSION, "Functions of clients, by RPC and over HTTP.", server, paths)
}

/// The names in braces.
fn parameters(path: &str) -> Json {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect()
}
