use super::*;

fn message(entries: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Message> {
    Message::from_value(Value::Map(entries.into_iter().collect()))
}

fn pair(name: &str, value: &str) -> Value {
    let bytes = |text: &str| Value::Bytes(Bytes::copy_from_slice(text.as_bytes()));
    Value::List(vec![bytes(name), bytes(value)])
}

#[test]
fn messages_of_an_answer_are_read() {
    let headers = Value::List(vec![pair("Set-Cookie", "a=1"), pair("set-cookie", " b=2 ")]);
    let start =
        message([("type", "http.response.start".into()), ("status", 200.into()), ("headers", headers)]);
    let expected = [("set-cookie", "a=1"), ("set-cookie", "b=2")];
    let headers = expected.map(|(name, value)| (Bytes::from(name), Bytes::from(value))).to_vec();
    assert_eq!(start, Ok(Message::Start { status: 200, headers }));
    let body = message([("type", "http.response.body".into()), ("body", "é".into())]);
    assert_eq!(body, Ok(Message::Body { body: Bytes::from("é"), more: false }));
    let body = message([("type", "http.response.body".into()), ("more_body", true.into())]);
    assert_eq!(body, Ok(Message::Body { body: Bytes::new(), more: true }));
}

#[test]
fn messages_of_a_websocket_are_read() {
    assert_eq!(
        message([("type", "websocket.accept".into())]),
        Ok(Message::Accept { subprotocol: None, headers: Headers::new() })
    );
    let both = message([("type", "websocket.send".into()), ("text", "".into()), ("bytes", Value::Nil)]);
    assert_eq!(both, Ok(Message::Text(String::new())));
    let close = message([("type", "websocket.close".into()), ("reason", "é".repeat(100).into())]);
    assert_eq!(close, Ok(Message::Close { code: 1000, reason: "é".repeat(61) }));
    assert_eq!(message([("type", "x".into())]), Ok(Message::Other("x".to_owned())));
}

#[test]
fn what_is_no_message_is_refused_in_words_that_help() {
    let start = ("type", Value::from("http.response.start"));
    let ok = ("status", Value::from(200));
    for (entries, expected) in [
        (vec![], "a message needs a `type`"),
        (vec![start.clone()], "`status` must be an integer from 200 to 599"),
        (vec![start.clone(), ("status", 100.into())], "from 200 to 599"),
        (vec![start.clone(), ("status", "200".into())], "must be an integer"),
        (vec![start.clone(), ok.clone(), ("headers", 1.into())], "list of pairs"),
        (vec![start.clone(), ok.clone(), ("headers", vec![Value::from(1)].into())], "pair of bytes"),
        (vec![start.clone(), ok.clone(), ("headers", vec![pair("a b", "c")].into())], "not the name"),
        (vec![start, ok, ("headers", vec![pair("a", "b\r\nc: d")].into())], "line break"),
        (vec![("type", "http.response.body".into()), ("body", 1.into())], "`body` must be bytes"),
        (vec![("type", "websocket.send".into())], "needs `text` or `bytes`"),
        (vec![("type", "websocket.close".into()), ("code", 70_000.into())], "below 65536"),
    ] {
        let error = message(entries).unwrap_err();
        assert!(error.message().contains(expected), "{error}: {expected}");
    }
    assert!(Message::from_value(Value::Nil).is_err());
}
