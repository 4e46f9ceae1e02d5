//! The labelled table as targets per model.
//!
//! In: a [`Dataset`]. Out: [`TargetRow`]s in the order of (source, prompt). A prompt that stands in two
//! sources gives two rows: what counts as right differs between them.

use std::collections::BTreeMap;

use crate::dataset::Dataset;

/// One (source, prompt) with the labels of every model on it.
#[derive(Debug, Clone)]
pub(crate) struct TargetRow {
    pub prompt: usize,
    pub source: usize,
    /// Model, quality (0..1), log of output tokens where known.
    pub labels: Vec<(usize, f32, Option<f32>)>,
}

/// Rows of a set of labels, in the order of source and prompt.
pub(crate) fn rows(dataset: &Dataset, keep: impl Fn(usize) -> bool) -> Vec<TargetRow> {
    let mut found: BTreeMap<(usize, usize), TargetRow> = BTreeMap::new();
    for label in &dataset.labels {
        let (source, prompt) = (usize::from(label.source), label.prompt as usize);
        if !keep(prompt) {
            continue;
        }
        let empty = || TargetRow { prompt, source, labels: Vec::new() };
        let row = found.entry((source, prompt)).or_insert_with(empty);
        let tokens = label.output_tokens.map(|it| (it.max(1) as f32).ln());
        row.labels.push((usize::from(label.model), label.quality, tokens));
    }
    found.into_values().collect()
}
