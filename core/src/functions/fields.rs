//! Names and values that may repeat: query strings and forms.

use std::collections::HashMap;

use bytes::Bytes;

use super::form::{Content, Field, parse_form};
use crate::{Map, Result, Value};

/// Collects values by name: a name that comes once has its value, one that repeats the list of them.
#[derive(Default)]
struct Fields {
    entries: Vec<(String, Vec<Value>)>,
    places: HashMap<String, usize>,
}

impl Fields {
    fn add(&mut self, name: String, value: Value) {
        match self.places.get(&name) {
            Some(&at) => self.entries[at].1.push(value),
            None => {
                self.places.insert(name.clone(), self.entries.len());
                self.entries.push((name, vec![value]));
            }
        }
    }

    fn into_map(self) -> Map {
        let one = |mut values: Vec<Value>| match values.len() {
            1 => values.remove(0),
            _ => Value::List(values),
        };
        Map::from_distinct(self.entries.into_iter().map(|(name, values)| (name, one(values))).collect())
    }
}

/// `a=1&b=2&a=3` as `{a: ["1", "3"], b: "2"}`.
pub(super) fn pairs(text: &[u8]) -> Map {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(text) {
        fields.add(name.into_owned(), value.into_owned().into());
    }
    fields.into_map()
}

/// The fields of a form: texts, and files as `{filename, content_type, data}`.
///
/// # Errors
/// Those of [`parse_form`].
pub(super) fn form(content_type: &str, body: &Bytes) -> Result<Map> {
    let mut fields = Fields::default();
    for Field { name, content } in parse_form(content_type, body)? {
        fields.add(name, value(content));
    }
    Ok(fields.into_map())
}

fn value(content: Content) -> Value {
    match content {
        Content::Text(text) => text.into(),
        Content::File { filename, content_type, data } => {
            let texts = [("filename", filename), ("content_type", content_type)];
            let mut file: Map = texts.into_iter().collect();
            file.insert("data", data);
            file.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_make_lists() {
        let map = pairs(b"a=1&b=%E4%B8%96+x&a=&c&=e&__proto__=p");
        assert_eq!(map.get("a"), Some(&Value::List(vec!["1".into(), "".into()])));
        assert_eq!((map.text("b"), map.text("c"), map.text("")), (Some("世 x"), Some(""), Some("e")));
        assert_eq!(map.text("__proto__"), Some("p"));
        assert!(pairs(b"").is_empty());
    }

    #[test]
    fn fields_and_files_of_a_form() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--x\r\n\
             content-disposition: form-data; name=a\r\n\r\n\r\n--x\r\n\
             Content-Disposition: form-data; name=\"f\"; filename=\"y.txt\"\r\nContent-Type: text/x\r\n\r\n\
             12\r\n--x--";
        let map = form("multipart/form-data; boundary=x", &Bytes::from_static(body.as_bytes())).unwrap();
        assert_eq!(map.get("a"), Some(&Value::List(vec!["one".into(), "".into()])));
        let file = map.get("f").and_then(Value::as_map).unwrap();
        assert_eq!((file.text("filename"), file.text("content_type")), (Some("y.txt"), Some("text/x")));
        assert_eq!(file.get("data"), Some(&Value::Bytes(Bytes::from_static(b"12"))));
    }
}
