//! The lines that `polyfn dev` prints.

use std::time::Duration;

use crate::observer::Answered;

/// Methods that a folder of functions may name.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// The URLs of the functions of a service, each with a line for curl. `url` is that of the server, `functions` are the
/// paths in the service, with dots between the parts.
///
/// ```
/// use polyfn_server::dev::routes;
/// let lines = routes("http://127.0.0.1:9527", "dev", "hello", &["index".to_owned(), "users.POST".to_owned()]);
/// assert_eq!(lines.lines().next(), Some("hello (2 functions)"));
/// assert!(lines.contains("curl -X POST http://127.0.0.1:9527/dev/apps/hello/users"));
/// ```
#[must_use]
pub fn routes(url: &str, workspace: &str, service: &str, functions: &[String]) -> String {
    let base = format!("{url}/{workspace}/apps/{service}");
    let plural = if functions.len() == 1 { "" } else { "s" };
    let mut lines = format!("{service} ({} function{plural})", functions.len());
    for function in functions {
        let (method, path) = route(function);
        let flag = method.filter(|method| *method != "GET").map(|method| format!("-X {method} "));
        // what else the function answers is told by the star, which is no part of the URL
        let shown = if is_default(function) { format!("{path}*") } else { path.clone() };
        lines.push_str(&format!(
            "\n  {:<7} {base}{shown}\n          curl {}{base}{path}",
            method.unwrap_or("*"),
            flag.unwrap_or_default()
        ));
    }
    lines
}

fn is_default(function: &str) -> bool {
    function.rsplit('.').next() == Some("default")
}

/// The method and the path of a function.
fn route(function: &str) -> (Option<&str>, String) {
    let mut parts: Vec<&str> = function.split('.').collect();
    let method = parts.last().copied().filter(|last| METHODS.contains(last));
    if method.is_some() {
        parts.pop();
    }
    if matches!(parts.last(), Some(&("index" | "default"))) {
        parts.pop();
        return (method, parts.iter().map(|part| format!("/{part}")).collect::<String>() + "/");
    }
    (method, parts.iter().map(|part| format!("/{part}")).collect())
}

/// The line of a request that was answered.
///
/// ```
/// use polyfn_server::dev::request;
/// use polyfn_server::Answered;
/// let answered =
///     Answered { method: "GET".parse()?, path: "/a".to_owned(), status: 200, time: std::time::Duration::from_micros(1500) };
/// assert_eq!(request(&answered), "GET /a 200 1.5 ms");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn request(answered: &Answered) -> String {
    let Answered { method, path, status, time } = answered;
    format!("{method} {path} {status} {}", milliseconds(*time))
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// The line of something that failed, at a place in a source file where there is one.
///
/// ```
/// use polyfn_server::dev::failed;
/// let line = failed("ZeroDivisionError: division by zero", Some(("hello.py", 3, "1 / 0")));
/// assert_eq!(line, "error: ZeroDivisionError: division by zero\n  at hello.py:3: 1 / 0");
/// ```
#[must_use]
pub fn failed(error: &str, place: Option<(&str, u32, &str)>) -> String {
    match place {
        Some((file, line, source)) => format!("error: {error}\n  at {file}:{line}: {source}"),
        None => format!("error: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_shown_where_they_answer() {
        for (function, expected) in [
            ("index", (None, "/")),
            ("default", (None, "/")),
            ("api.v1.users", (None, "/api/v1/users")),
            ("api.index", (None, "/api/")),
            ("users.POST", (Some("POST"), "/users")),
            ("POST", (Some("POST"), "")),
        ] {
            assert_eq!(route(function), (expected.0, expected.1.to_owned()), "{function}");
        }
    }
}
