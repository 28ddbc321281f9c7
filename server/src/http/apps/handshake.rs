//! What makes a request the beginning of a websocket (RFC 6455, section 4.2).

use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use polyfn_core::ErrorKind;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::http::problem::Problem;
use crate::http::site;
use crate::state::State;

/// Subprotocols that a client may offer.
const MAX_SUBPROTOCOLS: usize = 64;

/// A proper request for a websocket.
#[derive(Debug)]
pub(super) struct Handshake<'a> {
    accept: HeaderValue,
    /// What the client offers.
    pub(super) subprotocols: Vec<&'a str>,
}

/// Whether a request asks for a websocket, in whatever way.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    words(headers, UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket"))
}

fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

impl<'a> Handshake<'a> {
    /// # Errors
    /// 400 for a request that is no proper handshake, 426 for another version of the protocol, 403 for a page of another
    /// site that would act as the user who looks at it.
    pub(super) fn read(state: &State, parts: &'a Parts) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let bad = |what: &str| {
            Err(Problem::new(ErrorKind::Invalid, format!("this is no handshake of a websocket: {what}")))
        };
        if parts.method != Method::GET || parts.version != Version::HTTP_11 {
            return bad("it must be a GET of HTTP/1.1");
        }
        if !words(headers, CONNECTION).any(|word| word.eq_ignore_ascii_case("upgrade")) {
            return bad("`connection` must say `upgrade`");
        }
        if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            let problem = Problem::new(ErrorKind::Invalid, "websockets of version 13 are spoken here");
            return Err(problem.with_status(StatusCode::UPGRADE_REQUIRED));
        }
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).into_iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return bad("it needs one `sec-websocket-key`");
        };
        if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
            return bad("`sec-websocket-key` must be 16 bytes in base64");
        }
        let subprotocols: Vec<&str> = words(headers, SEC_WEBSOCKET_PROTOCOL).collect();
        if subprotocols.len() > MAX_SUBPROTOCOLS || !subprotocols.iter().all(|name| is_token(name)) {
            return bad("`sec-websocket-protocol` must be at most 64 names");
        }
        if site::is_another_by_cookie(state, headers) {
            let text = "a page of another site cannot open a websocket with the cookies of this one";
            return Err(Problem::new(ErrorKind::PermissionDenied, text));
        }
        let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
        let Ok(accept) = accept else { return bad("`sec-websocket-key` cannot be answered") };
        Ok(Self { accept, subprotocols })
    }

    /// The answer that opens the websocket.
    pub(super) fn answer(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        response
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && HeaderName::from_bytes(text.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::config::Config;

    const PROPER: [(&str, &str); 5] = [
        ("host", "hub.example"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn answered(method: &str, changes: &[(&str, &str)]) -> Result<String, u16> {
        let mut request = Request::builder().method(method);
        let kept = PROPER.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        for (name, value) in kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())) {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let state = State::for_test(Config::default(), "127.0.0.1:1");
        let read = Handshake::read(&state, &parts).map_err(|problem| problem.status().as_u16())?;
        Ok(format!("{} {}", read.accept.to_str().unwrap(), read.subprotocols.join(" ")))
    }

    #[test]
    fn proper_handshakes_are_answered() {
        let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(answered("GET", &[]), Ok(format!("{accept} ")));
        let offers = [("sec-websocket-protocol", "chat, v2.chat")];
        assert_eq!(answered("GET", &offers), Ok(format!("{accept} chat v2.chat")));
    }

    #[test]
    fn others_are_refused() {
        for (changes, status) in [
            (vec![("connection", "close")], 400),
            (vec![("sec-websocket-version", "8")], 426),
            (vec![("sec-websocket-version", "")], 426),
            (vec![("sec-websocket-key", "")], 400),
            (vec![("sec-websocket-key", "short")], 400),
            (vec![("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="), ("sec-websocket-key", "x")], 400),
            (vec![("sec-websocket-protocol", "a b")], 400),
            (vec![("sec-websocket-protocol", "a,,b")], 400),
        ] {
            assert_eq!(answered("GET", &changes), Err(status), "{changes:?}");
        }
        assert_eq!(answered("POST", &[]), Err(400));
    }

    #[test]
    fn pages_of_other_sites_have_no_cookies() {
        let cookie = ("cookie", "access_token=x");
        assert!(answered("GET", &[cookie]).is_ok());
        assert!(answered("GET", &[cookie, ("origin", "http://hub.example")]).is_ok());
        assert!(answered("GET", &[("origin", "http://evil.example")]).is_ok());
        let header = ("authorization", "Bearer x");
        assert!(answered("GET", &[cookie, header, ("origin", "http://evil.example")]).is_ok());
        assert_eq!(answered("GET", &[cookie, ("origin", "http://evil.example")]), Err(403));
        assert_eq!(answered("GET", &[cookie, ("origin", "null")]), Err(403));
    }
}
