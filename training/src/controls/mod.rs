//! What every predictor must beat.
//!
//! In: labels to learn from, and for some the prompts' vectors. Out: predicted qualities for
//! (prompt, model) pairs. Invariant: a [`Control`] is task-blind, it never sees a source or a task;
//! only [`TaskMeans`] does, and is a reference, not a control. Not here: the shipped predictor.

mod knn;
mod length;
mod means;
mod ridge;
#[cfg(test)]
pub(crate) mod testing;
mod vectors;

use std::collections::BTreeMap;

pub use knn::Knn;
pub use length::LengthLogistic;
pub use means::{Constant, TaskMeans};
pub use ridge::Ridge;
pub use vectors::{VectorError, Vectors};

use crate::dataset::Label;

/// What is asked of a predictor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Index into [`crate::dataset::Dataset::prompts`].
    pub prompt: u32,
    /// Index into [`crate::dataset::Dataset::models`].
    pub model: u16,
}

/// A task-blind predictor of quality.
pub trait Control {
    /// Its name in reports.
    fn name(&self) -> &'static str;
    /// The expected quality, 0 to 1, of each pair, in the order asked. Never NaN.
    fn predict(&self, pairs: &[Pair]) -> Vec<f32>;
}

impl From<&Label> for Pair {
    fn from(label: &Label) -> Self {
        Self { prompt: label.prompt, model: label.model }
    }
}

/// One model's training rows: each prompt once, by prompt, with the mean of its qualities.
#[derive(Debug, Clone, Default)]
struct ModelRows {
    prompts: Vec<u32>,
    quality: Vec<f32>,
}

/// The training rows of every model, by model id.
fn rows_per_model(models: usize, train: &[Label]) -> Vec<ModelRows> {
    let mut sums: Vec<BTreeMap<u32, (f64, u32)>> = vec![BTreeMap::new(); models];
    for label in train {
        if let Some(rows) = sums.get_mut(usize::from(label.model)) {
            let (sum, count) = rows.entry(label.prompt).or_default();
            *sum += f64::from(label.quality);
            *count += 1;
        }
    }
    let finish = |rows: BTreeMap<u32, (f64, u32)>| {
        let mean = |(sum, count): (f64, u32)| (sum / f64::from(count)) as f32;
        let (prompts, quality) = rows.into_iter().map(|(at, it)| (at, mean(it))).unzip();
        ModelRows { prompts, quality }
    };
    sums.into_iter().map(finish).collect()
}
