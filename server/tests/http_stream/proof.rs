//! Nobody speaks for another: what a request in the name of a client has to show.

use polyfn_core::Value;
use polyfn_server::{Config, Running};
use serde_json::json;

use crate::peer::{Peer, packed, post};
use crate::{start, token};

const BEARER: &str = "authorization: Bearer ";

/// The status of a request in the name of `peer` that shows `lines`.
async fn shows(peer: &Peer, lines: &[&str]) -> u16 {
    post(peer.address, &peer.query(), lines, &packed(&json!({"type": "ping"}))).await.status
}

fn bearer(running: &Running, user: &str, scope: &str) -> String {
    format!("{BEARER}{}", token(running, user, scope))
}

#[tokio::test]
async fn the_client_of_a_user_shows_a_token_of_that_user() {
    let running = start(Config::default()).await;
    let peer = Peer::join(&running, "a", &token(&running, "u", "ws:lab#rw wid:lab")).await;
    for (line, status) in [
        (bearer(&running, "u", "ws:lab#rw wid:lab"), 200),
        (bearer(&running, "u", "ws:lab#rw"), 200),
        (bearer(&running, "u", "ws:lab#rw wid:lab cid:a"), 200),
        (format!("{BEARER}{}", peer.text("reconnection_token")), 200),
        // another client, another workspace, less right, another user, for another purpose, no token at all
        (bearer(&running, "u", "ws:lab#rw wid:lab cid:b"), 403),
        (bearer(&running, "u", "ws:lab#rw ws:den#rw wid:den"), 403),
        (bearer(&running, "u", "ws:lab#r wid:lab"), 403),
        (bearer(&running, "v", "ws:lab#a wid:lab"), 403),
        (bearer(&running, "u", "ws:lab#rw wid:lab login:x"), 403),
        (format!("{BEARER}x.y.z"), 401),
        ("x: y".to_owned(), 401),
    ] {
        assert_eq!(shows(&peer, &[&line]).await, status, "{line}");
    }
}

#[tokio::test]
async fn our_clients_show_the_secret_of_the_stream() {
    let running = start(Config::default()).await;
    let ours = "accept: application/x-polyfn-stream";
    let peer = Peer::open(&running, "client_id=a", &[ours]).await.unwrap();
    let secret = peer.text("stream_secret").to_owned();
    assert_eq!(shows(&peer, &[&format!("polyfn-stream-secret: {secret}")]).await, 200);
    assert_eq!(shows(&peer, &[&format!("polyfn-stream-secret: {}", &secret[1..])]).await, 401);
    assert_eq!(shows(&peer, &[]).await, 401);
}

#[tokio::test]
async fn who_keeps_cookies_must_show_them() {
    let running = start(Config::default()).await;
    let peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    let cookie = format!("cookie: other=1; {}", peer.cookie().unwrap());
    // as long as nothing better was shown, the place is enough
    assert_eq!(shows(&peer, &[]).await, 200);
    assert_eq!(shows(&peer, &["origin: https://elsewhere.example"]).await, 401);
    assert_eq!(shows(&peer, &[&cookie]).await, 200);
    assert_eq!(shows(&peer, &[]).await, 401);
    assert_eq!(shows(&peer, &[&cookie]).await, 200);
}

#[tokio::test]
async fn the_place_can_be_made_too_little() {
    let running = start(Config { require_stream_proof: true, ..Config::default() }).await;
    let peer = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    assert_eq!(shows(&peer, &[]).await, 401);
    assert_eq!(shows(&peer, &[&format!("cookie: {}", peer.cookie().unwrap())]).await, 200);
}

#[tokio::test]
async fn who_came_back_with_a_cookie_keeps_cookies() {
    let running = start(Config::default()).await;
    let first = Peer::open(&running, "client_id=a", &[]).await.unwrap();
    let old = format!("cookie: {}", first.cookie().unwrap());
    let query = format!("{}&reconnection_token={}", first.query(), first.text("reconnection_token"));
    let second = Peer::open(&running, &query, &[&old]).await.unwrap();
    assert_eq!(second.name(), first.name());
    assert_eq!(shows(&second, &[]).await, 401);
    assert_eq!(shows(&second, &[&old]).await, 401);
    assert_eq!(shows(&second, &[&format!("cookie: {}", second.cookie().unwrap())]).await, 200);
}

#[tokio::test]
async fn nobody_joins_under_the_name_of_another() {
    let running = start(Config::default()).await;
    let mut first = Peer::named(&running, "a", &token(&running, "u", "")).await;
    let again = bearer(&running, "u", "");
    let again = [again.as_str()];
    let (refused, ()) = tokio::join!(Peer::open(&running, "client_id=a", &again), async {
        // it is asked whether it is there, and is not disturbed by that
        let asked = first.frame().await;
        assert_eq!(asked.method, "services.built-in.ping");
        assert_eq!(asked.argument, Value::from("ping"));
        first.answer(&asked, "pong".into()).await;
    });
    let refused = refused.err().unwrap();
    assert_eq!(refused.status, 409);
    assert!(refused.detail().contains("already exists and is active"));
    assert_eq!(first.manager("echo", vec!["still here".into()]).await.unwrap(), Value::from("still here"));
}
