//! The manager's methods: rights, ids, events.

use polyfn_core::codec::Stub;
use polyfn_core::{Map, Value};
use polyfn_server::{Config, Running};
use serde_json::json;

use crate::peer::Peer;
use crate::{start, token};

const LAB: &str = "ws:lab-one#a wid:lab-one";

async fn ann(running: &Running) -> Peer {
    Peer::named(running, "ann", &token(running, "ann", LAB)).await
}

fn options(entries: &[(&str, &str)]) -> Value {
    Value::Map(entries.iter().copied().collect())
}

#[tokio::test]
async fn every_method_is_described_with_its_schema() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let session = ann.call("*/whoever", "services.built-in.get_service", vec!["default".into()]).await;
    let described = ann.end(&session).await.unwrap();
    let described = described.as_map().unwrap();
    assert!(described.get("config").unwrap().as_map().is_some());
    let names = [
        "get_service",
        "register_service",
        "unregister_service",
        "list_services",
        "get_service_info",
        "register_service_type",
        "get_service_type",
        "list_service_types",
        "list_clients",
        "echo",
        "log",
        "generate_token",
        "parse_token",
        "revoke_token",
        "subscribe",
        "unsubscribe",
        "create_workspace",
        "ping_client",
        "ping",
    ];
    for name in names {
        let Some(Value::Method(stub)) = described.get(name) else { panic!("{name} is not described") };
        assert_eq!(stub.method, format!("services.default.{name}"));
        let schema = stub.schema.as_ref().unwrap().as_map().unwrap();
        assert!(schema.contains("parameters") && schema.text("name") == Some(name));
    }
    let found = ann.manager("get_service", vec!["~".into()]).await.unwrap();
    assert!(found.as_map().unwrap().contains("get_service"));
}

#[tokio::test]
async fn readers_read_and_do_no_more() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let service = ann.service("calc", &[]);
    ann.manager("register_service", vec![service]).await.unwrap();
    let reader = token(&running, "reader", "ws:lab-one#r wid:lab-one");
    let mut reader = Peer::join(&running, &json!({"client_id": "reader", "token": reader})).await;
    let listed = reader.manager("list_services", vec![]).await.unwrap();
    assert_eq!(listed.as_list().unwrap().len(), 2);
    let denied = Err("PermissionError: Permission denied for workspace lab-one".to_owned());
    assert_eq!(reader.manager("echo", vec![1.into()]).await, denied);
    assert_eq!(reader.manager("log", vec!["x".into()]).await, denied);
    let built_in = reader.service("built-in", &[]);
    assert_eq!(reader.manager("register_service", vec![built_in]).await, denied);
    assert_eq!(reader.manager("unregister_service", vec!["calc".into()]).await, denied);
    let refused = reader.manager("generate_token", vec![]).await;
    assert_eq!(refused, Err("PermissionError: Only admin can generate token.".to_owned()));
}

#[tokio::test]
async fn long_lists_are_told_in_parts() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    for number in 0..5 {
        let service = ann.service(&format!("calc{number}"), &[]);
        ann.manager("register_service", vec![service]).await.unwrap();
    }
    let nil = || Value::Nil;
    let part = |offset: Value, limit: Value| vec![nil(), nil(), nil(), nil(), offset, limit];
    let told = ann.manager("list_services", part(2.into(), 2.into())).await.unwrap();
    let ids: Vec<_> = told.as_list().unwrap().iter().filter_map(|s| s.as_map()?.text("id")).collect();
    // the first one is `built-in`
    assert_eq!(ids, ["lab-one/ann:calc1", "lab-one/ann:calc2"]);
    let rest = ann.manager("list_services", part(4.into(), nil())).await.unwrap();
    assert_eq!(rest.as_list().unwrap().len(), 2);
    let refused = ann.manager("list_services", part((-1).into(), nil())).await.unwrap_err();
    assert_eq!(refused, "TypeError: argument 'offset' must be a number of 0 or more");
}

#[tokio::test]
async fn strangers_see_nothing_of_other_workspaces() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    for (id, visibility) in [("open", "public"), ("hidden", "unlisted"), ("closed", "protected")] {
        let service = ann.service(id, &[("visibility", visibility)]);
        ann.manager("register_service", vec![service]).await.unwrap();
    }
    let mut stranger = Peer::join(&running, &json!({"client_id": "stranger"})).await;
    let listed = stranger.manager("list_services", vec!["lab-one".into()]).await.unwrap();
    let ids: Vec<_> = listed.as_list().unwrap().iter().filter_map(|s| s.as_map()?.text("id")).collect();
    assert!(ids.contains(&"lab-one/ann:open"), "{ids:?}");
    assert!(!ids.iter().any(|id| id.ends_with("hidden") || id.ends_with("closed")), "{ids:?}");
    assert!(stranger.manager("get_service_info", vec!["lab-one/ann:hidden".into()]).await.is_ok());
    let no = "Permission denied for workspace lab-one";
    for (method, argument) in
        [("list_clients", Value::from("lab-one")), ("ping_client", "lab-one/ann".into())]
    {
        let refused = stranger.manager(method, vec![argument]).await.unwrap_err();
        assert!(refused.ends_with(no), "{refused}");
    }
    let refused = stranger.manager("generate_token", vec![options(&[("workspace", "lab-one")])]).await;
    let text = "PermissionError: You do not have any permission for workspace: lab-one";
    assert_eq!(refused, Err(text.to_owned()));
    let refused = stranger.manager("create_workspace", vec![options(&[("id", "my-lab")])]).await;
    assert_eq!(refused, Err("Exception: Only registered user can create workspace.".to_owned()));
    let refused = stranger.manager("subscribe", vec!["lab-one/x".into()]).await.unwrap_err();
    assert!(refused.starts_with("ValueError: Subscription to event 'lab-one/x' is forbidden."), "{refused}");
}

#[tokio::test]
async fn a_token_gives_what_it_says_and_ends() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let made = ann.manager("generate_token", vec![options(&[("permission", "read")])]).await.unwrap();
    let parsed = ann.manager("parse_token", vec![made.clone()]).await.unwrap();
    let parsed = parsed.as_map().unwrap();
    assert_eq!(parsed.text("parent"), Some("ann"));
    assert_eq!(parsed.text("current_workspace"), Some("lab-one"));
    let bearer = json!({"client_id": "bearer", "token": made.as_text().unwrap()});
    let mut bearer = Peer::join(&running, &bearer).await;
    assert_eq!(bearer.workspace(), "lab-one");
    assert!(bearer.manager("echo", vec![1.into()]).await.is_err());
}

#[tokio::test]
async fn services_belong_to_their_client() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    let of_bob = bob.service("calc", &[]);
    let refused = ann.manager("register_service", vec![of_bob.clone()]).await.unwrap_err();
    assert!(refused.contains("names another client"), "{refused}");
    bob.manager("register_service", vec![of_bob]).await.unwrap();
    let refused = ann.manager("unregister_service", vec!["bob:calc".into()]).await.unwrap_err();
    assert!(refused.contains("belongs to another client"), "{refused}");
    let refused = ann.manager("unregister_service", vec!["none".into()]).await;
    assert_eq!(refused, Err("KeyError: 'Service not found: lab-one/*:none@*'".to_owned()));
    let elsewhere = Value::Map(Map::from_iter([("id", "other-ws/ann:x")]));
    let refused = ann.manager("register_service", vec![elsewhere]).await.unwrap_err();
    assert!(refused.starts_with("PermissionError: Service ID workspace prefix 'other-ws'"), "{refused}");
    assert_eq!(bob.manager("unregister_service", vec!["calc".into()]).await, Ok(Value::Nil));
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_with_their_key() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let with = |kind: &str, key: &str, value: Value| {
        let config = Value::Map(Map::from_iter([(key, value)]));
        Value::Map(Map::from_iter([
            ("id", "lab-one/ann:web".into()),
            ("type", kind.into()),
            ("config", config),
        ]))
    };
    let refused =
        ann.manager("register_service", vec![with("functions", "cors", 1.into())]).await.unwrap_err();
    assert_eq!(refused, "ValueError: at config.cors: expected a map of rules, true or false");
    ann.manager("register_service", vec![with("generic", "cors", 1.into())]).await.unwrap();
}

#[tokio::test]
async fn a_service_needs_its_client_to_be_known_first() {
    let running = start(Config::default()).await;
    let mut quiet = Peer::join(&running, &json!({"client_id": "quiet"})).await;
    let service = quiet.service("calc", &[]);
    let refused = quiet.manager("register_service", vec![service]).await.unwrap_err();
    assert!(refused.contains("built-in"), "{refused}");
}

#[tokio::test]
async fn several_of_one_name_are_told_apart() {
    let running = start(Config::default()).await;
    let (mut ann, mut bob) =
        (ann(&running).await, Peer::named(&running, "bob", &token(&running, "b", LAB)).await);
    for peer in [&mut ann, &mut bob] {
        let service = peer.service("calc", &[]);
        peer.manager("register_service", vec![service]).await.unwrap();
    }
    let refused = ann.manager("get_service_info", vec!["calc".into()]).await.unwrap_err();
    assert!(
        refused.starts_with("AssertionError: Multiple services found for lab-one/*:calc, e.g. ["),
        "{refused}"
    );
    for (mode, id) in [("first", "lab-one/ann:calc"), ("last", "lab-one/bob:calc")] {
        let found =
            ann.manager("get_service_info", vec!["calc".into(), options(&[("mode", mode)])]).await.unwrap();
        assert_eq!(found.as_map().unwrap().text("id"), Some(id));
    }
    let single = Value::Map(Map::from_iter([
        ("id", Value::from("lab-one/bob:only")),
        ("config", Value::Map(Map::from_iter([("singleton", true)]))),
    ]));
    bob.manager("register_service", vec![single]).await.unwrap();
    let second = ann.service("only", &[]);
    let refused = ann.manager("register_service", vec![second]).await.unwrap_err();
    assert!(refused.contains("A singleton service with the same name (only) already exists"), "{refused}");
}

#[tokio::test]
async fn a_service_is_fetched_from_its_owner() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    let service = bob.service("calc", &[]);
    bob.manager("register_service", vec![service]).await.unwrap();
    let session = ann.call("*/m", "services.default.get_service", vec!["calc".into()]).await;
    let asked = bob.frame().await;
    assert_eq!((asked.method.as_str(), asked.ws.as_str()), ("services.built-in.get_service", "lab-one"));
    assert_eq!(asked.argument, "calc".into());
    let answer = Map::from_iter([("id", Value::from("calc")), ("n", 5.into())]);
    bob.answer(&asked, Value::Map(answer)).await;
    let found = ann.end(&session).await.unwrap();
    let found = found.as_map().unwrap();
    assert_eq!((found.text("id"), found.get("n")), (Some("lab-one/bob:calc"), Some(&5.into())));
    let config = found.get("config").unwrap().as_map().unwrap();
    assert_eq!(config.text("workspace"), Some("lab-one"));
    assert!(config.text("url").unwrap().ends_with("/lab-one/services/bob:calc"));
    // and an owner that leaves instead of answering ends the call
    let session = ann.call("*/m", "services.default.get_service", vec!["calc".into()]).await;
    bob.frame().await;
    bob.leave().await;
    assert_eq!(ann.end(&session).await, Err("Client disconnected: lab-one/bob".to_owned()));
}

#[tokio::test]
async fn registrations_are_told_in_order() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let kinds = ["client_connected", "client_disconnected", "service_added", "service_removed"];
    let kinds = Value::List(kinds.map(Value::from).to_vec());
    assert_eq!(ann.manager("subscribe", vec![kinds]).await, Ok(Value::Bool(true)));
    let mut bob = Peer::named(&running, "bob", &token(&running, "bob", LAB)).await;
    for _ in 0..2 {
        let service = bob.service("calc", &[]);
        bob.manager("register_service", vec![service]).await.unwrap();
    }
    bob.manager("unregister_service", vec!["lab-one/bob:calc".into()]).await.unwrap();
    bob.leave().await;
    for (kind, id) in [
        ("client_connected", "lab-one/bob"),
        ("service_added", "lab-one/bob:calc"),
        ("service_removed", "lab-one/bob:calc"),
        ("service_added", "lab-one/bob:calc"),
        ("service_removed", "lab-one/bob:calc"),
        ("client_disconnected", "bob"),
    ] {
        let event = ann.frame().await;
        assert_eq!((event.kind.as_str(), event.argument.as_map().unwrap().text("id")), (kind, Some(id)));
        assert!(!event.head.contains("from") && !event.head.contains("user"), "{:?}", event.head);
    }
}

#[tokio::test]
async fn workspaces_are_created_and_owned() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let made = ann.manager("create_workspace", vec![options(&[("id", "my-lab")])]).await.unwrap();
    assert_eq!(made.as_map().unwrap().text("name"), Some("my-lab"));
    let again = ann.manager("create_workspace", vec![options(&[("id", "my-lab")])]).await;
    assert_eq!(again, Err("RuntimeError: Workspace already exists: my-lab".to_owned()));
    // the owner in person may give it to others
    let given = ann.manager("generate_token", vec![options(&[("workspace", "my-lab")])]).await.unwrap();
    let guest = json!({"client_id": "guest", "token": given.as_text().unwrap()});
    assert_eq!(Peer::join(&running, &guest).await.workspace(), "my-lab");
    let refused = ann.manager("create_workspace", vec![options(&[("id", "ws-user-bob")])]).await;
    assert_eq!(refused, Err("RuntimeError: Workspace already exists: ws-user-bob".to_owned()));
}

#[tokio::test]
async fn a_ping_says_why_it_failed() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let answer = ann.manager("ping_client", vec!["nobody".into()]).await.unwrap();
    let text = "Failed to ping client lab-one/nobody: Target peer lab-one/nobody is not connected";
    assert_eq!(answer, text.into());
    let listed = ann.manager("list_clients", vec![]).await.unwrap();
    assert_eq!(listed.as_list().unwrap()[0].as_map().unwrap().text("id"), Some("lab-one/ann"));
}

#[tokio::test]
async fn the_manager_speaks_to_nobody_in_the_name_of_another() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let mut stranger = Peer::join(&running, &json!({"client_id": "stranger"})).await;
    let head = Map::from_iter([
        ("type", "method"),
        ("to", "*/manager"),
        ("method", "services.default.echo"),
        ("session", "S"),
    ]);
    let stub = |target: &str| {
        let method = "services.secret.delete".to_owned();
        Value::from(Stub { target: target.to_owned(), method, ..Stub::default() })
    };
    let address = ann.address();
    let promise = Map::from_iter([("resolve", stub(&address)), ("reject", stub(&address))]);
    let args = Value::List(vec!["all".into()]);
    let body = Map::from_iter([("args", args), ("promise", Value::Map(promise))]);
    stranger.send(&Value::Map(head), Some(&Value::Map(body))).await;
    assert_eq!(stranger.manager("echo", vec![1.into()]).await, Ok(1.into()));
    assert!(ann.is_quiet().await, "the manager passed on what a stranger said");
}

#[tokio::test]
async fn a_client_cannot_take_all_places_of_the_manager() {
    let running = start(Config::default()).await;
    let mut silent = ann(&running).await;
    let built_in = silent.service("built-in", &[]);
    silent.manager("register_service", vec![built_in]).await.unwrap();
    let address = silent.address();
    let mut greedy = Peer::named(&running, "greedy", &token(&running, "greedy", LAB)).await;
    for _ in 0..256 {
        greedy.call("*/manager", "services.default.ping_client", vec![address.as_str().into()]).await;
    }
    let refused = greedy.manager("ping_client", vec![address.as_str().into()]).await.unwrap_err();
    assert!(refused.contains("256 calls to the manager"), "{refused}");
    assert_eq!(greedy.manager("echo", vec![1.into()]).await, Ok(1.into()));
}

#[tokio::test]
async fn the_description_of_a_service_has_a_limit() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    let Value::Map(mut service) = ann.service("built-in", &[]) else { panic!("a service is a map") };
    service.insert("docs", "x".repeat(1 << 20));
    let refused = ann.manager("register_service", vec![Value::Map(service)]).await.unwrap_err();
    assert!(refused.contains("may have 1048576 bytes"), "{refused}");
}

#[tokio::test]
async fn strangers_do_not_find_unlisted_services_by_a_star() {
    let running = start(Config::default()).await;
    let mut ann = ann(&running).await;
    for (id, visibility) in [("built-in", "protected"), ("hidden", "unlisted")] {
        let service = ann.service(id, &[("visibility", visibility)]);
        ann.manager("register_service", vec![service]).await.unwrap();
    }
    let mut stranger = Peer::join(&running, &json!({"client_id": "stranger"})).await;
    let named = stranger.manager("get_service_info", vec!["lab-one/*:hidden".into()]).await;
    assert!(named.is_ok(), "{named:?}");
    let any = options(&[("mode", "random")]);
    let found = stranger.manager("get_service_info", vec!["lab-one/*:*".into(), any]).await;
    assert!(found.as_ref().is_err_and(|error| error.contains("Service not found")), "{found:?}");
}
