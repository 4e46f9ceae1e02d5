//! A report for people.
//!
//! In: [`Figures`]. Out: plain text in columns, through `Display`. Invariant: what has no value is
//! a dash, never a 0. Not here: the JSON form, which serde derives.

use std::fmt;

use super::Figures;

/// Widest name of a predictor or source; longer ones push their row to the right.
const NAME_WIDTH: usize = 32;

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.cut.held_out;
        writeln!(
            out,
            "{} held-out labels ({share} % of questions, seed `{}`)",
            self.held_out_labels, self.cut.seed
        )?;
        writeln!(out, "table {}\n", self.data_sha256)?;
        let width = NAME_WIDTH;
        writeln!(out, "{:width$} {:>7} {:>7} {:>7}", "mean over sources", "AUC", "Brier", "ECE")?;
        for row in &self.rows {
            let it = &row.quality;
            let (auc, brier, ece) = (number(it.auc), number(it.brier), number(it.ece));
            writeln!(out, "{:width$} {auc:>7} {brier:>7} {ece:>7}", row.name)?;
        }
        for row in &self.rows {
            writeln!(
                out,
                "\n{:width$} {:>7} {:>7} {:>7} {:>7} {:>7}",
                row.name, "labels", "models", "AUC", "Brier", "ECE"
            )?;
            for of in self.per_source.iter().filter(|it| it.name == row.name) {
                let it = &of.quality;
                let (auc, brier, ece) = (number(it.auc), number(it.brier), number(it.ece));
                writeln!(
                    out,
                    "  {:width$} {:>5} {:>7} {auc:>7} {brier:>7} {ece:>7}",
                    of.source, of.labels, of.models
                )?;
            }
        }
        Ok(())
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |it| format!("{it:.3}"))
}
