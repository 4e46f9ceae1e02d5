//! How far latency strays when the tokens are known.
//!
//! In: labels with a latency. Out: one standard deviation of log latency, pooled over models.
//! Per model, `latency = a + b * tokens` by least squares of relative errors; then the median
//! absolute log residual, scaled to a normal deviation: a handful of stuck calls must not widen it.

use crate::dataset::Dataset;

/// Fewer rows say nothing of a model's speed.
const ROWS_MIN: usize = 100;
/// What is assumed where no table tells latencies.
const SIGMA_DEFAULT: f64 = 0.5;
/// Median absolute deviation to standard deviation, for a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

pub(crate) fn latency_sigma(dataset: &Dataset, keep: impl Fn(usize) -> bool) -> f64 {
    let mut rows: Vec<Vec<(f64, f64)>> = vec![Vec::new(); dataset.models.len()];
    for label in dataset.labels.iter().filter(|it| keep(it.prompt as usize)) {
        if let (Some(tokens), Some(latency)) = (label.output_tokens, label.latency_s)
            && latency > 0.0
        {
            rows[usize::from(label.model)].push((f64::from(tokens), f64::from(latency)));
        }
    }
    let each = rows.iter().filter(|it| it.len() >= ROWS_MIN);
    let mut residuals: Vec<f64> = each.flat_map(|it| residuals(it)).collect();
    if residuals.is_empty() {
        return SIGMA_DEFAULT;
    }
    residuals.sort_by(f64::total_cmp);
    residuals[residuals.len() / 2] * MAD_TO_SIGMA
}

/// Absolute log residuals of the fitted line.
fn residuals(rows: &[(f64, f64)]) -> Vec<f64> {
    // Weighted by 1 / latency^2: the errors that are squared are relative ones.
    let mut sums = [0.0; 5];
    for (tokens, latency) in rows {
        let weight = 1.0 / (latency * latency);
        let terms = [1.0, *tokens, tokens * tokens, *latency, tokens * latency];
        sums.iter_mut().zip(terms).for_each(|(sum, it)| *sum += weight * it);
    }
    let [n, t, tt, l, tl] = sums;
    let slope = ((n * tl - t * l) / (n * tt - t * t).max(1e-12)).max(0.0);
    let start = ((l - slope * t) / n).max(1e-3);
    rows.iter().map(|(tokens, latency)| (latency / (start + slope * tokens)).ln().abs()).collect()
}
