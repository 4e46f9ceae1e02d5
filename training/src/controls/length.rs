//! Prompt length alone: a stronger baseline than it looks on some tasks.
//!
//! In: prompts, training labels. Out: per model, a logistic function of the logarithm of the
//! prompt's bytes. Invariant: always converges to a finite optimum, since both weights are
//! penalised. Not here: anything else of the prompt.

use super::{Constant, Control, ModelRows, Pair, rows_per_model};
use crate::dataset::{Dataset, Label};

/// Penalties on the squares of bias and slope: a fraction of a row each, just enough that all-right
/// rows have a finite optimum.
const PENALTY: f64 = 0.1;
/// Newton's method on two weights converges in about 6 steps; this only bounds it.
const STEPS_MAX: usize = 50;
/// A step is cut to this length: full ones can overshoot where almost all rows are right.
const STEP_LENGTH_MAX: f64 = 1.0;
const CONVERGED: f64 = 1e-8;

/// A logistic function of log length per model.
#[derive(Debug, Clone)]
pub struct LengthLogistic {
    /// Standardised log length of each prompt.
    lengths: Vec<f64>,
    /// Per model bias and slope; `None` where it has no training rows.
    models: Vec<Option<[f64; 2]>>,
    means: Constant,
}

impl LengthLogistic {
    /// Fits every model.
    pub fn fit(data: &Dataset, train: &[Label]) -> Self {
        let mut lengths: Vec<f64> =
            data.prompts.iter().map(|it| (it.len() as f64).ln_1p()).collect();
        standardise(&mut lengths);
        let rows = rows_per_model(data.models.len(), train);
        let models = rows.iter().map(|it| newton(it, &lengths)).collect();
        Self { lengths, models, means: Constant::fit(data, train) }
    }
}

impl Control for LengthLogistic {
    fn name(&self) -> &'static str {
        "prompt length"
    }

    fn predict(&self, pairs: &[Pair]) -> Vec<f32> {
        let one = |it: &Pair| {
            let weights = (*self.models.get(usize::from(it.model))?)?;
            let length = self.lengths.get(it.prompt as usize)?;
            Some(sigmoid(weights[0] + weights[1] * length) as f32)
        };
        pairs.iter().map(|it| one(it).unwrap_or_else(|| self.means.of(it.model))).collect()
    }
}

/// Mean 0 and deviation 1, whatever the unit; equal lengths become 0.
fn standardise(values: &mut [f64]) {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count).sqrt();
    let scale = if deviation > 1e-9 { 1.0 / deviation } else { 0.0 };
    values.iter_mut().for_each(|it| *it = (*it - mean) * scale);
}

/// The weights of greatest penalised likelihood; graded qualities count as shares.
fn newton(rows: &ModelRows, lengths: &[f64]) -> Option<[f64; 2]> {
    if rows.prompts.is_empty() {
        return None;
    }
    let mut weights = [0.0_f64; 2];
    for _ in 0..STEPS_MAX {
        let mut slope = weights.map(|it| -PENALTY * it);
        let (mut bb, mut bs, mut ss) = (PENALTY, 0.0, PENALTY);
        for (prompt, quality) in rows.prompts.iter().zip(&rows.quality) {
            let x = lengths.get(*prompt as usize).copied().unwrap_or_default();
            let p = sigmoid(weights[0] + weights[1] * x);
            let (rest, curve) = (f64::from(*quality) - p, p * (1.0 - p));
            slope = [slope[0] + rest, slope[1] + rest * x];
            (bb, bs, ss) = (bb + curve, bs + curve * x, ss + curve * x * x);
        }
        // At least the penalty squared, so never 0.
        let determinant = bb * ss - bs * bs;
        let step = [
            (ss * slope[0] - bs * slope[1]) / determinant,
            (bb * slope[1] - bs * slope[0]) / determinant,
        ];
        let length = step[0].hypot(step[1]);
        let cut = (STEP_LENGTH_MAX / length).min(1.0);
        weights = [weights[0] + cut * step[0], weights[1] + cut * step[1]];
        if length < CONVERGED {
            break;
        }
    }
    Some(weights)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing;

    fn fit(quality: &[f32], lengths: &[f64]) -> [f64; 2] {
        let prompts = (0..quality.len() as u32).collect();
        newton(&ModelRows { prompts, quality: quality.to_vec() }, lengths).unwrap()
    }

    #[test]
    fn finds_the_slope_it_was_given() {
        let lengths: Vec<f64> = (0..4_000).map(|it| f64::from(it) / 1_000.0 - 2.0).collect();
        let quality: Vec<f32> = lengths.iter().map(|it| sigmoid(0.7 - 1.3 * it) as f32).collect();
        let [bias, slope] = fit(&quality, &lengths);
        assert!((bias - 0.7).abs() < 0.01 && (slope + 1.3).abs() < 0.01, "{bias} {slope}");
    }

    #[test]
    fn separable_and_equal_rows_stay_finite() {
        let cases: [(&[f32], &[f64]); 3] = [
            (&[1.0; 50], &[1.0; 50]),
            (&[0.0, 0.0, 1.0, 1.0], &[-1.0, -0.5, 0.5, 1.0]),
            (&[1.0], &[0.0]),
        ];
        for (quality, lengths) in cases {
            let weights = fit(quality, lengths);
            assert!(weights.iter().all(|it| it.abs() < 20.0), "{weights:?}");
        }
        assert!(newton(&ModelRows::default(), &[]).is_none());
        let mut same = [2.0; 3];
        standardise(&mut same);
        assert_eq!(same, [0.0; 3]);
    }

    #[test]
    fn an_unknown_model_has_the_overall_mean() {
        let data = testing::dataset(4);
        let length = LengthLogistic::fit(&data, &[]);
        assert_eq!(length.predict(&[Pair { prompt: 0, model: 99 }]), [0.5]);
    }
}
