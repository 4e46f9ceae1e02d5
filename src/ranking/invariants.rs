//! What must hold of every ranking, as predicates.
//!
//! In: a ranking and what it was made from. Out: whether the law holds. Used by `debug_assert!` in
//! [`super::rank()`] and by the property tests, so that both check the same law.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::policy::{Availability, Exploration, Need, Order, Policy, Unavailable};
use super::rank;
use super::verdict::{Ranked, Ranking};
use crate::domain::Probability;

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
/// order). Who was drawn to be first may stand before his betters.
pub fn order_follows_utility(ranking: &Ranking, policy: &Policy) -> bool {
    let drawn = usize::from(matches!(policy.exploration, Exploration::Drawn(_)));
    ranking.entries.iter().skip(drawn).collect::<Vec<_>>().windows(2).all(|pair| {
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

/// Where the policy explores, everyone who is neither shut nor a last resort has a chance of being
/// first, in the order of utility, and nobody else has, unless all are so; else the first is certain. The
/// first had a chance, and all chances sum to one.
pub fn chances_are_whole(ranking: &Ranking, policy: &Policy) -> bool {
    let Some(first) = ranking.entries.first() else { return false };
    let open = |it: &&Ranked| it.shut.is_none() && !it.deployment.last_resort;
    let has = |it: &Ranked| it.propensity > Probability::ZERO;
    let numbers = || ranking.entries.iter().filter(open).map(|it| it.utility);
    let spread =
        numbers().fold(f64::NEG_INFINITY, f64::max) - numbers().fold(f64::INFINITY, f64::min);
    let explores = policy.exploration.given_up().is_some()
        && policy.candidates.order == Order::Learned
        && numbers().all(f64::is_finite)
        && spread.is_finite();
    let as_told = if explores {
        let mut chances: Vec<_> = ranking.entries.iter().filter(open).collect();
        chances.sort_by(|a, b| a.utility.total_cmp(&b.utility));
        ranking.entries.iter().all(|it| has(it) == open(&it))
            && chances.is_sorted_by(|a, b| a.propensity <= b.propensity)
    } else {
        ranking.entries.iter().skip(1).all(|it| !has(it))
    };
    has(first) && as_told && propensities_sum_to_one(ranking)
}

/// Everyone stands at a stop that means him, in the order of the stops; those that are shut behind all
/// others.
pub fn route_is_followed(ranking: &Ranking) -> bool {
    let place = |it: &Ranked| it.stop.as_ref().map(|stop| (it.shut.is_some(), stop.place));
    let meant = |it: &Ranked| it.stop.as_ref().is_some_and(|stop| stop.who.means(&it.deployment));
    let chances: f64 = ranking.entries.iter().map(|it| it.propensity.get()).sum();
    ranking.taken.is_some()
        && ranking.entries.iter().all(meant)
        && ranking.entries.is_sorted_by_key(place)
        && chances <= 1.0 + 1e-9
}

/// The propensities sum to one.
pub fn propensities_sum_to_one(ranking: &Ranking) -> bool {
    let sum: f64 = ranking.entries.iter().map(|it| it.propensity.get()).sum();
    (sum - 1.0).abs() < 1e-9
}
