//! What browsers may do with functions of another origin.
//!
//! Every function may be read by every page, as public functions are for, but never with the cookies that the
//! user's browser keeps: a page must not act as the user who looks at it. Origins that the settings of the server name
//! may, and those that a service names together with `credentials`.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use polyfn_core::functions::{Cors, Origins};

const METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static("Authorization,Content-Type");
const EXPOSED: HeaderValue = HeaderValue::from_static("Content-Disposition");
const ANY: HeaderValue = HeaderValue::from_static("*");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Whether a browser asks what it may send, on behalf of a page of another origin.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Who says what pages may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// The origins that the server's settings name.
    pub(super) server: &'a [String],
    /// What the service says, which then counts alone.
    pub(super) service: Option<&'a Cors>,
}

impl Rules<'_> {
    fn has_any(&self) -> bool {
        match self.service {
            Some(cors) => cors.origins == Origins::Any,
            None => self.server.is_empty() || self.server.iter().any(|origin| origin == "*"),
        }
    }

    fn names(&self, origin: &HeaderValue) -> bool {
        let named = match self.service {
            Some(Cors { origins: Origins::These(named), .. }) => named,
            Some(_) => return false,
            None => self.server,
        };
        named.iter().any(|known| known.as_bytes() == origin.as_bytes())
    }

    /// The value of a header that the service may set.
    fn own(&self, of: impl Fn(&Cors) -> Option<&str>, usual: HeaderValue) -> HeaderValue {
        let own = self.service.and_then(of);
        own.and_then(|own| HeaderValue::from_str(own).ok()).unwrap_or(usual)
    }

    /// Adds the headers by which a browser decides. A function that says itself who may read it is not overruled.
    pub(super) fn allow(&self, request: &HeaderMap, response: &mut HeaderMap) {
        if response.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        let any = self.has_any();
        let Some(origin) = request.get(header::ORIGIN) else {
            if any {
                response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
            } else {
                response.append(header::VARY, HeaderValue::from_static("Origin"));
            }
            return;
        };
        response.append(header::VARY, HeaderValue::from_static("Origin"));
        let named = self.names(origin);
        if !any && !named {
            return;
        }
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if named && self.service.is_none_or(|cors| cors.credentials) {
            let yes = HeaderValue::from_static("true");
            response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
        let methods = self.own(|cors| cors.methods.as_deref(), METHODS);
        response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        let headers = self.own(|cors| cors.headers.as_deref(), asked.unwrap_or(HEADERS));
        response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
        let exposed = self.own(|cors| cors.expose.as_deref(), EXPOSED);
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            let own = self.service.and_then(|cors| cors.max_age);
            response.insert(header::ACCESS_CONTROL_MAX_AGE, own.map_or(MAX_AGE, HeaderValue::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use polyfn_core::{Map, Value};

    use super::*;

    fn answered(rules: Rules<'_>, origin: Option<&'static str>) -> HeaderMap {
        let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
        origin.map(|origin| request.insert(header::ORIGIN, HeaderValue::from_static(origin)));
        request.insert(header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT"));
        rules.allow(&request, &mut response);
        response
    }

    fn text(headers: &HeaderMap, name: &str) -> Option<String> {
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    fn allowed(origins: &[&str], origin: Option<&'static str>) -> (Option<String>, bool) {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let response = answered(Rules { server: &origins, service: None }, origin);
        let credentials = text(&response, "access-control-allow-credentials").is_some();
        (text(&response, "access-control-allow-origin"), credentials)
    }

    #[test]
    fn cookies_are_for_named_origins() {
        let there = |origin: &str| Some(origin.to_owned());
        assert_eq!(allowed(&["*"], None), (there("*"), false));
        assert_eq!(allowed(&["*"], Some("http://a")), (there("http://a"), false));
        assert_eq!(allowed(&["http://a"], Some("http://a")), (there("http://a"), true));
        assert_eq!(allowed(&["*", "http://a"], Some("http://a")), (there("http://a"), true));
        assert_eq!(allowed(&["http://a"], Some("http://b")), (None, false));
        assert_eq!(allowed(&["http://a"], None), (None, false));
    }

    fn rules(entries: &[(&str, Value)]) -> Cors {
        Cors::read(&Value::Map(entries.iter().cloned().collect::<Map>())).unwrap().unwrap()
    }

    #[test]
    fn the_rules_of_a_service_count_alone() {
        let server = ["http://server".to_owned()];
        let named =
            rules(&[("origins", "http://a".into()), ("max_age", 5.into()), ("methods", "put".into())]);
        let of = |cors, origin| answered(Rules { server: &server, service: Some(cors) }, Some(origin));
        let found = of(&named, "http://a");
        assert_eq!(text(&found, "access-control-allow-origin").as_deref(), Some("http://a"));
        assert_eq!(text(&found, "access-control-allow-credentials"), None);
        assert_eq!(text(&found, "access-control-max-age").as_deref(), Some("5"));
        assert_eq!(text(&found, "access-control-allow-methods").as_deref(), Some("PUT"));
        assert_eq!(text(&of(&named, "http://server"), "access-control-allow-origin"), None);
        let trusting = rules(&[("origins", "http://a".into()), ("credentials", true.into())]);
        assert!(of(&trusting, "http://a").contains_key("access-control-allow-credentials"));
        assert!(!of(&trusting, "http://b").contains_key("access-control-allow-credentials"));
        let open = rules(&[("headers", "x-a".into()), ("expose", "etag".into())]);
        let found = of(&open, "http://b");
        assert_eq!(text(&found, "access-control-allow-headers").as_deref(), Some("x-a"));
        assert_eq!(text(&found, "access-control-expose-headers").as_deref(), Some("etag"));
        assert!(!of(&open, "http://server").contains_key("access-control-allow-credentials"));
    }

    #[test]
    fn a_function_is_not_overruled() {
        let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
        request.insert(header::ORIGIN, HeaderValue::from_static("http://a"));
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("http://b"));
        Rules { server: &["*".to_owned()], service: None }.allow(&request, &mut response);
        assert_eq!(response.len(), 1);
    }
}
