//! OpenAPI 3.1: what services can be asked over HTTP, what this server can be asked, and pages to try both.
//!
//! | route | right |
//! | --- | --- |
//! | `GET /{workspace}/services/{service}/openapi.json`, `.../docs` | as to call the service |
//! | `GET /openapi.json`, `/api-docs`, `/assets/swagger-ui/{file}` | none |

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Path, State as Extract};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value as Json, json};
use utoipa_swagger_ui::Config;

use crate::http::failure;
use crate::state::State;

mod functions;
mod own;
mod service;

pub(super) use service::describe;

/// The file of a service that describes it.
pub(super) const DOCUMENT: &str = "openapi.json";
/// The page of a service to try it.
pub(super) const PAGE: &str = "docs";

/// Scripts come from this server only; the page sends requests to it.
const POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The routes that are no service's.
pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/openapi.json", get(own_document))
        .route("/api-docs", get(own_page))
        .route("/assets/swagger-ui/{file}", get(viewer))
}

async fn own_document(Extract(state): Extract<Arc<State>>) -> Response {
    document(&own::describe(&state.public_base_url))
}

async fn own_page(Extract(state): Extract<Arc<State>>) -> Response {
    page(&state.config.base_path, "polyfn", &format!("{}/openapi.json", state.config.base_path))
}

/// `GET /assets/swagger-ui/{file}`: the viewer, part of the program.
async fn viewer(Path(file): Path<String>) -> Response {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| Arc::new(Config::from("openapi.json")));
    if file == SCRIPT {
        return ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("openapi/page.js"))
            .into_response();
    }
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(config)).ok().flatten();
    let Some(found) = found.filter(|_| !file.is_empty()) else {
        return failure(StatusCode::NOT_FOUND, &format!("File not found: assets/swagger-ui/{file}"));
    };
    let mut response = found.bytes.into_owned().into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&found.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// Our own script beside the viewer's: scripts inside of pages are not allowed.
const SCRIPT: &str = "polyfn.js";

/// A description as an answer.
pub(super) fn document(description: &Json) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], description.to_string()).into_response()
}

/// A page that shows the description at `url`.
pub(super) fn page(base: &str, title: &str, url: &str) -> Response {
    let page = include_str!("openapi/page.html")
        .replace("{assets}", &format!("{}/assets/swagger-ui", escape(base)))
        .replace("{title}", &escape(title))
        .replace("{url}", &escape(url));
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Html(page)).into_response()
}

fn escape(text: &str) -> String {
    crate::http::pages::escape(text)
}

/// What all descriptions have in common.
fn frame(title: &str, version: &str, description: &str, server: &str, paths: Map<String, Json>) -> Json {
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "servers": [{"url": server}],
        "security": [{}, {"token": []}],
        "paths": Json::Object(paths),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of this server."},
            },
            "schemas": {"Failure": failure_schema()},
            "responses": {"Failure": {
                "description": "What went wrong.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}},
            }},
        },
    })
}

fn failure_schema() -> Json {
    json!({
        "type": "object",
        "required": ["detail"],
        "properties": {"success": {"const": false}, "detail": {"type": "string"}},
    })
}

/// The answers that everything may give beside the one that is wanted.
fn with_failures(wanted: &Json) -> Json {
    json!({"200": wanted, "default": {"$ref": "#/components/responses/Failure"}})
}
