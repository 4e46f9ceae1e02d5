//! How far figures stray from seed to seed.
//!
//! In: the figures of training runs that differ in nothing but the seed. Out: [`Spread`], the mean and
//! the range of each figure of the artifact's rows, as a table for people. Not here: intervals over
//! questions, which one run has by itself.

use std::fmt;

use crate::evaluate::Figures;
use crate::metrics::Quality;

/// Mean and range over seeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread {
    rows: Vec<(String, [Vec<f64>; 3])>,
    tokens: Vec<(f64, f64)>,
}

impl Spread {
    /// Takes in one seed's figures.
    pub fn add(&mut self, figures: &Figures) {
        for row in figures.rows.iter().filter(|it| it.name.starts_with("router artifact")) {
            let at = self.rows.iter().position(|(name, _)| *name == row.name);
            let at = at.unwrap_or_else(|| {
                self.rows.push((row.name.clone(), Default::default()));
                self.rows.len() - 1
            });
            let Quality { auc, brier, ece } = row.quality;
            for (all, one) in self.rows[at].1.iter_mut().zip([auc, brier, ece]) {
                all.extend(one);
            }
        }
        self.tokens.extend(figures.tokens.map(|it| (it.median_relative_error, it.coverage_90)));
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds = self.rows.first().map_or(0, |(_, it)| it[0].len());
        writeln!(out, "\nmean over {seeds} seeds (least to most)")?;
        for (name, figures) in &self.rows {
            write!(out, "{name:32}")?;
            for (label, values) in ["AUC", "Brier", "ECE"].iter().zip(figures) {
                write!(out, "  {label} {}", Range(values))?;
            }
            writeln!(out)?;
        }
        let (errors, coverage): (Vec<f64>, Vec<f64>) = self.tokens.iter().copied().unzip();
        writeln!(out, "output tokens: median relative error {}", Range(&errors))?;
        writeln!(out, "output tokens: inside the 90 % interval {}", Range(&coverage))
    }
}

struct Range<'a>(&'a [f64]);

impl fmt::Display for Range<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("-");
        }
        let mean = self.0.iter().sum::<f64>() / self.0.len() as f64;
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        write!(out, "{mean:.4} ({least:.4} to {most:.4})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_mean_and_ends() {
        assert_eq!(Range(&[0.7, 0.8, 0.75]).to_string(), "0.7500 (0.7000 to 0.8000)");
        assert_eq!(Range(&[]).to_string(), "-");
    }
}
