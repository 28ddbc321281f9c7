//! What holds for every value, and for every sequence of bytes.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::{Limits, Promise, Reader, Stub, Tagged, Walk, Writer};
use polyfn_core::functions::{Match, Response, Router};
use polyfn_core::session::{Options, Session};
use polyfn_core::wire::{Body, Header, Sender, rewrite};
use polyfn_core::{Error, ErrorKind, Map, Value};
use proptest::prelude::*;

use crate::joining::{call, offer, service};
use crate::manager::joined;
use crate::recording;

const NOW: Duration = Duration::from_secs(100);

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop_oneof![-200..70_000i64, Just(i64::MIN), Just(i64::MAX)].prop_map(Value::Int),
        (1 << 63..=u64::MAX).prop_map(Value::Uint),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |value| !value.is_nan())
            .prop_map(Value::Float),
        ".{0,40}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|data| Value::Bytes(data.into())),
        (any::<i8>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(code, data)| Value::Extension(code, data.into())),
    ]
}

fn form() -> impl Strategy<Value = Value> {
    let data = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let tagged = prop_oneof![
        data().prop_map(Tagged::Memory),
        (
            data(),
            prop::option::of(prop::collection::vec(0..=i64::MAX as u64, 0..4)),
            prop::option::of("[<>|]?[a-z]{1,3}[0-9]{1,2}")
        )
            .prop_map(|(data, shape, dtype)| Tagged::Array { data, shape, dtype }),
        (
            0..ErrorKind::ALL.len(),
            ".{0,30}",
            prop::option::of(".{1,30}"),
            prop::option::of("[A-Z][a-z]{1,9}")
        )
            .prop_map(|(kind, message, trace, class)| {
                let error = Error::new(ErrorKind::ALL[kind], message);
                let error = trace.into_iter().fold(error, Error::with_trace);
                Tagged::Error(class.into_iter().fold(error, Error::with_class))
            }),
    ];
    let promise = prop_oneof![Just(Promise::Star), Just(Promise::Full), Just(Promise::Never)];
    let stub = (
        "[a-z]{1,9}(/[a-z]{1,9})?",
        "[a-z.#]{1,20}",
        promise,
        prop::option::of(".{0,9}"),
        any::<Option<bool>>(),
    )
        .prop_map(|(target, method, promise, name, is_async)| {
            Value::from(Stub { target, method, promise, name, is_async, ..Stub::default() })
        });
    prop_oneof![tagged.prop_map(|tagged| Value::Tagged(Box::new(tagged))), stub]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![5 => scalar(), 1 => form()].prop_recursive(5, 64, 20, |inner| {
        let key = "[a-z_]{0,9}";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
            prop::collection::btree_map(key, inner.clone(), 0..20)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
            prop::collection::btree_map(any::<i64>(), inner.clone(), 1..9).prop_map(|map| Value::Pairs(
                map.into_iter().map(|(key, value)| (Value::Int(key), value)).collect()
            )),
            prop::collection::vec(inner.clone(), 0..9)
                .prop_map(|items| Value::Tagged(Box::new(Tagged::Set(items)))),
            prop::collection::vec((inner.clone(), inner), 0..9)
                .prop_map(|pairs| Value::Tagged(Box::new(Tagged::Pairs(pairs)))),
        ]
    })
}

/// Something that JSON can hold.
fn plain() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (1 << 63..=u64::MAX).prop_map(Value::Uint),
        any::<f64>().prop_filter("JSON has no such number", |value| value.is_finite()).prop_map(Value::Float),
        ".{0,40}".prop_map(Value::Text),
    ];
    scalar.prop_recursive(5, 64, 9, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..9).prop_map(Value::List),
            prop::collection::btree_map(".{0,9}", inner.clone(), 0..9)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
            prop::collection::vec(inner, 0..9).prop_map(|items| Value::Tagged(Box::new(Tagged::Set(items)))),
        ]
    })
}

/// What happened to a frame on its way.
#[derive(Clone, Debug)]
enum Damage {
    Cut(usize),
    Byte(usize, u8),
    Insert(usize, u8),
    Remove(usize, usize),
    Copy(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..4000usize;
    prop_oneof![
        at.clone().prop_map(Damage::Cut),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        (at.clone(), 1..20usize).prop_map(|(at, len)| Damage::Remove(at, len)),
        (at, 1..40usize).prop_map(|(at, len)| Damage::Copy(at, len)),
    ]
}

fn damaged(frame: &[u8], damages: &[Damage]) -> Bytes {
    let mut frame = frame.to_vec();
    for damage in damages {
        let len = frame.len().max(1);
        match *damage {
            Damage::Cut(at) => frame.truncate(at % len),
            Damage::Byte(at, byte) => frame.get_mut(at % len).into_iter().for_each(|old| *old = byte),
            Damage::Insert(at, byte) => frame.insert((at % len).min(frame.len()), byte),
            Damage::Remove(at, count) => {
                drop(frame.drain(at % len..(at % len + count).min(frame.len()).max(at % len)));
            }
            Damage::Copy(at, count) => {
                let part: Vec<u8> = frame.iter().skip(at % len).take(count).copied().collect();
                frame.splice(0..0, part);
            }
        }
    }
    frame.into()
}

static FRAMES: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let frames = recording::all().into_iter().flat_map(|recording| recording.frames);
    let mut frames: Vec<Bytes> = frames.map(|frame| frame.bytes).filter(|frame| frame.len() < 4000).collect();
    frames.dedup();
    frames
});

/// A session with services and calls under way, to which anything may come.
fn busy_session() -> Session {
    let mut session = joined(Session::new(Options::default()), "lab/client-a", NOW);
    for (at, id) in ["svc", "ctxsvc", "jsvc"].into_iter().enumerate() {
        let config = [("visibility", "public".into()), ("require_context", true.into())];
        offer(&mut session, &service(id, &config, at as u64, &["echo", "add", "fail"])).unwrap();
    }
    call(&mut session, 1, "client-b", "services.svc.echo", &[Value::from(1)]).unwrap();
    session
}

/// Gives bytes to everything that takes bytes from outside.
fn read_everywhere(frame: &Bytes, session: &mut Session) {
    let sender =
        Sender { workspace: "lab".into(), address: "lab/x".into(), user: Bytes::from_static(&[0x80]) };
    if let Ok(header) = Header::parse(frame) {
        assert!(header.end <= frame.len());
        let _ = Body::parse(frame, header.end);
        let _ = session.receive(frame, NOW);
    } else {
        assert!(session.receive(frame, NOW).is_err());
    }
    if let Ok(relayed) = rewrite(frame, &sender, "lab") {
        let header = Header::parse(&relayed);
        assert!(header.is_err() || header.is_ok_and(|header| header.from == "lab/x" && header.ws == "lab"));
    }
    let _ = Response::from_value(frame);
    let mut reader = Reader::new(frame);
    let skipped = reader.skip().map(<[u8]>::len);
    if let (Ok(len), Ok(value)) = (skipped, Reader::new(frame).value()) {
        let mut reader = Reader::new(frame);
        drop((reader.value(), value.to_json()));
        assert_eq!(reader.position(), len, "both ways to read a value end at its end");
        let again = Bytes::from(value.to_msgpack().unwrap());
        // Texts, so that NaN equals itself.
        assert_eq!(format!("{:?}", Reader::new(&again).value().unwrap()), format!("{value:?}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_survives_the_wire(value in value()) {
        let bytes = Bytes::from(value.to_msgpack().unwrap());
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.value().unwrap(), value);
        prop_assert!(reader.is_at_end());
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.skip().unwrap().len(), bytes.len());
        for cut in [0, bytes.len() / 2, bytes.len() - 1] {
            prop_assert!(Reader::new(&bytes.slice(..cut)).value().is_err());
        }
    }

    #[test]
    fn json_says_what_the_value_says(value in plain()) {
        let frame = Bytes::from(Value::List(vec![value.clone()]).to_msgpack().unwrap());
        let response = Response::from_value(&frame).unwrap();
        let expected = serde_json::Value::Array(vec![value.to_json().unwrap()]).to_string();
        prop_assert_eq!(String::from_utf8(response.body.to_vec()).unwrap(), expected);
    }

    #[test]
    fn no_bytes_make_anything_panic(data in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everywhere(&data.into(), &mut busy_session());
    }

    #[test]
    fn no_path_makes_the_router_panic(path in "(/|%|[a-c.]|%[0-9a-f]{2}|index|default|.){0,12}", method in "GET|HEAD|POST|.{0,4}") {
        let mut router = Router::default();
        for member in ["index", "a.b", "a.index", "b.GET", "c.default", "ü.ö"] {
            router.insert(member, member);
        }
        if let Match::Found { function_path: Some(function_path), member } = router.route(&method, &path) {
            prop_assert_eq!(*member, "c.default");
            prop_assert!(function_path.starts_with("/c"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damaged_frame_makes_anything_panic(at in 0..10_000usize, damages in prop::collection::vec(damage(), 1..4)) {
        let frame = damaged(&FRAMES[at % FRAMES.len()], &damages);
        read_everywhere(&frame, &mut busy_session());
    }
}

#[test]
fn no_truncated_frame_makes_anything_panic() {
    let mut session = busy_session();
    for frame in FRAMES.iter().step_by(7) {
        for end in 0..frame.len() {
            read_everywhere(&frame.slice(..end), &mut session);
        }
    }
}

#[test]
fn sizes_that_are_not_there_are_refused_before_anything_is_made() {
    for head in [0xc6u8, 0xc9, 0xdb, 0xdd, 0xdf] {
        for size in [u32::MAX, 0x7fff_ffff, 1000] {
            let mut frame = vec![head];
            frame.extend_from_slice(&size.to_be_bytes());
            frame.extend_from_slice(&[0; 20]);
            let error = Reader::new(&frame.into()).value().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{head:x}");
        }
    }
    for tag in ["set", "orderedmap"] {
        let mut out = Writer::new();
        out.open_map(2).unwrap();
        ["_rtype", tag, "_rvalue"].iter().for_each(|text| out.text(text).unwrap());
        let mut frame = out.into_bytes();
        frame.extend_from_slice(&[0xdd, 0x7f, 0xff, 0xff, 0xff]);
        assert!(Reader::new(&frame.into()).value().is_err());
    }
}

fn nested(depth: usize) -> Bytes {
    let mut frame = vec![0x91; depth];
    frame.push(0xc0);
    frame.into()
}

#[test]
fn values_nest_64_deep_and_no_deeper() {
    for (depth, is_taken) in [(64, true), (65, false), (100_000, false)] {
        let frame = nested(depth);
        assert_eq!(Reader::new(&frame).value().is_ok(), is_taken, "{depth}");
        assert_eq!(Reader::new(&frame).skip().is_ok(), is_taken, "{depth}");
    }
    let too_deep = Reader::new(&nested(65)).value().unwrap_err();
    assert_eq!(too_deep.kind(), ErrorKind::TooLarge);
    let value = (0..64).fold(Value::Nil, |inner, _| Value::List(vec![inner]));
    assert!(value.to_msgpack().is_ok());
    let error = Value::List(vec![value]).to_msgpack().unwrap_err();
    assert!(error.kind() == ErrorKind::TooLarge && error.message().contains("64 levels"), "{error}");
}

#[test]
fn sets_in_sets_are_nested_too() {
    let value = (0..31).fold(Value::Nil, |inner, _| Value::Tagged(Box::new(Tagged::Set(vec![inner]))));
    let bytes = Bytes::from(value.to_msgpack().unwrap());
    assert_eq!(Reader::new(&bytes).value().unwrap(), value);
    let deep = (0..40).fold(Value::Nil, |inner, _| Value::Tagged(Box::new(Tagged::Set(vec![inner]))));
    assert_eq!(deep.to_msgpack().unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn a_message_holds_a_million_values_and_no_more() {
    for (count, is_taken) in [(999_999u32, true), (1_000_000, false)] {
        let mut frame = vec![0xdd];
        frame.extend_from_slice(&count.to_be_bytes());
        frame.resize(frame.len() + count as usize, 0xc0);
        let frame = Bytes::from(frame);
        assert_eq!(Reader::new(&frame).value().is_ok(), is_taken);
        assert_eq!(Reader::new(&frame).skip().is_ok(), is_taken);
        let head = Reader::new(&frame).token().map(drop).map_err(|error| error.kind());
        assert_eq!(
            head,
            if is_taken { Ok(()) } else { Err(ErrorKind::TooLarge) },
            "told by the head already"
        );
    }
}

#[test]
fn limits_can_be_set() {
    let limits = Limits { depth: 2, items: 5 };
    let read = |value: Value| Reader::new(&value.to_msgpack().unwrap().into()).limited(limits).value();
    let list = |items: Vec<Value>| Value::List(items);
    assert!(read(list(vec![list(vec![])])).is_ok());
    assert!(read(list(vec![list(vec![list(vec![])])])).is_err());
    assert!(read(list(vec![Value::Nil; 4])).is_ok());
    assert_eq!(read(list(vec![Value::Nil; 5])).unwrap_err().kind(), ErrorKind::TooLarge);
    assert!(read(Value::Map(Map::from_iter([("a", 1), ("b", 2)]))).is_ok());
    assert!(read(Value::Map(Map::from_iter([("a", 1), ("b", 2), ("c", 3)]))).is_err());
}

#[test]
fn nested_forms_cost_no_more_than_the_limit_of_items() {
    // `_rtype` behind other keys makes the reader begin a map again: nested, that could be a power of two.
    let mut value = Value::Nil;
    for _ in 0..30 {
        value = Value::Map(Map::from_iter([("_rvalue", Value::List(vec![value])), ("_rtype", "set".into())]));
    }
    let mut out = Writer::new();
    value.walk(&mut out).unwrap();
    let frame = Bytes::from(out.into_bytes());
    match Reader::new(&frame).value() {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::TooLarge),
    }
}

#[test]
fn reading_and_skipping_count_depth_alike() {
    let mut forms: Vec<Value> = vec![
        Value::List(vec![]),
        Value::Tagged(Box::new(Tagged::Set(vec![]))),
        Value::Tagged(Box::new(Tagged::Pairs(vec![(1.into(), 2.into())]))),
        Value::Tagged(Box::new(Tagged::Array { data: Bytes::new(), shape: Some(vec![]), dtype: None })),
        Value::Map(Map::from_iter([
            ("_rtype", Value::from("set")),
            ("more", vec![vec![Value::Nil].into()].into()),
            ("_rvalue", Value::List(vec![])),
        ])),
    ];
    let stub: [(&str, Value); 3] = [
        ("_rtype", "method".into()),
        ("_rmethod", "S.1".into()),
        ("_rpromise", vec![vec![Value::Nil].into()].into()),
    ];
    forms.push(Value::Map(Map::from_iter(stub)));
    for form in forms {
        // Written by hand: the writer refuses what is too deep.
        let inner = form.to_msgpack().unwrap();
        for depth in 55..70 {
            let mut frame = vec![0x91; depth];
            frame.extend_from_slice(&inner);
            let frame = Bytes::from(frame);
            let (read, skipped) = (Reader::new(&frame).value(), Reader::new(&frame).skip());
            assert_eq!(read.is_ok(), skipped.is_ok(), "{form:?} in {depth} lists");
        }
    }
}

#[test]
fn a_container_in_the_place_of_a_scalar_is_read_to_its_end() {
    let odd = || {
        Value::Map(Map::from_iter([
            ("args", Value::List(vec![Value::from("smuggled")])),
            ("_rmethod", "x".into()),
        ]))
    };
    let stub = Value::Map(Map::from_iter([
        ("_rtype", Value::from("method")),
        ("_rpromise", odd()),
        ("_rasync", odd()),
        ("_rname", odd()),
        ("_rmethod", "S.1".into()),
    ]));
    let frame = Bytes::from(Value::List(vec![stub, 7.into()]).to_msgpack().unwrap());
    let value = Reader::new(&frame).value().unwrap();
    let [Value::Method(stub), Value::Int(7)] = value.as_list().unwrap() else { panic!("{value:?}") };
    assert_eq!((stub.method.as_str(), stub.promise, stub.is_async), ("S.1", Promise::Never, None));

    let args = Value::List(vec![1.into()]);
    let body = Map::from_iter([
        ("t", odd()),
        ("with_kwargs", odd()),
        ("args", args.clone()),
        ("promise", "*".into()),
    ]);
    let frame = Bytes::from(Value::Map(body).to_msgpack().unwrap());
    let body = Body::parse(&frame, 0).unwrap();
    assert_eq!(Reader::new(&body.args).value(), Ok(args));
    assert!(!body.with_kwargs && body.interval.is_none());
}
