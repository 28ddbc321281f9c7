//! Results that are generators: each item leaves when it is there, in the form that the caller asked for.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use polyfn_core::codec::{StreamStub, Token};
use polyfn_core::session::Payload;
use polyfn_core::{Error, Map, Result, Value};

use crate::http::call_error;
use crate::http::functions::Counted;
use crate::http::services::format::Format;
use crate::http::services::plain;
use crate::hub::{Batch, Reader, Reading};
use crate::state::State;

/// What ends server-sent events, so that readers need not take a lost connection for the end.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// The generator that a result is; `None` for any other.
pub(super) fn stub_of(payload: &Payload) -> Option<Arc<StreamStub>> {
    let mut reader = payload.reader();
    let is_marked = reader.list().ok()? > 0
        && matches!(reader.token().ok()?, Token::Map(_))
        && reader.peek() == Some(Token::Text("_rtype"));
    match is_marked.then(|| payload.value().ok())?? {
        Value::Stream(stub) => Some(stub),
        _ => None,
    }
}

/// All generators inside of a value.
pub(super) fn stubs_in(value: &Value) -> Vec<Arc<StreamStub>> {
    match value {
        Value::Stream(stub) => vec![Arc::clone(stub)],
        Value::List(items) => items.iter().flat_map(stubs_in).collect(),
        Value::Map(map) => map.iter().flat_map(|(_, value)| stubs_in(value)).collect(),
        _ => Vec::new(),
    }
}

/// Answers with the items of a generator. What goes wrong behind the head of the answer is an item of its own:
/// `{"error": "ValueError: boom"}`.
///
/// # Errors
/// `overloaded` when too many generators are read already.
pub(super) fn respond(
    state: &Arc<State>,
    stub: &StreamStub,
    reader: &Reader<'_>,
    format: Format,
) -> Result<Response> {
    let reading = state.hub.gateway.read(&state.hub, stub, reader)?;
    let reading = reading.until(state.tokens.ending(reader.credential));
    let items = Items { reading, format, has_ended: false, _counted: Counted::new(state) };
    let mut response = Response::new(Body::from_stream(items.pieces()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, format.stream_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// What is left to send.
struct Items {
    reading: Reading,
    format: Format,
    has_ended: bool,
    _counted: Counted,
}

impl Items {
    /// One after the other. What is told to whoever may hear no more is that the connection breaks.
    fn pieces(self) -> impl stream::Stream<Item = Result<Bytes>> {
        let pieces = stream::unfold(Some(self), |items| async move {
            let mut items = items?;
            let piece = items.next().await?;
            let items = piece.is_ok().then_some(items);
            Some((piece, items))
        });
        pieces.fuse()
    }

    /// The next items in one piece; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.has_ended {
            return None;
        }
        let mut out = Vec::new();
        match self.reading.next().await {
            Ok(Some(batch)) => self.write(&batch, &mut out),
            Ok(None) => self.has_ended = true,
            Err(error) => return Some(Err(error)),
        }
        if self.has_ended && self.format == Format::Json {
            out.extend_from_slice(DONE);
        }
        Some(Ok(out.into()))
    }

    fn write(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        let written = write_items(batch, self.format, out);
        let failed = written.err().or_else(|| batch.end.clone().and_then(Result::err));
        self.has_ended = failed.is_some() || batch.end.is_some();
        if let Some(error) = failed {
            let trace = error.trace().unwrap_or_default();
            tracing::info!(error = error.message(), trace, "a generator read over HTTP failed");
            let told = Value::Map(Map::from_iter([("error", call_error::shown(&error))]));
            // a text in a map has a form in both
            _ = write_item(&told, self.format, out);
        }
    }
}

fn write_items(batch: &Batch, format: Format, out: &mut Vec<u8>) -> Result<()> {
    let mut reader = batch.items.reader();
    reader.list()?;
    for _ in 0..batch.count {
        if format == Format::Msgpack {
            out.extend_from_slice(reader.skip()?);
            continue;
        }
        let start = reader.position();
        write_item(&batch.items.reader().starting_at(start).value()?, format, out)?;
        reader.skip()?;
    }
    Ok(())
}

fn write_item(item: &Value, format: Format, out: &mut Vec<u8>) -> Result<(), Error> {
    match format {
        Format::Json => out.extend_from_slice(format!("data: {}\n\n", plain::to_json(item)?).as_bytes()),
        Format::Lines => out.extend_from_slice(format!("{}\n", plain::to_json(item)?).as_bytes()),
        Format::Msgpack => out.extend_from_slice(&item.to_msgpack()?),
    }
    Ok(())
}
