//! Compression of answers, where the caller accepts it and the function has not seen to it itself.

use std::convert::Infallible;
use std::future::ready;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use polyfn_core::ErrorKind;
use tower::{Service, service_fn};
use tower_http::compression::Compression;

use crate::http::problem::Problem;
use crate::http::weight;

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

/// How whole answers may be coded, the best first of those that a caller likes equally.
const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];
/// The same for streams: many may be open for long, and those that pack best hold megabytes for each.
const STREAM_CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

/// What a caller accepts (RFC 9110, section 12.5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// How it likes whole answers best, if coded at all.
    whole: Option<&'static str>,
    /// The same for streams.
    stream: Option<&'static str>,
    /// Whether it wants no answer that is not coded.
    refuses_plain: bool,
}

impl Accepted {
    /// Reads `accept-encoding`.
    ///
    /// # Errors
    /// 406 when it leaves nothing at all.
    pub(super) fn read(request: &HeaderMap) -> Result<Self, Problem> {
        if !request.contains_key(header::ACCEPT_ENCODING) {
            return Ok(Self::default());
        }
        let listed: Vec<_> = weight::listed(request, &header::ACCEPT_ENCODING).collect();
        let refuses_plain = weight_of("identity", &listed) == Some(0);
        if refuses_plain && listed.iter().all(|(_, weight)| *weight == 0) {
            let text = "accept-encoding refuses every coding, `identity` included";
            return Err(Problem::new(ErrorKind::Invalid, text).with_status(StatusCode::NOT_ACCEPTABLE));
        }
        Ok(Self { whole: best(CODINGS, &listed), stream: best(STREAM_CODINGS, &listed), refuses_plain })
    }
}

/// What is said of a coding by its name, or of all that are not named.
fn weight_of(name: &str, listed: &[(&str, u16)]) -> Option<u16> {
    let of = |wanted: &str| listed.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    of(name).or_else(|| of("*")).map(|(_, weight)| *weight)
}

/// The coding that is liked best, if it is liked as well as a plain answer that is named.
fn best(codings: [&'static str; 3], listed: &[(&str, u16)]) -> Option<&'static str> {
    let plain = listed.iter().find(|(name, _)| name.eq_ignore_ascii_case("identity"));
    let least = plain.map_or(1, |(_, weight)| *weight).max(1);
    let weighted = codings.map(|name| (name, weight_of(name, listed).unwrap_or(0)));
    let liked = weighted.into_iter().filter(|(_, weight)| *weight >= least);
    // the first of those that are liked equally
    liked.rev().max_by_key(|(_, weight)| *weight).map(|(name, _)| name)
}

/// Compresses an answer if that is right. A stream's pieces still leave as they come.
pub(super) async fn compress(method: &Method, accepted: Accepted, mut response: Response) -> Response {
    if !(accepted.refuses_plain || is_worth_it(&response)) || !may_be(&response) {
        return response;
    }
    let coding = if length(&response).is_some() { accepted.whole } else { accepted.stream };
    let Some(coding) = coding.filter(|_| method != Method::HEAD) else {
        // caches must know that others may get it compressed
        vary(response.headers_mut());
        if method == Method::HEAD {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        return response;
    };
    let mut asked = Request::new(());
    asked.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
    let mut given = Some(response);
    let inner = service_fn(move |_| ready(Ok::<Response, Infallible>(given.take().unwrap_or_default())));
    let always = |_, _, _: &HeaderMap, _: &_| true;
    match Compression::new(inner).compress_when(always).call(asked).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// Whether the bytes may be others than those that the function gave.
fn may_be(response: &Response) -> bool {
    let headers = response.headers();
    let has = |name: HeaderName, found: fn(&str) -> bool| text_of(headers, &name).is_some_and(found);
    length(response) != Some(0)
        && ![header::CONTENT_ENCODING, header::CONTENT_RANGE].iter().any(|name| headers.contains_key(name))
        // a strong tag says that the bytes are these
        && !has(header::ETAG, |tag| tag.starts_with('"'))
        && !has(header::CACHE_CONTROL, |rules| rules.contains("no-transform"))
        // events must not wait for each other
        && !has(header::CONTENT_TYPE, |kind| essence(kind) == "text/event-stream")
}

fn is_worth_it(response: &Response) -> bool {
    length(response).is_none_or(|length| length >= COMPRESS_FROM)
        && text_of(response.headers(), &header::CONTENT_TYPE).is_some_and(is_text)
}

/// How long the body is; what HEAD gets says how long it would be.
fn length(response: &Response) -> Option<u64> {
    match response.headers().get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok().and_then(|length| length.parse().ok()),
        None => response.body().size_hint().exact(),
    }
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a content type is one of texts. Images, archives and the like are compressed already.
fn is_text(content_type: &str) -> bool {
    let essence = essence(content_type);
    let is_text = essence.starts_with("text/") || essence.ends_with("+json") || essence.ends_with("+xml");
    is_text || TEXTS.contains(&essence.as_str())
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn vary(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
}

#[cfg(test)]
mod tests;
