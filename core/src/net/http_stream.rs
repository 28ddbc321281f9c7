//! The transport over plain HTTP (protocol section 16): what the server says comes in the answer to one GET, which does
//! not end; what we say leaves in POSTs, one after the other.
//!
//! A server of ours takes many frames in one request, and knows by its number one that was sent again. Others take one
//! frame at a time, and one that may have arrived is not sent again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use hyper::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::headers;
use super::http_client::{Detail, Sender, Target, detail};
use super::options::{ClientOptions, http_url};
use super::transport::{Connect, Message, Transport};
use super::websocket::FRAME_MAX;
use crate::codec::Reader;
use crate::wire::Header;
use crate::{Error, ErrorKind, Result, Value};

/// What servers and clients of ours call the stream, and bodies of several frames.
const OURS: &str = "application/x-polyfn-stream";
/// What all others call it.
const PLAIN: &str = "application/x-msgpack-stream";
/// What all others call a body, which holds one frame.
const SINGLE: &str = "application/msgpack";
const SECRET: &str = "polyfn-stream-secret";
const SEQUENCE: &str = "polyfn-sequence";
const RECONNECTION: &str = "polyfn-reconnection-token";

/// Messages between the driver and the two halves of the stream.
const CAPACITY: usize = 64;
/// Bytes of frames that leave in one request, unless a single one is longer.
const BATCH: usize = 1 << 20;
/// How often a request is tried.
const ATTEMPTS: u32 = 4;
/// How long to wait before it is tried again, times the number of tries.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a request may take. A server makes us wait when those who we speak to are slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// Connects by HTTP; TLS by rustls for `https` and `wss`.
pub(super) struct HttpStream {
    target: Arc<Target>,
    /// The server is one of ours: it takes a reconnection token where no log shows it.
    is_ours: Arc<AtomicBool>,
}

impl HttpStream {
    pub(super) fn new(options: &ClientOptions) -> Result<Self> {
        let mut target = Target::new(&format!("{}/rpc", http_url(&options.server_url)?))?;
        target.headers = headers::read(&options.headers)?;
        target.tls = options.tls.config()?;
        Ok(Self { target: Arc::new(target), is_ours: Arc::default() })
    }

    /// A transport that opens the stream when it is given the first message. `because` tells in errors why no better
    /// way was taken.
    pub(super) fn transport(&self, because: Option<String>) -> Transport {
        let (to_server, from_driver) = mpsc::channel(CAPACITY);
        let (to_driver, from_server) = mpsc::channel(CAPACITY);
        let connection = Conversation { target: self.target.clone(), is_ours: self.is_ours.clone(), because };
        tokio::spawn(connection.run(from_driver, to_driver));
        let gone = || Error::new(ErrorKind::PeerGone, "the stream has ended");
        let outgoing =
            futures_util::sink::unfold(to_server, move |sender: mpsc::Sender<_>, message| async move {
                sender.send(message).await.map_err(|_| gone())?;
                Ok(sender)
            });
        let incoming = stream::unfold(from_server, |mut receiver| async move {
            let message = receiver.recv().await?;
            Some((message, receiver))
        });
        Transport {
            incoming: Box::pin(incoming),
            outgoing: Box::pin(outgoing.sink_map_err(|error: Error| error)),
            direct: None,
            connection_type: "http_streaming",
        }
    }
}

impl Connect for HttpStream {
    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Transport>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(self.transport(None))))
    }
}

type ToDriver = mpsc::Sender<Result<Message>>;
type FromDriver = mpsc::Receiver<Message>;

struct Conversation {
    target: Arc<Target>,
    is_ours: Arc<AtomicBool>,
    because: Option<String>,
}

impl Conversation {
    /// Runs until one side ends it.
    async fn run(self, mut from_driver: FromDriver, to_driver: ToDriver) {
        let end = tokio::select! {
            end = self.converse(&mut from_driver, &to_driver) => end,
            () = to_driver.closed() => return,
        };
        let last = end.map(|()| Message::Close("closed".to_owned())).map_err(|error| self.explained(error));
        // the driver may have gone, which is no reason to complain
        _ = to_driver.send(last).await;
    }

    fn explained(&self, error: Error) -> Error {
        match &self.because {
            Some(because) => Error::new(error.kind(), format!("{}, after {because}", error.message())),
            None => error,
        }
    }

    async fn converse(&self, from_driver: &mut FromDriver, to_driver: &ToDriver) -> Result<()> {
        let Some(Message::Text(hello)) = from_driver.recv().await else { return Ok(()) };
        let hello = Hello::read(&hello)?;
        let answer = self.ask(&hello).await?;
        if answer.status() != StatusCode::OK {
            let refusal = self.refusal(answer).await?;
            _ = to_driver.send(Ok(refusal)).await;
            return Ok(());
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_ours = kind.starts_with(OURS);
        if !is_ours && !kind.starts_with(PLAIN) {
            let text = format!("{} answers with `{kind}`, which is no stream", self.target.url());
            return Err(Error::new(ErrorKind::PeerGone, text));
        }
        self.is_ours.store(is_ours, Ordering::Relaxed);
        let mut downstream = Downstream { body: answer.into_body(), buffer: BytesMut::new() };
        let info = downstream.next().await?;
        let info = control(&info)
            .ok_or_else(|| Error::invalid("the stream does not begin with `connection_info`"))?;
        let upstream = Upstream::new(&self.target, &hello, &info, is_ours)?;
        _ = to_driver.send(Ok(Message::Text(info.to_string()))).await;
        tokio::select! {
            end = downstream.pass_on(to_driver) => end,
            end = upstream.pass_on(from_driver) => end,
        }
    }

    async fn ask(&self, hello: &Hello) -> Result<Response<Incoming>> {
        let mut query = hello.query();
        let mut request = None;
        if let Some(token) = &hello.reconnection_token {
            if self.is_ours.load(Ordering::Relaxed) {
                request = Some((RECONNECTION, token));
            } else {
                query.push_str(&format!("&reconnection_token={}", encoded(token)));
            }
        }
        let mut asked = self.target.request("GET", &query).header(ACCEPT, format!("{OURS}, {PLAIN}"));
        if let Some((name, token)) = request {
            asked = asked.header(name, token);
        }
        if let Some(token) = &hello.token {
            asked = asked.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut sender = self.target.open().await?;
        let answer = sender.send_request(self.target.with_body(asked, Bytes::new())?).await;
        answer.map_err(|error| broken(&self.target, &error))
    }

    /// What the server says when it does not let us in; an error when it said nothing of the kind.
    async fn refusal(&self, answer: Response<Incoming>) -> Result<Message> {
        let Detail { status, said, code } = detail(answer).await;
        if matches!(status.as_u16(), 400 | 401 | 403 | 409) {
            let text = serde_json::json!({"type": "error", "message": said, "code": code}).to_string();
            return Ok(Message::Text(text));
        }
        let text = format!("{} answers {}: {said}", self.target.url(), status.as_u16());
        Err(Error::new(ErrorKind::PeerGone, text))
    }
}

/// The first message of the driver, which a websocket would carry as it is.
struct Hello {
    client_id: String,
    workspace: Option<String>,
    token: Option<String>,
    reconnection_token: Option<String>,
    extensions: Vec<String>,
}

impl Hello {
    fn read(text: &str) -> Result<Self> {
        let json: Json = serde_json::from_str(text).map_err(|error| Error::invalid(error.to_string()))?;
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        let extensions = json["extensions"].as_array().into_iter().flatten();
        Ok(Self {
            client_id: text("client_id").unwrap_or_default(),
            workspace: text("workspace"),
            token: text("token"),
            reconnection_token: text("reconnection_token"),
            extensions: extensions.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        })
    }

    fn query(&self) -> String {
        let mut query = format!("client_id={}", encoded(&self.client_id));
        if let Some(workspace) = &self.workspace {
            query.push_str(&format!("&workspace={}", encoded(workspace)));
        }
        if !self.extensions.is_empty() {
            query.push_str(&format!("&extensions={}", encoded(&self.extensions.join(","))));
        }
        query
    }
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

fn broken(target: &Target, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::PeerGone, format!("the connection to {} broke: {error}", target.url()))
}

/// What comes.
struct Downstream {
    body: Incoming,
    buffer: BytesMut,
}

impl Downstream {
    /// The next message.
    async fn next(&mut self) -> Result<Bytes> {
        const HEAD: usize = 4;
        loop {
            if let Some(mut head) = self.buffer.get(..HEAD) {
                let len = head.get_u32() as usize;
                if len > FRAME_MAX {
                    let text = format!("the server sends {len} bytes at once, {FRAME_MAX} are allowed");
                    return Err(Error::new(ErrorKind::TooLarge, text));
                }
                if self.buffer.len() >= HEAD + len {
                    self.buffer.advance(HEAD);
                    return Ok(self.buffer.split_to(len).freeze());
                }
                self.buffer.reserve(HEAD + len - self.buffer.len());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::new(ErrorKind::PeerGone, format!("the stream broke: {error}")));
                }
                None => return Err(Error::new(ErrorKind::PeerGone, "the server ended the stream")),
            }
        }
    }

    async fn pass_on(mut self, to_driver: &ToDriver) -> Result<()> {
        loop {
            let frame = self.next().await?;
            let message = match control(&frame) {
                Some(json) => Message::Text(json.to_string()),
                None => Message::Binary(frame),
            };
            if to_driver.send(Ok(message)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// A message of control as JSON, as a websocket would bring it; `None` for a frame. Only the server speaks without
/// naming itself.
fn control(frame: &Bytes) -> Option<Json> {
    let header = Header::parse(frame).ok()?;
    let is_control =
        matches!(header.kind, "connection_info" | "ping" | "pong" | "reconnection_token" | "error");
    if !is_control || !header.from.is_empty() {
        return None;
    }
    Reader::new(frame).value().ok()?.to_json().ok()
}

/// What goes.
struct Upstream {
    target: Arc<Target>,
    query: String,
    token: Option<String>,
    /// Known of a server of ours only.
    secret: Option<String>,
    /// The number of the last request.
    sequence: u64,
    sender: Option<Sender>,
}

/// Why a request did not do.
enum Failure {
    /// It may be tried again.
    Passing(Error),
    /// It may have been taken, and there is no way to know.
    Unclear(Error),
    /// It was refused.
    Final(Error),
}

impl Upstream {
    fn new(target: &Arc<Target>, hello: &Hello, info: &Json, is_ours: bool) -> Result<Self> {
        let text = |key: &str| info[key].as_str();
        let workspace = text("workspace").unwrap_or_default();
        let client = text("client_id").unwrap_or(&hello.client_id);
        let query = format!("client_id={}&workspace={}", encoded(client), encoded(workspace));
        let secret = text("stream_secret").map(str::to_owned);
        if is_ours && secret.is_none() {
            return Err(Error::invalid("the server did not say `stream_secret`"));
        }
        Ok(Self {
            target: target.clone(),
            query,
            token: hello.token.clone(),
            secret: secret.filter(|_| is_ours),
            sequence: 0,
            sender: None,
        })
    }

    /// Sends what the driver says until it says goodbye.
    async fn pass_on(mut self, from_driver: &mut FromDriver) -> Result<()> {
        loop {
            let mut batch = BytesMut::new();
            let Some(mut message) = from_driver.recv().await else { return Ok(()) };
            loop {
                match message {
                    Message::Close(_) => return self.send(batch.freeze()).await,
                    Message::Binary(frame) => self.add(&mut batch, &frame).await?,
                    Message::Text(text) => self.add(&mut batch, &packed(&text)?).await?,
                }
                if batch.len() >= BATCH {
                    break;
                }
                match from_driver.try_recv() {
                    Ok(next) => message = next,
                    Err(_) => break,
                }
            }
            self.send(batch.freeze()).await?;
        }
    }

    /// Puts a frame into the batch; where there are no batches it is sent at once.
    async fn add(&mut self, batch: &mut BytesMut, frame: &Bytes) -> Result<()> {
        if self.secret.is_none() {
            return self.send(frame.clone()).await;
        }
        let len = u32::try_from(frame.len())
            .map_err(|_| Error::new(ErrorKind::TooLarge, "a frame is longer than 4 GiB"))?;
        batch.reserve(frame.len() + 4);
        batch.put_u32(len);
        batch.put_slice(frame);
        Ok(())
    }

    async fn send(&mut self, body: Bytes) -> Result<()> {
        if body.is_empty() {
            return Ok(());
        }
        self.sequence += 1;
        let mut attempt = 1;
        loop {
            let tried = tokio::time::timeout(PATIENCE, self.attempt(body.clone())).await;
            let tried = tried.unwrap_or_else(|_| Err(Failure::Unclear(self.mute())));
            let error = match tried {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Unclear(error)) if self.secret.is_none() => return Err(error),
                Err(Failure::Unclear(error) | Failure::Passing(error)) => error,
            };
            self.sender = None;
            if attempt == ATTEMPTS {
                return Err(error);
            }
            tracing::debug!(%error, attempt, "a request is sent again");
            tokio::time::sleep(PAUSE * attempt).await;
            attempt += 1;
        }
    }

    fn mute(&self) -> Error {
        let text = format!("{} gave no answer in {} s", self.target.url(), PATIENCE.as_secs());
        Error::new(ErrorKind::PeerGone, text)
    }

    async fn attempt(&mut self, body: Bytes) -> Result<(), Failure> {
        let request = self.request(body).map_err(Failure::Final)?;
        let sender = self.sender().await.map_err(Failure::Passing)?;
        let answer = match sender.try_send_request(request).await {
            Ok(answer) => answer,
            Err(mut failed) => {
                let was_kept = failed.take_message().is_some();
                let error = broken(&self.target, failed.error());
                return Err(if was_kept { Failure::Passing(error) } else { Failure::Unclear(error) });
            }
        };
        let Detail { status, said, .. } = detail(answer).await;
        let error = || {
            let text = format!("{} answers {}: {said}", self.target.url(), status.as_u16());
            Error::new(ErrorKind::PeerGone, text)
        };
        match status.as_u16() {
            200..300 => Ok(()),
            // behind a balancer another server may have been asked, which does not know us
            400 | 429 | 502..=504 => Err(Failure::Passing(error())),
            _ => Err(Failure::Final(error())),
        }
    }

    fn request(&self, body: Bytes) -> Result<hyper::Request<http_body_util::Full<Bytes>>> {
        let mut request = self.target.request("POST", &self.query);
        request = match &self.secret {
            Some(secret) => {
                request.header(CONTENT_TYPE, OURS).header(SECRET, secret).header(SEQUENCE, self.sequence)
            }
            None => request.header(CONTENT_TYPE, SINGLE),
        };
        if let Some(token) = self.token.as_ref().filter(|_| self.secret.is_none()) {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        self.target.with_body(request, body)
    }

    /// A connection that is ready for a request.
    async fn sender(&mut self) -> Result<&mut Sender> {
        let mut open = self.sender.take();
        if let Some(sender) = &mut open
            && sender.ready().await.is_err()
        {
            open = None;
        }
        let sender = match open {
            Some(sender) => sender,
            None => self.target.open().await?,
        };
        Ok(self.sender.insert(sender))
    }
}

/// A message of control as the map that it is here.
fn packed(text: &str) -> Result<Bytes> {
    let json: Json = serde_json::from_str(text).map_err(|error| Error::invalid(error.to_string()))?;
    Value::from(json).to_msgpack().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_server_sends_control() {
        let frame = |json: Json| packed(&json.to_string()).unwrap();
        assert!(control(&frame(serde_json::json!({"type": "ping"}))).is_some());
        assert!(control(&frame(serde_json::json!({"type": "ping", "from": "ws/peer"}))).is_none());
        assert!(control(&frame(serde_json::json!({"type": "service_added", "to": "*"}))).is_none());
    }

    #[test]
    fn names_are_quoted_in_the_query() {
        let hello =
            Hello::read(r#"{"client_id": "a&b", "workspace": null, "extensions": ["cancel", "trace"]}"#);
        assert_eq!(hello.unwrap().query(), "client_id=a%26b&extensions=cancel%2Ctrace");
    }
}
