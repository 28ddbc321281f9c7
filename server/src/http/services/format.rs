//! What an answer is written in: what the caller accepts, else what the caller sent.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::http::services::arguments::Encoding;
use crate::http::weight;

/// What an answer is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON; a generator as server-sent events.
    #[default]
    Json,
    /// JSON; a generator as one line of JSON for each item.
    Lines,
    /// msgpack; a generator as one value behind the other.
    Msgpack,
}

impl Format {
    /// Reads `Accept` (RFC 9110 section 12.5.1); where it leaves the choice, the form of the request itself decides.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let sent = if Encoding::of(headers) == Some(Encoding::Msgpack) { Self::Msgpack } else { Self::Json };
        let mut best = None;
        for (range, quality) in weight::listed(headers, &header::ACCEPT) {
            let Some(format) = read(range, sent) else { continue };
            if quality > 0 && best.is_none_or(|(_, other)| quality > other) {
                best = Some((format, quality));
            }
        }
        best.map_or(sent, |(format, _)| format)
    }

    /// The content type of a value.
    pub(super) const fn content_type(self) -> HeaderValue {
        match self {
            Self::Json | Self::Lines => HeaderValue::from_static("application/json"),
            Self::Msgpack => HeaderValue::from_static("application/msgpack"),
        }
    }

    /// The content type of a generator.
    pub(super) const fn stream_type(self) -> HeaderValue {
        match self {
            Self::Json => HeaderValue::from_static("text/event-stream; charset=utf-8"),
            Self::Lines => HeaderValue::from_static("application/x-ndjson"),
            Self::Msgpack => HeaderValue::from_static("application/msgpack"),
        }
    }
}

/// The format that a media range asks for.
fn read(range: &str, sent: Format) -> Option<Format> {
    match range.to_ascii_lowercase().as_str() {
        "application/json" | "text/event-stream" => Some(Format::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Format::Lines),
        "application/msgpack" | "application/x-msgpack" | "application/vnd.msgpack" => Some(Format::Msgpack),
        "*/*" | "application/*" => Some(sent),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_decides_then_what_was_sent() {
        for (accept, sent, format) in [
            (None, None, Format::Json),
            (None, Some("application/msgpack"), Format::Msgpack),
            (Some("*/*"), Some("application/msgpack"), Format::Msgpack),
            (Some("application/json"), Some("application/msgpack"), Format::Json),
            (Some("application/msgpack"), None, Format::Msgpack),
            (Some("application/msgpack;q=0.1, application/json"), None, Format::Json),
            (Some("application/msgpack;q=0, */*;q=0.1"), None, Format::Json),
            (Some("text/html, application/x-ndjson;q=0.5"), None, Format::Lines),
            (Some("text/event-stream"), None, Format::Json),
            (Some("image/png"), None, Format::Json),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(header::ACCEPT, accept), (header::CONTENT_TYPE, sent)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            assert_eq!(Format::of(&headers), format, "{accept:?} {sent:?}");
        }
    }
}
