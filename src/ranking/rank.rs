//! The choice itself: hard limits, then utility, then order.
//!
//! In: candidates with predictions, the policy, the need, availability, ties. Out: a ranking or a
//! refusal. Invariant: see [`super::invariants`]; pure, so the same inputs give the same order.

use std::sync::Arc;

use super::availability::{Availability, Recent};
use super::exclusion::Exclusion;
use super::explore;
use super::invariants;
use super::limits::exclusions;
use super::order;
use super::policy::{Need, Policy};
use super::route;
use super::ties::Ties;
use super::verdict::{Excluded, Ranked, Ranking, Refusal};
use crate::catalog::Deployment;
use crate::domain::Probability;
use crate::prediction::Prediction;

/// A deployment that may serve this request, with what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Which.
    pub deployment: Arc<Deployment>,
    /// What is expected of it.
    pub prediction: Prediction,
}

/// Orders the candidates that pass every hard limit, best first.
///
/// Who passes all other limits and is only shut, or full, stands behind everybody else, by when it may be
/// called again: whoever dispatches may wait for it when nobody else is left.
///
/// Where the caller names an order, a figure to sort by, or models whose deployments have a strategy, that
/// comes first. Utility is `quality - cost / worth - latency / worth` at the expected values. Those on the
/// same [`TIE_STEP`](super::TIE_STEP) are equals: the one with fewer calls under way comes first, then the
/// seed decides, so that equal deployments share the load and a decision can still be replayed. Who comes
/// first may be drawn, by the seed too, where the policy explores; behind him the order stays. A route of the operator's comes last: it cuts and orders who is left.
///
/// # Errors
/// [`Refusal`] when no candidate passes; it names the limits that excluded each.
pub fn rank(
    candidates: Vec<Candidate>,
    policy: &Policy,
    need: &Need,
    availability: &Availability,
    ties: impl Into<Ties>,
) -> Result<Ranking, Refusal> {
    let ties = ties.into();
    let total = candidates.len();
    let mut entries = Vec::with_capacity(total);
    let mut excluded = Vec::new();
    let all: Vec<_> = candidates.iter().map(|it| Arc::clone(&it.deployment)).collect();
    for Candidate { deployment, prediction } in candidates {
        let reasons = exclusions(&deployment, &prediction, policy, need, availability);
        if reasons.is_empty() {
            let utility = utility(&prediction, policy);
            let (propensity, shut) = (Probability::ZERO, None);
            let (in_flight, recent, stop) =
                (availability.in_flight(&deployment.id), availability.recent(&deployment.id), None);
            entries.push(Ranked {
                deployment,
                prediction,
                utility,
                propensity,
                shut,
                in_flight,
                recent,
                stop,
            });
        } else {
            excluded.push(Excluded { deployment: deployment.id.clone(), reasons, prediction });
        }
    }
    let (shut, mut excluded) = only_shut(excluded, &all, policy);
    let counted = |it: Ranked| {
        let id = &it.deployment.id;
        let (in_flight, recent) = (availability.in_flight(id), availability.recent(id));
        Ranked { in_flight, recent, ..it }
    };
    entries.extend(shut.into_iter().map(counted));
    if entries.is_empty() {
        return Err(Refusal { excluded });
    }
    entries.sort_by(|a, b| order::compare(a, b, &policy.candidates, ties));
    if policy.route.is_none() {
        excluded.extend(order::behind_the_first(&mut entries, policy));
    }
    if !order::drawn(&mut entries, &policy.candidates) {
        explore::first(&mut entries, policy, ties.seed);
    }
    let ranking = Ranking { entries, excluded, ties, taken: None };
    debug_assert!(invariants::everyone_is_accounted_for(&ranking, total));
    debug_assert!(invariants::no_limit_is_broken(&ranking, policy, need));
    debug_assert!(invariants::unavailable_ones_stand_behind(&ranking, availability));
    debug_assert!(invariants::order_follows_utility(&ranking, policy));
    debug_assert!(invariants::wishes_are_kept(&ranking, policy, need));
    debug_assert!(invariants::chances_are_whole(&ranking, policy));
    let Some(on) = &policy.route else { return Ok(ranking) };
    let mut arranged = route::arrange(ranking, on, &policy.candidates)?;
    arranged.excluded.extend(order::behind_the_first(&mut arranged.entries, policy));
    debug_assert!(invariants::everyone_is_accounted_for(&arranged, total));
    debug_assert!(invariants::route_is_followed(&arranged));
    debug_assert!(invariants::no_limit_is_broken(&arranged, policy, need));
    Ok(arranged)
}

/// Those who are excluded for nothing but being shut, and the others.
fn only_shut(
    excluded: Vec<Excluded>,
    all: &[Arc<Deployment>],
    policy: &Policy,
) -> (Vec<Ranked>, Vec<Excluded>) {
    let (shut, excluded): (Vec<_>, Vec<_>) = excluded.into_iter().partition(|it| {
        let [Exclusion::Unavailable(why)] = it.reasons.as_slice() else { return false };
        why.opens_in_ms().is_some()
    });
    let ranked = |it: Excluded| {
        let shut = match it.reasons.into_iter().next() {
            Some(Exclusion::Unavailable(why)) => Some(why),
            _ => None,
        };
        let deployment = all.iter().find(|of| of.id == it.deployment)?;
        let utility = utility(&it.prediction, policy);
        let (deployment, propensity) = (Arc::clone(deployment), Probability::ZERO);
        let prediction = it.prediction;
        let (in_flight, recent, stop) = (0, Recent::default(), None);
        Some(Ranked { deployment, prediction, utility, propensity, shut, in_flight, recent, stop })
    };
    (shut.into_iter().filter_map(ranked).collect(), excluded)
}

/// quality - cost / worth - latency / worth; input expected from a cache at its price there.
pub(super) fn utility(prediction: &Prediction, policy: &Policy) -> f64 {
    let preference = &policy.preference;
    let cost = prediction.expected_cost_usd() / preference.cost_per_quality_usd;
    let latency_ms = prediction.latency_s.mean() * 1_000.0;
    prediction.quality.mean.get() - cost - latency_ms / preference.latency_per_quality_ms
}
