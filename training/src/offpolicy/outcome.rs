//! The outcome model: what a choice would have brought, learned from the other folds.
//!
//! In: logged rows, a measure. Out: per row a guess for everyone who could be chosen. Invariant: no
//! row's guess has seen that row, nor any of its group (cross-fitting, Chernozhukov et al. 2018), so
//! that the doubly robust estimate is not fooled by a model that learned its rows by heart. Not here:
//! the estimators.

use std::collections::BTreeMap;

use nalgebra::{DMatrix, DVector};

use super::estimators::{Guesses, Measure, Row};

/// Folds: each guess is learned on 80 % of the log.
const FOLDS: u64 = 5;
/// Ridge penalty, in rows: with fewer rows than this an arm is guessed as it was before.
const PENALTY: f64 = 20.0;

/// Cross-fitted guesses for every arm of every row: what was expected before, corrected by a ridge
/// regression of all that missed it, and by one of the arm's own rows.
pub fn cross_fitted(rows: &[Row], measure: Measure) -> Guesses {
    let fold_of = |row: &Row| row.group % FOLDS;
    let folds: Vec<Correction> = (0..FOLDS)
        .map(|fold| {
            let others: Vec<&Row> = rows.iter().filter(|it| fold_of(it) != fold).collect();
            Correction::fit(&others, measure)
        })
        .collect();
    let guesses = |row: &Row| {
        let correction = &folds[fold_of(row) as usize];
        let context = DVector::from_column_slice(&row.context);
        let arm = |it: &super::Arm| it.guess[measure as usize] + correction.of(it.id, &context);
        row.arms.iter().map(arm).collect()
    };
    rows.iter().map(guesses).collect()
}

/// Weights on the context: for all, and for each arm beside.
struct Correction {
    all: DVector<f64>,
    own: BTreeMap<usize, DVector<f64>>,
}

impl Correction {
    fn fit(rows: &[&Row], measure: Measure) -> Self {
        let size = rows.first().map_or(0, |it| it.context.len());
        let mut all = Sums::new(size);
        for row in rows {
            all.add(&row.context, missed(row, measure));
        }
        let all = all.solved();
        let mut own: BTreeMap<usize, Sums> = BTreeMap::new();
        for row in rows {
            let Some(arm) = row.arms.get(row.chosen) else { continue };
            let context = DVector::from_column_slice(&row.context);
            let left = missed(row, measure) - all.dot(&context);
            own.entry(arm.id).or_insert_with(|| Sums::new(size)).add(&row.context, left);
        }
        let own = own.into_iter().map(|(id, sums)| (id, sums.solved())).collect();
        Self { all, own }
    }

    fn of(&self, arm: usize, context: &DVector<f64>) -> f64 {
        if self.all.len() != context.len() {
            return 0.0;
        }
        self.all.dot(context) + self.own.get(&arm).map_or(0.0, |it| it.dot(context))
    }
}

/// By how much the choice missed what was expected of it.
fn missed(row: &Row, measure: Measure) -> f64 {
    let guess = row.arms.get(row.chosen).map_or(0.0, |it| it.guess[measure as usize]);
    row.reward[measure as usize] - guess
}

/// The normal equations of a ridge regression.
struct Sums {
    gram: DMatrix<f64>,
    right: DVector<f64>,
}

impl Sums {
    fn new(size: usize) -> Self {
        Self { gram: DMatrix::identity(size, size) * PENALTY, right: DVector::zeros(size) }
    }

    fn add(&mut self, context: &[f64], value: f64) {
        let context = DVector::from_column_slice(context);
        self.gram.ger(1.0, &context, &context, 1.0);
        self.right.axpy(value, &context, 1.0);
    }

    /// The penalty makes the matrix positive definite; numbers so large that it is not any more
    /// leave the guess as it was.
    fn solved(self) -> DVector<f64> {
        let Self { gram, right } = self;
        let size = right.len();
        gram.cholesky().map_or_else(|| DVector::zeros(size), |it| it.solve(&right))
    }
}
