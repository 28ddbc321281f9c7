use super::*;
use crate::functions::Response;

const HEADERS: [(&str, &[u8]); 5] = [
    ("ce-specversion", b"1.0"),
    ("ce-type", b"com.example.someevent"),
    ("ce-time", b"2018-04-05T03:56:24Z"),
    ("ce-id", b"1234-1234-1234"),
    ("ce-source", b"/mycontext/subcontext"),
];

fn found(headers: &[(&str, &[u8])], body: &str) -> Result<Option<Value>> {
    detect(headers.iter().copied(), &Bytes::from(body.to_owned()))
}

fn event(more: &[(&'static str, &[u8])], body: &str) -> Map {
    let Some(Value::Map(event)) = found(&[&HEADERS[..], more].concat(), body).unwrap() else {
        panic!("one event")
    };
    event
}

/// The message of the error of an event in the binary mode, with another header.
fn refused(name: &'static str, value: Option<&'static [u8]>, body: &str) -> String {
    let mut headers: Vec<_> = HEADERS.into_iter().filter(|(known, _)| *known != name).collect();
    headers.extend(value.map(|value| (name, value)));
    found(&headers, body).unwrap_err().message().to_owned()
}

fn structured(json: &serde_json::Value) -> Result<Option<Value>> {
    found(&[("content-type", b"Application/CloudEvents+JSON; charset=utf-8")], &json.to_string())
}

#[test]
fn the_binary_mode_is_read() {
    let more: [(&str, &[u8]); 2] =
        [("CE-MyExtension", b"%e4%b8%96%20\\"), ("Content-Type", b"application/json; charset=utf-8")];
    let event = event(&more, r#"{"a":[1]}"#);
    assert_eq!(event.text("time"), Some("2018-04-05T03:56:24Z"));
    assert_eq!(event.text("myextension"), Some("世 \\"));
    assert_eq!(event.text("datacontenttype"), Some("application/json; charset=utf-8"));
    assert_eq!(event.get("data").unwrap().to_json().unwrap(), serde_json::json!({"a": [1]}));
    assert_eq!(event.len(), 8);
}

#[test]
fn data_is_what_its_type_says() {
    let with = |kind: &str, body: &str| {
        let headers = [&HEADERS[..], &[("content-type", kind.as_bytes())]].concat();
        found(&headers, body).unwrap().unwrap().as_map().unwrap().get("data").cloned()
    };
    assert_eq!(with("text/plain", "x"), Some("x".into()));
    assert_eq!(with("application/xml", "<x/>"), Some(Bytes::from_static(b"<x/>").into()));
    assert_eq!(with("application/json", "null"), Some(Value::Nil));
    assert_eq!(with("application/json", ""), None);
    assert_eq!(event(&[], "raw").get("data"), Some(&Bytes::from_static(b"raw").into()));
}

#[test]
fn a_header_is_unquoted_and_decoded_once() {
    let subject =
        |value: &'static [u8]| event(&[("ce-subject", value)], "").text("subject").map(str::to_owned);
    assert_eq!(subject(b"Euro%20%E2%82%AC%20%F0%9F%98%80").as_deref(), Some("Euro \u{20ac} \u{1f600}"));
    assert_eq!(subject(br#""a \"b\" %41""#).as_deref(), Some("a \"b\" A"));
    assert_eq!(subject(b"%2541").as_deref(), Some("%41"));
    let overlong = refused("ce-subject", Some(b"%C0%A0"), "");
    assert_eq!(overlong, "`subject` of the CloudEvent holds percent codes that are no UTF-8");
}

#[test]
fn what_is_wrong_is_named() {
    for name in ["ce-id", "ce-source", "ce-type"] {
        assert_eq!(refused(name, None, ""), format!("`{}` of the CloudEvent is missing", &name[3..]));
    }
    assert_eq!(refused("ce-specversion", None, ""), "`specversion` of the CloudEvent is missing");
    assert!(refused("ce-specversion", Some(b"0.3"), "").starts_with("`specversion` "));
    assert!(refused("ce-time", Some(b"noon"), "").starts_with("`time` "));
    assert!(refused("ce-datacontenttype", Some(b"a/b"), "").starts_with("`datacontenttype` "));
    assert!(refused("content-type", Some(b"application/json"), "{").starts_with("`data` "));
    assert!(refused("ce-my_x", Some(b"1"), "").starts_with("`my_x` "));
}

#[test]
fn plain_requests_are_no_events() {
    assert_eq!(found(&[("content-type", b"application/json")], "{}").unwrap(), None);
    assert_eq!(found(&[("ce-id", b"1"), ("ce-type", b"t"), ("x", b"y")], "").unwrap(), None);
    assert_eq!(found(&[("content-type", b"application/cloudevents+avro")], "x").unwrap(), None);
}

#[test]
fn the_structured_mode_is_read() {
    let json = serde_json::json!({
        "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext", "id": "A234",
        "subject": null, "comexampleothervalue": 5, "data_base64": "AP8=",
    });
    let event = structured(&json).unwrap().unwrap();
    let event = event.as_map().unwrap();
    assert_eq!(event.get("data"), Some(&Bytes::from_static(b"\x00\xff").into()));
    assert_eq!((event.get("comexampleothervalue"), event.contains("subject")), (Some(&Value::Int(5)), false));
    for (key, value, named) in [
        ("data", serde_json::json!(1), "`data_base64`"),
        ("data_base64", "!".into(), "`data_base64`"),
        ("id", serde_json::json!(1), "`id`"),
        ("source", serde_json::Value::Null, "`source`"),
        ("x", serde_json::json!({}), "`x`"),
    ] {
        let mut other = json.clone();
        other[key] = value;
        assert!(structured(&other).unwrap_err().message().starts_with(named), "{key}");
    }
    assert!(structured(&serde_json::json!([])).is_err());
}

#[test]
fn a_batch_is_a_list() {
    let batch = |body: &str| found(&[("content-type", b"application/cloudevents-batch+json")], body);
    assert_eq!(batch("[]").unwrap(), Some(Value::List(Vec::new())));
    let one = r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#;
    let two = batch(&format!("[{one},{one}]")).unwrap().unwrap();
    assert_eq!(two.as_list().unwrap().len(), 2);
    let error = batch(&format!("[{one},{{}}]")).unwrap_err();
    assert_eq!(error.message(), "at [1]: `specversion` of the CloudEvent is missing");
    assert!(batch(one).is_err());
}

fn answered(result: serde_json::Value, data: Option<Value>) -> Result<Response> {
    let mut value = Value::from(result);
    if let (Value::Map(event), Some(data)) = (&mut value, data) {
        event.insert("data", data);
    }
    Response::from_value(&value.to_msgpack().unwrap().into())
}

fn made() -> serde_json::Value {
    serde_json::json!({"specversion": "1.0", "type": "t", "source": "/s", "id": "1"})
}

#[test]
fn a_result_that_is_an_event_is_sent_in_the_binary_mode() {
    let mut event = made();
    event["subject"] = "Euro € 😀 \"%".into();
    event["flag"] = true.into();
    event["unset"] = serde_json::Value::Null;
    let answer = answered(event, Some("text".into())).unwrap();
    let headers: Vec<_> =
        answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-type", "t"),
        ("ce-source", "/s"),
        ("ce-id", "1"),
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80%20%22%25"),
        ("ce-flag", "true"),
        ("content-type", "application/json"),
    ];
    assert_eq!((headers, answer.status), (expected.to_vec(), 200));
    assert_eq!(&answer.body[..], b"\"text\"");
}

#[test]
fn data_is_written_as_its_type_says() {
    let bytes = || Value::Bytes(Bytes::from_static(b"\xff"));
    for (kind, data, expected, body) in [
        (None, bytes(), Some("application/octet-stream"), &b"\xff"[..]),
        (Some("image/x"), bytes(), Some("image/x"), b"\xff"),
        (Some("text/plain"), "x".into(), Some("text/plain"), b"x"),
        (Some("a/b+json"), "x".into(), Some("a/b+json"), b"\"x\""),
        (None, Value::List(vec![Value::Int(1)]), Some("application/json"), b"[1]"),
        (None, Value::Nil, None, b""),
    ] {
        let mut event = made();
        event["datacontenttype"] = kind.into();
        let answer = answered(event, Some(data)).unwrap();
        let said = answer.headers.iter().find(|(name, _)| name == "content-type");
        assert_eq!((said.map(|(_, kind)| kind.as_str()), &answer.body[..]), (expected, body));
    }
    let mut event = made();
    event["datacontenttype"] = "text/plain".into();
    assert!(answered(event, Some(Value::Int(1))).unwrap_err().message().contains("`data`"));
    let mut event = made();
    event["time"] = "noon".into();
    assert!(answered(event, None).unwrap_err().message().contains("`time`"));
}

#[test]
fn an_event_may_be_the_body_of_an_answer() {
    let with = |kind: Option<&str>, body: serde_json::Value| {
        let headers = kind.map_or(serde_json::json!({}), |kind| serde_json::json!({"Content-Type": kind}));
        answered(serde_json::json!({"status": 202, "headers": headers, "body": body}), None).unwrap()
    };
    let json = |answer: &Response| serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap();
    let answer = with(None, made());
    assert_eq!((answer.status, answer.headers.len()), (202, 4));
    let mut binary = made();
    binary["data_base64"] = "AP8=".into();
    let answer = with(Some("application/cloudevents+json; charset=UTF-8"), binary.clone());
    assert_eq!(json(&answer), binary);
    let answer = with(Some("application/cloudevents-batch+json"), serde_json::json!([binary]));
    assert_eq!(json(&answer), serde_json::json!([binary]));
    assert_eq!(json(&with(Some("application/json"), made())), made());
}

#[test]
fn only_events_are_events() {
    for change in [("id", serde_json::json!(1)), ("type", serde_json::Value::Null)] {
        let mut other = made();
        other[change.0] = change.1;
        let expected = [("content-type".to_owned(), JSON.to_owned())];
        assert_eq!(answered(other, None).unwrap().headers, expected);
    }
}
