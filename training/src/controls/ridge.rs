//! Ridge regression per model on the prompts' vectors.
//!
//! In: vectors of all prompts, training labels. Out: a linear predictor per model, clamped to
//! 0..=1. Invariant: closed form, no iteration; the bias is not penalised. Not here: choosing the
//! penalty.

use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

use super::{Constant, Control, ModelRows, Pair, Vectors, rows_per_model};
use crate::dataset::{Dataset, Label};
use crate::progress::Progress;

/// Penalty on squared weights. Unit vectors of 384 numbers put about rows / 384 in a direction: at
/// some thousand rows this is of the size of a mean direction, at a hundred well above.
const PENALTY: f64 = 5.0;

/// A linear predictor per model.
#[derive(Debug)]
pub struct Ridge<'a> {
    vectors: Vectors<'a>,
    /// Per model; `None` where it has no training rows.
    models: Vec<Option<Linear>>,
    means: Constant,
}

#[derive(Debug, Clone)]
struct Linear {
    weights: Array1<f32>,
    bias: f32,
}

impl<'a> Ridge<'a> {
    /// Solves every model's equations.
    pub fn fit(data: &Dataset, train: &[Label], vectors: Vectors<'a>) -> Self {
        let rows = rows_per_model(data.models.len(), train);
        let progress = Progress::start("fitting ridge", rows.len() as u64);
        let fit = |it: &ModelRows| {
            let fitted = Linear::fit(it, vectors);
            progress.advance(1);
            fitted
        };
        let models = rows.par_iter().map(fit).collect();
        Self { vectors, models, means: Constant::fit(data, train) }
    }
}

impl Linear {
    fn fit(rows: &ModelRows, vectors: Vectors<'_>) -> Option<Self> {
        let x = vectors.unit_rows(&rows.prompts);
        let y = Array1::from(rows.quality.clone());
        let (centre, mean) = (x.mean_axis(Axis(0))?, y.mean()?);
        let (x, y) = (&x - &centre, &y - mean);
        let mut gram = x.t().dot(&x).mapv(f64::from);
        gram.diag_mut().mapv_inplace(|it| it + PENALTY);
        let weights = solve(gram, x.t().dot(&y).mapv(f64::from))?.mapv(|it| it as f32);
        let bias = mean - weights.dot(&centre);
        Some(Self { weights, bias })
    }
}

impl Control for Ridge<'_> {
    fn name(&self) -> &'static str {
        "ridge"
    }

    fn predict(&self, pairs: &[Pair]) -> Vec<f32> {
        let one = |it: &Pair| {
            let model = self.models.get(usize::from(it.model)).and_then(Option::as_ref);
            let Some(model) = model else { return self.means.of(it.model) };
            let row = self.vectors.unit_rows(&[it.prompt]);
            (row.row(0).dot(&model.weights) + model.bias).clamp(0.0, 1.0)
        };
        pairs.par_iter().map(one).collect()
    }
}

/// Solves `a x = b` for symmetric positive definite `a` by Cholesky; `None` where `a` is not.
fn solve(mut a: Array2<f64>, mut b: Array1<f64>) -> Option<Array1<f64>> {
    let n = b.len();
    for j in 0..n {
        for i in j..n {
            // Rows i and j of the lower triangle, up to column j, hold the factor already.
            let done = a.row(i).slice(ndarray::s![..j]).dot(&a.row(j).slice(ndarray::s![..j]));
            let rest = a[[i, j]] - done;
            if i == j && !(rest > 0.0 && rest.is_finite()) {
                return None;
            }
            a[[i, j]] = if i == j { rest.sqrt() } else { rest / a[[j, j]] };
        }
    }
    for i in 0..n {
        let done = a.row(i).slice(ndarray::s![..i]).dot(&b.slice(ndarray::s![..i]));
        b[i] = (b[i] - done) / a[[i, i]];
    }
    for i in (0..n).rev() {
        let done: f64 = (i + 1..n).map(|k| a[[k, i]] * b[k]).sum();
        b[i] = (b[i] - done) / a[[i, i]];
    }
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing;

    #[test]
    fn cholesky_solves() {
        let a = ndarray::array![[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let x = ndarray::array![1.0, -2.0, 0.5];
        let found = solve(a.clone(), a.dot(&x)).unwrap();
        assert!((&found - &x).iter().all(|it| it.abs() < 1e-12), "{found}");
        assert_eq!(solve(ndarray::array![[0.0]], ndarray::array![1.0]), None);
        assert_eq!(solve(ndarray::array![[f64::NAN]], ndarray::array![1.0]), None);
    }

    #[test]
    fn a_linear_quality_is_found_and_an_unknown_model_is_no_error() {
        let mut data = testing::dataset(3_000);
        let values = testing::vectors(3_000, 4);
        let vectors = Vectors::new(&values, 3_000, 4).unwrap();
        let rows = vectors.unit_rows(&(0..3_000).collect::<Vec<_>>());
        let truth = |it: u32| 0.5 + 0.4 * rows[[it as usize, 1]];
        data.labels.iter_mut().for_each(|it| it.quality = truth(it.prompt));
        let ridge = Ridge::fit(&data, &data.labels, vectors);
        let pairs: Vec<Pair> = data.labels.iter().take(300).map(Pair::from).collect();
        for (pair, found) in pairs.iter().zip(ridge.predict(&pairs)) {
            assert!((found - truth(pair.prompt)).abs() < 0.02, "{found}");
        }
        let none = Ridge::fit(&data, &[], vectors);
        assert_eq!(none.predict(&[pairs[0], Pair { prompt: 9_999, model: 99 }]), [0.5, 0.5]);
    }
}
