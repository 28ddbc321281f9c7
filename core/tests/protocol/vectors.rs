//! What polyfn makes of recorded traffic of the reference implementation (`tests/vectors`).

use crate::recording::{self, Frame, Recording, hex};
use bytes::Bytes;
use polyfn_core::codec::{Reader, Token, Writer};
use polyfn_core::wire::{Relayed, Sender};
use polyfn_core::{Map, Value};
use serde_json::Value as Json;

#[test]
fn every_recorded_frame_is_written_as_it_was_read() {
    let mut frames = 0;
    for recording in recording::all() {
        for frame in &recording.frames {
            let mut reader = Reader::new(&frame.bytes);
            let mut out = Writer::new();
            while !reader.is_at_end() {
                copy(&mut reader, &mut out);
            }
            assert_eq!(out.into_bytes(), frame.bytes, "{} frame {}", recording.name, frame.seq);
            frames += 1;
        }
    }
    assert!(frames > 800, "only {frames} frames were found");
}

/// Reads one value token by token and writes it again token by token.
fn copy(reader: &mut Reader<'_>, out: &mut Writer) {
    match reader.token().unwrap() {
        Token::Nil => out.nil(),
        Token::Bool(value) => out.bool(value),
        Token::Int(value) => out.int(value),
        Token::Uint(value) => out.uint(value),
        Token::Float(value) => out.float(value),
        Token::Text(value) => out.text(value),
        Token::Bytes(value) => out.bytes(value),
        Token::Extension(code, data) => out.extension(code, data),
        Token::List(len) => {
            out.open_list(len).unwrap();
            (0..len).for_each(|_| copy(reader, out));
            out.close();
            Ok(())
        }
        Token::Map(len) => {
            out.open_map(len).unwrap();
            (0..2 * len).for_each(|_| copy(reader, out));
            out.close();
            Ok(())
        }
    }
    .unwrap();
}

#[test]
fn values_survive_being_decoded_and_encoded() {
    let (mut exact, mut forms) = (0, 0);
    for recording in recording::all() {
        for frame in &recording.frames {
            let mut reader = Reader::new(&frame.bytes);
            while !reader.is_at_end() {
                let start = reader.position();
                let value = reader.value().unwrap();
                let encoded = Bytes::from(value.to_msgpack().unwrap());
                if encoded == frame.bytes[start..reader.position()] {
                    exact += 1;
                    continue;
                }
                // Functions, errors and arrays have a form of our own, which means the same.
                let place = format!("{} frame {}", recording.name, frame.seq);
                assert!(format!("{value:?}").contains("Tagged(") || has_function(&value), "{place}");
                assert_eq!(Reader::new(&encoded).value().unwrap(), value, "{place}");
                forms += 1;
            }
        }
    }
    assert!(exact > 1450 && forms > 50, "{exact} segments were equal, {forms} had forms of their own");
}

fn has_function(value: &Value) -> bool {
    match value {
        Value::Method(_) => true,
        Value::List(items) => items.iter().any(has_function),
        Value::Map(map) => map.iter().any(|(_, value)| has_function(value)),
        _ => false,
    }
}

#[test]
fn segments_hold_what_the_recording_tells() {
    let mut values = 0;
    for recording in recording::all() {
        for frame in &recording.frames {
            let mut reader = Reader::new(&frame.bytes);
            for told in &frame.told {
                if reader.is_at_end() {
                    assert!(frame.is_elided);
                    break;
                }
                let place = format!("{} frame {}", recording.name, frame.seq);
                assert_told(&mut reader, told, &recording, &place);
                values += 1;
            }
            assert!(reader.is_at_end(), "{} frame {} holds more", recording.name, frame.seq);
        }
    }
    assert!(values > 1500, "only {values} segments were compared");
}

/// Compares the next value with what the recording tells of it, stand-ins included.
fn assert_told(reader: &mut Reader<'_>, told: &Json, recording: &Recording, place: &str) {
    if let Some(user) = told.get("$user") {
        return assert_told(reader, &recording.users[user.as_str().unwrap()], recording, place);
    }
    if told.get("$same_as_seq").is_some() || told.get("$elided").is_some() {
        reader.skip().unwrap();
        return;
    }
    match reader.token().unwrap() {
        Token::List(len) => {
            let items =
                told.as_array().unwrap_or_else(|| panic!("{place}: a list where {told} was recorded"));
            assert_eq!(len, items.len(), "{place}");
            items.iter().for_each(|item| assert_told(reader, item, recording, place));
        }
        Token::Map(len) => {
            let entries =
                told.as_object().unwrap_or_else(|| panic!("{place}: a map where {told} was recorded"));
            assert_eq!(len, entries.len(), "{place}");
            for (key, value) in entries {
                match reader.token().unwrap() {
                    Token::Text(found) => assert_eq!(found, key, "{place}"),
                    Token::Int(found) => assert_eq!(format!("$int:{found}"), *key, "{place}"),
                    other => panic!("{place}: {other:?} is no key"),
                }
                assert_told(reader, value, recording, place);
            }
        }
        scalar => assert!(is_told(&scalar, told), "{place}: {scalar:?} where {told} was recorded"),
    }
}

fn is_told(scalar: &Token<'_>, told: &Json) -> bool {
    let part = |key: &str| told.get(key).and_then(Json::as_str);
    let len = |key: &str| told.get(key).and_then(Json::as_u64).map(|len| len as usize);
    match scalar {
        Token::Nil => told.is_null(),
        Token::Bool(value) => told.as_bool() == Some(*value),
        Token::Int(value) => told.as_i64() == Some(*value),
        Token::Uint(value) => told.as_u64() == Some(*value),
        Token::Float(value) => match part("$float") {
            Some(name) => value.to_string() == name.replace("Infinity", "inf"),
            None => told.is_f64() && told.as_f64() == Some(*value),
        },
        Token::Text(text) => match part("$str_head") {
            Some(head) => text.starts_with(head) && len("$str_len") == Some(text.chars().count()),
            None => told.as_str() == Some(text),
        },
        Token::Bytes(data) => match part("$bytes_head") {
            Some(head) => data.starts_with(&hex(head)) && len("$bytes_len") == Some(data.len()),
            None => part("$bytes").map(hex).as_deref() == Some(*data),
        },
        Token::Extension(code, data) => {
            told.get("$ext").and_then(Json::as_i64) == Some((*code).into())
                && part("$data").map(hex).as_deref() == Some(*data)
        }
        Token::List(_) | Token::Map(_) => false,
    }
}

#[test]
fn a_frame_is_relayed_as_the_reference_does() {
    let (mut exact, mut forged) = (0, 0);
    for recording in recording::all() {
        for (sent, delivered) in relayed(&recording) {
            let header = delivered.header();
            let header = header.as_map().unwrap();
            let from = header.text("from").unwrap();
            let workspace = from.split('/').next().unwrap();
            let told = &recording.users[delivered.told[0]["user"]["$user"].as_str().unwrap()];
            let user = Bytes::from(Value::from(told.clone()).to_msgpack().unwrap());
            let sender = Sender { workspace: workspace.to_owned(), address: from.to_owned(), user };
            let relayed = Relayed::read(&sent.bytes, &sender).unwrap();
            assert_eq!(Some(&*relayed.to), header.text("to"), "{}", recording.name);
            let frame = relayed.write(&sender, workspace, true).unwrap();
            if header.contains("ctx") || header.contains("evil") {
                let expected = without_forged_keys(delivered);
                assert_eq!(frame, expected, "{} frame {}", recording.name, sent.seq);
                forged += 1;
            } else {
                assert_eq!(frame, delivered.bytes, "{} frame {}", recording.name, sent.seq);
                exact += 1;
            }
        }
    }
    assert!(exact > 300, "only {exact} frames were compared");
    assert!(forged > 0, "the frame with forged keys was not found");
}

/// Frames of clients beside what the server made of them.
fn relayed(recording: &Recording) -> Vec<(&Frame, &Frame)> {
    let routing = |frame: &Frame| ["type", "method", "session", "parent"].map(|key| frame.text(key));
    let mut pairs = Vec::new();
    for delivered in recording.frames.iter().filter(|frame| !frame.is_sent && !frame.is_elided) {
        let from = delivered.text("from");
        let client = from.rsplit('/').next().unwrap_or_default();
        let sent = recording.frames.iter().find(|sent| {
            sent.is_sent
                && !sent.is_elided
                && !from.is_empty()
                && routing(sent) == routing(delivered)
                && sent.segment2() == delivered.segment2()
                && (format!("client-{}", sent.client.to_lowercase()) == client
                    || sent.text("from").ends_with(client))
        });
        pairs.extend(sent.map(|sent| (sent, delivered)));
    }
    pairs
}

/// A delivered frame as it would be had the reference dropped what the sender had no right to say.
fn without_forged_keys(delivered: &Frame) -> Bytes {
    let Value::Map(mut header) = delivered.header() else { panic!("segment 1 is a map") };
    header.remove("ctx");
    header.remove("evil");
    let mut frame = Value::Map(Map::from_iter(header)).to_msgpack().unwrap();
    frame.extend_from_slice(&delivered.segment2());
    frame.into()
}
