//! The labelled table as matrices: inputs per prompt, targets and weights per model.
//!
//! In: a [`Dataset`]. Out: [`Inputs`] `[P, D]` and [`Targets`] in rows of (source, prompt). A prompt
//! that stands in two sources gives two rows: what counts as right differs between them.

use std::collections::BTreeMap;

use anyhow::Result;
use pointsman::encoder::{Encoder, Exit, WIDTH};
use pointsman::features::{self, COUNT};
use rayon::prelude::*;

use crate::dataset::{Dataset, prompt::request};

/// Floats per prompt.
pub(crate) const INPUT: usize = WIDTH + COUNT;

/// What the network sees of every prompt: vector, then features, not standardised; `[P, D]`.
#[derive(Debug)]
pub struct Inputs {
    /// Row-major floats.
    pub rows: Vec<f32>,
}

impl Inputs {
    /// One prompt's floats.
    pub fn row(&self, prompt: usize) -> &[f32] {
        &self.rows[prompt * INPUT..(prompt + 1) * INPUT]
    }

    /// The vectors alone, `[P, 384]`.
    pub fn embeddings(&self) -> Vec<f32> {
        self.rows.chunks_exact(INPUT).flat_map(|it| &it[..WIDTH]).copied().collect()
    }
}

/// Encodes every prompt just as the service would.
///
/// # Errors
/// When the tokenizer refuses a text.
pub fn encode_prompts(dataset: &Dataset, encoder: &Encoder) -> Result<Inputs> {
    let each = dataset.prompts.par_iter().map(|prompt| {
        let request = request(prompt.as_str());
        let encoded = encoder.encode(&request, Exit::First)?;
        let features = features::extract(&request);
        Ok([encoded.embedding.as_slice(), features.as_slice()].concat())
    });
    let rows = each.collect::<Result<Vec<Vec<f32>>>>()?;
    Ok(Inputs { rows: rows.concat() })
}

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
