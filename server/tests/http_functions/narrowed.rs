//! Narrowed tokens, over the websocket and over HTTP.

use polyfn_core::ErrorKind;
use polyfn_core::codec::{Promise, Stub};
use serde_json::json;

use super::*;

fn plain(id: &str) -> Service {
    let service = Service::new(id).function("get_it", |_| async { Ok("got".into()) });
    let service = service.function("set_it", |_| async { Ok("set".into()) });
    service.entry("get_value", 7)
}

async fn scene() -> Scene {
    let scene = Scene::new(Config::default()).await;
    for id in ["shop-a", "shop-b", "bank"] {
        scene.register(plain(id)).await;
    }
    for id in ["shop-web", "bank-web"] {
        scene.register(show(show(functions(id), "get_page"), "other")).await;
    }
    scene
}

/// The token that the manager makes of this request.
async fn made(scene: &Scene, request: serde_json::Value) -> String {
    let made = scene.client.manager("generate_token", [Value::from(request)]).await.unwrap();
    made.as_text().unwrap().to_owned()
}

async fn join(scene: &Scene, name: &str, token: &str) -> polyfn_core::Result<Client> {
    let options = ClientOptions {
        server_url: scene.running.url().to_owned(),
        client_id: Some(name.to_owned()),
        token: Some(token.to_owned()),
        ..ClientOptions::default()
    };
    Client::connect(options).await
}

fn stub(method: &str) -> Stub {
    Stub {
        target: "lab-one/owner".to_owned(),
        method: method.to_owned(),
        promise: Promise::Star,
        ..Stub::default()
    }
}

async fn get(scene: &Scene, token: &str, path: &str) -> u16 {
    scene.ask("GET", path, &[&format!("authorization: Bearer {token}")], b"").await.status
}

#[tokio::test]
async fn a_narrowed_token_is_good_for_what_it_names_only() {
    let scene = scene().await;
    let token = made(&scene, json!({"services": ["shop-*"], "methods": ["get_*", "_rkwargs"]})).await;
    let client = join(&scene, "narrow", &token).await.unwrap();

    let listed = client.manager("list_services", []).await.unwrap();
    let listed = listed.as_list().unwrap().iter();
    let mut names: Vec<_> = listed.map(|info| info.as_map().unwrap().text("id").unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["lab-one/owner:shop-a", "lab-one/owner:shop-b", "lab-one/owner:shop-web"]);

    let shop = client.get_service("shop-a").await.unwrap();
    assert_eq!(shop.call("get_it", []).await.unwrap(), "got".into());
    let refused = shop.call("set_it", []).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.message().ends_with("it is not good for calling `shop-a.set_it`"), "{refused}");
    assert_eq!(client.get_service("bank").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    // whoever leaves the manager out
    for method in ["bank.get_it", "shop-a.set_it", "built-in.get_service", "shop-a", "shop-a..get_it"] {
        let called = client.call(&stub(&format!("services.{method}")), []).await;
        assert_eq!(called.unwrap_err().kind(), ErrorKind::PermissionDenied, "{method}");
    }
    let long = client
        .call(&stub("services.bank.get_it"), [Value::from(bytes::Bytes::from(vec![0_u8; 600_000]))])
        .await;
    assert_eq!(long.unwrap_err().kind(), ErrorKind::PermissionDenied);
    for (method, argument) in [
        ("generate_token", json!({})),
        ("parse_token", json!(token)),
        ("revoke_token", json!(token)),
        ("list_clients", json!("lab-one")),
        ("create_workspace", json!({"id": "my-own"})),
        ("subscribe", json!("service_added")),
    ] {
        let called = client.manager(method, [Value::from(argument)]).await;
        assert_eq!(called.unwrap_err().kind(), ErrorKind::PermissionDenied, "{method}");
    }
    let other = client.register_service(plain("bank")).await.unwrap_err();
    assert!(other.message().contains("it is not good for the service `bank`"), "{other}");
    client.register_service(plain("shop-own")).await.unwrap();
}

#[tokio::test]
async fn over_http_it_is_the_same() {
    let scene = scene().await;
    let token = made(&scene, json!({"services": ["shop-*"], "methods": ["get_*"]})).await;
    for (path, status) in [
        ("services/shop-a/get_it", 200),
        ("services/owner:shop-a/get_it", 200),
        ("services/shop-a/get_value", 200),
        ("services/shop-a/set_it", 403),
        ("services/bank/get_it", 403),
        ("services/bank", 404),
        ("services/shop-b", 200),
        ("apps/shop-web/get_page", 200),
        ("apps/shop-web/other", 403),
        ("apps/bank-web/get_page", 403),
        ("services/ws/generate_token", 403),
        ("info", 403),
    ] {
        assert_eq!(get(&scene, &token, path).await, status, "{path}");
    }
    let path = format!("services/ws/parse_token?token={token}");
    assert_eq!(get(&scene, &token, &path).await, 403);
}

#[tokio::test]
async fn a_token_has_as_many_uses_as_it_says() {
    let scene = scene().await;
    let token = made(&scene, json!({"max_uses": 3, "permission": "read"})).await;
    let client = join(&scene, "narrow", &token).await.unwrap();
    let shop = client.get_service("shop-a").await.unwrap();
    assert_eq!(shop.call("get_it", []).await.unwrap(), "got".into());
    assert_eq!(get(&scene, &token, "services/bank/get_it").await, 200);
    assert_eq!(get(&scene, &token, "apps/shop-web/other").await, 200);
    assert_eq!(get(&scene, &token, "services/bank/get_it").await, 401);
    let spent = shop.call("get_it", []).await.unwrap_err();
    assert!(spent.message().contains("The token has been used as often as it may be"), "{spent}");
    let refused = join(&scene, "again", &token).await.unwrap_err();
    assert!(refused.message().contains("The token has been used as often as it may be"), "{refused}");
}

#[tokio::test]
async fn a_connection_ends_when_the_time_of_its_narrowed_token_does() {
    let scene = scene().await;
    let token = made(&scene, json!({"methods": ["get_it"], "expires_in": 1})).await;
    let client = join(&scene, "narrow", &token).await.unwrap();
    let hub = &scene.running.state().hub;
    assert!(hub.registry.client("lab-one", "narrow").is_some());
    let mut changes = hub.registry.changes();
    let gone = changes.wait_for(|_| hub.registry.client("lab-one", "narrow").is_none());
    _ = tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap().unwrap();
    drop(client);
    assert_eq!(get(&scene, &token, "services/bank/get_it").await, 401);
}

#[tokio::test]
async fn requests_that_would_mean_more_than_they_say_are_refused() {
    let scene = scene().await;
    for (request, text) in [
        (json!({"services": []}), "'services' is empty"),
        (json!({"methods": "get_it"}), "'methods' must be a list of strings"),
        (json!({"services": [""]}), "services must be names of 1 to 255 bytes"),
        (json!({"max_uses": 0}), "'max_uses' must be an integer from 1"),
        (json!({"services": vec!["x"; 65]}), "services may hold 64 patterns"),
        (json!({"services": ["x"], "extra_scopes": ["y"]}), "has no extra_scopes"),
        (json!({"extra_scopes": ["polyfn:fn:x"]}), "reserved"),
    ] {
        let refused = scene.client.manager("generate_token", [Value::from(request)]).await.unwrap_err();
        assert!(refused.message().contains(text), "{refused}");
    }
}
