//! What must hold of every ranking, as predicates.
//!
//! In: a ranking and what it was made from. Out: whether the law holds. Used by `debug_assert!` in
//! [`super::rank()`] and by the property tests, so that both check the same law.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::policy::{Availability, Need, Order, Policy, Unavailable};
use super::rank;
use super::verdict::{Ranked, Ranking};

/// Every candidate is ranked or excluded, exactly once.
pub fn everyone_is_accounted_for(ranking: &Ranking, candidates: usize) -> bool {
    let ranked = ranking.entries.iter().map(|it| &it.deployment.id);
    let seen: BTreeSet<_> =
        ranked.chain(ranking.excluded.iter().map(|it| &it.deployment)).collect();
    seen.len() == candidates && ranking.entries.len() + ranking.excluded.len() == candidates
}

/// No ranked candidate breaks a limit of the policy or of the need.
pub fn no_limit_is_broken(ranking: &Ranking, policy: &Policy, need: &Need) -> bool {
    let open = Availability::default();
    ranking
        .entries
        .iter()
        .all(|it| rank::exclusions(&it.deployment, &it.prediction, policy, need, &open).is_empty())
}

/// Those that are shut stand at the end, by when they open; before them last resorts; and within each
/// part utility never rises by a step, nor the calls under way fall on one (unless the caller gave the
/// order).
pub fn order_follows_utility(ranking: &Ranking, policy: &Policy) -> bool {
    ranking.entries.windows(2).all(|pair| {
        let [a, b] = pair else { return true };
        let opens = |it: &Ranked| (it.shut.is_some(), rank::opens_in_ms(it.shut.as_ref()));
        match opens(a).cmp(&opens(b)) {
            Ordering::Less => return true,
            Ordering::Greater => return false,
            Ordering::Equal => {}
        }
        let parts = (a.deployment.last_resort, b.deployment.last_resort);
        match parts {
            (true, false) => false,
            (false, true) => true,
            (false, false) | (true, true) => {
                let step = |it: &Ranked| ranking.ties.step_of(it.utility);
                let steps = step(b).total_cmp(&step(a));
                let falls = steps.then(a.in_flight.cmp(&b.in_flight));
                policy.candidates.order != Order::Learned || falls.is_le()
            }
        }
    })
}

/// Whoever is unavailable is not ranked, except those who are only shut: they stand behind all others,
/// and say so.
pub fn unavailable_ones_stand_behind(ranking: &Ranking, availability: &Availability) -> bool {
    let told = |it: &Ranked| it.shut.as_ref() == availability.of(&it.deployment.id);
    let fine = |it: &Ranked| matches!(it.shut, None | Some(Unavailable::Shut { .. })) && told(it);
    let behind = ranking.entries.is_sorted_by_key(|it| it.shut.is_some());
    behind && ranking.entries.iter().all(fine)
}

/// The propensities sum to one.
pub fn propensities_sum_to_one(ranking: &Ranking) -> bool {
    let sum: f64 = ranking.entries.iter().map(|it| it.propensity.get()).sum();
    (sum - 1.0).abs() < 1e-9
}
