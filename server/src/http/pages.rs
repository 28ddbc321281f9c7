//! The landing page, and the settings that web pages ask for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::caller::Caller;
use crate::state::{State, VERSION};

/// Everything the page needs is in it: no script, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// `GET /`: what this is and how to connect.
pub async fn landing(Extract(state): Extract<Arc<State>>) -> Response {
    let page = include_str!("landing.html")
        .replace("{version}", VERSION)
        .replace("{server_id}", &escape(&state.server_id))
        .replace("{url}", &escape(&state.public_base_url));
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Html(page)).into_response()
}

/// `GET /assets/config.json`: the public values of this server, and who asks.
pub async fn config(Extract(state): Extract<Arc<State>>, caller: Caller) -> Json<Value> {
    let issuer = &state.config.issuer;
    Json(json!({
        "user": &*caller.user,
        "server_id": state.server_id,
        "hypha_version": VERSION,
        "public_base_url": state.public_base_url,
        "local_base_url": state.local_base_url,
        "auth0_client_id": issuer.client_id,
        "auth0_domain": issuer.domain,
        "auth0_audience": issuer.audience,
        "auth0_issuer": issuer.issuer,
        "login_service_url": format!("{}/public/services/hypha-login", state.public_base_url),
    }))
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_does_not_become_markup() {
        assert_eq!(escape(r#"<a href="x">&"#), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
