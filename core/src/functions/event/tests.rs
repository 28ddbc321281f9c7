use super::*;
use crate::codec::Reader;
use crate::{Map, Value};

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

fn request<'a>(headers: Headers<'a>, user: &'a [u8]) -> HttpRequest<'a, Headers<'a>> {
    HttpRequest {
        method: "POST",
        scheme: "https",
        http_version: "1.1",
        path: "/a/世",
        raw_path: "/a/%E4%B8%96",
        query_string: "a=b=c&flag",
        headers,
        body: Bytes::from_static(b"\x00\xff"),
        client: Some(([127, 0, 0, 1], 51962).into()),
        server: Some(("localhost", 9527)),
        workspace: "lab",
        service_id: "c:web",
        user,
        context: Context { ws: "lab", user: Some(user), ..Context::default() },
        function_path: None,
        cloudevent: None,
    }
}

fn event<'a>(request: HttpRequest<'a, Headers<'a>>) -> Map {
    let mut out = Writer::new();
    request.write(&mut out).unwrap();
    let bytes = Bytes::from(out.into_bytes());
    let mut reader = Reader::new(&bytes);
    let Value::Map(map) = reader.value().unwrap() else { panic!("an event is a map") };
    assert!(reader.is_at_end(), "exactly one value was written");
    map
}

fn user() -> Vec<u8> {
    Value::Map(Map::from_iter([("id", "ann")])).to_msgpack().unwrap()
}

#[test]
fn every_key_has_its_type() {
    let user = user();
    let map = event(request(vec![("Host", b"x"), ("x-multi", b"2")], &user));
    let texts = |items: &[(&str, &str)]| Value::Map(items.iter().copied().collect());
    let endpoint = |host: &str, port: i64| Value::List(vec![Value::from(host), Value::from(port)]);
    let expected: [(&str, Value); 17] = [
        ("type", "http".into()),
        ("asgi", texts(&[("version", "3.0"), ("spec_version", "2.3")])),
        ("http_version", "1.1".into()),
        ("server", endpoint("localhost", 9527)),
        ("client", endpoint("127.0.0.1", 51962)),
        ("scheme", "https".into()),
        ("method", "POST".into()),
        ("root_path", "".into()),
        ("path", "/a/世".into()),
        ("raw_path", "/a/%E4%B8%96".into()),
        ("query_string", "a=b=c&flag".into()),
        ("headers", texts(&[("host", "x"), ("x-multi", "2")])),
        ("state", Map::new().into()),
        ("workspace", "lab".into()),
        ("service_id", "c:web".into()),
        ("body", Bytes::from_static(b"\x00\xff").into()),
        ("user", texts(&[("id", "ann")])),
    ];
    for (key, value) in &expected {
        assert_eq!(map.get(key), Some(value), "{key}");
    }
    let context = map.get("context").and_then(Value::as_map).unwrap();
    assert_eq!((context.text("ws"), context.get("user")), (Some("lab"), map.get("user")));
    assert_eq!(map.len(), expected.len() + 1);
}

#[test]
fn what_is_not_there_is_nil_or_absent() {
    let user = user();
    let mut bare = request(Vec::new(), &user);
    (bare.body, bare.client, bare.server) = (Bytes::new(), None, None);
    bare.function_path = Some("/x");
    let one = Value::List(Vec::new());
    bare.cloudevent = Some(&one);
    let map = event(bare);
    for key in ["body", "client", "server"] {
        assert_eq!(map.get(key), Some(&Value::Nil), "{key}");
    }
    assert_eq!(map.text("function_path"), Some("/x"));
    assert_eq!(map.get("cloudevent"), Some(&one));
    assert_eq!(map.get("headers"), Some(&Value::Map(Map::new())));
}

#[test]
fn repeated_headers_are_joined_and_listed() {
    let headers: Headers<'_> =
        vec![("accept", b"a"), ("cookie", b"k=1"), ("Accept", b"b"), ("cookie", b"l=2"), ("x", b"y")];
    let user = user();
    let map = event(request(headers, &user));
    let joined = map.get("headers").and_then(Value::as_map).unwrap();
    assert_eq!(
        (joined.text("accept"), joined.text("cookie"), joined.text("x")),
        (Some("a, b"), Some("k=1; l=2"), Some("y"))
    );
    assert_eq!(joined.len(), 3);
    let list = map.get("headers_list").and_then(Value::as_list).unwrap();
    assert_eq!(list.len(), 5);
    assert_eq!(list[2], Value::List(vec!["accept".into(), "b".into()]));
}

#[test]
fn header_values_are_utf8_or_latin1() {
    let user = user();
    let map = event(request(vec![("u", "grüße".as_bytes()), ("l", b"gr\xfc\xdfe")], &user));
    let headers = map.get("headers").and_then(Value::as_map).unwrap();
    assert_eq!((headers.text("u"), headers.text("l")), (Some("grüße"), Some("grüße")));
}
