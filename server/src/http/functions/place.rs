//! Where in the server's tree of URLs the functions of a service are.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use polyfn_core::ErrorKind;
use polyfn_core::wire::ServiceUri;

use crate::http::problem::Problem;

/// `/{workspace}/apps/{service}/{path}`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The workspace, decoded.
    pub workspace: Cow<'a, str>,
    /// The service, decoded: `svc`, `client:svc` or `svc@app`.
    pub service: Cow<'a, str>,
    /// What follows, as it was sent, with one slash in front; absent without any slash behind the service.
    pub path: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Whether a request for this path is one for a function. Says in a few nanoseconds what [`Place::of`] says.
    #[must_use]
    pub fn has(path: &str) -> bool {
        parts(path).is_some()
    }

    /// The place that a path names, if it names one.
    #[must_use]
    pub fn of(path: &'a str) -> Option<Self> {
        let (workspace, service, path) = parts(path)?;
        Some(Self { workspace: decode(workspace), service: decode(service), path })
    }

    /// The service that is asked for; always one of the workspace in the URL.
    ///
    /// # Errors
    /// 404 for ids that name no single service.
    pub fn uri(&self) -> Result<ServiceUri, Problem> {
        uri(&self.workspace, &self.service)
    }
}

/// The service `id` in `workspace`.
///
/// # Errors
/// 404 for ids that name no single service, or one elsewhere.
pub(in crate::http) fn uri(workspace: &str, id: &str) -> Result<ServiceUri, Problem> {
    let uri =
        ServiceUri::parse(id, workspace).ok().filter(|uri| uri.workspace == workspace && uri.service != "*");
    uri.ok_or_else(|| {
        let text = format!("RemoteException: KeyError: 'Service not found: {workspace}/{id}'");
        Problem::new(ErrorKind::NotFound, text)
    })
}

fn parts(path: &str) -> Option<(&str, &str, Option<&str>)> {
    let (workspace, rest) = path.strip_prefix('/')?.split_once('/')?;
    let rest = rest.strip_prefix("apps/")?;
    let (service, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(one_slash(&rest[at..]))),
        None => (rest, None),
    };
    (!workspace.is_empty() && !service.is_empty()).then_some((workspace, service, path))
}

/// Whether a path could lead a function that opens files out of its folder: segments `.` and `..`, on any system and
/// however they are encoded, and NUL.
pub(super) fn is_devious(path: &str) -> bool {
    if !path.contains(['.', '%']) {
        return false;
    }
    let decoded = decode(path);
    decoded.contains('\0') || decoded.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

/// Many slashes in front are one.
fn one_slash(path: &str) -> &str {
    let slashes = path.len() - path.trim_start_matches('/').len();
    &path[slashes.saturating_sub(1)..]
}

fn decode(part: &str) -> Cow<'_, str> {
    percent_decode_str(part).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place<'a>(workspace: &'a str, service: &'a str, path: Option<&'a str>) -> Option<Place<'a>> {
        Some(Place { workspace: workspace.into(), service: service.into(), path })
    }

    #[test]
    fn a_path_names_a_place() {
        for (path, expected) in [
            ("/ws/apps/svc", place("ws", "svc", None)),
            ("/ws/apps/svc/", place("ws", "svc", Some("/"))),
            ("/ws/apps/svc/a/b/", place("ws", "svc", Some("/a/b/"))),
            ("/ws/apps/svc///a", place("ws", "svc", Some("/a"))),
            ("/w%2Ds/apps/c%3Asvc/%61", place("w-s", "c:svc", Some("/%61"))),
            ("/ws/apps/", None),
            ("/ws/apps", None),
            ("/ws/appsx/svc", None),
            ("//apps/svc", None),
            ("/ws/apps//x", None),
            ("/", None),
            ("*", None),
        ] {
            assert_eq!(Place::of(path), expected, "{path}");
            assert_eq!(Place::has(path), expected.is_some(), "{path}");
        }
    }

    #[test]
    fn paths_that_climb_are_told_from_others() {
        for path in
            ["/..", "/a/../b", "/%2e%2e/", "/.%2E", "/a\\..", "/a%5c..%5Cb", "/./a", "/a%00.txt", "/..%2fa"]
        {
            assert!(is_devious(path), "{path}");
        }
        for path in ["/", "/a..b", "/.well-known/x", "/...", "/%252e%252e", "/a.txt", "/%2e%2ea"] {
            assert!(!is_devious(path), "{path}");
        }
    }

    #[test]
    fn ids_stay_in_their_workspace() {
        assert_eq!(uri("ws", "c:svc@app").unwrap().to_string(), "ws/c:svc@app");
        for id in ["other/svc", "*", "c:*", "a:b:c", "a/b/c", ""] {
            assert_eq!(uri("ws", id).unwrap_err().status(), 404, "{id}");
        }
        assert!(uri("*", "svc").is_err());
    }
}
