//! What passes from client to client, and what does not.

use std::time::Duration;

use polyfn_core::{Map, Value};
use polyfn_server::{Config, Limits, Seconds};
use serde_json::json;

use crate::peer::Peer;
use crate::{start, token};

const LAB: &str = "ws:lab-one#a wid:lab-one";

#[tokio::test]
async fn a_frame_is_signed_by_the_server() {
    let running = start(Config::default()).await;
    let mut ann = Peer::named(&running, "ann", &token(&running, "ann", LAB)).await;
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    let forged = Map::from_iter([
        ("type", Value::from("method")),
        ("from", "lab-one/root".into()),
        ("to", "bob".into()),
        ("method", "services.x.run".into()),
        ("session", "s1".into()),
        ("ws", "elsewhere".into()),
        ("user", Value::Map(Map::from_iter([("id", "root")]))),
        ("ctx", Value::Map(Map::from_iter([("ws", "elsewhere")]))),
        ("evil", 1.into()),
    ]);
    ann.send(&Value::Map(forged), None).await;
    let call = bob.frame().await;
    assert_eq!(
        (call.from.as_str(), call.to.as_str(), call.ws.as_str()),
        ("lab-one/ann", "lab-one/bob", "lab-one")
    );
    let user = call.head.get("user").and_then(Value::as_map).unwrap();
    assert_eq!(user.text("id"), Some("ann"));
    assert!(!call.head.contains("ctx") && !call.head.contains("evil"), "{:?}", call.head);
    bob.answer(&call, 5.into()).await;
    assert_eq!(ann.end("s1").await, Ok(5.into()));
}

#[tokio::test]
async fn the_manager_believes_nobody_about_who_calls() {
    let running = start(Config::default()).await;
    let mut victim = Peer::named(&running, "victim", &token(&running, "victim", LAB)).await;
    let service = victim.service("secret", &[]);
    victim.manager("register_service", vec![service]).await.unwrap();
    let mut liar = Peer::join(&running, &json!({"client_id": "liar"})).await;
    let lie = Value::Map(Map::from_iter([("ws", "lab-one"), ("from", "lab-one/victim")]));
    for (head, body) in [(true, false), (false, true)] {
        let mut first = Map::from_iter([
            ("type", Value::from("method")),
            ("to", "*/manager".into()),
            ("method", "services.default.list_services".into()),
            ("session", "s".into()),
        ]);
        let mut second = Map::from_iter([
            ("args", Value::List(vec!["lab-one".into()])),
            ("promise", "*".into()),
            ("t", Value::Float(5.0)),
        ]);
        if head {
            first.insert("ctx", lie.clone());
        }
        if body {
            second.insert("ctx", lie.clone());
        }
        liar.send(&Value::Map(first), Some(&Value::Map(second))).await;
        let answer = liar.end("s").await;
        let seen = answer.as_ref().ok().and_then(Value::as_list).unwrap_or_default();
        assert!(!format!("{seen:?}").contains("secret"), "{answer:?}");
    }
    let refused = liar.manager("get_service_info", vec!["lab-one/secret".into()]).await.unwrap_err();
    assert_eq!(refused, "KeyError: 'Service not found: lab-one/*:secret@*'");
}

#[tokio::test]
async fn an_unknown_target_is_told_under_the_names_that_were_written() {
    let running = start(Config::default()).await;
    let mut ann = Peer::named(&running, "ann", &token(&running, "ann", LAB)).await;
    ann.call("nobody", "services.x.run", vec![]).await;
    let reject = ann.frame().await;
    assert_eq!((reject.from.as_str(), reject.to.as_str()), ("nobody", "who/cares"));
    assert!(reject.method.ends_with(".reject") && reject.ws.is_empty());
    let session = ann.call("nobody", "services.x.run", vec![]).await;
    assert_eq!(ann.end(&session).await, Err("Target peer lab-one/nobody is not connected".to_owned()));
    for name in ["", "lab-one/", "/", "/nobody"] {
        let session = ann.call(name, "services.x.run", vec![]).await;
        let error = ann.end(&session).await.unwrap_err();
        assert!(error.contains("is not connected"), "{name}: {error}");
    }
}

#[tokio::test]
async fn the_wall_lets_through_what_is_public_and_its_answers() {
    let running = start(Config::default()).await;
    let mut owner = Peer::named(&running, "owner", &token(&running, "owner", LAB)).await;
    for (id, visibility) in [("open", "public"), ("closed", "protected")] {
        let service = owner.service(id, &[("visibility", visibility)]);
        owner.manager("register_service", vec![service]).await.unwrap();
    }
    let mut guest = Peer::join(&running, &json!({"client_id": "guest"})).await;
    let (target, home) = (owner.address(), guest.address());

    let session = guest.call(&target, "services.open.run", vec![]).await;
    let call = owner.frame().await;
    assert_eq!(call.from, home);
    owner.answer(&call, 7.into()).await;
    assert_eq!(guest.end(&session).await, Ok(7.into()));

    let closed = guest.call(&target, "services.closed.run", vec![]).await;
    let closed = guest.end(&closed).await.unwrap_err();
    let absent = guest.call("lab-one/nobody", "services.closed.run", vec![]).await;
    let absent = guest.end(&absent).await.unwrap_err();
    assert_eq!(closed.replace(&target, "T"), absent.replace("lab-one/nobody", "T"));
    assert!(owner.is_quiet().await);

    let mut stranger = Peer::join(&running, &json!({"client_id": "stranger"})).await;
    let guess = stranger.call(&target, "some-session.resolve", vec![1.into()]).await;
    assert!(stranger.end(&guess).await.is_err());
    assert!(owner.is_quiet().await);
}

#[tokio::test]
async fn events_stay_in_their_workspace_and_system_events_are_the_servers() {
    let running = start(Config::default()).await;
    let mut ann = Peer::named(&running, "ann", &token(&running, "ann", LAB)).await;
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    let mut stranger = Peer::join(&running, &json!({"client_id": "stranger"})).await;
    let kinds = ["news", "client_disconnected"].map(Value::from).to_vec();
    bob.manager("subscribe", vec![Value::List(kinds)]).await.unwrap();

    let event = |kind: &str, to: &str| {
        Value::Map(Map::from_iter([("type", Value::from(kind)), ("to", to.into()), ("data", 1.into())]))
    };
    for to in ["lab-one/*", "lab-one/bob", "*/*"] {
        stranger.send(&event("news", to), None).await;
    }
    ann.send(&event("client_disconnected", "*"), None).await;
    ann.send(&event("client_disconnected", "bob"), None).await;
    for peer in [&mut stranger, &mut ann] {
        assert!(peer.is_quiet().await, "what was sent before has been dealt with");
    }
    assert!(bob.is_quiet().await);

    ann.send(&event("news", "*"), None).await;
    let news = bob.frame().await;
    assert_eq!(
        (news.kind.as_str(), news.from.as_str(), news.to.as_str()),
        ("news", "lab-one/ann", "lab-one/*")
    );
    bob.manager("unsubscribe", vec!["news".into()]).await.unwrap();
    ann.send(&event("news", "*"), None).await;
    assert!(ann.is_quiet().await && bob.is_quiet().await);
}

#[tokio::test]
async fn who_only_reads_tells_nothing_to_everybody() {
    let running = start(Config::default()).await;
    let reader = token(&running, "reader", "ws:lab-one#r wid:lab-one");
    let mut reader = Peer::join(&running, &json!({"client_id": "reader", "token": reader})).await;
    let session = reader.call("*", "x.y", vec![]).await;
    let text = "Read-only client lab-one/reader cannot broadcast messages. Only point-to-point messages are allowed \
                for read-only clients.";
    assert_eq!(reader.end(&session).await, Err(text.to_owned()));
}

#[tokio::test]
async fn who_talked_across_the_wall_hears_of_the_end() {
    let running = start(Config::default()).await;
    let mut owner = Peer::named(&running, "owner", &token(&running, "owner", LAB)).await;
    let service = owner.service("open", &[("visibility", "public")]);
    owner.manager("register_service", vec![service]).await.unwrap();
    let mut guest = Peer::join(&running, &json!({"client_id": "guest"})).await;
    guest.manager("subscribe", vec!["client_disconnected".into()]).await.unwrap();
    let mut curious = Peer::join(&running, &json!({"client_id": "curious"})).await;
    curious.manager("subscribe", vec!["client_disconnected".into()]).await.unwrap();
    guest.call(&owner.address(), "services.open.run", vec![]).await;
    curious.call(&owner.address(), "services.built-in.get_service", vec!["open".into()]).await;
    for _ in 0..2 {
        owner.frame().await;
    }
    let guess = curious.call(&owner.address(), "some-session.resolve", vec![]).await;
    assert!(curious.end(&guess).await.is_err(), "to ask is no reason to be talked to");
    owner.leave().await;
    for peer in [&mut guest, &mut curious] {
        let event = peer.frame().await;
        assert_eq!(event.kind, "client_disconnected");
        let data = event.argument.as_map().unwrap().clone();
        assert_eq!((data.text("id"), data.text("workspace")), (Some("owner"), Some("lab-one")));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_frees_its_senders() {
    let limits = Limits {
        max_queued_frames: 4,
        slow_client_timeout: Seconds::from(Duration::from_millis(300)),
        ..Limits::default()
    };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut ann = Peer::named(&running, "ann", &token(&running, "ann", LAB)).await;
    let _deaf = Peer::named(&running, "deaf", &token(&running, "deaf", LAB)).await;
    let load = Value::from(bytes::Bytes::from(vec![0; 1 << 20]));
    let mut last = String::new();
    // more than the buffers of the system take, with the queue behind them
    for _ in 0..40 {
        last = ann.call("deaf", "services.x.run", vec![load.clone()]).await;
    }
    let end = ann.end(&last).await;
    assert_eq!(end, Err("Target peer lab-one/deaf is not connected".to_owned()));
}
