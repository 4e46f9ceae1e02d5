//! AUC, Brier and ECE per model and source, under weights on questions.
//!
//! In: held-out labels, their questions, predictions. Out: [`Scorecard`], which gives the same
//! figures as [`super::per_source`] where every question counts once, and can be asked again and
//! again by a bootstrap: all sorting is done beforehand. Invariant: a model counts in a source by
//! the rule of [`super::per_source`]. Not here: who draws the weights.

use std::collections::BTreeMap;

use super::{ECE_BINS, GROUP_ROWS_MIN, MetricError, POSITIVE_FROM};
use crate::dataset::Label;

/// Everything a predictor is measured by, sorted.
#[derive(Debug, Clone)]
pub struct Scorecard {
    sources: Vec<SourceCard>,
}

#[derive(Debug, Clone)]
struct SourceCard {
    source: u16,
    models: Vec<ModelCard>,
    /// All rows, for ECE; none where there are too few.
    bins: Vec<Binned>,
}

#[derive(Debug, Clone)]
struct ModelCard {
    model: u16,
    /// By score, ascending.
    rows: Vec<Scored>,
}

#[derive(Debug, Clone, Copy)]
struct Scored {
    question: u32,
    score: f32,
    quality: f32,
}

#[derive(Debug, Clone, Copy)]
struct Binned {
    question: u32,
    bin: u8,
    gap: f32,
}

/// The three figures, NaN where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scores {
    /// Area under the ROC curve.
    pub auc: f64,
    /// Brier score.
    pub brier: f64,
    /// Expected calibration error.
    pub ece: f64,
}

impl Scores {
    const NONE: Self = Self { auc: f64::NAN, brier: f64::NAN, ece: f64::NAN };

    /// In this order: AUC, Brier, ECE.
    pub fn values(self) -> [f64; 3] {
        [self.auc, self.brier, self.ece]
    }
}

impl Scorecard {
    /// Sorts held-out rows; `questions` has the question of each prompt of the table.
    ///
    /// # Errors
    /// [`MetricError`] where a prediction is NaN or there are not as many as labels.
    pub fn new(
        labels: &[Label],
        predicted: &[f32],
        questions: &[u32],
    ) -> Result<Self, MetricError> {
        let quality: Vec<f32> = labels.iter().map(|it| it.quality).collect();
        super::check(&quality, predicted)?;
        let mut groups: BTreeMap<u16, BTreeMap<u16, Vec<Scored>>> = BTreeMap::new();
        for (label, score) in labels.iter().zip(predicted) {
            let question = questions.get(label.prompt as usize).copied().unwrap_or(u32::MAX);
            let row = Scored { question, score: *score, quality: label.quality };
            groups.entry(label.source).or_default().entry(label.model).or_default().push(row);
        }
        let sources = groups.into_iter().map(|(source, models)| SourceCard::new(source, models));
        Ok(Self { sources: sources.collect() })
    }

    /// The sources, in the order of [`Self::per_source`].
    pub fn sources(&self) -> Vec<u16> {
        self.sources.iter().map(|it| it.source).collect()
    }

    /// The models that count somewhere, ascending: the order of [`Self::per_model`].
    pub fn models(&self) -> Vec<u16> {
        let mut models: Vec<u16> =
            self.sources.iter().flat_map(|it| it.models.iter().map(|it| it.model)).collect();
        models.sort_unstable();
        models.dedup();
        models
    }

    /// Per source, the mean over its models, and the ECE over all its rows.
    pub fn per_source(&self, weights: &[u32]) -> Vec<Scores> {
        let of = |it: &SourceCard| Scores {
            ece: ece(it.bins.iter().copied(), weights),
            ..mean(it.models.iter().map(|it| it.scores(weights)))
        };
        self.sources.iter().map(of).collect()
    }

    /// Per model, the mean over the sources in which it counts.
    pub fn per_model(&self, weights: &[u32]) -> Vec<Scores> {
        let of = |model: u16| {
            let rows = self.sources.iter().flat_map(|it| &it.models).filter(|it| it.model == model);
            mean(rows.map(|it| Scores { ece: it.ece(weights), ..it.scores(weights) }))
        };
        self.models().into_iter().map(of).collect()
    }

    /// The mean over sources.
    pub fn overall(&self, weights: &[u32]) -> Scores {
        mean(self.per_source(weights).into_iter())
    }
}

impl SourceCard {
    fn new(source: u16, models: BTreeMap<u16, Vec<Scored>>) -> Self {
        let all: Vec<Binned> = models.values().flatten().map(binned).collect();
        let counts = |rows: &Vec<Scored>| {
            let right = rows.iter().filter(|it| it.quality >= POSITIVE_FROM).count();
            rows.len() >= GROUP_ROWS_MIN && right > 0 && right < rows.len()
        };
        let sorted = |(model, mut rows): (u16, Vec<Scored>)| {
            rows.sort_by(|a, b| a.score.total_cmp(&b.score));
            ModelCard { model, rows }
        };
        let models = models.into_iter().filter(|(_, rows)| counts(rows)).map(sorted).collect();
        let bins = if all.len() >= GROUP_ROWS_MIN { all } else { Vec::new() };
        Self { source, models, bins }
    }
}

impl ModelCard {
    fn scores(&self, weights: &[u32]) -> Scores {
        let (mut wrong, mut right, mut won) = (0.0, 0.0, 0.0);
        let (mut square, mut all) = (0.0, 0.0);
        for tie in self.rows.chunk_by(|a, b| a.score == b.score) {
            let (mut wrong_here, mut right_here) = (0.0, 0.0);
            for row in tie {
                let weight = weight(row.question, weights);
                let good = row.quality >= POSITIVE_FROM;
                *(if good { &mut right_here } else { &mut wrong_here }) += weight;
                square += weight * (f64::from(row.score) - f64::from(row.quality)).powi(2);
                all += weight;
            }
            won += right_here * (wrong + wrong_here / 2.0);
            (right, wrong) = (right + right_here, wrong + wrong_here);
        }
        let auc = if right > 0.0 && wrong > 0.0 { won / (right * wrong) } else { f64::NAN };
        // The rule of the plain figures: without two classes a model counts in neither.
        let brier = if auc.is_nan() { f64::NAN } else { square / all };
        Scores { auc, brier, ece: f64::NAN }
    }

    fn ece(&self, weights: &[u32]) -> f64 {
        ece(self.rows.iter().map(binned), weights)
    }
}

fn binned(row: &Scored) -> Binned {
    // A float cast saturates: below 0 is bin 0.
    let bin = ((f64::from(row.score) * ECE_BINS as f64) as usize).min(ECE_BINS - 1) as u8;
    Binned { question: row.question, bin, gap: row.score - row.quality }
}

fn ece(rows: impl Iterator<Item = Binned>, weights: &[u32]) -> f64 {
    let (mut gaps, mut all) = ([0.0; ECE_BINS], 0.0);
    for row in rows {
        let weight = weight(row.question, weights);
        gaps[usize::from(row.bin)] += weight * f64::from(row.gap);
        all += weight;
    }
    let sum: f64 = gaps.iter().map(|it: &f64| it.abs()).sum();
    if all > 0.0 { sum / all } else { f64::NAN }
}

fn weight(question: u32, weights: &[u32]) -> f64 {
    f64::from(weights.get(question as usize).copied().unwrap_or_default())
}

/// The mean of each figure over those that have it.
fn mean(all: impl Iterator<Item = Scores>) -> Scores {
    let (mut sums, mut counts) = ([0.0; 3], [0.0; 3]);
    for scores in all {
        for (at, value) in scores.values().into_iter().enumerate().filter(|it| !it.1.is_nan()) {
            sums[at] += value;
            counts[at] += 1.0;
        }
    }
    if counts == [0.0; 3] {
        return Scores::NONE;
    }
    // 0 / 0 is NaN, which stands for no value.
    Scores { auc: sums[0] / counts[0], brier: sums[1] / counts[1], ece: sums[2] / counts[2] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing;
    use crate::metrics::{mean_over_sources, per_source};

    #[test]
    fn with_equal_weights_it_is_the_plain_figure() {
        let data = testing::dataset(600);
        let predicted: Vec<f32> =
            (0..data.labels.len()).map(|it| (it * 7_919 % 101) as f32 / 100.0).collect();
        let questions: Vec<u32> = (0..600).collect();
        let card = Scorecard::new(&data.labels, &predicted, &questions).unwrap();
        let wanted = per_source(&data.labels, &predicted).unwrap();
        let found = card.per_source(&[1; 600]);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found.auc - wanted.quality.auc.unwrap()).abs() < 1e-9);
            assert!((found.brier - wanted.quality.brier.unwrap()).abs() < 1e-6);
            assert!((found.ece - wanted.quality.ece.unwrap()).abs() < 1e-6);
        }
        let overall = card.overall(&[1; 600]).auc;
        assert!((overall - mean_over_sources(&wanted).auc.unwrap()).abs() < 1e-9);
        assert_eq!((card.sources(), card.models()), (vec![0, 1], vec![0, 1]));
        assert_eq!(card.per_model(&[1; 600]).len(), 2);
        assert!(card.overall(&[0; 600]).auc.is_nan());
    }

    #[test]
    fn a_weight_of_two_is_a_row_twice() {
        let data = testing::dataset(400);
        let predicted: Vec<f32> = (0..800).map(|it| (it * 31 % 97) as f32 / 97.0).collect();
        let questions: Vec<u32> = (0..400).collect();
        let card = Scorecard::new(&data.labels, &predicted, &questions).unwrap();
        let mut weights = vec![1; 400];
        weights[..100].fill(2);
        let twice = |it: &Label| if it.prompt < 100 { 2 } else { 1 };
        let rows = data.labels.iter().zip(&predicted);
        let (labels, scores): (Vec<Label>, Vec<f32>) =
            rows.flat_map(|(label, p)| std::iter::repeat_n((*label, *p), twice(label))).unzip();
        let doubled = Scorecard::new(&labels, &scores, &questions).unwrap().overall(&[1; 400]);
        let weighted = card.overall(&weights);
        for (a, b) in doubled.values().into_iter().zip(weighted.values()) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
