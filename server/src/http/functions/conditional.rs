//! Answers that a caller has already, and parts of answers (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, Method, header};
use bytes::Bytes;
use polyfn_core::functions::Response;

/// Makes of a whole answer what the caller asked for: nothing where it has the answer already, a part where it wants
/// a part of a body of bytes.
pub(super) fn prepare(answer: &mut Response, method: &Method, request: &HeaderMap) {
    if answer.status != 200 || !(method == Method::GET || method == Method::HEAD) {
        return;
    }
    if is_known(answer, request) {
        answer.status = 304;
        answer.body = Bytes::new();
        answer.headers.retain(|(name, _)| name != "content-type");
        return;
    }
    let decides_itself = ["content-encoding", "accept-ranges", "content-range"];
    if !answer.octets || decides_itself.iter().any(|name| value(answer, name).is_some()) {
        return;
    }
    answer.headers.push(("accept-ranges".to_owned(), "bytes".to_owned()));
    let Some(asked) = text(request, &header::RANGE).filter(|_| method == Method::GET) else { return };
    if is_still_the_same(answer, request) {
        take_part(answer, asked);
    }
}

fn value<'a>(answer: &'a Response, wanted: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

fn text<'a>(request: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    request.get(name)?.to_str().ok()
}

/// Whether the caller has the answer already, by its tag or else by its time.
fn is_known(answer: &Response, request: &HeaderMap) -> bool {
    if request.contains_key(header::IF_NONE_MATCH) {
        let lines = request.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
        let tag = value(answer, "etag").map(opaque);
        return tag.is_some_and(|tag| lines.flat_map(tags).any(|known| known == "*" || opaque(known) == tag));
    }
    let Some(since) = text(request, &header::IF_MODIFIED_SINCE) else { return false };
    let times = value(answer, "last-modified").map(|made| (httpdate::parse_http_date(made), since));
    times.is_some_and(|(made, since)| match (made, httpdate::parse_http_date(since)) {
        (Ok(made), Ok(since)) => made <= since,
        _ => false,
    })
}

/// A tag without the sign that it is weak.
fn opaque(tag: &str) -> &str {
    tag.trim().strip_prefix("W/").unwrap_or(tag.trim())
}

/// The tags of a list; a comma may stand in a tag.
fn tags(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .map(str::trim)
    .filter(|tag| !tag.is_empty())
}

/// Whether `if-range` lets a part be sent: what the caller has the rest of is this very answer.
fn is_still_the_same(answer: &Response, request: &HeaderMap) -> bool {
    match text(request, &header::IF_RANGE) {
        None => !request.contains_key(header::IF_RANGE),
        Some(tag) if tag.starts_with('"') => value(answer, "etag") == Some(tag),
        Some(tag) if tag.starts_with("W/") => false,
        Some(time) => value(answer, "last-modified") == Some(time),
    }
}

fn take_part(answer: &mut Response, asked: &str) {
    let len = answer.body.len();
    match part(asked, len) {
        // what is no range, or are several, is answered whole
        None => {}
        Some(None) => {
            answer.status = 416;
            answer.body = Bytes::new();
            answer.headers.retain(|(name, _)| name != "content-type");
            answer.headers.push(("content-range".to_owned(), format!("bytes */{len}")));
        }
        Some(Some(range)) => {
            answer.status = 206;
            let place = format!("bytes {}-{}/{len}", range.start, range.end - 1);
            answer.headers.push(("content-range".to_owned(), place));
            answer.body = answer.body.slice(range);
        }
    }
}

/// The bytes of one range; `Some(None)` when it lies outside.
fn part(asked: &str, len: usize) -> Option<Option<Range<usize>>> {
    let (unit, range) = asked.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    if first.is_empty() {
        let suffix = number(last)?;
        let inside = suffix > 0 && len > 0;
        return Some(inside.then(|| len.saturating_sub(suffix)..len));
    }
    let start = number(first)?;
    let end = if last.is_empty() { len } else { number(last)?.saturating_add(1).min(len) };
    if !last.is_empty() && number(last)? < start {
        return None;
    }
    Some((start < len).then_some(start..end))
}

/// Digits only; a number too large for us is as good as the largest.
fn number(text: &str) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn prepared(method: &Method, own: &[(&str, &str)], request: &[(HeaderName, &str)]) -> Response {
        let mut headers = vec![("content-type".to_owned(), "x/y".to_owned())];
        headers.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let body = Bytes::from_static(b"0123456789");
        let mut answer = Response { status: 200, headers, body, stream: None, octets: true };
        let request = request.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        prepare(&mut answer, method, &request);
        answer
    }

    #[test]
    fn what_the_caller_has_is_not_sent_again() {
        let (tag, time) = (header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE);
        let own = [("etag", "\"a,b\""), ("last-modified", DATE)];
        for (own, request, status) in [
            (&own[..], vec![(tag.clone(), "\"a,b\"")], 304),
            (&own, vec![(tag.clone(), "\"c\", W/\"a,b\"")], 304),
            (&own, vec![(tag.clone(), "*")], 304),
            (&own, vec![(tag.clone(), "\"a\"")], 200),
            (&own, vec![(tag.clone(), "\"x\""), (time.clone(), DATE)], 200),
            (&own, vec![(time.clone(), DATE)], 304),
            (&own, vec![(time.clone(), "Sun, 06 Nov 1994 08:49:38 GMT")], 304),
            (&own, vec![(time.clone(), "Sun, 06 Nov 1994 08:49:36 GMT")], 200),
            (&own, vec![(time.clone(), "yesterday")], 200),
            (&[], vec![(tag.clone(), "*")], 200),
            (&[("etag", "W/\"a\"")], vec![(tag.clone(), "\"a\"")], 304),
        ] {
            let answer = prepared(&Method::GET, own, &request);
            assert_eq!(answer.status, status, "{request:?}");
            assert_eq!(answer.body.is_empty(), status == 304);
            assert_eq!(value(&answer, "etag"), own.first().map(|(_, tag)| *tag), "{request:?}");
        }
        assert_eq!(prepared(&Method::HEAD, &own, &[(tag.clone(), "*")]).status, 304);
        assert_eq!(prepared(&Method::POST, &own, &[(tag, "*")]).status, 200);
    }

    #[test]
    fn parts_of_bytes_are_cut_out() {
        for (range, status, body, place) in [
            ("bytes=0-0", 206, "0", "bytes 0-0/10"),
            ("bytes=2-4", 206, "234", "bytes 2-4/10"),
            ("Bytes= 7-", 206, "789", "bytes 7-9/10"),
            ("bytes=-3", 206, "789", "bytes 7-9/10"),
            ("bytes=-30", 206, "0123456789", "bytes 0-9/10"),
            ("bytes=8-99999999999999999999999", 206, "89", "bytes 8-9/10"),
            ("bytes=10-", 416, "", "bytes */10"),
            ("bytes=99999999999999999999999-", 416, "", "bytes */10"),
            ("bytes=-0", 416, "", "bytes */10"),
            ("bytes=4-2", 200, "0123456789", ""),
            ("bytes=0-1,3-4", 200, "0123456789", ""),
            ("bytes=a-b", 200, "0123456789", ""),
            ("bytes=+1-2", 200, "0123456789", ""),
            ("bytes", 200, "0123456789", ""),
            ("lines=0-1", 200, "0123456789", ""),
        ] {
            let answer = prepared(&Method::GET, &[], &[(header::RANGE, range)]);
            assert_eq!((answer.status, &answer.body[..]), (status, body.as_bytes()), "{range}");
            assert_eq!(value(&answer, "content-range").unwrap_or_default(), place, "{range}");
            assert_eq!(value(&answer, "accept-ranges"), Some("bytes"));
        }
        let own = [("content-encoding", "br")];
        assert_eq!(prepared(&Method::GET, &own, &[(header::RANGE, "bytes=0-0")]).status, 200);
        assert_eq!(prepared(&Method::HEAD, &[], &[(header::RANGE, "bytes=0-0")]).status, 200);
        assert_eq!(prepared(&Method::POST, &[], &[(header::RANGE, "bytes=0-0")]).status, 200);
    }

    #[test]
    fn a_part_of_another_version_is_not_sent() {
        let own = [("etag", "\"a\""), ("last-modified", DATE)];
        let of = |same: &'static str| {
            prepared(&Method::GET, &own, &[(header::RANGE, "bytes=0-0"), (header::IF_RANGE, same)]).status
        };
        assert_eq!([of("\"a\""), of("\"b\""), of("W/\"a\""), of(DATE)], [206, 200, 200, 206]);
        assert_eq!(of("Sun, 06 Nov 1994 08:49:36 GMT"), 200);
    }
}
