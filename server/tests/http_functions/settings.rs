//! What a service says of itself in its `config`: limits, and what pages of other origins may do.

use serde_json::json;

use super::*;

const ORIGIN: &str = "origin: https://pages.example";

fn cors(service: Service, rules: serde_json::Value) -> Service {
    service.config("cors", Value::from(rules))
}

#[tokio::test]
async fn pages_of_named_origins_may_send_cookies() {
    let scene = Scene::new(Config::default()).await;
    let rules = json!({"origins": ["https://pages.example"], "methods": ["GET", "PUT"], "headers": ["x-mine"],
        "expose": ["etag"], "credentials": true, "max_age": 5});
    scene.register(show(cors(functions("named"), rules.clone()), "index")).await;
    let guarded = cors(functions("guarded"), rules).config("visibility", "protected");
    scene.register(show(guarded, "index")).await;
    scene.register(show(cors(functions("none"), false.into()), "index")).await;
    scene.register(show(cors(functions("open"), true.into()), "index")).await;
    let read = scene.ask("GET", "apps/named/", &[ORIGIN], b"").await;
    assert_eq!((read.status, read.text().as_str()), (200, "index -"));
    assert_eq!(read.header("access-control-allow-origin"), "https://pages.example");
    assert_eq!(read.header("access-control-allow-credentials"), "true");
    assert_eq!(
        (read.header("access-control-expose-headers").as_str(), read.header("vary").as_str()),
        ("etag", "Origin")
    );
    let asked = [ORIGIN, "access-control-request-method: PUT", "access-control-request-headers: x-other"];
    let preflight = scene.ask("OPTIONS", "apps/named/", &asked, b"").await;
    assert_eq!((preflight.status, preflight.text().as_str()), (204, ""));
    assert_eq!(preflight.header("access-control-allow-headers"), "x-mine");
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, PUT");
    assert_eq!(preflight.header("access-control-max-age"), "5");
    // whether there is a service that one may not call, and what its rules are, is told to nobody
    let hidden = scene.ask("OPTIONS", "apps/guarded/", &asked, b"").await;
    let nothing = scene.ask("OPTIONS", "apps/missing/", &asked, b"").await;
    assert_eq!((hidden.status, hidden.text()), (204, String::new()));
    assert_eq!(hidden.header("access-control-allow-headers"), "x-other");
    let told = |answer: &Answer| {
        let lines = answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&hidden), told(&nothing));
    let elsewhere = scene.ask("GET", "apps/named/", &["origin: https://other.example"], b"").await;
    assert_eq!((elsewhere.status, elsewhere.header("access-control-allow-origin").as_str()), (200, ""));
    let without = scene.get("apps/named/").await;
    assert_eq!(
        (without.header("access-control-allow-origin").as_str(), without.header("vary").as_str()),
        ("", "Origin")
    );
    assert_eq!(
        scene.ask("GET", "apps/none/", &[ORIGIN], b"").await.header("access-control-allow-origin"),
        ""
    );
    let open = scene.ask("GET", "apps/open/", &[ORIGIN], b"").await;
    assert_eq!(open.header("access-control-allow-origin"), "https://pages.example");
    assert_eq!(open.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn a_service_may_take_less_than_the_server() {
    let scene = Scene::new(limited(Limits { max_request_body: 1000, ..Limits::default() })).await;
    scene.register(show(functions("small").config("max_request_body", 10), "index")).await;
    scene.register(show(functions("large").config("max_request_body", 5000), "index")).await;
    for (service, size, status) in
        [("small", 10, 200), ("small", 11, 413), ("large", 1000, 200), ("large", 1001, 413)]
    {
        let body = vec![b'x'; size];
        let whole = scene.ask("POST", &format!("apps/{service}/"), &[], &body).await;
        assert_eq!(whole.status, status, "{service} {size}");
        let chunked = format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size));
        let head = format!(
            "POST /lab-one/apps/{service}/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let told = exchange(scene.address(), format!("{head}{chunked}").as_bytes()).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{service} {size} in chunks: {told}");
    }
}

#[tokio::test]
async fn the_time_of_a_service_is_exact() {
    let scene = Scene::new(Config::default()).await;
    scene.register(stuck(functions("quick").config("http_call_timeout", 0.01))).await;
    scene.register(stuck(functions("slow").config("http_call_timeout", 2))).await;
    let late = scene.get("apps/quick/stuck").await;
    assert_eq!((late.status, late.json()["code"].clone()), (504, json!("timeout")));
    // the hub looks at its clock four times a second: who waited for that would be slower than the slow one
    let many = async {
        for _ in 0..16 {
            assert_eq!(scene.get("apps/quick/stuck").await.status, 504);
        }
    };
    tokio::select! {
        slow = scene.get("apps/slow/stuck") => panic!("16 short times are longer than a long one: {}", slow.status),
        () = many => {}
    }
}

#[tokio::test]
async fn calls_of_one_service_do_not_take_the_places_of_another() {
    let scene = Scene::new(Config::default()).await;
    scene.register(stuck(functions("one").config("max_http_calls", 1))).await;
    scene.register(show(functions("two"), "index")).await;
    let uri = polyfn_core::wire::ServiceUri::parse("one", "lab-one").unwrap();
    let one = scene.running.state().hub.registry.find(&uri).pop().unwrap();
    let (first, ()) = tokio::join!(scene.get("apps/one/stuck"), async {
        while one.calls.load(std::sync::atomic::Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let refused = scene.get("apps/one/stuck").await;
        assert_eq!((refused.status, refused.header("retry-after").as_str()), (429, "1"));
        assert_eq!(scene.get("apps/two/").await.status, 200);
        scene.client.disconnect().await;
    });
    assert_eq!(first.status, 502);
    assert_eq!(one.calls.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// What the server answers to these very bytes.
async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut told = vec![0; 4096];
    let len = stream.read(&mut told).await.unwrap();
    String::from_utf8_lossy(&told[..len]).into_owned()
}
