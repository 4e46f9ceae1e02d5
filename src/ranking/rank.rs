//! The choice itself: hard limits, then utility, then order.
//!
//! In: candidates with predictions, the policy, the need, availability, ties. Out: a ranking or a
//! refusal. Invariant: see [`super::invariants`]; pure, so the same inputs give the same order.

use std::cmp::Ordering;
use std::sync::Arc;

use super::explore;
use super::invariants;
use super::policy::{Availability, Need, Order, Policy, Ties, Unavailable};
use super::route;
use super::verdict::{Excluded, Exclusion, Ranked, Ranking, Refusal};
use crate::catalog::Deployment;
use crate::domain::{ModelName, Probability};
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
/// Who passes all other limits and is only shut stands behind everybody else, by when it may be called
/// again: whoever dispatches may wait for it when nobody else is left.
///
/// Utility is `quality - cost / worth - latency / worth` at the expected values. Those on the same
/// [`TIE_STEP`](super::TIE_STEP) are equals: the one with fewer calls under way comes first, then the seed decides, so
/// that equal deployments share the load and a decision can still be replayed. Who comes first may be
/// drawn, by the seed too, where the policy explores; behind him the order stays. A route of the
/// operator's comes last: it cuts and orders who is left.
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
            let in_flight = availability.in_flight(&deployment.id);
            let stop = None;
            entries.push(Ranked {
                deployment,
                prediction,
                utility,
                propensity,
                shut,
                in_flight,
                stop,
            });
        } else {
            excluded.push(Excluded { deployment: deployment.id.clone(), reasons, prediction });
        }
    }
    let (shut, excluded) = only_shut(excluded, &all, policy);
    let counted =
        |it: Ranked| Ranked { in_flight: availability.in_flight(&it.deployment.id), ..it };
    entries.extend(shut.into_iter().map(counted));
    if entries.is_empty() {
        return Err(Refusal { excluded });
    }
    let opens = |it: &Ranked| (it.shut.is_some(), opens_in_ms(it.shut.as_ref()));
    entries.sort_by(|a, b| {
        opens(a).cmp(&opens(b)).then_with(|| order(a, b, &policy.candidates.order, ties))
    });
    explore::first(&mut entries, policy, ties.seed);
    let ranking = Ranking { entries, excluded, ties, taken: None };
    debug_assert!(invariants::everyone_is_accounted_for(&ranking, total));
    debug_assert!(invariants::no_limit_is_broken(&ranking, policy, need));
    debug_assert!(invariants::unavailable_ones_stand_behind(&ranking, availability));
    debug_assert!(invariants::order_follows_utility(&ranking, policy));
    debug_assert!(invariants::chances_are_whole(&ranking, policy));
    let Some(on) = &policy.route else { return Ok(ranking) };
    let arranged = route::arrange(ranking, on);
    debug_assert!(arranged.as_ref().map_or(true, |it| {
        invariants::everyone_is_accounted_for(it, total)
            && invariants::route_is_followed(it)
            && invariants::no_limit_is_broken(it, policy, need)
    }));
    arranged
}

/// Those who are excluded for nothing but being shut, and the others.
fn only_shut(
    excluded: Vec<Excluded>,
    all: &[Arc<Deployment>],
    policy: &Policy,
) -> (Vec<Ranked>, Vec<Excluded>) {
    let (shut, excluded): (Vec<_>, Vec<_>) = excluded.into_iter().partition(|it| {
        let [Exclusion::Unavailable(why)] = it.reasons.as_slice() else { return false };
        matches!(why, Unavailable::Shut { .. })
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
        let (in_flight, stop) = (0, None);
        Some(Ranked { deployment, prediction, utility, propensity, shut, in_flight, stop })
    };
    (shut.into_iter().filter_map(ranked).collect(), excluded)
}

/// In how many milliseconds a deployment may be called again; 0 for all that are not shut.
pub(super) fn opens_in_ms(why: Option<&Unavailable>) -> u64 {
    match why {
        Some(Unavailable::Shut { for_ms, .. }) => *for_ms,
        Some(Unavailable::NoKey(_)) | None => 0,
    }
}

/// quality - cost / worth - latency / worth; input expected from a cache at its price there.
pub(super) fn utility(prediction: &Prediction, policy: &Policy) -> f64 {
    let preference = &policy.preference;
    let cost = prediction.expected_cost_usd() / preference.cost_per_quality_usd;
    let latency_ms = prediction.latency_s.mean() * 1_000.0;
    prediction.quality.mean.get() - cost - latency_ms / preference.latency_per_quality_ms
}

/// Last resorts last; then the caller's order or utility; then who is less busy; then the seed.
fn order(a: &Ranked, b: &Ranked, order: &Order, ties: Ties) -> Ordering {
    let place = |it: &Ranked| match order {
        Order::Learned => 0,
        Order::Given(models) => position(models, &it.deployment.model.name),
    };
    let last = a.deployment.last_resort.cmp(&b.deployment.last_resort);
    last.then_with(|| place(a).cmp(&place(b)))
        .then_with(|| ties.step_of(b.utility).total_cmp(&ties.step_of(a.utility)))
        .then_with(|| a.in_flight.cmp(&b.in_flight))
        .then_with(|| ties.draw(&a.deployment.id).cmp(&ties.draw(&b.deployment.id)))
        .then_with(|| a.deployment.id.cmp(&b.deployment.id))
}

fn position(models: &[ModelName], name: &ModelName) -> usize {
    models.iter().position(|it| it == name).unwrap_or(models.len())
}

/// Every hard limit that a candidate does not pass.
pub(super) fn exclusions(
    deployment: &Deployment,
    prediction: &Prediction,
    policy: &Policy,
    need: &Need,
    availability: &Availability,
) -> Vec<Exclusion> {
    let unavailable = availability.of(&deployment.id).cloned().map(Exclusion::Unavailable);
    let allowed = is_allowed(&deployment.model.name, policy);
    let reasons = [
        (!allowed).then_some(Exclusion::NotAllowed),
        not_permitted(&deployment.model.name, policy),
        unavailable,
        lacking(deployment, need),
        too_long(deployment, prediction, need),
        too_dear(prediction, policy),
        too_slow(prediction, policy),
        first_token_late(prediction, policy),
        too_bad(prediction, policy),
    ];
    reasons.into_iter().flatten().collect()
}

fn is_allowed(model: &ModelName, policy: &Policy) -> bool {
    let candidates = &policy.candidates;
    let listed = candidates.allow.is_empty() || candidates.allow.contains(model);
    let ordered = match &candidates.order {
        Order::Learned => true,
        Order::Given(models) => models.contains(model),
    };
    listed && ordered && !candidates.deny.contains(model)
}

fn not_permitted(model: &ModelName, policy: &Policy) -> Option<Exclusion> {
    let permitted = policy.candidates.permitted.as_ref()?;
    (!permitted.contains(model)).then_some(Exclusion::NotPermitted)
}

fn lacking(deployment: &Deployment, need: &Need) -> Option<Exclusion> {
    let missing = deployment.abilities().missing(need.abilities);
    (!missing.is_empty()).then_some(Exclusion::Abilities { missing })
}

/// Room is needed for the prompt and for what the caller asked for, or else one likely answer.
fn too_long(deployment: &Deployment, prediction: &Prediction, need: &Need) -> Option<Exclusion> {
    let likely = prediction.output_tokens.median() as u64;
    let output = need.max_output_tokens.unwrap_or(likely).min(deployment.model.max_output_tokens);
    let needed_tokens = (prediction.input_tokens.ceil() as u64).saturating_add(output);
    let window_tokens = deployment.model.context_window;
    let over = needed_tokens > window_tokens;
    over.then_some(Exclusion::Window { needed_tokens, window_tokens })
}

fn too_dear(prediction: &Prediction, policy: &Policy) -> Option<Exclusion> {
    let limit = policy.budget.max_cost_usd?.get();
    let confidence = policy.budget.confidence;
    let chance = Probability::clamped(prediction.cost_usd.chance_within(limit));
    (chance < confidence).then(|| Exclusion::Cost {
        chance,
        likely_usd: prediction.cost_usd.quantile(confidence.get()),
    })
}

fn too_slow(prediction: &Prediction, policy: &Policy) -> Option<Exclusion> {
    let limit = policy.budget.max_latency.as_secs_f64();
    let confidence = policy.budget.confidence;
    let chance = Probability::clamped(prediction.latency_s.chance_within(limit));
    (chance < confidence).then(|| Exclusion::Latency {
        chance,
        likely_ms: prediction.latency_s.quantile(confidence.get()) * 1_000.0,
    })
}

fn first_token_late(prediction: &Prediction, policy: &Policy) -> Option<Exclusion> {
    let limit_ms = policy.budget.max_ttft?.as_secs_f64() * 1_000.0;
    let confidence = policy.budget.confidence;
    let chance = Probability::clamped(prediction.ttft_chance_within(limit_ms));
    // Without any chance it is excluded however little sureness is asked for.
    (chance < confidence || chance == Probability::ZERO).then(|| Exclusion::Ttft {
        chance,
        likely_ms: prediction.ttft_quantile_ms(confidence.get()),
    })
}

fn too_bad(prediction: &Prediction, policy: &Policy) -> Option<Exclusion> {
    let expected = prediction.quality.mean;
    (expected < policy.min_quality?).then_some(Exclusion::Quality { expected })
}
