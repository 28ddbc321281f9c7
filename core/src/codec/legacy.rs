//! Errors of peers that send no code and no class: both stand in their texts (protocol section 8.8).

use crate::Error;

/// What an old peer meant: Python sends `str(exception)` of plain functions and the whole traceback of `async` ones,
/// JavaScript `String(error)`; the class stands in the trace.
pub(super) fn error(value: String, trace: Option<String>) -> Error {
    let is_traceback = value.starts_with("Traceback (most recent call last)");
    let (line, trace) =
        if is_traceback { (last_line(&value).to_owned(), Some(value)) } else { (value, trace) };
    let error = match named(&line) {
        Some((class, message)) => Error::remote(message).with_class(class),
        None if is_traceback => Error::remote(line),
        None => {
            let class = trace.as_deref().and_then(|trace| class_in(trace, &line)).map(str::to_owned);
            class.into_iter().fold(Error::remote(line), Error::with_class)
        }
    };
    trace.into_iter().fold(error, Error::with_trace)
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim()
}

/// `ValueError: bad` as class and message.
fn named(line: &str) -> Option<(&str, &str)> {
    let (class, message) = line.split_once(": ")?;
    let is_class = class.ends_with("Error") || class.ends_with("Exception");
    (is_class && class.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')))
        .then_some((class, message))
}

/// The class before `message` in a trace: Python ends with it, JavaScript begins with it.
fn class_in<'a>(trace: &'a str, message: &str) -> Option<&'a str> {
    let first = trace.lines().next().unwrap_or_default();
    let (class, found) = named(last_line(trace)).or_else(|| named(first))?;
    (message.lines().next_back() == Some(found)).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_old_peers_are_understood() {
        let traceback =
            "Traceback (most recent call last):\n  File \"x.py\", line 1\nKeyError: 'Service not found: a'\n";
        for (value, trace, class, message) in [
            ("bad", Some("Traceback ...\nValueError: bad\n"), Some("ValueError"), "bad"),
            (traceback, None, Some("KeyError"), "'Service not found: a'"),
            ("Error: bad", Some("Error: bad\n    at f (x.mjs:1:2)"), Some("Error"), "bad"),
            ("two\nlines", Some("Traceback ...\nValueError: two\nlines\n"), None, "two\nlines"),
            ("note: this is no class", None, None, "note: this is no class"),
            ("", None, None, ""),
        ] {
            let error = error(value.to_owned(), trace.map(str::to_owned));
            assert_eq!((error.class(), error.message()), (class, message), "{value}");
        }
    }
}
