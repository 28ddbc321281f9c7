//! Who asks, where somebody else has to say so: before anything is done with a request.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};

use crate::auth::{TokenError, identify};
use crate::http::caller::refused;
use crate::http::problem::Problem;
use crate::state::State;

/// Whether there is anybody to ask at all.
pub(super) fn is_needed(state: &State) -> bool {
    state.tokens.is_foreign_accepted() || state.auth.finds_tokens()
}

/// The request, after those were asked who know its token: an auth service where to find it, and then whoever can check
/// it.
///
/// # Errors
/// 503 when nobody could be asked in time, 401 when the auth service refuses the request.
pub(super) async fn ask(state: &State, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let mut found = identify::credentials(&parts.headers);
    if !matches!(found, Ok(Some(_))) && state.auth.finds_tokens() && !is_door(state, parts.uri.path()) {
        let token = state.auth.token_of(&parts).await.map_err(|error| refused(&error))?;
        if let Some(token) = token {
            put(&mut parts, &token)?;
            found = Ok(Some(token));
        }
    }
    if let Ok(Some(token)) = found {
        state.tokens.prepare(&token).await;
    }
    Ok(Request::from_parts(parts, body))
}

/// Whether a request needs no token since its connection brings one later: also the auth service itself comes back by
/// it, when it can be asked nothing.
fn is_door(state: &State, path: &str) -> bool {
    path.strip_prefix(&*state.config.base_path) == Some("/ws")
}

/// Puts a token where all others look for it. Of a request with cookies it may be one that the browser sends by itself,
/// so it counts as such: pages of others must not act with it.
fn put(parts: &mut Parts, token: &str) -> Result<(), Problem> {
    let bad = || refused(&TokenError::Claim("the login service found a token that is none".to_owned()));
    let is_plain = |c: char| c.is_ascii_graphic() && !";,\"\\".contains(c);
    if !token.chars().all(is_plain) {
        return Err(bad());
    }
    parts.headers.remove(header::AUTHORIZATION);
    let (name, text) = match parts.headers.get(header::COOKIE).map(HeaderValue::to_str) {
        Some(Ok(cookies)) => (header::COOKIE, format!("access_token={token}; {cookies}")),
        Some(Err(_)) => (header::COOKIE, format!("access_token={token}")),
        None => (header::AUTHORIZATION, format!("Bearer {token}")),
    };
    parts.headers.insert(name, HeaderValue::from_str(&text).map_err(|_| bad())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(cookie: Option<&str>) -> Parts {
        let mut builder = Request::builder().header("authorization", "Digest abc");
        if let Some(cookie) = cookie {
            builder = builder.header("cookie", cookie);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_token_of_a_request_with_cookies_counts_as_one() {
        for (cookie, by_cookie) in [(None, false), (Some("session=5"), true)] {
            let mut parts = parts(cookie);
            put(&mut parts, "T.T.T").unwrap();
            assert_eq!(identify::credentials(&parts.headers), Ok(Some("T.T.T".to_owned())));
            assert_eq!(identify::is_by_cookie(&parts.headers), by_cookie);
        }
        assert!(put(&mut parts(None), "a b").is_err() && put(&mut parts(None), "a;b=c").is_err());
    }
}
