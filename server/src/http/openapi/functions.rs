//! The paths of services that answer HTTP requests themselves.

use polyfn_core::functions::METHODS;
use serde_json::{Map, Value as Json, json};

use super::service::{Place, segment, summary};

/// What a function answers that does not say which methods it takes.
const USUAL: [&str; 2] = ["get", "post"];

/// The functions of a service of type `functions`. What `default` answers cannot be listed.
pub(super) fn paths(schema: &Json, place: &Place<'_>, paths: &mut Map<String, Json>) {
    folder(schema, place, &mut Vec::new(), paths);
}

fn folder(members: &Json, place: &Place<'_>, names: &mut Vec<String>, paths: &mut Map<String, Json>) {
    let Json::Object(members) = members else { return };
    for (name, member) in members {
        let is_function = member["type"] == "function";
        if is_function && METHODS.contains(&name.as_str()) {
            // which OpenAPI has no name for
            if name == "CONNECT" {
                continue;
            }
            add(place, names, &[&name.to_ascii_lowercase()], &member["function"], paths);
        } else if is_function && name == "index" {
            let mut names = names.clone();
            names.push(String::new());
            add(place, &names, &USUAL, &member["function"], paths);
        } else if is_function && name != "default" {
            names.push(name.clone());
            add(place, names, &USUAL, &member["function"], paths);
            names.pop();
        } else if member.get("type").is_none() {
            names.push(name.clone());
            folder(member, place, names, paths);
            names.pop();
        }
    }
}

fn add(
    place: &Place<'_>,
    names: &[String],
    methods: &[&str],
    function: &Json,
    paths: &mut Map<String, Json>,
) {
    let encoded: Vec<String> = names.iter().map(|name| segment(name)).collect();
    let path = paths.entry(place.path("apps", &encoded.join("/"))).or_insert_with(|| json!({}));
    for method in methods {
        path[*method] = operation(&format!("{method} {}", names.join("/")), method, function);
    }
}

fn operation(id: &str, method: &str, function: &Json) -> Json {
    let mut operation = json!({
        "operationId": id,
        "summary": summary(function),
        "description": function["description"].as_str().unwrap_or_default(),
        // what is not 200 may be the function's own answer, or one of the server in its stead
        "responses": {
            "200": {"description": "What the function answers.", "content": {"*/*": {}}},
            "204": {"description": "The function answers nothing."},
            "default": {"description": "What else it answers, or why it does not.", "content": {"*/*": {}}},
        },
    });
    if method != "get" && method != "head" {
        operation["requestBody"] = json!({"content": {"*/*": {}}});
    }
    operation
}

/// A web application: what it answers is known to it alone.
pub(super) fn app(place: &Place<'_>, paths: &mut Map<String, Json>) {
    let get = operation("get", "get", &json!({"description": "A web application, which describes itself."}));
    paths.insert(place.path("apps", ""), json!({"get": get}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_listed_where_they_answer() {
        let function = json!({"type": "function", "function": {"description": "Does it."}});
        let schema = json!({"index": function, "hello": function, "default": function, "number": {"type": "integer"},
            "users": {"GET": function, "DELETE": function, "index": function}});
        let mut found = Map::new();
        paths(&schema, &Place { workspace: "lab", id: "me:web" }, &mut found);
        let methods = |path: &str| -> Vec<String> {
            found[&format!("/lab/apps/me:web/{path}")].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(methods(""), ["get", "post"]);
        assert_eq!(methods("hello"), ["get", "post"]);
        assert_eq!(methods("users"), ["get", "delete"]);
        assert_eq!(methods("users/"), ["get", "post"]);
        assert_eq!(found.len(), 4);
    }
}
