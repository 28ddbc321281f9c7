//! Recorded sessions played again, with a [`Session`] in the place of one of the clients.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::manager;
use crate::recording::{self, Frame, Recording};
use bytes::Bytes;
use polyfn_core::codec::{Promise, Reader, Tagged, Walk};
use polyfn_core::session::{CallSpec, ConnectionInfo, Encryption, Event, Options, Session};
use polyfn_core::wire::KeyPair;
use polyfn_core::{Error, Function, Map, Value};

const NOW: Duration = Duration::from_secs(1);

/// A session at `address`, which offers every function that `incoming` asks for.
fn session(address: &str, incoming: &[&Frame], keys: Option<KeyPair>) -> Session {
    let encryption = keys.map(|keys| Encryption::new(keys, [7; 32]));
    let options = Options { encryption, ..Options::default() };
    let mut session = manager::joined(Session::new(options), address, NOW);
    for (id, service) in services(incoming) {
        if id.starts_with("_rintf_") {
            give(&mut session, &id, service, &incoming[0].text("from"));
            continue;
        }
        let mut draft = session.begin_service();
        Value::Map(service).walk(&mut draft.writer).unwrap();
        session.add_service(draft, false).unwrap_or_else(|error| panic!("{id}: {error}"));
    }
    session
}

/// Gives an object to `peer` in a call, under the id that it has in the recording.
fn give(session: &mut Session, id: &str, mut object: Map, peer: &str) {
    object.remove("id");
    object.remove("config");
    let spec = CallSpec {
        target: peer,
        method: "services.svc.take",
        promise: Promise::Star,
        args: 1,
        ..CallSpec::default()
    };
    let mut draft = session.begin_call(&spec).unwrap();
    let out = &mut draft.writer;
    let start = out.len();
    out.open_map(1 + object.len()).unwrap();
    out.entry("_rintf", &Value::Bool(true)).unwrap();
    object.iter().for_each(|(key, value)| out.entry(key, value).unwrap());
    out.close();
    assert_eq!(out.interface(start, Some(id)).unwrap().as_deref(), Some(id));
    session.finish_call(1, draft, NOW).unwrap();
    while session.poll_send().is_some() {}
}

/// A service for each `services.ID.PATH` that is called, all functions in the order of their calls.
fn services(incoming: &[&Frame]) -> BTreeMap<String, Map> {
    let mut services: BTreeMap<String, Map> = BTreeMap::new();
    for (handle, frame) in incoming.iter().enumerate() {
        let method = frame.text("method");
        let Some((id, path)) = method.strip_prefix("services.").and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        if id == "built-in" {
            continue;
        }
        let service = services.entry(id.to_owned()).or_insert_with(|| {
            let config = Map::from_iter([("visibility", "public")]);
            Map::from_iter([("id", Value::from(id)), ("config", Value::Map(config))])
        });
        let function = Function { handle: handle as u64, name: path.to_owned(), ..Function::default() };
        insert(service, path, Value::Function(function));
    }
    services
}

fn insert(folder: &mut Map, path: &str, value: Value) {
    let Some((name, rest)) = path.split_once('.') else {
        folder.insert(path, value);
        return;
    };
    if !folder.contains(name) {
        folder.insert(name, Map::new());
    }
    match folder.iter_mut().find(|(key, _)| key == name) {
        Some((_, Value::Map(inner))) => insert(inner, rest, value),
        _ => panic!("`{path}` passes through a function"),
    }
}

/// The first argument of a recorded frame, when there is one.
pub(crate) fn first_argument(recording: &Recording, frame: &Frame) -> Option<Value> {
    let opened = recording.opened(&frame.bytes);
    let body = Reader::new(&opened.slice(frame.split..)).value().ok()?;
    body.as_map()?.get("args")?.as_list()?.first().cloned()
}

fn first_arguments_hold_true(frame: &Frame) -> bool {
    let body = manager::body(&frame.bytes);
    body.get("args").and_then(Value::as_list).is_some_and(|args| args.contains(&Value::Bool(true)))
}

/// What the recorded client answered to the call of `session`.
fn answer<'a>(
    recording: &'a Recording,
    client: &str,
    session: &str,
) -> Option<(&'a Frame, Result<Value, Error>)> {
    let find = |end: &str| {
        let method = format!("{session}.{end}");
        let frames = recording
            .frames
            .iter()
            .filter(|frame| frame.is_sent && frame.client == client && !frame.is_elided);
        frames.into_iter().find(|frame| frame.text("method") == method)
    };
    if let Some(frame) = find("resolve") {
        return Some((frame, Ok(first_argument(recording, frame)?)));
    }
    let frame = find("reject")?;
    match first_argument(recording, frame)? {
        Value::Tagged(tagged) => match *tagged {
            Tagged::Error(error) => Some((frame, Err(error))),
            _ => None,
        },
        _ => None,
    }
}

#[derive(Default)]
struct Counts {
    received: usize,
    refused: Vec<String>,
    exact: usize,
    same: usize,
    errors: usize,
}

/// Plays all frames that one client received into a session, and answers as the client did.
fn play(recording: &Recording, client: &str, counts: &mut Counts) {
    let incoming: Vec<&Frame> = recording
        .frames
        .iter()
        .filter(|frame| !frame.is_sent && frame.client == client && !frame.is_elided)
        .collect();
    let Some(address) =
        incoming.iter().map(|frame| frame.text("to")).find(|to| to.contains('/') && !to.contains('*'))
    else {
        return;
    };
    // Where the recorded client had no such function, the session has none either.
    let is_unknown = |frame: &Frame| {
        let answer = answer(recording, client, &frame.text("session"));
        answer.is_some_and(|(_, end)| end.is_err_and(|error| error.message().starts_with("Method")))
    };
    let known: Vec<&Frame> = incoming.iter().copied().filter(|frame| !is_unknown(frame)).collect();
    let mut session = session(&address, &known, recording.keys.get(client).cloned());
    for frame in &incoming {
        counts.received += 1;
        if let Err(error) = session.receive(&frame.bytes, NOW) {
            counts.refused.push(format!("{} frame {}: {error}", recording.name, frame.seq));
            while session.poll_send().is_some() {}
        }
        while let Some(event) = session.poll_event() {
            let Event::Invoke(invocation) = event else { continue };
            let (Some(run), Some((_, answer))) =
                (invocation.run, answer(recording, client, &frame.text("session")))
            else {
                continue;
            };
            match answer {
                Ok(value) => {
                    let mut draft = session.begin_reply(run).unwrap();
                    value.walk(&mut draft.writer).unwrap();
                    session.finish_reply(draft, NOW);
                }
                Err(error) => session.reject(run, &error, NOW),
            }
        }
        while let Some(sent) = session.poll_send() {
            compare(recording, client, &sent.frame, counts);
        }
    }
}

/// Compares a reply with the recorded one to the same call.
fn compare(recording: &Recording, client: &str, reply: &Bytes, counts: &mut Counts) {
    let header = Reader::new(reply).value().unwrap();
    let method = header.as_map().and_then(|map| map.text("method")).unwrap_or_default();
    let Some((call, end)) = method.rsplit_once('.') else { return };
    if end == "heartbeat" {
        return;
    }
    // What a service looks like and which functions were given away is not in the frames that come in.
    let asked = recording.frames.iter().find(|frame| !frame.is_sent && frame.text("session") == call);
    let Some(asked) = asked else { return };
    let method = asked.text("method");
    // A part of a result is taken only while its call is under way, which here it is not.
    let is_part_of_result = method.contains(".message_cache.") && first_arguments_hold_true(asked);
    if !method.starts_with("services.") || method == "services.built-in.get_service" || is_part_of_result {
        return;
    }
    let Some((recorded, answer)) = answer(recording, client, call) else { return };
    let (reply, expected) = (&recording.opened(reply), recording.opened(&recorded.bytes));
    if *reply == expected {
        counts.exact += 1;
        return;
    }
    let place = format!("{} frame {}", recording.name, recorded.seq);
    assert_eq!(header, recorded.header(), "{place}");
    let mut reader = Reader::new(reply);
    reader.skip().unwrap();
    let body = reader.value().unwrap();
    let value = body.as_map().and_then(|map| map.get("args")).and_then(Value::as_list).unwrap()[0].clone();
    match (answer, value) {
        (Ok(expected), found) => {
            assert_eq!(found, expected, "{place}");
            counts.same += 1;
        }
        (Err(expected), Value::Tagged(found)) => {
            let Tagged::Error(found) = *found else { panic!("{place}: a reject carries an error") };
            // What the built-in service refuses it refuses in words of our own.
            if !method.starts_with("services.built-in.") {
                assert_eq!(found.message(), expected.message(), "{place}");
            }
            counts.errors += 1;
        }
        (Err(_), other) => panic!("{place}: a reject carries an error, not {other:?}"),
    }
}

#[test]
fn a_session_answers_as_the_recorded_client_did() {
    let mut counts = Counts::default();
    for recording in recording::all() {
        let mut clients: Vec<&str> = recording.frames.iter().map(|frame| &*frame.client).collect();
        clients.sort_unstable();
        clients.dedup();
        clients.into_iter().for_each(|client| play(&recording, client, &mut counts));
    }
    let Counts { received, exact, same, errors, refused } = counts;
    println!("{received} frames: {exact} replies equal, {same} of equal value, {errors} equal errors");
    assert!(received > 400 && exact > 90 && errors > 5);
    // In this one the caller forges `from` in segment 2, and the reference believes it.
    assert_eq!(
        refused,
        ["90_segment2_overrides_from frame 1: key `from` may not stand in the second segment"]
    );
}

#[test]
fn a_session_calls_as_the_recorded_client_did() {
    let (mut calls, mut replies) = (0, 0);
    for recording in recording::all() {
        for frame in recording.frames.iter().filter(|frame| frame.is_sent && !frame.is_elided) {
            if let Some(replied) = call_again(&recording, frame) {
                calls += 1;
                replies += usize::from(replied);
            }
        }
    }
    assert!(calls > 140 && replies > 135, "{calls} calls and {replies} replies were compared");
}

/// Makes a recorded call again; whether a recorded reply was there to be given to it. `None` for frames that
/// are no calls, and for calls whose arguments hold functions of the recorded client.
fn call_again(recording: &Recording, frame: &Frame) -> Option<bool> {
    let header = frame.header();
    let header = header.as_map()?;
    let (from, call) = (header.text("from")?, header.text("session")?);
    let body = Reader::new(&frame.segment2()).value().ok()?;
    let body = body.as_map()?;
    let is_plain =
        body.text("promise") == Some("*") && header.len() == 5 + usize::from(header.contains("parent"));
    let args = body.get("args").and_then(Value::as_list).unwrap_or_default();
    let timeout = body.get("t").and_then(Value::as_float)? * 2.0;
    if !is_plain || !from.contains('/') || !body.contains("args") || format!("{args:?}").contains("Method(") {
        return None;
    }
    let manager = header.text("to")?.strip_prefix("*/").unwrap_or("manager-0").to_owned();
    let info = ConnectionInfo { manager_id: manager, ..manager::info(from) };
    let mut session = Session::local(Options::default(), info);
    let spec = CallSpec {
        target: header.text("to")?,
        method: header.text("method")?,
        promise: Promise::Star,
        parent: header.text("parent"),
        args: args.len(),
        with_kwargs: body.contains("with_kwargs"),
        timeout: Some(Duration::from_secs_f64(timeout)),
        ..CallSpec::default()
    };
    let mut draft = session.begin_call(&spec).unwrap();
    args.iter().for_each(|arg| arg.walk(&mut draft.writer).unwrap());
    session.finish_call(7, draft, NOW).unwrap();
    let sent = session.poll_send().expect("the call is sent at once");
    let place = format!("{} frame {}", recording.name, frame.seq);
    assert_same_call(&sent.frame, frame, &place);
    let reply = recording.frames.iter().find(|reply| {
        let method = reply.text("method");
        !reply.is_sent
            && !reply.is_elided
            && method.strip_prefix(call).is_some_and(|end| end.starts_with(".re"))
    });
    let Some(reply) = reply else { return Some(false) };
    session.receive(&as_reply_to(&sent.frame, reply, call), NOW).unwrap();
    let expected = args_of(reply);
    match session.poll_event() {
        Some(Event::Resolved { call: 7, value }) => assert_eq!(value.args, expected, "{place}"),
        Some(Event::Rejected { call: 7, error }) => {
            assert!(reply.text("method").ends_with("reject"), "{place}: {error}");
            let text = format!("{:?}", Reader::new(&expected).value().unwrap());
            assert!(text.contains(&format!("{:?}", error.message())), "{place}: {error} of {text}");
        }
        other => panic!("{place}: {other:?} is not the end of the call"),
    }
    assert_eq!(session.statistics().calls, 0, "{place}");
    Some(true)
}

/// The encoded arguments of a frame.
fn args_of(frame: &Frame) -> Bytes {
    let bytes = frame.segment2();
    let mut reader = Reader::new(&bytes);
    for _ in 0..reader.map().unwrap() {
        let is_args = reader.text().unwrap() == "args";
        let value = reader.skip().unwrap();
        if is_args {
            return bytes.slice_ref(value);
        }
    }
    panic!("frame {} has no arguments", frame.seq)
}

/// The same call, but for the id of its session.
pub(crate) fn assert_same_call(sent: &Bytes, recorded: &Frame, place: &str) {
    let (mut header, expected) = (manager::header(sent), manager::header(&recorded.bytes));
    header.insert("session", expected.text("session").unwrap());
    assert_eq!(Value::Map(header), Value::Map(expected), "{place}");
    let (mut body, mut expected) = (manager::body(sent), manager::body(&recorded.bytes));
    // JavaScript writes whole seconds as an integer.
    let seconds = |body: &mut Map| body.remove("t").as_ref().and_then(Value::as_float);
    assert_eq!(seconds(&mut body), seconds(&mut expected), "{place}");
    // The reference leaves out arguments that there are none of.
    if body.get("args") == Some(&Value::List(Vec::new())) && !expected.contains("args") {
        body.remove("args");
    }
    // Texts, so that NaN equals itself.
    assert_eq!(format!("{body:?}"), format!("{expected:?}"), "{place}");
}

/// A recorded reply, given to another call than the one that it was for.
pub(crate) fn as_reply_to(sent: &Bytes, reply: &Frame, recorded_call: &str) -> Bytes {
    let call = manager::header(sent);
    let session = call.text("session").unwrap();
    let mut header = manager::header(&reply.bytes);
    let method = header.text("method").unwrap().replace(recorded_call, session);
    header.insert("method", method);
    header.insert("parent", session);
    header.insert("from", call.text("to").unwrap());
    let mut frame = Value::Map(header).to_msgpack().unwrap();
    frame.extend_from_slice(&reply.segment2());
    frame.into()
}
