//! RouterArena's score of one operating point.
//!
//! In: accuracy, and cost in USD per 1,000 requests. Out: `S = 1.1 A C / (0.1 A + C)` with `C =
//! (log2 200 - log2 cost) / (log2 200 - log2 0.0044)` (RouterArena, arXiv 2510.00202). Invariant: C
//! is cut to 0..=1, so that S is too. Not here: RouterArena's own prompts, which must not be used.

/// The cost at which C is 0, USD per 1,000 requests.
const DEAREST: f64 = 200.0;
/// The cost at which C is 1.
const CHEAPEST: f64 = 0.0044;
/// How much cost weighs beside accuracy.
const BETA: f64 = 0.1;

/// The score, 0 to 1; 0 where both parts are.
pub fn arena_score(accuracy: f64, usd_per_thousand: f64) -> f64 {
    let spread = DEAREST.log2() - CHEAPEST.log2();
    let cheap = ((DEAREST.log2() - usd_per_thousand.log2()) / spread).clamp(0.0, 1.0);
    let below = BETA * accuracy + cheap;
    if below > 0.0 { (1.0 + BETA) * accuracy * cheap / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_a_point_between() {
        assert!((arena_score(0.7, CHEAPEST) - 1.1 * 0.7 / 1.07).abs() < 1e-12);
        assert_eq!(arena_score(0.7, DEAREST), 0.0);
        assert_eq!(arena_score(0.0, 1.0), 0.0);
        assert_eq!(arena_score(1.0, 0.0), 1.0);
        // C is one half at the geometric middle: 1.1 * 0.6 * 0.5 / (0.06 + 0.5).
        let middle = (DEAREST * CHEAPEST).sqrt();
        assert!((arena_score(0.6, middle) - 0.33 / 0.56).abs() < 1e-12);
    }
}
