//! Any tree and any path. All lines but the last are the paths of functions, the last is `METHOD PATH`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use polyfn_core::functions::{Match, Router};

fuzz_target!(|text: &str| {
    let mut lines: Vec<&str> = text.lines().collect();
    let (method, path) = lines.pop().and_then(|request| request.split_once(' ')).unwrap_or(("GET", "/"));
    let mut router = Router::default();
    for line in &lines {
        router.insert(line, *line);
    }
    match router.route(method, path) {
        Match::Found { member, function_path } => {
            assert!(lines.contains(member));
            let is_default = member.rsplit('.').next() == Some("default");
            assert_eq!(function_path.is_some(), is_default, "{member}");
            assert!(function_path.is_none_or(|path| path.starts_with('/')));
        }
        Match::MethodNotAllowed { allow } => assert!(!allow.split(", ").any(|allowed| allowed == method)),
        Match::NotFound { path } => assert!(!path.is_empty() && !path.starts_with('/') || path.contains('/')),
    }
});
