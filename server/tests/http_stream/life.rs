//! Coming, going, coming back.

use std::time::{Duration, Instant};

use bytes::Bytes;
use polyfn_core::Value;
use polyfn_server::Config;
use polyfn_server::limits::{Limits, Seconds};

use crate::peer::Peer;
use crate::{start, token};

#[tokio::test]
async fn silence_is_broken_by_the_server() {
    let interval = Seconds::from(Duration::from_millis(20));
    let limits = Limits { stream_ping_interval: interval, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(peer.control().await.text("type"), Some("ping"));
    }
}

#[tokio::test]
async fn who_does_not_answer_is_let_go() {
    let limits = Limits { client_silence_timeout: Seconds::new(1), ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let token = token(&running, "u", "");
    let mut mute = Peer::join(&running, "mute", &token).await;
    let mut polite = Peer::join(&running, "polite", &token).await;
    let questions = tokio::spawn(async move {
        let mut answered = 0;
        while let Some(frame) = polite.next().await {
            if answered < 8 {
                polite.answer(&crate::peer::take_apart(&frame), "pong".into()).await;
                answered += 1;
            }
        }
        answered
    });
    assert_eq!(mute.frame().await.method, "services.built-in.ping");
    let last = loop {
        let message = mute.next().await.unwrap();
        if let Some(text) = crate::peer::map(&message).text("message") {
            break text.to_owned();
        }
    };
    assert_eq!(last, "No sign of life for 1s");
    assert_eq!(mute.next().await, None);
    assert!(running.state().hub.registry.client("ws-user-u", "polite").is_some());
    assert_eq!(questions.await.unwrap(), 8, "it was let go when it answered no longer");
}

#[tokio::test]
async fn who_closes_the_stream_has_left() {
    let running = start(Config::default()).await;
    let token = token(&running, "u", "");
    let mut observer = Peer::named(&running, "observer", &token).await;
    observer.manager("subscribe", vec!["client_disconnected".into()]).await.unwrap();
    let mut owner = Peer::named(&running, "owner", &token).await;
    owner.register("svc", "public").await;
    let session = observer.call("owner", "services.svc.run", vec![]).await;
    owner.frame().await;
    drop(owner);
    let event = loop {
        let frame = observer.frame().await;
        if frame.kind == "client_disconnected" {
            break frame;
        }
    };
    assert_eq!(event.argument.as_map().unwrap().text("id"), Some("owner"));
    let missing = observer.manager("get_service", vec!["owner:svc".into()]).await;
    assert!(missing.unwrap_err().to_lowercase().contains("not found"), "{session}");
    assert_eq!(running.state().metrics.clients.get(), 1);
}

#[tokio::test]
async fn who_comes_back_takes_the_place_and_what_was_not_read() {
    let running = start(Config::default()).await;
    let token = token(&running, "u", "");
    let mut first = Peer::named(&running, "a", &token).await;
    first.register("svc", "public").await;
    // the token is taken from a header as well, which no log shows
    let back = format!("polyfn-reconnection-token: {}", first.text("reconnection_token"));
    let mut second = Peer::open(&running, "client_id=a", &[&back]).await.unwrap();
    assert_eq!(first.next().await, None);
    second.shows = first.shows.clone();
    let found = second.manager("get_service_info", vec!["a:svc".into()]).await.unwrap();
    assert_eq!(found.as_map().unwrap().text("id"), Some("ws-user-u/a:svc"));
    drop(first);
    assert_eq!(second.manager("echo", vec![1.into()]).await.unwrap(), Value::from(1));
    assert_eq!(running.state().metrics.clients.get(), 1);
}

#[tokio::test]
async fn a_stream_does_not_keep_the_server_from_stopping() {
    let running = start(Config::default()).await;
    let mut peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    let began = Instant::now();
    let limit = running.state().config.shutdown_timeout.duration();
    assert!(running.stop().await);
    assert!(began.elapsed() < limit / 2, "streams were waited for");
    assert_eq!(peer.next().await, None);
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let limits = Limits {
        max_queued_frames: 1,
        slow_client_timeout: Seconds::from(Duration::from_millis(50)),
        ..Limits::default()
    };
    let running = start(Config { limits, ..Config::default() }).await;
    let token = token(&running, "u", "");
    let mut sender = Peer::named(&running, "sender", &token).await;
    let lazy = Peer::join(&running, "lazy", &token).await;
    let much = Value::from(Bytes::from(vec![0; 4 << 20]));
    loop {
        let session = sender.call("lazy", "services.svc.run", vec![much.clone()]).await;
        if sender.manager("list_clients", vec![]).await.unwrap().as_list().unwrap().len() == 1 {
            break assert!(!session.is_empty());
        }
    }
    drop(lazy);
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let running = start(Config::default()).await;
    let token = token(&running, "u", "");
    let mut peer = Peer::join(&running, "a", &token).await;
    let mut other = Peer::join(&running, "b", &crate::token(&running, "u", "ws:ws-user-u#a")).await;
    assert_eq!(other.manager("revoke_token", vec![token.as_str().into()]).await, Ok(Value::Nil));
    let last = peer.control().await;
    assert_eq!(last.text("message"), Some("Authentication error: Token has been revoked"));
    assert_eq!(peer.next().await, None);
    for line in [token, peer.text("reconnection_token").to_owned()] {
        let lines = [format!("authorization: Bearer {line}")];
        let refused = Peer::open(&running, "client_id=a", &[&lines[0]]).await.err().unwrap();
        let text = "Failed to establish connection: Failed to authenticate user: Token has been revoked";
        assert_eq!((refused.status, refused.detail().as_str()), (401, text));
    }
}
