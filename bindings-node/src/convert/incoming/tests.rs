use polyfn_core::codec::Writer;

use super::*;

/// The tape of an encoded value, with what lies beside it.
fn tape_of(encoded: &[u8]) -> (Vec<i32>, String, Vec<Extra>) {
    let bytes = Bytes::copy_from_slice(encoded);
    let mut recorder = Recorder::default();
    recorder.value(&mut Reader::new(&bytes)).unwrap();
    assert!(recorder.keys.is_empty(), "keys of closed maps are forgotten");
    (recorder.steps, recorder.text, recorder.extras)
}

const fn one(step: i32, argument: i32) -> i32 {
    step | argument << 5
}

#[test]
fn members_come_before_what_holds_them() {
    // [1, {"a": "é", "b": null}]
    let (steps, text, extras) = tape_of(b"\x92\x01\x82\xa1a\xa2\xc3\xa9\xa1b\xc0");
    let expected = [
        one(step::INT, 1),
        one(step::TEXT, 1),
        one(step::NIL, 0),
        one(step::DICTIONARY, 2),
        1,
        1,
        one(step::LIST, 2),
    ];
    assert_eq!((steps.as_slice(), text.as_str(), extras), (expected.as_slice(), "éab", vec![]));
}

#[test]
fn lengths_are_in_units_of_utf_16() {
    let (steps, text, _) = tape_of(b"\xa4\xf0\x9f\x98\x80");
    assert_eq!((steps, text.as_str()), (vec![one(step::TEXT, 2)], "😀"));
}

#[test]
fn a_map_begun_anew_leaves_nothing_behind() {
    // [{"text": "gone", "_rvalue": [{"k": 1}], "_rtype": "set"}, "kept"]
    let mut out = Writer::new();
    out.open_list(2).unwrap();
    out.open_map(3).unwrap();
    out.text("text").unwrap();
    out.text("gone").unwrap();
    out.text("_rvalue").unwrap();
    out.open_list(1).unwrap();
    out.open_map(1).unwrap();
    out.text("k").unwrap();
    out.int(1).unwrap();
    out.close();
    out.close();
    out.text("_rtype").unwrap();
    out.text("set").unwrap();
    out.close();
    out.text("kept").unwrap();
    out.close();
    let bytes = Bytes::from(out.into_bytes());
    let mut recorder = Recorder::default();
    recorder.value(&mut Reader::new(&bytes)).unwrap();
    // The inner map was met twice: the second time it is a shape.
    let expected =
        [one(step::INT, 1), one(step::MAP, 0), one(step::SET, 1), one(step::TEXT, 4), one(step::LIST, 2)];
    assert_eq!((recorder.steps.as_slice(), recorder.text.as_str()), (expected.as_slice(), "kept"));
    assert_eq!(recorder.fresh, [(0, vec![1], "k".to_owned())]);
}

#[test]
fn maps_with_mixed_keys_are_begun_anew_too() {
    // {"a": bin, 1: 2}
    let (steps, text, extras) = tape_of(b"\x82\xa1a\xc4\x01x\x01\x02");
    let expected = [
        one(step::TEXT, 1),
        one(step::BESIDE, 0),
        one(step::INT, 1),
        one(step::INT, 2),
        one(step::OTHER_MAP, 2),
    ];
    assert_eq!((steps.as_slice(), text.as_str()), (expected.as_slice(), "a"));
    assert_eq!(extras, [Extra::Bytes(Bytes::from_static(b"x"))]);
}

#[test]
fn numbers_by_size() {
    let (steps, ..) = tape_of(&[0xce, 0x03, 0xff, 0xff, 0xff]);
    assert_eq!(steps, [one(step::INT, (1 << 26) - 1)]);
    let (steps, ..) = tape_of(&[0xce, 0x04, 0x00, 0x00, 0x00]);
    assert_eq!(steps[0], step::DOUBLE);
    let (steps, ..) = tape_of(&[0xcf, 0x00, 0x20, 0, 0, 0, 0, 0, 0]);
    assert_eq!(steps[0], step::BIGINT);
    let (steps, ..) = tape_of(&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(steps, [step::BIGUINT, -1, -1]);
}

#[test]
fn timestamps_in_their_three_forms() {
    assert_eq!(milliseconds(&5_u32.to_be_bytes()), Some(5000.0));
    assert_eq!(
        milliseconds(&(678_000_000_u64 << 34 | 1_704_164_645).to_be_bytes()),
        Some(1_704_164_645_678.0)
    );
    let mut long = [0; 12];
    long[..4].copy_from_slice(&500_000_000_u32.to_be_bytes());
    long[4..].copy_from_slice(&(-1_i64).to_be_bytes());
    assert_eq!(milliseconds(&long), Some(-500.0));
    assert_eq!(milliseconds(b"x"), None);
}
