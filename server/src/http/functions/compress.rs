//! Compression of answers, where the caller accepts it and the function has not seen to it itself.

use std::convert::Infallible;
use std::future::ready;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use axum::response::Response;
use tower::{Service, service_fn};
use tower_http::compression::Compression;

/// Smaller bodies gain nothing.
const COMPRESS_FROM: u64 = 1000;
/// Essences that are text under another name.
const TEXTS: [&str; 7] = [
    "application/javascript",
    "application/json",
    "application/wasm",
    "application/x-ndjson",
    "application/xml",
    "image/svg+xml",
    "image/x-icon",
];

/// Compresses an answer if that is right. A stream's pieces still leave as they come.
pub(super) async fn compress(method: &Method, request: &HeaderMap, mut response: Response) -> Response {
    if !is_worth_it(&response) {
        return response;
    }
    if method == Method::HEAD || !accepts_gzip(request) {
        // caches must know that others may get it compressed
        vary(response.headers_mut());
        if method == Method::HEAD {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        return response;
    }
    let mut asked = Request::new(());
    for accepted in request.get_all(header::ACCEPT_ENCODING) {
        asked.headers_mut().append(header::ACCEPT_ENCODING, accepted.clone());
    }
    let mut given = Some(response);
    let inner = service_fn(move |_| ready(Ok::<Response, Infallible>(given.take().unwrap_or_default())));
    let always = |_, _, _: &HeaderMap, _: &_| true;
    let compressed = Compression::new(inner).compress_when(always).call(asked).await;
    let mut response = match compressed {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        weaken(response.headers_mut());
    }
    response
}

fn is_worth_it(response: &Response) -> bool {
    let headers = response.headers();
    // HEAD says how long the body would be
    let length = match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok().and_then(|length| length.parse().ok()),
        None => response.body().size_hint().exact(),
    };
    length.is_none_or(|length| length >= COMPRESS_FROM)
        && ![header::CONTENT_ENCODING, header::CONTENT_RANGE].iter().any(|name| headers.contains_key(name))
        && text_of(headers, &header::CONTENT_TYPE).is_some_and(is_text)
        && !text_of(headers, &header::CACHE_CONTROL).is_some_and(|rules| rules.contains("no-transform"))
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a content type is one of texts. Images, archives and the like are compressed already; events must not
/// wait for each other.
fn is_text(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "text/event-stream" {
        return false;
    }
    let is_text = essence.starts_with("text/") || essence.ends_with("+json") || essence.ends_with("+xml");
    is_text || TEXTS.contains(&essence.as_str())
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    let lines = request.get_all(header::ACCEPT_ENCODING).into_iter();
    lines.filter_map(|line| line.to_str().ok()).any(|line| line.contains("gzip") || line.contains('*'))
}

fn vary(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

/// The bytes are others now, only the meaning is the same.
fn weaken(headers: &mut HeaderMap) {
    let strong = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    let weak = strong.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn compressed(length: usize, kind: &str, accepted: &str, more: &[(HeaderName, &str)]) -> HeaderMap {
        let mut response = Response::new(Body::from(vec![b'x'; length]));
        response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
        for (name, value) in more {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        let mut request = HeaderMap::new();
        request.insert(header::ACCEPT_ENCODING, accepted.parse().unwrap());
        compress(&Method::GET, &request, response).await.headers().clone()
    }

    #[tokio::test]
    async fn long_texts_are_compressed() {
        for (length, kind, accepted, encoding, vary) in [
            (1000, "text/plain; charset=utf-8", "deflate, gzip;q=0.5", "gzip", true),
            (1000, "application/problem+json", "*", "gzip", true),
            (999, "text/plain", "gzip", "", false),
            (1000, "text/plain", "br", "", true),
            (1000, "text/plain", "gzip;q=0", "", true),
            (1000, "image/png", "gzip", "", false),
            (1000, "application/octet-stream", "gzip", "", false),
            (1000, "text/event-stream", "gzip", "", false),
        ] {
            let headers = compressed(length, kind, accepted, &[]).await;
            let found = text_of(&headers, &header::CONTENT_ENCODING).unwrap_or_default();
            assert_eq!(
                (found, headers.contains_key(header::VARY)),
                (encoding, vary),
                "{length} {kind} {accepted}"
            );
        }
    }

    #[tokio::test]
    async fn what_a_function_says_is_kept() {
        let of = |name: HeaderName, value: &'static str| async move {
            compressed(5000, "text/plain", "gzip", &[(name, value)]).await
        };
        assert_eq!(of(header::CONTENT_ENCODING, "br").await[header::CONTENT_ENCODING], "br");
        assert!(
            !of(header::CACHE_CONTROL, "private, no-transform").await.contains_key(header::CONTENT_ENCODING)
        );
        assert!(!of(header::CONTENT_RANGE, "bytes 0-1/2").await.contains_key(header::CONTENT_ENCODING));
        assert_eq!(of(header::ETAG, "\"a\"").await[header::ETAG], "W/\"a\"");
        assert_eq!(of(header::ETAG, "W/\"a\"").await[header::ETAG], "W/\"a\"");
    }
}
