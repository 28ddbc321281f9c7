//! The page itself: one document for `/` and all workspaces, one style sheet, one script. What it shows comes from
//! [`super::overview`].

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::escape;
use crate::http::{failure, redirect_to_folder};
use crate::state::{State, VERSION};

/// Everything comes from this server; nothing in the page itself runs or styles.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const SECONDS_KEPT: &str = "public, max-age=300";

/// `GET /`.
pub(super) async fn root(Extract(state): Extract<Arc<State>>, headers: HeaderMap) -> Response {
    page(&state, &headers)
}

/// `GET /{workspace}`: to where relative links work.
pub(super) async fn without_slash(
    Extract(state): Extract<Arc<State>>,
    Path(name): Path<String>,
    uri: Uri,
) -> Response {
    if is_workspace(&name) { redirect_to_folder(&state.config.base_path, &uri) } else { missing(&uri) }
}

/// `GET /{workspace}/`: whether there is such a workspace is not told here.
pub(super) async fn workspace(
    Extract(state): Extract<Arc<State>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    if is_workspace(&name) { page(&state, &headers) } else { missing(&uri) }
}

/// `GET /assets/page/{file}`.
pub(super) async fn asset(Path(file): Path<String>, headers: HeaderMap, uri: Uri) -> Response {
    let (kind, content) = match file.as_str() {
        "page.css" => ("text/css; charset=utf-8", include_str!("page.css")),
        "page.js" => ("text/javascript; charset=utf-8", include_str!("page.js")),
        "view.js" => ("text/javascript; charset=utf-8", include_str!("view.js")),
        "icon.svg" => ("image/svg+xml", include_str!("icon.svg")),
        _ => return missing(&uri),
    };
    tagged(&headers, kind, content.to_owned())
}

fn page(state: &State, headers: &HeaderMap) -> Response {
    let page = include_str!("page.html")
        .replace("{base}", &escape(&state.config.base_path))
        .replace("{version}", VERSION)
        .replace("{server_id}", &escape(&state.server_id))
        .replace("{url}", &escape(&state.public_base_url));
    let mut response = tagged(headers, "text/html; charset=utf-8", page);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// The content with a tag by which a browser asks whether it has changed.
fn tagged(asked: &HeaderMap, kind: &'static str, content: String) -> Response {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let known = known.is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let headers = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, SECONDS_KEPT.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, kind)], content).into_response()
}

/// Whether a word of a URL may be a workspace's name, and is no file.
fn is_workspace(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "-_|".contains(c);
    (name == "public" || name.contains('-')) && name.len() <= 255 && name.chars().all(plain)
}

fn missing(uri: &Uri) -> Response {
    failure(StatusCode::NOT_FOUND, &format!("File not found: {}", uri.path().trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_workspaces_are_told_from_files() {
        for name in ["ws-user-ann", "public", "my-lab", "a-b|c", "ws-user-google-oauth2|1"] {
            assert!(is_workspace(name), "{name}");
        }
        for name in ["favicon.ico", "robots.txt", "x", "a-b/c", "a-b.html", "..", ""] {
            assert!(!is_workspace(name), "{name}");
        }
    }
}
