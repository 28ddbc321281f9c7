//! A client that says exactly what it is told.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use polyfn_core::wire::{Body, Header};
use polyfn_core::{Map, Value};
use polyfn_server::Running;
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) info: Json,
    calls: usize,
}

/// How a connection ended: the messages before, the code and the reason of the close frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) texts: Vec<String>,
    pub(crate) close: Option<(u16, String)>,
}

/// What a frame holds, taken apart.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) ws: String,
    pub(crate) method: String,
    pub(crate) session: Option<String>,
    /// The whole first segment.
    pub(crate) head: Map,
    /// The first argument.
    pub(crate) argument: Value,
}

impl Peer {
    /// A socket that has not said anything yet.
    pub(crate) async fn open(running: &Running, query: &str) -> Self {
        let url = format!("ws://{}/ws{query}", running.address());
        let (socket, _) = connect_async(url).await.unwrap();
        Self { socket, info: Json::Null, calls: 0 }
    }

    /// A client that was let in.
    pub(crate) async fn join(running: &Running, hello: &Json) -> Self {
        let mut peer = Self::open(running, "").await;
        peer.say(&hello.to_string()).await;
        peer.info = serde_json::from_str(&peer.text().await).unwrap();
        assert_eq!(peer.info["type"], "connection_info", "{}", peer.info);
        peer
    }

    /// A client with a token, registered.
    pub(crate) async fn named(running: &Running, client: &str, token: &str) -> Self {
        let mut peer = Self::join(running, &json!({"client_id": client, "token": token})).await;
        let info = peer.service("built-in", &[("visibility", "public")]);
        peer.manager("register_service", vec![info]).await.unwrap();
        peer
    }

    /// What is refused, and how.
    pub(crate) async fn refused(running: &Running, first: Message) -> Ended {
        let mut peer = Self::open(running, "").await;
        peer.socket.send(first).await.unwrap();
        peer.ended().await
    }

    pub(crate) fn address(&self) -> String {
        format!("{}/{}", self.workspace(), self.info["client_id"].as_str().unwrap())
    }

    pub(crate) fn workspace(&self) -> &str {
        self.info["workspace"].as_str().unwrap()
    }

    pub(crate) fn back(&self) -> Json {
        let token = self.info["reconnection_token"].as_str().unwrap();
        json!({"client_id": self.info["client_id"], "reconnection_token": token})
    }

    /// The description of a service of this client.
    pub(crate) fn service(&self, id: &str, config: &[(&str, &str)]) -> Value {
        let config: Map = config.iter().copied().collect();
        let schema = Map::from_iter([("run", Value::Map(Map::from_iter([("type", "function")])))]);
        Value::Map(Map::from_iter([
            ("id", Value::from(format!("{}:{id}", self.address()))),
            ("config", Value::Map(config)),
            ("service_schema", Value::Map(schema)),
        ]))
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Some(Message::Text(text)) => text.as_str().to_owned(),
            other => panic!("expected a text, found {other:?}"),
        }
    }

    async fn next(&mut self) -> Option<Message> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut ended = Ended { texts: Vec::new(), close: None };
        while let Some(message) = self.next().await {
            match message {
                Message::Text(text) => ended.texts.push(text.as_str().to_owned()),
                Message::Close(frame) => {
                    ended.close = frame.map(|f| (f.code.into(), f.reason.as_str().to_owned()));
                }
                _ => {}
            }
        }
        ended
    }

    pub(crate) async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
        self.ended().await;
    }

    /// Sends two segments.
    pub(crate) async fn send(&mut self, head: &Value, body: Option<&Value>) {
        let mut bytes = head.to_msgpack().unwrap();
        bytes.extend(body.map(|body| body.to_msgpack().unwrap()).unwrap_or_default());
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Frame {
        match self.next().await {
            Some(Message::Binary(bytes)) => take_apart(&bytes),
            other => panic!("expected a frame, found {other:?}"),
        }
    }

    /// Begins a call; gives its session.
    pub(crate) async fn call(&mut self, to: &str, method: &str, args: Vec<Value>) -> String {
        self.calls += 1;
        let session = format!("call{}", self.calls);
        let head = Map::from_iter([
            ("type", "method"),
            ("from", "who/cares"),
            ("to", to),
            ("method", method),
            ("session", &session),
        ]);
        let body = Map::from_iter([
            ("args", Value::List(args)),
            ("promise", Value::from("*")),
            ("t", Value::Float(5.0)),
        ]);
        self.send(&Value::Map(head), Some(&Value::Map(body))).await;
        session
    }

    /// The end of a call.
    pub(crate) async fn end(&mut self, session: &str) -> Result<Value, String> {
        let [resolve, reject] = ["resolve", "reject"].map(|end| format!("{session}.{end}"));
        loop {
            let frame = self.frame().await;
            if frame.method == resolve {
                return Ok(frame.argument);
            }
            if frame.method == reject {
                return Err(text_of(&frame.argument));
            }
        }
    }

    /// Calls a method of the manager.
    pub(crate) async fn manager(&mut self, name: &str, args: Vec<Value>) -> Result<Value, String> {
        let session = self.call("*/manager-x", &format!("services.default.{name}"), args).await;
        self.end(&session).await
    }

    /// Answers a call with one value.
    pub(crate) async fn answer(&mut self, call: &Frame, value: Value) {
        let method = format!("{}.resolve", call.session.as_deref().unwrap());
        let head =
            Map::from_iter([("type", "method"), ("to", &*call.from), ("from", ""), ("method", &*method)]);
        let body = Map::from_iter([("args", Value::List(vec![value]))]);
        self.send(&Value::Map(head), Some(&Value::Map(body))).await;
    }

    /// Whether nothing came before the answer to a message of our own.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        self.say(r#"{"type":"ping"}"#).await;
        matches!(self.next().await, Some(Message::Text(text)) if text.as_str() == r#"{"type":"pong"}"#)
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => match &**tagged {
            polyfn_core::codec::Tagged::Error(error) => error.message().to_owned(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}

fn take_apart(bytes: &Bytes) -> Frame {
    let header = Header::parse(bytes).unwrap();
    let Value::Map(head) = polyfn_core::codec::Reader::new(bytes).value().unwrap() else { panic!("no map") };
    let argument = match header.kind {
        "method" => {
            let body = Body::parse(bytes, header.end).unwrap();
            match polyfn_core::codec::Reader::new(&body.args).value().unwrap() {
                Value::List(args) => args.into_iter().next().unwrap_or_default(),
                other => other,
            }
        }
        _ => head.get("data").cloned().unwrap_or_default(),
    };
    Frame {
        kind: header.kind.to_owned(),
        from: header.from.to_owned(),
        to: header.to.to_owned(),
        ws: header.ws.to_owned(),
        method: header.method.to_owned(),
        session: header.session.map(str::to_owned),
        argument,
        head,
    }
}
