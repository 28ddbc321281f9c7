//! The attributes of a CloudEvent: their names, types and values.

use super::media::Media;
use crate::{Error, Map, Result, Value};

const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// An error that names an attribute.
pub(super) fn wrong(name: &str, what: &str) -> Error {
    Error::invalid(format!("`{name}` of the CloudEvent {what}"))
}

/// The attributes without those that are not set.
///
/// # Errors
/// `invalid`, naming the attribute, when a required one is missing, and for one that the specification forbids.
pub(super) fn checked(event: Map) -> Result<Map> {
    let event: Map = event.into_iter().filter(|(_, value)| *value != Value::Nil).collect();
    if let Some(name) = REQUIRED.into_iter().find(|name| !event.contains(name)) {
        return Err(wrong(name, "is missing"));
    }
    for (name, value) in event.iter() {
        check_name(name)?;
        match name.as_str() {
            "specversion" | "id" | "source" | "type" | "subject" | "time" | "datacontenttype"
            | "dataschema" => {
                let text = value.as_text().ok_or_else(|| wrong(name, "must be a text"))?;
                check_text(name, text)?;
                check_known(name, text)?;
            }
            _ => check_extension(name, value)?,
        }
    }
    Ok(event)
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name == "data" {
        return Err(wrong(name, "is no attribute: the name is reserved"));
    }
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(wrong(name, "is no name of an attribute: it may hold lower-case letters and digits"));
    }
    Ok(())
}

fn check_text(name: &str, text: &str) -> Result<()> {
    let is_forbidden =
        |c: char| c.is_control() || (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    if text.chars().any(is_forbidden) {
        return Err(wrong(name, "holds a control character or a code point that is no character"));
    }
    Ok(())
}

fn check_known(name: &str, text: &str) -> Result<()> {
    let problem = match name {
        _ if text.is_empty() => "is empty",
        "specversion" if text != "1.0" => "is another version, only 1.0 is known",
        "source" if !is_reference(text) => "is no URI reference",
        "dataschema" if !is_absolute(text) => "is no absolute URI",
        "time" if !is_timestamp(text) => "is no timestamp, expected RFC 3339 such as 2018-04-05T17:31:00Z",
        "datacontenttype" if !Media::new(text).is_well_formed() => "is no media type",
        _ => return Ok(()),
    };
    Err(wrong(name, problem))
}

fn check_extension(name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Bool(_) => Ok(()),
        Value::Text(text) => check_text(name, text),
        _ if integer(value).is_some() => Ok(()),
        _ => Err(wrong(name, "must be a text, a truth value or an integer of 32 bits")),
    }
}

/// An integer of the specification; JavaScript does not tell 5.0 from 5.
fn integer(value: &Value) -> Option<i32> {
    match value {
        Value::Int(number) => i32::try_from(*number).ok(),
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX) => {
            Some(*number as i32)
        }
        _ => None,
    }
}

/// The canonical text of a checked attribute.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        other => integer(other).unwrap_or_default().to_string(),
    }
}

/// What no URI holds. Letters beyond ASCII are let through, as most of those who send them expect.
fn is_reference(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_code =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => is_code(at),
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        byte => !byte.is_ascii_whitespace(),
    })
}

fn is_absolute(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    is_reference(text)
        && text.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
}

/// RFC 3339: `2018-04-05T17:31:00.123+02:00`.
fn is_timestamp(text: &str) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let Some(clock) = rest.strip_prefix(['T', 't']) else { return false };
    let Some((clock, rest)) = clock.split_at_checked(8) else { return false };
    let zone = rest.strip_prefix('.').map_or(Some(rest), |fraction| {
        let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        (zone.len() < fraction.len()).then_some(zone)
    });
    is_date(date)
        && is_clock(clock)
        && zone.is_some_and(|zone| match zone.strip_prefix(['+', '-']) {
            Some(offset) => {
                matches!(numbers(offset, ':').as_deref(), Some([0..=23, 0..=59])) && offset.len() == 5
            }
            None => matches!(zone, "Z" | "z"),
        })
}

fn is_date(date: &str) -> bool {
    let Some([year, month, day]) = numbers(date, '-').and_then(|parts| <[u32; 3]>::try_from(parts).ok())
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day) && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-'
}

fn is_clock(clock: &str) -> bool {
    let is_spaced = clock.as_bytes()[2] == b':' && clock.as_bytes()[5] == b':';
    is_spaced && matches!(numbers(clock, ':').as_deref(), Some([0..=23, 0..=59, 0..=60]))
}

/// Numbers with a mark between; `None` when there is anything else.
fn numbers(text: &str, mark: char) -> Option<Vec<u32>> {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split(mark).map(|part| Some(part).filter(is_number)?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, value: impl Into<Value>) -> Map {
        let mut event: Map =
            [("specversion", "1.0"), ("id", "1"), ("source", "/s"), ("type", "t")].into_iter().collect();
        event.insert(name, value);
        event
    }

    #[test]
    fn each_attribute_is_checked() {
        let long = Value::Int(1 << 40);
        for (name, value) in [
            ("specversion", Value::from("0.3")),
            ("specversion", "".into()),
            ("id", "".into()),
            ("id", Value::Int(1)),
            ("id", "a\nb".into()),
            ("source", "a b".into()),
            ("source", "%zz".into()),
            ("type", "\u{ffff}".into()),
            ("subject", "".into()),
            ("time", "yesterday".into()),
            ("dataschema", "/relative".into()),
            ("datacontenttype", "json".into()),
            ("myextension", long),
            ("myextension", Value::Float(1.5)),
            ("myextension", Value::List(Vec::new())),
            ("myextension", "\u{7}".into()),
            ("my_extension", "x".into()),
            ("Upper", "x".into()),
            ("", "x".into()),
            ("data", "x".into()),
        ] {
            let error = checked(with(name, value.clone())).unwrap_err();
            assert!(error.message().starts_with(&format!("`{name}` ")), "{value:?}: {error}");
        }
        for name in REQUIRED {
            let error = checked(with(name, Value::Nil)).unwrap_err();
            assert_eq!(error.message(), format!("`{name}` of the CloudEvent is missing"));
        }
    }

    #[test]
    fn what_is_allowed_is_kept() {
        let mut event = with("number", 5);
        for (name, value) in
            [("yes", Value::Bool(true)), ("whole", Value::Float(-7.0)), ("unset", Value::Nil)]
        {
            event.insert(name, value);
        }
        event.insert("subject", "grüße 😀");
        let event = checked(event).unwrap();
        assert!(!event.contains("unset"));
        assert_eq!(canonical(&event.get("whole").cloned().unwrap()), "-7");
        for source in [
            "https://github.com/cloudevents",
            "mailto:a@b.org",
            "urn:uuid:6e8bc430",
            "1-555-123-4567",
            "/a?b#c",
        ] {
            assert!(checked(with("source", source)).is_ok(), "{source}");
        }
    }

    #[test]
    fn timestamps_are_those_of_rfc_3339() {
        for time in [
            "2018-04-05T17:31:00Z",
            "2020-02-29t23:59:60.123456z",
            "1990-12-31T15:59:60-08:00",
            "0000-01-01T00:00:00+23:59",
        ] {
            assert!(is_timestamp(time), "{time}");
        }
        for time in [
            "2018-04-05",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2019-02-29T00:00:00Z",
            "2018-13-01T00:00:00Z",
            "2018-04-05T24:00:00Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00+2:00",
            "2018-04-05T17:31:00+24:00",
            "20180405T173100Z",
            "２018-04-05T17:31:00Z",
            "+018-04-05T17:31:00Z",
            "",
        ] {
            assert!(!is_timestamp(time), "{time}");
        }
    }
}
