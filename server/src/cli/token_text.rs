//! What `polyfn token` reads and writes.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;

use super::token::Told;
use crate::auth::Scope;
use crate::auth::token::Claims;

/// Reads `90s`, `30m`, `1h`, `7d` or a number of seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || "expected a time as 3600, 90s, 30m, 1h or 7d".to_owned();
    let (digits, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

/// The claims of a token as they stand there, unchecked.
pub(super) fn described(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if signature.is_empty() || parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Tells of a token with these claims; `verdict` is what is known of its signature.
pub(super) fn tell(claims: &Claims, verdict: Result<String, String>, now: u64) -> Told {
    let text = |key: &str| claims.get(key).and_then(Json::as_str).unwrap_or("-").to_owned();
    let scope = Scope::parse(&text("scope"));
    let expires = claims.get("exp").and_then(Json::as_u64);
    let expired = expires.is_none_or(|expires| expires <= now);
    let mut lines = vec![("user", text("sub"))];
    let rights = scope.workspaces.iter().map(|(name, right)| format!("{name}: {}", right.word()));
    lines.push(("rights", or_none(rights.collect::<Vec<_>>().join(", "))));
    lines.extend(scope.current_workspace.clone().map(|name| ("workspace", name)));
    lines.extend(scope.client_id.clone().map(|client| ("client", client)));
    if let Some(narrow) = scope.narrow.as_deref() {
        let all = |patterns: &[crate::auth::Pattern]| match patterns {
            [] => "all".to_owned(),
            some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        lines.push(("services", all(&narrow.services)));
        lines.push(("methods", all(&narrow.methods)));
        lines.extend(narrow.max_uses.map(|uses| ("uses", uses.to_string())));
    }
    if !scope.special().is_empty() {
        lines.push(("special", format!("good for nothing but {}", scope.special().join(", "))));
    }
    lines.extend(claims.get("iat").and_then(Json::as_u64).map(|at| ("issued", date(at))));
    lines.push((
        "expires",
        expires.map_or_else(|| "-".to_owned(), |at| format!("{} ({})", date(at), left(at, now))),
    ));
    let good = verdict.is_ok() && !expired;
    let valid = match verdict {
        Ok(_) if expired => "no: its time is over".to_owned(),
        Ok(checked) if checked.starts_with("not checked") => checked,
        Ok(checked) => format!("yes: {checked}"),
        Err(why) => format!("no: {why}"),
    };
    lines.push(("valid", valid));
    lines.push(("claims", Json::Object(claims.clone()).to_string()));
    let lines: Vec<_> = lines.iter().map(|(name, text)| format!("{name:<10}{}\n", plain(text))).collect();
    Told { text: lines.concat(), good }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

/// A token may come from anybody, and a terminal obeys control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn date(at: u64) -> String {
    let most = 253_402_300_799; // the year 9999, which is the last that can be written
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(at.min(most)))
}

fn left(at: u64, now: u64) -> String {
    match at.checked_sub(now).filter(|left| *left > 0) {
        Some(left) => format!("in {left} s"),
        None => "over".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [("3600", 3600), ("90s", 90), ("30m", 1800), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in ["", "h", "1w", "-1", "0", "1.5h", "99999999999999999d", "1 h"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_token_says_is_told_in_lines() {
        let claims = serde_json::json!({"sub": "a\u{1b}b", "exp": 60, "scope":
            "polyfn:ws:lab-one#r polyfn:svc:shop polyfn:max:3"});
        let told = tell(claims.as_object().unwrap(), Ok("it is".to_owned()), 0);
        let start = "user      a\u{fffd}b\nrights    lab-one: read\nworkspace lab-one\nservices  shop\nmethods   all\n\
                     uses      3\nexpires   Thu, 01 Jan 1970 00:01:00 GMT (in 60 s)\nvalid     yes: it is\n";
        assert!(told.good && told.text.starts_with(start), "{}", told.text);
        let late = tell(claims.as_object().unwrap(), Ok("it is".to_owned()), 60);
        assert!(!late.good && late.text.contains("valid     no: its time is over"), "{}", late.text);
    }
}
