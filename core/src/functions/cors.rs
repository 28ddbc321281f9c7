//! What a service lets browsers do for pages of other origins: `config.cors`.

use crate::{Error, Map, Result, Value};

/// Keys of `config.cors`.
const KEYS: [&str; 6] = ["origins", "methods", "headers", "expose", "credentials", "max_age"];

/// Whose pages may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Those of every origin, without cookies.
    Any,
    /// Those of these origins; of none where the list is empty.
    These(Vec<String>),
}

/// The rules of one service. Lists are as they stand in a header: joined by commas.
///
/// ```
/// use polyfn_core::functions::{Cors, Origins};
/// use polyfn_core::{Map, Value};
/// let rules = Map::from_iter([("origins", Value::from("https://a.example")), ("credentials", true.into())]);
/// let cors = Cors::read(&Value::Map(rules))?.unwrap();
/// assert_eq!(cors.origins, Origins::These(vec!["https://a.example".into()]));
/// # Ok::<_, polyfn_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// `origins`: whose pages may read. `*`, one origin, or a list of them.
    pub origins: Origins,
    /// `methods` that pages may use; the server's usual ones without it.
    pub methods: Option<String>,
    /// `headers` that pages may send; those that they ask for without it.
    pub headers: Option<String>,
    /// `expose`: headers that pages may read.
    pub expose: Option<String>,
    /// `credentials`: whether the browser sends the user's cookies along; for named origins only.
    pub credentials: bool,
    /// `max_age`: seconds for which a browser remembers all this.
    pub max_age: Option<u32>,
}

impl Cors {
    /// Reads the rules; nil is none, `false` lets no other origin read, `true` lets all.
    ///
    /// # Errors
    /// `invalid` for what makes no sense, and for cookies together with every origin.
    pub fn read(value: &Value) -> Result<Option<Self>> {
        match value {
            Value::Nil => Ok(None),
            Value::Bool(true) => Ok(Some(Self::of(Origins::Any))),
            Value::Bool(false) => Ok(Some(Self::of(Origins::These(Vec::new())))),
            Value::Map(map) => Self::read_map(map).map(Some),
            _ => Err(Error::invalid("expected a map of rules, true or false")),
        }
    }

    const fn of(origins: Origins) -> Self {
        Self { origins, methods: None, headers: None, expose: None, credentials: false, max_age: None }
    }

    fn read_map(map: &Map) -> Result<Self> {
        if let Some((key, _)) = map.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
            return Err(Error::invalid(format!("`{key}` is no rule, use {}", KEYS.join(", "))));
        }
        let origins = match map.get("origins") {
            None | Some(Value::Nil) => Origins::Any,
            Some(value) => origins(value).map_err(|error| error.at(".origins"))?,
        };
        let credentials = match map.get("credentials") {
            None | Some(Value::Nil) => false,
            Some(value) => {
                value.as_bool().ok_or_else(|| Error::invalid("expected true or false").at(".credentials"))?
            }
        };
        if credentials && origins == Origins::Any {
            let text = "cookies are for named origins only: list them in `origins`";
            return Err(Error::invalid(text).at(".credentials"));
        }
        Ok(Self {
            origins,
            methods: tokens(map, "methods")?.map(|methods| methods.to_ascii_uppercase()),
            headers: tokens(map, "headers")?,
            expose: tokens(map, "expose")?,
            credentials,
            max_age: max_age(map)?,
        })
    }
}

fn origins(value: &Value) -> Result<Origins> {
    let list = texts(value).ok_or_else(|| Error::invalid("expected `*`, an origin or a list of them"))?;
    if list.contains(&"*") {
        return Ok(Origins::Any);
    }
    for origin in &list {
        check_origin(origin)?;
    }
    Ok(Origins::These(list.into_iter().map(str::to_owned).collect()))
}

/// An origin as browsers write it: no path, no slash at the end, lower case.
fn check_origin(origin: &str) -> Result<()> {
    let host = origin.split_once("://").map(|(_, host)| host);
    let is_plain = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@*,".contains(&byte))
    };
    let is_lower = !origin.bytes().any(|byte| byte.is_ascii_uppercase());
    if host.is_some_and(is_plain) && is_lower {
        return Ok(());
    }
    let shown: String = origin.chars().take(64).collect();
    Err(Error::invalid(format!("`{shown}` is no origin: write it as in `https://pages.example`")))
}

/// Names of methods or headers, as one header holds them.
fn tokens(map: &Map, key: &str) -> Result<Option<String>> {
    let value = match map.get(key) {
        None | Some(Value::Nil) => return Ok(None),
        Some(value) => value,
    };
    let is_token = |name: &&str| !name.is_empty() && name.bytes().all(super::response::is_name_byte);
    match texts(value) {
        Some(names) if names.iter().all(is_token) => Ok(Some(names.join(", "))),
        _ => Err(Error::invalid("expected a list of names").at(&format!(".{key}"))),
    }
}

fn max_age(map: &Map) -> Result<Option<u32>> {
    match map.get("max_age") {
        None | Some(Value::Nil) => Ok(None),
        Some(value) => {
            let seconds = value.as_int().and_then(|seconds| u32::try_from(seconds).ok());
            let wrong = || Error::invalid("expected a whole number of seconds").at(".max_age");
            seconds.map(Some).ok_or_else(wrong)
        }
    }
}

/// One text, or a list of them.
fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::Text(text) => Some(vec![text]),
        Value::List(items) => items.iter().map(Value::as_text).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Option<Cors>> {
        Cors::read(&Value::from(json))
    }

    #[test]
    fn rules_are_read() {
        let cors = read(serde_json::json!({"origins": ["https://a.example", "http://localhost:3000"],
            "methods": ["get", "PUT"], "headers": ["x-mine"], "expose": ["etag"], "credentials": true, "max_age": 5}));
        let cors = cors.unwrap().unwrap();
        assert_eq!(cors.methods.as_deref(), Some("GET, PUT"));
        assert_eq!((cors.headers.as_deref(), cors.expose.as_deref()), (Some("x-mine"), Some("etag")));
        assert_eq!((cors.credentials, cors.max_age), (true, Some(5)));
        assert_eq!(read(false.into()).unwrap().unwrap().origins, Origins::These(Vec::new()));
        assert_eq!(read(true.into()).unwrap().unwrap().origins, Origins::Any);
        assert_eq!(read(serde_json::Value::Null).unwrap(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (rules, place) in [
            (serde_json::json!({"origin": "*"}), "`origin` is no rule"),
            (serde_json::json!({"credentials": true}), "at .credentials: cookies"),
            (serde_json::json!({"origins": "*", "credentials": true}), "at .credentials: cookies"),
            (
                serde_json::json!({"origins": ["*", "https://a"], "credentials": true}),
                "at .credentials: cookies",
            ),
            (serde_json::json!({"credentials": 1}), "at .credentials: expected"),
            (serde_json::json!({"origins": 1}), "at .origins"),
            (serde_json::json!({"origins": "a.example"}), "at .origins"),
            (serde_json::json!({"origins": "https://a.example/"}), "at .origins"),
            (serde_json::json!({"origins": "https://A.example"}), "at .origins"),
            (serde_json::json!({"methods": ["GET, PUT"]}), "at .methods"),
            (serde_json::json!({"headers": ["a\r\nb"]}), "at .headers"),
            (serde_json::json!({"max_age": -1}), "at .max_age"),
        ] {
            let error = read(rules.clone()).unwrap_err();
            assert!(error.message().starts_with(place), "{rules}: {}", error.message());
        }
    }
}
