//! Quality measures per source, and their mean over sources.
//!
//! In: held-out labels and predictions for them. Out: [`SourceQuality`] per source, [`Quality`]
//! overall. Invariant: within a source every model counts the same, and every source counts the
//! same, so that neither a big source nor a much-tried model decides. Not here: who predicts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MetricError, auc, brier, ece};
use crate::dataset::Label;

/// A model counts in a source with at least this many held-out rows: below, an AUC's own error
/// (about 0.07 at 60 rows) hides what is measured.
pub const GROUP_ROWS_MIN: usize = 60;

/// How good quality predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// Mean over models of the AUC; `None` where no model counts.
    pub auc: Option<f64>,
    /// Mean over the same models of the Brier score.
    pub brier: Option<f64>,
    /// Expected calibration error over all rows of a source with enough rows.
    pub ece: Option<f64>,
}

/// The measures in one source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceQuality {
    /// Index into [`crate::dataset::Dataset::sources`].
    pub source: u16,
    /// Held-out rows.
    pub rows: usize,
    /// Models that count.
    pub models: usize,
    /// The measures.
    pub quality: Quality,
}

/// Truths and predictions side by side.
#[derive(Default)]
struct Columns {
    quality: Vec<f32>,
    predicted: Vec<f32>,
}

impl Columns {
    fn push(&mut self, quality: f32, predicted: f32) {
        self.quality.push(quality);
        self.predicted.push(predicted);
    }
}

/// The measures of each source that has rows, by source id.
///
/// # Errors
/// [`MetricError`] where a prediction is NaN or there are not as many as labels.
pub fn per_source(labels: &[Label], predicted: &[f32]) -> Result<Vec<SourceQuality>, MetricError> {
    let quality: Vec<f32> = labels.iter().map(|it| it.quality).collect();
    super::check(&quality, predicted)?;
    let mut sources: BTreeMap<u16, (Columns, BTreeMap<u16, Columns>)> = BTreeMap::new();
    for (label, predicted) in labels.iter().zip(predicted) {
        let (all, models) = sources.entry(label.source).or_default();
        all.push(label.quality, *predicted);
        models.entry(label.model).or_default().push(label.quality, *predicted);
    }
    let measured = sources.iter().map(|(source, (all, models))| one(*source, all, models));
    measured.collect()
}

fn one(
    source: u16,
    all: &Columns,
    models: &BTreeMap<u16, Columns>,
) -> Result<SourceQuality, MetricError> {
    let (mut aucs, mut briers) = (Vec::new(), Vec::new());
    for rows in models.values().filter(|it| it.quality.len() >= GROUP_ROWS_MIN) {
        match auc(&rows.quality, &rows.predicted) {
            Ok(area) => {
                aucs.push(area);
                briers.push(brier(&rows.quality, &rows.predicted)?);
            }
            Err(MetricError::OneClass) => {}
            Err(error) => return Err(error),
        }
    }
    let enough = all.quality.len() >= GROUP_ROWS_MIN;
    let ece = if enough { Some(ece(&all.quality, &all.predicted)?) } else { None };
    let quality = Quality { auc: mean(&aucs), brier: mean(&briers), ece };
    Ok(SourceQuality { source, rows: all.quality.len(), models: aucs.len(), quality })
}

/// The mean of each measure over the sources that have it.
pub fn mean_over_sources(sources: &[SourceQuality]) -> Quality {
    let over = |it: fn(&Quality) -> Option<f64>| {
        mean(&sources.iter().filter_map(|source| it(&source.quality)).collect::<Vec<_>>())
    };
    Quality { auc: over(|it| it.auc), brier: over(|it| it.brier), ece: over(|it| it.ece) }
}

fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() { None } else { Some(values.iter().sum::<f64>() / values.len() as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(source: u16, model: u16, quality: f32) -> Label {
        Label {
            prompt: 0,
            model,
            source,
            task: 0,
            quality,
            input_tokens: None,
            output_tokens: None,
            cost_usd: None,
            latency_s: None,
            tokens_est: false,
        }
    }

    /// `rows` labels, right and wrong in turn, predicted well or the wrong way round.
    fn rows(source: u16, model: u16, rows: u16, well: f32) -> Vec<(Label, f32)> {
        let row = |at: u16| {
            let quality = f32::from(at % 2);
            (label(source, model, quality), (quality - (1.0 - well)).abs())
        };
        (0..rows).map(row).collect()
    }

    #[test]
    fn models_and_sources_count_alike_and_small_ones_do_not() {
        let all = [
            rows(0, 0, 600, 1.0),
            rows(0, 1, 60, 0.0),
            rows(0, 2, 59, 0.0),
            rows(1, 0, 80, 1.0),
            rows(2, 0, 10, 0.0),
            (0..70).map(|_| (label(0, 3, 1.0), 0.0)).collect(),
        ]
        .concat();
        let (labels, predicted): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let sources = per_source(&labels, &predicted).unwrap();
        let models: Vec<_> = sources.iter().map(|it| (it.rows, it.models)).collect();
        assert_eq!(models, [(789, 2), (80, 1), (10, 0)]);
        assert_eq!(sources[0].quality.auc, Some(0.5));
        assert_eq!(sources[2].quality, Quality::default());
        let mean = mean_over_sources(&sources);
        assert_eq!((mean.auc, mean.brier), (Some(0.75), Some(0.25)));
        assert_eq!(sources[1].quality.ece, Some(0.0));
    }

    #[test]
    fn nan_is_an_error() {
        let labels = [label(0, 0, 1.0), label(0, 0, 0.0)];
        let nan = Err(MetricError::NotANumber { at: 1 });
        assert_eq!(per_source(&labels, &[0.5, f32::NAN]), nan);
        assert!(per_source(&labels, &[0.5]).is_err());
    }
}
