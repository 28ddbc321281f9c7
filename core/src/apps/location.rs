//! Where the redirects of an app lead, when the app does not know where it stands.

/// The place in the service that an app means by a `location` which would leave the service: with `root`, the encoded path
/// of the service, before its path. Nothing for one that is right as it is: a relative one, one in the service already,
/// and one of another `origin` (`http://host:port`).
///
/// ```
/// use polyfn_core::apps::location_inside;
/// let inside = |location| location_inside("/lab/apps/web", "http://hub.example", location);
/// assert_eq!(inside("/login?next=%2F").as_deref(), Some("/lab/apps/web/login?next=%2F"));
/// assert_eq!(inside("http://hub.example/a/").as_deref(), Some("http://hub.example/lab/apps/web/a/"));
/// assert_eq!(inside("/lab/apps/web/login"), None);
/// assert_eq!(inside("login"), None);
/// assert_eq!(inside("https://elsewhere.example/"), None);
/// ```
#[must_use]
pub fn location_inside(root: &str, origin: &str, location: &str) -> Option<String> {
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
    let root = root.trim_end_matches('/');
    let (origin, path) = match location.get(..origin.len()) {
        Some(same) if !origin.is_empty() && same.eq_ignore_ascii_case(origin) => {
            location.split_at(origin.len())
        }
        _ => ("", location),
    };
    // two slashes begin the name of a host
    let is_path = path.starts_with('/') && (!origin.is_empty() || !path.starts_with("//"));
    if root.is_empty() || !(is_path || (!origin.is_empty() && is_end(path))) {
        return None;
    }
    if path.strip_prefix(root).is_some_and(is_end) {
        return None;
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("{origin}{root}{slash}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_leave_the_service_stays_in_it() {
        for (location, expected) in [
            ("/", Some("/r/")),
            ("/rest", Some("/r/rest")),
            ("/\\elsewhere.example", Some("/r/\\elsewhere.example")),
            ("HTTP://H:1", Some("HTTP://H:1/r/")),
            ("http://h:1?a", Some("http://h:1/r/?a")),
            ("http://h:1/r2/", Some("http://h:1/r/r2/")),
            ("http://h:1//x", Some("http://h:1/r//x")),
            ("/r", None),
            ("/r/x", None),
            ("/r?a", None),
            ("http://h:1/r#a", None),
            ("http://h:10/x", None),
            ("//elsewhere.example/", None),
            ("?a", None),
            ("#a", None),
            ("../x", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(location_inside("/r/", "http://h:1", location).as_deref(), expected, "{location}");
        }
        assert_eq!(location_inside("", "http://h", "/x"), None);
        assert_eq!(location_inside("/r", "", "x"), None);
        assert_eq!(location_inside("/r", "", "/x").as_deref(), Some("/r/x"));
    }
}
