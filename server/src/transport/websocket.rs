//! `GET /ws`: the upgrade, and the first message by which a client says who it is.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use crate::auth::{AuthMessage, HandshakeError};
use crate::http::problem;
use crate::state::State;
use crate::transport::admission::{Member, admit};
use crate::transport::frames::{self, Reader, Writer};
use crate::transport::session::{self, LAST_WORDS};
use crate::transport::told::error_text;

/// Bytes around the first message: its head, and a ping or two before it.
const FRAME_HEADS: usize = 1 << 10;
/// What belongs into the first message and not into a URL, where it would end up in logs.
const MISPLACED: [&str; 4] = ["workspace", "client_id", "token", "reconnection_token"];

/// Answers the upgrade; the connection goes on in a task of its own.
pub async fn upgrade(Extract(state): Extract<Arc<State>>, mut request: Request<Body>) -> Response {
    let Some(accept) = accept_key(request.method(), request.headers()) else {
        let headers = [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade")];
        return (headers, problem::detail(StatusCode::UPGRADE_REQUIRED, "expected a websocket upgrade"))
            .into_response();
    };
    let misplaced = has_credentials(request.uri().query().unwrap_or_default());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await.map(raw) {
            Ok(Some((stream, read))) => serve(state, stream, read, misplaced).await,
            Ok(None) => tracing::warn!("a websocket came over something else than TCP"),
            Err(error) => tracing::debug!(%error, "a websocket was not opened"),
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The connection itself, and what was read of it already. The buffer of the HTTP connection must not live on here.
fn raw(upgraded: Upgraded) -> Option<(TcpStream, Vec<u8>)> {
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf.to_vec()))
}

/// The answer to the key of a proper upgrade request.
fn accept_key(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    let holds = |name: header::HeaderName, wanted: &str| {
        let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let proper = method == Method::GET
        && holds(header::CONNECTION, "upgrade")
        && holds(header::UPGRADE, "websocket")
        && holds(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| proper)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

fn has_credentials(query: &str) -> bool {
    query.split('&').filter_map(|pair| pair.split('=').next()).any(|key| MISPLACED.contains(&key))
}

async fn serve(state: Arc<State>, stream: TcpStream, read: Vec<u8>, misplaced: bool) {
    let _open = state.metrics.connections.hold();
    let signal = state.shutdown.for_session();
    let limits = &state.config.limits;
    let (first, any) = (limits.max_auth_size.saturating_add(FRAME_HEADS), limits.max_frame_size);
    let from = stream.peer_addr().ok().map(|from| from.ip());
    let (mut reader, writer) = frames::split(stream, read, first, any);
    let joined =
        if misplaced { Err(HandshakeError::legacy()) } else { join(&state, &mut reader, from).await };
    match joined {
        Ok(member) => {
            reader.trust();
            session::run(&state, reader, writer, &member.peer).await;
        }
        Err(error) => {
            state.refused(&error);
            refuse(reader, writer, &error, !misplaced).await;
        }
    }
    drop(signal);
}

async fn join(
    state: &Arc<State>,
    socket: &mut Reader,
    from: Option<IpAddr>,
) -> Result<Member, HandshakeError> {
    let limits = &state.config.limits;
    let hello = timeout(limits.time_to_authenticate.duration(), first_text(socket, limits.max_auth_size));
    let hello = AuthMessage::parse(&hello.await.map_err(|_| HandshakeError::timeout())??)?;
    // after the first message, so that silent sockets keep nobody out
    admit(state, &hello, from, Json::Object).await
}

/// The first message; what is longer than allowed is refused before it is looked at.
async fn first_text(socket: &mut Reader, max: usize) -> Result<String, HandshakeError> {
    loop {
        return match socket.next().await {
            Some(Ok(Message::Text(text))) if text.len() <= max => Ok(text.as_str().to_owned()),
            Some(Ok(Message::Text(_))) => Err(HandshakeError::too_long(max)),
            Some(Err(SocketError::Capacity(_))) => Err(HandshakeError::too_long(max)),
            Some(Err(SocketError::Io(error))) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(HandshakeError::too_long(max))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            _ => Err(HandshakeError::undecodable()),
        };
    }
}

async fn refuse(reader: Reader, mut writer: Writer, error: &HandshakeError, told: bool) {
    let told = told.then(|| error_text(&error.message, Some(error.kind)));
    if timeout(LAST_WORDS, writer.close(error.code, &error.message, told)).await.is_ok() {
        frames::drain(reader, writer).await;
    }
}
