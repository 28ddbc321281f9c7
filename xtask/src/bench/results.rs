//! What the rounds have found.

use std::collections::BTreeMap;

use crate::bench::row::{Group, Language, Row, System};

/// One figure over all rounds.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

/// Figures by row and name, and what went wrong.
#[derive(Default)]
pub(super) struct Results {
    rows: Vec<(Row, BTreeMap<String, Vec<f64>>)>,
    failures: Vec<(Row, String)>,
    remarks: Vec<(Row, String)>,
}

impl Results {
    pub(super) fn add(&mut self, row: Row, figures: &[(String, f64)]) {
        let at = self.rows.iter().position(|(known, _)| *known == row).unwrap_or_else(|| {
            self.rows.push((row, BTreeMap::new()));
            self.rows.len() - 1
        });
        for (name, value) in figures {
            self.rows[at].1.entry(name.clone()).or_default().push(*value);
        }
    }

    pub(super) fn fail(&mut self, row: Row, reason: &str) {
        println!("    failed: {reason}");
        self.failures.push((row, reason.to_owned()));
    }

    pub(super) fn failures(&self) -> &[(Row, String)] {
        &self.failures
    }

    /// Notes why a figure is missing, once for all rounds.
    pub(super) fn remark(&mut self, row: Row, remark: &str) {
        let name = |text: &str| text.split(':').next().map(str::to_owned);
        if !self.remarks.iter().any(|(known, text)| *known == row && name(text) == name(remark)) {
            self.remarks.push((row, remark.to_owned()));
        }
    }

    /// All that is missing, whole rows first.
    pub(super) fn missing(&self) -> impl Iterator<Item = &(Row, String)> {
        self.failures.iter().chain(&self.remarks)
    }

    /// The rows of one group that have figures.
    pub(super) fn group(&self, group: Group) -> impl Iterator<Item = Row> {
        self.rows.iter().map(|(row, _)| *row).filter(move |row| row.group == group)
    }

    pub(super) fn figure(&self, row: Row, name: &str) -> Option<Figure> {
        let (_, figures) = self.rows.iter().find(|(known, _)| *known == row)?;
        let mut values = figures.get(name)?.clone();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Figure { low, median, high })
    }

    /// The median of a figure.
    pub(super) fn median(&self, group: Group, system: System, language: Language, name: &str) -> Option<f64> {
        self.figure(Row { group, system, language }, name).map(|figure| figure.median)
    }
}

#[cfg(test)]
mod tests {
    use super::Results;
    use crate::bench::row::{Group, Language, Row, System};

    #[test]
    fn takes_the_median_and_the_range_of_the_rounds() {
        let row = Row { group: Group::Start, system: System::Polyfn, language: Language::None };
        let mut results = Results::default();
        for value in [3.0, 1.0, 2.0] {
            results.add(row, &[("ready_ms".to_owned(), value)]);
        }
        let figure = results.figure(row, "ready_ms").unwrap();
        assert_eq!((figure.low, figure.median, figure.high), (1.0, 2.0, 3.0));
        assert!(results.figure(row, "rest_mb").is_none());
    }
}
