//! The description of one service, made of the schema that it was registered with.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use polyfn_core::Value;
use serde_json::{Map, Value as Json, json};

use super::{frame, functions, with_failures};
use crate::hub::Service;

mod body;

/// Describes `service`, which is reached under `id` in the workspace's URLs.
pub(in crate::http) fn describe(service: &Service, id: &str, server: &str) -> Json {
    let info = service.described();
    let text = |key: &str| info.text(key).unwrap_or_default();
    let version = info.text("version").filter(|version| !version.is_empty()).unwrap_or("1");
    let title = if text("name").is_empty() { &service.name } else { text("name") };
    let schema = info.get("service_schema").unwrap_or(&Value::Nil).to_json().unwrap_or_default();
    let place = Place { workspace: &service.workspace, id };
    let mut paths = Map::new();
    match service.kind.as_str() {
        "functions" => functions::paths(&schema, &place, &mut paths),
        "asgi" | "wsgi" | "fetch" => functions::app(&place, &mut paths),
        _ => members(&schema, &place, &mut Vec::new(), &mut paths),
    }
    frame(title, version, text("description"), server, paths)
}

/// What is escaped in a segment of a path: all but what RFC 3986 calls `pchar`, and braces, which mark parameters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// Where a service is in URLs.
pub(super) struct Place<'a> {
    pub(super) workspace: &'a str,
    pub(super) id: &'a str,
}

impl Place<'_> {
    /// The path of something in the service: `kind` is `services` or `apps`.
    pub(super) fn path(&self, kind: &str, rest: &str) -> String {
        format!("/{}/{kind}/{}/{rest}", segment(self.workspace), segment(self.id))
    }
}

/// Adds every function of a folder; in URLs their names are joined by dots.
fn members(folder: &Json, place: &Place<'_>, names: &mut Vec<String>, paths: &mut Map<String, Json>) {
    let entries: Vec<(String, &Json)> = match folder {
        Json::Object(map) => map.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Json::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => return,
    };
    for (name, value) in entries {
        names.push(name);
        match value.get("type").and_then(Json::as_str) {
            Some("function") => {
                let name = names.join(".");
                paths.insert(place.path("services", &segment(&name)), operations(&name, &value["function"]));
            }
            Some(_) => {}
            None => members(value, place, names, paths),
        }
        names.pop();
    }
}

/// A call by POST, with its arguments as an object.
fn operations(name: &str, function: &Json) -> Json {
    let result = with_failures(&json!({
        "description": "The result; a generator is streamed.",
        "content": {
            "application/json": {"schema": {}},
            "application/msgpack": {"schema": {}},
            "application/x-ndjson": {"schema": {}},
            "text/event-stream": {"schema": {}},
        },
    }));
    let parameters = parameters(name, &function["parameters"]);
    json!({"post": {
        "operationId": name,
        "summary": summary(function),
        "description": function["description"].as_str().unwrap_or_default(),
        "requestBody": body::describe(&parameters),
        "responses": result,
    }})
}

/// The schema of the arguments. Its own definitions are found from inside of it only when it has a name.
fn parameters(name: &str, schema: &Json) -> Json {
    let mut schema = if schema.is_object() { schema.clone() } else { json!({"type": "object"}) };
    if schema.get("$defs").is_some() && schema.get("$id").is_none() {
        schema["$id"] = json!(format!("urn:polyfn:function:{name}"));
    }
    schema
}

/// The first line of a description.
pub(super) fn summary(function: &Json) -> String {
    let text = function["description"].as_str().unwrap_or_default();
    text.trim().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_path() {
        let add = json!({"type": "function", "function": {"name": "add", "description": "Adds.\n\nTwo numbers.",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}});
        let schema = json!({"add": add, "nest": {"ü": add}, "list": [add], "answer": {"type": "integer"}});
        let mut paths = Map::new();
        members(&schema, &Place { workspace: "lab", id: "me:calc" }, &mut Vec::new(), &mut paths);
        let names: Vec<&String> = paths.keys().collect();
        let base = "/lab/services/me:calc";
        assert_eq!(
            names,
            [&format!("{base}/add"), &format!("{base}/nest.%C3%BC"), &format!("{base}/list.0")]
        );
        let post = &paths[&format!("{base}/add")]["post"];
        assert_eq!((post["operationId"].as_str(), post["summary"].as_str()), (Some("add"), Some("Adds.")));
        assert_eq!(post["requestBody"]["required"], json!(true));
    }

    #[test]
    fn definitions_stay_with_their_schema() {
        let schema = json!({"type": "object", "$defs": {"A": {}}});
        assert_eq!(parameters("f", &schema)["$id"], "urn:polyfn:function:f");
        assert_eq!(parameters("f", &Json::Null), json!({"type": "object"}));
    }
}
