//! Judges an artifact: the very predictor that serves, on held-out rows.
//!
//! In: a [`Predictor`], the prompts' inputs, held-out labels. Out: a row of the report, and how well
//! output tokens are foretold. Invariant: nothing is computed here that serving computes otherwise.

use pointsman::prediction::{LogNormal, Predictor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Figures;
use crate::dataset::{Dataset, Label};
use crate::fit::Inputs;
use crate::metrics::{MetricError, interval_coverage, quantile, relative_errors};

/// How well output tokens are foretold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TokenFigures {
    /// Held-out labels with output tokens.
    pub labels: usize,
    /// Median over them of |predicted median - tokens| / tokens.
    pub median_relative_error: f64,
    /// The same for the median of each model's own rows, which knows no prompt.
    pub model_median_relative_error: f64,
    /// Share of them inside the central 90 % interval.
    pub coverage_90: f64,
}

impl Figures {
    /// The name of the artifact's row for the first exit.
    pub const ARTIFACT: &'static str = "router artifact (exit 0)";

    /// The name of the artifact's row for an exit.
    pub fn artifact_row(exit: u8) -> String {
        format!("router artifact (exit {exit})")
    }

    /// Measures an artifact at the exit of these inputs; the figures of tokens are those of the last exit
    /// that was measured.
    ///
    /// # Errors
    /// [`MetricError`] when nothing is held out.
    pub fn judge_artifact(
        &mut self,
        predictor: &Predictor,
        data: &Dataset,
        inputs: &Inputs,
        labels: (&[Label], &[Label]),
    ) -> Result<(), MetricError> {
        let (train, held_out) = labels;
        let quality = |it: &Label| {
            let latent = predictor.latent_of(inputs.exit, inputs.row(it.prompt as usize));
            let (head, _) =
                predictor.heads(data.models.get(usize::from(it.model)).map(String::as_str));
            head.estimate(&latent, 0.0).mean.get() as f32
        };
        let predicted: Vec<f32> = held_out.par_iter().map(quality).collect();
        self.judge(&Self::artifact_row(inputs.exit), data, held_out, &predicted)?;
        self.tokens = tokens(predictor, data, inputs, train, held_out)?;
        Ok(())
    }
}

fn tokens(
    predictor: &Predictor,
    data: &Dataset,
    inputs: &Inputs,
    train: &[Label],
    held_out: &[Label],
) -> Result<Option<TokenFigures>, MetricError> {
    let known: Vec<(&Label, f32)> = held_out
        .iter()
        .filter_map(|it| it.output_tokens.map(|tokens| (it, tokens.max(1) as f32)))
        .collect();
    if known.is_empty() {
        return Ok(None);
    }
    let truth: Vec<f32> = known.iter().map(|(_, tokens)| *tokens).collect();
    let foretell = |(label, _): &(&Label, f32)| {
        let latent = predictor.latent_of(inputs.exit, inputs.row(label.prompt as usize));
        let name = data.models.get(usize::from(label.model)).map(String::as_str);
        let (_, head) = predictor.heads(name);
        let tokens = LogNormal { mu: head.mu(&latent), sigma: head.sigma, cap: 1e6 };
        // Answers have whole tokens, one at least: the interval is rounded outwards.
        let interval = (tokens.quantile(0.05).floor() as f32, tokens.quantile(0.95).ceil() as f32);
        (tokens.quantile(0.5) as f32, interval)
    };
    let foretold: Vec<(f32, (f32, f32))> = known.par_iter().map(foretell).collect();
    let (medians, intervals): (Vec<f32>, Vec<(f32, f32)>) = foretold.into_iter().unzip();
    let own = model_medians(data, train)?;
    let plain: Vec<f32> = known.iter().map(|(it, _)| own[usize::from(it.model)]).collect();
    Ok(Some(TokenFigures {
        labels: known.len(),
        median_relative_error: quantile(&relative_errors(&truth, &medians)?, 0.5)?,
        model_median_relative_error: quantile(&relative_errors(&truth, &plain)?, 0.5)?,
        coverage_90: interval_coverage(&truth, &intervals)?,
    }))
}

/// The median of each model's output tokens over the training rows; 1 where it has none.
fn model_medians(data: &Dataset, train: &[Label]) -> Result<Vec<f32>, MetricError> {
    let mut rows: Vec<Vec<f64>> = vec![Vec::new(); data.models.len()];
    for label in train {
        if let Some(tokens) = label.output_tokens {
            rows[usize::from(label.model)].push(f64::from(tokens.max(1)));
        }
    }
    let median = |it: &Vec<f64>| match it.is_empty() {
        true => Ok(1.0),
        false => quantile(it, 0.5).map(|it| it as f32),
    };
    rows.iter().map(median).collect()
}
