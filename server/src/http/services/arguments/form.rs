//! The arguments in a form, as pages, `curl -d` and `curl -F` send them.
//!
//! A field is an argument by name; its text means what it would mean in a query. Names that come several times are
//! one argument, a list.

use std::convert::Infallible;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::stream;
use multer::{Field, Multipart};
use polyfn_core::{ErrorKind, Map, Value};

use super::{invalid, json, media_type, query_value};
use crate::http::problem::Problem;

/// Fields of one form.
const FIELDS_MAX: usize = 1000;

/// The fields of `a=1&b=2`.
///
/// # Errors
/// 400 for an object that is no JSON, 413 for too many fields.
pub(super) fn of_pairs(body: &[u8]) -> Result<Map, Problem> {
    let mut fields = Fields::default();
    for (name, text) in form_urlencoded::parse(body) {
        fields.add(&name, query_value::read(&text).map_err(invalid)?)?;
    }
    Ok(fields.done())
}

/// The parts of a `multipart/form-data` body. A part with a file name is its bytes, one in JSON what that says, one
/// of another type than text its bytes.
///
/// # Errors
/// 400 for what is no such body, 413 for too many parts.
pub(super) async fn of_parts(headers: &HeaderMap, body: Bytes) -> Result<Map, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind).map_err(|error| invalid(error.to_string()))?;
    let mut parts = Multipart::new(stream::iter([Ok::<_, Infallible>(body)]), boundary);
    let mut fields = Fields::default();
    while let Some(part) = parts.next_field().await.map_err(|error| invalid(error.to_string()))? {
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(invalid(
                "a part has no name: `content-disposition: form-data; name=\"...\"` is missing",
            ));
        };
        let value = of_part(part).await?;
        fields.add(&name, value)?;
    }
    Ok(fields.done())
}

async fn of_part(part: Field<'_>) -> Result<Value, Problem> {
    let is_file = part.file_name().is_some();
    let media = part.headers().get(header::CONTENT_TYPE).map(media_type).unwrap_or_default();
    let data = part.bytes().await.map_err(|error| invalid(error.to_string()))?;
    match media.as_str() {
        "application/json" if !is_file => json(&data),
        "" | "text/plain" if !is_file => {
            let text = std::str::from_utf8(&data).map_err(|_| invalid("a field is no text in UTF-8"))?;
            query_value::read(text).map_err(invalid)
        }
        _ => Ok(Value::Bytes(data)),
    }
}

/// What was found so far, in its order.
#[derive(Default)]
struct Fields {
    found: Map,
    /// Names that came several times.
    lists: Vec<String>,
    count: usize,
}

impl Fields {
    fn add(&mut self, name: &str, value: Value) -> Result<(), Problem> {
        self.count += 1;
        if self.count > FIELDS_MAX {
            let text = format!("a form may have {FIELDS_MAX} fields, send more of them as JSON");
            return Err(Problem::new(ErrorKind::TooLarge, text));
        }
        // it says which service is meant
        if name == "_mode" {
            return Ok(());
        }
        let Some(before) = self.found.remove(name) else {
            self.found.insert(name, value);
            return Ok(());
        };
        let list = match before {
            Value::List(mut list) if self.lists.iter().any(|known| known == name) => {
                list.push(value);
                list
            }
            one => {
                self.lists.push(name.to_owned());
                vec![one, value]
            }
        };
        self.found.insert(name, Value::List(list));
        Ok(())
    }

    fn done(self) -> Map {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(map: Result<Map, Problem>) -> Result<String, u16> {
        let map = map.map_err(|problem| problem.status().as_u16())?;
        Ok(Value::Map(map).to_json().unwrap().to_string())
    }

    #[test]
    fn fields_mean_what_they_would_in_a_query() {
        for (body, expected) in [
            (&b"a=1&b=x+y&c=%C3%BC&d="[..], Ok(r#"{"a":1,"b":"x y","c":"\u00fc","d":""}"#)),
            (b"a=1&a=[2]&a={\"x\":3}&_mode=first", Ok(r#"{"a":[1,"[2]",{"x":3}]}"#)),
            (b"a=%7Bx", Err(400)),
        ] {
            let expected = expected.map(|text| text.replace("\\u00fc", "\u{fc}"));
            assert_eq!(shown(of_pairs(body)), expected);
        }
        assert_eq!(shown(of_pairs("a=1&".repeat(FIELDS_MAX + 1).as_bytes())), Err(413));
    }

    async fn parts(boundary: &str, body: &str) -> Result<Map, Problem> {
        let mut headers = HeaderMap::new();
        let kind = format!("multipart/form-data; boundary={boundary}");
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        of_parts(&headers, Bytes::from(body.replace('\n', "\r\n"))).await
    }

    #[tokio::test]
    async fn parts_are_text_json_or_bytes() {
        let body = "--b\nContent-Disposition: form-data; name=\"n\"\n\n5\n\
                    --b\nContent-Disposition: form-data; name=\"j\"\nContent-Type: application/json; charset=utf-8\n\n[1,null]\n\
                    --b\nContent-Disposition: form-data; name=\"f\"; filename=\"x.json\"\nContent-Type: application/json\n\n[1]\n\
                    --b\nContent-Disposition: form-data; name=\"f\"; filename=\"y.bin\"\n\n\u{0}\n--b--\n";
        let found = parts("b", body).await.unwrap();
        let bytes = |text: &'static str| Value::Bytes(Bytes::from_static(text.as_bytes()));
        assert_eq!(found.get("n"), Some(&Value::from(5)));
        assert_eq!(found.get("j"), Some(&Value::from(vec![Value::from(1), Value::Nil])));
        assert_eq!(found.get("f"), Some(&Value::from(vec![bytes("[1]"), bytes("\0")])));
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        for (boundary, body) in [
            ("b", "--b\nContent-Disposition: form-data; name=\"a\"\n\n5"),
            ("b", "--b\nContent-Disposition: form-data\n\n5\n--b--\n"),
            (
                "b",
                "--b\nContent-Disposition: form-data; name=\"a\"\nContent-Type: application/json\n\n{\n--b--\n",
            ),
            ("", ""),
        ] {
            assert_eq!(shown(parts(boundary, body).await), Err(400), "{body}");
        }
    }
}
