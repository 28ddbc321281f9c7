//! What a `Content-Type` says.

use std::borrow::Cow;

use super::response::is_name_byte;

/// A media type and its parameters, as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media<'a> {
    /// `text/plain` of `text/plain; charset=utf-8`.
    essence: &'a str,
    parameters: &'a str,
}

impl<'a> Media<'a> {
    pub(super) fn new(content_type: &'a str) -> Self {
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        Self { essence: essence.trim(), parameters }
    }

    /// Whether it is `essence`, whatever its case.
    pub(super) fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// Whether it begins with `prefix`, whatever its case.
    pub(super) fn begins_with(&self, prefix: &str) -> bool {
        self.essence.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    }

    /// Whether it is JSON: `*/json` or `*/*+json`.
    pub(super) fn is_json(&self) -> bool {
        let subtype = self.essence.split_once('/').map_or("", |(_, subtype)| subtype);
        let ending = subtype.rsplit_once('+').map_or(subtype, |(_, suffix)| suffix);
        ending.eq_ignore_ascii_case("json")
    }

    /// Whether it is text in UTF-8, said or not said.
    pub(super) fn is_utf8_text(&self) -> bool {
        let charset = self.parameter("charset");
        let is_utf8 = |name: Cow<'_, str>| {
            ["utf-8", "utf8", "us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        self.begins_with("text/") && charset.is_none_or(is_utf8)
    }

    /// Whether it has the form of a media type: two tokens with a slash between.
    pub(super) fn is_well_formed(&self) -> bool {
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(is_name_byte);
        self.essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
    }

    /// The value of a parameter, without the quotes around it.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.parameters;
        while !rest.is_empty() {
            let end = end_of_parameter(rest);
            let (key, value) = rest[..end].split_once('=').unwrap_or((&rest[..end], ""));
            if key.trim().eq_ignore_ascii_case(name) {
                return Some(unquoted(value.trim()));
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        None
    }
}

/// Where the first of some parameters ends: at the semicolon that stands in no quotes.
fn end_of_parameter(parameters: &str) -> usize {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in parameters.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted => return at,
            _ => {}
        }
    }
    parameters.len()
}

/// A value without the double quotes around it and the backslashes in it, RFC 9110 section 5.6.4.
pub(super) fn unquoted(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.into();
    };
    if !inner.contains('\\') {
        return inner.into();
    }
    let mut plain = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        plain.extend(if next == '\\' { rest.next() } else { Some(next) });
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found() {
        let media = Media::new(r#"Multipart/Form-Data; a=";b=\"1"; Boundary = "x y""#);
        assert!(media.is("multipart/form-data") && media.begins_with("multipart/"));
        assert_eq!(media.parameter("boundary").as_deref(), Some("x y"));
        assert_eq!(media.parameter("a").as_deref(), Some(";b=\"1"));
        assert_eq!(media.parameter("b"), None);
    }

    #[test]
    fn json_is_told_by_its_subtype() {
        for (kind, expected) in [
            ("application/json; charset=utf-8", true),
            ("application/ld+JSON", true),
            ("text/json", true),
            ("application/jsonp", false),
            ("json", false),
            ("application/json+xml", false),
        ] {
            assert_eq!(Media::new(kind).is_json(), expected, "{kind}");
        }
    }

    #[test]
    fn only_utf8_is_text() {
        for (kind, expected) in [
            ("text/plain", true),
            ("text/html; charset=\"UTF-8\"", true),
            ("text/plain; charset=latin1", false),
            ("application/xml", false),
        ] {
            assert_eq!(Media::new(kind).is_utf8_text(), expected, "{kind}");
        }
        assert!(Media::new("a/b").is_well_formed());
        assert!(!Media::new("a").is_well_formed() && !Media::new("a/b c").is_well_formed());
    }
}
