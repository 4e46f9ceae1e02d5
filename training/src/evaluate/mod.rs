//! Judges predictors on held-out rows, side by side.
//!
//! In: held-out labels, predictions per predictor. Out: [`Figures`], as JSON or as a table.
//! Invariant: all rows of a report are measured on the same labels. Not here: what predicts (see
//! [`crate::controls`]); quality-cost frontiers.

mod artifact;
mod forecasts;
mod table;

pub use artifact::{TokenFigures, at_exit, predictions};
pub use forecasts::{ForecastFigures, Forecasts, Parts, Quantity};
use serde::{Deserialize, Serialize};

use crate::controls::{Constant, Control, LengthLogistic, Pair, TaskMeans};
use crate::dataset::{Dataset, Label};
use crate::metrics::{
    Bootstrap, Figure, MetricError, Quality, Scorecard, mean_over_sources, per_source,
};
use crate::split::{Cut, questions};

/// What a table of labels says about predictors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// SHA-256 of the table, in hex.
    pub data_sha256: String,
    /// How it was cut.
    pub cut: Cut,
    /// Labels that were judged on.
    pub held_out_labels: usize,
    /// One row per predictor: means over sources.
    pub rows: Vec<ControlRow>,
    /// One row per predictor and source.
    pub per_source: Vec<SourceRow>,
    /// The artifact's figures per model, means over the sources where the model counts.
    #[serde(default)]
    pub per_model: Vec<ModelRow>,
    /// How well the artifact foretells output tokens, where the table tells them.
    pub tokens: Option<TokenFigures>,
    /// Output tokens and latency with intervals, where the table tells them.
    #[serde(default)]
    pub forecasts: Vec<ForecastFigures>,
    /// The question of each prompt of the table: what intervals are resampled by.
    #[serde(skip)]
    questions: Vec<u32>,
    /// How intervals are drawn.
    #[serde(skip)]
    bootstrap: Bootstrap,
}

/// 95 % intervals of the three measures.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Intervals {
    /// Of the AUC.
    pub auc: Figure,
    /// Of the Brier score.
    pub brier: Figure,
    /// Of the expected calibration error, centred on its value.
    pub ece: Figure,
}

impl Intervals {
    /// From three figures in the order AUC, Brier, ECE.
    fn of(figures: &[Figure]) -> Self {
        let at = |it: usize| figures.get(it).copied().unwrap_or_default();
        Self { auc: at(0), brier: at(1), ece: at(2).centred() }
    }
}

/// The artifact on one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRow {
    /// The model.
    pub model: String,
    /// Its figures.
    pub intervals: Intervals,
}

/// One predictor, over all sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlRow {
    /// The predictor.
    pub name: String,
    /// Means over sources.
    #[serde(flatten)]
    pub quality: Quality,
    /// Their intervals.
    #[serde(default)]
    pub intervals: Intervals,
}

/// One predictor in one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The predictor.
    pub name: String,
    /// The source.
    pub source: String,
    /// Held-out labels in it.
    pub labels: usize,
    /// Models with enough held-out labels of both classes.
    pub models: usize,
    /// The measures; AUC and Brier are means over those models.
    #[serde(flatten)]
    pub quality: Quality,
    /// Their intervals.
    #[serde(default)]
    pub intervals: Intervals,
}

impl Figures {
    /// A report without rows.
    pub fn new(data: &Dataset, cut: &Cut, held_out: &[Label]) -> Self {
        Self {
            data_sha256: data.digest.clone(),
            cut: cut.clone(),
            held_out_labels: held_out.len(),
            rows: Vec::new(),
            per_source: Vec::new(),
            per_model: Vec::new(),
            tokens: None,
            forecasts: Vec::new(),
            questions: questions(&data.prompts),
            bootstrap: Bootstrap::default(),
        }
    }

    /// The same with another bootstrap.
    #[must_use]
    pub fn with_bootstrap(self, bootstrap: Bootstrap) -> Self {
        Self { bootstrap, ..self }
    }

    /// The question of each prompt.
    pub fn questions(&self) -> &[u32] {
        &self.questions
    }

    /// How many questions there are: as many weights does a [`Scorecard`] need.
    pub fn question_count(&self) -> usize {
        self.questions.iter().max().map_or(0, |it| *it as usize + 1)
    }

    /// The predictions, sorted for a bootstrap.
    ///
    /// # Errors
    /// [`MetricError`], as [`Self::judge`].
    pub fn scorecard(&self, labels: &[Label], predicted: &[f32]) -> Result<Scorecard, MetricError> {
        Scorecard::new(labels, predicted, &self.questions)
    }

    /// Measures one predictor: `predicted` is in the order of `held_out`.
    ///
    /// # Errors
    /// [`MetricError`] where a prediction is NaN or there are not as many as labels.
    pub fn judge(
        &mut self,
        name: &str,
        data: &Dataset,
        held_out: &[Label],
        predicted: &[f32],
    ) -> Result<(), MetricError> {
        let sources = per_source(held_out, predicted)?;
        let card = self.scorecard(held_out, predicted)?;
        let drawn = self.bootstrap.figures(self.question_count(), |weights| {
            let each = card.per_source(weights).into_iter();
            each.chain([card.overall(weights)]).flat_map(|it| it.values()).collect()
        });
        let mut intervals = drawn.chunks_exact(3).map(Intervals::of);
        let name = name.to_owned();
        self.per_source.extend(sources.iter().zip(&mut intervals).map(|(it, drawn)| SourceRow {
            name: name.clone(),
            source: data.sources.get(usize::from(it.source)).cloned().unwrap_or_default(),
            labels: it.rows,
            models: it.models,
            quality: it.quality,
            intervals: drawn,
        }));
        let intervals = intervals.next().unwrap_or_default();
        self.rows.push(ControlRow { name, quality: mean_over_sources(&sources), intervals });
        Ok(())
    }

    /// Measures a task-blind control.
    ///
    /// # Errors
    /// [`MetricError`], as [`Self::judge`].
    pub fn judge_control(
        &mut self,
        control: &dyn Control,
        data: &Dataset,
        held_out: &[Label],
    ) -> Result<(), MetricError> {
        let pairs: Vec<Pair> = held_out.iter().map(Pair::from).collect();
        self.judge(control.name(), data, held_out, &control.predict(&pairs))
    }

    /// Measures the controls that need no vectors, and the table that knows the task.
    ///
    /// # Errors
    /// [`MetricError::Empty`] when nothing is held out.
    pub fn judge_plain_controls(
        &mut self,
        data: &Dataset,
        train: &[Label],
        held_out: &[Label],
    ) -> Result<(), MetricError> {
        self.judge_control(&Constant::fit(data, train), data, held_out)?;
        self.judge_control(&LengthLogistic::fit(data, train), data, held_out)?;
        let means = TaskMeans::fit(data, train).predict(held_out);
        self.judge(TaskMeans::NAME, data, held_out, &means)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing;
    use crate::split::Split;

    #[test]
    fn a_report_holds_all_controls_and_reads_back() {
        let data = testing::dataset(3_000);
        let cut = Cut { held_out: 0.3, ..Cut::default() };
        let (train, held_out) = Split::new(&data.prompts, &cut).labels(&data);
        let mut figures = Figures::new(&data, &cut, &held_out);
        figures.judge_plain_controls(&data, &train, &held_out).unwrap();
        let auc: Vec<f64> = figures.rows.iter().filter_map(|it| it.quality.auc).collect();
        assert_eq!(auc[0], 0.5);
        assert!(auc[1] > 0.7, "long prompts are harder in this table: {auc:?}");
        assert_eq!(figures.per_source.len(), 3 * 2);
        let json = serde_json::to_string(&figures).unwrap();
        // serde_json reads floats back within one unit in the last place.
        let back: Figures = serde_json::from_str(&json).unwrap();
        assert_eq!(back.to_string(), figures.to_string());
        let table = figures.to_string();
        for word in ["constant per model", "prompt length", "knows the task", "even", "odd"] {
            assert!(table.contains(word), "{word}: {table}");
        }
        let mut none = Figures::new(&data, &cut, &[]);
        assert_eq!(none.judge_plain_controls(&data, &train, &[]), Err(MetricError::Empty));
    }
}
