//! A server that is played by the test, at the other end of a transport in memory.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::*;
use crate::Value;
use crate::codec::{Promise, Reader, Stub, Walk, Writer};
use crate::net::{Backoff, Client, Connection, Sink, memory_pair};
use crate::session::{CallSpec, Event};
use crate::wire::{Header, Route};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(20);

struct Doors(mpsc::UnboundedSender<Transport>);

impl Connect for Doors {
    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Transport>> + Send + '_>> {
        let (ours, theirs) = memory_pair(64);
        let _ = self.0.send(theirs);
        Box::pin(std::future::ready(Ok(ours)))
    }
}

/// The server's side: connections as they come.
struct Server(mpsc::UnboundedReceiver<Transport>);

/// One connection.
struct Line {
    transport: Transport,
    hello: Json,
}

fn options(change: impl FnOnce(&mut ClientOptions)) -> (Server, ClientOptions) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut options = ClientOptions {
        client_id: Some("me".to_owned()),
        backoff: Backoff { first: SOON / 10, longest: SOON },
        connect: Some(Arc::new(Doors(sender))),
        ..ClientOptions::new("http://nowhere")
    };
    change(&mut options);
    (Server(receiver), options)
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap()
}

impl Server {
    /// The next connection, with what it said first.
    async fn next(&mut self) -> Line {
        let mut transport = within(self.0.recv()).await.unwrap();
        let Some(Ok(Message::Text(hello))) = within(transport.incoming.next()).await else {
            panic!("a text comes first")
        };
        Line { transport, hello: serde_json::from_str(&hello).unwrap() }
    }

    /// The next connection, let in and registered.
    async fn joined(&mut self) -> Line {
        let mut line = self.next().await;
        line.say(
            &json!({"type": "connection_info", "workspace": "lab", "client_id": "me", "manager_id": "m",
            "reconnection_token": "back"}),
        )
        .await;
        for method in ["register_service", "subscribe"] {
            let frame = line.frame().await;
            assert!(Header::parse(&frame).unwrap().method.ends_with(method));
            line.answer(&frame, "resolve", &Value::Nil, true).await;
        }
        line
    }
}

impl Line {
    async fn say(&mut self, message: &Json) {
        self.transport.outgoing.send(Message::Text(message.to_string())).await.unwrap();
    }

    async fn frame(&mut self) -> Bytes {
        loop {
            match within(self.transport.incoming.next()).await {
                Some(Ok(Message::Binary(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("expected a frame, found {other:?}"),
            }
        }
    }

    /// Replies to a call; `is_relayed` as the server passes on what others say, else as it speaks itself.
    async fn answer(&mut self, call: &Bytes, end: &str, value: &Value, is_relayed: bool) {
        let header = Header::parse(call).unwrap();
        let method = format!("{}.{end}", header.session.unwrap());
        let identity = is_relayed.then_some(("lab", &[0x80][..]));
        let route = Route { from: header.to, to: header.from, method: &method, identity, ..Route::default() };
        let mut out = Writer::new();
        route.write(&mut out).unwrap();
        out.open_map(1).unwrap();
        out.text("args").unwrap();
        out.open_list(1).unwrap();
        value.walk(&mut out).unwrap();
        self.transport.outgoing.send(Message::Binary(out.into_bytes().into())).await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_server_is_left_for_a_new_connection() {
    let (mut server, options) = options(|options| {
        options.ping_interval = SOON;
        options.ping_timeout = SOON;
    });
    let client = tokio::spawn(Client::connect(options));
    let silent = server.joined().await;
    assert_eq!(silent.hello["reconnection_token"], Json::Null);
    let _client = within(client).await.unwrap().unwrap();
    let again = server.joined().await;
    assert_eq!(again.hello["reconnection_token"], "back");
    assert_eq!(again.hello["workspace"], "lab");
}

#[tokio::test]
async fn a_server_that_lost_the_connection_gets_a_new_one() {
    let (mut server, options) = options(|_| {});
    let client = tokio::spawn(Client::connect(options));
    let mut line = server.joined().await;
    let client = within(client).await.unwrap().unwrap();
    let text = "Connection has already been closed (client: lab/me)";
    for is_relayed in [true, false] {
        let caller = client.clone();
        let stub = Stub {
            target: "lab/other".into(),
            method: "services.a.b".into(),
            promise: Promise::Star,
            ..Stub::default()
        };
        let calling = tokio::spawn(async move { caller.call(&stub, []).await });
        let call = line.frame().await;
        line.answer(&call, "reject", &Value::from(text), is_relayed).await;
        let error = within(calling).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), if is_relayed { ErrorKind::Remote } else { ErrorKind::PeerGone });
    }
    assert_eq!(server.joined().await.hello["reconnection_token"], "back");
}

#[tokio::test]
async fn whatever_the_reason_a_closed_connection_is_made_again() {
    let (mut server, options) = options(|_| {});
    let client = tokio::spawn(Client::connect(options));
    let mut line = server.joined().await;
    let _client = within(client).await.unwrap().unwrap();
    for reason in ["", "Idle timeout (600s)", "Server is shutting down", "Workspace unloaded: lab"] {
        line.transport.outgoing.send(Message::Close(reason.to_owned())).await.unwrap();
        line = server.joined().await;
    }
    for busy in [
        json!({"message": "Server busy, please retry"}),
        json!({"message": "Client already exists and is active: lab/me"}),
        json!({"message": "no place", "code": "overloaded"}),
    ] {
        drop(line);
        let mut refused = server.next().await;
        refused.say(&json!({"type": "error", "message": busy["message"], "code": busy["code"]})).await;
        line = server.joined().await;
    }
}

#[tokio::test]
async fn who_is_refused_for_good_gives_up() {
    let (mut server, options) = options(|_| {});
    let client = tokio::spawn(Client::connect(options));
    let line = server.joined().await;
    let client = within(client).await.unwrap().unwrap();
    drop(line);
    let mut refused = server.next().await;
    // words decide nothing where a code is told
    let (told, code) = ("Server busy with others than you", "permission_denied");
    refused.say(&json!({"type": "error", "message": told, "code": code})).await;
    let waited = within(client.manager("echo", [Value::Nil])).await.unwrap_err();
    assert_eq!((waited.kind(), waited.message()), (ErrorKind::PermissionDenied, told));
    let late = within(client.manager("echo", [Value::Nil])).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::PeerGone);
}

#[tokio::test]
async fn extensions_are_named_unless_they_are_turned_off() {
    for (known, named) in [
        (crate::session::Extensions::ALL, json!(["cancel", "deadline", "push-stream", "credit", "trace"])),
        (crate::session::Extensions::NONE, Json::Null),
    ] {
        let (mut server, options) = options(|options| options.session.extensions = known);
        let client = tokio::spawn(Client::connect(options));
        assert_eq!(server.next().await.hello["extensions"], named);
        client.abort();
    }
}

#[tokio::test]
async fn messages_of_extensions_are_no_events() {
    let (mut server, options) = options(|_| {});
    let client = tokio::spawn(Client::connect(options));
    let mut line = server.joined().await;
    let client = within(client).await.unwrap().unwrap();
    let event = |kind: &str| Value::Map([("type", kind), ("to", "other")].into_iter().collect());
    for kind in ["x-cancel", "x-pull", "x-push", "method"] {
        assert_eq!(client.connection().emit(&event(kind)).unwrap_err().kind(), ErrorKind::Invalid, "{kind}");
    }
    client.connection().emit(&event("x-mine")).unwrap();
    let frame = line.frame().await;
    assert_eq!(Reader::new(&frame).value(), Ok(event("x-mine")));
}

/// A language that keeps up, or does not.
struct Language {
    is_full: AtomicBool,
    asked: mpsc::UnboundedSender<()>,
    told: mpsc::UnboundedSender<Event>,
}

impl Sink for Language {
    fn deliver(&self, events: &mut Vec<Event>) {
        events.drain(..).for_each(|event| drop(self.told.send(event)));
    }

    fn is_full(&self) -> bool {
        let is_full = self.is_full.load(Ordering::SeqCst);
        if is_full {
            let _ = self.asked.send(());
        }
        is_full
    }
}

#[tokio::test]
async fn what_we_do_not_read_is_no_silence() {
    let (mut server, options) = options(|_| {});
    let ((asked, mut asks), (told, mut events)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let language = Arc::new(Language { is_full: AtomicBool::new(false), asked, told });
    let connection = Connection::open(options, language.clone(), &tokio::runtime::Handle::current()).unwrap();
    let mut line = server.joined().await;
    language.is_full.store(true, Ordering::SeqCst);
    line.say(&json!({"type": "pong"})).await;
    for _ in 0..2 {
        within(asks.recv()).await.unwrap();
    }
    let spec = CallSpec {
        target: "lab/other",
        method: "services.a.b",
        promise: Promise::Star,
        timeout: Some(SOON),
        ..CallSpec::default()
    };
    connection.finish_call(7, connection.begin_call(&spec).unwrap()).unwrap();
    let call = line.frame().await;
    line.answer(&call, "resolve", &Value::Nil, true).await;
    // the time of the call passes, and nothing is to happen
    tokio::time::sleep(3 * SOON).await;
    language.is_full.store(false, Ordering::SeqCst);
    connection.resume();
    let end = loop {
        let event = within(events.recv()).await.unwrap();
        if !matches!(event, Event::State(_)) {
            break event;
        }
    };
    assert!(matches!(end, Event::Resolved { call: 7, .. }), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_fetched_before_the_one_there_is_runs_out() {
    let (mut server, options) = options(|_| {});
    let ((asked, _asks), (told, _events)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let language = Arc::new(Language { is_full: AtomicBool::new(false), asked, told });
    let _connection = Connection::open(options, language, &tokio::runtime::Handle::current()).unwrap();
    let mut line = server.next().await;
    let life = json!({"reconnection_token": "back", "reconnection_token_life_time": 6});
    let mut info =
        json!({"type": "connection_info", "workspace": "lab", "client_id": "me", "manager_id": "m"});
    info.as_object_mut().unwrap().extend(life.as_object().unwrap().clone());
    line.say(&info).await;
    let asked = async {
        loop {
            match line.transport.incoming.next().await {
                Some(Ok(Message::Text(text))) if text.contains("refresh_token") => break,
                Some(Ok(_)) => {}
                other => panic!("the connection has ended: {other:?}"),
            }
        }
    };
    within(asked).await;
}
