//! The population stability index: how far shares have moved, as a number.
//!
//! In: two samples. Out: the sum over ten bins of (new - old) ln(new / old), 0 for the same shares.
//! Invariant: pure, never negative, finite for whatever finite numbers. Bins are the older sample's tenths
//! and what lies beyond; where many values are alike, there are fewer.

/// Bins, as is the custom.
const BINS: usize = 10;
/// What is added to every count, so that an empty bin is rare and not impossible.
const EVERYWHERE: f64 = 0.5;

/// How far the newer sample's shares are from the older one's; 0 where one is empty.
pub fn psi(older: &[f64], newer: &[f64]) -> f64 {
    if older.is_empty() || newer.is_empty() {
        return 0.0;
    }
    let mut sorted = older.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let edge = |at: usize| sorted[(at * sorted.len() / BINS).min(sorted.len() - 1)];
    // One bin more for what the older sample never had.
    let beyond = edge(BINS).next_up();
    let mut edges: Vec<f64> = (1..BINS).map(edge).chain([beyond]).collect();
    edges.dedup();
    index(&counts(older, &edges), &counts(newer, &edges))
}

/// How far the shares of places in [0, 1] are from even ones; 0 where there are none.
pub fn psi_uniform(places: &[f64]) -> f64 {
    if places.is_empty() {
        return 0.0;
    }
    let edges: Vec<f64> = (1..BINS).map(|it| it as f64 / BINS as f64).collect();
    let even = vec![places.len() as f64 / BINS as f64; BINS];
    index(&even, &counts(places, &edges))
}

/// How many values lie at or above each edge and below the next.
fn counts(values: &[f64], edges: &[f64]) -> Vec<f64> {
    let mut counts = vec![0.0; edges.len() + 1];
    for value in values {
        counts[edges.partition_point(|it| it <= value)] += 1.0;
    }
    counts
}

fn index(older: &[f64], newer: &[f64]) -> f64 {
    let shares = |counts: &[f64]| -> Vec<f64> {
        let sum = counts.iter().sum::<f64>() + EVERYWHERE * counts.len() as f64;
        counts.iter().map(|it| (it + EVERYWHERE) / sum).collect()
    };
    let pairs = shares(older).into_iter().zip(shares(newer));
    pairs.map(|(old, new)| (new - old) * (new / old).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(count: usize, scale: f64, shift: f64) -> Vec<f64> {
        (0..count).map(|at| shift + scale * ((at * 7_919 % count) as f64 / count as f64)).collect()
    }

    #[test]
    fn the_same_is_nought_and_a_shift_is_much() {
        let old = wave(1_000, 1.0, 0.0);
        assert!(psi(&old, &old) < 1e-9);
        assert!(psi(&old, &wave(700, 1.0, 0.0)) < 0.01);
        let (little, much) =
            (psi(&old, &wave(1_000, 1.0, 0.02)), psi(&old, &wave(1_000, 1.0, 0.4)));
        assert!(little < 0.25 && 0.25 < much && little < much, "{little} {much}");
        assert!(psi_uniform(&old) < 0.01 && psi_uniform(&wave(1_000, 0.3, 0.7)) > 0.25);
    }

    #[test]
    fn shares_of_few_values_match_by_hand() {
        // 0 and 1, half and half; then one in four. With below and beyond there are four counts, and each
        // gets a half.
        let flags = |ones: usize| -> Vec<f64> {
            (0..100).map(|at| if at < ones { 1.0 } else { 0.0 }).collect()
        };
        let part = |old: f64, new: f64| (new - old) / 102.0 * f64::ln(new / old);
        let wanted = part(50.5, 75.5) + part(50.5, 25.5);
        assert!((psi(&flags(50), &flags(25)) - wanted).abs() < 1e-12);
    }

    #[test]
    fn odd_samples_have_a_finite_index() {
        for odd in [&[][..], &[f64::MAX, f64::MIN], &[3.0; 50]] {
            assert!(psi(odd, &wave(9, 1.0, 0.0)).is_finite());
            assert!(psi(&wave(9, 1.0, 0.0), odd).is_finite() && psi_uniform(odd).is_finite());
        }
        assert!(psi(&[1.0; 50], &[1.0; 40]) < 0.01 && psi(&[1.0; 50], &[1.1; 40]) > 1.0);
    }
}
