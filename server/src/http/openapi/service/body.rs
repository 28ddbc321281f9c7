//! In what forms the arguments of a function may be sent.

use serde_json::{Map, Value as Json, json};

/// What forms cannot say: they are mentioned where forms are offered.
const OF_FORMS: &str = "The arguments by name. In a form, a field that looks like a number is one, and a name that comes \
                        several times is a list.";

/// The body of a call, by the schema of its arguments: JSON, msgpack, and forms where all that is needed can be said in one.
pub(super) fn describe(parameters: &Json) -> Json {
    let is_needed = parameters["required"].as_array().is_some_and(|names| !names.is_empty());
    let mut content = Map::new();
    for kind in ["application/json", "application/msgpack"] {
        content.insert(kind.to_owned(), json!({"schema": parameters}));
    }
    if let Some(fields) = fields(parameters) {
        content.insert("application/x-www-form-urlencoded".to_owned(), json!({"schema": fields}));
    }
    let mut parts = json!({"schema": parameters});
    let encoding = encoding(parameters);
    if !encoding.is_empty() {
        parts["encoding"] = encoding.into();
    }
    content.insert("multipart/form-data".to_owned(), parts);
    json!({"required": is_needed, "description": OF_FORMS, "content": content})
}

/// The schema of a form in a query's form: without the arguments that cannot be written so; nothing when one of those is
/// needed.
fn fields(parameters: &Json) -> Option<Json> {
    let mut fields = parameters.clone();
    let Some(properties) = fields.get_mut("properties").and_then(Json::as_object_mut) else {
        return Some(fields);
    };
    properties.retain(|_, schema| is_text(schema));
    let needed = parameters["required"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let is_there = |name: &str| properties.contains_key(name) || parameters["properties"].get(name).is_none();
    needed.into_iter().all(is_there).then_some(fields)
}

/// Whether a text can stand for a value of this schema: a number, or itself. A list can not: one item would be no list.
fn is_text(schema: &Json) -> bool {
    let is_plain = |kind: &Json| ["string", "integer", "number"].iter().any(|plain| kind == plain);
    match &schema["type"] {
        Json::Array(kinds) => kinds.iter().any(is_plain),
        kind => is_plain(kind),
    }
}

/// The parts of a form that are written in JSON: all that are no plain texts.
fn encoding(parameters: &Json) -> Map<String, Json> {
    let properties = parameters["properties"].as_object().into_iter().flatten();
    let others = properties.filter(|(_, schema)| schema["type"] != "string");
    others.map(|(name, _)| (name.clone(), json!({"contentType": "application/json"}))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_hold_what_can_be_said_in_them() {
        let parameters = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "string"}, "n": {"type": ["integer", "null"]}, "many": {"type": "array", "items": {"type": "number"}},
            "loud": {"type": "boolean"}, "any": {}}});
        let body = describe(&parameters);
        assert_eq!(body["required"], true);
        let content = body["content"].as_object().unwrap();
        assert_eq!(content["application/msgpack"]["schema"], parameters);
        let form = &content["application/x-www-form-urlencoded"]["schema"]["properties"];
        assert_eq!(form.as_object().unwrap().keys().collect::<Vec<_>>(), ["a", "n"]);
        let parts = &content["multipart/form-data"]["encoding"];
        assert_eq!(parts.as_object().unwrap().keys().collect::<Vec<_>>(), ["n", "many", "loud", "any"]);
    }

    #[test]
    fn a_form_that_cannot_be_filled_in_is_not_offered() {
        let offered = |parameters: &Json| describe(parameters)["content"].as_object().unwrap().len();
        let flag = json!({"type": "object", "required": ["on"], "properties": {"on": {"type": "boolean"}}});
        assert_eq!(offered(&flag), 3);
        assert_eq!(offered(&json!({"type": "object"})), 4);
        assert_eq!(describe(&json!({"type": "object"}))["required"], false);
    }
}
