//! The nearest training prompts of the same model.
//!
//! In: vectors of all prompts, training labels. Out: for a (prompt, model) pair, the mean quality
//! of that model over the k training prompts most alike (cosine) among those that it has a label
//! for, shrunk to the model's mean. Invariant: the search is exact, and a prompt is never its own
//! neighbour, so that training rows can be predicted too. Not here: an index; products of blocks
//! take seconds for 25,000 prompts.

use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

use super::{Constant, Control, ModelRows, Pair, Vectors, rows_per_model};
use crate::dataset::{Dataset, Label};
use crate::progress::Progress;

/// Neighbours: the prototypes' optimum; 10 did worse than no router at all.
const NEIGHBOURS: usize = 100;
/// The model's mean counts as this many neighbours. It matters only for models with few labels.
const PRIOR_NEIGHBOURS: f64 = 5.0;
/// Prompts whose similarities are computed in one product: with 25,000 training prompts 25 MB per
/// thread, and wide enough for the product to run at full speed.
const BLOCK: usize = 256;

/// Exact k nearest neighbours.
#[derive(Debug)]
pub struct Knn<'a> {
    vectors: Vectors<'a>,
    neighbours: usize,
    /// Rows of the training prompts.
    known: Array2<f32>,
    /// The prompt of each row of `known`, ascending.
    prompts: Vec<u32>,
    /// Per model: rows of `known` that it has labels for, and their qualities.
    models: Vec<ModelRows>,
    means: Constant,
}

impl<'a> Knn<'a> {
    /// Keeps the training prompts; k = 100.
    pub fn fit(data: &Dataset, train: &[Label], vectors: Vectors<'a>) -> Self {
        let mut prompts: Vec<u32> = train.iter().map(|it| it.prompt).collect();
        prompts.sort_unstable();
        prompts.dedup();
        let mut models = rows_per_model(data.models.len(), train);
        for row in models.iter_mut().flat_map(|it| it.prompts.iter_mut()) {
            *row = prompts.partition_point(|it| it < row) as u32;
        }
        let known = vectors.unit_rows(&prompts);
        let means = Constant::fit(data, train);
        Self { vectors, neighbours: NEIGHBOURS, known, prompts, models, means }
    }

    /// Another number of neighbours; 0 becomes 1.
    #[must_use]
    pub fn with_neighbours(self, neighbours: usize) -> Self {
        Self { neighbours: neighbours.max(1), ..self }
    }

    /// Predictions of a block of prompts: `(place in pairs, prediction)`.
    fn block(&self, asked: &[&[(usize, Pair)]]) -> Vec<(usize, f32)> {
        let prompts: Vec<u32> = asked.iter().filter_map(|it| Some(it.first()?.1.prompt)).collect();
        let alike = self.vectors.unit_rows(&prompts).dot(&self.known.t());
        let mut near = Vec::new();
        let mut predicted = Vec::new();
        for ((pairs, alike), prompt) in asked.iter().zip(alike.rows()).zip(&prompts) {
            let itself = self.prompts.binary_search(prompt).ok().map(|it| it as u32);
            for (place, pair) in *pairs {
                predicted.push((*place, self.one(pair.model, alike, itself, &mut near)));
            }
        }
        predicted
    }

    fn one(
        &self,
        model: u16,
        alike: ArrayView1<'_, f32>,
        itself: Option<u32>,
        near: &mut Vec<(f32, f32)>,
    ) -> f32 {
        let mean = self.means.of(model);
        let Some(rows) = self.models.get(usize::from(model)) else { return mean };
        near.clear();
        let labelled = rows.prompts.iter().zip(&rows.quality);
        let others = labelled.filter(|it| Some(*it.0) != itself);
        near.extend(others.map(|(row, quality)| (alike[*row as usize], *quality)));
        if near.len() > self.neighbours {
            // Of equally near prompts any may be taken: which, depends on the order alone.
            near.select_nth_unstable_by(self.neighbours - 1, |a, b| b.0.total_cmp(&a.0));
            near.truncate(self.neighbours);
        }
        let sum: f64 = near.iter().map(|it| f64::from(it.1)).sum();
        let shrunk = sum + PRIOR_NEIGHBOURS * f64::from(mean);
        (shrunk / (near.len() as f64 + PRIOR_NEIGHBOURS)) as f32
    }
}

impl Control for Knn<'_> {
    fn name(&self) -> &'static str {
        "nearest neighbours"
    }

    fn predict(&self, pairs: &[Pair]) -> Vec<f32> {
        let mut by_prompt: Vec<(usize, Pair)> = pairs.iter().copied().enumerate().collect();
        by_prompt.sort_unstable_by_key(|(place, it)| (it.prompt, *place));
        let prompts: Vec<&[(usize, Pair)]> =
            by_prompt.chunk_by(|a, b| a.1.prompt == b.1.prompt).collect();
        let progress = Progress::start("searching neighbours", prompts.len() as u64);
        let found: Vec<(usize, f32)> = prompts
            .par_chunks(BLOCK)
            .flat_map_iter(|block| {
                let predicted = self.block(block);
                progress.advance(block.len() as u64);
                predicted
            })
            .collect();
        let mut predicted = vec![0.0; pairs.len()];
        for (place, value) in found {
            predicted[place] = value;
        }
        predicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing;

    /// All distances, sorted, one pair at a time.
    fn naive(data: &Dataset, train: &[Label], values: &[f32], pair: Pair, k: usize) -> f64 {
        let row = |it: u32| &values[it as usize * 4..it as usize * 4 + 4];
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let alike = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        let of_model = || train.iter().filter(|it| it.model == pair.model);
        let mut near: Vec<(f64, f64)> = of_model()
            .filter(|it| it.prompt != pair.prompt)
            .map(|it| (alike(row(it.prompt), row(pair.prompt)), f64::from(it.quality)))
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.truncate(k);
        let mean = f64::from(Constant::fit(data, train).of(pair.model));
        (near.iter().map(|it| it.1).sum::<f64>() + 5.0 * mean) / (near.len() as f64 + 5.0)
    }

    #[test]
    fn agrees_with_a_naive_search() {
        let data = testing::dataset(700);
        let values = testing::vectors(700, 4);
        let vectors = Vectors::new(&values, 700, 4).unwrap();
        let (train, held_out): (Vec<Label>, Vec<Label>) =
            data.labels.iter().partition(|it| it.prompt % 5 > 0);
        for k in [1, 10, 100, 10_000] {
            let knn = Knn::fit(&data, &train, vectors).with_neighbours(k);
            // Held-out rows, and some training rows, which must not see themselves.
            let labels = held_out.iter().chain(train.iter().take(40));
            let pairs: Vec<Pair> = labels.map(Pair::from).collect();
            for (pair, found) in pairs.iter().zip(knn.predict(&pairs)) {
                let wanted = naive(&data, &train, &values, *pair, k);
                assert!((f64::from(found) - wanted).abs() < 1e-5, "{found} {wanted} k={k}");
            }
        }
    }

    #[test]
    fn an_unknown_model_and_no_training_rows_are_no_error() {
        let data = testing::dataset(4);
        let values = testing::vectors(4, 4);
        let knn = Knn::fit(&data, &[], Vectors::new(&values, 4, 4).unwrap());
        let far = Pair { prompt: 77, model: 99 };
        assert_eq!(knn.predict(&[Pair { prompt: 0, model: 0 }, far]), [0.5, 0.5]);
        assert!(knn.predict(&[]).is_empty());
    }
}
