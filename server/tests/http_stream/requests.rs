//! What is asked for and how it is answered.

use bytes::Bytes;
use polyfn_core::Value;
use polyfn_server::Config;
use polyfn_server::limits::Limits;
use serde_json::json;

use crate::peer::{Peer, call, packed, post};
use crate::{start, token};

const PARTS: &str = "content-type: application/x-polyfn-stream";

#[tokio::test]
async fn a_stream_begins_as_the_protocol_says() {
    let running = start(Config::default()).await;
    let peer = Peer::open(&running, "client_id=http-a", &[]).await.unwrap();
    let head = peer.head.to_lowercase();
    for line in [
        "content-type: application/x-msgpack-stream",
        "cache-control: no-cache",
        "x-accel-buffering: no",
        "transfer-encoding: chunked",
    ] {
        assert!(head.lines().any(|known| known == line), "{line} in {head}");
    }
    let keys: Vec<_> = peer.info.iter().map(|(key, _)| key).collect();
    let expected = [
        "type",
        "workspace",
        "client_id",
        "manager_id",
        "reconnection_token",
        "reconnection_token_life_time",
        "public_base_url",
    ];
    assert_eq!(keys, expected);
    assert_eq!(peer.info.get("reconnection_token_life_time"), Some(&Value::Float(172_800.0)));
    assert_eq!(peer.text("client_id"), "http-a");
}

#[tokio::test]
async fn extensions_are_named_in_the_query() {
    let running = start(Config::default()).await;
    let peer = Peer::open(&running, "client_id=a&extensions=trace%2Ccancel%2Cnew", &[]).await.unwrap();
    let known = Value::from(vec![Value::from("cancel"), "trace".into()]);
    assert_eq!(peer.info.get("extensions"), Some(&known));
}

#[tokio::test]
async fn a_client_without_a_name_gets_one() {
    let running = start(Config::default()).await;
    let peer = Peer::open(&running, "", &[]).await.unwrap();
    assert_eq!(peer.text("client_id").len(), 22);
}

#[tokio::test]
async fn each_stranger_has_a_workspace_of_its_own() {
    let running = start(Config::default()).await;
    let one = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    let two = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    assert_ne!(one.text("workspace"), two.text("workspace"));
    let refused =
        Peer::open(&running, &format!("client_id=b&workspace={}", one.text("workspace")), &[]).await;
    assert_eq!(refused.err().unwrap().status, 403);
}

#[tokio::test]
async fn calls_and_control_go_up_by_requests() {
    let running = start(Config::default()).await;
    let mut peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    assert_eq!(peer.manager("echo", vec!["hi".into()]).await.unwrap(), Value::from("hi"));
    peer.say(&packed(&json!({"type": "ping"}))).await;
    assert_eq!(peer.control().await.text("type"), Some("pong"));
    peer.say(&packed(&json!({"type": "refresh_token"}))).await;
    let fresh = peer.control().await;
    assert_eq!(fresh.text("type"), Some("reconnection_token"));
    assert!(fresh.text("reconnection_token").unwrap().split('.').count() == 3);
}

#[tokio::test]
async fn two_clients_speak_with_each_other() {
    let running = start(Config::default()).await;
    let token = token(&running, "u", "");
    let mut one = Peer::named(&running, "one", &token).await;
    let mut two = Peer::named(&running, "two", &token).await;
    let session = one.call("two", "services.svc.run", vec![Value::from(Bytes::from(vec![7; 100_000]))]).await;
    let asked = two.frame().await;
    assert_eq!(asked.from, one.name());
    assert_eq!(asked.head.get("user").and_then(Value::as_map).unwrap().text("id"), Some("u"));
    two.answer(&asked, "done".into()).await;
    assert_eq!(one.end(&session).await.unwrap(), Value::from("done"));
    let session = one.call("nobody", "services.svc.run", vec![]).await;
    assert!(one.end(&session).await.unwrap_err().contains("is not connected"));
}

#[tokio::test]
async fn requests_without_sense_say_why() {
    let running = start(Config::default()).await;
    let peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    for (query, body, status, detail) in [
        ("workspace=w".to_owned(), &b"x"[..], 400, "client_id is required"),
        ("client_id=a".to_owned(), b"x", 400, "workspace is required without a token"),
        (peer.query(), b"", 400, "Empty request body"),
        ("client_id=z&workspace=w".to_owned(), b"", 400, "Empty request body"),
    ] {
        let answer = post(peer.address, &query, &[], body).await;
        assert_eq!((answer.status, answer.detail().as_str()), (status, detail));
        assert!(answer.body.ends_with(br#","code":"invalid"}"#));
    }
    let lost = call("*/manager-x", "services.default.echo", "s", vec![]);
    let answer = post(peer.address, "client_id=z&workspace=w", &[], &lost).await;
    assert_eq!(answer.status, 400);
    assert!(answer.detail().starts_with("Invalid target format, expected 'client_id:service_id'"));
    let refused = Peer::open(&running, "client_id=a&reconnection_token=x.y.z", &[]).await.err().unwrap();
    assert_eq!(refused.status, 401);
    assert!(refused.detail().starts_with("Invalid reconnection token: "), "{}", refused.detail());
    let refused = Peer::open(&running, "client_id=a", &["authorization: Bearer x.y.z"]).await.err().unwrap();
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn several_frames_go_in_one_request_and_none_twice() {
    let running = start(Config::default()).await;
    let ours = "accept: application/x-polyfn-stream, application/x-msgpack-stream";
    let mut peer = Peer::open(&running, "client_id=a", &[ours]).await.unwrap();
    let secret = format!("polyfn-stream-secret: {}", peer.text("stream_secret"));
    peer.shows.push(secret);
    assert!(peer.info.get("user").is_some() && peer.cookie().is_none());
    let echo = |session: &str| {
        let frame = call("*/m", "services.default.echo", session, vec![session.into()]);
        [&(frame.len() as u32).to_be_bytes()[..], &frame].concat()
    };
    let first = [echo("s1"), echo("s2")].concat();
    for _ in 0..2 {
        assert_eq!(peer.post(&[PARTS, "polyfn-sequence: 1"], &first).await.status, 200);
    }
    assert_eq!(peer.post(&[PARTS, "polyfn-sequence: 3"], &echo("s4")).await.status, 409);
    assert_eq!(peer.post(&[PARTS, "polyfn-sequence: 2"], &echo("s3")).await.status, 200);
    assert_eq!(peer.post(&[PARTS, "polyfn-sequence: x"], &echo("s5")).await.status, 400);
    assert_eq!(peer.post(&[PARTS], b"\0\0\0\xffx").await.status, 400);
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "s3.resolve") {
        seen.push(peer.frame().await.method);
    }
    assert_eq!(seen, ["s1.resolve", "s2.resolve", "s3.resolve"]);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let limits = Limits { max_frame_size: 1000, max_post_size: 2000, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    assert_eq!(peer.post(&[], &[0; 1001]).await.status, 413);
    assert_eq!(peer.post(&[PARTS], &[0; 2001]).await.status, 413);
    let long = [&1001u32.to_be_bytes()[..], &[0; 1001]].concat();
    assert_eq!(peer.post(&[PARTS], &long).await.status, 413);
}

#[tokio::test]
async fn frames_have_a_rate_that_slows() {
    let limits = Limits { ws_msg_rate_limit: 20, ws_msg_burst_limit: 2, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    let statuses =
        [peer.post(&[], &[0x80]).await, peer.post(&[], &[0x80]).await, peer.post(&[], &[0x80]).await];
    assert_eq!(statuses.map(|answer| answer.status), [200, 200, 200]);
    let metrics = running.state().metrics.text(0.0);
    assert!(metrics.contains("polyfn_limited_total{limit=\"ws_msg_rate_limit\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn readers_cannot_speak_to_everybody() {
    let running = start(Config::default()).await;
    let token = token(&running, "reader", "ws:lab#r wid:lab");
    let mut peer = Peer::join(&running, "a", &token).await;
    let session = peer.call("*", "services.svc.run", vec![]).await;
    assert!(peer.end(&session).await.unwrap_err().contains("Read-only client"));
}

#[tokio::test]
async fn a_call_needs_no_stream() {
    let running = start(Config::default()).await;
    let token = token(&running, "u", "");
    let mut owner = Peer::named(&running, "owner", &token).await;
    owner.register("svc", "protected").await;
    let shows = format!("authorization: Bearer {token}");
    let address = running.address();
    let ask = |to: &'static str, method: &'static str, show: bool| {
        let shows = shows.clone();
        tokio::spawn(async move {
            let body = packed(&json!({"type": "method", "to": to, "method": method, "args": [1, "b"],
                "kwargs": {"k": null}}));
            let lines: &[&str] = if show { &[&shows] } else { &[] };
            post(address, "client_id=x&workspace=ws-user-u", lines, &body).await
        })
    };
    let asked = ask("owner:svc", "run", true);
    let frame = owner.frame().await;
    assert_eq!((frame.method.as_str(), &frame.argument), ("services.svc.run", &Value::from(1)));
    owner.answer(&frame, Value::from(vec![Value::from(1.5)])).await;
    let answer = asked.await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &br#"{"success":true,"result":[1.5]}"#[..]));
    assert_eq!(ask("owner:svc", "walk", true).await.unwrap().status, 404);
    assert_eq!(ask("owner:none", "run", true).await.unwrap().status, 404);
    assert_eq!(ask("svc", "run", true).await.unwrap().status, 400);
    let denied = ask("owner:svc", "run", false).await.unwrap();
    assert_eq!(denied.status, 403);
    assert_eq!(denied.detail(), "Permission denied for workspace ws-user-u");
}
