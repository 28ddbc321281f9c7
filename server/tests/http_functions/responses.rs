//! Parts, known answers and compression, over the wire.

use bytes::Bytes;

use super::*;

/// A service whose functions give the same each time.
async fn scene() -> Scene {
    let scene = Scene::new(Config::default()).await;
    let headers = map(&[("etag", "\"v1\"".into()), ("content-type", "image/png".into())]);
    let picture = map(&[("headers", headers), ("body", Bytes::from_static(b"0123456789").into())]);
    let page =
        |tag: &str| map(&[("headers", map(&[("etag", tag.into())])), ("body", "line\n".repeat(400).into())]);
    let fixed = |value: Value| {
        move |_| {
            let value = value.clone();
            async move { Ok(value) }
        }
    };
    let tree = functions("tree").function("picture", fixed(picture)).function("page", fixed(page("W/\"p\"")));
    let tree = tree.function("exact", fixed(page("\"p\"")));
    scene.register(tree.function("short", fixed("short".into()))).await;
    scene
}

#[tokio::test]
async fn bytes_are_given_in_parts() {
    let scene = scene().await;
    let whole = scene.get("apps/tree/picture").await;
    assert_eq!((whole.status, whole.header("accept-ranges").as_str()), (200, "bytes"));
    let part = scene.ask("GET", "apps/tree/picture", &["range: bytes=2-4", "if-range: \"v1\""], b"").await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), "bytes 2-4/10");
    assert_eq!(
        (part.header("content-length").as_str(), part.header("content-type").as_str()),
        ("3", "image/png")
    );
    let outside = scene.ask("GET", "apps/tree/picture", &["range: bytes=10-"], b"").await;
    assert_eq!((outside.status, outside.header("content-range").as_str()), (416, "bytes */10"));
    let head = scene.ask("HEAD", "apps/tree/picture", &["range: bytes=2-4"], b"").await;
    assert_eq!((head.status, head.header("content-length").as_str()), (200, "10"));
    let text = scene.ask("GET", "apps/tree/short", &["range: bytes=2-4"], b"").await;
    assert_eq!(
        (text.status, text.text().as_str(), text.header("accept-ranges").as_str()),
        (200, "short", "")
    );
}

#[tokio::test]
async fn a_known_answer_is_not_sent_again() {
    let scene = scene().await;
    let known = scene.ask("GET", "apps/tree/picture", &["if-none-match: \"v0\", \"v1\""], b"").await;
    assert_eq!((known.status, known.body.len(), known.header("etag").as_str()), (304, 0, "\"v1\""));
    assert_eq!(scene.ask("GET", "apps/tree/picture", &["if-none-match: \"v0\""], b"").await.status, 200);
    assert_eq!(scene.ask("POST", "apps/tree/picture", &["if-none-match: \"v1\""], b"").await.status, 200);
}

#[tokio::test]
async fn long_texts_are_compressed_for_those_who_accept_it() {
    let scene = scene().await;
    let accept = "accept-encoding: br;q=0.9, gzip";
    let small = scene.ask("GET", "apps/tree/page", &[accept], b"").await;
    assert_eq!(
        (small.header("content-encoding").as_str(), small.header("vary").as_str()),
        ("gzip", "accept-encoding")
    );
    assert_eq!((small.header("etag").as_str(), small.header("content-length").as_str()), ("W/\"p\"", ""));
    assert!(small.body.len() < 1000, "{}", small.body.len());
    let known = scene.ask("GET", "apps/tree/page", &[accept, "if-none-match: W/\"p\""], b"").await;
    assert_eq!(known.status, 304);
    let plain = scene.get("apps/tree/page").await;
    assert_eq!((plain.body.len(), plain.header("vary").as_str()), (2000, "accept-encoding"));
    for (accept, coding) in [("br, gzip", "br"), ("gzip, br, zstd", "zstd"), ("identity, br;q=0.5", "")] {
        let page = scene.ask("GET", "apps/tree/page", &[&format!("accept-encoding: {accept}")], b"").await;
        assert_eq!((page.status, page.header("content-encoding").as_str()), (200, coding));
    }
    for path in ["picture", "short", "exact"] {
        let same = scene.ask("GET", &format!("apps/tree/{path}"), &[accept], b"").await;
        assert_eq!(
            (same.header("content-encoding"), same.header("vary")),
            (String::new(), String::new()),
            "{path}"
        );
    }
    let only = "accept-encoding: gzip, identity;q=0";
    assert_eq!(scene.ask("GET", "apps/tree/short", &[only], b"").await.header("content-encoding"), "gzip");
    let nothing = scene.ask("GET", "apps/tree/short", &["accept-encoding: *;q=0"], b"").await;
    assert_eq!((nothing.status, nothing.header("content-encoding").as_str()), (406, ""));
}
