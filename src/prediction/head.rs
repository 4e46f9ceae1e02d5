//! A model as a point in ability space: what is believed of its weights, as a Gaussian.
//!
//! In: z, and a model's mean weights and covariance. Out: quality with its spread, and log-normal
//! tokens. Shapes: weights `[33]` (32 and the intercept), covariance packed by rows of its lower
//! triangle `[561]`. The prior over models never seen is a head of the same kind.

use super::forecast::QualityEstimate;
use super::trunk::LATENT;
use crate::domain::Probability;

/// Weights of a head: one per latent float, and the intercept.
pub const HEAD: usize = LATENT + 1;

/// Floats of a covariance's lower triangle, packed.
pub const fn packed_len() -> usize {
    HEAD * (HEAD + 1) / 2
}

/// z with a 1 for the intercept.
pub fn with_one(latent: &[f32; LATENT]) -> [f32; HEAD] {
    let mut extended = [1.0; HEAD];
    extended[..LATENT].copy_from_slice(latent);
    extended
}

/// Quality of one model: `sigmoid(a . z + b)`, with what is believed of a and b.
#[derive(Debug, Clone, Copy)]
pub struct QualityHead<'a> {
    /// Mean of a and b, `[33]`.
    pub mean: &'a [f32],
    /// Their covariance, lower triangle packed by rows, `[561]`.
    pub covariance: &'a [f32],
}

impl QualityHead<'_> {
    /// The expected quality and its spread; `shift` moves the intercept.
    pub fn estimate(&self, latent: &[f32; HEAD], shift: f64) -> QualityEstimate {
        let (logit, variance) = (self.logit(latent) + shift, self.variance(latent));
        // MacKay (1992), "The evidence framework applied to classification networks", eq. 10: the
        // mean of a sigmoid under a Gaussian.
        let moderated = logit / (1.0 + std::f64::consts::PI / 8.0 * variance).sqrt();
        let mean = sigmoid(moderated);
        // Daunizeau (2017), "Semi-analytical approximations to statistical moments of sigmoid and
        // softmax mappings of normal variables", for the deviation; never above a half.
        let doubt = 1.0 - 1.0 / (1.0 + 0.368 * variance).sqrt();
        let spread = (mean * (1.0 - mean) * doubt).sqrt();
        QualityEstimate { mean: Probability::clamped(mean), spread }
    }

    pub(super) fn logit(&self, latent: &[f32; HEAD]) -> f64 {
        f64::from(dot(self.mean, latent))
    }

    /// `z' C z`, from the packed lower triangle.
    pub(super) fn variance(&self, latent: &[f32; HEAD]) -> f64 {
        let mut at = 0;
        let mut sum = 0.0_f64;
        for (row, value) in latent.iter().enumerate() {
            let cells = &self.covariance[at..=at + row];
            let below = dot(&cells[..row], &latent[..row]);
            sum += f64::from(*value) * f64::from(2.0 * below + cells[row] * value);
            at += row + 1;
        }
        sum.max(0.0)
    }
}

/// Output tokens of one model: log-normal with mean `c . z + d` of the logarithm.
#[derive(Debug, Clone, Copy)]
pub struct TokensHead<'a> {
    /// c and d, `[33]`.
    pub mean: &'a [f32],
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

impl TokensHead<'_> {
    /// Mean of the logarithm, between 1 token and a million.
    pub fn mu(&self, latent: &[f32; HEAD]) -> f64 {
        f64::from(dot(self.mean, latent)).clamp(0.0, 13.8)
    }
}

pub(super) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packed_product_matches_the_full_one() {
        let latent: [f32; HEAD] = std::array::from_fn(|it| (it as f32 * 0.7).sin());
        let cell = |row: usize, column: usize| {
            let (high, low) = (row.max(column), row.min(column));
            ((high * 7 + low * 3) as f32).cos() * 0.01 + f32::from(u8::from(row == column))
        };
        let packed: Vec<f32> =
            (0..HEAD).flat_map(|row| (0..=row).map(move |column| cell(row, column))).collect();
        assert_eq!(packed.len(), packed_len());
        let naive: f64 = (0..HEAD)
            .flat_map(|row| (0..HEAD).map(move |column| (row, column)))
            .map(|(row, column)| f64::from(latent[row] * cell(row, column) * latent[column]))
            .sum();
        let head = QualityHead { mean: &[0.0; HEAD], covariance: &packed };
        assert!((head.variance(&latent) - naive).abs() < 1e-4, "{}", head.variance(&latent));
    }

    #[test]
    fn doubt_pulls_quality_towards_a_half() {
        let latent = with_one(&[0.0; LATENT]);
        let mut mean = [0.0; HEAD];
        mean[LATENT] = 3.0;
        let mut covariance = vec![0.0; packed_len()];
        let sure = QualityHead { mean: &mean, covariance: &covariance }.estimate(&latent, 0.0);
        *covariance.last_mut().expect("a corner") = 4.0;
        let unsure = QualityHead { mean: &mean, covariance: &covariance }.estimate(&latent, 0.0);
        assert!(sure.mean > unsure.mean && unsure.mean.get() > 0.5);
        assert!(sure.spread == 0.0 && unsure.spread > 0.0);
    }
}
