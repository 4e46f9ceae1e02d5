//! Whether a predicted chance is the chance.
//!
//! In: qualities, 0 to 1, and predicted means. Out: Brier score and expected calibration error;
//! lower is better. Invariant: graded qualities count as they are, without a threshold. Not here:
//! how to calibrate.

use super::MetricError;

/// Bins of [`ece`]: 15 of equal width, as in Guo et al. 2017 (arXiv 1706.04599).
pub const ECE_BINS: usize = 15;

/// Mean squared difference.
///
/// # Errors
/// [`MetricError`] for NaN, no rows, unequal lengths.
pub fn brier(quality: &[f32], predicted: &[f32]) -> Result<f64, MetricError> {
    super::check(quality, predicted)?;
    let squares =
        quality.iter().zip(predicted).map(|(q, p)| (f64::from(*q) - f64::from(*p)).powi(2));
    Ok(squares.sum::<f64>() / quality.len() as f64)
}

/// Expected calibration error: over bins of predictions, the mean distance between mean prediction
/// and mean quality, weighted by rows. Predictions outside 0 to 1 fall in the outer bins.
///
/// # Errors
/// [`MetricError`] for NaN, no rows, unequal lengths.
pub fn ece(quality: &[f32], predicted: &[f32]) -> Result<f64, MetricError> {
    super::check(quality, predicted)?;
    // Sum of (prediction - quality) per bin: its size is rows times the distance of the means.
    let mut gaps = [0.0; ECE_BINS];
    for (q, p) in quality.iter().zip(predicted) {
        // A float cast saturates: below 0 is bin 0.
        let bin = ((f64::from(*p) * ECE_BINS as f64) as usize).min(ECE_BINS - 1);
        gaps[bin] += f64::from(*p) - f64::from(*q);
    }
    Ok(gaps.iter().map(|it: &f64| it.abs()).sum::<f64>() / quality.len() as f64)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Bin by bin, as the definition reads.
    fn naive_ece(quality: &[f32], predicted: &[f32]) -> f64 {
        let mut sum = 0.0;
        for bin in 0..15 {
            let (low, high) = (f64::from(bin) / 15.0, f64::from(bin + 1) / 15.0);
            let here: Vec<usize> = (0..quality.len())
                .filter(|it| {
                    let p = f64::from(predicted[*it]);
                    (p >= low || bin == 0) && (p < high || bin == 14)
                })
                .collect();
            if !here.is_empty() {
                let mean = |it: &[f32]| {
                    here.iter().map(|at| f64::from(it[*at])).sum::<f64>() / here.len() as f64
                };
                let share = here.len() as f64 / quality.len() as f64;
                sum += share * (mean(quality) - mean(predicted)).abs();
            }
        }
        sum
    }

    #[test]
    fn agrees_with_the_definition() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for spread in [0.0_f32, 0.1, 1.0, 1.5] {
            let quality: Vec<f32> = (0..500).map(|_| random.random_range(0.0..=1.0)).collect();
            let predicted: Vec<f32> =
                (0..500).map(|_| 0.5 + spread * random.random_range(-0.5..0.5)).collect();
            let (found, wanted) = (ece(&quality, &predicted), naive_ece(&quality, &predicted));
            assert!((found.unwrap() - wanted).abs() < 1e-9, "{found:?} is not {wanted}");
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(brier(&[1.0, 0.0], &[0.5, 0.5]), Ok(0.25));
        assert_eq!(brier(&[1.0, 0.25], &[1.0, 0.25]), Ok(0.0));
        assert_eq!(ece(&[1.0, 0.0], &[0.5, 0.5]), Ok(0.0));
        assert_eq!(ece(&[1.0, 1.0], &[0.0, 0.0]), Ok(1.0));
        assert_eq!(ece(&[1.0, 0.0], &[1.0, 0.0]), Ok(0.0));
        assert_eq!(brier(&[1.0], &[f32::NAN]), Err(MetricError::NotANumber { at: 0 }));
        assert_eq!(ece(&[], &[]), Err(MetricError::Empty));
    }
}
