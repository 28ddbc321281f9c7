//! What browsers may do with functions of another origin.
//!
//! Every function may be read by every page, as public functions are for, but never with the cookies that the
//! user's browser keeps: a page must not act as the user who looks at it. Origins that the settings name may.

use axum::http::{HeaderMap, HeaderValue, Method, header};

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

/// Adds the headers by which a browser decides. A function that says itself who may read it is not overruled.
pub(super) fn allow(origins: &[String], request: &HeaderMap, response: &mut HeaderMap) {
    if response.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        return;
    }
    let any = origins.is_empty() || origins.iter().any(|origin| origin == "*");
    let Some(origin) = request.get(header::ORIGIN) else {
        if any {
            response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        }
        return;
    };
    response.append(header::VARY, HeaderValue::from_static("Origin"));
    let named = origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
    if !any && !named {
        return;
    }
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if named {
        response.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    response.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HEADERS));
    response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    if request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        response.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(origins: &[&str], origin: Option<&'static str>) -> (Option<String>, bool) {
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
        origin.map(|origin| request.insert(header::ORIGIN, HeaderValue::from_static(origin)));
        allow(&origins, &request, &mut response);
        let text = |name| response.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
        (text(header::ACCESS_CONTROL_ALLOW_ORIGIN), text(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some())
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

    #[test]
    fn a_function_is_not_overruled() {
        let (mut request, mut response) = (HeaderMap::new(), HeaderMap::new());
        request.insert(header::ORIGIN, HeaderValue::from_static("http://a"));
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("http://b"));
        allow(&["*".to_owned()], &request, &mut response);
        assert_eq!(response.len(), 1);
    }
}
