//! The first message, and two clients of one name.

use polyfn_server::{Config, Limits, Seconds, clock};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::peer::{Ended, Peer};
use crate::{start, token, token_until};

fn told(code: u16, message: &str) -> Ended {
    said(&json!({"type": "error", "message": message}), code, message)
}

/// A handshake that is refused, with the code of the error.
fn refused(code: u16, message: &str, kind: &str) -> Ended {
    said(&json!({"type": "error", "message": message, "code": kind}), code, message)
}

fn said(text: &serde_json::Value, code: u16, message: &str) -> Ended {
    let text = text.to_string();
    let reason = message[..message.len().min(123)].to_owned();
    Ended { texts: vec![text], close: Some((code, reason)) }
}

#[tokio::test]
async fn the_answer_has_its_fields_in_order() {
    let running = start(Config::default()).await;
    let mut peer = Peer::open(&running, "").await;
    peer.say(r#"{"client_id":"a"}"#).await;
    let text = peer.text().await;
    let fields = [
        "type",
        "hypha_version",
        "public_base_url",
        "local_base_url",
        "manager_id",
        "workspace",
        "client_id",
        "user",
        "reconnection_token",
        "reconnection_token_life_time",
    ];
    let places: Vec<_> = fields.iter().map(|field| text.find(&format!("\"{field}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(text.ends_with("\"reconnection_token_life_time\":172800.0}"), "{text}");
}

#[tokio::test]
async fn refusals_have_their_code_and_text() {
    let running = start(Config::default()).await;
    let late = token_until(&running, "eve", "ws:lab-one#a wid:lab-one", clock::now() - 5);
    let other = token(&running, "eve", "ws:lab-one#a wid:lab-one");
    let establish = |why: &str| format!("Failed to establish connection: {why}");
    let table = [
        ("nonsense".to_owned(), 1003, "Failed to decode authentication information".to_owned()),
        (
            json!({"client_id": "a", "token": "abc.def.ghi"}).to_string(),
            1008,
            "Authentication error: Error decoding token headers.".to_owned(),
        ),
        (
            json!({"client_id": "a", "token": late}).to_string(),
            1008,
            "Authentication error: The token has expired. Please fetch a new one".to_owned(),
        ),
        (json!({"client_id": "b/1"}).to_string(), 1001, establish("Invalid client id: b/1")),
        (
            json!({"client_id": "a", "workspace": "public"}).to_string(),
            1001,
            establish("Permission denied for workspace: public"),
        ),
        (
            json!({"client_id": "a", "workspace": "lab-two", "token": other}).to_string(),
            1001,
            establish(
                "Failed to authenticate user: Current workspace encoded in the token (lab-one) does not match the \
                 specified workspace (lab-two)",
            ),
        ),
    ];
    for (first, code, message) in table {
        let kind = if code == 1003 { "invalid" } else { "permission_denied" };
        assert_eq!(Peer::refused(&running, Message::text(first)).await, refused(code, &message, kind));
    }
    let binary = Peer::refused(&running, Message::binary(vec![0x81])).await;
    assert_eq!(binary, refused(1003, "Failed to decode authentication information", "invalid"));
    let long = Peer::refused(&running, Message::text("x".repeat(100_000))).await;
    assert_eq!(long.close.unwrap().0, 1008);
}

#[tokio::test]
async fn credentials_in_the_url_are_refused_without_a_text() {
    let running = start(Config::default()).await;
    let ended = Peer::open(&running, "?token=x").await.ended().await;
    assert_eq!(ended.texts, Vec::<String>::new());
    let (code, reason) = ended.close.unwrap();
    assert_eq!(code, 1008);
    assert!(reason.starts_with("Connection rejected, please  upgrade to `hypha-rpc`"), "{reason}");
}

#[tokio::test]
async fn the_silent_are_closed() {
    let limits = Limits { time_to_authenticate: "0.2".parse().unwrap(), ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let ended = Peer::open(&running, "").await.ended().await;
    assert_eq!(ended, refused(1008, "Authentication payload timeout", "timeout"));
}

#[tokio::test]
async fn the_idle_are_closed() {
    let limits = Limits { ws_idle_timeout: Seconds::new(1), ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut peer = Peer::join(&running, &json!({"client_id": "a"})).await;
    assert_eq!(peer.ended().await, told(1001, "Idle timeout (1s)"));
}

#[tokio::test]
async fn who_gives_no_sign_of_life_is_let_go_and_its_callers_are_told() {
    let limits = Limits { client_silence_timeout: Seconds::new(1), ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let token = token(&running, "ann", "ws:lab-one#a wid:lab-one");
    // a client that is not read from does not answer pings either
    let mute = Peer::named(&running, "mute", &token).await;
    let mut caller = Peer::named(&running, "caller", &token).await;
    caller.manager("subscribe", vec!["client_disconnected".into()]).await.unwrap();
    caller.call("mute", "services.svc.run", vec![]).await;
    let event = caller.frame().await;
    assert_eq!(event.kind, "client_disconnected");
    assert_eq!(event.argument.as_map().unwrap().text("id"), Some("mute"));
    // the caller has said as little, but answered when it was asked
    assert_eq!(caller.manager("echo", vec![1.into()]).await.unwrap(), 1.into());
    drop(mute);
}

#[tokio::test]
async fn a_frame_over_the_limit_is_closed_with_1009() {
    let limits = Limits { max_frame_size: 10_000, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut peer = Peer::join(&running, &json!({"client_id": "a"})).await;
    peer.say(&"x".repeat(10_001)).await;
    assert_eq!(peer.ended().await.close.unwrap().0, 1009);
}

#[tokio::test]
async fn a_flood_is_slowed_and_not_cut_when_a_rate_is_set() {
    let limits = Limits { ws_msg_rate_limit: 50, ws_msg_burst_limit: 5, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut peer = Peer::join(&running, &json!({"client_id": "a"})).await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        sessions.push(peer.call("nobody", "x", vec![]).await);
    }
    for session in &sessions {
        assert!(peer.end(session).await.unwrap_err().contains("is not connected"));
    }
    let metrics = running.state().metrics.text(0.0);
    assert!(metrics.contains("polyfn_limited_total{limit=\"ws_msg_rate_limit\"} "), "{metrics}");
}

#[tokio::test]
async fn a_live_client_keeps_its_name_and_notices_nothing() {
    let running = start(Config::default()).await;
    let token = token(&running, "ann", "ws:lab-one#a wid:lab-one");
    let live = Peer::named(&running, "one", &token).await;
    // somebody has to read from the live socket, or it cannot answer a ping
    let reading = tokio::spawn(async move {
        let mut live = live;
        let call = live.frame().await;
        live.answer(&call, "alive".into()).await;
        live
    });
    let second = json!({"client_id": "one", "token": token}).to_string();
    let ended = Peer::refused(&running, Message::text(second)).await;
    let text = "Failed to establish connection: Client already exists and is active: lab-one/one";
    assert_eq!(ended, refused(1001, text, "conflict"));
    let mut other = Peer::named(&running, "two", &token).await;
    let session = other.call("one", "services.any.thing", vec![]).await;
    assert_eq!(other.end(&session).await, Ok("alive".into()));
    reading.await.unwrap();
}

#[tokio::test]
async fn a_reconnection_token_supersedes_and_keeps_what_is_registered() {
    let running = start(Config::default()).await;
    let token = token(&running, "ann", "ws:lab-one#a wid:lab-one");
    let mut old = Peer::named(&running, "one", &token).await;
    let service = old.service("kept", &[]);
    old.manager("register_service", vec![service]).await.unwrap();
    let mut watcher = Peer::named(&running, "two", &token).await;
    watcher.manager("subscribe", vec!["client_disconnected".into()]).await.unwrap();
    let mut new = Peer::join(&running, &old.back()).await;
    assert_eq!(old.ended().await.close, None, "the old socket is cut");
    assert!(watcher.is_quiet().await, "nobody has disconnected");
    let found = new.manager("get_service_info", vec!["kept".into()]).await.unwrap();
    assert_eq!(found.as_map().unwrap().text("id"), Some("lab-one/one:kept"));
    new.leave().await;
    let event = watcher.frame().await;
    assert_eq!(
        (event.kind.as_str(), event.argument.as_map().unwrap().text("id")),
        ("client_disconnected", Some("one"))
    );
    assert!(watcher.manager("get_service_info", vec!["kept".into()]).await.is_err());
}

#[tokio::test]
async fn another_user_does_not_take_the_place_of_a_live_client() {
    let running = start(Config::default()).await;
    let ann = token(&running, "ann", "ws:lab-one#a wid:lab-one");
    let mut live = Peer::named(&running, "one", &ann).await;
    let service = live.service("kept", &[]);
    live.manager("register_service", vec![service]).await.unwrap();
    let bob = token(&running, "bob", "ws:lab-one#rw wid:lab-one cid:one");
    let first = json!({"client_id": "one", "reconnection_token": bob}).to_string();
    let reading = tokio::spawn(async move {
        let call = live.frame().await;
        live.answer(&call, "alive".into()).await;
        live
    });
    let ended = Peer::refused(&running, Message::text(first)).await;
    assert_eq!(
        ended,
        refused(
            1001,
            "Failed to establish connection: Client already exists and is active: lab-one/one",
            "conflict"
        )
    );
    let mut other = Peer::named(&running, "two", &ann).await;
    let session = other.call("one", "services.any.thing", vec![]).await;
    assert_eq!(other.end(&session).await, Ok("alive".into()));
    drop(reading.await.unwrap());
}

#[tokio::test]
async fn stopping_says_so_and_ends_in_time() {
    let running = start(Config::default()).await;
    let mut peer = Peer::join(&running, &json!({"client_id": "a"})).await;
    let stopping = tokio::spawn(running.stop());
    let ended = peer.ended().await;
    assert_eq!(ended.close, Some((1001, "Server is shutting down".to_owned())));
    assert!(stopping.await.unwrap());
}
