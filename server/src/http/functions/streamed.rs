//! Answers whose body is a generator: what it gives leaves when it is produced.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use polyfn_core::codec::StreamStub;
use polyfn_core::functions::{self, Pieces};
use polyfn_core::{Error, ErrorKind};

use super::limits::Turn;
use super::{has_body, respond as respond_whole};
use crate::hub::{Batch, Reader, Reading};
use crate::state::State;

/// Answers when the first item is there: its kind is the content type, and what goes wrong before it is an error of
/// the function like any other.
pub(super) async fn respond(
    state: &Arc<State>,
    answer: functions::Response,
    stub: &StreamStub,
    reader: &Reader<'_>,
    method: &Method,
    (patience, turn): (Duration, Turn),
) -> Result<Response, Error> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let said = answer.headers.iter().find(|(name, _)| name == "content-type");
    let mut pieces = Pieces::new(said.map(|(_, kind)| kind.as_str()));
    let is_said = said.is_some();
    if method == Method::HEAD || !has_body(status) {
        state.hub.gateway.discard(&state.hub, stub, reader);
        return Ok(respond_whole(answer, method));
    }
    let reading = state.hub.gateway.read(&state.hub, stub, reader)?;
    let mut reading = reading.until(state.tokens.ending(reader.credential));
    let first = tokio::time::timeout(patience, reading.next()).await.map_err(|_| {
        let text = format!("the function gave nothing within {} s", patience.as_secs_f64());
        Error::new(ErrorKind::Timeout, text)
    })??;
    let (first, failed) = first.map_or(Ok(Default::default()), |batch| piece(&mut pieces, batch))?;
    if let Some(error) = failed.as_ref().filter(|_| first.is_empty()) {
        return raised(error).ok_or_else(|| error.clone());
    }
    let mut response = respond_whole(answer, method);
    if let Some(kind) = pieces.content_type().filter(|_| !is_said) {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    *response.body_mut() = Body::from_stream(
        Rest { reading, pieces, ready: first, failed, _counted: Counted::new(state), _turn: turn }.pieces(),
    );
    Ok(response)
}

/// The answer of a generator that gives an `HTTPError` and nothing before it.
fn raised(error: &Error) -> Option<Response> {
    let (status, detail) = functions::raised(error)?;
    let body = functions::problem(status, detail).ok()?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(functions::PROBLEM));
    Some(response)
}

/// What is left to send.
struct Rest {
    reading: Reading,
    pieces: Pieces,
    /// What came first and is not sent yet.
    ready: Bytes,
    /// How the generator failed behind what is sent already.
    failed: Option<Error>,
    _counted: Counted,
    _turn: Turn,
}

/// One of the calls under way, as long as its body is being sent.
pub(in crate::http) struct Counted(Arc<State>);

impl Counted {
    pub(in crate::http) fn new(state: &Arc<State>) -> Self {
        state.metrics.http_calls.increment();
        Self(Arc::clone(state))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.http_calls.decrement();
    }
}

impl Rest {
    /// One after the other; an error cuts the connection, so that nobody takes a part for the whole.
    fn pieces(self) -> impl stream::Stream<Item = Result<Bytes, Error>> {
        let span = tracing::Span::current();
        let pieces = stream::unfold(Some(self), move |rest| {
            let span = span.clone();
            async move {
                let mut rest = rest?;
                let next = rest.next().await?;
                if let Err(error) = &next {
                    span.in_scope(|| tracing::warn!(%error, "a streamed answer was cut off"));
                    // what was given before leaves first
                    tokio::task::yield_now().await;
                }
                let rest = next.is_ok().then_some(rest);
                Some((next, rest))
            }
        });
        // compression asks once more behind the end
        pieces.fuse()
    }

    /// The next piece that is not empty; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        if !self.ready.is_empty() {
            return Some(Ok(std::mem::take(&mut self.ready)));
        }
        loop {
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let batch = match self.reading.next().await {
                Ok(batch) => batch?,
                Err(error) => return Some(Err(error)),
            };
            match piece(&mut self.pieces, batch) {
                Ok((piece, failed)) => {
                    self.failed = failed;
                    if !piece.is_empty() {
                        return Some(Ok(piece));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// What is to be sent, and how the generator failed behind it.
fn piece(pieces: &mut Pieces, batch: Batch) -> Result<(Bytes, Option<Error>), Error> {
    let written = pieces.write(&batch.items, batch.count)?;
    Ok((written.into(), batch.end.and_then(Result::err)))
}
