//! `POST /rpc`: what a client with a stream has to say, or a call of somebody who has none.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use polyfn_core::ErrorKind;
use polyfn_core::wire::Header;

use crate::auth::identify;
use crate::clock;
use crate::http::problem::Form;
use crate::http::{Caller, Ends, Problem, body, services};
use crate::hub::Item;
use crate::listener::Lasting;
use crate::state::State;
use crate::transport::stream::{OURS, Place, SEQUENCE};
use crate::transport::streams::{Line, Source, Stream};

/// Messages of control are shorter than this; what is longer is not looked into.
const CONTROL_MAX: usize = 128;

/// Takes what a client has to say, or makes the call that the body asks for.
pub async fn post(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match answer(&state, &parts, body).await {
        Ok(response) => response,
        Err(problem) => problem.answer(Form::Reference),
    }
}

async fn answer(state: &Arc<State>, parts: &Parts, body: Body) -> Result<Response, Problem> {
    let place = Place::of(parts).map_err(invalid)?;
    let client = place.client_id.ok_or_else(|| invalid("client_id is required"))?;
    let workspace = match place.workspace {
        Some(workspace) => workspace,
        None => token_workspace(state, parts)?,
    };
    match state.streams.find(&format!("{workspace}/{client}")) {
        Some(stream) => take(state, stream, parts, body).await,
        None => {
            let caller = Caller::from_headers(state, &parts.headers)?;
            let limits = &state.config.limits;
            let body = body::collect_at_most(body, limits.max_frame_size, limits).await?;
            services::call_once(state, &caller, &workspace, body).await.map(IntoResponse::into_response)
        }
    }
}

/// The workspace of whoever does not name one.
fn token_workspace(state: &State, parts: &Parts) -> Result<String, Problem> {
    let user = identify::user(&parts.headers, &state.tokens, clock::now());
    let user = user.map_err(|error| Problem::unauthorized(error.to_string()))?;
    let user = user.ok_or_else(|| invalid("workspace is required without a token"))?;
    Ok(user.current_workspace.clone().unwrap_or_else(|| user.own_workspace()))
}

/// Takes a request of a client with a stream.
async fn take(
    state: &Arc<State>,
    stream: Arc<Stream>,
    parts: &Parts,
    body: Body,
) -> Result<Response, Problem> {
    let remote = parts.extensions.get::<Ends>().map(|ends| ends.remote.ip());
    stream.check(&parts.headers, &Source::of(&parts.headers, remote), &state.tokens)?;
    stream.peer.hear();
    if let Some(connection) = parts.extensions.get::<Arc<Lasting>>() {
        connection.lasts();
    }
    let limits = &state.config.limits;
    let is_batch = is_batch(parts);
    let largest = if is_batch { limits.max_post_size } else { limits.max_frame_size };
    let announced = body.size_hint().exact().map_or(largest, |size| usize::try_from(size).unwrap_or(largest));
    let permits = stream.permits(announced.min(largest));
    // room first, so that a client cannot make us hold more than its part
    let room = Arc::clone(&stream.room).acquire_many_owned(permits).await;
    let room = room.map_err(|_| Problem::new(ErrorKind::PeerGone, "the stream has ended"))?;
    let body = body::collect_at_most(body, largest, limits).await?;
    if body.is_empty() {
        return Err(invalid("Empty request body"));
    }
    let frames = if is_batch { split(body, limits.max_frame_size)? } else { vec![body] };
    let number = number(parts)?;
    let state = Arc::clone(state);
    // a task of its own: frames that were taken are passed on even if whoever sent them does not wait for the answer
    let work = tokio::spawn(async move {
        let _room = room;
        work_off(&state, &stream, frames, number).await
    });
    let gone = |_| Problem::new(ErrorKind::Internal, "the server stops");
    work.await.map_err(gone)?.map(|()| StatusCode::OK.into_response())
}

fn is_batch(parts: &Parts) -> bool {
    parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == OURS.as_bytes())
}

fn number(parts: &Parts) -> Result<Option<u64>, Problem> {
    let Some(number) = parts.headers.get(SEQUENCE) else { return Ok(None) };
    let number = number.to_str().ok().and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(|| invalid("the number of a request must be a number"))
}

/// The frames of a body that holds several, each behind its length.
fn split(mut body: Bytes, largest: usize) -> Result<Vec<Bytes>, Problem> {
    let mut frames = Vec::new();
    while body.has_remaining() {
        let len = body.try_get_u32().map_err(|_| invalid("the body ends in the length of a frame"))? as usize;
        if len > largest {
            let text = format!("Message too long: {len} bytes, {largest} are allowed");
            return Err(Problem::new(ErrorKind::TooLarge, text));
        }
        if len > body.remaining() {
            return Err(invalid(format!("a frame of {len} bytes ends after {}", body.remaining())));
        }
        frames.push(body.split_to(len));
    }
    Ok(frames)
}

/// Passes frames on, one request of a stream after the other. One that was worked off already is not worked off again.
async fn work_off(
    state: &Arc<State>,
    stream: &Stream,
    frames: Vec<Bytes>,
    number: Option<u64>,
) -> Result<(), Problem> {
    let mut line = stream.line.lock().await;
    if let Some(number) = number {
        if number <= line.last {
            return Ok(());
        }
        if number != line.last + 1 {
            let text = format!("expected request number {}, found {number}", line.last + 1);
            return Err(Problem::new(ErrorKind::Conflict, text));
        }
        line.last = number;
    }
    for frame in frames {
        pass_on(state, stream, &line, &frame).await?;
    }
    Ok(())
}

async fn pass_on(state: &Arc<State>, stream: &Stream, line: &Line, frame: &Bytes) -> Result<(), Problem> {
    let peer = &stream.peer;
    if peer.queue.is_closed() {
        // as if it came a moment later
        return Err(invalid("the stream of this client is gone"));
    }
    let now = state.hub.elapsed();
    peer.be_active(now);
    if let Some(wait) = line.pace.charge(frame.len(), now, &state.metrics) {
        // requests are answered when they are worked off, so that whoever sends them is slowed
        peer.rest(wait).await;
    }
    if frame.len() <= CONTROL_MAX && control(state, stream, frame).await {
        return Ok(());
    }
    state.hub.deliver(peer, frame).await;
    Ok(())
}

/// Answers a message of control; answers whether it was one.
async fn control(state: &State, stream: &Stream, frame: &Bytes) -> bool {
    let Ok(header) = Header::parse(frame) else { return false };
    if !header.to.is_empty() {
        return false;
    }
    let Some(answer) = state.answer_to_control(&stream.peer, header.kind) else { return false };
    stream.peer.queue.send(Item::Text(answer)).await;
    true
}

fn invalid(text: impl Into<String>) -> Problem {
    Problem::new(ErrorKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(body: &'static [u8]) -> Result<Vec<Bytes>, u16> {
        split(Bytes::from_static(body), 4).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn bodies_of_several_frames_are_taken_apart() {
        assert_eq!(parts(b""), Ok(vec![]));
        assert_eq!(parts(b"\0\0\0\x01a\0\0\0\0\0\0\0\x02bc"), Ok(vec!["a".into(), "".into(), "bc".into()]));
        assert_eq!(parts(b"\0\0\0"), Err(400));
        assert_eq!(parts(b"\0\0\0\x02a"), Err(400));
        assert_eq!(parts(b"\0\0\0\x05abcde"), Err(413));
    }
}
