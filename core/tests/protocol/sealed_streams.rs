//! Generators between sessions that encrypt: what is wanted, and what is given, is read by nobody else.

use bytes::Bytes;
use polyfn_core::codec::{StreamStub, Stub, Walk};
use polyfn_core::session::{ConnectionInfo, Encryption, Event, Extensions, Options};
use polyfn_core::session::{Session, Statistics, StreamEnd};
use polyfn_core::wire::{Header, KeyPair};
use polyfn_core::{ErrorKind, Map, Value};

use crate::duo::{ANN, BOB, NOW, answer, call, deliver, end, invoked, offer, sent, take};
use crate::encryption::rerouted;
use crate::generators::{Told, items, list};
use crate::joining::events;
use crate::manager::{self, body, header};
use crate::recording;
use crate::replay::{as_reply_to, assert_same_call};

const SECRET: &str = "nobody on the way may read this";

/// A session that encrypts, on a server that knows all extensions.
fn peer(address: &str, seed: u8) -> Session {
    let encryption = Encryption::new(KeyPair::new([seed; 32]), [seed; 32]);
    let options = Options { encryption: Some(encryption), seed: seed.into(), ..Options::default() };
    let mut session = Session::new(options);
    session.connected(ConnectionInfo { extensions: Extensions::ALL, ..manager::info(address) }, NOW);
    manager::answer(&mut session, &mut Vec::new(), NOW);
    offer(&mut session, &[("visibility", "public".into())]).unwrap();
    events(&mut session);
    session
}

/// Ann, who has read nothing yet of the generator 9 that Bob has given in an encrypted result.
fn given() -> (Session, Session, StreamStub) {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[]).unwrap();
    deliver(&mut ann, &mut bob);
    let invocation = invoked(&mut bob);
    answer(&mut bob, &invocation, &Value::Generator(9));
    deliver(&mut bob, &mut ann);
    let Ok(Value::Stream(stub)) = end(&mut ann, 7) else { panic!("a generator is given") };
    assert!(stub.pushes && stub.enc_pub == bob.public_key(), "{stub:?}");
    (ann, bob, (*stub).clone())
}

/// The next frame, of this type, of which nothing can be read.
fn sealed(from: &mut Session, kind: &str) -> Bytes {
    let frame = sent(from);
    assert_eq!(header(&frame).text("type"), Some(kind));
    let body = body(&frame);
    let keys: Vec<&str> = body.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["_enc", "data"]);
    frame
}

/// Writes these items of generator 9, which are sent at once.
fn give(session: &mut Session, items: &[Value], end: StreamEnd) -> Bytes {
    let mut draft = session.begin_items(9).expect("items are wanted");
    items.iter().for_each(|item| draft.item(|out| item.walk(out)).unwrap());
    session.finish_items(draft, end, NOW);
    sealed(session, "x-push")
}

fn wants(session: &mut Session) -> Option<u32> {
    events(session).into_iter().find_map(|event| match event {
        Event::Pull { source: 9, credit } => Some(credit),
        _ => None,
    })
}

#[test]
fn items_sent_ahead_are_read_by_nobody_and_count_once() {
    let (mut ann, mut bob, stub) = given();
    ann.open_stream(1, &stub, NOW).unwrap();
    let pull = sealed(&mut ann, "x-pull");
    bob.receive(&pull, NOW).unwrap();
    assert_eq!(wants(&mut bob), Some(16));
    let first = give(&mut bob, &[SECRET.into(), 1.into()], StreamEnd::More);
    ann.receive(&first, NOW).unwrap();
    let told: [Told; 1] = [(1, Value::List(vec![SECRET.into(), 1.into()]), None)];
    assert_eq!(items(&mut ann), told);
    wants(&mut bob);
    // What was there before changes nothing, at neither end.
    assert_eq!(ann.receive(&first, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(bob.receive(&pull, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(events(&mut ann).is_empty() && wants(&mut bob).is_none());
    assert!(!ann.has_frames() && !bob.has_frames(), "nobody is told");
    let last = give(&mut bob, &[2.into()], StreamEnd::Done);
    ann.receive(&last, NOW).unwrap();
    assert_eq!(items(&mut ann), [(1, list(&[2]), Some(Ok(())))]);
    assert_eq!(ann.statistics(), Statistics::default());
}

#[test]
fn a_generator_in_an_argument_is_sealed_to_who_reads_it() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[Value::Generator(9)]).unwrap();
    deliver(&mut ann, &mut bob);
    let invocation = invoked(&mut bob);
    let Ok(Value::Stream(stub)) = invocation.payload.value() else { panic!("a generator is given") };
    bob.open_stream(1, &stub, NOW).unwrap();
    ann.receive(&sealed(&mut bob, "x-pull"), NOW).unwrap();
    assert_eq!(wants(&mut ann), Some(16));
    bob.receive(&give(&mut ann, &[SECRET.into()], StreamEnd::Done), NOW).unwrap();
    assert_eq!(items(&mut bob), [(1, Value::List(vec![SECRET.into()]), Some(Ok(())))]);
}

#[test]
fn items_that_the_owner_did_not_seal_for_this_stream_end_it() {
    for change in ["in the clear", "of another stream"] {
        let (mut ann, mut bob, stub) = given();
        ann.open_stream(1, &stub, NOW).unwrap();
        bob.receive(&sealed(&mut ann, "x-pull"), NOW).unwrap();
        let true_items = give(&mut bob, &[SECRET.into()], StreamEnd::More);
        let forged = if change == "in the clear" {
            let mut bytes = true_items[..Header::parse(&true_items).unwrap().end].to_vec();
            let body = Map::from_iter([("i", Value::from(0)), ("args", list(&[666]))]);
            bytes.extend(Value::Map(body).to_msgpack().unwrap());
            bytes.into()
        } else {
            ann.open_stream(2, &stub, NOW).unwrap();
            let other = header(&sealed(&mut ann, "x-pull")).text("session").unwrap().to_owned();
            rerouted(&true_items, |map| drop(map.insert("session", other)))
        };
        let error = ann.receive(&forged, NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{change}: {error}");
        let told = items(&mut ann);
        assert!(matches!(&told[..], [(_, none, Some(Err(_)))] if *none == list(&[])), "{change}: {told:?}");
        sealed(&mut ann, "x-pull");
    }
}

#[test]
fn what_is_wanted_in_the_clear_of_a_sealed_generator_is_refused() {
    let (mut ann, mut bob, stub) = given();
    ann.open_stream(1, &StreamStub { enc_pub: None, ..stub }, NOW).unwrap();
    bob.receive(&sent(&mut ann), NOW).unwrap();
    assert_eq!(wants(&mut bob), None);
    ann.receive(&sent(&mut bob), NOW).unwrap();
    let told = items(&mut ann);
    assert!(matches!(&told[..], [(1, _, Some(Err(_)))]), "{told:?}");
}

/// `95_encrypted_generator`: the reference seals the call and its result, and asks for the items in the clear.
#[test]
fn a_recorded_generator_is_read_as_the_recorded_client_did() {
    let recordings = recording::all();
    let recording = recordings.iter().find(|found| found.name == "95_encrypted_generator").unwrap();
    let calls = recording.frames.iter().filter(|frame| frame.is_sent && frame.client == "B");
    let mut calls = calls.filter(|frame| !frame.text("session").is_empty());
    let reply = |call: &str| {
        let method = format!("{call}.resolve");
        recording.frames.iter().find(|frame| !frame.is_sent && frame.text("method") == method).unwrap()
    };
    let first = calls.next().unwrap();
    let encryption = Encryption::new(recording.keys["B"].clone(), [1; 32]);
    let options = Options { encryption: Some(encryption), ..Options::default() };
    let mut session = manager::joined(Session::new(options), &first.text("from"), NOW);
    events(&mut session);
    let key = Some(recording.keys["A"].public());
    let stub = Stub { method: first.text("method"), ..take(&first.text("to"), key) };
    call(&mut session, &stub, 7, &[]).unwrap();
    let asked = session.poll_send().unwrap().frame;
    session
        .receive(&as_reply_to(&asked, reply(&first.text("session")), &first.text("session")), NOW)
        .unwrap();
    let Ok(Value::Stream(stub)) = end(&mut session, 7) else { panic!("a generator is given") };
    assert_eq!((stub.enc_pub, stub.pushes), (None, false), "the reference brings no key along");
    session.open_stream(1, &stub, NOW).unwrap();
    let mut told = Vec::new();
    for recorded in calls {
        let asked = session.poll_send().unwrap().frame;
        assert_same_call(&asked, recorded, &format!("frame {}", recorded.seq));
        let call = recorded.text("session");
        session.receive(&as_reply_to(&asked, reply(&call), &call), NOW).unwrap();
        told.extend(items(&mut session));
        session.grant(1, 1, NOW);
    }
    assert_eq!(told, [(1, list(&[0]), None), (1, list(&[]), Some(Ok(())))]);
}
