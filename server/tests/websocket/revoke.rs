//! Tokens that are taken back, and all that ends with them.

use std::time::{Duration, Instant};

use polyfn_core::Value;
use polyfn_server::auth::{Scope, TokenId, UserInfo};
use polyfn_server::{Config, Running, clock};
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::Message;

use crate::peer::{Ended, Peer};
use crate::{start, token};

const LAB: &str = "ws:lab-one#a wid:lab-one";
const CLOSED: &str = "Authentication error: Token has been revoked";
const REFUSED: &str = "Failed to establish connection: Failed to authenticate user: Token has been revoked";

fn ended(code: u16, message: &str) -> Ended {
    let text = json!({"type": "error", "message": message}).to_string();
    Ended { texts: vec![text], close: Some((code, message.to_owned())) }
}

/// How a revoked token is refused at the handshake.
fn turned_away() -> Ended {
    let text = json!({"type": "error", "message": REFUSED, "code": "permission_denied"}).to_string();
    Ended { texts: vec![text], close: Some((1001, REFUSED.to_owned())) }
}

async fn refused(running: &Running, hello: &Json) -> Ended {
    Peer::refused(running, Message::text(hello.to_string())).await
}

async fn made(peer: &mut Peer, permission: &str) -> String {
    let config = Value::Map([("permission", permission)].into_iter().collect());
    let made = peer.manager("generate_token", vec![config]).await.unwrap();
    made.as_text().unwrap().to_owned()
}

#[tokio::test]
async fn all_that_hangs_on_a_revoked_token_ends_within_a_second() {
    let running = start(Config::default()).await;
    let mut boss = Peer::named(&running, "boss", &token(&running, "boss", LAB)).await;
    let lost = made(&mut boss, "admin").await;
    let mut thief = Peer::named(&running, "thief", &lost).await;
    let copy = made(&mut thief, "read").await;
    let mut friend = Peer::named(&running, "friend", &token(&running, "friend", LAB)).await;
    let mut helper = Peer::join(&running, &json!({"client_id": "helper", "token": copy})).await;

    let begun = Instant::now();
    assert_eq!(boss.manager("revoke_token", vec![lost.as_str().into()]).await, Ok(Value::Nil));
    assert_eq!(thief.ended().await, ended(1008, CLOSED));
    assert_eq!(helper.ended().await, ended(1008, CLOSED));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());

    for hello in [
        json!({"client_id": "again", "token": lost}),
        json!({"client_id": "again", "token": copy}),
        thief.back(),
        helper.back(),
    ] {
        assert_eq!(refused(&running, &hello).await, turned_away());
    }
    for token in [&lost, &copy] {
        let text = boss.manager("parse_token", vec![token.as_str().into()]).await.unwrap_err();
        assert_eq!(text, "ValueError: Invalid token: Token has been revoked");
    }
    assert!(friend.is_quiet().await && boss.is_quiet().await);
}

#[tokio::test]
async fn who_takes_its_own_token_back_is_told_that_it_worked() {
    let running = start(Config::default()).await;
    let own = token(&running, "boss", LAB);
    let mut boss = Peer::named(&running, "boss", &own).await;
    assert_eq!(boss.manager("revoke_token", vec![own.as_str().into()]).await, Ok(Value::Nil));
    assert_eq!(boss.ended().await, ended(1008, CLOSED));
}

#[tokio::test]
async fn a_reconnection_token_ends_with_its_session() {
    let running = start(Config::default()).await;
    let own = token(&running, "boss", LAB);
    let mut boss = Peer::named(&running, "boss", &own).await;
    let back = boss.back();
    let mut again = Peer::join(&running, &back).await;
    let newer = again.back();
    let stolen = back["reconnection_token"].as_str().unwrap();
    assert_eq!(boss.ended().await.texts.len(), 0, "its place was taken");
    assert_eq!(again.manager("revoke_token", vec![stolen.into()]).await, Ok(Value::Nil));
    assert_eq!(again.ended().await, ended(1008, CLOSED));
    assert_eq!(refused(&running, &newer).await, turned_away());
    // the token by which the session began is another one
    Peer::named(&running, "boss", &own).await;
}

#[tokio::test]
async fn only_those_with_all_rights_revoke() {
    let running = start(Config::default()).await;
    let of_lab = token(&running, "guest", "ws:lab-one#rw wid:lab-one");
    let mut guest = Peer::named(&running, "guest", &of_lab).await;
    let mut stranger = Peer::join(&running, &json!({"client_id": "stranger"})).await;
    let text = guest.manager("revoke_token", vec![of_lab.as_str().into()]).await.unwrap_err();
    assert_eq!(text, "PermissionError: Permission denied for workspace lab-one");
    let text = stranger.manager("revoke_token", vec![of_lab.as_str().into()]).await.unwrap_err();
    assert_eq!(text, "PermissionError: Permission denied for workspace lab-one");
    let text = stranger.manager("revoke_token", vec!["x".into()]).await.unwrap_err();
    assert_eq!(text, "ValueError: Invalid token: Error decoding token headers.");
    let user = UserInfo { id: "u".into(), scope: Scope::parse(LAB), ..UserInfo::default() };
    let old = running.state().tokens.issue(&user, 60, clock::now() - 61).unwrap();
    let text = stranger.manager("revoke_token", vec![old.into()]).await.unwrap_err();
    assert_eq!(text, "ValueError: Token has already expired");
    assert!(guest.is_quiet().await && running.state().tokens.revoked().is_empty());
}

#[tokio::test]
async fn what_comes_while_its_token_is_revoked_does_not_stay() {
    let running = start(Config::default()).await;
    let own = token(&running, "boss", LAB);
    // as if it was revoked between the look at the token and the arrival
    running.state().tokens.revoked().add(TokenId::of(&own), u64::MAX);
    let hello = json!({"client_id": "boss", "token": own});
    assert_eq!(refused(&running, &hello).await, turned_away());
}

/// In the reference, who may read the workspace of a stranger makes itself an admin there.
#[tokio::test]
async fn a_reader_of_a_strangers_workspace_stays_a_reader() {
    let running = start(Config::default()).await;
    let mut owner = Peer::join(&running, &json!({"client_id": "owner"})).await;
    let given = made(&mut owner, "read").await;
    let mut reader = Peer::join(&running, &json!({"client_id": "reader", "token": given})).await;
    assert_eq!(reader.workspace(), owner.workspace());
    for permission in ["read", "read_write", "admin"] {
        let config = Value::Map([("permission", permission)].into_iter().collect());
        let text = reader.manager("generate_token", vec![config]).await.unwrap_err();
        assert_eq!(text, "PermissionError: Only admin can generate token.");
    }
}
