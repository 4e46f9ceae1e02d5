//! Who chooses: the router, the controls, the oracle.
//!
//! In: a pool's training rows, and the rows to choose on. Out: [`Chooser`]s: per cell what each
//! believes of quality and cost. Invariant: controls learn from the pool's own training rows and
//! know its prices; only [`Kind::KnowsTask`] sees a task, only [`Kind::Oracle`] the answer. Not
//! here: the choice itself (see [`super::Sweep`]).

use anyhow::Result;
use pointsman::prediction::{LogNormal, Predictor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{PoolRows, price::Prices};
use crate::controls::{Constant, Control, Knn, LengthLogistic, Pair, Ridge, TaskMeans, Vectors};
use crate::dataset::Dataset;
use crate::fit::Inputs;

/// The name of the artifact that is judged.
pub const ROUTER: &str = "router";
/// The name of the artifact that it is compared with.
pub const AGAINST: &str = "router to compare with";

/// What a chooser knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A trained artifact.
    Router,
    /// A control that sees the prompt at most.
    TaskBlind,
    /// A control that is told the task's name.
    KnowsTask,
    /// Knows what will come out.
    Oracle,
}

/// What a chooser believes of every cell, in the order of the rows' cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Chooser {
    /// Its name in reports.
    pub name: String,
    /// What it knows.
    pub kind: Kind,
    /// Expected quality.
    pub quality: Vec<f32>,
    /// Expected cost, USD.
    pub cost: Vec<f64>,
    /// The cost it believes to stay below with a chance of 0.9, USD.
    pub cost_high: Vec<f64>,
}

/// A table with what is needed to learn from it.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// The labels.
    pub data: &'a Dataset,
    /// Vectors and features of its prompts.
    pub inputs: &'a Inputs,
    /// Its prompts' vectors alone.
    pub embeddings: &'a [f32],
}

/// Every control and the oracle.
///
/// # Errors
/// When a vector is not finite.
pub fn controls(
    table: Table<'_>,
    train: &PoolRows,
    test: &PoolRows,
    seed: u64,
) -> Result<Vec<Chooser>> {
    let (data, labels) = (table.data, train.labels());
    let prices = Prices::fit(data.models.len(), train);
    let width = table.embeddings.len() / data.prompts.len().max(1);
    let vectors = || Vectors::new(table.embeddings, data.prompts.len(), width);
    let pairs: Vec<Pair> = test.cells.iter().map(|it| Pair::from(&it.label)).collect();
    let blind = |name: &str, quality: Vec<f32>| priced(name, quality, test, &prices);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let noise = test.cells.iter().map(|_| random.random::<f32>()).collect();
    let zero = blind("zero router", Constant::fit(data, &labels).predict(&pairs));
    let oracle = Chooser {
        name: "oracle".to_owned(),
        kind: Kind::Oracle,
        quality: test.cells.iter().map(|it| it.label.quality).collect(),
        cost: test.cells.iter().map(|it| it.cost).collect(),
        cost_high: test.cells.iter().map(|it| it.cost).collect(),
    };
    let knows = TaskMeans::fit(data, &labels).predict(&test.labels());
    Ok(vec![
        blind("random", noise),
        zero,
        blind("prompt length", LengthLogistic::fit(data, &labels).predict(&pairs)),
        blind("nearest neighbours", Knn::fit(data, &labels, vectors()?).predict(&pairs)),
        blind("ridge", Ridge::fit(data, &labels, vectors()?).predict(&pairs)),
        Chooser { kind: Kind::KnowsTask, ..blind("table that knows the task", knows) },
        oracle,
    ])
}

/// A control with the cost of the model's mean number of output tokens.
fn priced(name: &str, quality: Vec<f32>, test: &PoolRows, prices: &Prices) -> Chooser {
    let of = |high: fn(&super::ModelPrice) -> (f64, f64)| {
        let cost = |it: &super::Cell| {
            let price = prices.of(it.label.model);
            let (tokens, otherwise) = high(&price);
            price.cost(&it.label, tokens, otherwise)
        };
        test.cells.iter().map(cost).collect()
    };
    Chooser {
        name: name.to_owned(),
        kind: Kind::TaskBlind,
        quality,
        cost: of(|it| (it.mean_tokens, it.mean_cost)),
        cost_high: of(|it| (it.high_tokens, it.high_cost)),
    }
}

/// The artifact: its own heads for quality and output tokens, the prices of the training rows.
pub fn router(
    name: &str,
    predictor: &Predictor,
    table: Table<'_>,
    train: &PoolRows,
    test: &PoolRows,
) -> Chooser {
    let prices = Prices::fit(table.data.models.len(), train);
    let believe = |row: &super::PoolRow| -> Vec<(f32, f64, f64)> {
        let latent = table.inputs.latent(predictor, row.prompt as usize);
        let cells = test.cells[row.cells.clone()].iter();
        let one = |it: &super::Cell| {
            let label = &it.label;
            let name = table.data.models.get(usize::from(label.model)).map(String::as_str);
            let (quality, tokens) = predictor.heads(name);
            let price = prices.of(label.model);
            let tokens =
                LogNormal { mu: tokens.mu(&latent), sigma: tokens.sigma, cap: price.most_tokens };
            (
                quality.estimate(&latent, 0.0).mean.get() as f32,
                price.cost(label, tokens.mean(), price.mean_cost),
                price.cost(label, tokens.quantile(0.9), price.high_cost),
            )
        };
        cells.map(one).collect()
    };
    let believed: Vec<Vec<(f32, f64, f64)>> = test.rows.par_iter().map(believe).collect();
    let mut chooser = Chooser::empty(name, Kind::Router, 0);
    for (quality, cost, high) in believed.into_iter().flatten() {
        chooser.quality.push(quality);
        chooser.cost.push(cost);
        chooser.cost_high.push(high);
    }
    chooser
}

impl Chooser {
    /// One that believes nothing yet of `cells` cells.
    pub fn empty(name: &str, kind: Kind, cells: usize) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            quality: vec![0.0; cells],
            cost: vec![0.0; cells],
            cost_high: vec![0.0; cells],
        }
    }

    /// Takes over what `part` believes of the cells at `places`.
    pub fn scatter(&mut self, part: &Self, places: &[usize]) {
        for (from, to) in places.iter().enumerate() {
            self.quality[*to] = part.quality[from];
            self.cost[*to] = part.cost[from];
            self.cost_high[*to] = part.cost_high[from];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::testing;

    #[test]
    fn controls_are_named_priced_and_repeat() {
        let data = testing::dataset(300);
        let inputs = Inputs::default();
        let embeddings = crate::controls::testing::vectors(300, 384);
        let table = Table { data: &data, inputs: &inputs, embeddings: &embeddings };
        let rows = PoolRows::new(&testing::pool(), &data, &(0..300).collect::<Vec<_>>());
        let (train, _) = rows.keep(|it| it < 200);
        let (test, places) = rows.keep(|it| it >= 200);
        let found = controls(table, &train, &test, 1).unwrap();
        assert_eq!(found, controls(table, &train, &test, 1).unwrap());
        assert_eq!(found.len(), 7);
        for chooser in &found {
            assert_eq!((chooser.quality.len(), chooser.cost.len()), (200, 200), "{}", chooser.name);
            assert!(chooser.cost.iter().all(|it| *it > 0.0));
        }
        let zero = &found[1];
        assert!(zero.quality[0] < zero.quality[1] && zero.cost[0] < zero.cost[1]);
        assert_eq!(found[6].cost[3], test.cells[3].cost);
        let mut whole = Chooser::empty("all", Kind::TaskBlind, 600);
        whole.scatter(zero, &places);
        assert_eq!((whole.cost[places[3]], whole.cost[0]), (zero.cost[3], 0.0));
    }
}
