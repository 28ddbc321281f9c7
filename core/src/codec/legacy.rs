//! Errors of peers that send no code and no class: both stand in their texts (protocol section 8.8).

use crate::Error;

/// How a traceback of Python begins, and each of those in it.
const TRACEBACK: &str = "Traceback (most recent call last):";
/// How the traceback of Python tells an error that came from a peer: `RemoteError:message`, and the peer's own trace.
const FORWARDED: (&str, &str) = ("RemoteException", "RemoteError:");
/// What begins each place of a stack of JavaScript.
const PLACE: &str = "\n    at ";

/// The name of a class takes no more bytes.
const LONGEST_NAME: usize = 256;

/// Class and message.
type Named<'a> = (&'a str, &'a str);

/// What an old peer meant: Python sends `str(exception)` of plain functions and the whole traceback of `async` ones,
/// JavaScript `String(error)`; the class stands in the trace.
pub(super) fn error(value: String, trace: Option<String>) -> Error {
    if value.starts_with(TRACEBACK) {
        let (class, message) = raised(&value).unwrap_or_else(|| ("", last_line(&value)));
        return of(class, message).with_trace(value);
    }
    let error = match named(&value) {
        Some((class, message)) => of(class, message),
        None => of(trace.as_deref().and_then(|trace| class_in(trace, &value)).unwrap_or_default(), &value),
    };
    trace.into_iter().fold(error, Error::with_trace)
}

fn of(class: &str, message: &str) -> Error {
    let error = Error::remote(message);
    if class.is_empty() { error } else { error.with_class(class) }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim()
}

/// `ValueError: bad` as class and message.
fn named(text: &str) -> Option<Named<'_>> {
    split(text).filter(|(class, _)| class.ends_with("Error") || class.ends_with("Exception"))
}

/// A name, and what is said behind it.
fn split(text: &str) -> Option<Named<'_>> {
    let end = text[..text.floor_char_boundary(LONGEST_NAME)].find(": ")?;
    let (class, message) = (&text[..end], &text[end + 2..]);
    is_name(class).then_some((class, message))
}

/// A name in Python, with that of its module before it and those of the functions that it was made in.
fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'))
}

/// The exception at the end of a traceback: that which came last, where one led to another.
fn raised(traceback: &str) -> Option<Named<'_>> {
    let is_start = |at: usize| at == 0 || traceback[..at].ends_with("\n\n");
    let (start, _) = traceback.rmatch_indices(TRACEBACK).find(|(at, _)| is_start(*at))?;
    let mut rest = &traceback[start + TRACEBACK.len()..];
    // the stack is indented, however an exception goes on
    while rest.starts_with(['\n', '\r', ' ', '\t']) {
        rest = rest.trim_start_matches(['\n', '\r']);
        if rest.starts_with([' ', '\t']) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }
    let text = rest.trim_end();
    let (class, message) = split(text).or_else(|| is_name(text).then_some((text, "")))?;
    let class = class.rsplit('.').next().unwrap_or(class);
    match message.strip_prefix(FORWARDED.1).filter(|_| class == FORWARDED.0) {
        Some(told) => Some(forwarded(told)),
        None => Some((class, message)),
    }
}

/// What another peer told: a message, and behind it the trace of Python or JavaScript.
fn forwarded(told: &str) -> Named<'_> {
    let python = told.match_indices(TRACEBACK).find(|(at, _)| told[..*at].ends_with('\n'));
    python.and_then(|(at, _)| raised(&told[at..])).unwrap_or_else(|| thrown(told))
}

/// What JavaScript threw: the message, and behind it a stack that begins with both.
fn thrown(text: &str) -> Named<'_> {
    let text = text.split_once(PLACE).map_or(text, |(text, _)| text);
    // as the message stands there twice, its end is near the middle
    let is_near = |at: &usize| *at <= text.len() / 2 && text.len() / 2 <= *at + LONGEST_NAME;
    let ends = text.match_indices('\n').map(|(at, _)| at).filter(is_near);
    let mut stacks = ends.filter_map(|at| Some((named(&text[at + 1..])?, &text[..at])));
    stacks.find(|((_, again), message)| again == message).map_or(("", text), |(named, _)| named)
}

/// The class before `message` in a trace: Python ends with it, JavaScript begins with it.
fn class_in<'a>(trace: &'a str, message: &str) -> Option<&'a str> {
    let stack = trace.split_once(PLACE).map_or(trace, |(stack, _)| stack);
    let (class, found) = raised(trace).or_else(|| named(stack)).or_else(|| named(last_line(trace)))?;
    (message.trim_end() == found).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_old_peers_are_understood() {
        for (value, trace, class, message) in [
            ("bad", Some("Traceback ...\nValueError: bad\n"), Some("ValueError"), "bad"),
            ("Error: bad", Some("Error: bad\n    at f (x.mjs:1:2)"), Some("Error"), "bad"),
            (
                "two\nlines",
                Some("RangeError: two\nlines\n    at f (x.mjs:1:2)"),
                Some("RangeError"),
                "two\nlines",
            ),
            ("other", Some("RangeError: bad\n    at f (x.mjs:1:2)"), None, "other"),
            ("note: this is no class", None, None, "note: this is no class"),
            ("", None, None, ""),
        ] {
            let error = error(value.to_owned(), trace.map(str::to_owned));
            assert_eq!((error.class(), error.message()), (class, message), "{value}");
        }
    }

    /// What Python writes of an exception, after its stack.
    fn traceback(end: &str) -> String {
        format!(
            "{TRACEBACK}\n             ^^^^\n  File \"x.py\", line 1, in f\n    raise it\n    ^^^^^^^^\n{end}"
        )
    }

    #[test]
    fn tracebacks_of_python_are_understood() {
        let inner = traceback("LookupError: from afar\nin two lines\n");
        for (end, class, message) in [
            ("KeyError: 'Service not found: a'\n", Some("KeyError"), "'Service not found: a'"),
            ("TimeoutError", Some("TimeoutError"), ""),
            ("ValueError: two\nlines", Some("ValueError"), "two\nlines"),
            ("ValueError: an\n\n  indented line", Some("ValueError"), "an\n\n  indented line"),
            ("main.<locals>.Custom: cc", Some("Custom"), "cc"),
            ("json.decoder.JSONDecodeError: Expecting value", Some("JSONDecodeError"), "Expecting value"),
            ("what is this", None, "what is this"),
            (
                &format!("RuntimeError: failed to start:\n{}", traceback("KeyError: 'x'")),
                Some("RuntimeError"),
                &format!("failed to start:\n{}", traceback("KeyError: 'x'")),
            ),
            (
                &format!("KeyError: 'in'\n\nThe above ...\n\n{}", traceback("RuntimeError: out")),
                Some("RuntimeError"),
                "out",
            ),
            (
                &format!("hypha_rpc.rpc.RemoteException: RemoteError:from afar\nin two lines\n{inner}"),
                Some("LookupError"),
                "from afar\nin two lines",
            ),
            (
                "hypha_rpc.rpc.RemoteException: RemoteError:two\nlines\nRangeError: two\nlines\n    at f (x.mjs:1:2)\n    at g",
                Some("RangeError"),
                "two\nlines",
            ),
            ("hypha_rpc.rpc.RemoteException: RemoteError:no stack", None, "no stack"),
        ] {
            let text = traceback(end);
            let told = error(text.clone(), None);
            assert_eq!((told.class(), told.message()), (class, message), "{end}");
            assert_eq!(told.trace(), Some(&*text));
            // a plain function: the text, and the trace beside it
            if class.is_some() && !message.is_empty() {
                assert_eq!(error(message.to_owned(), Some(text)).class(), class, "{end}");
            }
        }
    }
}
