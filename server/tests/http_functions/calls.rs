//! `/{workspace}/apps/{service}/...`.

use serde_json::json;

use super::*;

async fn scene() -> Scene {
    let scene = Scene::new(Config::default()).await;
    let tree = functions("tree").function("event", |call| async move {
        let mut event = call.argument(0, "event").as_map().cloned().unwrap_or_default();
        let body = match event.remove("body") {
            Some(Value::Bytes(body)) => Value::from(body.len() as i64),
            other => other.into(),
        };
        event.insert("body", body);
        Ok(Value::Map(event))
    });
    let tree = tree.folder("thing", |folder| show(show(folder, "GET"), "POST"));
    let tree = tree.folder("cross", |folder| show(folder, "OPTIONS"));
    let tree = tree.folder("api", |folder| show(show(folder, "index"), "default"));
    let tree = tree.function("answer", |call| async move {
        let event = call.argument(0, "event").as_map().cloned().unwrap_or_default();
        let body = match event.get("body") {
            Some(Value::Bytes(body)) => body.clone(),
            _ => Bytes::new(),
        };
        polyfn_core::codec::Reader::new(&body).value()
    });
    scene.register(failing(show(tree, "index"))).await;
    scene
}

use bytes::Bytes;

/// What the server makes of a result.
async fn answer(scene: &Scene, method: &str, result: Value) -> Answer {
    scene.ask(method, "apps/tree/answer", &[], &result.to_msgpack().unwrap()).await
}

#[tokio::test]
async fn paths_find_their_functions() {
    let scene = scene().await;
    for (method, path, status, text) in [
        ("GET", "", 200, "index -"),
        ("GET", "index/", 200, "index -"),
        ("GET", "api/", 200, "index -"),
        ("GET", "/api//deep/er/", 200, "default /api/deep/er"),
        ("GET", "api/%E4%B8%96", 200, "default /api/世"),
        ("POST", "thing", 200, "POST -"),
        ("HEAD", "thing", 200, ""),
        ("GET", "nope", 404, "Function not found: nope"),
        ("GET", "%ff", 404, "Function not found: %ff"),
    ] {
        let answer = scene.ask(method, &format!("apps/owner:tree/{path}"), &[], b"").await;
        assert_eq!((answer.status, answer.text().as_str()), (status, text), "{method} {path}");
    }
    let refused = scene.ask("DELETE", "apps/tree/thing", &[], b"").await;
    assert_eq!((refused.status, refused.header("allow").as_str()), (405, "GET, HEAD, POST"));
    let missing = scene.ask("GET", "apps/tree/nope", &["accept: application/json"], b"").await;
    assert_eq!((missing.status, missing.json()["code"].clone()), (404, json!("not_found")));
    let elsewhere = send(scene.address(), "GET", "/\\evil.example/apps/x", &[], b"").await;
    assert_eq!((elsewhere.status, elsewhere.header("location").as_str()), (307, "/%5Cevil.example/apps/x/"));
    let redirect = scene.get("apps/tree?a=1").await;
    assert_eq!((redirect.status, redirect.header("location").as_str()), (307, "/lab-one/apps/tree/?a=1"));
}

#[tokio::test]
async fn the_event_says_what_was_asked() {
    let scene = scene().await;
    let lines = ["x-twice: 1", "x-twice: 2", "x-one: grüße"];
    let event = scene.ask("POST", "apps/tree/event/?a=b=c&flag", &lines, b"four").await.json();
    let expected = json!({"type": "http", "method": "POST", "path": "/event/", "raw_path": "/event/", "scheme": "http",
        "http_version": "1.1", "query_string": "a=b=c&flag", "workspace": "lab-one", "service_id": "tree",
        "root_path": "", "body": 4});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&event[key], value, "{key}");
    }
    assert_eq!(event["headers"]["x-twice"], "1, 2");
    assert_eq!(event["headers"]["x-one"], "grüße");
    assert_eq!(event["server"], json!(["127.0.0.1", scene.address().port()]));
    assert_eq!(event["client"][0], "127.0.0.1");
    assert!(event["user"]["id"].as_str().unwrap().starts_with("anonymouz-http-"));
    assert_eq!(event.get("function_path"), None);
    let raw = scene.get("apps/tree/%65vent").await.json();
    assert_eq!(
        (&raw["path"], &raw["raw_path"], &raw["body"]),
        (&json!("/event"), &json!("/%65vent"), &json!(null))
    );
    let member = scene.bearer("ws:elsewhere#r");
    assert_eq!(scene.ask("GET", "apps/tree/event", &[&member], b"").await.json()["user"]["id"], "maker");
}

#[tokio::test]
async fn a_large_body_arrives_whole_and_a_larger_one_is_refused() {
    let scene = Scene::new(limited(Limits { max_request_body: 3_000_000, ..Limits::default() })).await;
    scene
        .register(functions("tree").function("size", |call| async move {
            let event = call.argument(0, "event").as_map().cloned().unwrap_or_default();
            let Some(Value::Bytes(body)) = event.get("body") else { return Ok(Value::Nil) };
            Ok(Value::Bytes(body.clone()))
        }))
        .await;
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let echoed = scene.ask("POST", "apps/tree/size", &[], &body).await;
    assert_eq!(echoed.status, 200);
    assert!(echoed.body == body, "{} bytes came back", echoed.body.len());
    let refused =
        scene.ask("POST", "apps/tree/size", &["accept: application/json"], &vec![0; 3_000_001]).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (413, json!("too_large")));
}

#[tokio::test]
async fn results_become_answers() {
    let scene = scene().await;
    let cookies = Value::List(vec!["a=1".into(), "b=2".into()]);
    let headers =
        map(&[("Set-Cookie", cookies), ("Content-Length", 99.into()), ("Connection", "close".into())]);
    let made =
        answer(&scene, "PUT", map(&[("status", 201.into()), ("headers", headers), ("body", "made".into())]))
            .await;
    assert_eq!((made.status, made.text().as_str()), (201, "made"));
    assert_eq!(made.header("set-cookie"), "a=1|b=2");
    assert_eq!(made.header("content-length"), "4");
    let head = answer(&scene, "HEAD", map(&[("status", 201.into()), ("body", "made".into())])).await;
    assert_eq!((head.status, head.text().as_str(), head.header("content-length").as_str()), (201, "", "4"));
    let nothing = answer(&scene, "POST", Value::Nil).await;
    assert_eq!((nothing.status, nothing.header("content-length").as_str()), (204, ""));
    let json = answer(&scene, "POST", map(&[("status", "ok".into())])).await;
    assert_eq!(
        (json.header("content-type").as_str(), json.json()),
        ("application/json", json!({"status": "ok"}))
    );
    for wrong in
        [map(&[("status", 101.into())]), f64::NAN.into(), map(&[("headers", map(&[("a b", "c".into())]))])]
    {
        let refused = answer(&scene, "POST", wrong).await;
        assert_eq!((refused.status, refused.json()["code"].clone()), (500, json!("remote")));
    }
}

#[tokio::test]
async fn an_error_is_a_problem_whose_traceback_stays_inside() {
    let scene = scene().await;
    let strangers = scene.get("apps/tree/fails").await;
    assert_eq!(
        (strangers.status, strangers.header("content-type").as_str()),
        (500, "application/problem+json")
    );
    let problem = strangers.json();
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("remote"), &json!("the function failed")));
    assert!(problem["incident"].is_string(), "{problem}");
    let elsewhere = scene.bearer("ws:elsewhere#a wid:elsewhere");
    let foreign = scene.ask("GET", "apps/tree/fails", &[&elsewhere], b"").await;
    for text in [strangers.text(), foreign.text()] {
        assert!(!text.contains("secret") && !text.contains("cheese"), "{text}");
    }
    let member = scene.bearer("ws:lab-one#r");
    let seen = scene.ask("GET", "apps/tree/fails", &[&member], b"").await.json();
    assert_eq!(seen["traceback"], "File \"/secret/place.py\"");
    assert_eq!(seen["detail"], "ValueError: out of cheese");
    let text = scene.ask("GET", "apps/tree/fails", &["accept: text/plain"], b"").await;
    assert_eq!((text.status, text.header("content-type").as_str()), (500, "text/plain; charset=utf-8"));
    assert!(text.text().starts_with("the function failed\nincident "), "{}", text.text());
}

#[tokio::test]
async fn who_may_call_is_decided_by_visibility_and_rights() {
    let scene = Scene::new(Config::default()).await;
    for visibility in ["public", "unlisted", "protected"] {
        let service = Service::new(visibility).entry("type", "functions").config("visibility", visibility);
        scene.register(show(service, "index")).await;
    }
    let shared = Service::new("shared").entry("type", "functions");
    let friends = Value::List(vec!["friends".into()]);
    scene.register(show(shared.config("authorized_workspaces", friends), "index")).await;
    let reader = scene.bearer("ws:lab-one#r");
    let foreign = scene.bearer("ws:elsewhere#a wid:elsewhere");
    let friend = scene.bearer("ws:friends#r wid:friends");
    for (service, line, status) in [
        ("public", "x: y", 200),
        ("unlisted", "x: y", 200),
        ("protected", "x: y", 404),
        ("shared", "x: y", 404),
        ("protected", &reader, 200),
        ("protected", &foreign, 404),
        ("protected", &friend, 404),
        ("shared", &friend, 200),
        ("public", "authorization: Bearer nonsense", 401),
        ("protected", "cookie: access_token=nonsense", 401),
        ("none", "x: y", 404),
        ("nobody:public", "x: y", 404),
        ("owner:public@*", "x: y", 200),
        ("*", "x: y", 404),
        ("elsewhere%2Fpublic", "x: y", 404),
    ] {
        let answer = scene.ask("GET", &format!("apps/{service}/"), &[line], b"").await;
        assert_eq!(answer.status, status, "{service} {line}: {}", answer.text());
    }
    let missing = scene.get("apps/none/").await;
    assert_eq!(missing.text(), "RemoteException: KeyError: 'Service not found: lab-one/*:none@*'");
    // a workspace that is not there says the same, but to those who may know
    let missing = send(scene.address(), "GET", "/no-such/apps/none/", &[], b"").await;
    assert_eq!(missing.text(), "RemoteException: KeyError: 'Service not found: no-such/*:none@*'");
    let reader = scene.bearer("ws:no-such#r");
    let missing = send(scene.address(), "GET", "/no-such/apps/none/", &[&reader], b"").await;
    assert_eq!(
        (missing.status, missing.text().as_str()),
        (404, "Workspace no-such does not exist or is not accessible")
    );
}

#[tokio::test]
async fn one_of_several_services_is_selected() {
    let scene = Scene::new(Config::default()).await;
    let second = connect(&scene.running, "second").await;
    for (client, name) in [(&scene.client, "one"), (&second, "two")] {
        let service = functions("same").function("index", move |_| async move { Ok(name.into()) });
        client.register_service(service).await.unwrap();
    }
    scene
        .register(
            Service::new("other")
                .config("visibility", "public")
                .function("index", |_| async { Ok(Value::Nil) }),
        )
        .await;
    let ambiguous = scene.get("apps/same/").await;
    assert_eq!(ambiguous.status, 400);
    assert!(ambiguous.text().contains("Multiple services found for lab-one/*:same"), "{}", ambiguous.text());
    assert_eq!(scene.get("apps/same/?_mode=first").await.text(), "one");
    assert_eq!(scene.get("apps/same/?a=b&_mode=last").await.text(), "two");
    assert_eq!(scene.get("apps/second:same/").await.text(), "two");
    assert_eq!(scene.get("apps/same/?_mode=bogus").await.status, 400);
    let wrong = scene.get("apps/other/").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().starts_with("Invalid service type: generic"), "{}", wrong.text());
}

#[tokio::test]
async fn browsers_of_other_origins_may_read_without_cookies() {
    let scene = scene().await;
    let origin = "origin: http://else.example";
    let read = scene.ask("GET", "apps/tree/", &[origin], b"").await;
    assert_eq!(read.header("access-control-allow-origin"), "http://else.example");
    assert_eq!(
        (read.header("access-control-allow-credentials").as_str(), read.header("vary").as_str()),
        ("", "Origin")
    );
    let asked = [origin, "access-control-request-method: POST", "access-control-request-headers: x-mine"];
    for path in ["apps/tree/", "apps/tree/nope", "apps/none/"] {
        let preflight = scene.ask("OPTIONS", path, &asked, b"").await;
        assert_eq!(
            (preflight.status, preflight.header("access-control-allow-headers").as_str()),
            (204, "x-mine"),
            "{path}"
        );
        assert!(preflight.header("access-control-allow-methods").contains("POST"));
    }
    let own = scene.ask("OPTIONS", "apps/tree/cross", &asked, b"").await;
    assert_eq!((own.status, own.text().as_str()), (200, "OPTIONS -"));
    let plain = scene.ask("OPTIONS", "apps/tree/", &[], b"").await;
    assert_eq!((plain.status, plain.text().as_str()), (200, "index -"));
}

#[tokio::test]
async fn a_call_ends_whatever_its_owner_does() {
    let limits = Limits { http_call_timeout: SECOND, max_http_calls: 1, ..Limits::default() };
    let scene = Scene::new(limited(limits)).await;
    scene.register(stuck(functions("tree"))).await;
    let late = scene.get("apps/tree/stuck").await;
    assert_eq!((late.status, late.json()["code"].clone()), (504, json!("timeout")));
    let (gone, refused) = tokio::join!(scene.get("apps/tree/stuck"), async {
        until_calls(&scene, 1).await;
        let refused = scene.get("apps/tree/stuck").await;
        scene.client.disconnect().await;
        refused
    });
    assert_eq!((refused.status, refused.header("retry-after").as_str()), (429, "1"));
    assert_eq!((gone.status, gone.json()["code"].clone()), (502, json!("peer_gone")));
    until_calls(&scene, 0).await;
    let metrics = &scene.running.state().metrics;
    assert_eq!((metrics.http_calls_total.get(), metrics.http_call_errors_total.get()), (3, 3));
}

#[tokio::test]
async fn nobody_takes_all_calls() {
    let one = |limits| async move {
        let scene = Scene::new(limited(limits)).await;
        scene.register(stuck(functions("tree"))).await;
        let (_, refused) = tokio::join!(scene.get("apps/tree/stuck"), async {
            until_calls(&scene, 1).await;
            scene.get("apps/tree/stuck").await
        });
        let metrics = scene.running.state().metrics.text(0.0);
        (refused, metrics)
    };
    let base = Limits { http_call_timeout: SECOND, ..Limits::default() };
    for (name, limits) in [
        ("max_http_calls_per_workspace", Limits { max_http_calls_per_workspace: 1, ..base.clone() }),
        ("max_http_calls_per_address", Limits { max_http_calls_per_address: 1, ..base }),
    ] {
        let (refused, metrics) = one(limits).await;
        assert_eq!((refused.status, refused.header("retry-after").as_str()), (429, "1"), "{name}");
        assert!(metrics.contains(&format!("polyfn_limited_total{{limit=\"{name}\"}} 1\n")), "{metrics}");
    }
}

#[tokio::test]
async fn who_hangs_up_is_forgotten() {
    use tokio::io::AsyncWriteExt;
    let scene = Scene::new(Config::default()).await;
    scene.register(stuck(functions("tree"))).await;
    let mut stream = tokio::net::TcpStream::connect(scene.address()).await.unwrap();
    stream.write_all(b"GET /lab-one/apps/tree/stuck HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until_calls(&scene, 1).await;
    drop(stream);
    until_calls(&scene, 0).await;
}

#[tokio::test]
async fn the_context_names_the_caller_and_the_workspace_of_the_url() {
    let scene = Scene::new(Config::default()).await;
    let service = functions("tree").config("require_context", true);
    scene.register(service.function("who", |call| async move { Ok(call.context.into()) })).await;
    let member = scene.bearer("ws:elsewhere#r wid:elsewhere");
    let context = scene.ask("GET", "apps/tree/who", &[&member], b"").await.json();
    assert_eq!((&context["ws"], &context["user"]["id"]), (&json!("lab-one"), &json!("maker")));
    assert!(context["from"].as_str().unwrap().starts_with("lab-one/"), "{context}");
    assert_eq!((&context["to"], &context["method"]), (&json!("lab-one/owner"), &json!("services.tree.who")));
}

#[tokio::test]
async fn functions_stand_below_the_base_path() {
    let scene = Scene::new(Config { base_path: "/hy".into(), ..Config::default() }).await;
    scene.register(show(functions("tree"), "index")).await;
    let found = send(scene.address(), "GET", "/hy/lab-one/apps/tree/", &[], b"").await;
    assert_eq!(found.text(), "index -");
    let redirect = send(scene.address(), "GET", "/hy/lab-one/apps/tree", &[], b"").await;
    assert_eq!(redirect.header("location"), "/hy/lab-one/apps/tree/");
    assert_eq!(scene.get("apps/tree/").await.status, 404);
}
