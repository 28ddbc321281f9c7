//! Types of services: who makes them, who sees them, how many there may be.

use polyfn_core::{Map, Value};
use polyfn_server::{Config, Limits, Running};

use crate::peer::Peer;
use crate::{start, token};

async fn ann(running: &Running) -> Peer {
    Peer::named(running, "ann", &token(running, "ann", "ws:lab-one#a wid:lab-one")).await
}

fn kind(id: &str, visibility: &str) -> Value {
    let definition = Map::from_iter([("add", Map::from_iter([("type", "function")]))]);
    let config = Map::from_iter([("visibility", visibility)]);
    Value::Map(Map::from_iter([
        ("id", Value::from(id)),
        ("definition", Value::Map(definition)),
        ("config", Value::Map(config)),
    ]))
}

fn id(told: &Value) -> &str {
    told.as_map().and_then(|told| told.text("id")).unwrap()
}

#[tokio::test]
async fn a_type_is_told_as_it_was_made() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let made = ann.manager("register_service_type", vec![kind("lab-one/calc", "protected")]).await.unwrap();
    assert_eq!(id(&made), "calc");
    for asked in ["calc", "lab-one/calc"] {
        let told = ann.manager("get_service_type", vec![asked.into()]).await.unwrap();
        assert_eq!(id(&told), "lab-one/calc");
        let told = told.as_map().unwrap();
        assert_eq!(told.text("name"), Some("calc"));
        assert!(told.get("definition").unwrap().as_map().unwrap().contains("add"));
    }
    let listed = ann.manager("list_service_types", vec![]).await.unwrap();
    assert_eq!(listed.as_list().unwrap().iter().map(id).collect::<Vec<_>>(), ["calc"]);
    let again = ann.manager("register_service_type", vec![kind("calc", "protected")]).await;
    assert_eq!(again, Err("KeyError: 'Service type already exists: calc'".to_owned()));
}

#[tokio::test]
async fn others_see_public_types_only() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    for (id, visibility) in [("open", "public"), ("closed", "protected")] {
        ann.manager("register_service_type", vec![kind(id, visibility)]).await.unwrap();
    }
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", "ws:lab-two#a wid:lab-two")).await;
    assert!(bob.manager("get_service_type", vec!["lab-one/open".into()]).await.is_ok());
    let hidden = bob.manager("get_service_type", vec!["lab-one/closed".into()]).await;
    assert_eq!(hidden, Err("KeyError: 'Service type not found: closed'".to_owned()));
    let listed = bob.manager("list_service_types", vec!["lab-one".into()]).await.unwrap();
    assert_eq!(listed.as_list().unwrap().iter().map(id).collect::<Vec<_>>(), ["open"]);
    let foreign = bob.manager("register_service_type", vec![kind("lab-one/mine", "public")]).await;
    assert!(foreign.is_err_and(|error| error.contains("Workspace mismatch: lab-one != lab-two")));
}

#[tokio::test]
async fn types_that_make_no_sense_are_refused() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let Value::Map(mut undefined) = kind("x", "public") else { panic!("a type is a map") };
    undefined.insert("definition", 7);
    let Value::Map(mut long) = kind("x", "public") else { panic!("a type is a map") };
    long.insert("docs", "x".repeat(64 << 10));
    for (made, reason) in [
        (kind("", "public"), "needs an 'id'"),
        (kind(&"x".repeat(129), "public"), "needs an 'id'"),
        (Value::Map(undefined), "needs a 'definition'"),
        (Value::Map(long), "may have 65536 bytes"),
    ] {
        let refused = ann.manager("register_service_type", vec![made]).await;
        assert!(refused.as_ref().is_err_and(|error| error.contains(reason)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_workspace_has_so_many_types() {
    let limits = Limits { max_service_types: 1, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut ann = ann(&running).await;
    ann.manager("register_service_type", vec![kind("one", "public")]).await.unwrap();
    let second = ann.manager("register_service_type", vec![kind("two", "public")]).await;
    assert_eq!(second, Err("ValueError: Too many service types: a workspace may have 1".to_owned()));
}
