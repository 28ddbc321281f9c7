//! What an app is told of a request.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderValue, Version, header};
use polyfn_core::apps::{Kind, Scope};
use polyfn_core::codec::Writer;
use polyfn_core::{Result, Value};

use super::Asked;
use crate::http::Ends;

impl Asked<'_> {
    /// `services.web.serve`.
    pub(super) fn method(&self) -> String {
        format!("services.{}.serve", self.service.name)
    }

    /// Writes the scope.
    pub(super) fn write_scope(&self, kind: Kind<'_>, user: &[u8], out: &mut Writer) -> Result<()> {
        let Self { state, parts, place, path, .. } = *self;
        let ends = parts.extensions.get::<Ends>();
        let host = ends.map(|ends| ends.local.ip().to_canonical().to_string());
        let (root, raw_root) = self.roots();
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        let is_secure = is_asked_securely(&state.public_base_url, &parts.headers);
        let scope = Scope {
            scheme: match (kind, is_secure) {
                (Kind::Http { .. }, false) => "http",
                (Kind::Http { .. }, true) => "https",
                (Kind::WebSocket { .. }, false) => "ws",
                (Kind::WebSocket { .. }, true) => "wss",
            },
            kind,
            http_version: if parts.version == Version::HTTP_10 { "1.0" } else { "1.1" },
            path: &format!("{root}{decoded}"),
            raw_path: &format!("{raw_root}{path}"),
            root_path: &root,
            query_string: parts.uri.query().unwrap_or_default(),
            headers: Exact(parts.headers.iter(), parts.headers.len()),
            client: ends.map(|ends| ends.remote),
            server: ends.and_then(|ends| Some((host.as_deref()?, ends.local.port()))),
            workspace: &place.workspace,
            service_id: &place.service,
            user,
        };
        scope.write(out)
    }

    /// Where the app stands, decoded and as it was sent: nowhere unless its service asks for it.
    ///
    /// Apps of old expect paths relative to themselves and nothing more, as the reference gives them.
    fn roots(&self) -> (Cow<'_, str>, Cow<'_, str>) {
        let config = self.service.told.config();
        match config.and_then(|config| config.get("root_path")) {
            Some(Value::Bool(true)) => {
                let base = &self.state.config.base_path;
                let (workspace, service) = (&self.place.workspace, &self.place.service);
                let raw = self.parts.uri.path();
                let raw = raw.strip_suffix(self.path).unwrap_or(raw).trim_end_matches('/');
                (format!("{base}/{workspace}/apps/{service}").into(), format!("{base}{raw}").into())
            }
            Some(Value::Text(root)) => {
                let root = root.trim_end_matches('/');
                (root.into(), root.into())
            }
            _ => ("".into(), "".into()),
        }
    }
}

/// Whether the request came by TLS: the server's URL says so, and it is the one that was asked for.
fn is_asked_securely(public_base_url: &str, headers: &HeaderMap) -> bool {
    let Some(rest) = public_base_url.strip_prefix("https://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    headers.get(header::HOST).is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
}

/// Headers, of which it is known how many there are.
struct Exact<'a>(header::Iter<'a, HeaderValue>, usize);

impl<'a> Iterator for Exact<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.next()?;
        self.1 = self.1.saturating_sub(1);
        Some((name.as_str(), value.as_bytes()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

impl ExactSizeIterator for Exact<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_that_of_the_url_that_was_asked() {
        for (base, host, expected) in [
            ("https://hub.example/base", "Hub.Example", true),
            ("https://hub.example:8443", "hub.example:8443", true),
            ("https://hub.example", "127.0.0.1:9527", false),
            ("http://hub.example", "hub.example", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            assert_eq!(is_asked_securely(base, &headers), expected, "{base} {host}");
        }
    }
}
