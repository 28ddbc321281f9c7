//! What polyfn clients may say to each other, and what old ones never see.

use std::time::Duration;

use polyfn_core::{Map, Value};
use polyfn_server::{Config, Running};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::{Frame, Peer};
use crate::{start, token};

const LAB: &str = "ws:lab-one#a wid:lab-one";
const ALL: [&str; 5] = ["cancel", "deadline", "push-stream", "credit", "trace"];
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A client that names extensions, registered, with the service `svc`.
async fn naming(running: &Running, client: &str, extensions: &[&str], scope: &str) -> Peer {
    let token = token(running, client, scope);
    let hello = json!({"client_id": client, "token": token, "extensions": extensions});
    let mut peer = Peer::join(running, &hello).await;
    for (id, kind) in [("built-in", "generic"), ("svc", "functions")] {
        let Value::Map(mut service) = peer.service(id, &[("visibility", "public")]) else { panic!("a map") };
        service.insert("type", kind);
        peer.manager("register_service", vec![Value::Map(service)]).await.unwrap();
    }
    peer
}

async fn polyfn(running: &Running, client: &str) -> Peer {
    naming(running, client, &ALL, LAB).await
}

async fn old(running: &Running, client: &str) -> Peer {
    naming(running, client, &[], LAB).await
}

fn x() -> Value {
    Value::Map(Map::from_iter([("e", Value::Int(31)), ("d", Value::Int(5000)), ("t", TRACE.into())]))
}

fn head(kind: &str, to: &str, more: &[(&str, Value)]) -> Value {
    let mut head = Map::from_iter([("type", Value::from(kind)), ("to", to.into())]);
    more.iter().for_each(|(key, value)| drop(head.insert(*key, value.clone())));
    Value::Map(head)
}

fn call(to: &str) -> Value {
    head("method", to, &[("method", "services.svc.run".into()), ("session", "s1".into()), ("x", x())])
}

fn cancel(to: &str) -> Value {
    head("x-cancel", to, &[("session", "s1".into())])
}

fn is_cancel(frame: &Frame, from: &str, session: &str) -> bool {
    frame.kind == "x-cancel" && frame.from == from && frame.session.as_deref() == Some(session)
}

#[tokio::test]
async fn both_sides_name_what_they_know() {
    let running = start(Config::default()).await;
    for (named, known) in [
        (json!(["trace", "something-newer", "cancel"]), json!(["cancel", "trace"])),
        (json!([]), Json::Null),
        (json!(["something-newer"]), Json::Null),
    ] {
        let peer = Peer::join(&running, &json!({"client_id": "a", "extensions": named})).await;
        assert_eq!(peer.info["extensions"], known);
        peer.leave().await;
    }
}

#[tokio::test]
async fn x_reaches_those_who_know_it_from_those_who_know_it() {
    let running = start(Config::default()).await;
    let (mut ann, mut bob) = (polyfn(&running, "ann").await, polyfn(&running, "bob").await);
    let mut eve = old(&running, "eve").await;
    for to in ["bob", "eve"] {
        ann.send(&call(to), None).await;
    }
    assert_eq!(bob.frame().await.head.get("x"), Some(&x()));
    assert!(!eve.frame().await.head.contains("x"), "an old client never sees it");
    eve.send(&call("bob"), None).await;
    assert!(!bob.frame().await.head.contains("x"), "nor can it send it");

    let moved = head("moved", "eve", &[("x", 3.into())]);
    ann.send(&moved, None).await;
    assert_eq!(eve.frame().await.head.get("x"), Some(&Value::Int(3)), "an event may have such an entry");
}

#[tokio::test]
async fn the_manager_says_x_to_those_who_said_it() {
    let running = start(Config::default()).await;
    let mut ann = polyfn(&running, "ann").await;
    let mut eve = old(&running, "eve").await;
    let asks = |said: &[(&str, Value)]| {
        let mut more = vec![("method", "services.default.echo".into()), ("session", "s2".into())];
        more.extend_from_slice(said);
        head("method", "*/manager", &more)
    };
    let body = Map::from_iter([("args", vec![Value::from(1)].into()), ("promise", Value::from("*"))]);
    let body = Value::Map(body);
    let said = [("x", x())];
    for (is_ann, said, told) in [(true, &said[..], true), (false, &said[..], false), (true, &[], false)] {
        let peer = if is_ann { &mut ann } else { &mut eve };
        peer.send(&asks(said), Some(&body)).await;
        let answer = peer.frame().await;
        assert_eq!((answer.method.as_str(), answer.head.contains("x")), ("s2.resolve", told));
    }
}

#[tokio::test]
async fn messages_of_extensions_pass_between_those_who_named_them() {
    let running = start(Config::default()).await;
    let (mut ann, mut bob) = (polyfn(&running, "ann").await, polyfn(&running, "bob").await);
    let mut half = naming(&running, "half", &["trace"], LAB).await;
    let mut eve = old(&running, "eve").await;
    for kind in ["x-cancel", "x-pull", "x-push"] {
        let message = |to: &str| head(kind, to, &[("from", "lab-one/root".into()), ("evil", 1.into())]);
        for liar in [&mut eve, &mut half] {
            liar.send(&message("bob"), None).await;
            assert!(liar.is_quiet().await, "{kind}");
        }
        for to in ["eve", "half", "*", "lab-one/*"] {
            ann.send(&message(to), None).await;
        }
        assert!(ann.is_quiet().await && eve.is_quiet().await && half.is_quiet().await, "{kind}");
        ann.send(&message("bob"), None).await;
        let frame = bob.frame().await;
        assert_eq!((frame.kind.as_str(), frame.from.as_str()), (kind, "lab-one/ann"));
        assert!(!frame.head.contains("evil"));
    }
    assert!(bob.is_quiet().await);
    eve.send(&head("x-mine", "bob", &[("data", 1.into())]), None).await;
    assert_eq!(bob.frame().await.kind, "x-mine", "other names are as free as ever");
}

#[tokio::test]
async fn the_wall_lets_through_what_belongs_to_a_call() {
    let running = start(Config::default()).await;
    let mut owner = polyfn(&running, "owner").await;
    let mut guest = naming(&running, "guest", &ALL, "ws:ws-guest#a wid:ws-guest").await;
    let (target, home) = (owner.address(), guest.address());
    guest.send(&cancel(&target), None).await;
    assert!(guest.is_quiet().await && owner.is_quiet().await, "they have never talked");
    guest.send(&call(&target), None).await;
    assert_eq!(owner.frame().await.head.get("x"), Some(&x()));
    guest.send(&cancel(&target), None).await;
    assert!(is_cancel(&owner.frame().await, &home, "s1"));
    owner.send(&head("x-push", &home, &[("session", "s9".into())]), None).await;
    assert_eq!(guest.frame().await.kind, "x-push");
}

#[tokio::test]
async fn who_gives_up_asking_the_manager_cancels_what_it_asked_of_others() {
    let running = start(Config::default()).await;
    let (mut ann, mut bob) = (polyfn(&running, "ann").await, polyfn(&running, "bob").await);
    let ask = head(
        "method",
        "*/manager",
        &[("method", "services.default.get_service".into()), ("session", "s1".into()), ("x", x())],
    );
    let body = Map::from_iter([("args", vec![Value::from("bob:svc")].into()), ("promise", Value::from("*"))]);
    ann.send(&ask, Some(&Value::Map(body))).await;
    let asked = bob.frame().await;
    assert_eq!(asked.method, "services.built-in.get_service");
    ann.send(&cancel("*/manager"), None).await;
    assert!(is_cancel(&bob.frame().await, &asked.from, asked.session.as_deref().unwrap()));
    bob.answer(&asked, Value::Nil).await;
    assert!(bob.is_quiet().await && ann.is_quiet().await);
}

/// Asks for the function over HTTP, without waiting for the answer.
async fn ask(running: &Running, client: &str, lines: &str) -> TcpStream {
    let mut socket = TcpStream::connect(running.address()).await.unwrap();
    let request = format!("GET /lab-one/apps/{client}:svc/run HTTP/1.1\r\nhost: x\r\n{lines}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn who_leaves_an_http_request_cancels_its_call() {
    let running = start(Config::default()).await;
    let mut bob = polyfn(&running, "bob").await;
    let mut eve = old(&running, "eve").await;

    let request = ask(&running, "bob", &format!("traceparent: {TRACE}\r\n")).await;
    let call = bob.frame().await;
    let x = call.head.get("x").and_then(Value::as_map).unwrap();
    assert_eq!((x.get("e"), x.text("t")), (Some(&Value::Int(31)), Some(TRACE)));
    let limit = Config::default().limits.http_call_timeout.duration().as_millis() as i64;
    assert_eq!(x.get("d"), Some(&Value::Int(limit)));
    drop(request);
    let session = call.session.as_deref().unwrap();
    assert!(is_cancel(&bob.frame().await, &call.from, session));

    let request = ask(&running, "eve", &format!("traceparent: {TRACE}\r\n")).await;
    assert!(!eve.frame().await.head.contains("x"));
    drop(request);
    let mut request = ask(&running, "bob", "traceparent: 00-nonsense\r\n").await;
    let call = bob.frame().await;
    assert!(!call.head.get("x").and_then(Value::as_map).unwrap().contains("t"));
    bob.answer(&call, "done".into()).await;
    request.read_exact(&mut [0; 12]).await.unwrap();
    drop(request);
    while running.state().metrics.http_calls.get() != 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(eve.is_quiet().await && bob.is_quiet().await, "there is nothing to cancel");
}
