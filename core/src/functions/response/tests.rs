use super::*;
use crate::codec::Stub;
use crate::{ErrorKind, Map};

fn respond(value: &Value) -> Result<Response> {
    Response::from_value(&Bytes::from(value.to_msgpack().unwrap()))
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().cloned().collect())
}

fn json(text: &str) -> Value {
    Value::from(serde_json::from_str::<serde_json::Value>(text).unwrap())
}

/// Status, content type (`-` where there is none) and body of the answer to a value given as JSON.
fn answer(value: &str) -> String {
    let response = respond(&json(value)).unwrap();
    let kind = response.headers.iter().find(|(name, _)| name == "content-type");
    let kind = kind.map_or("-", |(_, value)| value.as_str());
    format!("{} {kind} {}", response.status, String::from_utf8_lossy(&response.body))
}

#[test]
fn objects_with_the_keys_of_a_response_are_responses() {
    for (value, expected) in [
        (r#"{"status": 201, "body": "x"}"#, "201 text/plain; charset=utf-8 x"),
        (r#"{"statusCode": 202, "body": "x"}"#, "202 text/plain; charset=utf-8 x"),
        (r#"{"status": 200.0, "body": "x"}"#, "200 text/plain; charset=utf-8 x"),
        (r#"{"body": "x"}"#, "200 text/plain; charset=utf-8 x"),
        (r#"{"body": {"a": [1, null]}}"#, "200 application/json {\"a\":[1,null]}"),
        (r#"{"body": 7}"#, "200 application/json 7"),
        (r#"{"body": {"status": 500}}"#, "200 application/json {\"status\":500}"),
        (r#"{"status": 404}"#, "404 - "),
        (r#"{"status": 204, "body": null}"#, "204 - "),
        (r#"{"body": null}"#, "200 - "),
        (r#"{"headers": {"X-Thing": "b"}}"#, "200 - "),
        (r#"{"headers": null, "body": ""}"#, "200 text/plain; charset=utf-8 "),
        (r#"{"status": 201, "headers": {"Content-Type": "a/b"}, "body": {"a": 1}}"#, "201 a/b {\"a\":1}"),
        (r#"{"status": 201, "body": "x", "more": 1}"#, "201 text/plain; charset=utf-8 x"),
        (r#"{"body": "<!DocType html>"}"#, "200 text/html; charset=utf-8 <!DocType html>"),
    ] {
        assert_eq!(answer(value), expected, "{value}");
    }
}

#[test]
fn other_values_are_what_they_are() {
    for (value, expected) in [
        (r#"{"status": "ok"}"#, "200 application/json {\"status\":\"ok\"}"),
        (r#"{"status": true}"#, "200 application/json {\"status\":true}"),
        (r#"{"status": 999}"#, "200 application/json {\"status\":999}"),
        (r#"{"status": 99, "body": "x"}"#, "200 application/json {\"status\":99,\"body\":\"x\"}"),
        (r#"{"status": 200.5}"#, "200 application/json {\"status\":200.5}"),
        (r#"{"status": 200, "users": []}"#, "200 application/json {\"status\":200,\"users\":[]}"),
        (r#"{"body": "x", "title": "y"}"#, "200 application/json {\"body\":\"x\",\"title\":\"y\"}"),
        (r#"{"users": ["ann"]}"#, "200 application/json {\"users\":[\"ann\"]}"),
        ("{}", "200 application/json {}"),
        ("[1, {\"a\": null}]", "200 application/json [1,{\"a\":null}]"),
        ("42", "200 application/json 42"),
        ("1.5", "200 application/json 1.5"),
        ("true", "200 application/json true"),
        ("null", "204 - "),
        (r#""gr\u00fc\u00dfe""#, "200 text/plain; charset=utf-8 grüße"),
        (r#""<html lang=x>""#, "200 text/html; charset=utf-8 <html lang=x>"),
        (r#"" <html>""#, "200 text/plain; charset=utf-8  <html>"),
        (r#"{"a\"\n": "\u0001\ud83c\udf88"}"#, "200 application/json {\"a\\\"\\n\":\"\\u0001🎈\"}"),
    ] {
        assert_eq!(answer(value), expected, "{value}");
    }
}

#[test]
fn bytes_in_every_form_are_octets() {
    let data = Bytes::from_static(b"\x00\xff");
    let array = |dtype: Option<&str>, shape: Option<Vec<u64>>| {
        Value::Tagged(Box::new(Tagged::Array { data: data.clone(), shape, dtype: dtype.map(str::to_owned) }))
    };
    for value in [
        Value::Bytes(data.clone()),
        Value::Tagged(Box::new(Tagged::Memory(data.clone()))),
        array(Some("uint8"), None),
        array(Some("uint8"), Some(vec![2])),
        array(Some("|u1"), Some(vec![1, 2])),
    ] {
        for value in [value.clone(), map(&[("body", value)])] {
            let response = respond(&value).unwrap();
            assert_eq!(response.headers, [("content-type".to_owned(), OCTETS.to_owned())]);
            assert_eq!((response.status, &response.body), (200, &data));
        }
    }
    assert!(respond(&array(Some("float32"), None)).is_err());
}

#[test]
fn headers_come_as_maps_and_as_pairs() {
    for headers in [
        r#"{"Set-Cookie": ["a=1", "b=2"], "X-N": 5, "x-f": 1.5}"#,
        r#"[["Set-Cookie", "a=1"], ["set-cookie", "b=2"], ["X-N", 5], ["x-f", 1.5]]"#,
    ] {
        let response = respond(&json(&format!("{{\"headers\": {headers}}}"))).unwrap();
        let expected = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-n", "5"), ("x-f", "1.5")];
        assert_eq!(response.headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[test]
fn bad_headers_are_refused() {
    for headers in [
        r#"{"a b": "x"}"#,
        r#"{"": "x"}"#,
        r#"{"a\r\nb": "x"}"#,
        r#"{"gr\u00fc": "x"}"#,
        r#"{"a": "x\r\nset-cookie: b"}"#,
        r#"{"a": "x\u0000"}"#,
        r#"{"a": null}"#,
        r#"{"a": {"b": 1}}"#,
        r#"{"a": [["b"]]}"#,
        r#"["a"]"#,
        r#"[["a", "b", "c"]]"#,
        "5",
    ] {
        let error = respond(&json(&format!("{{\"status\": 200, \"headers\": {headers}}}"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{headers}");
        assert!(error.message().starts_with("at .headers"), "{error}");
    }
}

#[test]
fn what_json_cannot_hold_is_named_with_its_place() {
    let stub = Stub { method: "S.1".into(), ..Stub::default() };
    for (value, place) in [
        (map(&[("a", vec![Value::Nil, f64::NAN.into()].into())]), "at .a[1]"),
        (map(&[("a", Bytes::from_static(b"x").into())]), "at .a"),
        (map(&[("body", vec![Value::from(f64::INFINITY)].into())]), "at .body[0]"),
        (Value::Extension(5, Bytes::from_static(b"x")), "an extension"),
        (Value::from(stub), "a function"),
    ] {
        let error = respond(&value).unwrap_err();
        assert!(error.message().starts_with(place), "{error}");
    }
}

#[test]
fn keys_and_forms_that_json_lacks_are_made_to_fit() {
    let pairs = Value::Pairs(vec![(1.into(), "a".into()), ("b".into(), 2.into()), (true.into(), Value::Nil)]);
    assert_eq!(respond(&pairs).unwrap().body, r#"{"1":"a","b":2,"true":null}"#);
    let set = Value::Tagged(Box::new(Tagged::Set(vec![1.into(), 2.into()])));
    assert_eq!(respond(&set).unwrap().body, "[1,2]");
    assert_eq!(respond(&map(&[("a", set)])).unwrap().body, r#"{"a":[1,2]}"#);
    assert_eq!(respond(&map(&[("_rtype", "unknown".into())])).unwrap().body, r#"{"_rtype":"unknown"}"#);
    assert!(respond(&Value::Pairs(vec![(Value::Nil, 1.into())])).is_err());
}

#[test]
fn a_result_is_the_first_item_of_its_list() {
    let payload = |items: Vec<Value>| Payload {
        args: Value::List(items).to_msgpack().unwrap().into(),
        ..Payload::default()
    };
    assert_eq!(Response::from_result(&payload(vec!["x".into()])).unwrap().body, "x");
    assert_eq!(Response::from_result(&payload(Vec::new())).unwrap().status, 204);
    let parts = Value::Map(Map::from_iter([("status", Value::from(418)), ("body", "short".into())]));
    assert_eq!(Response::from_result(&payload(vec![parts])).unwrap().status, 418);
    assert!(Response::from_value(&Bytes::new()).is_err());
}

#[test]
fn a_value_may_not_nest_too_deep_for_json() {
    let mut deep = vec![0x91; 70];
    deep.push(0xc0);
    assert_eq!(Response::from_value(&Bytes::from(deep)).unwrap_err().kind(), ErrorKind::TooLarge);
}
