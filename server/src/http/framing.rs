//! Requests whose two readings differ: a proxy in front of us may take another one for the same bytes.
//!
//! hyper refuses most of them. What it lets through is refused here.

use axum::http::{HeaderMap, Version, header};
use polyfn_core::ErrorKind;

use crate::http::problem::Problem;

/// Checks that it is said once, and clearly, where the body ends and which host is asked.
///
/// # Errors
/// 400 otherwise.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let needs_host = version == Version::HTTP_11;
    if (hosts.next().is_none() && needs_host) || hosts.next().is_some() {
        return Err(Problem::new(ErrorKind::Invalid, "a request needs one `Host` header"));
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Problem::new(ErrorKind::Invalid, "`Transfer-Encoding` may be `chunked`, and nothing else")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_refused() {
        for (lines, is_fine) in [
            (&[("host", "a")][..], true),
            (&[("host", "a"), ("transfer-encoding", "Chunked")], true),
            (&[], false),
            (&[("host", "a"), ("host", "a")], false),
            (&[("host", "a"), ("transfer-encoding", "gzip, chunked")], false),
            (&[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], false),
        ] {
            let headers = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let mut map = HeaderMap::new();
            headers.for_each(|(name, value): (header::HeaderName, header::HeaderValue)| {
                map.append(name, value);
            });
            assert_eq!(check(Version::HTTP_11, &map).is_ok(), is_fine, "{lines:?}");
        }
        assert!(check(Version::HTTP_10, &HeaderMap::new()).is_ok());
    }
}
