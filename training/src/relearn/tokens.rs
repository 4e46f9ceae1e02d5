//! Output tokens of one model, from what its provider counted.
//!
//! In: the served head, and logarithms of tokens. Out: a head, and its spread. Bayes' linear regression
//! with the served weights as the mean of the prior, since the artifact keeps no covariance of token
//! weights. Invariant: sums only, so that a log of any length fits; no answers leave the head as it was.

use nalgebra::{DMatrix, DVector};
use pointsman::prediction::{HEAD, LATENT, TokensHead};

/// Variance with which the intercept may have moved: twice as many tokens, or half.
const INTERCEPT_VARIANCE: f64 = std::f64::consts::LN_2 * std::f64::consts::LN_2;
/// Variance with which any other weight may have moved; the models' own differ by about as much.
const WEIGHT_VARIANCE: f64 = 0.05;
/// Weight of the spread that was believed, in answers; as in training.
const SIGMA_WEIGHT: f64 = 20.0;
/// As in training: answers that are all of one length do not make a model that sure.
const SIGMA_MIN: f64 = 0.05;

/// What the answers of one model say beside a head.
#[derive(Debug, Clone)]
pub(super) struct TokenSums {
    gram: DMatrix<f64>,
    right: DVector<f64>,
    squares: f64,
    pub(super) answers: u64,
}

impl Default for TokenSums {
    fn default() -> Self {
        let (gram, right) = (DMatrix::zeros(HEAD, HEAD), DVector::zeros(HEAD));
        Self { gram, right, squares: 0.0, answers: 0 }
    }
}

impl TokenSums {
    pub(super) fn add(&mut self, head: &TokensHead<'_>, latent: &[f32; HEAD], log_tokens: f64) {
        let missed = log_tokens - head.mu(latent);
        let latent = DVector::from_iterator(HEAD, latent.iter().map(|it| f64::from(*it)));
        self.gram.ger(1.0, &latent, &latent, 1.0);
        self.right.axpy(missed, &latent, 1.0);
        self.squares += missed * missed;
        self.answers += 1;
    }

    /// The weights and the spread after all answers.
    pub(super) fn learned(&self, head: &TokensHead<'_>) -> (Vec<f32>, f32) {
        let unchanged = (head.mean.to_vec(), head.sigma as f32);
        if self.answers == 0 {
            return unchanged;
        }
        let noise = head.sigma * head.sigma;
        let mut precision = self.gram.clone();
        for at in 0..HEAD {
            let variance = if at == LATENT { INTERCEPT_VARIANCE } else { WEIGHT_VARIANCE };
            precision[(at, at)] += noise / variance;
        }
        // The prior makes it positive definite; numbers so large that it is not leave the head alone.
        let Some(factor) = precision.cholesky() else { return unchanged };
        let step = factor.solve(&self.right);
        let left = self.squares - 2.0 * step.dot(&self.right) + step.dot(&(&self.gram * &step));
        let count = self.answers as f64;
        let variance = (left.max(0.0) + SIGMA_WEIGHT * noise) / (count + SIGMA_WEIGHT);
        let mean = head.mean.iter().zip(step.iter()).map(|(a, b)| (f64::from(*a) + b) as f32);
        (mean.collect(), variance.sqrt().max(SIGMA_MIN) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(head: &TokensHead<'_>, answers: usize) -> TokenSums {
        let mut sums = TokenSums::default();
        for at in 0..answers {
            let mut latent = [0.0; HEAD];
            latent[LATENT] = 1.0;
            latent[at % 4] = if at % 8 < 4 { 1.0 } else { -1.0 };
            // Four times as many as was believed, more where the first weight is high.
            let wave = if at % 3 == 0 { 0.2 } else { -0.1 };
            let truth = 5.0 + 4_f64.ln() + 0.8 * f64::from(latent[0]) + wave;
            sums.add(head, &latent, truth);
        }
        sums
    }

    #[test]
    fn a_head_moves_to_what_was_counted() {
        let mut mean = vec![0.0; HEAD];
        mean[LATENT] = 5.0;
        let head = TokensHead { mean: &mean, sigma: 0.9 };
        assert_eq!(sums(&head, 0).learned(&head), (mean.clone(), 0.9));
        let (few, _) = sums(&head, 4).learned(&head);
        let (many, sigma) = sums(&head, 2_000).learned(&head);
        assert!(few[LATENT] > 5.1 && few[LATENT] < many[LATENT], "{few:?}");
        assert!((f64::from(many[LATENT]) - 5.0 - 4_f64.ln()).abs() < 0.02, "{many:?}");
        assert!((many[0] - 0.8).abs() < 0.05 && many[1].abs() < 0.05, "{many:?}");
        assert!(sigma < 0.25, "{sigma}");
    }
}
