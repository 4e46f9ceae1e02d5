//! What is believed of one model's quality, owned, and how one label moves it.
//!
//! In: a [`QualityHead`], a prompt's latent vector, a quality. Out: a [`Belief`] of the same shapes.
//! Invariant: pure; every label narrows the belief and pulls it towards what was seen; the order of
//! labels hardly matters (tests hold both). Not here: where labels come from, and the same on many
//! labels at once (the training crate).

use super::head::{HEAD, QualityHead, sigmoid};
use crate::domain::Probability;

/// A model's weights as a Gaussian.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    /// Mean weights, `[33]`.
    pub mean: Vec<f32>,
    /// Their covariance, lower triangle packed by rows, `[561]`.
    pub covariance: Vec<f32>,
}

impl Belief {
    /// It as what predicts.
    pub fn head(&self) -> QualityHead<'_> {
        QualityHead { mean: &self.mean, covariance: &self.covariance }
    }
}

impl QualityHead<'_> {
    /// A copy whose intercept is moved by `shift`, in log odds.
    pub fn shifted(&self, shift: f64) -> Belief {
        let mut mean = self.mean.to_vec();
        if let Some(intercept) = mean.last_mut() {
            *intercept = (f64::from(*intercept) + shift) as f32;
        }
        Belief { mean, covariance: self.covariance.to_vec() }
    }

    /// The belief after one more label: Laplace's approximation with the belief so far as the prior
    /// (Spiegelhalter and Lauritzen 1990, "Sequential updating of conditional probabilities"). The
    /// mean is the exact maximum for this one label, so a surprising label cannot overshoot.
    pub fn updated(&self, latent: &[f32; HEAD], quality: Probability) -> Belief {
        self.updated_by(latent, quality, 1.0)
    }

    /// As [`Self::updated`], by a label that counts as `weight` of one, 0 to 1.
    pub fn updated_by(&self, latent: &[f32; HEAD], quality: Probability, weight: f64) -> Belief {
        let direction = self.times(latent);
        let variance: f64 = direction.iter().zip(latent).map(|(c, z)| c * f64::from(*z)).sum();
        let variance = variance.max(0.0);
        let logit: f64 =
            self.mean.iter().zip(latent).map(|(a, z)| f64::from(*a) * f64::from(*z)).sum();
        let pull = pull((logit, variance), quality.get(), weight);
        let p = sigmoid(logit + variance * pull);
        let curvature = weight * p * (1.0 - p);
        let shrink = curvature / (1.0 + curvature * variance);
        let moved = self.mean.iter().zip(&direction);
        let cells = (0..HEAD).flat_map(|row| (0..=row).map(move |column| (row, column)));
        let narrowed = self.covariance.iter().zip(cells).map(|(cell, (row, column))| {
            (f64::from(*cell) - shrink * direction[row] * direction[column]) as f32
        });
        Belief {
            mean: moved.map(|(a, c)| (f64::from(*a) + pull * c) as f32).collect(),
            covariance: narrowed.collect(),
        }
    }

    /// `C z`, from the packed lower triangle.
    fn times(&self, latent: &[f32; HEAD]) -> [f64; HEAD] {
        let mut product = [0.0; HEAD];
        let cells = (0..HEAD).flat_map(|row| (0..=row).map(move |column| (row, column)));
        for (cell, (row, column)) in self.covariance.iter().zip(cells) {
            product[row] += f64::from(cell * latent[column]);
            if row != column {
                product[column] += f64::from(cell * latent[row]);
            }
        }
        product
    }
}

/// How far the label pulls, in units of `C z`: the root of
/// `weight (quality - sigmoid(logit + variance x)) - x`.
fn pull((logit, variance): (f64, f64), quality: f64, weight: f64) -> f64 {
    // It falls with x, is at least 0 at weight (quality - 1) and at most 0 at weight quality.
    let (mut low, mut high) = (weight * (quality - 1.0), weight * quality);
    // 50 halvings of 1 leave 1e-15.
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if weight * (quality - sigmoid(logit + variance * middle)) > middle {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::super::head::{packed_len, with_one};
    use super::super::trunk::LATENT;
    use super::*;

    const VARIANCE: f32 = 0.5;

    fn prior() -> Belief {
        let cells = (0..HEAD).flat_map(|row| (0..=row).map(move |column| row == column));
        let covariance = cells.map(|it| if it { VARIANCE } else { 0.0 }).collect::<Vec<_>>();
        assert_eq!(covariance.len(), packed_len());
        Belief { mean: vec![0.0; HEAD], covariance }
    }

    /// Labels of a model whose true weights are waves, as certain draws of a fixed sequence.
    fn labels(count: usize) -> Vec<([f32; HEAD], Probability)> {
        let mut state = 7_u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            (state >> 33) as f32 / (1_u64 << 31) as f32
        };
        let one = |_| {
            let latent = with_one(&std::array::from_fn::<_, LATENT, _>(|_| 2.0 * draw() - 1.0));
            let logit: f32 =
                latent.iter().enumerate().map(|(at, z)| z * (at as f32).sin() * 1.5).sum();
            let right = f64::from(draw()) < sigmoid(f64::from(logit));
            (latent, Probability::clamped(f64::from(u8::from(right))))
        };
        (0..count).map(one).collect()
    }

    fn after<'a>(all: impl Iterator<Item = &'a ([f32; HEAD], Probability)>) -> Belief {
        all.fold(prior(), |belief, (latent, quality)| belief.head().updated(latent, *quality))
    }

    /// The maximum over all labels at once, by plain ascent.
    fn batch(all: &[([f32; HEAD], Probability)]) -> Vec<f64> {
        let mut mean = vec![0.0; HEAD];
        for _ in 0..4_000 {
            let mut slope: Vec<f64> = mean.iter().map(|it| -it / f64::from(VARIANCE)).collect();
            for (latent, quality) in all {
                let logit: f64 = mean.iter().zip(latent).map(|(a, z)| a * f64::from(*z)).sum();
                let miss = quality.get() - sigmoid(logit);
                slope.iter_mut().zip(latent).for_each(|(s, z)| *s += miss * f64::from(*z));
            }
            mean.iter_mut().zip(&slope).for_each(|(a, s)| *a += 0.02 * s);
        }
        mean
    }

    fn distance(a: &[f64], b: &[f32], unit: f64) -> f64 {
        let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - f64::from(*b)).powi(2)).sum();
        squares.sqrt() / unit
    }

    #[test]
    fn label_by_label_comes_to_what_all_at_once_does() {
        for count in [10, 100, 400] {
            let all = labels(count);
            let whole = batch(&all);
            let size = whole.iter().map(|it| it * it).sum::<f64>().sqrt();
            let (there, back) = (after(all.iter()), after(all.iter().rev()));
            let off = distance(&whole, &there.mean, size);
            assert!(off < 0.12, "{count}: {off}");
            let there64: Vec<f64> = there.mean.iter().map(|it| f64::from(*it)).collect();
            let order = distance(&there64, &back.mean, size);
            assert!(order < 0.12, "{count}: {order}");
        }
    }

    #[test]
    fn every_label_narrows_and_pulls_its_own_way() {
        let (mut belief, probe) = (prior(), labels(401));
        for (latent, quality) in &probe {
            let next = belief.head().updated(latent, *quality);
            let (before, now) = (belief.head(), next.head());
            assert!(now.variance(latent) < before.variance(latent));
            assert!(now.variance(latent) > 0.0 && now.variance(&probe[0].0) > 0.0);
            let (was, is) = (sigmoid(before.logit(latent)), sigmoid(now.logit(latent)));
            let within = was.min(quality.get())..=was.max(quality.get());
            assert!(within.contains(&is), "{was} to {is} for {quality:?}");
            belief = next;
        }
    }

    /// Two halves move the belief as far as one whole, nearly: the second is less surprising.
    #[test]
    fn a_label_counts_by_its_weight() {
        let (latent, quality) = labels(1)[0];
        let moved = |weights: &[f64]| {
            let update = |it: Belief, weight: &f64| it.head().updated_by(&latent, quality, *weight);
            weights.iter().fold(prior(), update).head().logit(&latent).abs()
        };
        let whole = moved(&[1.0]);
        assert!(moved(&[0.5]) > 0.4 * whole && moved(&[0.5]) < whole);
        assert!((moved(&[0.5, 0.5]) / whole - 1.0).abs() < 0.1);
        assert_eq!((moved(&[]), moved(&[0.0])), (0.0, 0.0));
    }

    #[test]
    fn a_shift_moves_the_intercept_alone() {
        let moved = prior().head().shifted(0.75);
        assert_eq!((moved.mean[LATENT], moved.mean[0]), (0.75, 0.0));
        assert_eq!(moved.covariance, prior().covariance);
    }
}
