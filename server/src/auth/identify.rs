//! Who asks over HTTP: the token in the headers, never in the URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::auth::scope::Permission;
use crate::auth::token::{TokenError, Tokens};
use crate::auth::user::UserInfo;

/// The cookie in which a browser keeps its token.
const COOKIE_NAME: &str = "access_token";

/// The token of a request: `Authorization` as `Bearer T`, as `T` or as `Basic base64(user:T)`, else the cookie
/// `access_token`.
///
/// # Errors
/// [`TokenError::Header`] when the header is there and cannot be read: it must not turn into an anonymous call.
pub fn credentials(headers: &HeaderMap) -> Result<Option<String>, TokenError> {
    match headers.get(AUTHORIZATION) {
        Some(value) => {
            let value = value.to_str().map_err(|_| TokenError::Header)?.trim();
            if value.is_empty() { Ok(cookie(headers)) } else { authorization(value).map(Some) }
        }
        None => Ok(cookie(headers)),
    }
}

/// Whether the token of a request is one that the browser sends by itself, whoever made the page that asks.
#[must_use]
pub fn is_by_cookie(headers: &HeaderMap) -> bool {
    headers.get(AUTHORIZATION).is_none_or(HeaderValue::is_empty) && cookie(headers).is_some()
}

/// The user of a request; `None` for one without a token. `now` is in seconds since 1970.
///
/// # Errors
/// Says why the token is refused.
pub fn user(headers: &HeaderMap, tokens: &Tokens, now: u64) -> Result<Option<UserInfo>, TokenError> {
    credentials(headers)?.map(|token| tokens.bearer(&token, now)).transpose()
}

/// The workspace in which `user` acts when asking for something in `asked`: that of the token, else the one asked
/// for when the user may read it, else the user's own.
#[must_use]
pub fn acting_workspace(user: &UserInfo, asked: Option<&str>) -> String {
    let readable = || asked.filter(|asked| !user.is_anonymous && user.may(Permission::Read, asked));
    user.current_workspace.as_deref().or_else(readable).map_or_else(|| user.own_workspace(), str::to_owned)
}

fn authorization(value: &str) -> Result<String, TokenError> {
    match value.split_once(' ') {
        None => Ok(value.to_owned()),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim().to_owned()),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => basic(pair.trim()),
        Some(_) => Err(TokenError::Header),
    }
}

fn basic(pair: &str) -> Result<String, TokenError> {
    let pair = STANDARD.decode(pair).ok().and_then(|pair| String::from_utf8(pair).ok());
    pair.as_deref()
        .and_then(|pair| pair.split_once(':'))
        .map(|(_, token)| token.to_owned())
        .ok_or(TokenError::Header)
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let token =
        pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, token)| token.trim_matches('"').to_owned());
    token.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scope::Scope;
    use crate::config::Config;

    fn found(name: &'static str, value: &str) -> Result<Option<String>, TokenError> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        credentials(&headers)
    }

    #[test]
    fn all_four_places_are_read() {
        let token = Ok(Some("T.T.T".to_owned()));
        assert_eq!(found("authorization", "Bearer T.T.T"), token);
        assert_eq!(found("authorization", "bearer  T.T.T"), token);
        assert_eq!(found("authorization", "T.T.T"), token);
        assert_eq!(found("authorization", &format!("Basic {}", STANDARD.encode("me:T.T.T"))), token);
        assert_eq!(found("cookie", "a=b; access_token=T.T.T; c=d"), token);
    }

    #[test]
    fn an_unreadable_header_is_no_anonymous_call() {
        for bad in ["Basic !!!", "Basic bm9jb2xvbg==", "Digest abc"] {
            assert_eq!(found("authorization", bad), Err(TokenError::Header), "{bad}");
        }
        assert_eq!(found("cookie", "access_token="), Ok(None));
        assert_eq!(found("x-other", "T"), Ok(None));
    }

    #[test]
    fn the_user_comes_from_the_token() {
        let tokens = Tokens::new(&Config::default(), b"key");
        let made =
            UserInfo { id: "maker".to_owned(), scope: Scope::parse("ws:lab-one#r"), ..UserInfo::default() };
        let mut headers = HeaderMap::new();
        assert_eq!(user(&headers, &tokens, 5), Ok(None));
        headers.insert(AUTHORIZATION, tokens.issue(&made, 60, 5).unwrap().parse().unwrap());
        assert_eq!(user(&headers, &tokens, 5).unwrap().unwrap().id, "maker");
        assert_eq!(user(&headers, &tokens, 65), Err(TokenError::Expired));
    }

    #[test]
    fn the_acting_workspace_follows_the_token() {
        let stranger = UserInfo::anonymous_http();
        assert_eq!(acting_workspace(&stranger, Some("lab-one")), stranger.own_workspace());
        let scope = Scope::parse("ws:lab-one#r");
        let maker = UserInfo { id: "maker".to_owned(), scope, ..UserInfo::default() };
        assert_eq!(acting_workspace(&maker, Some("lab-one")), "lab-one");
        assert_eq!(acting_workspace(&maker, Some("other-ws")), "ws-user-maker");
        let bound = UserInfo { current_workspace: Some("lab-one".to_owned()), ..maker };
        assert_eq!(acting_workspace(&bound, Some("other-ws")), "lab-one");
    }
}
