//! How good predictions of output tokens (or costs, or seconds) are.
//!
//! In: counts and their predictions. Out: relative errors, quantiles, coverage. Invariant: a true
//! count of 0 does not make an error infinite. Not here: the log-normal that predicts them.

use super::MetricError;

/// |predicted - true| / max(true, 1) of each row.
///
/// # Errors
/// [`MetricError`] for NaN, no rows, unequal lengths.
pub fn relative_errors(truth: &[f32], predicted: &[f32]) -> Result<Vec<f64>, MetricError> {
    super::check(truth, predicted)?;
    let error = |(t, p): (&f32, &f32)| {
        let (t, p) = (f64::from(*t), f64::from(*p));
        (p - t).abs() / t.max(1.0)
    };
    Ok(truth.iter().zip(predicted).map(error).collect())
}

/// The `q`-quantile, `q` clamped to 0..=1, with linear interpolation between neighbours (as numpy).
///
/// # Errors
/// [`MetricError`] for NaN and no values.
pub fn quantile(values: &[f64], q: f64) -> Result<f64, MetricError> {
    if let Some(at) = values.iter().position(|it| it.is_nan()) {
        return Err(MetricError::NotANumber { at });
    }
    let Some(last) = values.len().checked_sub(1) else { return Err(MetricError::Empty) };
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // The weights apart, and equal neighbours as they are: no overflow, no infinity minus infinity.
    let part = place.fract();
    Ok(if low == high || part == 0.0 { low } else { low * (1.0 - part) + high * part })
}

/// The share of rows whose truth lies in its interval, both ends included.
///
/// # Errors
/// [`MetricError`] for NaN, no rows, unequal lengths.
pub fn interval_coverage(truth: &[f32], intervals: &[(f32, f32)]) -> Result<f64, MetricError> {
    let nan_or_low = |it: &(f32, f32)| if it.1.is_nan() { it.1 } else { it.0 };
    let ends: Vec<f32> = intervals.iter().map(nan_or_low).collect();
    super::check(truth, &ends)?;
    let inside = truth.iter().zip(intervals).filter(|(t, it)| (it.0..=it.1).contains(*t));
    Ok(inside.count() as f64 / truth.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let values = [3.0, 1.0, 2.0, 4.0];
        for (q, wanted) in [(0.0, 1.0), (0.5, 2.5), (0.25, 1.75), (1.0, 4.0), (2.0, 4.0)] {
            assert_eq!(quantile(&values, q), Ok(wanted), "{q}");
        }
        assert_eq!(quantile(&[5.0], 0.9), Ok(5.0));
        assert_eq!(quantile(&[f64::MAX, f64::MAX], 0.5), Ok(f64::MAX));
        assert_eq!(quantile(&[f64::INFINITY, f64::INFINITY], 0.5), Ok(f64::INFINITY));
        assert_eq!(quantile(&[], 0.5), Err(MetricError::Empty));
        assert_eq!(quantile(&[1.0, f64::NAN], 0.5), Err(MetricError::NotANumber { at: 1 }));
    }

    #[test]
    fn errors_and_coverage() {
        let errors = relative_errors(&[100.0, 0.0, 50.0], &[110.0, 3.0, 50.0]);
        assert_eq!(errors, Ok(vec![0.1, 3.0, 0.0]));
        let covered = interval_coverage(
            &[1.0, 2.0, 3.0, 4.0],
            &[(1.0, 2.0), (0.0, 1.0), (0.0, 9.0), (4.0, 4.0)],
        );
        assert_eq!(covered, Ok(0.75));
        let nan = interval_coverage(&[1.0], &[(0.0, f32::NAN)]);
        assert_eq!(nan, Err(MetricError::NotANumber { at: 0 }));
    }
}
