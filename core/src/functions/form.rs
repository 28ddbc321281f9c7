//! Bodies of HTML forms: `application/x-www-form-urlencoded` and `multipart/form-data`.

use bytes::Bytes;

use crate::{Error, Result};

/// Fields of one form; more are refused.
const MAX_FIELDS: usize = 1000;
/// Bytes of the headers of one part.
const MAX_PART_HEAD: usize = 16 << 10;

/// One field of a form, in the order in which they were sent; a name may come more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// What was put in.
    pub content: Content,
}

/// What was put into a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text(String),
    /// A file.
    File {
        /// Its name where it comes from.
        filename: String,
        /// What the browser takes it for.
        content_type: String,
        /// What is in it: a part of the body, not a copy.
        data: Bytes,
    },
}

/// Reads the body of a form. What is not UTF-8 in names and texts is replaced by `U+FFFD`.
///
/// ```
/// use polyfn_core::functions::{Content, parse_form};
/// let fields = parse_form("application/x-www-form-urlencoded", &"name=J%C3%BCrgen+B".into())?;
/// assert_eq!(fields[0].name, "name");
/// assert_eq!(fields[0].content, Content::Text("Jürgen B".into()));
/// # Ok::<_, polyfn_core::Error>(())
/// ```
///
/// # Errors
/// `invalid` for another content type and for a body that is torn, `too_large` for more than 1000 fields.
pub fn parse_form(content_type: &str, body: &Bytes) -> Result<Vec<Field>> {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return urlencoded(body);
    }
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(Error::invalid(format!("the body is no form: its content type is `{essence}`")));
    }
    let boundary = parameter(parameters, "boundary").filter(|boundary| !boundary.is_empty());
    let boundary = boundary.ok_or_else(|| Error::invalid("the content type of the form has no boundary"))?;
    multipart(&boundary, body)
}

fn urlencoded(body: &[u8]) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        check_count(fields.len())?;
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = pair.get(at + 1..).unwrap_or_default();
        fields.push(Field { name: decoded(&pair[..at]), content: Content::Text(decoded(value)) });
    }
    Ok(fields)
}

/// Plus signs are spaces, percent signs begin codes; one that begins none stands for itself.
fn decoded(text: &[u8]) -> String {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_encoding::percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

fn multipart(boundary: &str, body: &Bytes) -> Result<Vec<Field>> {
    let torn = || Error::invalid("the form is torn: a part has no end");
    let delimiter = format!("--{boundary}");
    let inner = format!("\r\n{delimiter}");
    let start = match body.strip_prefix(delimiter.as_bytes()) {
        Some(_) => delimiter.len(),
        // what stands before the first part is nothing
        None => find(body, inner.as_bytes(), 0).ok_or_else(torn)? + inner.len(),
    };
    let (mut at, mut fields) = (start, Vec::new());
    loop {
        let rest = body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        check_count(fields.len())?;
        let spaces = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        // the line break behind the delimiter may be the whole head's end
        let head_start = at + spaces;
        let window = &body[head_start..body.len().min(head_start + MAX_PART_HEAD)];
        let head_len = find(window, b"\r\n\r\n", 0).ok_or_else(torn)?;
        let data_start = head_start + head_len + 4;
        let end = find(body, inner.as_bytes(), data_start - 2).ok_or_else(torn)?;
        let data = body.slice(data_start.min(end)..end);
        fields.push(part(&body[head_start..head_start + head_len], data)?);
        at = end + inner.len();
    }
}

fn part(head: &[u8], data: Bytes) -> Result<Field> {
    let head = String::from_utf8_lossy(head);
    let header = |wanted: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(name, value)| name.trim().eq_ignore_ascii_case(wanted).then_some(value.trim()))
    };
    let (_, parameters) =
        header("content-disposition").and_then(|line| line.split_once(';')).unwrap_or_default();
    let name =
        parameter(parameters, "name").ok_or_else(|| Error::invalid("a part of the form has no name"))?;
    let content = match parameter(parameters, "filename") {
        None => Content::Text(String::from_utf8_lossy(&data).into_owned()),
        Some(filename) => {
            let content_type = header("content-type").unwrap_or("application/octet-stream").to_owned();
            Content::File { filename, content_type, data }
        }
    };
    Ok(Field { name, content })
}

/// A parameter such as `name="a"` behind a header's value. Browsers write quotes in names as `%22`.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t']);
        let (name, behind) = rest.split_once('=')?;
        let (value, after) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, after) = behind.split_at(behind.find(';').unwrap_or(behind.len()));
                (value.trim().to_owned(), after)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"));
        }
        rest = after;
    }
}

/// A quoted text, and what stands behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    None
}

/// Where `needle` is in `hay`, from `start` on.
fn find(hay: &[u8], needle: &[u8], start: usize) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = start;
    while let Some(step) = hay.get(at..)?.iter().position(|byte| *byte == first) {
        at += step;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn check_count(count: usize) -> Result<()> {
    if count < MAX_FIELDS {
        return Ok(());
    }
    Err(Error::too_large(format!("a form may have {MAX_FIELDS} fields")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, text: &str) -> Field {
        Field { name: name.into(), content: Content::Text(text.into()) }
    }

    #[test]
    fn pairs_are_decoded() {
        let parsed =
            parse_form("application/x-www-form-urlencoded; charset=UTF-8", &"a=1&a=&b+c&%&=x&d=%zz".into());
        let expected =
            [text("a", "1"), text("a", ""), text("b c", ""), text("%", ""), text("", "x"), text("d", "%zz")];
        assert_eq!(parsed.unwrap(), expected);
        assert_eq!(parse_form("application/x-www-form-urlencoded", &Bytes::new()), Ok(Vec::new()));
    }

    const BODY: &str = "preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--not\r\n--x y\r\n\
        content-disposition: form-data; name=\"f\"; filename=\"C:\\\\a%22b;.txt\"\r\ncontent-type: text/plain\r\n\r\n\
        \r\n\0\r\n--x y\r\nContent-Disposition: form-data; name=e\r\n\r\n\r\n--x y--\r\nepilogue";

    #[test]
    fn parts_are_taken_apart() {
        let fields = parse_form("Multipart/Form-Data; boundary=\"x y\"", &BODY.into()).unwrap();
        let file = Content::File {
            filename: "C:\\a\"b;.txt".into(),
            content_type: "text/plain".into(),
            data: "\r\n\0".into(),
        };
        assert_eq!(
            fields,
            [text("a", "one\r\n--not"), Field { name: "f".into(), content: file }, text("e", "")]
        );
        assert_eq!(parse_form("multipart/form-data; boundary=x", &"--x--".into()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_torn_is_refused_wherever_it_is_cut() {
        for end in 0..BODY.len() - "--\r\nepilogue".len() {
            let cut = Bytes::from_static(&BODY.as_bytes()[..end]);
            assert!(parse_form("multipart/form-data; boundary=\"x y\"", &cut).is_err(), "{end}");
        }
        let nameless = "--x\r\n\r\n\r\n--x--";
        for (kind, body) in [
            ("text/plain", ""),
            ("", ""),
            ("multipart/form-data", "--x--"),
            ("multipart/form-data; boundary=x", nameless),
            ("multipart/form-data; boundary=x", ""),
        ] {
            assert!(parse_form(kind, &body.into()).is_err(), "{kind} {body}");
        }
        let many = "a&".repeat(1001);
        assert_eq!(
            parse_form("application/x-www-form-urlencoded", &many.into()).unwrap_err().kind(),
            crate::ErrorKind::TooLarge
        );
    }
}
