//! Markdown tables, and numbers with as many digits as they deserve.

use crate::bench::results::Figure;

/// A Markdown table; empty without rows.
pub(super) fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    text += &line(head.iter().map(|_| "---".to_owned()).collect());
    for row in rows {
        text += &line(row.clone());
    }
    text
}

/// The median; behind it the range, where there were several rounds.
pub(super) fn cell(figure: Option<Figure>) -> String {
    let Some(Figure { low, median, high }) = figure else { return "–".to_owned() };
    if low < high {
        format!("{} ({}–{})", number(median), number(low), number(high))
    } else {
        number(median)
    }
}

/// Three digits that count, thousands set apart.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let digits: Vec<char> = whole.chars().collect();
    let mut grouped = String::new();
    for (at, digit) in digits.iter().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digits[at - 1] != '-' {
            grouped.push(',');
        }
        grouped.push(*digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

/// How many times as much: `12.3x`.
pub(super) fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{}x", number(ours / theirs)),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{number, ratio};

    #[test]
    fn writes_numbers_for_reading() {
        assert_eq!(number(1_234_567.8), "1,234,568");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(0.01234), "0.0123");
        assert_eq!(number(-123_456.0), "-123,456");
    }

    #[test]
    fn a_ratio_needs_both() {
        assert_eq!(ratio(Some(3.0), Some(2.0)), "1.50x");
        assert_eq!(ratio(Some(3.0), None), "–");
    }
}
