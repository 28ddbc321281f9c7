//! What functions that answer HTTP requests need beyond other functions.

use napi_derive::napi;

/// The body of an answer with an error, a JSON problem; null for a status that tells of no error.
#[napi]
pub fn problem(status: f64, detail: String) -> Option<String> {
    let whole = status.fract() == 0.0 && (0.0..1e6).contains(&status);
    polyfn_core::functions::problem(if whole { status as i64 } else { 0 }, &detail).ok()
}

/// The place in the service at the path `root` that an app means by the value of a header `location`; null when it is
/// right as it is.
#[napi]
pub fn location_inside(root: String, origin: String, location: String) -> Option<String> {
    polyfn_core::apps::location_inside(&root, &origin, &location)
}
