//! A manager for one session: answers what a session asks of it while it joins.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Reader, Walk, Writer};
use polyfn_core::session::{ConnectionInfo, Outgoing, Session};
use polyfn_core::wire::Route;
use polyfn_core::{Map, Value};

/// The manager's address.
pub(crate) const MANAGER: &str = "*/manager-0";

/// What the server says to a client that joins as `address`.
pub(crate) fn info(address: &str) -> ConnectionInfo {
    let (workspace, client) = address.split_once('/').unwrap();
    ConnectionInfo {
        workspace: workspace.to_owned(),
        client_id: client.to_owned(),
        manager_id: "manager-0".to_owned(),
        public_base_url: "http://localhost".to_owned(),
        ..ConnectionInfo::default()
    }
}

/// The first segment of a frame, as a map.
pub(crate) fn header(frame: &Bytes) -> Map {
    match Reader::new(frame).value() {
        Ok(Value::Map(map)) => map,
        other => panic!("segment 1 must be a map, found {other:?}"),
    }
}

/// The second segment of a frame, as a map; empty when there is none.
pub(crate) fn body(frame: &Bytes) -> Map {
    let mut reader = Reader::new(frame);
    reader.skip().unwrap();
    if reader.is_at_end() {
        return Map::new();
    }
    match reader.value() {
        Ok(Value::Map(map)) => map,
        other => panic!("segment 2 must be a map, found {other:?}"),
    }
}

/// A frame as the server delivers it: from `from` as a user of its own workspace.
pub(crate) fn delivered(route: &Route<'_>, body: &Value) -> Bytes {
    let ws = route.from.split('/').next().unwrap();
    let user = Value::Map(Map::from_iter([("id", format!("user of {}", route.from))])).to_msgpack().unwrap();
    let route = Route { identity: Some((ws, &user)), ..*route };
    let mut out = Writer::new();
    route.write(&mut out).unwrap();
    body.walk(&mut out).unwrap();
    out.into_bytes().into()
}

/// The reply to the call in `sent`: `end` is `resolve`, `reject` or `heartbeat`.
pub(crate) fn reply(sent: &Outgoing, end: &str, value: Value) -> Bytes {
    let call = header(&sent.frame);
    let session = call.text("session").expect("a call that wants a reply names its session");
    let method = format!("{session}.{end}");
    let (from, to) = (&*sent.to, call.text("from").unwrap());
    let route = Route { from, to, method: &method, parent: Some(session), ..Route::default() };
    delivered(&route, &Value::Map(Map::from_iter([("args", Value::List(vec![value]))])))
}

/// Answers every call to the manager with nil until there are no more; gives the method and the first argument
/// of each, in order. Frames for others stay in `others`.
pub(crate) fn answer(
    session: &mut Session,
    others: &mut Vec<Outgoing>,
    now: Duration,
) -> Vec<(String, Value)> {
    let mut asked = Vec::new();
    while let Some(sent) = session.poll_send() {
        if sent.to != MANAGER {
            others.push(sent);
            continue;
        }
        let args = body(&sent.frame).remove("args").unwrap_or_default();
        let first = args.as_list().and_then(|args| args.first()).cloned().unwrap_or_default();
        asked.push((header(&sent.frame).text("method").unwrap_or_default().to_owned(), first));
        session.receive(&reply(&sent, "resolve", Value::Nil), now).unwrap();
    }
    asked
}

/// A session that has joined as `address`.
pub(crate) fn joined(mut session: Session, address: &str, now: Duration) -> Session {
    session.connected(info(address), now);
    let asked = answer(&mut session, &mut Vec::new(), now);
    assert!(asked[0].0.ends_with("register_service"), "{asked:?}");
    session
}
