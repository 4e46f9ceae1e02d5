//! Judges an artifact: the very predictor that serves, on held-out rows.
//!
//! In: a [`Predictor`], the prompts' inputs, held-out labels. Out: a row of the report, and how well
//! output tokens are foretold. Invariant: nothing is computed here that serving computes otherwise.

use pointsman::prediction::{HEAD, Predictor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::forecasts::{ForecastFigures, Forecasts, Parts, Quantity};
use super::{Figures, Intervals, ModelRow};
use crate::dataset::{Dataset, Label};
use crate::fit::Inputs;
use crate::metrics::{Figure, MetricError};

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
    /// Share of them inside the central 50 % interval.
    #[serde(default)]
    pub coverage_50: f64,
}

impl Figures {
    /// The name of the artifact's row, at the deepest exit that it was trained for; see [`at_exit`].
    pub const ARTIFACT: &'static str = "router artifact";

    /// Measures an artifact: its quality at every exit, the rest at the deepest.
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
        let deepest = predictor.exits().last().copied().unwrap_or(0);
        for shallow in inputs.of(predictor).filter(|it| it.exit < deepest) {
            let latent = |prompt| shallow.latent(predictor, prompt);
            let predicted = qualities(predictor, data, held_out, latent);
            let name = at_exit(Self::ARTIFACT, shallow.exit, deepest);
            self.judge(&name, data, held_out, &predicted)?;
        }
        let predicted = predictions(predictor, data, inputs, held_out);
        self.judge(Self::ARTIFACT, data, held_out, &predicted)?;
        self.judge_models(data, held_out, &predicted)?;
        let questions = self.questions.clone();
        let parts = Parts { data, inputs, questions: &questions, train, held_out };
        for quantity in [Quantity::OutputTokens, Quantity::Latency] {
            let found = Forecasts::new(quantity, predictor, &parts)?;
            let count = self.question_count();
            self.forecasts.extend(found.map(|it| it.figures(count, &self.bootstrap)));
        }
        let tokens = self.forecasts.iter().find(|it| it.quantity == Quantity::OutputTokens);
        self.tokens = tokens.map(TokenFigures::from);
        Ok(())
    }
}

/// The name of a row at an exit: the deepest one, at which prompts are read as a rule, is not named.
pub fn at_exit(name: &str, exit: u8, deepest: u8) -> String {
    if exit == deepest { name.to_owned() } else { format!("{name} (exit {exit})") }
}

/// The artifact's expected quality of each label, at the deepest exit that it was trained for.
pub fn predictions(
    predictor: &Predictor,
    data: &Dataset,
    inputs: &Inputs,
    labels: &[Label],
) -> Vec<f32> {
    qualities(predictor, data, labels, |it| inputs.latent(predictor, it))
}

fn qualities(
    predictor: &Predictor,
    data: &Dataset,
    labels: &[Label],
    latent: impl Fn(usize) -> [f32; HEAD] + Sync,
) -> Vec<f32> {
    let quality = |it: &Label| {
        let latent = latent(it.prompt as usize);
        let (head, _) = predictor.heads(data.models.get(usize::from(it.model)).map(String::as_str));
        head.estimate(&latent, 0.0).mean.get() as f32
    };
    labels.par_iter().map(quality).collect()
}

impl From<&ForecastFigures> for TokenFigures {
    fn from(it: &ForecastFigures) -> Self {
        let of = |it: &Figure| it.value.unwrap_or_default();
        Self {
            labels: it.labels,
            median_relative_error: of(&it.error),
            model_median_relative_error: of(&it.plain_error),
            coverage_90: of(&it.coverage_90),
            coverage_50: of(&it.coverage_50),
        }
    }
}

impl Figures {
    /// Fills the rows per model.
    fn judge_models(
        &mut self,
        data: &Dataset,
        held_out: &[Label],
        predicted: &[f32],
    ) -> Result<(), MetricError> {
        let card = self.scorecard(held_out, predicted)?;
        let drawn = self.bootstrap.figures(self.question_count(), |weights| {
            card.per_model(weights).into_iter().flat_map(|it| it.values()).collect()
        });
        let row = |(model, drawn): (u16, &[Figure])| ModelRow {
            model: data.models.get(usize::from(model)).cloned().unwrap_or_default(),
            intervals: Intervals::of(drawn),
        };
        self.per_model = card.models().into_iter().zip(drawn.chunks_exact(3)).map(row).collect();
        Ok(())
    }
}
