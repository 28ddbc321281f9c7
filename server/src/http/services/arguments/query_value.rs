//! What a text in a query means: a number, an object, or itself.

use polyfn_core::Value;

/// Reads one value as the reference does: digits alone are an integer, what Python takes for a float is a float,
/// what begins with `{` is JSON, all else is text.
///
/// # Errors
/// Says what is wrong with an object, or with a number that cannot be sent.
pub(super) fn read(text: &str) -> Result<Value, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text);
    }
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || is_raised_digit(c)) {
        return Err(format!("invalid literal for int() with base 10: '{text}'"));
    }
    if let Some(number) = float(text) {
        return Ok(Value::Float(number));
    }
    if text.starts_with('{') {
        return serde_json::from_str::<serde_json::Value>(text)
            .map(Value::from)
            .map_err(|error| error.to_string());
    }
    Ok(Value::from(text))
}

fn integer(digits: &str) -> Result<Value, String> {
    digits
        .parse::<u64>()
        .map(Value::from)
        .map_err(|_| format!("the number {digits:.40} does not fit into 64 bits, send it as text"))
}

/// A digit to Python, but no number.
const fn is_raised_digit(c: char) -> bool {
    matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉')
}

/// A float as Python writes them: a sign, underscores between digits and white space around are fine.
fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.contains('_') {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    let fits = bytes.iter().enumerate().all(|(at, byte)| *byte != b'_' || between(at));
    fits.then(|| text.replace('_', "").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart() {
        for (text, value) in [("5", 5_i64), ("007", 7), ("0", 0)] {
            assert_eq!(read(text), Ok(Value::Int(value)), "{text}");
        }
        assert_eq!(read("18446744073709551615"), Ok(Value::Uint(u64::MAX)));
        for (text, value) in [
            ("-3", -3.0),
            ("1.5", 1.5),
            ("1e5", 100_000.0),
            ("+7", 7.0),
            ("1_0", 10.0),
            (" 5 ", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
        ] {
            assert_eq!(read(text), Ok(Value::Float(value)), "{text}");
        }
        for text in ["inf", "Infinity", "-inf", "1e999"] {
            assert!(matches!(read(text), Ok(Value::Float(value)) if value.is_infinite()), "{text}");
        }
        assert!(matches!(read("NaN"), Ok(Value::Float(value)) if value.is_nan()));
    }

    #[test]
    fn objects_are_json() {
        let object = read(r#"{"a":[1]}"#).unwrap();
        assert_eq!(object.to_json().unwrap().to_string(), r#"{"a":[1]}"#);
        assert!(read("{x").is_err());
    }

    #[test]
    fn all_else_is_text() {
        for text in ["true", "null", "[1]", "\"q\"", "", " ", "a b", "_1", "1__0", "1_", "0x10", "1_e5", "-"]
        {
            assert_eq!(read(text), Ok(Value::from(text)), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_after_all_is_refused() {
        assert_eq!(read("²"), Err("invalid literal for int() with base 10: '²'".to_owned()));
        assert!(read("99999999999999999999").is_err());
    }
}
