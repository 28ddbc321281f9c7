//! The trace that a request belongs to, as its caller says it in `traceparent`
//! ([W3C Trace Context](https://www.w3.org/TR/trace-context/)).

use axum::http::HeaderMap;
use tracing::Span;

/// The trace that a request belongs to; a malformed one counts as none.
pub(in crate::http) fn trace(headers: &HeaderMap) -> Option<&str> {
    let trace = headers.get("traceparent")?.to_str().ok()?;
    Some(trace).filter(|trace| polyfn_core::wire::is_trace(trace))
}

/// The span in which a request is answered: what is logged in it bears the ids of the trace. A request without a trace
/// has none, since a span costs more than much of the rest of a call.
pub(super) fn span(headers: &HeaderMap) -> Span {
    let mut ids = trace(headers).into_iter().flat_map(|trace| trace.split('-').skip(1));
    match (ids.next(), ids.next()) {
        // The level is that of the worst that may happen in it, so that no line goes without it.
        (Some(trace_id), Some(parent_id)) => tracing::error_span!("request", trace_id, parent_id),
        _ => Span::none(),
    }
}
