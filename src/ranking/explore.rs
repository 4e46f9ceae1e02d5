//! Who comes first, where something is given up to learn: a softmax over utility, drawn by the seed.
//!
//! In: the candidates in the learned order, the policy, a seed. Out: the chance of each to stand first,
//! and, where it is drawn, one of them first with all others behind in their order. Invariant: only
//! those inside every limit take part, and each of them has a chance, so that nothing a later policy may
//! want is missing in the log; neither shut ones nor last resorts do, nor anyone where the caller gave
//! the order; pure. Not here: the limits and the order (see [`super::rank()`]).
//!
//! The operator says what a request may give up on average, not a temperature: how far utilities
//! lie apart differs from prompt to prompt, and where all are alike trying costs nothing. The temperature
//! is then the one at which the expected loss is just that.

use super::policy::{Exploration, Policy};
use super::ties::unit;
use super::verdict::Ranked;
use crate::domain::Probability;

/// Temperatures tried, in units of quality. Below, a hundredth of a point is never given up; above,
/// all are alike.
const TEMPERATURES: (f64, f64) = (1e-5, 1e3);
/// Halvings of the range of ln(temperature), which is 18 wide: to a relative 1e-6.
const HALVINGS: usize = 24;
/// The least weight of anyone beside the best one's 1, so that no chance is nought however far behind.
const WEIGHT_MIN: f64 = 1e-9;

/// Sets every entry's chance of being first, and puts first who is drawn. Without exploration the first
/// is certain.
pub(super) fn first(entries: &mut [Ranked], policy: &Policy, seed: u64) {
    if let Some(entry) = entries.first_mut() {
        entry.propensity = Probability::ONE;
    }
    let Some(given_up) = policy.exploration.given_up() else { return };
    if !policy.candidates.by_utility() {
        return;
    }
    // They stand at the head.
    let open = entries.iter().take_while(|it| it.shut.is_none() && !it.deployment.last_resort);
    let utilities: Vec<f64> = open.map(|it| it.utility).collect();
    let Some(chances) = chances(&utilities, given_up.get()) else { return };
    for (entry, chance) in entries.iter_mut().zip(&chances) {
        entry.propensity = Probability::clamped(*chance);
    }
    if matches!(policy.exploration, Exploration::Drawn(_)) {
        let drawn = drawn(&chances, unit(seed));
        if let Some(head) = entries.get_mut(..=drawn) {
            head.rotate_right(1);
        }
    }
}

/// The chances at which the expected loss is `given_up`, or even ones where that gives up less. `None`
/// where there is nobody, or a number is none.
fn chances(utilities: &[f64], given_up: f64) -> Option<Vec<f64>> {
    let best = utilities.iter().copied().reduce(f64::max)?;
    let gaps: Vec<f64> = utilities.iter().map(|it| best - it).collect();
    if gaps.iter().any(|it| !it.is_finite()) {
        return None;
    }
    let count = gaps.len() as f64;
    if gaps.iter().map(|it| it / count).sum::<f64>() <= given_up {
        return Some(vec![1.0 / count; gaps.len()]);
    }
    // The expected loss rises with the temperature.
    let (mut low, mut high) = (TEMPERATURES.0.ln(), TEMPERATURES.1.ln());
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if loss(&gaps, middle.exp()) > given_up {
            high = middle;
        } else {
            low = middle;
        }
    }
    let weights: Vec<f64> = gaps.iter().map(|it| weight(*it, low.exp())).collect();
    let sum: f64 = weights.iter().sum();
    Some(weights.into_iter().map(|it| it / sum).collect())
}

fn weight(gap: f64, temperature: f64) -> f64 {
    (-gap / temperature).exp().max(WEIGHT_MIN)
}

fn loss(gaps: &[f64], temperature: f64) -> f64 {
    let (sum, lost) = gaps.iter().fold((0.0, 0.0), |(sum, lost), gap| {
        let weight = weight(*gap, temperature);
        (sum + weight, lost + weight * gap)
    });
    lost / sum
}

/// Whose stretch of the chances holds the point.
fn drawn(chances: &[f64], point: f64) -> usize {
    let mut left = point;
    let found = chances.iter().position(|it| {
        left -= it;
        left < 0.0
    });
    // The chances may sum to a bit less than 1.
    found.unwrap_or(chances.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up(chances: &[f64], utilities: &[f64]) -> f64 {
        let best = utilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        chances.iter().zip(utilities).map(|(p, it)| p * (best - it)).sum()
    }

    #[test]
    fn as_much_is_given_up_as_was_said() {
        let check = |utilities: &[f64], wanted: f64| {
            let found = chances(utilities, wanted).unwrap();
            let lost = given_up(&found, utilities);
            assert!((lost - wanted).abs() < 1e-5 * wanted, "{utilities:?}: {lost} is not {wanted}");
            assert!(found.iter().all(|it| *it > 0.0) && found.is_sorted_by(|a, b| a >= b));
        };
        for wanted in [0.001, 0.01, 0.1] {
            check(&[0.7, 0.5, 0.3], wanted);
            check(&[0.7, 0.699, 0.1, -40.0], wanted);
            check(&[0.0, -1.0], wanted);
        }
    }

    #[test]
    fn where_all_are_nearly_alike_all_are_tried_alike() {
        assert_eq!(chances(&[0.5, 0.499, 0.498], 0.01), Some(vec![1.0 / 3.0; 3]));
        assert_eq!(chances(&[0.5], 0.01), Some(vec![1.0]));
        assert_eq!(chances(&[], 0.01), None);
    }

    #[test]
    fn numbers_that_are_none_are_not_explored() {
        for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(chances(&[0.5, strange], 0.01), None, "{strange}");
        }
        assert_eq!(chances(&[f64::MAX, f64::MIN], 0.01), None);
        // However far behind, there is a chance.
        let far = chances(&[0.5, -1e300], 0.01).unwrap();
        assert!(far[1] > 0.0 && far[0] > 0.99, "{far:?}");
    }

    #[test]
    fn the_draw_is_as_often_as_the_chances_say() {
        let chances = [0.7, 0.2, 0.1];
        let mut counts = [0_u32; 3];
        for seed in 0..20_000 {
            counts[drawn(&chances, unit(seed))] += 1;
        }
        for (count, chance) in counts.iter().zip(chances) {
            // Five standard deviations.
            let off = f64::from(*count) / 20_000.0 - chance;
            assert!(off.abs() < 5.0 * (chance * (1.0 - chance) / 20_000.0).sqrt(), "{counts:?}");
        }
        assert_eq!(drawn(&[0.5, 0.5 - 1e-12], 1.0 - 1e-16), 1);
    }
}
