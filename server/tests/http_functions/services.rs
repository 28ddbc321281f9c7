//! `/{workspace}/services/...`.

use serde_json::json;

use super::*;

fn rpc(id: &str, visibility: &str) -> Service {
    let service = Service::new(id).config("visibility", visibility).entry("answer", 42);
    let service = service.function("echo", |call| async move { Ok(call.argument(0, "value").clone()) });
    let service = service.function("all", |call| async move {
        Ok(Value::List(vec![Value::List(call.args.clone()), keywords(&call.keywords)]))
    });
    let service = service.function("fail_as", |call| async move {
        let class = call.argument(0, "kind").as_text().unwrap_or("Error").to_owned();
        Err(Error::remote("out of cheese").with_class(class).with_trace("File \"/secret/place.py\""))
    });
    service.folder("nest", |nest| {
        nest.folder("deep", |deep| deep.function("hello", |_| async { Ok("hello".into()) }))
    })
}

async fn scene() -> Scene {
    let scene = Scene::new(Config::default()).await;
    scene.register(rpc("rpc", "public")).await;
    scene
}

async fn post(scene: &Scene, path: &str, kind: &str, body: &[u8]) -> Answer {
    scene.ask("POST", &format!("services/{path}"), &[&format!("content-type: {kind}")], body).await
}

#[tokio::test]
async fn services_are_listed_by_visibility() {
    let scene = scene().await;
    for visibility in ["protected", "unlisted"] {
        scene.register(rpc(visibility, visibility)).await;
    }
    let redirect = scene.get("services?x=1").await;
    assert_eq!((redirect.status, redirect.header("location").as_str()), (307, "/lab-one/services/?x=1"));
    let ids = |answer: Answer| -> Vec<String> {
        let list = answer.json();
        list.as_array().unwrap().iter().map(|info| info["id"].as_str().unwrap().to_owned()).collect()
    };
    let strangers = ids(scene.get("services/").await);
    assert!(strangers.contains(&"owner:rpc".to_owned()), "{strangers:?}");
    assert!(
        !strangers.iter().any(|id| id.ends_with("protected") || id.ends_with("unlisted")),
        "{strangers:?}"
    );
    let reader = scene.bearer("ws:lab-one#r");
    let members = ids(scene.ask("GET", "services/", &[&reader], b"").await);
    assert!(members.contains(&"owner:protected".to_owned()), "{members:?}");
    let missing = send(scene.address(), "GET", "/no-such/services/", &[], b"").await;
    let detail = "'Workspace no-such does not exist or is not accessible'";
    let detail = json!({"success": false, "detail": detail, "code": "not_found"});
    assert_eq!((missing.status, missing.json()), (404, detail));
}

#[tokio::test]
async fn a_service_and_its_workspace_are_described() {
    let scene = scene().await;
    scene.register(rpc("inner", "protected")).await;
    let info = scene.get("services/rpc").await.json();
    assert_eq!((&info["id"], &info["config"]["visibility"]), (&json!("lab-one/owner:rpc"), &json!("public")));
    assert_eq!(info["service_schema"]["nest"]["deep"]["hello"]["type"], "function");
    let missing = scene.get("services/none").await;
    let detail = "RemoteException: KeyError: 'Service not found: lab-one/*:none@*'";
    assert_eq!((missing.status, missing.json()["detail"].clone()), (404, json!(detail)));
    assert_eq!(scene.get("services/inner").await.status, 404);
    let reader = scene.bearer("ws:lab-one#r");
    assert_eq!(scene.ask("GET", "services/inner", &[&reader], b"").await.status, 200);
    assert_eq!(scene.get("info").await.status, 403);
    let workspace = scene.ask("GET", "info", &[&reader], b"").await.json();
    assert_eq!((&workspace["id"], &workspace["type"]), (&json!("lab-one"), &json!("workspace")));
}

#[tokio::test]
async fn functions_are_called_by_get_and_by_post() {
    let scene = scene().await;
    let called = scene.get("services/owner:rpc/all?a=5&b=-3&c=x&workspace=w&service_id=s&_mode=first").await;
    let named = json!({"a": 5, "b": -3.0, "c": "x", "workspace": "w", "service_id": "s"});
    assert_eq!((called.status, called.json()), (200, json!([[], named])));
    let kind = "application/json; charset=utf-8";
    assert_eq!(
        post(&scene, "rpc/all", kind, br#"{"a":[1,null]}"#).await.json(),
        json!([[], {"a": [1, null]}])
    );
    assert_eq!(post(&scene, "rpc/all", kind, b"[1,2]").await.json(), json!([[1, 2], {}]));
    assert_eq!(post(&scene, "rpc/all", "text/csv", b"").await.json(), json!([[], {}]));
    assert_eq!(scene.get("services/rpc/nest.deep.hello").await.json(), json!("hello"));
    let kind_of_form = "application/x-www-form-urlencoded;charset=UTF-8";
    let form = post(&scene, "rpc/all", kind_of_form, b"a=5&b=x+y&b=z&workspace=w").await;
    assert_eq!(form.json(), json!([[], {"a": 5, "b": ["x y", "z"], "workspace": "w"}]));
    let parts = "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n\0\r\n--b--\r\n";
    let form = post(&scene, "rpc/all", "multipart/form-data; boundary=b", parts.as_bytes()).await;
    assert_eq!(form.json(), json!([[], {"f": {"_rtype": "bytes", "_rvalue": "AA=="}}]));
    let large = json!({"value": "x".repeat(1_000_000)});
    assert_eq!(post(&scene, "rpc/echo", kind, large.to_string().as_bytes()).await.json(), large["value"]);
}

#[tokio::test]
async fn msgpack_comes_back_as_msgpack() {
    let scene = scene().await;
    let body = map(&[("value", Value::Bytes(bytes::Bytes::from_static(b"\x00\xff")))]).to_msgpack().unwrap();
    let answer = post(&scene, "rpc/echo", "application/msgpack", &body).await;
    assert_eq!((answer.status, answer.header("content-type").as_str()), (200, "application/msgpack"));
    assert_eq!(answer.body, b"\xc4\x02\x00\xff");
    let json = scene.ask("POST", "services/rpc/echo", &[], br#"{"value":1}"#).await;
    assert_eq!(json.json(), json!(1));
}

#[tokio::test]
async fn what_cannot_be_read_is_told() {
    let scene = scene().await;
    for (kind, body, status) in [
        ("application/json", &b"{"[..], 400),
        ("application/json", b"5", 400),
        ("application/msgpack", b"\xc1", 400),
        ("text/csv", b"a", 415),
        ("application/x-www-form-urlencoded", b"a=%7Bx", 400),
        ("multipart/form-data", b"a", 400),
    ] {
        let answer = post(&scene, "rpc/all", kind, body).await;
        assert_eq!(answer.status, status, "{kind}");
        assert_eq!(answer.json()["success"], false);
    }
    assert_eq!(scene.get("services/rpc/echo?value=%7Bx").await.status, 400);
    for (path, status) in
        [("rpc/none", 404), ("rpc/nest.none", 404), ("rpc/echo.more", 404), ("none/echo", 404)]
    {
        assert_eq!(scene.get(&format!("services/{path}")).await.status, status, "{path}");
    }
    assert_eq!(
        scene.get("services/rpc/none").await.json(),
        json!({"success": false, "detail": "none not found.", "code": "not_found"})
    );
    assert_eq!(scene.get("services/rpc/nest/deep").await.status, 404);
    let other = scene.ask("PUT", "services/rpc/echo", &[], b"").await;
    assert_eq!((other.status, other.header("allow").contains("POST")), (405, true));
}

#[tokio::test]
async fn a_page_of_another_site_has_no_use_of_cookies() {
    let scene = scene().await;
    let token =
        scene.bearer("ws:lab-one#rw wid:lab-one").replace("authorization: Bearer ", "cookie: access_token=");
    let origins = [("https://evil.example", 403), ("http://test", 200)];
    for (origin, status) in origins {
        let lines = [token.as_str(), &format!("origin: {origin}")];
        let answer = scene.ask("POST", "services/rpc/echo", &lines, br#"{"value":1}"#).await;
        assert_eq!(answer.status, status, "{origin}");
    }
    let stranger = scene.ask("POST", "services/rpc/echo", &["origin: https://evil.example"], b"[1]").await;
    assert_eq!(stranger.status, 200);
}

#[tokio::test]
async fn values_are_read_from_their_owner() {
    let scene = scene().await;
    assert_eq!(scene.get("services/rpc/answer").await.json(), json!(42));
    let folder = scene.get("services/rpc/nest").await;
    assert_eq!((folder.status, folder.json()["deep"]["hello"]["type"].clone()), (200, json!("function")));
}

#[tokio::test]
async fn errors_have_the_status_of_their_class() {
    let scene = scene().await;
    for (class, status) in [
        ("KeyError", 404),
        ("PermissionError", 403),
        ("ValueError", 400),
        ("TypeError", 400),
        ("RuntimeError", 500),
    ] {
        let answer = scene.get(&format!("services/rpc/fail_as?kind={class}")).await;
        assert_eq!(answer.status, status, "{class}");
        let detail = format!("RemoteException: {class}: out of cheese");
        assert_eq!(answer.json(), json!({"success": false, "detail": detail, "code": "remote"}));
    }
}

#[tokio::test]
async fn protected_services_are_for_their_workspace() {
    let scene = Scene::new(Config::default()).await;
    let service = Service::new("inner").config("require_context", true);
    scene.register(service.function("who", |call| async move { Ok(call.context.into()) })).await;
    let service = Service::new("outer").config("require_context", true).config("visibility", "public");
    scene.register(service.function("who", |call| async move { Ok(call.context.into()) })).await;
    // to who has no right there it is as one that is not there
    let (refused, missing) = (scene.get("services/inner/who").await, scene.get("services/other/who").await);
    let detail = "RemoteException: KeyError: 'Service not found: lab-one/*:inner@*'";
    assert_eq!((refused.status, refused.json()["detail"].clone()), (404, json!(detail)));
    assert_eq!(refused.text().replace("inner", "other"), missing.text());
    // the owner takes the call for one of its own workspace, and still learns who it is
    let reader = scene.bearer("ws:lab-one#r ws:elsewhere#r wid:elsewhere");
    let context = scene.ask("GET", "services/inner/who?context=forged", &[&reader], b"").await.json();
    assert_eq!((&context["ws"], &context["user"]["id"]), (&json!("lab-one"), &json!("maker")));
    let context = scene.ask("GET", "services/outer/who", &[&reader], b"").await.json();
    assert_eq!(context["ws"], "elsewhere");
    let context = scene.get("services/outer/who").await.json();
    let stranger = context["user"]["id"].as_str().unwrap().to_owned();
    assert!(stranger.starts_with("anonymouz-http-"));
    assert_eq!(context["ws"], format!("ws-user-{stranger}"));
    let other = scene.get("services/outer/who").await.json();
    assert_ne!(other["user"]["id"], stranger, "each request is somebody else's");
    let bad = scene.ask("GET", "services/outer/who", &["authorization: Bearer x"], b"").await;
    assert_eq!((bad.status, bad.json()["detail"].is_string()), (401, true));
}

#[tokio::test]
async fn the_manager_acts_in_the_workspace_of_the_caller() {
    let scene = scene().await;
    let owner = scene.bearer("ws:lab-one#rw wid:lab-one");
    let echo = send(scene.address(), "GET", "/public/services/ws/echo?data=hi", &[&owner], b"").await;
    assert_eq!((echo.status, echo.json()), (200, json!("hi")));
    let listed =
        send(scene.address(), "GET", "/elsewhere/services/ws/list_services", &[&owner], b"").await.json();
    assert!(listed.as_array().unwrap().iter().any(|info| info["id"] == "lab-one/owner:rpc"), "{listed}");
    assert_eq!(scene.get("services/ws/echo?data=hi").await.status, 403);
    assert_eq!(scene.ask("GET", "services/ws/nonsense", &[&owner], b"").await.status, 404);
    assert_eq!(scene.ask("GET", "services/ws/echo?x=1", &[&owner], b"").await.status, 400);
    assert_eq!(scene.get("services/~").await.json()["type"], "workspace-manager");
}
