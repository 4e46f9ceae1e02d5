//! How well an artifact foretells output tokens and, where the table tells it, latency.
//!
//! In: a [`Predictor`], held-out labels, their questions. Out: [`Forecasts`]: median relative error
//! and coverage of the central 50 and 90 % intervals, under weights. Latency is judged given each
//! model's start and speed as the training rows show them, since in service these come from live
//! sketches: what is judged is the spread that the artifact adds. Invariant: nothing is computed
//! here that serving computes otherwise. Not here: how the spreads are fitted.

use pointsman::prediction::{LogNormal, Predictor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Label};
use crate::fit::{Inputs, latency, speeds};
use crate::metrics::{Bootstrap, Figure, MetricError, quantile};

/// What is foretold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Tokens of the answer.
    OutputTokens,
    /// Seconds until the whole answer was there.
    Latency,
}

/// A table to learn plain medians and speeds from, and to judge on.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The table.
    pub data: &'a Dataset,
    /// What the artifact sees of its prompts.
    pub inputs: &'a Inputs,
    /// The question of each prompt.
    pub questions: &'a [u32],
    /// Labels to learn from.
    pub train: &'a [Label],
    /// Labels to judge on.
    pub held_out: &'a [Label],
}

/// Figures of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ForecastFigures {
    /// What is foretold.
    pub quantity: Quantity,
    /// Held-out labels that have it.
    pub labels: usize,
    /// Median of |predicted median - true| / true.
    pub error: Figure,
    /// The same for the median of each model's own training rows, which knows no prompt.
    pub plain_error: Figure,
    /// Share of labels inside the central 50 % interval.
    pub coverage_50: Figure,
    /// Share of labels inside the central 90 % interval.
    pub coverage_90: Figure,
}

/// One forecast beside what came.
#[derive(Debug, Clone, Copy)]
struct Row {
    question: u32,
    error: f64,
    plain_error: f64,
    in_50: bool,
    in_90: bool,
}

/// Forecasts beside what came, ready to be measured under weights.
#[derive(Debug, Clone)]
pub struct Forecasts {
    quantity: Quantity,
    rows: Vec<Row>,
    /// Places of the rows, by error and by plain error.
    by_error: [Vec<u32>; 2],
}

impl Forecasts {
    /// Foretells a quantity of every held-out label that has it; `None` where none has.
    ///
    /// # Errors
    /// [`MetricError`] never, unless a table holds NaN.
    pub fn new(
        quantity: Quantity,
        predictor: &Predictor,
        parts: &Parts<'_>,
    ) -> Result<Option<Self>, MetricError> {
        let plain = plain_medians(quantity, parts)?;
        let speeds = speeds(parts.data.models.len(), parts.train.iter());
        let one = |label: &Label| {
            let truth = truth(quantity, label)?;
            let model = usize::from(label.model);
            let latent = parts.inputs.latent(predictor, label.prompt as usize);
            let (_, head) = predictor.heads(parts.data.models.get(model).map(String::as_str));
            let tokens = LogNormal { mu: head.mu(&latent), sigma: head.sigma, cap: 1e6 };
            let at: Box<dyn Fn(f64) -> f64> = match quantity {
                Quantity::OutputTokens => Box::new(move |q| tokens.quantile(q)),
                Quantity::Latency => {
                    let (start, per_token) = (*speeds.get(model)?)?;
                    let sigma = tokens.sigma.hypot(predictor.manifest().latency_sigma);
                    let spread = LogNormal { sigma, ..tokens };
                    Box::new(move |q| start + per_token * spread.quantile(q))
                }
            };
            // Answers have whole tokens, one at least: their interval is rounded outwards.
            let inside = |tail: f64| match quantity {
                Quantity::OutputTokens => {
                    at(tail).floor() <= truth && truth <= at(1.0 - tail).ceil()
                }
                Quantity::Latency => at(tail) <= truth && truth <= at(1.0 - tail),
            };
            Some(Row {
                question: parts.questions.get(label.prompt as usize).copied()?,
                error: (at(0.5) - truth).abs() / truth,
                plain_error: (plain[model] - truth).abs() / truth,
                in_50: inside(0.25),
                in_90: inside(0.05),
            })
        };
        let rows: Vec<Row> = parts.held_out.par_iter().filter_map(one).collect();
        Ok((!rows.is_empty()).then(|| Self::sorted(quantity, rows)))
    }

    fn sorted(quantity: Quantity, rows: Vec<Row>) -> Self {
        let by = |key: fn(&Row) -> f64| {
            let mut places: Vec<u32> = (0..rows.len() as u32).collect();
            places.sort_by(|a, b| key(&rows[*a as usize]).total_cmp(&key(&rows[*b as usize])));
            places
        };
        let by_error = [by(|it| it.error), by(|it| it.plain_error)];
        Self { quantity, rows, by_error }
    }

    /// Error, plain error, coverage of the 50 and of the 90 % interval.
    pub fn values(&self, weights: &[u32]) -> Vec<f64> {
        let weight = |it: &Row| u64::from(weights.get(it.question as usize).copied().unwrap_or(0));
        let all: u64 = self.rows.iter().map(weight).sum();
        let middle = |places: &[u32], key: fn(&Row) -> f64| {
            let mut below = 0;
            let passed = |it: &&u32| {
                below += weight(&self.rows[**it as usize]);
                2 * below > all
            };
            let found = places.iter().find(passed);
            found.map_or(f64::NAN, |it| key(&self.rows[*it as usize]))
        };
        let share = |inside: fn(&Row) -> bool| {
            let sum: u64 = self.rows.iter().filter(|it| inside(it)).map(weight).sum();
            sum as f64 / all as f64
        };
        vec![
            middle(&self.by_error[0], |it| it.error),
            middle(&self.by_error[1], |it| it.plain_error),
            share(|it| it.in_50),
            share(|it| it.in_90),
        ]
    }

    /// The values with their intervals.
    pub fn figures(&self, questions: usize, boot: &Bootstrap) -> ForecastFigures {
        let drawn = boot.figures(questions, |weights| self.values(weights));
        ForecastFigures {
            quantity: self.quantity,
            labels: self.rows.len(),
            error: drawn[0],
            plain_error: drawn[1],
            coverage_50: drawn[2],
            coverage_90: drawn[3],
        }
    }
}

fn truth(quantity: Quantity, label: &Label) -> Option<f64> {
    match quantity {
        Quantity::OutputTokens => label.output_tokens.map(|it| f64::from(it.max(1))),
        Quantity::Latency => latency(label),
    }
}

/// The median of each model over the training rows; 1 where it has none.
fn plain_medians(quantity: Quantity, parts: &Parts<'_>) -> Result<Vec<f64>, MetricError> {
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); parts.data.models.len()];
    for label in parts.train {
        rows[usize::from(label.model)].extend(truth(quantity, label));
    }
    rows.iter().map(|it| if it.is_empty() { Ok(1.0) } else { quantile(it, 0.5) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_medians_and_coverage_by_hand() {
        let row = |question, error, in_90| Row {
            question,
            error,
            plain_error: 2.0 * error,
            in_50: false,
            in_90,
        };
        let rows =
            vec![row(0, 0.5, true), row(1, 0.1, true), row(2, 0.3, false), row(2, 0.9, true)];
        let it = Forecasts::sorted(Quantity::OutputTokens, rows);
        assert_eq!(it.values(&[1, 1, 1]), [0.5, 1.0, 0.0, 0.75]);
        assert_eq!(it.values(&[0, 3, 1]), [0.1, 0.2, 0.0, 0.8]);
        assert!(it.values(&[0, 0, 0])[0].is_nan());
        let figures = it.figures(3, &Bootstrap { draws: 9, seed: 1 });
        assert_eq!((figures.labels, figures.coverage_90.value), (4, Some(0.75)));
    }
}
