use super::*;

fn accepted(lines: &str) -> Result<Accepted, u16> {
    let mut request = HeaderMap::new();
    for line in lines.split('|').filter(|line| !line.is_empty()) {
        request.append(header::ACCEPT_ENCODING, line.parse().unwrap());
    }
    Accepted::read(&request).map_err(|problem| problem.status().as_u16())
}

#[test]
fn the_coding_that_is_liked_best_is_chosen() {
    for (lines, coding, refuses_plain) in [
        ("", None, false),
        ("gzip", Some("gzip"), false),
        ("gzip, deflate, br, zstd", Some("zstd"), false),
        ("gzip, deflate, br", Some("br"), false),
        ("gzip|br;q=0.9", Some("gzip"), false),
        ("GZIP;q=0.8, zstd;q=0.2, br;q=0.8", Some("br"), false),
        ("br;q=0, gzip;q=0.001", Some("gzip"), false),
        ("*", Some("zstd"), false),
        ("*;q=0.5, zstd;q=0", Some("br"), false),
        ("deflate, compress", None, false),
        ("gzip;q=0", None, false),
        ("identity, gzip;q=0.5", None, false),
        ("identity;q=0.5, gzip;q=0.5", Some("gzip"), false),
        ("identity;q=0, gzip;q=0.1", Some("gzip"), true),
        ("gzip, *;q=0", Some("gzip"), true),
        ("identity;q=0, *;q=0.2", Some("zstd"), true),
        ("identity;q=0, deflate", None, true),
        ("identity, *;q=0", None, false),
    ] {
        let found = accepted(lines).map(|accepted| (accepted.whole, accepted.refuses_plain));
        assert_eq!(found, Ok((coding, refuses_plain)), "{lines}");
    }
    let stream = |lines| accepted(lines).unwrap().stream;
    assert_eq!([stream("zstd, br, gzip"), stream("zstd, br, gzip;q=0.9")], [Some("gzip"), Some("br")]);
    for lines in ["identity;q=0", "*;q=0", "identity;q=0, gzip;q=0", "*;q=0, br;q=0.0"] {
        assert_eq!(accepted(lines), Err(406), "{lines}");
    }
}

async fn compressed(length: usize, kind: &str, lines: &str, more: &[(HeaderName, &str)]) -> HeaderMap {
    let mut response = Response::new(Body::from(vec![b'x'; length]));
    response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    for (name, value) in more {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    compress(&Method::GET, accepted(lines).unwrap(), response).await.headers().clone()
}

#[tokio::test]
async fn long_texts_are_compressed() {
    for (length, kind, lines, encoding, vary) in [
        (1000, "text/plain; charset=utf-8", "deflate, gzip;q=0.5", "gzip", true),
        (1000, "application/problem+json", "*", "zstd", true),
        (999, "text/plain", "gzip", "", false),
        (1000, "text/plain", "br", "br", true),
        (1000, "text/plain", "gzip;q=0", "", true),
        (1000, "image/png", "gzip", "", false),
        (1000, "application/octet-stream", "gzip", "", false),
        (1000, "text/event-stream", "gzip", "", false),
        // nothing that is not coded is wanted
        (1, "image/png", "gzip, identity;q=0", "gzip", true),
        (1000, "Text/Event-Stream; charset=utf-8", "gzip, identity;q=0", "", false),
        (0, "text/plain", "gzip, identity;q=0", "", false),
        (1000, "text/plain", "deflate, identity;q=0", "", true),
    ] {
        let headers = compressed(length, kind, lines, &[]).await;
        let found = text_of(&headers, &header::CONTENT_ENCODING).unwrap_or_default();
        let case = format!("{length} {kind} {lines}");
        assert_eq!((found, headers.contains_key(header::VARY)), (encoding, vary), "{case}");
        assert!(!headers.contains_key(header::CONTENT_LENGTH), "{case}");
    }
}

#[tokio::test]
async fn what_a_function_says_is_kept() {
    for (name, value, encoding) in [
        (header::CONTENT_ENCODING, "br", "br"),
        (header::CACHE_CONTROL, "private, no-transform", ""),
        (header::CONTENT_RANGE, "bytes 0-1/2", ""),
        (header::ETAG, "\"a\"", ""),
        (header::ETAG, "W/\"a\"", "gzip"),
    ] {
        let headers = compressed(5000, "text/plain", "gzip, identity;q=0", &[(name.clone(), value)]).await;
        assert_eq!(text_of(&headers, &header::CONTENT_ENCODING).unwrap_or_default(), encoding, "{value}");
        assert_eq!(headers[&name], value);
    }
}

#[tokio::test]
async fn the_ends_of_head_say_that_others_get_it_compressed() {
    let mut response = Response::new(Body::from(vec![b'x'; 1000]));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CONTENT_LENGTH, 1000.into());
    let headers = compress(&Method::HEAD, accepted("gzip").unwrap(), response).await.headers().clone();
    assert_eq!((headers.contains_key(header::CONTENT_LENGTH), headers.len()), (false, 2));
    assert_eq!(headers[header::VARY], "accept-encoding");
}
