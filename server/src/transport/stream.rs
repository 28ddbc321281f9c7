//! `GET /rpc`: the downstream half of a client that has no websocket, an answer that does not end (protocol section 16).
//!
//! It holds length-prefixed frames: four bytes, big-endian, and a frame or one map of control. The upstream half are
//! POSTs to the same place.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use polyfn_core::codec::Writer;
use polyfn_core::wire::Route;
use polyfn_core::{Result, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use tokio::time::timeout;

use crate::auth::{AuthMessage, HandshakeError, identify};
use crate::http::problem::{Form, Problem};
use crate::http::{Ends, method_not_allowed};
use crate::hub::{Ending, Item, Next};
use crate::listener::Lasting;
use crate::state::State;
use crate::transport::admission::{Member, admit};
use crate::transport::streams::{Secret, Source, Stream};
use crate::transport::told::error_text;

pub use super::upstream::post;

/// The header by which our clients show the secret of their stream.
pub const SECRET: HeaderName = HeaderName::from_static("polyfn-stream-secret");
/// The header by which our clients number their requests, so that one which was repeated is not worked off twice.
pub const SEQUENCE: HeaderName = HeaderName::from_static("polyfn-sequence");
/// The header in which our clients come back with their reconnection token.
pub const RECONNECTION: HeaderName = HeaderName::from_static("polyfn-reconnection-token");
/// What clients and servers of ours call the stream, and bodies of several frames.
pub(super) const OURS: &str = "application/x-polyfn-stream";
/// What all others call it.
const PLAIN: &str = "application/x-msgpack-stream";
/// What others are told when they were let in, in this order.
const INFO: [&str; 7] = [
    "type",
    "workspace",
    "client_id",
    "manager_id",
    "reconnection_token",
    "reconnection_token_life_time",
    "public_base_url",
];
/// Frames up to this size are copied behind each other, longer ones are sent from where they are.
const COPIED: usize = 16 << 10;
/// `{"type": "ping"}` behind its length.
const PING: &[u8] = b"\0\0\0\x0b\x81\xa4type\xa4ping";

/// The place of a client, as the query names it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Place {
    pub(super) client_id: Option<String>,
    pub(super) workspace: Option<String>,
    reconnection_token: Option<String>,
    /// Extensions of the protocol, separated by commas.
    extensions: Option<String>,
}

impl Place {
    /// # Errors
    /// Says what is wrong with the query.
    pub(super) fn of(parts: &Parts) -> Result<Self, String> {
        let Query(place) = Query::<Self>::try_from_uri(&parts.uri).map_err(|error| error.body_text())?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self { client_id: given(place.client_id), workspace: given(place.workspace), ..place })
    }
}

/// Opens a stream, or says why not.
pub async fn open(Extract(state): Extract<Arc<State>>, request: Request) -> Response {
    // a HEAD has no body by which the client could be told anything
    if request.method() != Method::GET {
        return method_not_allowed().await;
    }
    let (parts, _) = request.into_parts();
    match accept(&state, &parts).await {
        Ok(response) => response,
        Err(error) => {
            state.refused(&error);
            Problem::new(error.kind, error.message).with_status(error.status).answer(Form::Reference)
        }
    }
}

async fn accept(state: &Arc<State>, parts: &Parts) -> Result<Response, HandshakeError> {
    let hello = hello(parts)?;
    let is_ours = accepts(&parts.headers, OURS);
    let mut secret = None;
    let remote = parts.extensions.get::<Ends>().map(|ends| ends.remote.ip());
    let admitted = admit(state, &hello, remote, |info| {
        let made = Secret::new(&address(&info));
        let told = told(info, made.as_ref().ok().filter(|_| is_ours));
        secret = Some(made);
        told
    });
    let member = admitted.await.map_err(|error| renamed(error, &hello))?;
    let Some(Ok(secret)) = secret else {
        return Err(HandshakeError::establish("no randomness for a secret"));
    };
    let stream = Arc::new(Stream::new(
        Arc::clone(&member.peer),
        secret,
        &parts.headers,
        Source::of(&parts.headers, remote),
        is_ours || state.config.require_stream_proof,
        state,
    ));
    state.streams.put(&stream);
    if let Some(connection) = parts.extensions.get::<Arc<Lasting>>() {
        connection.carries(&member.peer);
    }
    let mut response = Response::new(Downstream::body(state, &stream, member));
    name(response.headers_mut(), state, &stream.secret, is_ours);
    Ok(response)
}

/// What the websocket's first message would say.
fn hello(parts: &Parts) -> Result<AuthMessage, HandshakeError> {
    let place = Place::of(parts).map_err(HandshakeError::establish)?;
    let token = identify::credentials(&parts.headers).map_err(HandshakeError::from)?;
    let header = parts.headers.get(RECONNECTION).and_then(|token| token.to_str().ok());
    let extensions = place.extensions.as_deref().unwrap_or_default().split(',');
    let random = || std::iter::repeat_with(fastrand::alphanumeric).take(22).collect();
    Ok(AuthMessage {
        client_id: Some(place.client_id.unwrap_or_else(random)),
        workspace: place.workspace,
        token,
        reconnection_token: header.map(str::to_owned).or(place.reconnection_token),
        extensions: extensions.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        secluded: true,
    })
}

/// A refused reconnection token has a text of its own.
fn renamed(error: HandshakeError, hello: &AuthMessage) -> HandshakeError {
    if error.status != StatusCode::UNAUTHORIZED || hello.reconnection_token.is_none() {
        return error;
    }
    HandshakeError { message: format!("Invalid reconnection token: {}", error.message), ..error }
}

fn accepts(headers: &HeaderMap, media: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|word| word.split(';').next().map(str::trim) == Some(media))
}

fn address(info: &Map<String, Json>) -> String {
    let text = |key: &str| info.get(key).and_then(Json::as_str).unwrap_or_default();
    format!("{}/{}", text("workspace"), text("client_id"))
}

/// What the client is told first: with a secret when it is one of ours, less than on a websocket when it is not.
fn told(mut info: Map<String, Json>, secret: Option<&Secret>) -> Json {
    if let Some(secret) = secret {
        info.insert("stream_secret".to_owned(), secret.text().into());
        return Json::Object(info);
    }
    let extensions = info.remove_entry("extensions");
    let entries = INFO.iter().filter_map(|key| info.remove_entry(*key));
    Json::Object(entries.chain(extensions).collect())
}

fn name(headers: &mut HeaderMap, state: &State, secret: &Secret, is_ours: bool) {
    let mut put = |name, text: &'static str| headers.insert(name, HeaderValue::from_static(text));
    put(header::CONTENT_TYPE, if is_ours { OURS } else { PLAIN });
    put(header::CACHE_CONTROL, "no-cache");
    put(HeaderName::from_static("x-accel-buffering"), "no");
    // the connection belongs to the stream and ends with it
    put(header::CONNECTION, "close");
    let secure = state.public_base_url.starts_with("https:");
    let cookie = secret.set_cookie(&state.config.base_path, secure);
    if let Some(cookie) = HeaderValue::from_str(&cookie).ok().filter(|_| !is_ours) {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

/// What is written into one stream. The client leaves when this is dropped, which happens as soon as its connection
/// ends.
struct Downstream {
    state: Arc<State>,
    stream: Arc<Stream>,
    /// Pieces that wait to be taken.
    ready: VecDeque<Bytes>,
    has_ended: bool,
    idle: Duration,
    _member: Member,
}

impl Drop for Downstream {
    fn drop(&mut self) {
        self.state.streams.remove(&self.stream);
    }
}

impl Downstream {
    fn body(state: &Arc<State>, stream: &Arc<Stream>, member: Member) -> Body {
        let downstream = Self {
            idle: state.config.limits.stream_ping_interval.duration(),
            state: Arc::clone(state),
            stream: Arc::clone(stream),
            ready: VecDeque::new(),
            has_ended: false,
            _member: member,
        };
        Body::from_stream(futures_util::stream::unfold(downstream, Self::next))
    }

    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some((Ok(piece), self));
            }
            if self.has_ended {
                return None;
            }
            match timeout(self.idle, self.stream.peer.queue.next()).await {
                Err(_) => self.ready.push_back(Bytes::from_static(PING)),
                Ok(Next::Batch(items)) => self.take(items),
                Ok(Next::End(Ending::Close { reason, told, .. })) => {
                    self.has_ended = true;
                    if told {
                        self.take(vec![Item::Text(error_text(&reason, None))]);
                    }
                }
                // the connection is cut as well, by whoever watches over it
                Ok(Next::End(Ending::Cut)) => self.has_ended = true,
            }
        }
    }

    /// Makes pieces of the items, the small ones together.
    fn take(&mut self, items: Vec<Item>) {
        let mut out = Vec::new();
        for item in items {
            match item {
                Item::Frame(frame) if frame.len() > COPIED => {
                    out.extend_from_slice(&length(frame.len()));
                    self.ready.push_back(std::mem::take(&mut out).into());
                    self.ready.push_back(frame);
                }
                Item::Frame(frame) => put(&mut out, &frame),
                Item::Text(text) => control(&text).into_iter().for_each(|map| put(&mut out, &map)),
                Item::Ping => self.question().into_iter().for_each(|frame| put(&mut out, &frame)),
                // nobody asks us here
                Item::Pong(_) => {}
            }
        }
        if !out.is_empty() {
            self.ready.push_back(out.into());
        }
    }

    /// A call that every client answers: on a stream there is no other way to ask whether anybody is there. Nobody
    /// waits for what it says.
    fn question(&self) -> Result<Vec<u8>> {
        let (peer, hub) = (&self.stream.peer, &self.state.hub);
        let from = format!("*/{}", hub.gateway.id());
        let session = format!("{:016x}", fastrand::u64(..));
        let root = hub.root_user();
        let mut out = Writer::new();
        let route = Route {
            from: &from,
            to: peer.address(),
            method: "services.built-in.ping",
            session: Some(&session),
            identity: Some((peer.workspace(), &root)),
            ..Route::default()
        };
        route.write(&mut out)?;
        out.open_map(3)?;
        out.text("args")?;
        out.open_list(1)?;
        out.text("ping")?;
        out.close();
        out.text("promise")?;
        out.text("*")?;
        out.text("t")?;
        out.float(5.0)?;
        out.close();
        Ok(out.into_bytes())
    }
}

/// A message of control, which is JSON elsewhere, as a map.
fn control(text: &str) -> Option<Vec<u8>> {
    let json: Json = serde_json::from_str(text).ok()?;
    Value::from(json).to_msgpack().ok()
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

fn put(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend_from_slice(&length(payload.len()));
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ping_is_what_it_says() {
        assert_eq!(PING[4..], control(r#"{"type":"ping"}"#).unwrap());
        assert_eq!(PING[..4], length(PING.len() - 4));
    }

    #[test]
    fn others_are_told_what_the_protocol_says_and_in_its_order() {
        let all: Map<String, Json> = INFO
            .iter()
            .rev()
            .chain(&["user", "hypha_version"])
            .map(|key| ((*key).to_owned(), 1.into()))
            .collect();
        let told = told(all, None);
        assert_eq!(told.as_object().unwrap().keys().collect::<Vec<_>>(), INFO);
    }
}
