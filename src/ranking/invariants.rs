//! What must hold of every ranking, as predicates.
//!
//! In: a ranking and what it was made from. Out: whether the law holds. Used by `debug_assert!` in
//! [`super::rank()`] and by the property tests, so that both check the same law.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::availability::{Availability, Unavailable};
use super::limits;
use super::order;
use super::policy::{Exploration, Need, Policy};
use super::preferences::{Fallbacks, Figure, Parameters, ProviderWishes, Retention, Whose};
use super::strategy::Strategy;
use super::verdict::{Ranked, Ranking};
use crate::catalog::{DataCollection, Quantization};
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
    ranking.entries.iter().all(|it| {
        limits::exclusions(&it.deployment, &it.prediction, policy, need, &open).is_empty()
    })
}

/// Those that are shut stand at the end, by when they open; before them last resorts; and within each
/// part utility never rises by a step, nor the calls under way fall on one, unless something else was asked
/// for. Who was drawn to be first may stand before his betters.
pub fn order_follows_utility(ranking: &Ranking, policy: &Policy) -> bool {
    let drawn = usize::from(matches!(policy.exploration, Exploration::Drawn(_)));
    ranking.entries.iter().skip(drawn).collect::<Vec<_>>().windows(2).all(|pair| {
        let [a, b] = pair else { return true };
        let part =
            |it: &Ranked| (it.shut.is_some(), order::opens_in_ms(it), it.deployment.last_resort);
        match part(a).cmp(&part(b)) {
            Ordering::Less => return true,
            Ordering::Greater => return false,
            Ordering::Equal => {}
        }
        let step = |it: &Ranked| ranking.ties.step_of(it.utility);
        let steps = step(b).total_cmp(&step(a));
        let falls = steps.then(a.in_flight.cmp(&b.in_flight));
        !policy.candidates.by_utility() || falls.is_le()
    })
}

/// What was asked of the order holds in each part: models as they were named, providers as they were,
/// and within both the figure to sort by, or that of the model's strategy, never gets better.
pub fn wishes_are_kept(ranking: &Ranking, policy: &Policy, need: &Need) -> bool {
    let candidates = &policy.candidates;
    let wishes = &candidates.provider;
    let ordered = candidates.by_utility()
        || ranking.entries.windows(2).all(|pair| {
            let [a, b] = pair else { return true };
            let (first, second) = (order::group(a, candidates), order::group(b, candidates));
            let one_model = a.deployment.model.name == b.deployment.model.name;
            first < second
                || first == second
                    && (wishes.sort.is_none() && !one_model || figures_fall(a, b, policy))
        });
    let one = wishes.fallbacks == Fallbacks::Refused && wishes.order.is_empty();
    ordered
        && (!one || policy.route.is_some() || ranking.entries.len() == 1)
        && ranking.entries.iter().all(|it| promises_are_kept(it, wishes, need))
}

/// Whether the second is no better than the first in what they are ordered by.
fn figures_fall(a: &Ranked, b: &Ranked, policy: &Policy) -> bool {
    let candidates = &policy.candidates;
    let falls = |it: Figure| it.of(&a.prediction).total_cmp(&it.of(&b.prediction)).is_le();
    if let Some(sort) = candidates.provider.sort {
        return falls(sort.by);
    }
    if candidates.models_in_order().is_none() {
        return true;
    }
    let share = |used: u64, limit: Option<u64>| {
        limit.map_or(0.0, |limit| used as f64 / limit.max(1) as f64)
    };
    let used = |it: &Ranked| {
        let (terms, recent) = (&it.deployment.terms, it.recent);
        share(recent.calls, terms.rpm).max(share(recent.tokens, terms.tpm))
    };
    match candidates.strategies.of(&a.deployment.model.name) {
        Strategy::Learned | Strategy::Shuffle => true,
        Strategy::Spread => a.recent.failing <= b.recent.failing,
        Strategy::Price => falls(Figure::Price),
        Strategy::Throughput => falls(Figure::Throughput),
        Strategy::Latency => falls(Figure::Latency),
        Strategy::Ttft => falls(Figure::Ttft),
        Strategy::InterToken => falls(Figure::InterToken),
        Strategy::LeastBusy => a.in_flight <= b.in_flight,
        Strategy::Usage => used(a) <= used(b),
    }
}

/// Whether a ranked candidate is known to be what was wanted of its provider.
fn promises_are_kept(it: &Ranked, wishes: &ProviderWishes, need: &Need) -> bool {
    let (terms, price) = (&it.deployment.terms, &it.deployment.price);
    let named = |list: &[Whose]| list.iter().any(|whose| whose.means(&it.deployment));
    let precision = terms.quantization.unwrap_or(Quantization::Unknown);
    let kept = [
        wishes.only.is_empty() || named(&wishes.only),
        !named(&wishes.ignore),
        wishes.data_collection == DataCollection::Allow
            || terms.data_collection == Some(DataCollection::Deny),
        wishes.retention == Retention::Allowed || terms.zdr == Some(true),
        wishes.quantizations.is_empty() || wishes.quantizations.contains(&precision),
        wishes.parameters == Parameters::MayBeLeftOut
            || terms.lacks.common(need.parameters).is_empty(),
        wishes.max_price.prompt.is_none_or(|most| price.input <= most),
        wishes.max_price.completion.is_none_or(|most| price.output <= most),
    ];
    kept.into_iter().all(|it| it)
}

/// Whoever is unavailable is not ranked, except those who are only shut: they stand behind all others,
/// and say so.
pub fn unavailable_ones_stand_behind(ranking: &Ranking, availability: &Availability) -> bool {
    let told = |it: &Ranked| it.shut.as_ref() == availability.of(&it.deployment.id);
    let passes = |it: &Unavailable| it.opens_in_ms().is_some();
    let fine = |it: &Ranked| it.shut.as_ref().is_none_or(passes) && told(it);
    let behind = ranking.entries.is_sorted_by_key(|it| it.shut.is_some());
    behind && ranking.entries.iter().all(fine)
}

/// Where the policy explores, everyone who is neither shut nor a last resort has a chance of being
/// first, in the order of utility, and nobody else has, unless all are so; where deployments of one model
/// are drawn, the chances are among those of the first one's model; else the first is certain. The first
/// had a chance, and all chances sum to one.
pub fn chances_are_whole(ranking: &Ranking, policy: &Policy) -> bool {
    let Some(first) = ranking.entries.first() else { return false };
    let open = |it: &&Ranked| it.shut.is_none() && !it.deployment.last_resort;
    let has = |it: &Ranked| it.propensity > Probability::ZERO;
    let numbers = || ranking.entries.iter().filter(open).map(|it| it.utility);
    let spread =
        numbers().fold(f64::NEG_INFINITY, f64::max) - numbers().fold(f64::INFINITY, f64::min);
    let explores = policy.exploration.given_up().is_some()
        && policy.candidates.by_utility()
        && numbers().all(f64::is_finite)
        && spread.is_finite();
    let as_told = if explores {
        let mut chances: Vec<_> = ranking.entries.iter().filter(open).collect();
        chances.sort_by(|a, b| a.utility.total_cmp(&b.utility));
        ranking.entries.iter().all(|it| has(it) == open(&it))
            && chances.is_sorted_by(|a, b| a.propensity <= b.propensity)
    } else {
        let model = &first.deployment.model.name;
        let strategy = policy.candidates.strategies.of(model);
        let draws = matches!(strategy, Strategy::Spread | Strategy::Shuffle)
            && policy.candidates.models_in_order().is_some();
        let among = |it: &Ranked| draws && it.deployment.model.name == *model && open(&it);
        ranking.entries.iter().skip(1).all(|it| !has(it) || among(it))
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
