//! What is told of each change: one event, and nothing else.

use polyfn_core::Value;
use polyfn_server::{Config, Running};
use serde_json::json;

use crate::peer::Peer;
use crate::{start, token};

const LAB: &str = "ws:lab-one#a wid:lab-one";
const ALL: [&str; 6] = [
    "client_connected",
    "client_updated",
    "client_disconnected",
    "service_added",
    "service_updated",
    "service_removed",
];

/// A client that hears of events of these kinds; `extensions` make it one of ours.
async fn watcher(running: &Running, name: &str, extensions: &[&str], kinds: &[&str]) -> Peer {
    let hello = json!({"client_id": name, "token": token(running, name, LAB), "extensions": extensions});
    let mut peer = Peer::join(running, &hello).await;
    let info = peer.service("built-in", &[("visibility", "public")]);
    peer.manager("register_service", vec![info]).await.unwrap();
    let kinds = Value::List(kinds.iter().copied().map(Value::from).collect());
    peer.manager("subscribe", vec![kinds]).await.unwrap();
    peer
}

/// The next events, and that no more than those come.
async fn heard(watcher: &mut Peer, expected: &[(&str, &str)]) {
    for (kind, id) in expected {
        let event = watcher.frame().await;
        let told = event.argument.as_map().unwrap().text("id").unwrap().to_owned();
        assert_eq!((event.kind.as_str(), told.as_str()), (*kind, *id));
    }
    assert!(watcher.is_quiet().await, "more than {expected:?} is told");
}

async fn register(peer: &mut Peer, name: &str) {
    let service = peer.service(name, &[]);
    peer.manager("register_service", vec![service]).await.unwrap();
}

async fn unregister(peer: &mut Peer, name: &str) {
    let id = format!("{}:{name}", peer.address());
    peer.manager("unregister_service", vec![id.as_str().into()]).await.unwrap();
}

#[tokio::test]
async fn each_change_is_told_once() {
    let running = start(Config::default()).await;
    let mut ours = watcher(&running, "ours", &["cancel"], &ALL).await;
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    heard(&mut ours, &[("client_connected", "lab-one/bob")]).await;
    register(&mut bob, "calc").await;
    heard(&mut ours, &[("service_added", "lab-one/bob:calc")]).await;
    register(&mut bob, "calc").await;
    heard(&mut ours, &[("service_updated", "lab-one/bob:calc")]).await;
    unregister(&mut bob, "calc").await;
    heard(&mut ours, &[("service_removed", "lab-one/bob:calc")]).await;
    register(&mut bob, "calc").await;
    heard(&mut ours, &[("service_added", "lab-one/bob:calc")]).await;

    // a new connection takes the place of the old one, and registers all again
    let mut again = Peer::join(&running, &bob.back()).await;
    bob.ended().await;
    heard(&mut ours, &[]).await;
    register(&mut again, "built-in").await;
    heard(&mut ours, &[("client_updated", "lab-one/bob")]).await;
    register(&mut again, "calc").await;
    heard(&mut ours, &[("service_updated", "lab-one/bob:calc")]).await;

    // it vanishes with its services, and comes back
    let back = again.back();
    drop(again);
    heard(&mut ours, &[("client_disconnected", "lab-one/bob")]).await;
    let mut bob = Peer::join(&running, &back).await;
    heard(&mut ours, &[]).await;
    register(&mut bob, "built-in").await;
    register(&mut bob, "calc").await;
    heard(&mut ours, &[("client_connected", "lab-one/bob"), ("service_added", "lab-one/bob:calc")]).await;

    // it withdraws, which is told at once and not again when it leaves
    unregister(&mut bob, "built-in").await;
    heard(&mut ours, &[("client_disconnected", "lab-one/bob")]).await;
    register(&mut bob, "built-in").await;
    heard(&mut ours, &[("client_connected", "lab-one/bob")]).await;
    unregister(&mut bob, "built-in").await;
    heard(&mut ours, &[("client_disconnected", "lab-one/bob")]).await;
    bob.leave().await;
    let found = ours.manager("list_clients", vec![]).await.unwrap();
    assert_eq!(found.as_list().unwrap().len(), 1);
    heard(&mut ours, &[]).await;
}

#[tokio::test]
async fn clients_of_old_are_told_as_ever() {
    let running = start(Config::default()).await;
    let kinds: Vec<_> = ALL.iter().copied().filter(|kind| *kind != "service_updated").collect();
    let mut old = watcher(&running, "old", &[], &kinds).await;
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    register(&mut bob, "calc").await;
    register(&mut bob, "calc").await;
    bob.leave().await;
    let expected = [
        ("client_connected", "lab-one/bob"),
        ("service_added", "lab-one/bob:calc"),
        ("service_removed", "lab-one/bob:calc"),
        ("service_added", "lab-one/bob:calc"),
        // they put the workspace in front of it
        ("client_disconnected", "bob"),
    ];
    heard(&mut old, &expected).await;
}
