//! Which class of exception a function raised. Peers of ours say it apart; of others it stands where their language
//! writes it, and nothing else of their text is looked at.

use polyfn_core::Error;

/// Classes that say nothing of what went wrong, or only pass on what another one said: it begins the message then.
const PASSING_ON: [&str; 4] = ["Error", "Exception", "RemoteError", "RemoteException"];
/// What stands between an exception and the one that came of it, in a trace of Python.
const CHAINS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// The class of the exception.
pub(super) fn raised(error: &Error) -> Option<&str> {
    let (message, trace) = (error.message(), error.trace().unwrap_or_default());
    let (class, rest) = match error.class() {
        Some(class) => (class, message),
        None => said_in(trace).or_else(|| said_in(message))?,
    };
    let rest = rest.strip_prefix(class).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(rest);
    let class = plain(class);
    if PASSING_ON.contains(&class) { class_of(rest).map(plain).or(Some(class)) } else { Some(class) }
}

/// `TypeError` of `TypeError: boom`.
pub(super) fn class_of(line: &str) -> Option<&str> {
    line.split_once(": ").map(|(class, _)| class).filter(|class| is_class(class))
}

fn is_class(word: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    plain(word).starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(is_of_name)
}

/// Without the module.
fn plain(class: &str) -> &str {
    class.rsplit_once('.').map_or(class, |(_, name)| name)
}

/// The class that heads `text`, a trace or a message, and what follows it.
fn said_in(text: &str) -> Option<(&str, &str)> {
    let headline = match raised_in_python(text) {
        // without a message there is no colon either
        Some(line) if is_class(line) => return Some((line, "")),
        Some(line) => line,
        None => text.lines().next()?,
    };
    class_of(headline).map(|class| (class, headline))
}

/// The line with the class in a trace of Python: the first behind the frames of the last exception.
fn raised_in_python(trace: &str) -> Option<&str> {
    let last = CHAINS.iter().filter_map(|chain| trace.rfind(chain)).max().map_or(trace, |at| &trace[at..]);
    let mut lines = last.lines().skip_while(|line| *line != "Traceback (most recent call last):").skip(1);
    lines.find(|line| !line.starts_with(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: &str =
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    f('KeyError: x')\n    ^^^\n";
    const STACK: &str = "    at f (file:///lib/a.mjs:1:2)\n    at RPC._handle (x.mjs:6513:31)";

    fn python(end: &str) -> Error {
        Error::remote("boom").with_trace(format!("{FRAMES}{end}\n"))
    }

    fn javascript(head: &str) -> Error {
        Error::remote(head).with_trace(format!("{head}\n{STACK}"))
    }

    #[test]
    fn the_class_is_read_where_a_language_writes_it() {
        for (error, class) in [
            (python("ValueError: boom"), Some("ValueError")),
            (python("ValueError"), Some("ValueError")),
            (python("ValueError: l1\nKeyError: l2"), Some("ValueError")),
            (python("json.decoder.JSONDecodeError: x"), Some("JSONDecodeError")),
            (python(&format!("KeyError: 'a'\n\n{}\n\n{FRAMES}ValueError: b", CHAINS[0])), Some("ValueError")),
            (python(&format!("KeyError: 'a'\n\n{}\n\n{FRAMES}TypeError", CHAINS[1])), Some("TypeError")),
            (python(&format!("RuntimeError: it said\n{FRAMES}KeyError: 'a'")), Some("RuntimeError")),
            (python("hypha_rpc.rpc.RemoteException: KeyError: 'a'"), Some("KeyError")),
            (python("RemoteException: KeyError: 'a'"), Some("KeyError")),
            (python("Exception: KeyError: 'a'"), Some("KeyError")),
            (python("a text without a class"), None),
            (javascript("TypeError: x is not a function"), Some("TypeError")),
            (javascript("Error: KeyError: 'x'"), Some("KeyError")),
            (javascript("Error: it is a KeyError: 'x'"), Some("Error")),
            (Error::remote("PermissionError: no").with_trace(STACK), Some("PermissionError")),
            (Error::remote("KeyError: 'a'"), Some("KeyError")),
            (Error::remote("thing not found"), None),
            (Error::remote(""), None),
            (Error::remote("KeyError: x").with_class("RuntimeError"), Some("RuntimeError")),
            (Error::remote("KeyError: x").with_class("Error"), Some("KeyError")),
            (Error::remote("Error: KeyError: x").with_class("Error"), Some("KeyError")),
            (
                Error::remote("x").with_class("KeyError").with_trace(format!("{FRAMES}ValueError: x")),
                Some("KeyError"),
            ),
        ] {
            assert_eq!(raised(&error), class, "{error:?}");
        }
    }
}
