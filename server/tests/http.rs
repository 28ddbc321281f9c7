//! HTTP foundations of a server, asked over a real connection.

mod common;

use std::time::Duration;

use common::{ask, get, start};
use polyfn_server::auth::{Scope, UserInfo};
use polyfn_server::store::Place;
use polyfn_server::{Config, Limits, Running, Seconds, Server, StartError, clock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn health_and_metrics_tell_the_truth() {
    let running = start(Config::default()).await;
    let address = running.address();
    for path in ["/health", "/health/liveness", "/health/readiness"] {
        assert_eq!(get(address, path).await.status, 200, "{path}");
    }
    let overview = get(address, "/health").await.json();
    assert_eq!(overview["server_id"], running.state().server_id.as_str());
    assert_eq!(overview["connections"]["total_created"], 4);
    let metrics = get(address, "/metrics").await;
    assert!(metrics.has("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", metrics.head);
    assert!(metrics.body.contains("\npolyfn_http_responses_total{status=\"2xx\"} 4\n"), "{}", metrics.body);
    assert!(metrics.body.contains("\npolyfn_session_functions 0\n"), "{}", metrics.body);
}

#[tokio::test]
async fn the_landing_page_needs_nothing_from_elsewhere() {
    let running =
        start(Config { public_base_url: Some("https://f.example/".into()), ..Config::default() }).await;
    let page = get(running.address(), "/").await;
    assert!(page.has("content-type: text/html; charset=utf-8"));
    assert!(
        page.body.contains("\"server_url\": \"https://f.example\"") && page.body.contains("polyfn 0.1.0")
    );
    assert!(page.head.contains("default-src 'none'; script-src 'self'"), "{}", page.head);
    assert!(!page.body.contains("src=\"http") && !page.body.contains("<style"));
    let packed = ask(running.address(), "GET", "/", &["accept-encoding: gzip"]).await;
    assert!(packed.has("content-encoding: gzip"), "{}", packed.head);
}

#[tokio::test]
async fn errors_have_the_shapes_of_the_reference() {
    let running = start(Config::default()).await;
    let missing = get(running.address(), "/no/such?token=x").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.body, r#"{"success":false,"detail":"File not found: no/such"}"#);
    let wrong = ask(running.address(), "POST", "/health", &["content-length: 0"]).await;
    assert_eq!((wrong.status, wrong.body.as_str()), (405, r#"{"detail":"Method Not Allowed"}"#));
    assert!(wrong.has("allow: GET,HEAD"), "{}", wrong.head);
}

#[tokio::test]
async fn the_caller_comes_from_the_token_and_never_from_the_url() {
    let running = start(Config::default()).await;
    let address = running.address();
    let scope = Scope::parse("ws:lab-one#rw wid:lab-one");
    let user = UserInfo { id: "maker".into(), scope, ..UserInfo::default() };
    let token = |user: &UserInfo| running.state().tokens.issue(user, 60, clock::now()).unwrap();
    let who = async |path: &str, header: &str| ask(address, "GET", path, &[header]).await;

    let path = "/assets/config.json";
    let known = who(path, &format!("authorization: Bearer {}", token(&user))).await.json();
    assert_eq!(known["user"]["id"], "maker");
    let by_cookie = who(path, &format!("cookie: access_token={}", token(&user))).await.json();
    assert_eq!(by_cookie["user"]["id"], "maker");
    let by_url = who(&format!("{path}?access_token={}", token(&user)), "x: y").await.json();
    assert!(by_url["user"]["id"].as_str().unwrap().starts_with("anonymouz-http-"));

    let refused = who(path, "authorization: Bearer abc.def.ghi").await;
    assert_eq!((refused.status, &refused.json()["detail"]), (401, &"Error decoding token headers.".into()));
    assert!(refused.has("www-authenticate: Bearer error=\"invalid_token\""));
    let special = UserInfo { scope: Scope::parse("ws:lab-one#rw file:x"), ..user };
    let refused = who(path, &format!("authorization: {}", token(&special))).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn other_origins_may_read_but_without_credentials() {
    let running = start(Config::default()).await;
    let answer = ask(running.address(), "GET", "/health", &["origin: https://evil.example"]).await;
    assert!(answer.has("access-control-allow-origin: *"), "{}", answer.head);
    assert!(!answer.head.contains("access-control-allow-credentials"));
    let preflight = [
        "origin: https://a.example",
        "access-control-request-method: POST",
        "access-control-request-headers: authorization",
    ];
    let answer = ask(running.address(), "OPTIONS", "/health", &preflight).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("access-control-max-age: 600"), "{}", answer.head);

    let running =
        start(Config { allow_origins: vec!["https://a.example".into()], ..Config::default() }).await;
    let answer = ask(running.address(), "GET", "/health", &["origin: https://a.example"]).await;
    assert!(answer.has("access-control-allow-origin: https://a.example"));
    assert!(answer.has("access-control-allow-credentials: true"));
    let answer = ask(running.address(), "GET", "/health", &["origin: https://evil.example"]).await;
    assert!(!answer.head.contains("access-control-allow-origin"), "{}", answer.head);
}

#[tokio::test]
async fn a_base_path_moves_everything() {
    let running = start(Config { base_path: "/hy/".into(), ..Config::default() }).await;
    let address = running.address();
    assert!(running.url().ends_with("/hy"));
    assert_eq!(get(address, "/hy/health?x=y").await.status, 200);
    assert_eq!(get(address, "/hy/").await.status, 200);
    let outside = get(address, "/health").await;
    assert_eq!((outside.status, outside.body.as_str()), (404, r#"{"detail":"Not Found"}"#));
    let root = get(address, "/hy").await;
    assert!(root.status == 307 && root.has("location: /hy/"), "{}", root.head);
}

#[tokio::test]
async fn oversized_headers_are_refused() {
    let limits = Limits { max_header_size: 1000, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let long = format!("x: {}", "y".repeat(2000));
    assert_eq!(ask(running.address(), "GET", "/health", &[&long]).await.status, 431);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let limits =
        Limits { http_header_timeout: Seconds::from(Duration::from_millis(50)), ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    let first = TcpStream::connect(running.address()).await.unwrap();
    let mut second = Box::pin(get(running.address(), "/health"));
    tokio::select! {
        _ = &mut second => panic!("there was no place"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn too_many_requests_are_told_to_come_back() {
    let limits = Limits { http_rate_limit: 1, http_burst_limit: 1, ..Limits::default() };
    let running = start(Config { limits, ..Config::default() }).await;
    // at once: with time between them each would find its own
    let answers = futures_util::future::join_all((0..5).map(|_| get(running.address(), "/"))).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert!(refused.has("retry-after: 1"), "{}", refused.head);
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_frees_the_address() {
    let running = start(Config::default()).await;
    let address = running.address();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health/readiness HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut some = [0; 12];
    idle.read_exact(&mut some).await.unwrap();
    assert_eq!(&some, b"HTTP/1.1 200");
    assert!(running.stop().await);
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    let again = Server::start(Config { port: address.port(), ..Config::default() }).await.unwrap();
    assert_eq!(get(again.address(), "/health").await.status, 200);
}

#[tokio::test]
async fn a_taken_address_is_named() {
    let running = start(Config::default()).await;
    let taken = Config { port: running.address().port(), ..Config::default() };
    let error = Server::start(taken).await.unwrap_err();
    assert!(matches!(error, StartError::Listen(..)));
    assert!(error.to_string().contains(&format!("cannot listen at 127.0.0.1:{}", running.address().port())));
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_stays_so_over_a_restart() {
    let folder = std::env::temp_dir().join(format!("polyfn-revoked-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let config = Config {
        jwt_secret: Some("a key".into()),
        database: Place::File(folder.join("polyfn.db")),
        ..Config::default()
    };
    let scope = Scope::parse("ws:lab-one#a wid:lab-one");
    let user = UserInfo { id: "maker".into(), scope, ..UserInfo::default() };
    let running = start(config.clone()).await;
    let tokens = &running.state().tokens;
    let [lost, kept] = [60, 61].map(|seconds| tokens.issue(&user, seconds, clock::now()).unwrap());
    let status = async |running: &Running, token: &str, method: &str, body: &str| {
        let path = format!("/lab-one/services/ws/{method}");
        let lines = [
            format!("authorization: Bearer {token}"),
            "content-type: application/json".to_owned(),
            format!("content-length: {}\r\n\r\n{body}", body.len()),
        ];
        ask(running.address(), "POST", &path, &lines.each_ref().map(String::as_str)).await.status
    };
    let revoke = format!(r#"{{"token":"{lost}"}}"#);
    assert_eq!(status(&running, &lost, "echo", r#"{"data":1}"#).await, 200);
    assert_eq!(status(&running, &kept, "revoke_token", &revoke).await, 200);
    assert_eq!(status(&running, &lost, "echo", r#"{"data":1}"#).await, 401);
    assert!(running.stop().await);
    let running = start(config).await;
    assert_eq!(status(&running, &lost, "echo", r#"{"data":1}"#).await, 401);
    assert_eq!(status(&running, &kept, "echo", r#"{"data":1}"#).await, 200);
    running.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}
