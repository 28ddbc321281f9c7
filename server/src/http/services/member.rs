//! What a service offers under a name: a function, a value, or nothing.

use polyfn_core::{Map, Value};

use crate::hub::Service;

/// What a dotted name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// It can be called.
    Function,
    /// It can be read.
    Value,
    /// There is none.
    Missing,
}

/// Looks `name` up in what the service was registered with.
pub(super) fn find(service: &Service, name: &str) -> Member {
    let schema = service.told.tree().get("service_schema").unwrap_or(&Value::Nil);
    of_schema(schema, name)
}

fn of_schema(schema: &Value, name: &str) -> Member {
    // a function has no members, though its schema has
    let step = |found, key| if kind(found).is_none() { entry(found, key) } else { None };
    match name.split('.').try_fold(schema, step) {
        None => Member::Missing,
        Some(found) if kind(found) == Some("function") => Member::Function,
        Some(_) => Member::Value,
    }
}

/// The type that a schema names; folders have none.
fn kind(schema: &Value) -> Option<&str> {
    schema.as_map().and_then(|map| map.text("type"))
}

fn entry<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Map(map) => map.get(key),
        Value::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The value under a dotted name in the description of a service.
pub(super) fn value_at(described: Value, name: &str) -> Option<Value> {
    name.split('.').try_fold(described, |found, key| entry(&found, key).cloned())
}

/// The value with functions shown by their schema: they cannot be called from the answer to a request.
pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Method(stub) => function(stub.schema.as_deref().cloned()),
        Value::Function(own) => function(own.schema.map(|schema| *schema)),
        Value::List(items) => Value::List(items.into_iter().map(plain).collect()),
        Value::Map(mut map) => {
            for (_, value) in map.iter_mut() {
                *value = plain(std::mem::take(value));
            }
            Value::Map(map)
        }
        other => other,
    }
}

fn function(schema: Option<Value>) -> Value {
    Value::Map(Map::from_iter([("type", Value::from("function")), ("function", schema.into())]))
}

#[cfg(test)]
mod tests {
    use polyfn_core::codec::Stub;

    use super::*;

    fn schema() -> Value {
        let json = r#"{"hello": {"type": "function", "function": {"name": "hello"}}, "answer": {"type": "number"},
            "nest": {"deep": {"hello": {"type": "function", "function": {}}}},
            "list": [{"type": "function", "function": {}}, {"type": "string"}]}"#;
        Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap())
    }

    #[test]
    fn names_are_looked_up() {
        for (name, member) in [
            ("hello", Member::Function),
            ("nest.deep.hello", Member::Function),
            ("list.0", Member::Function),
            ("answer", Member::Value),
            ("nest", Member::Value),
            ("list.1", Member::Value),
            ("nope", Member::Missing),
            ("nest.nope", Member::Missing),
            ("hello.function", Member::Missing),
            ("nest.deep.hello.more", Member::Missing),
            ("answer.type", Member::Missing),
            ("list.2", Member::Missing),
            ("", Member::Missing),
        ] {
            assert_eq!(of_schema(&schema(), name), member, "{name}");
        }
        assert_eq!(of_schema(&Value::Nil, "hello"), Member::Missing);
    }

    #[test]
    fn functions_are_shown_by_their_schema() {
        let stub = Stub { schema: Some(Box::new("s".into())), ..Stub::default() };
        let folder = Value::Map(Map::from_iter([("f", Value::from(stub))]));
        let shown = plain(Value::List(vec![folder])).to_json().unwrap();
        assert_eq!(shown.to_string(), r#"[{"f":{"type":"function","function":"s"}}]"#);
    }
}
