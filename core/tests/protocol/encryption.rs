//! Sessions that encrypt, and a server between them that is not to be trusted.

use bytes::Bytes;
use polyfn_core::codec::{Promise, Reader, Walk};
use polyfn_core::session::{CallSpec, Encryption, Options, Session};
use polyfn_core::wire::{Header, KeyPair, PublicKey, Route};
use polyfn_core::{Error, ErrorKind, Function, Map, Value};

use crate::duo::{ANN, BOB, NOW, answer, call, end, function, invoked, offer, released, sent, take, with};
use crate::manager::{body, delivered, header, joined};
use crate::recording;

const SECRET: &str = "nobody on the way may read this";

fn keys(seed: u8) -> KeyPair {
    KeyPair::new([seed; 32])
}

fn peer(address: &str, seed: u8) -> Session {
    with(address, Some(Encryption::new(keys(seed), [seed; 32])), &[])
}

fn assert_unreadable(frame: &Bytes) {
    assert!(body(frame).contains("_enc"), "{:?}", body(frame));
    assert!(!frame.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
}

/// The frame with another first segment, as a server could make it.
pub(crate) fn rerouted(frame: &Bytes, change: impl FnOnce(&mut Map)) -> Bytes {
    let mut map = header(frame);
    change(&mut map);
    let mut bytes = Value::Map(map).to_msgpack().unwrap();
    bytes.extend_from_slice(&frame[Header::parse(frame).unwrap().end..]);
    bytes.into()
}

#[test]
fn a_call_and_its_result_are_read_by_nobody_else() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[SECRET.into()]).unwrap();
    let asked = sent(&mut ann);
    assert_unreadable(&asked);
    bob.receive(&asked, NOW).unwrap();
    let invocation = invoked(&mut bob);
    assert_eq!(invocation.payload.value(), Ok(SECRET.into()));
    let context = Reader::new(invocation.context.as_ref().unwrap()).value().unwrap();
    let context = context.as_map().unwrap();
    assert_eq!(context.get("encryption"), Some(&Value::Bool(true)));
    assert_eq!(context.text("caller_public_key"), Some(&*ann.public_key().unwrap().to_string()));
    answer(&mut bob, &invocation, &SECRET.into());
    let replied = sent(&mut bob);
    assert_unreadable(&replied);
    ann.receive(&replied, NOW).unwrap();
    assert_eq!(end(&mut ann, 7), Ok(SECRET.into()));
}

#[test]
fn errors_are_sealed_as_well() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[]).unwrap();
    bob.receive(&sent(&mut ann), NOW).unwrap();
    let run = invoked(&mut bob).run.unwrap();
    bob.reject(run, &Error::remote(SECRET), NOW);
    let replied = sent(&mut bob);
    assert_unreadable(&replied);
    ann.receive(&replied, NOW).unwrap();
    assert_eq!(end(&mut ann, 7).unwrap_err().message(), SECRET);
}

#[test]
fn long_messages_are_sealed_before_they_are_cut() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    let text = SECRET.repeat(20_000);
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[text.as_str().into()]).unwrap();
    let mut frames = 0;
    loop {
        let (mut moved, before) = (false, frames);
        while let Some(outgoing) = ann.poll_send() {
            assert!(!outgoing.frame.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
            ann.put_back(outgoing);
            bob.receive(&sent(&mut ann), NOW).unwrap();
            (moved, frames) = (true, frames + 1);
        }
        while bob.has_frames() {
            ann.receive(&sent(&mut bob), NOW).unwrap();
            moved = true;
        }
        if !moved {
            break;
        }
        assert!(frames >= before);
    }
    assert!(frames > 4, "{frames} frames are no parts");
    assert_eq!(invoked(&mut bob).payload.value(), Ok(text.into()));
}

#[test]
fn functions_given_away_are_called_under_the_same_seal() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[function(5)]).unwrap();
    bob.receive(&sent(&mut ann), NOW).unwrap();
    let invocation = invoked(&mut bob);
    let Ok(Value::Method(stub)) = invocation.payload.value() else { panic!("a function was given") };
    assert_eq!(stub.enc_pub, ann.public_key());

    call(&mut bob, &stub, 8, &[SECRET.into()]).unwrap();
    let asked = sent(&mut bob);
    assert_unreadable(&asked);
    ann.receive(&asked, NOW).unwrap();
    assert_eq!(invoked(&mut ann).handler, 5);

    // The server knows the name of the function, but not the key.
    let route = Route { from: BOB, to: ANN, method: &stub.method, session: Some("S"), ..Route::default() };
    let args = Map::from_iter([("args", Value::List(vec!["forged".into()])), ("promise", "*".into())]);
    ann.receive(&delivered(&route, &args.into()), NOW).unwrap();
    assert!(ann.poll_event().is_none(), "it must not run");
    let error = format!("{:?}", body(&sent(&mut ann)));
    assert!(error.contains("Encryption required for method lab/bob:"), "{error}");

    // A function in the result is guarded by the same key.
    answer(&mut bob, &invocation, &function(6));
    while bob.has_frames() {
        ann.receive(&sent(&mut bob), NOW).unwrap();
    }
    let Ok(Value::Method(made)) = end(&mut ann, 7) else { panic!("a function was made") };
    assert_eq!(released(&mut ann), [5]);
    let route = Route { from: ANN, to: BOB, method: &made.method, ..Route::default() };
    bob.receive(&delivered(&route, &Map::from_iter([("args", Value::List(vec![]))]).into()), NOW).unwrap();
    assert!(bob.poll_event().is_none());
    call(&mut ann, &made, 9, &[]).unwrap();
    bob.receive(&sent(&mut ann), NOW).unwrap();
    assert_eq!(invoked(&mut bob).handler, 6);
}

#[test]
fn a_message_sent_again_runs_nothing() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    let stub = take(BOB, bob.public_key());
    let mut frames = Vec::new();
    for id in 0..5 {
        call(&mut ann, &stub, id, &[Value::from(id as i64)]).unwrap();
        frames.push(sent(&mut ann));
    }
    // In any order, but each once.
    for at in [1, 0, 4, 3] {
        bob.receive(&frames[at], NOW).unwrap();
        assert_eq!(invoked(&mut bob).payload.value(), Ok(Value::from(at as i64)));
    }
    for at in [0, 1, 3, 4, 4] {
        let error = bob.receive(&frames[at], NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    bob.receive(&frames[2], NOW).unwrap();
    assert_eq!(invoked(&mut bob).payload.value(), Ok(Value::from(2)));
    assert!(bob.receive(&frames[2], NOW).is_err());
    assert!(bob.poll_event().is_none() && !bob.has_frames(), "nothing runs, and nobody is told");
    // As part of another call it does not count either.
    let moved = rerouted(&frames[2], |map| drop(map.insert("session", "other")));
    assert!(bob.receive(&moved, NOW).is_err());
    assert!(bob.poll_event().is_none());
}

#[test]
fn a_recorded_message_of_an_old_peer_counts_once_too() {
    let recordings = recording::all();
    let recording = recordings.iter().find(|recording| recording.name == "92_encrypted_call").unwrap();
    let asked = recording.frames.iter().find(|frame| !frame.is_sent && frame.client == "A").unwrap();
    let (address, method) = (asked.text("to"), asked.text("method"));
    let (id, path) = method.strip_prefix("services.").unwrap().split_once('.').unwrap();
    let encryption = Encryption::new(recording.keys["A"].clone(), [1; 32]);
    let options = Options { encryption: Some(encryption), ..Options::default() };
    let mut session = joined(Session::new(options), &address, NOW);
    let service = Map::from_iter([
        ("id", Value::from(id)),
        (path, Value::Function(Function { handle: 1, ..Function::default() })),
    ]);
    let mut draft = session.begin_service();
    Value::Map(service).walk(&mut draft.writer).unwrap();
    session.add_service(draft, false).unwrap();
    while session.poll_event().is_some() {}
    session.receive(&asked.bytes, NOW).unwrap();
    invoked(&mut session);
    let moved = rerouted(&asked.bytes, |map| drop(map.insert("session", "other")));
    for again in [&asked.bytes, &moved] {
        assert_eq!(session.receive(again, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert!(session.poll_event().is_none());
}

#[test]
fn a_message_for_another_method_runs_nothing() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    let danger = Map::from_iter([
        ("id", Value::from("danger")),
        ("wipe", Value::Function(Function { handle: 9, ..Function::default() })),
    ]);
    let mut draft = bob.begin_service();
    Value::Map(danger).walk(&mut draft.writer).unwrap();
    bob.add_service(draft, false).unwrap();
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[]).unwrap();
    let asked = sent(&mut ann);
    let changes: [(&str, &str); 3] =
        [("method", "services.danger.wipe"), ("session", "S2"), ("from", "lab/mallory")];
    for (key, value) in changes {
        let forged = rerouted(&asked, |map| drop(map.insert(key, value)));
        let error = bob.receive(&forged, NOW).unwrap_err();
        assert!(error.message().contains("made for something else"), "{key}: {error}");
        assert!(bob.poll_event().is_none(), "{key} was changed, and it ran");
        let told = format!("{:?}", body(&sent(&mut bob)));
        assert!(told.contains("made for something else"), "the caller is told at once: {told}");
    }
    bob.receive(&asked, NOW).unwrap();
    assert_eq!(invoked(&mut bob).handler, 1, "the true one still counts");
}

#[test]
fn readable_keys_beside_a_sealed_call_run_nothing() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    call(&mut ann, &take(BOB, bob.public_key()), 7, &[SECRET.into()]).unwrap();
    let asked = sent(&mut ann);
    let mut map = body(&asked);
    map.insert("args", Value::List(vec!["forged".into()]));
    let mut forged = asked[..Header::parse(&asked).unwrap().end].to_vec();
    forged.extend(Value::Map(map).to_msgpack().unwrap());
    let error = bob.receive(&forged.into(), NOW).unwrap_err();
    assert!(error.message().contains("nothing beside"), "{error}");
    assert!(bob.poll_event().is_none());
}

#[test]
fn an_answer_in_the_clear_is_refused() {
    let (mut ann, bob) = (peer(ANN, 1), peer(BOB, 2));
    let mallory = peer("lab/mallory", 3);
    let ask = |ann: &mut Session| {
        call(ann, &take(BOB, bob.public_key()), 7, &[]).unwrap();
        let asked = sent(ann);
        header(&asked).text("session").unwrap().to_owned()
    };
    let session = ask(&mut ann);
    let method = format!("{session}.resolve");
    let route = Route { from: BOB, to: ANN, method: &method, ..Route::default() };
    let forged = Map::from_iter([("args", Value::List(vec!["forged".into()]))]);
    ann.receive(&delivered(&route, &forged.clone().into()), NOW).unwrap();
    let error = end(&mut ann, 7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("not encrypted by the owner of the key"), "{error}");

    // Sealed, but by somebody else.
    let session = ask(&mut ann);
    let method = format!("{session}.resolve");
    let route = Route { from: BOB, to: ANN, method: &method, ..Route::default() };
    let plain = delivered(&route, &forged.into());
    let cipher = polyfn_core::wire::Cipher::new(&keys(3), ann.public_key().unwrap());
    let number = polyfn_core::wire::Number { stream: 1, at: 1 };
    ann.receive(&cipher.seal(&plain, number, [1; 24]).unwrap(), NOW).unwrap();
    assert_eq!(end(&mut ann, 7).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(mallory.public_key().is_some());
}

#[test]
fn one_who_cannot_open_a_call_says_so_at_once() {
    let mut ann = peer(ANN, 1);
    for (mut bob, text) in [
        (with(BOB, None, &[]), "is encrypted, but its receiver is connected without encryption"),
        (
            peer(BOB, 3),
            "Decryption failed for method lab/ann:services.svc.take. Invalid key or tampered data.",
        ),
    ] {
        call(&mut ann, &take(BOB, Some(keys(2).public())), 7, &[]).unwrap();
        assert!(bob.receive(&sent(&mut ann), NOW).is_err());
        assert!(bob.poll_event().is_none(), "it must not run without its arguments");
        ann.receive(&sent(&mut bob), NOW).unwrap();
        let error = end(&mut ann, 7).unwrap_err();
        assert!(error.message().contains(text), "{error}");
    }
}

#[test]
fn a_service_may_trust_keys() {
    let (mut ann, mut carl) = (peer(ANN, 1), peer("lab/carl", 3));
    let trusted = Value::List(vec![ann.public_key().unwrap().to_string().into()]);
    let mut bob = with(BOB, Some(Encryption::new(keys(2), [2; 32])), &[("trusted_keys", trusted)]);
    let key = bob.public_key();
    let ask = |caller: &mut Session, bob: &mut Session, key: Option<PublicKey>| {
        call(caller, &take(BOB, key), 7, &[]).unwrap();
        bob.receive(&sent(caller), NOW).unwrap();
        let ran = bob.poll_event().is_some();
        if ran {
            return None;
        }
        caller.receive(&sent(bob), NOW).unwrap();
        end(caller, 7).err().map(|error| error.message().to_owned())
    };
    assert_eq!(ask(&mut ann, &mut bob, key), None);
    assert_eq!(
        ask(&mut ann, &mut bob, None).as_deref(),
        Some("Encryption required for method lab/ann:services.svc.take (trusted_keys is set)")
    );
    assert_eq!(
        ask(&mut carl, &mut bob, key).as_deref(),
        Some("Caller's public key is not in the trusted keys list for lab/carl:services.svc.take")
    );
}

#[test]
fn keys_to_trust_must_be_keys() {
    let mut bob = with(BOB, None, &[]);
    for (bad, text) in [
        (Value::from("ab"), "must be a list"),
        (Value::List(vec![]), "must be a list"),
        (Value::List(vec!["ab".into()]), "64-char hex string, got: 'ab'"),
        (Value::List(vec![7.into()]), "64-char hex string, got: Int(7)"),
        (Value::List(vec!["z".repeat(64).into()]), "64-char hex string"),
        (Value::List(vec!["0".repeat(64).into()]), "protects nothing"),
    ] {
        let error = offer(&mut bob, &[("trusted_keys", bad)]).unwrap_err();
        assert!(error.message().contains(text), "{error}");
    }
}

#[test]
fn the_key_that_was_given_for_a_service_seals_its_functions() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    let spec = |key| CallSpec {
        target: BOB,
        method: "services.built-in.get_service",
        promise: Promise::Star,
        args: 1,
        seal_answer: key,
        ..CallSpec::default()
    };
    let mut draft = ann.begin_call(&spec(bob.public_key())).unwrap();
    draft.writer.text("svc").unwrap();
    ann.finish_call(7, draft, NOW).unwrap();
    bob.receive(&sent(&mut ann), NOW).unwrap();
    ann.receive(&sent(&mut bob), NOW).unwrap();
    let service = end(&mut ann, 7).unwrap();
    let Some(Value::Method(stub)) = service.as_map().unwrap().get("take") else {
        panic!("it has a function")
    };
    assert_eq!(stub.enc_pub, bob.public_key());
    // Without keys of its own, a client cannot seal; it must not do as if it did.
    let mut carl = with("lab/carl", None, &[]);
    let error = carl.begin_call(&spec(bob.public_key())).unwrap_err();
    assert!(error.message().contains("needs a connection with encryption"), "{error}");
}

#[test]
fn a_long_message_may_be_overtaken_by_thousands_of_short_ones() {
    let (mut ann, mut bob) = (peer(ANN, 1), peer(BOB, 2));
    let stub = take(BOB, bob.public_key());
    call(&mut ann, &stub, 0, &[]).unwrap();
    let late = sent(&mut ann);
    for id in 1..3000 {
        call(&mut ann, &stub, id, &[]).unwrap();
        bob.receive(&sent(&mut ann), NOW).unwrap();
        invoked(&mut bob);
    }
    bob.receive(&late, NOW).unwrap();
    invoked(&mut bob);
    assert!(bob.receive(&late, NOW).is_err());
}
