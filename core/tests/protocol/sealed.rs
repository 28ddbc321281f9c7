//! Encryption: recorded messages, and what somebody on the way may try.

use bytes::Bytes;
use polyfn_core::codec::{Reader, Walk, Writer};
use polyfn_core::wire::{Body, Cipher, Content, Envelope, Header, KeyPair, Number, Reply, Route};
use polyfn_core::{ErrorKind, Map, Value};

use crate::recording;

const NUMBER: Number = Number { stream: u64::MAX, at: 1 };

fn ann() -> KeyPair {
    KeyPair::new([1; 32])
}

fn bob() -> KeyPair {
    KeyPair::new([2; 32])
}

fn frame(method: &str, body: &Map) -> Bytes {
    let route = Route { from: "lab/ann", to: "lab/bob", method, session: Some("S"), ..Route::default() };
    let mut out = Writer::new();
    route.write(&mut out).unwrap();
    Value::Map(body.clone()).walk(&mut out).unwrap();
    out.into_bytes().into()
}

fn call() -> Bytes {
    let args = vec![Value::from(1), Value::from("secret words")];
    frame("services.calc.add", &Map::from_iter([("args", Value::List(args)), ("promise", "*".into())]))
}

fn envelope(sealed: &Bytes) -> Envelope {
    let header = Header::parse(sealed).unwrap();
    match Content::parse(sealed, header.end) {
        Ok(Content::Sealed(envelope)) => envelope,
        other => panic!("it is sealed, but {other:?}"),
    }
}

#[test]
fn every_recorded_message_opens_with_the_recorded_keys() {
    let (mut opened, mut with_args, mut plain) = (0, 0, 0);
    for recording in recording::all().into_iter().filter(|recording| !recording.keys.is_empty()) {
        for frame in &recording.frames {
            let header = Header::parse(&frame.bytes).unwrap();
            let Ok(Content::Sealed(envelope)) = Content::parse(&frame.bytes, header.end) else {
                plain += 1;
                continue;
            };
            let receiver = recording.keys.values().find(|pair| pair.public() != envelope.sender).unwrap();
            let content = envelope.open(&Cipher::new(receiver, envelope.sender), &header).unwrap();
            assert_eq!(content.number, None, "old peers do not count");
            let map = Reader::new(&content.segment).value().unwrap();
            let body = Body::parse(&content.segment, 0).unwrap();
            let promise = map.as_map().and_then(|map| map.text("promise"));
            assert_eq!(
                body.reply == Reply::Session,
                promise == Some("*"),
                "{} {}",
                recording.name,
                frame.seq
            );
            with_args += usize::from(body.args.len() > 1);
            opened += 1;
        }
    }
    assert_eq!((opened, with_args, plain), (16, 14, 23), "sealed messages, those with arguments, plain ones");
}

#[test]
fn nothing_of_what_is_sealed_can_be_read_on_the_way() {
    let sealed = Cipher::new(&ann(), bob().public()).seal(&call(), NUMBER, [9; 24]).unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"secret"));
    assert_eq!(Header::parse(&sealed).unwrap().method, "services.calc.add", "the server must see this");
}

#[test]
fn a_changed_message_is_refused() {
    let sealed = Cipher::new(&ann(), bob().public()).seal(&call(), NUMBER, [9; 24]).unwrap();
    let start = Header::parse(&sealed).unwrap().end;
    let cipher = Cipher::new(&bob(), ann().public());
    for at in start..sealed.len() {
        let mut bytes = sealed.to_vec();
        bytes[at] ^= 1;
        let changed = Bytes::from(bytes);
        let header = Header::parse(&changed).unwrap();
        if let Ok(Content::Sealed(envelope)) = Content::parse(&changed, start) {
            let ours = Cipher::new(&bob(), envelope.sender);
            let cipher = if envelope.sender == ann().public() { &cipher } else { &ours };
            assert!(envelope.open(cipher, &header).is_err(), "byte {at} was changed");
        }
    }
}

#[test]
fn a_message_for_another_call_is_refused() {
    let sealed = Cipher::new(&ann(), bob().public()).seal(&call(), NUMBER, [9; 24]).unwrap();
    let cipher = Cipher::new(&bob(), ann().public());
    let header = Header::parse(&sealed).unwrap();
    assert_eq!(envelope(&sealed).open(&cipher, &header).unwrap().number, Some(NUMBER));
    for moved in [
        Header { method: "services.calc.drop_all", ..header.clone() },
        Header { session: Some("T"), ..header.clone() },
        Header { session: None, ..header.clone() },
        Header { from: "lab/eve", ..header.clone() },
        Header { to: "lab/eve", ..header.clone() },
        Header { kind: "x-pull", ..header.clone() },
    ] {
        let error = envelope(&sealed).open(&cipher, &moved).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{moved:?}");
        assert!(error.message().contains("was made for something else"), "{error}");
    }
}

#[test]
fn only_the_receiver_can_open_it() {
    let sealed = Cipher::new(&ann(), bob().public()).seal(&call(), NUMBER, [9; 24]).unwrap();
    let eve = KeyPair::new([3; 32]);
    let header = Header::parse(&sealed).unwrap();
    let error = envelope(&sealed).open(&Cipher::new(&eve, ann().public()), &header).unwrap_err();
    assert_eq!(
        error.message(),
        "Decryption failed for method lab/ann:services.calc.add. Invalid key or tampered data."
    );
}

#[test]
fn readable_keys_beside_sealed_ones_are_refused() {
    let sealed = Cipher::new(&ann(), bob().public()).seal(&call(), NUMBER, [9; 24]).unwrap();
    let mut reader = Reader::new(&sealed);
    reader.skip().unwrap();
    let Value::Map(mut body) = reader.value().unwrap() else { panic!("segment 2 is a map") };
    for (key, value) in [("args", Value::List(vec![])), ("promise", "*".into()), ("other", Value::Nil)] {
        let mut body = body.clone();
        body.insert(key, value);
        let frame = frame("services.calc.add", &body);
        let error = Content::parse(&frame, Header::parse(&frame).unwrap().end).unwrap_err();
        assert!(error.message().contains("nothing beside"), "{key}: {error}");
    }
    body.remove("data");
    body.insert("x", 1);
    let frame = frame("services.calc.add", &body);
    assert!(Content::parse(&frame, Header::parse(&frame).unwrap().end).is_err());
}

#[test]
fn envelopes_of_other_forms_are_refused() {
    let sealed = Cipher::new(&ann(), bob().public()).seal(&call(), NUMBER, [9; 24]).unwrap();
    let mut reader = Reader::new(&sealed);
    reader.skip().unwrap();
    let Value::Map(body) = reader.value().unwrap() else { panic!("segment 2 is a map") };
    let refused = |change: &dyn Fn(&mut Map)| {
        let mut body = body.clone();
        let Some(Value::Map(mut head)) = body.remove("_enc") else { panic!("it is sealed") };
        change(&mut head);
        body.insert("_enc", head);
        let frame = frame("services.calc.add", &body);
        let start = Header::parse(&frame).unwrap().end;
        Content::parse(&frame, start).err().map(|error| error.message().to_owned())
    };
    assert_eq!(refused(&|_| ()), None, "the order of the entries does not matter");
    assert!(refused(&|head| drop(head.insert("v", 1))).unwrap().contains("version 2"));
    assert!(refused(&|head| drop(head.remove("nonce"))).unwrap().contains("lacks"));
    assert!(
        refused(&|head| drop(head.insert("nonce", Bytes::from_static(&[0; 23])))).unwrap().contains("lacks")
    );
    assert!(
        refused(&|head| drop(head.insert("pub", Bytes::from_static(&[0; 32])))).unwrap().contains("protects")
    );
    assert!(
        refused(&|head| drop(head.insert("pub", Bytes::from_static(&[7; 31])))).unwrap().contains("32 bytes")
    );
}
