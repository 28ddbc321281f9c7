//! Values of every type in Rust: how each is made, and how one that arrived is told in one line.

use bytes::Bytes;
use polyfn_core::codec::Tagged;
use polyfn_core::{Error, Map, Value};

/// The value of this name in `types.yaml`; nil for a name that Rust has no value for.
pub(crate) fn make(name: &str) -> Value {
    let tagged = |value| Value::Tagged(Box::new(value));
    match name {
        "true" => Value::Bool(true),
        "integer" => Value::Int(42),
        "negative integer" => Value::Int(-7),
        "largest exact number" => Value::Int((1 << 53) - 1),
        "64-bit integer" => Value::Int((1 << 53) + 1),
        "least 64-bit integer" => Value::Int(i64::MIN),
        "largest 64-bit integer" => Value::Uint(u64::MAX),
        "float" => Value::Float(1.5),
        "whole float" => Value::Float(2.0),
        "nan" => Value::Float(f64::NAN),
        "infinity" => Value::Float(f64::INFINITY),
        "text" => Value::from("grüße 世界 🎈"),
        "bytes" => Value::Bytes(Bytes::from_static(b"\x00\xff\x01")),
        "memory" => tagged(Tagged::Memory(Bytes::from_static(b"\x00\xff\x01"))),
        "list" => Value::from(vec![Value::Int(1), Value::from("a"), Value::Nil]),
        "map" => Value::Map(Map::from_iter([("a", Value::Int(1)), ("b", vec![Value::Int(2)].into())])),
        "ordered map" => tagged(Tagged::Pairs(vec![("b".into(), 1.into()), ("a".into(), 2.into())])),
        "set" => tagged(Tagged::Set(vec![Value::Int(7)])),
        "error" => tagged(Tagged::Error(Error::remote("out of cheese"))),
        _ => Value::Nil,
    }
}

/// One line: the type as Rust calls it, and the content.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Nil => "Nil".to_owned(),
        Value::Bool(value) => format!("Bool {value}"),
        Value::Int(value) => format!("Int {value}"),
        Value::Uint(value) => format!("Uint {value}"),
        Value::Float(value) => format!("Float {value}"),
        Value::Text(text) => format!("Text {text}"),
        Value::Bytes(data) => format!("Bytes {}", hex(data)),
        Value::List(items) => format!("List[{}]", items.iter().map(describe).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key}: {}", describe(value)));
            format!("Map{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Pairs(entries) => format!("Pairs{{{}}}", pairs(entries)),
        Value::Extension(code, data) => format!("Extension {code} {}", hex(data)),
        Value::Tagged(tagged) => describe_tagged(tagged),
        _ => "Function".to_owned(),
    }
}

fn describe_tagged(tagged: &Tagged<Value>) -> String {
    match tagged {
        Tagged::Set(items) => format!("Set{{{}}}", items.iter().map(describe).collect::<Vec<_>>().join(", ")),
        Tagged::Pairs(entries) => format!("Pairs{{{}}}", pairs(entries)),
        Tagged::Memory(data) => format!("Memory {}", hex(data)),
        Tagged::Array { data, shape, dtype } => {
            let shape = shape.as_ref().map(|shape| format!("{shape:?} ")).unwrap_or_default();
            format!("Array {} {shape}{}", dtype.as_deref().unwrap_or("?"), hex(data))
        }
        Tagged::Error(error) => {
            let class = error.class().map(|class| format!("{class} ")).unwrap_or_default();
            format!("Error {class}{}", error.message())
        }
    }
}

fn pairs(entries: &[(Value, Value)]) -> String {
    let entries = entries.iter().map(|(key, value)| format!("{}: {}", describe(key), describe(value)));
    entries.collect::<Vec<_>>().join(", ")
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}
