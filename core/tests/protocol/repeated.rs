//! Sealed messages that come again after their receiver had to forget: none of them counts twice.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::ErrorKind;
use polyfn_core::session::{Encryption, Session};
use polyfn_core::wire::{Cipher, KeyPair, Number, PublicKey, Route};
use polyfn_core::{Map, Value};

use crate::duo::{ANN, BOB, NOW, call, invoked, sent, take, with};
use crate::manager::{delivered, joined};

const DAY: Duration = Duration::from_hours(24);
/// After everything that begins in these tests.
const LATER: Duration = Duration::from_mins(5);

fn keys(seed: u16) -> KeyPair {
    let mut bytes = [1; 32];
    bytes[..2].copy_from_slice(&seed.to_be_bytes());
    KeyPair::new(bytes)
}

/// A client with the key of this number, that began so long after the first.
fn client(address: &str, seed: u16, since: Duration) -> Session {
    let entropy = [since.as_secs() as u8 ^ seed as u8; 32];
    with(address, Some(Encryption { began: DAY + since, ..Encryption::new(keys(seed), entropy) }), &[])
}

fn bob(change: impl FnOnce(&mut Encryption)) -> Session {
    let mut encryption = Encryption { began: DAY, ..Encryption::new(keys(2), [2; 32]) };
    change(&mut encryption);
    with(BOB, Some(encryption), &[])
}

/// A call of `from`, sealed to bob.
fn asked(from: &mut Session) -> Bytes {
    call(from, &take(BOB, Some(keys(2).public())), 0, &[]).unwrap();
    sent(from)
}

fn assert_taken(bob: &mut Session, frame: &Bytes) {
    bob.receive(frame, NOW).unwrap();
    invoked(bob);
}

fn assert_refused(bob: &mut Session, frame: &Bytes) {
    let error = bob.receive(frame, NOW).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.message().contains("older than what is remembered"), "{error}");
    assert!(bob.poll_event().is_none(), "it ran again");
    sent(bob);
}

/// Many others speak to bob, as many as he forgets another one for.
fn crowd(bob: &mut Session, address: impl Fn(u16) -> String, since: Duration) {
    for seed in 100..120 {
        let since = since + Duration::from_millis(seed.into());
        assert_taken(bob, &asked(&mut client(&address(seed), seed, since)));
    }
}

fn mallory(_: u16) -> String {
    "lab/mallory".to_owned()
}

#[test]
fn after_many_connections_of_the_same_key() {
    let mut bob = bob(|_| ());
    let mut first = client(ANN, 1, Duration::ZERO);
    let recorded = asked(&mut first);
    assert_taken(&mut bob, &recorded);
    for second in 1..300 {
        assert_taken(&mut bob, &asked(&mut client(ANN, 1, Duration::from_secs(second))));
    }
    assert_refused(&mut bob, &recorded);
    assert_refused(&mut bob, &asked(&mut first));
}

#[test]
fn after_many_keys_of_the_same_address() {
    let mut bob = bob(|_| ());
    let mut ann = client(ANN, 1, Duration::ZERO);
    let recorded = asked(&mut ann);
    assert_taken(&mut bob, &recorded);
    crowd(&mut bob, |_| ANN.to_owned(), Duration::ZERO);
    assert_eq!(bob.receive(&recorded, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    assert!(bob.poll_event().is_none(), "it ran again");
    assert_taken(&mut bob, &asked(&mut ann));
    assert_taken(&mut bob, &asked(&mut client(ANN, 1, Duration::from_secs(1))));
}

#[test]
fn those_who_share_a_key_go_on_after_it_was_forgotten() {
    let mut bob = bob(|_| ());
    let mut both = [Duration::ZERO, Duration::from_secs(1)].map(|since| client(ANN, 1, since));
    let recorded = both.each_mut().map(asked);
    recorded.iter().for_each(|frame| assert_taken(&mut bob, frame));
    crowd(&mut bob, |_| ANN.to_owned(), Duration::ZERO);
    both.iter_mut().for_each(|client| assert_taken(&mut bob, &asked(client)));
    for frame in &recorded {
        assert!(bob.receive(frame, NOW).is_err());
    }
}

/// Bob, who has forgotten that he knew ann; she; and what she had asked him.
fn after_a_crowd() -> (Session, Session, Bytes) {
    let mut bob = bob(|encryption| (encryption.max_keys, encryption.max_forgotten) = (4, 4));
    let mut ann = client(ANN, 1, Duration::ZERO);
    let recorded = asked(&mut ann);
    assert_taken(&mut bob, &recorded);
    bob.tell_time(LATER);
    crowd(&mut bob, |seed| format!("lab/client{seed}"), Duration::from_secs(1));
    (bob, ann, recorded)
}

#[test]
fn who_comes_back_begins_a_row() {
    let (mut bob, mut ann, recorded) = after_a_crowd();
    assert_refused(&mut bob, &asked(&mut ann));
    ann.disconnected("a cut");
    let mut ann = joined(ann, ANN, LATER);
    assert_taken(&mut bob, &asked(&mut ann));
    assert_refused(&mut bob, &recorded);
}

#[test]
fn after_more_keys_than_are_remembered_at_all() {
    let (mut bob, _, recorded) = after_a_crowd();
    assert_refused(&mut bob, &recorded);
    assert_taken(&mut bob, &asked(&mut client(ANN, 1, Duration::from_secs(2))));
    assert_taken(&mut bob, &asked(&mut client("lab/new", 7, Duration::from_secs(2))));
}

/// A call that says that it is of this row.
fn claiming(seed: u16, stream: u64) -> Bytes {
    let cipher = Cipher::new(&keys(seed), key_of_bob());
    let route = Route { from: "lab/mallory", to: BOB, method: "services.svc.take", ..Route::default() };
    let plain = delivered(&route, &Value::Map(Map::from_iter([("args", Value::List(vec![]))])));
    cipher.seal(&plain, Number { stream, at: 1 }, [seed as u8; 24]).unwrap()
}

fn key_of_bob() -> PublicKey {
    keys(2).public()
}

#[test]
fn who_claims_to_come_from_the_future_keeps_nobody_out() {
    let mut bob = bob(|encryption| (encryption.max_keys, encryption.max_forgotten) = (4, 4));
    for seed in 100..120 {
        assert_taken(&mut bob, &claiming(seed, u64::MAX));
    }
    assert_taken(&mut bob, &asked(&mut client(ANN, 1, Duration::from_secs(1))));
}

#[test]
fn what_is_left_out_is_remembered_for_all_rows_together() {
    let mut bob = bob(|encryption| encryption.max_remembered = 4);
    let (mut early, mut late) = (client(ANN, 1, Duration::ZERO), client(ANN, 1, Duration::from_secs(1)));
    let (lost, kept): (Vec<_>, Vec<_>) = (0..4).map(|_| (asked(&mut early), asked(&mut late))).unzip();
    assert_taken(&mut bob, &asked(&mut early));
    assert_taken(&mut bob, &asked(&mut late));
    assert!(bob.receive(&lost[3], NOW).is_err(), "there is room for four");
    kept.iter().for_each(|frame| assert_taken(&mut bob, frame));
}

#[test]
fn nobody_is_pushed_out_by_others() {
    let mut bob = bob(|encryption| (encryption.max_keys, encryption.max_keys_per_peer) = (20, 4));
    let recorded = asked(&mut client(ANN, 1, Duration::ZERO));
    assert_taken(&mut bob, &recorded);
    crowd(&mut bob, mallory, Duration::ZERO);
    assert_eq!(bob.receive(&recorded, NOW).unwrap_err().kind(), ErrorKind::Conflict);
}
