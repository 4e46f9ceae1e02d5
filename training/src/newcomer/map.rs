//! A model's weights from a few labels: the maximum of prior times likelihood, and the spread there.
//!
//! In: a Gaussian over the weights, labels of one model. Out: the belief after them. Invariant: no
//! labels give the prior back; the maximum is unique, since the objective is strictly concave. Not
//! here: where the prior comes from (see [`crate::fit`]), and one label at a time (see
//! [`pointsman::prediction::QualityHead::updated`]).

use anyhow::{Context, Result};
use nalgebra::{DMatrix, DVector};
use pointsman::prediction::{Belief, HEAD};

use crate::fit::{inverse, packed};

/// Newton's steps; five or six are enough, and a step that does not climb is halved.
const STEPS_MAX: usize = 50;
/// Halvings of one step; beyond, it is as good as nothing.
const HALVINGS_MAX: usize = 30;
/// A step below this, in weights of size one, ends the search.
const STEP_MIN: f64 = 1e-9;

/// One label of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lesson {
    /// What the prompt asks for, with a 1 for the intercept.
    pub latent: [f32; HEAD],
    /// How good the answer was, 0 to 1.
    pub quality: f32,
}

/// The belief after the labels.
///
/// # Errors
/// When the prior's covariance has no inverse, which would be a defect of the artifact.
pub fn posterior(prior: &Belief, lessons: &[Lesson]) -> Result<Belief> {
    believed(prior, &latents(lessons.iter().map(|it| (it, 1.0))))
}

/// As [`posterior`], where each label counts as much as its weight: 0.5 is half a label.
///
/// # Errors
/// As for [`posterior`].
pub fn posterior_weighted(prior: &Belief, lessons: &[(Lesson, f64)]) -> Result<Belief> {
    believed(prior, &latents(lessons.iter().map(|(it, weight)| (it, *weight))))
}

fn believed(prior: &Belief, lessons: &[Weighed]) -> Result<Belief> {
    if lessons.is_empty() {
        return Ok(prior.clone());
    }
    let precision = inverse(&unpacked(&prior.covariance)).context("the prior's covariance")?;
    let start = DVector::from_iterator(HEAD, prior.mean.iter().map(|it| f64::from(*it)));
    let task = Task { start: &start, precision: &precision, lessons };
    let mut weights = start.clone();
    for _ in 0..STEPS_MAX {
        let (slope, curvature) = task.derivatives(&weights);
        let step = curvature.cholesky().context("the curvature")?.solve(&slope);
        let Some(next) = task.climb(&weights, &step) else { break };
        weights = next;
        if step.norm() < STEP_MIN {
            break;
        }
    }
    let (_, curvature) = task.derivatives(&weights);
    let covariance = inverse(&curvature).context("the curvature")?;
    Ok(Belief {
        mean: weights.iter().map(|it| *it as f32).collect(),
        covariance: packed(&covariance),
    })
}

/// A label: what the prompt asks for, how good the answer was, how much it counts.
type Weighed = (DVector<f64>, f64, f64);

struct Task<'a> {
    start: &'a DVector<f64>,
    precision: &'a DMatrix<f64>,
    lessons: &'a [Weighed],
}

impl Task<'_> {
    fn value(&self, weights: &DVector<f64>) -> f64 {
        let off = weights - self.start;
        let likelihood = self.lessons.iter().map(|(latent, quality, weight)| {
            let logit = latent.dot(weights);
            // ln(1 + exp(logit)) without overflow.
            weight * (quality * logit - (logit.max(0.0) + (-logit.abs()).exp().ln_1p()))
        });
        likelihood.sum::<f64>() - 0.5 * off.dot(&(self.precision * &off))
    }

    /// The slope, and minus the second derivative.
    fn derivatives(&self, weights: &DVector<f64>) -> (DVector<f64>, DMatrix<f64>) {
        let mut slope = -(self.precision * (weights - self.start));
        let mut curvature = self.precision.clone();
        for (latent, quality, weight) in self.lessons {
            let p = 1.0 / (1.0 + (-latent.dot(weights)).exp());
            slope.axpy(weight * (quality - p), latent, 1.0);
            curvature.ger(weight * p * (1.0 - p), latent, latent, 1.0);
        }
        (slope, curvature)
    }

    /// The first of the step's halves that does not lead down.
    fn climb(&self, from: &DVector<f64>, step: &DVector<f64>) -> Option<DVector<f64>> {
        let height = self.value(from);
        let halves = (0..HALVINGS_MAX).map(|it| from + step * 0.5_f64.powi(it as i32));
        halves.into_iter().find(|it| self.value(it) >= height)
    }
}

fn latents<'a>(lessons: impl Iterator<Item = (&'a Lesson, f64)>) -> Vec<Weighed> {
    let each = lessons.map(|(it, weight)| {
        let latent = it.latent.iter().map(|it| f64::from(*it));
        (DVector::from_iterator(HEAD, latent), f64::from(it.quality), weight)
    });
    each.collect()
}

fn unpacked(cells: &[f32]) -> DMatrix<f64> {
    let mut matrix = DMatrix::zeros(HEAD, HEAD);
    let places = (0..HEAD).flat_map(|row| (0..=row).map(move |column| (row, column)));
    for ((row, column), cell) in places.zip(cells) {
        matrix[(row, column)] = f64::from(*cell);
        matrix[(column, row)] = f64::from(*cell);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use pointsman::domain::Probability;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn prior() -> Belief {
        let spread = DMatrix::identity(HEAD, HEAD) * 0.5;
        Belief { mean: vec![0.1; HEAD], covariance: packed(&spread) }
    }

    fn lessons(count: usize) -> Vec<Lesson> {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let one = |_| {
            let mut latent = [1.0_f32; HEAD];
            latent[1..].fill_with(|| random.random_range(-1.0..1.0));
            let logit = f64::from(2.0 * latent[1] - latent[2] + 0.5);
            let quality = f32::from(random.random_bool(1.0 / (1.0 + (-logit).exp())));
            Lesson { latent, quality }
        };
        (0..count).map(one).collect()
    }

    fn weighed(all: &[Lesson]) -> Vec<Weighed> {
        latents(all.iter().map(|it| (it, 1.0)))
    }

    #[test]
    fn half_a_label_twice_is_a_label() {
        let all = lessons(40);
        let halves: Vec<_> = all.iter().chain(&all).map(|it| (*it, 0.5)).collect();
        let (whole, halved) = (posterior(&prior(), &all), posterior_weighted(&prior(), &halves));
        let gaps = whole.unwrap().mean.into_iter().zip(halved.unwrap().mean);
        assert!(gaps.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-4);
    }

    #[test]
    fn the_slope_at_the_answer_is_zero() {
        for count in [1, 30, 500] {
            let all = lessons(count);
            let found = posterior(&prior(), &all).unwrap();
            let precision = inverse(&unpacked(&prior().covariance)).unwrap();
            let start = DVector::from_element(HEAD, f64::from(0.1_f32));
            let task = Task { start: &start, precision: &precision, lessons: &weighed(&all) };
            let weights = DVector::from_iterator(HEAD, found.mean.iter().map(|it| f64::from(*it)));
            let (slope, _) = task.derivatives(&weights);
            // The mean is stored as f32.
            assert!(slope.norm() < 1e-3, "{count}: {}", slope.norm());
        }
        assert_eq!(posterior(&prior(), &[]).unwrap(), prior());
    }

    #[test]
    fn label_by_label_in_serving_comes_close() {
        let all = lessons(300);
        let whole = posterior(&prior(), &all).unwrap();
        let stepped = all.iter().fold(prior(), |belief, it| {
            belief.head().updated(&it.latent, Probability::clamped(f64::from(it.quality)))
        });
        let mean =
            |belief: &Belief, at: &Lesson| belief.head().estimate(&at.latent, 0.0).mean.get();
        let spread = |belief: &Belief, at: &Lesson| belief.head().estimate(&at.latent, 0.0).spread;
        let off = |of: &dyn Fn(&Belief, &Lesson) -> f64| {
            let gaps = all.iter().map(|it| (of(&whole, it) - of(&stepped, it)).abs());
            gaps.sum::<f64>() / all.len() as f64
        };
        assert!(off(&mean) < 0.01 && off(&spread) < 0.01, "{} {}", off(&mean), off(&spread));
    }
}
