//! The page that shows what runs here, and the settings that web pages ask for.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::http::caller::Caller;
use crate::state::{State, VERSION};

mod live;
mod overview;
mod shell;

/// The page, and what it shows.
pub(super) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/", get(shell::root))
        .route("/{workspace}", get(shell::without_slash))
        .route("/{workspace}/", get(shell::workspace))
        .route("/assets/page/{file}", get(shell::asset))
        .route("/overview", get(overview::of_server))
        .route("/{workspace}/overview", get(overview::of_workspace))
}

/// What the page is told as it happens. Must not wait to be compressed.
pub(super) fn live() -> Router<Arc<State>> {
    Router::new()
        .route("/overview/events", get(live::of_server))
        .route("/{workspace}/overview/events", get(live::of_workspace))
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
