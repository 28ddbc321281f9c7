//! Names and values that may repeat: query strings, forms, and the parts of `multipart/form-data`.

use std::collections::HashMap;

use bytes::Bytes;

use super::media::Media;
use crate::{Error, Map, Result, Value};

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

/// The parts of a body of `multipart/form-data`: fields as texts, files as `{filename, content_type, data}`.
///
/// # Errors
/// `invalid` for a body that does not have the form.
pub(super) fn multipart(media: &Media<'_>, body: &Bytes) -> Result<Map> {
    let boundary = media.parameter("boundary").filter(|boundary| (1..=70).contains(&boundary.len()));
    let boundary =
        boundary.ok_or_else(|| Error::invalid("the multipart body has no `boundary` in its content type"))?;
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut fields = Fields::default();
    let mut at = match body.strip_prefix(&delimiter[2..]) {
        Some(_) => delimiter.len() - 2,
        None => after(body, 0, &delimiter).ok_or_else(torn)?,
    };
    loop {
        if body[at..].starts_with(b"--") {
            return Ok(fields.into_map());
        }
        // there may be blanks behind the boundary
        let start = at + body[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if !body[start..].starts_with(b"\r\n") {
            return Err(torn());
        }
        let next = after(body, start, &delimiter).ok_or_else(torn)?;
        let (name, value) = part(&body.slice(start..next - delimiter.len()))?;
        fields.add(name, value);
        at = next;
    }
}

/// Where `needle` ends in `body`, from `start` on.
fn after(body: &[u8], start: usize, needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(&body[start..], needle).map(|at| start + at + needle.len())
}

fn torn() -> Error {
    Error::invalid("the multipart body is torn: a boundary is missing or has something behind it")
}

/// One part, from the line break before its headers on.
fn part(part: &Bytes) -> Result<(String, Value)> {
    let end = after(part, 0, b"\r\n\r\n")
        .ok_or_else(|| Error::invalid("a part of the multipart body has no headers"))?;
    let head = String::from_utf8_lossy(&part[..end - 4]);
    let header = |wanted: &str| {
        let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines
            .into_iter()
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
    };
    let disposition = Media::new(header("content-disposition").unwrap_or_default());
    let name = disposition.parameter("name").filter(|_| disposition.is("form-data"));
    let name = name.ok_or_else(|| Error::invalid("a part of the multipart body has no name"))?.into_owned();
    let (kind, data) = (header("content-type"), part.slice(end..));
    let Some(filename) = disposition.parameter("filename") else {
        let text = std::str::from_utf8(&data).map(Value::from);
        return Ok((name, text.unwrap_or(Value::Bytes(data))));
    };
    let file = [
        ("filename", Value::from(&*filename)),
        ("content_type", kind.unwrap_or("application/octet-stream").into()),
        ("data", data.into()),
    ];
    Ok((name, Value::Map(file.into_iter().collect())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=\"-x\"";

    fn parts(body: &'static str) -> Result<Map> {
        multipart(&Media::new(KIND), &Bytes::from_static(body.as_bytes()))
    }

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
        let map = parts(
            "preamble\r\n---x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n---x \r\n\
             content-disposition: form-data; name=a\r\n\r\n\r\n---x\r\n\
             Content-Disposition: form-data; name=\"f\"; filename=\"x;y.txt\"\r\nContent-Type: text/x\r\n\r\n\
             1\r\n--2\r\n---x--\r\nepilogue",
        )
        .unwrap();
        assert_eq!(map.get("a"), Some(&Value::List(vec!["one".into(), "".into()])));
        let file = map.get("f").and_then(Value::as_map).unwrap();
        assert_eq!((file.text("filename"), file.text("content_type")), (Some("x;y.txt"), Some("text/x")));
        assert_eq!(file.get("data"), Some(&Value::Bytes(Bytes::from_static(b"1\r\n--2"))));
        assert!(parts("---x--").unwrap().is_empty());
    }

    #[test]
    fn torn_bodies_are_refused() {
        for body in [
            "",
            "---y\r\n",
            "---x",
            "---x\r\nContent-Disposition: form-data; name=a\r\n\r\n1",
            "---xy\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n---x--",
            "---x\r\nContent-Disposition: form-data; name=a\r\n---x--",
            "---x\r\nContent-Disposition: form-data\r\n\r\n1\r\n---x--",
            "---x\r\nX: y\r\n\r\n1\r\n---x--",
        ] {
            assert!(parts(body).is_err(), "{body:?}");
        }
        assert!(multipart(&Media::new("multipart/form-data"), &Bytes::from_static(b"---x--")).is_err());
    }
}
