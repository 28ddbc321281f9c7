//! Headers that a user adds to the requests that reach the server.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{Error, Result};

/// What a connection needs for itself.
const RESERVED: [&str; 5] = ["connection", "content-length", "host", "transfer-encoding", "upgrade"];

/// Reads names and values.
///
/// # Errors
/// `invalid` for what is no header, and for headers that belong to the connection itself.
pub(super) fn read(given: &[(String, String)]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let key = HeaderName::try_from(name)
            .map_err(|_| Error::invalid(format!("`{name}` is not the name of a header")))?;
        if RESERVED.contains(&key.as_str()) || key.as_str().starts_with("sec-websocket-") {
            return Err(Error::invalid(format!("the header `{name}` belongs to the connection itself")));
        }
        // Not shown: what is sent along is often a secret.
        let value = HeaderValue::try_from(value)
            .map_err(|_| Error::invalid(format!("the value of the header `{name}` cannot be sent")))?;
        headers.append(key, value);
    }
    Ok(headers)
}

/// Adds them to a request; where the protocol has one of that name already, that one stays.
pub(super) fn add(more: &HeaderMap, headers: &mut HeaderMap) {
    for name in more.keys().filter(|name| !headers.contains_key(*name)).cloned().collect::<Vec<_>>() {
        for value in more.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: &str) -> Result<HeaderMap> {
        read(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn headers_that_cannot_be_sent_are_refused() {
        for (name, value) in
            [("a b", "c"), ("", "c"), ("x", "a\nb"), ("Host", "h"), ("Sec-WebSocket-Key", "k")]
        {
            assert!(given(name, value).is_err(), "{name}: {value}");
        }
    }

    #[test]
    fn the_protocol_goes_before_the_user() {
        let mut headers = given("authorization", "Bearer of the protocol").unwrap_or_default();
        let more = read(&[
            ("Authorization".to_owned(), "of the user".to_owned()),
            ("X-Two".to_owned(), "1".to_owned()),
            ("x-two".to_owned(), "2".to_owned()),
        ]);
        add(&more.unwrap_or_default(), &mut headers);
        let told: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let expected: [(&str, &[u8]); 3] =
            [("authorization", b"Bearer of the protocol"), ("x-two", b"1"), ("x-two", b"2")];
        assert_eq!(told, expected);
    }
}
