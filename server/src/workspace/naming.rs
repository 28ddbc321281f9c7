//! Names of functions in the case that the caller's language prefers (protocol section 18.3).

use polyfn_core::{Map, Result, Value};

use crate::workspace::arguments::invalid;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Camel,
    Snake,
}

/// The cases in which a caller wants to have the names: one, or both.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Naming(Vec<Case>);

impl Naming {
    /// Reads `case_conversion`.
    ///
    /// # Errors
    /// `invalid` for a case that is not known.
    pub(super) fn read(config: &Map) -> Result<Self> {
        Ok(Self(match config.get("case_conversion") {
            None | Some(Value::Nil) => Vec::new(),
            Some(Value::Text(text)) if text == "camel" => vec![Case::Camel],
            Some(Value::Text(text)) if text == "snake" => vec![Case::Snake],
            Some(Value::Text(text)) if text == "camel+snake" => vec![Case::Camel, Case::Snake],
            Some(Value::Text(text)) if text == "snake+camel" => vec![Case::Snake, Case::Camel],
            Some(_) => {
                return Err(invalid(
                    "ValueError: 'case_conversion' must be 'camel', 'snake', 'camel+snake' or 'snake+camel'",
                ));
            }
        }))
    }

    /// Renames the members of a service, and of the maps in it.
    pub(super) fn apply(&self, value: Value) -> Value {
        let Value::Map(map) = value else { return value };
        match &self.0[..] {
            [] => Value::Map(map),
            [case] => Value::Map(renamed(map, *case)),
            cases => {
                let mut all = Map::new();
                for case in cases {
                    for (key, value) in renamed(map.clone(), *case) {
                        all.insert(key, value);
                    }
                }
                Value::Map(all)
            }
        }
    }
}

fn renamed(map: Map, case: Case) -> Map {
    map.into_iter()
        .map(|(key, value)| {
            let key = match case {
                Case::Camel => camel(&key),
                Case::Snake => snake(&key),
            };
            let value = match value {
                Value::Map(inner) => Value::Map(renamed(inner, case)),
                Value::Method(mut stub) => {
                    let named = std::sync::Arc::make_mut(&mut stub);
                    named.name = Some(key.clone());
                    if let Some(Value::Map(schema)) = named.schema.as_deref_mut() {
                        schema.insert("name", key.as_str());
                    }
                    Value::Method(stub)
                }
                other => other,
            };
            (key, value)
        })
        .collect()
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default();
    if first.len() == name.len() {
        let mut letters = name.chars();
        return letters.next().map_or_else(String::new, |head| head.to_lowercase().chain(letters).collect());
    }
    parts.fold(first.to_owned(), |mut whole, part| {
        let mut letters = part.chars();
        whole.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        whole.extend(letters.flat_map(char::to_lowercase));
        whole
    })
}

fn snake(name: &str) -> String {
    let mut whole = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() {
            whole.push('_');
            whole.extend(letter.to_lowercase());
        } else {
            whole.push(letter);
        }
    }
    whole.trim_start_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use polyfn_core::codec::Stub;

    use super::*;

    fn naming(case: &str) -> Result<Naming> {
        Naming::read(&Map::from_iter([("case_conversion", case)]))
    }

    #[test]
    fn names_are_written_as_the_reference_writes_them() {
        for (name, in_camel, in_snake) in [
            ("a_b", "aB", "a_b"),
            ("list_all_services", "listAllServices", "list_all_services"),
            ("listServices", "listServices", "list_services"),
            ("ABc", "aBc", "a_bc"),
            ("_hidden", "Hidden", "hidden"),
            ("x", "x", "x"),
            ("", "", ""),
        ] {
            assert_eq!((camel(name).as_str(), snake(name).as_str()), (in_camel, in_snake), "{name}");
        }
    }

    #[test]
    fn functions_are_renamed_and_lists_left_alone() {
        let stub = Stub { name: Some("do_it".to_owned()), ..Stub::default() };
        let service = Map::from_iter([
            ("do_it", Value::Method(Arc::new(stub))),
            ("deep_er", Value::Map(Map::from_iter([("and_er", 1)]))),
            ("a_list", Value::List(vec![Value::Map(Map::from_iter([("k_k", 1)]))])),
        ]);
        let both = naming("camel+snake").map(|naming| naming.apply(Value::Map(service)));
        let Ok(Value::Map(both)) = both else { panic!("a service stays a map") };
        let names: Vec<_> = both.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(names, ["doIt", "deepEr", "aList", "do_it", "deep_er", "a_list"]);
        assert!(
            matches!(both.get("doIt"), Some(Value::Method(stub)) if stub.name.as_deref() == Some("doIt"))
        );
        assert!(matches!(both.get("deepEr"), Some(Value::Map(inner)) if inner.contains("andEr")));
        assert!(
            matches!(both.get("aList"), Some(Value::List(list)) if list[0].as_map().is_some_and(|m| m.contains("k_k")))
        );
    }

    #[test]
    fn other_cases_are_refused() {
        assert!(naming("kebab").is_err());
        assert_eq!(Naming::read(&Map::new()), Ok(Naming::default()));
    }
}
