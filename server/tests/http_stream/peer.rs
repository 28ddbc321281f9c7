//! A client that says exactly what it is told.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use polyfn_core::codec::{Reader, Tagged};
use polyfn_core::wire::{Body, Header};
use polyfn_core::{Map, Value};
use polyfn_server::Running;
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// One answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn detail(&self) -> String {
        let json: Json = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json["success"], false, "{json}");
        json["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends a request with a connection of its own; `more` are whole header lines.
pub(crate) async fn post(address: SocketAddr, query: &str, more: &[&str], body: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let length = format!("content-length: {}", body.len());
    let lines = [&["connection: close", &length], more].concat();
    send(&mut socket, "POST", query, &lines, body).await;
    let mut all = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut all)).await.unwrap().unwrap();
    let end = all.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Answer { status: status(&head), body: Bytes::from(all).slice(end + 4..) }
}

async fn send(socket: &mut TcpStream, method: &str, query: &str, more: &[&str], body: &[u8]) {
    let first = format!("{method} /rpc?{query} HTTP/1.1");
    let head = [&[first.as_str(), "host: test"], more].concat().join("\r\n") + "\r\n\r\n";
    socket.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A client with an open stream.
pub(crate) struct Peer {
    socket: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) head: String,
    pub(crate) info: Map,
    /// What came over the network, with the marks of its pieces.
    raw: BytesMut,
    /// What the pieces hold.
    buffer: BytesMut,
    /// Header lines of each request.
    pub(crate) shows: Vec<String>,
    calls: usize,
}

/// What a frame holds, taken apart.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: String,
    pub(crate) from: String,
    pub(crate) method: String,
    pub(crate) session: Option<String>,
    /// The whole first segment.
    pub(crate) head: Map,
    /// The first argument.
    pub(crate) argument: Value,
}

impl Peer {
    /// Asks for a stream; gives the answer when there is none.
    pub(crate) async fn open(running: &Running, query: &str, more: &[&str]) -> Result<Self, Answer> {
        let address = running.address();
        let mut socket = TcpStream::connect(address).await.unwrap();
        send(&mut socket, "GET", query, more, b"").await;
        let mut raw = BytesMut::new();
        let end = loop {
            assert_ne!(timeout(PATIENCE, socket.read_buf(&mut raw)).await.unwrap().unwrap(), 0, "no answer");
            if let Some(end) = raw.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
        };
        let head = String::from_utf8(raw.split_to(end).to_vec()).unwrap();
        raw.advance(4);
        let mut peer = Self {
            socket,
            address,
            head,
            info: Map::new(),
            raw,
            buffer: BytesMut::new(),
            shows: Vec::new(),
            calls: 0,
        };
        let status = status(&peer.head);
        if status != 200 {
            let wanted = peer.head.to_lowercase();
            let wanted =
                wanted.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().to_owned();
            while peer.raw.len() < wanted.parse().unwrap() {
                timeout(PATIENCE, peer.socket.read_buf(&mut peer.raw)).await.unwrap().unwrap();
            }
            return Err(Answer { status, body: peer.raw.clone().freeze() });
        }
        let first = peer.next().await.unwrap();
        peer.info = map(&first);
        assert_eq!(peer.info.text("type"), Some("connection_info"), "{:?}", peer.info);
        Ok(peer)
    }

    /// A client that shows its token with each request.
    pub(crate) async fn join(running: &Running, client: &str, token: &str) -> Self {
        let line = format!("authorization: Bearer {token}");
        let mut peer = Self::open(running, &format!("client_id={client}"), &[&line]).await.unwrap();
        peer.shows.push(line);
        peer
    }

    /// The same, registered.
    pub(crate) async fn named(running: &Running, client: &str, token: &str) -> Self {
        let mut peer = Self::join(running, client, token).await;
        peer.register("built-in", "public").await;
        peer
    }

    pub(crate) async fn register(&mut self, id: &str, visibility: &str) {
        let config = Map::from_iter([("visibility", visibility)]);
        let schema = Map::from_iter([("run", Value::Map(Map::from_iter([("type", "function")])))]);
        let info = Map::from_iter([
            ("id", Value::from(format!("{}:{id}", self.name()))),
            ("config", Value::Map(config)),
            ("service_schema", Value::Map(schema)),
        ]);
        self.manager("register_service", vec![Value::Map(info)]).await.unwrap();
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.info.text(key).unwrap_or_default()
    }

    /// Its address.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.text("workspace"), self.text("client_id"))
    }

    pub(crate) fn query(&self) -> String {
        format!("client_id={}&workspace={}", self.text("client_id"), self.text("workspace"))
    }

    /// The cookie that it was given.
    pub(crate) fn cookie(&self) -> Option<String> {
        let line = self.head.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
        Some(line.split(';').next().unwrap().to_owned())
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.unpack();
            if self.buffer.len() >= 4 {
                let len = u32::from_be_bytes(self.buffer[..4].try_into().unwrap()) as usize;
                if self.buffer.len() >= 4 + len {
                    self.buffer.advance(4);
                    return Some(self.buffer.split_to(len).freeze());
                }
            }
            match timeout(PATIENCE, self.socket.read_buf(&mut self.raw)).await.unwrap() {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Takes the marks off those pieces that are whole.
    fn unpack(&mut self) {
        while let Some(end) = self.raw.windows(2).position(|part| part == b"\r\n") {
            let len = usize::from_str_radix(std::str::from_utf8(&self.raw[..end]).unwrap(), 16).unwrap();
            if self.raw.len() < end + len + 4 {
                return;
            }
            self.raw.advance(end + 2);
            self.buffer.extend_from_slice(&self.raw.split_to(len));
            self.raw.advance(2);
        }
    }

    /// The next message, which is one of control.
    pub(crate) async fn control(&mut self) -> Map {
        map(&self.next().await.unwrap())
    }

    /// The next frame.
    pub(crate) async fn frame(&mut self) -> Frame {
        take_apart(&self.next().await.unwrap())
    }

    pub(crate) async fn post(&self, more: &[&str], body: &[u8]) -> Answer {
        let mut lines: Vec<&str> = self.shows.iter().map(String::as_str).collect();
        lines.extend(more);
        post(self.address, &self.query(), &lines, body).await
    }

    pub(crate) async fn say(&self, body: &[u8]) {
        let answer = self.post(&[], body).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{answer:?}");
    }

    /// Begins a call; gives its session.
    pub(crate) async fn call(&mut self, to: &str, method: &str, args: Vec<Value>) -> String {
        self.calls += 1;
        let session = format!("call{}", self.calls);
        self.say(&call(to, method, &session, args)).await;
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
    pub(crate) async fn answer(&self, call: &Frame, value: Value) {
        let method = format!("{}.resolve", call.session.as_deref().unwrap());
        let head = Map::from_iter([("type", "method"), ("to", &*call.from), ("method", &*method)]);
        let body = Map::from_iter([("args", Value::List(vec![value]))]);
        self.say(&both(&Value::Map(head), &Value::Map(body))).await;
    }
}

/// A call as a frame.
pub(crate) fn call(to: &str, method: &str, session: &str, args: Vec<Value>) -> Vec<u8> {
    let head = Map::from_iter([
        ("type", "method"),
        ("from", "who/cares"),
        ("to", to),
        ("method", method),
        ("session", session),
    ]);
    let body = Map::from_iter([
        ("args", Value::List(args)),
        ("promise", Value::from("*")),
        ("t", Value::Float(5.0)),
    ]);
    both(&Value::Map(head), &Value::Map(body))
}

fn both(head: &Value, body: &Value) -> Vec<u8> {
    [head.to_msgpack().unwrap(), body.to_msgpack().unwrap()].concat()
}

pub(crate) fn packed(json: &Json) -> Vec<u8> {
    Value::from(json.clone()).to_msgpack().unwrap()
}

pub(crate) fn map(bytes: &Bytes) -> Map {
    match Reader::new(bytes).value().unwrap() {
        Value::Map(map) => map,
        other => panic!("expected a map, found {other:?}"),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => match &**tagged {
            Tagged::Error(error) => error.message().to_owned(),
            other => format!("{other:?}"),
        },
        other => format!("{other:?}"),
    }
}

pub(crate) fn take_apart(bytes: &Bytes) -> Frame {
    let header = Header::parse(bytes).unwrap();
    let head = map(bytes);
    let argument = match header.kind {
        "method" => {
            let body = Body::parse(bytes, header.end).unwrap();
            match Reader::new(&body.args).value().unwrap() {
                Value::List(args) => args.into_iter().next().unwrap_or_default(),
                other => other,
            }
        }
        _ => head.get("data").cloned().unwrap_or_default(),
    };
    Frame {
        kind: header.kind.to_owned(),
        from: header.from.to_owned(),
        method: header.method.to_owned(),
        session: header.session.map(str::to_owned),
        argument,
        head,
    }
}
