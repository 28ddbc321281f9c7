//! A user as an auth service tells of it.

use polyfn_core::{Error, Map, Result, Value};

use crate::auth::{Permission, Scope, UserInfo};

/// Bytes of a name, and how many roles or workspaces there may be.
const NAME_MAX: usize = 200;
const LIST_MAX: usize = 1000;

fn wrong(what: &str) -> Error {
    Error::invalid(format!("ValueError: {what}"))
}

/// The user that `told` describes: `id`, and `roles`, `scope`, `email`, `expires_at`, `is_anonymous`, `parent`. The scope is
/// one of the words of tokens, or an object with `workspaces` (rights by name), `current_workspace`, `client_id` and
/// `extra_scopes`.
pub(super) fn read(told: Value) -> Result<UserInfo> {
    let Value::Map(told) = told else { return Err(wrong("a user is an object with an 'id'")) };
    let id = text(&told, "id")?.filter(|id| is_name(id)).ok_or_else(|| {
        wrong("'id' must be a name of 1 to 200 bytes, without white space and any of / : @ * #")
    })?;
    let mut roles = texts(&told, "roles")?;
    if told.get("is_anonymous").and_then(Value::as_bool) == Some(true) {
        roles.push("anonymous".to_owned());
    }
    if roles.is_empty() {
        roles.push("user".to_owned());
    }
    let expires_at = match told.get("expires_at") {
        None | Some(Value::Nil) => None,
        Some(value) => {
            Some(value.as_float().ok_or_else(|| wrong("'expires_at' must be seconds since 1970"))?)
        }
    };
    let user = UserInfo {
        scope: scope(told.get("scope"))?,
        email: text(&told, "email")?,
        parent: text(&told, "parent")?,
        roles,
        expires_at,
        id,
        ..UserInfo::default()
    };
    Ok(user.endowed())
}

fn is_name(id: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "/:@*#".contains(c);
    !id.is_empty() && id.len() <= NAME_MAX && !id.contains(bad)
}

fn scope(told: Option<&Value>) -> Result<Scope> {
    let told = match told {
        None | Some(Value::Nil) => return Ok(Scope { extra_scopes: Some(Vec::new()), ..Scope::default() }),
        Some(Value::Text(words)) => return Ok(Scope::parse(words)),
        Some(Value::Map(told)) => told,
        Some(_) => return Err(wrong("'scope' must be a string or an object")),
    };
    let mut scope = Scope {
        current_workspace: text(told, "current_workspace")?,
        client_id: text(told, "client_id")?,
        extra_scopes: Some(texts(told, "extra_scopes")?),
        ..Scope::default()
    };
    let workspaces = match told.get("workspaces") {
        None | Some(Value::Nil) => return Ok(scope),
        Some(Value::Map(workspaces)) if workspaces.len() <= LIST_MAX => workspaces,
        Some(_) => return Err(wrong("'workspaces' must be an object of at most 1000 rights by name")),
    };
    for (name, right) in workspaces.iter() {
        let word = right.as_text().unwrap_or_default();
        let right = Permission::from_letter(word).or_else(|| Permission::from_word(word));
        let right = right.ok_or_else(|| wrong("a right is one of r, rw, a, read, read_write and admin"))?;
        scope.allow(name, right);
    }
    Ok(scope)
}

fn text(told: &Map, key: &str) -> Result<Option<String>> {
    match told.get(key) {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(&format!("'{key}' must be a string"))),
    }
}

fn texts(told: &Map, key: &str) -> Result<Vec<String>> {
    let list = match told.get(key) {
        None | Some(Value::Nil) => return Ok(Vec::new()),
        Some(list) => list.as_list().filter(|list| list.len() <= LIST_MAX),
    };
    let texts = list.and_then(|list| list.iter().map(|text| text.as_text().map(str::to_owned)).collect());
    texts.ok_or_else(|| wrong(&format!("'{key}' must be a list of strings")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: serde_json::Value) -> Result<UserInfo> {
        read(Value::from(json))
    }

    #[test]
    fn a_user_has_what_it_is_said_to_have() {
        let user = told(serde_json::json!({
            "id": "ann", "email": "a@b.c", "scope": {"workspaces": {"lab-one": "rw"}, "current_workspace": "lab-one"},
        }))
        .unwrap();
        assert_eq!((user.roles.as_slice(), user.is_anonymous), (&["user".to_owned()][..], false));
        assert!(user.may(Permission::Admin, "ws-user-ann") && user.may(Permission::ReadWrite, "lab-one"));
        assert!(!user.may(Permission::Admin, "lab-one") && !user.may(Permission::Read, "lab-two"));
        assert_eq!(user.current_workspace.as_deref(), Some("lab-one"));
        let admin = told(serde_json::json!({"id": "boss", "roles": ["admin"], "scope": "ws:x-y#r"})).unwrap();
        assert!(admin.may(Permission::Admin, "any") && told(serde_json::json!({"id": "x"})).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_no_user() {
        for json in [
            serde_json::json!("ann"),
            serde_json::json!({}),
            serde_json::json!({"id": "a b"}),
            serde_json::json!({"id": "a/b"}),
            serde_json::json!({"id": "ann", "roles": "admin"}),
            serde_json::json!({"id": "ann", "scope": 5}),
            serde_json::json!({"id": "ann", "scope": {"workspaces": {"lab": "all"}}}),
            serde_json::json!({"id": "ann", "expires_at": "soon"}),
        ] {
            assert!(told(json.clone()).is_err(), "{json}");
        }
    }
}
