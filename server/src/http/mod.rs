//! HTTP: one file per surface. [`answer`] is the door every request comes through.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use tower::Service;
use tracing::Instrument;

use polyfn_core::ErrorKind;

use crate::observer::Answered;
use crate::state::State;
use crate::transport::{stream, websocket};

mod apps;
mod asking;
pub mod body;
pub mod call_error;
pub mod caller;
pub mod cors;
mod framing;
pub mod functions;
pub mod health;
mod login;
mod openapi;
pub mod pages;
pub mod problem;
mod raised;
pub mod services;
mod site;
pub(crate) mod strangers;
pub mod throttle;
mod trace;
pub mod turns;
mod weight;

pub use caller::Caller;
pub use problem::{Problem, failure};

/// The two ends of the connection a request came by; in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Where the request comes from.
    pub remote: SocketAddr,
    /// Where it was accepted.
    pub local: SocketAddr,
}

/// All routes of the server, without the base path.
///
/// Ordinary routes get CORS headers and compression. Functions answer for themselves and pass by the router, whose
/// layers cost more than all that the server does for a call: see [`functions::answer`].
pub fn router(state: &Arc<State>) -> Router {
    let ordinary = Router::new()
        .merge(pages::router())
        .route("/assets/config.json", get(pages::config))
        .route("/login", get(login::short))
        .route("/health", get(health::overview))
        .route("/health/liveness", get(health::liveness))
        .route("/health/readiness", get(health::readiness))
        .route("/metrics", get(health::metrics))
        .merge(services::router())
        .merge(openapi::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(cors::compression())
        .layer(cors::layer(&state.config.allow_origins));
    // routes that answer for themselves (functions, websockets) are merged here; a stream must not wait to be compressed
    let streams = Router::new()
        .route("/rpc", get(stream::open).post(stream::post))
        .merge(pages::live())
        .method_not_allowed_fallback(method_not_allowed)
        .layer(cors::layer(&state.config.allow_origins));
    let ordinary = ordinary.merge(Router::new().route("/ws", any(websocket::upgrade))).merge(streams);
    ordinary.with_state(Arc::clone(state))
}

/// Answers one request: takes the base path off, asks the router, counts, logs and tells the observer. What is logged
/// meanwhile bears the trace that the request belongs to.
pub async fn answer(state: Arc<State>, router: Router, request: Request) -> Response {
    let span = trace::span(request.headers());
    watched(state, router, request).instrument(span).await
}

async fn watched(state: Arc<State>, router: Router, request: Request) -> Response {
    let is_watched = state.config.access_log || state.observer.is_some();
    let watched =
        is_watched.then(|| (Instant::now(), request.method().clone(), request.uri().path().to_owned()));
    let response = match admitted(&state, request).await {
        Ok(request) => under_base(&state, router, request).await,
        Err(problem) => problem.into_response(),
    };
    state.metrics.count_response(response.status());
    if let Some((begun, method, path)) = watched {
        let answered = Answered { method, path, status: response.status().as_u16(), time: begun.elapsed() };
        tell(&state, answered);
    }
    response
}

fn tell(state: &State, answered: Answered) {
    if state.config.access_log {
        let Answered { method, path, status, .. } = &answered;
        // the query is left out, as it may carry a token
        tracing::info!(target: "polyfn::access", %method, path, status);
    }
    if let Some(observer) = &state.observer {
        observer(answered);
    }
}

/// The request, with a user who is known.
async fn admitted(state: &State, mut request: Request) -> Result<Request, Problem> {
    framing::check(request.version(), request.headers())?;
    let ends = request.extensions().get::<Ends>().copied();
    let from = ends.map(|ends| ends.remote.ip());
    let is_health = request.uri().path().starts_with("/health");
    if let Some(why) = state.blocks.find_address(from).filter(|_| !is_health) {
        return Err(Problem::new(ErrorKind::PermissionDenied, why));
    }
    if asking::is_needed(state) && !is_health {
        request = asking::ask(state, request).await?;
    }
    if let (Some(throttle), Some(from)) = (&state.throttle, from) {
        let now = state.started.elapsed();
        throttle.check(from, request.uri(), request.headers(), &state.tokens, &state.metrics, now)?;
    }
    Ok(request)
}

async fn under_base(state: &Arc<State>, mut router: Router, mut request: Request) -> Response {
    match without_base(&state.config.base_path, request.uri()) {
        Base::None => call(state, &mut router, request).await,
        Base::Taken(uri) => {
            *request.uri_mut() = uri;
            call(state, &mut router, request).await
        }
        Base::Root => redirect(&format!("{}/", state.config.base_path)),
        Base::Other => problem::detail(StatusCode::NOT_FOUND, "Not Found"),
    }
}

async fn call(state: &Arc<State>, router: &mut Router, request: Request<Body>) -> Response {
    if login::serves(state, request.uri().path()) {
        return login::answer(state, request).await;
    }
    if functions::Place::has(request.uri().path()) {
        return functions::answer(state, request).await;
    }
    let answered: Result<Response, Infallible> = Service::call(router, request).await;
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

enum Base {
    /// There is no base path.
    None,
    /// The URI without it.
    Taken(Uri),
    /// The base path itself, without a slash at its end.
    Root,
    /// A path outside.
    Other,
}

fn without_base(base: &str, uri: &Uri) -> Base {
    if base.is_empty() {
        return Base::None;
    }
    let whole = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
    match whole.strip_prefix(base) {
        Some(rest) if rest.starts_with('/') => rest.parse().map_or(Base::Other, Base::Taken),
        Some(rest) if rest.is_empty() || rest.starts_with('?') => Base::Root,
        _ => Base::Other,
    }
}

/// A redirect that keeps method and body.
#[must_use]
pub fn redirect(location: &str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

/// A redirect to the same place with a slash at the end, under which relative links work. The query stays.
pub(crate) fn redirect_to_folder(base: &str, uri: &Uri) -> Response {
    // browsers take a backslash for a slash, and `//host` for a place on another server
    let path = uri.path().replace('\\', "%5C");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    redirect(&format!("{base}{path}/{query}"))
}

async fn not_found(uri: Uri) -> Response {
    failure(StatusCode::NOT_FOUND, &format!("File not found: {}", uri.path().trim_start_matches('/')))
}

pub(crate) async fn method_not_allowed() -> Response {
    problem::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(base: &str, uri: &str) -> Option<String> {
        match without_base(base, &uri.parse().unwrap()) {
            Base::Taken(uri) => Some(uri.to_string()),
            Base::Root => Some("root".to_owned()),
            Base::None | Base::Other => None,
        }
    }

    #[test]
    fn the_base_path_is_taken_off_whole() {
        assert_eq!(taken("/hy", "/hy/a/b?c=d").as_deref(), Some("/a/b?c=d"));
        assert_eq!(taken("/hy", "/hy/").as_deref(), Some("/"));
        assert_eq!(taken("/hy", "/hy?x").as_deref(), Some("root"));
        assert_eq!(taken("/hy", "/hypha/x"), None);
        assert_eq!(taken("/hy", "/"), None);
    }
}
