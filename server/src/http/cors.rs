//! What browsers may read from other origins, and compression.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, DefaultPredicate, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::transport::stream;

/// Smaller bodies gain nothing from compression.
const COMPRESS_FROM: u64 = 1000;

/// The CORS layer of ordinary routes.
///
/// With `*` every origin may read, but never with the user's cookies; origins that are named may send cookies too.
pub fn layer(origins: &[String]) -> CorsLayer {
    let named: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    let any = named.is_empty() || named.iter().any(|origin| origin == "*");
    CorsLayer::new()
        .allow_origin(if any { AllowOrigin::any() } else { AllowOrigin::list(named) })
        .allow_credentials(!any)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::HEAD,
            Method::OPTIONS,
        ])
        .allow_headers([
            header::ACCEPT,
            header::ACCEPT_ENCODING,
            header::AUTHORIZATION,
            header::CONTENT_ENCODING,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::ORIGIN,
            header::RANGE,
            HeaderName::from_static("x-requested-with"),
            HeaderName::from_static("inference-header-content-length"),
            stream::SECRET,
            stream::SEQUENCE,
            stream::RECONNECTION,
        ])
        .expose_headers([
            header::ACCEPT_ENCODING,
            header::RANGE,
            header::ORIGIN,
            header::CONTENT_TYPE,
            HeaderName::from_static("inference-header-content-length"),
        ])
        .max_age(Duration::from_secs(600))
}

/// Compression of ordinary routes, by what the request accepts.
pub fn compression() -> CompressionLayer<And<DefaultPredicate, SizeAbove>> {
    CompressionLayer::new().compress_when(DefaultPredicate::new().and(SizeAbove::new(COMPRESS_FROM)))
}
