//! Arguments against the schema that a function declares.

use std::time::Duration;

use bytes::Bytes;
use polyfn_core::codec::Tagged;
use polyfn_core::schema::{Arguments, SchemaLimits};
use polyfn_core::session::{Event, Options, Session};
use polyfn_core::{Error, ErrorKind, Function, Map, Result, Value};
use serde_json::{Value as Json, json};

use crate::calling::rejection;
use crate::joining::{events, offer};
use crate::manager::joined;
use crate::serving::{ME, called, star};

const NOW: Duration = Duration::from_secs(100);

fn schema(name: &str, parameters: &Json) -> Value {
    Value::from(json!({"name": name, "description": null, "parameters": parameters}))
}

fn compiled(parameters: &Json) -> Arguments {
    Arguments::compile(&schema("f", parameters), &SchemaLimits::default()).unwrap()
}

fn two() -> Json {
    json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
        "required": ["a"],
        "additionalProperties": false,
        "$defs": {"item": {"type": "object", "properties": {"n": {"type": "number", "minimum": 1}}}},
    })
}

fn list(items: Json) -> Vec<Value> {
    let Value::List(items) = Value::from(items) else { panic!("a list is wanted") };
    items
}

fn keywords(entries: Json) -> Map {
    let Value::Map(map) = Value::from(entries) else { panic!("a map is wanted") };
    map
}

#[test]
fn a_refusal_names_the_place_what_was_asked_and_what_was_found() {
    let f = compiled(&two());
    for (positional, named, text) in [
        (json!([1]), json!({}), ""),
        (json!([1, [{"n": 2}, {}]]), json!({}), ""),
        (json!([]), json!({"b": [], "a": 1}), ""),
        (json!([]), json!({}), "f(a, b) needs \"a\", which was not given"),
        (json!([]), json!({"b": []}), "f(a, b) needs \"a\", which was not given"),
        (
            json!(["1"]),
            json!({}),
            "at args[0]: `a` of f(a, b): the value is not of type \"integer\", found \"1\"",
        ),
        (
            json!([null]),
            json!({}),
            "at args[0]: `a` of f(a, b): the value is not of type \"integer\", found null",
        ),
        (
            json!([1.5]),
            json!({}),
            "at args[0]: `a` of f(a, b): the value is not of type \"integer\", found 1.5",
        ),
        (
            json!([1, [{}, {"n": 0}]]),
            json!({}),
            "at args[1][1].n: `b` of f(a, b): the value is less than the minimum of 1, found 0",
        ),
        (
            json!([1]),
            json!({"b": [5]}),
            "at b[0]: `b` of f(a, b): the value is not of type \"object\", found 5",
        ),
        (json!([1]), json!({"c": 2}), "f(a, b) takes no `c`"),
        (json!([1]), json!({"a": 2}), "at a: f(a, b) got `a` twice"),
        (json!([1, [], 3]), json!({}), "at args[2]: f(a, b) takes 2 arguments by position, found 3"),
    ] {
        let found = f.check(&list(positional.clone()), &keywords(named.clone()));
        let found = found.map_err(|error| (error.kind(), error.message().to_owned()));
        let expected = if text.is_empty() { Ok(()) } else { Err((ErrorKind::Invalid, text.to_owned())) };
        assert_eq!(found, expected, "{positional} {named}");
    }
}

#[test]
fn a_refusal_shows_the_head_of_a_long_value() {
    let long = "ä".repeat(10_000);
    let error = compiled(&two()).check(&[long.into()], &Map::new()).unwrap_err();
    assert!(error.message().len() < 300 && error.message().ends_with("ä..."), "{error}");
}

#[test]
fn more_keywords_are_taken_unless_the_schema_closes_the_door() {
    let open = compiled(&json!({"type": "object", "properties": {"a": {}}}));
    assert_eq!(open.check(&[1.into()], &Map::from_iter([("other", 2)])), Ok(()));
}

#[test]
fn a_function_that_takes_any_number_checks_those_with_names() {
    let properties = json!({"a": {"type": "integer"}, "key": {"type": "string"}});
    let schema = json!({"name": "f", "positional": 1, "parameters": {"properties": properties}});
    let f = Arguments::compile(&schema.into(), &SchemaLimits::default()).unwrap();
    assert_eq!(f.check(&[1.into(), 2.into(), "x".into()], &Map::from_iter([("key", "k")])), Ok(()));
    assert!(f.check(&["x".into(), 2.into()], &Map::new()).unwrap_err().message().contains("args[0]"));
    assert!(f.check(&[1.into(), 2.into()], &Map::from_iter([("key", 2)])).is_err());
    assert!(f.check(&[1.into()], &Map::from_iter([("a", 2)])).unwrap_err().message().contains("twice"));
}

#[test]
fn a_function_that_takes_any_number_may_say_what_they_must_be() {
    let schema = json!({
        "name": "f",
        "positional": 1,
        "rest": {"name": "more", "items": {"$ref": "#/$defs/Two"}},
        "parameters": {
            "properties": {"a": {}},
            "additionalProperties": false,
            "$defs": {"Two": {"type": "array", "items": {"type": "integer"}, "maxItems": 2}},
        },
    });
    let f = Arguments::compile(&schema.into(), &SchemaLimits::default()).unwrap();
    for count in 0..4 {
        assert_eq!(f.check(&list(json!(["a", [1], [2, 3], []]))[..count], &Map::new()), Ok(()));
    }
    let error = f.check(&list(json!(["a", [1], [2, "x"]])), &Map::new()).unwrap_err();
    assert_eq!(
        error.message(),
        "at args[2][1]: `*more` of f(a, *more): the value is not of type \"integer\", found \"x\""
    );
    let error = f.check(&[1.into()], &Map::from_iter([("*more", 1)])).unwrap_err();
    assert_eq!(error.message(), "f(a, *more) takes no `*more` by name");
    let large = json!({"name": "f", "positional": 0, "rest": {"items": {"enum": vec!["x"; 20_000]}}, "parameters": {}});
    let error = Arguments::compile(&large.into(), &SchemaLimits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn what_json_cannot_hold_counts_as_something() {
    let values: [(&str, Value, &[&str]); 10] = [
        ("bytes", Value::Bytes(Bytes::from_static(b"x")), &["any", "object", "binary"]),
        ("memory", tagged(Tagged::Memory(Bytes::new())), &["any", "object", "binary"]),
        ("function", Value::Method(Default::default()), &["any", "object", "binary"]),
        ("array", array(), &["any", "object", "binary"]),
        ("set", tagged(Tagged::Set(vec![1.into()])), &["any", "array"]),
        ("pairs", tagged(Tagged::Pairs(vec![("k".into(), 1.into())])), &["any", "object", "binary"]),
        ("time", Value::Extension(-1, Bytes::from_static(&[0; 4])), &["any", "string", "binary"]),
        ("model", model(1.into()), &["any", "number"]),
        ("nan", Value::Float(f64::NAN), &["any", "number"]),
        ("infinity", Value::Float(f64::INFINITY), &["any", "number"]),
    ];
    let kinds = [
        ("any", json!({})),
        ("object", json!({"type": "object"})),
        ("binary", json!({"type": "string", "format": "binary"})),
        ("string", json!({"type": "string"})),
        ("number", json!({"type": "number"})),
        ("array", json!({"type": "array"})),
    ];
    for (name, value, satisfied) in values {
        for (kind, schema) in &kinds {
            let f = compiled(&json!({"type": "object", "properties": {"x": schema}}));
            let is_taken = f.check(std::slice::from_ref(&value), &Map::new()).is_ok();
            assert_eq!(is_taken, satisfied.contains(kind), "{name} as {kind}");
        }
    }
}

#[test]
fn numbers_that_json_has_not_are_no_integers_and_keep_to_bounds() {
    let one = |schema| compiled(&json!({"type": "object", "properties": {"x": schema}}));
    let taken = |schema, number: f64| one(schema).check(&[number.into()], &Map::new()).is_ok();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(taken(json!({"type": "number"}), number) && !taken(json!({"type": "integer"}), number));
        assert!(!taken(json!({"type": "number", "minimum": -1, "maximum": 1}), number), "{number}");
    }
    assert!(taken(json!({"minimum": 1}), f64::INFINITY) && !taken(json!({"maximum": 1}), f64::INFINITY));
    assert!(!taken(json!({"minimum": 1}), f64::NAN) && !taken(json!({"maximum": 1}), f64::NAN));
    let error = one(json!({"type": "integer"})).check(&[f64::NAN.into()], &Map::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

fn tagged(value: Tagged<Value>) -> Value {
    Value::Tagged(Box::new(value))
}

fn model(values: Value) -> Value {
    Value::Map(Map::from_iter([("_rtype", "pydantic_model".into()), ("_rvalue", values)]))
}

fn array() -> Value {
    tagged(Tagged::Array {
        data: Bytes::from_static(&[0; 8]),
        shape: Some(vec![1]),
        dtype: Some("int64".to_owned()),
    })
}

#[test]
fn a_refusal_does_not_show_bytes() {
    let f = compiled(&json!({"type": "object", "properties": {"x": {"type": "string"}}}));
    for (value, shown) in
        [(Value::Bytes(Bytes::from_static(b"secret")), "found bytes"), (array(), "found an array")]
    {
        let error = f.check(&[value], &Map::new()).unwrap_err();
        assert!(error.message().ends_with(shown), "{error}");
    }
}

#[test]
fn schemas_that_are_none_are_refused() {
    let limits = SchemaLimits::default();
    let compile = |schema: Json| Arguments::compile(&Value::from(schema), &limits).map(drop);
    let kind = |result: Result<()>| result.map_err(|error| error.kind());
    assert_eq!(kind(compile(json!("text"))), Err(ErrorKind::Invalid));
    assert_eq!(kind(compile(json!({"name": "f"}))), Err(ErrorKind::Invalid), "without parameters");
    for parameters in [
        json!({"type": "nonsense"}),
        json!({"properties": []}),
        json!({"properties": {"a": {"$ref": "#/$defs/missing"}}}),
        json!({"properties": {"a": {"$ref": "https://elsewhere.example/schema"}}}),
        json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
        json!({"properties": {"a": {"pattern": "("}}}),
    ] {
        assert_eq!(kind(compile(json!({"parameters": parameters}))), Err(ErrorKind::Invalid), "{parameters}");
    }
    let long = json!({"description": "x".repeat(limits.bytes)});
    assert_eq!(kind(compile(json!({"parameters": long}))), Err(ErrorKind::TooLarge));
    let deep = (0..=limits.depth).fold(json!({}), |inner, _| json!({"not": inner}));
    assert_eq!(kind(compile(json!({"parameters": deep}))), Err(ErrorKind::TooLarge));
}

#[test]
fn a_pattern_that_takes_too_long_is_a_refusal() {
    let f = compiled(&json!({"properties": {"x": {"pattern": "^(?:a(?=a)|a)+c$"}}}));
    let error = f.check(&["a".repeat(60).as_str().into()], &Map::new()).unwrap_err();
    assert!(error.message().contains("backtrack"), "{error}");
}

/// A service whose function `f` wants to have its arguments checked.
fn declared(handle: u64, parameters: &Json, config: &Json) -> Value {
    let function = Function {
        handle,
        name: "f".to_owned(),
        schema: Some(Box::new(schema("f", parameters))),
        checks_arguments: true,
        ..Function::default()
    };
    Value::Map(Map::from_iter([
        ("id", Value::from("calc")),
        ("config", Value::from(config.clone())),
        ("f", Value::Function(function.clone())),
        ("nested", Value::from(vec![Value::Map(Map::from_iter([("g", Value::Function(function))]))])),
    ]))
}

fn session() -> Session {
    let mut session = joined(Session::new(Options::default()), ME, NOW);
    events(&mut session);
    session
}

#[test]
fn the_function_is_not_called_with_arguments_that_its_schema_refuses() {
    let mut session = session();
    offer(&mut session, &declared(9, &two(), &json!({}))).unwrap();
    for path in ["services.calc.f", "services.calc.nested.0.g"] {
        session.receive(&called("lab/other", path, &["1".into()], &star()), NOW).unwrap();
        assert!(rejection(&mut session).starts_with("at args[0]: `a` of f(a, b): "));
        let unanswered = called("lab/other", path, &["1".into()], &[]);
        session.receive(&unanswered, NOW).unwrap();
        assert!(session.poll_send().is_none(), "nobody waits for the reply");
        assert_eq!(events(&mut session), []);
        let named = [Value::Map(Map::from_iter([("a", 1)]))];
        let by_name = called("lab/other", path, &named, &[("with_kwargs", true.into())]);
        session.receive(&by_name, NOW).unwrap();
        let [Event::Invoke(invocation)] = &events(&mut session)[..] else { panic!("it must be called") };
        assert_eq!(invocation.handler, 9);
    }
    assert_eq!(session.statistics(), Default::default());
}

#[test]
fn a_schema_that_was_not_declared_is_only_shown() {
    let mut session = session();
    let function = Function { handle: 9, schema: Some(Box::new(schema("f", &two()))), ..Function::default() };
    let service = Map::from_iter([("id", Value::from("calc")), ("f", Value::Function(function))]);
    let info = offer(&mut session, &Value::Map(service)).unwrap();
    session.receive(&called("lab/other", "services.calc.f", &["1".into()], &[]), NOW).unwrap();
    assert!(matches!(&events(&mut session)[..], [Event::Invoke(_)]));
    let leaf = info.get("service_schema").and_then(Value::as_map).and_then(|tree| tree.get("f"));
    let expected =
        json!({"type": "function", "function": {"name": "f", "description": null, "parameters": two()}});
    assert_eq!(leaf, Some(&Value::from(expected)));
}

#[test]
fn the_context_is_no_parameter() {
    let parameters = json!({
        "type": "object",
        "properties": {"a": {"type": "integer"}, "context": {"type": "object"}},
        "required": ["a", "context"],
    });
    let mut session = session();
    let info = offer(&mut session, &declared(9, &parameters, &json!({"require_context": ["f"]}))).unwrap();
    let tree = info.get("service_schema").unwrap().to_json().unwrap();
    assert_eq!(
        tree["f"]["function"]["parameters"],
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    );
    assert_eq!(tree["nested"][0]["g"]["function"]["parameters"], parameters, "it gets no context");
    session.receive(&called("lab/other", "services.calc.f", &[1.into()], &[]), NOW).unwrap();
    let [Event::Invoke(invocation)] = &events(&mut session)[..] else { panic!("it must be called") };
    assert!(invocation.context.is_some());
}

#[test]
fn a_service_with_a_bad_schema_is_not_registered() {
    let mut session = session();
    let error: Error =
        offer(&mut session, &declared(9, &json!({"type": "nonsense"}), &json!({}))).unwrap_err();
    assert!(error.message().starts_with("at f: `parameters` is not a JSON Schema"), "{error}");
    let released = events(&mut session);
    assert!(
        !released.is_empty() && released.iter().all(|event| *event == Event::Released(9)),
        "{released:?}"
    );
    let bare = Function { handle: 3, checks_arguments: true, ..Function::default() };
    let service = Map::from_iter([("id", Value::from("calc")), ("f", Value::Function(bare))]);
    assert_eq!(offer(&mut session, &Value::Map(service)).unwrap_err().kind(), ErrorKind::Invalid);
}
