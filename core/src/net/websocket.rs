//! The websocket transport.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{SinkExt, Stream, StreamExt};
use hyper::header::HeaderMap;
use tokio::net::TcpStream;
use tokio_tungstenite::Connector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, coding::CloseCode};
use tokio_tungstenite::tungstenite::{self, Message as Frame};

use super::headers;
use super::options::{ClientOptions, websocket_url};
use super::socket::SharedSocket;
use super::transport::{Connect, Message, Transport};
use crate::{Error, ErrorKind, Result};

/// What functions are told of the way that their callers came.
const CONNECTION_TYPE: &str = "websocket";
/// Bytes of one frame from the server.
pub(super) const FRAME_MAX: usize = 64 << 20;

/// Bytes read at once. The library empties as many before each read, so there are not too many of them.
const READ_BUFFER: usize = 32 << 10;

/// Connects by websocket; TLS by rustls for `https` and `wss`.
pub(super) struct WebSocket {
    url: String,
    headers: HeaderMap,
    tls: Arc<rustls::ClientConfig>,
}

impl WebSocket {
    pub(super) fn new(options: &ClientOptions) -> Result<Self> {
        Ok(Self {
            url: websocket_url(&options.server_url)?,
            headers: headers::read(&options.headers)?,
            tls: options.tls.config()?,
        })
    }

    /// The request that opens the websocket.
    fn request(&self) -> Result<Request, Refused> {
        let request = self.url.as_str().into_client_request();
        let mut request = request.map_err(|error| self.unreachable(&error))?;
        headers::add(&self.headers, request.headers_mut());
        Ok(request)
    }

    pub(super) async fn open(&self) -> Result<Transport, Refused> {
        // The server adds who speaks to a frame that may already be as long as it takes: the default of 16 MiB
        // would let a peer break our connection with one such frame.
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_frame_size(Some(FRAME_MAX))
            .max_message_size(Some(FRAME_MAX));
        if self.url.starts_with("ws:") {
            self.open_plain(config).await
        } else {
            self.open_secure(config).await
        }
    }

    async fn open_secure(&self, config: WebSocketConfig) -> Result<Transport, Refused> {
        let connector = Some(Connector::Rustls(self.tls.clone()));
        let opened =
            tokio_tungstenite::connect_async_tls_with_config(self.request()?, Some(config), true, connector)
                .await;
        let (socket, _) = opened.map_err(|error| self.refused(&error))?;
        let (outgoing, reading) = socket.split();
        Ok(Transport {
            direct: None,
            connection_type: CONNECTION_TYPE,
            incoming: incoming(reading),
            outgoing: Box::pin(
                outgoing.sink_map_err(|error| broken(&error)).with(|message| ready(Ok(written(message)))),
            ),
        })
    }

    async fn open_plain(&self, config: WebSocketConfig) -> Result<Transport, Refused> {
        let request = self.request()?;
        let host = request.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = request.uri().port_u16().unwrap_or(80);
        let tcp = TcpStream::connect((host, port)).await.map_err(|error| self.unreachable(&error))?;
        // Requests are small and answers are waited for: no delay for the sake of fuller packets.
        tcp.set_nodelay(true).map_err(|error| self.unreachable(&error))?;
        let shared = SharedSocket::new(tcp);
        let opened = tokio_tungstenite::client_async_with_config(request, shared.clone(), Some(config)).await;
        opened.map_err(|error| self.refused(&error))?;
        Ok(Transport {
            direct: Some(Arc::new(shared.clone())),
            connection_type: CONNECTION_TYPE,
            incoming: incoming(shared.incoming(FRAME_MAX)),
            outgoing: Box::pin(shared),
        })
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> Refused {
        Refused::Unreachable(self.error(error))
    }

    fn refused(&self, error: &tungstenite::Error) -> Refused {
        if lacks_websockets(error) {
            Refused::NoWebSocket(self.error(error))
        } else {
            Refused::Unreachable(self.error(error))
        }
    }

    fn error(&self, error: &dyn std::fmt::Display) -> Error {
        Error::new(ErrorKind::PeerGone, format!("cannot connect to {}: {error}", self.url))
    }
}

/// Why there is no websocket.
pub(super) enum Refused {
    /// Nobody is there, or not for us.
    Unreachable(Error),
    /// Somebody is there who does not let websockets through, or does not know them.
    NoWebSocket(Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unreachable(error) | Refused::NoWebSocket(error) => error,
        }
    }
}

/// Whether the upgrade was not understood, or was cut off. Rights are no part of it: they are asked for later, except
/// by proxies that want a password, and those want it for everything.
fn lacks_websockets(error: &tungstenite::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        tungstenite::Error::Http(answer) => !matches!(answer.status().as_u16(), 401 | 407),
        tungstenite::Error::Io(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        tungstenite::Error::Protocol(_) => true,
        _ => false,
    }
}

type Incoming = Pin<Box<dyn Stream<Item = Result<Message>> + Send>>;

fn incoming(frames: impl Stream<Item = Result<Frame, tungstenite::Error>> + Send + 'static) -> Incoming {
    Box::pin(frames.filter_map(|frame| ready(received(frame))))
}

fn written(message: Message) -> Frame {
    match message {
        Message::Text(text) => Frame::text(text),
        Message::Binary(frame) => Frame::Binary(frame),
        Message::Close(reason) => {
            Frame::Close(Some(CloseFrame { code: CloseCode::Normal, reason: reason.into() }))
        }
    }
}

impl Connect for WebSocket {
    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Transport>> + Send + '_>> {
        Box::pin(async { Ok(self.open().await?) })
    }
}

fn received(frame: Result<Frame, tungstenite::Error>) -> Option<Result<Message>> {
    match frame {
        Ok(Frame::Binary(frame)) => Some(Ok(Message::Binary(frame))),
        Ok(Frame::Text(text)) => Some(Ok(Message::Text(text.as_str().to_owned()))),
        Ok(Frame::Close(close)) => {
            let reason = close.map_or_else(
                || "closed by the server".to_owned(),
                |close| format!("{}: {}", u16::from(close.code), close.reason),
            );
            Some(Ok(Message::Close(reason)))
        }
        Ok(_) => None,
        Err(error) => Some(Err(broken(&error))),
    }
}

fn broken(error: &tungstenite::Error) -> Error {
    Error::new(ErrorKind::PeerGone, format!("the connection broke: {error}"))
}
