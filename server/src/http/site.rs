//! Requests that a browser makes for a page of another site, with the cookies of this one.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};

use crate::auth::identify;
use crate::state::State;

/// Whether a page of another site asks with a token from a cookie: browsers let every page open websockets and send
/// forms to everywhere, and send the cookies along.
pub(in crate::http) fn is_another_by_cookie(state: &State, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN).filter(|_| identify::is_by_cookie(headers)) else { return false };
    let Ok(origin) = origin.to_str() else { return true };
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    let is_own = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .is_some_and(|host| host.eq_ignore_ascii_case(authority));
    !is_own && !state.config.allow_origins.iter().any(|known| known == origin)
}
