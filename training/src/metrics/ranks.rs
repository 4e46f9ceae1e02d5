//! Area under the ROC curve.
//!
//! In: qualities and scores. Out: the chance that a right answer has a higher score than a wrong
//! one. Invariant: ties count one half; only the order of scores matters. Not here: averaging over
//! models and sources (see [`super::per_source`]).

use super::MetricError;

/// A graded answer counts as right from this quality on.
pub const POSITIVE_FROM: f32 = 0.5;

/// AUC of `scores` for `quality >= 0.5`, by ranks, in O(n log n).
///
/// # Errors
/// [`MetricError::OneClass`] without a pair to compare, and for NaN, no rows, unequal lengths.
pub fn auc(quality: &[f32], scores: &[f32]) -> Result<f64, MetricError> {
    super::check(quality, scores)?;
    let mut order: Vec<(f32, bool)> =
        scores.iter().zip(quality).map(|(score, it)| (*score, *it >= POSITIVE_FROM)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut wrong_below, mut right, mut won) = (0_u64, 0_u64, 0.0);
    // `==` so that -0.0 and 0.0 are one tie; total_cmp puts them side by side.
    for tie in order.chunk_by(|a, b| a.0 == b.0) {
        let right_here = tie.iter().filter(|it| it.1).count() as u64;
        let wrong_here = tie.len() as u64 - right_here;
        won += right_here as f64 * (wrong_below as f64 + wrong_here as f64 / 2.0);
        right += right_here;
        wrong_below += wrong_here;
    }
    if right == 0 || wrong_below == 0 {
        return Err(MetricError::OneClass);
    }
    Ok(won / (right as f64 * wrong_below as f64))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Every pair, one by one.
    fn naive(quality: &[f32], scores: &[f32]) -> f64 {
        let (mut won, mut pairs) = (0.0, 0.0);
        for (i, right) in quality.iter().enumerate().filter(|it| *it.1 >= 0.5) {
            let _ = right;
            for (j, _) in quality.iter().enumerate().filter(|it| *it.1 < 0.5) {
                pairs += 1.0;
                won += match scores[i].partial_cmp(&scores[j]).unwrap() {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.5,
                    std::cmp::Ordering::Less => 0.0,
                };
            }
        }
        won / pairs
    }

    fn check(quality: &[f32], scores: &[f32]) {
        let (found, wanted) = (auc(quality, scores).unwrap(), naive(quality, scores));
        assert!((found - wanted).abs() < 1e-12, "{found} is not {wanted}: {scores:?}");
    }

    #[test]
    fn agrees_with_counting_every_pair() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for levels in [2_u32, 3, 10, 1_000_000] {
            let quality: Vec<f32> = (0..300).map(|_| random.random_range(0.0..1.0)).collect();
            let scores: Vec<f32> =
                (0..300).map(|_| random.random_range(0..levels) as f32 / 7.0).collect();
            check(&quality, &scores);
        }
        check(&[1.0, 0.0, 1.0], &[0.0, -0.0, 0.0]);
        check(&[1.0, 0.0, 0.5, 0.49], &[f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(auc(&[1.0, 0.0], &[0.3, 0.3]), Ok(0.5));
        assert_eq!(auc(&[1.0, 0.0], &[-100.0, 5.0]), Ok(0.0));
    }

    #[test]
    fn what_cannot_be_ranked_is_an_error() {
        assert_eq!(auc(&[], &[]), Err(MetricError::Empty));
        assert_eq!(auc(&[1.0, 0.7], &[0.1, 0.2]), Err(MetricError::OneClass));
        assert_eq!(auc(&[0.0], &[0.1]), Err(MetricError::OneClass));
        let nan = Err(MetricError::NotANumber { at: 1 });
        assert_eq!(auc(&[1.0, 0.0], &[0.1, f32::NAN]), nan);
        assert_eq!(auc(&[1.0], &[]), Err(MetricError::Lengths { rows: 1, predicted: 0 }));
    }
}
