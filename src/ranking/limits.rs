//! The hard limits: what keeps a candidate out whatever else speaks for it.
//!
//! In: a deployment, what is expected of it, the policy, the need, availability. Out: every
//! [`Exclusion`]. Invariant: pure; no limit is traded against utility, and a promise that nobody gave is
//! not kept.

use super::availability::Availability;
use super::exclusion::Exclusion;
use super::policy::{Need, Order, Policy};
use super::preferences::{Fallbacks, Parameters, ProviderWishes, Retention};
use crate::catalog::{DataCollection, Deployment, Quantization};
use crate::domain::{ModelName, Probability};
use crate::prediction::Prediction;

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
    let wishes = &policy.candidates.provider;
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
        tokens_late(prediction, policy),
        tokens_few(prediction, policy),
        not_only(deployment, wishes),
        ignored(deployment, wishes),
        no_fallback(deployment, wishes),
        untaken(deployment, wishes, need),
        collects(deployment, wishes),
        retains(deployment, wishes),
        other_precision(deployment, wishes),
        over_price(deployment, wishes),
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

fn tokens_late(prediction: &Prediction, policy: &Policy) -> Option<Exclusion> {
    let limit_ms = policy.budget.max_inter_token?.as_secs_f64() * 1_000.0;
    let expected_ms = prediction.latency_s.per_token * 1_000.0;
    (!is_within(expected_ms, limit_ms)).then_some(Exclusion::InterToken { expected_ms })
}

fn tokens_few(prediction: &Prediction, policy: &Policy) -> Option<Exclusion> {
    let least = policy.budget.min_throughput?;
    let expected_per_s = 1.0 / prediction.latency_s.per_token;
    (!is_within(least, expected_per_s)).then_some(Exclusion::Throughput { expected_per_s })
}

/// Whether a figure is at most another; a number that is none is not.
fn is_within(it: f64, most: f64) -> bool {
    it <= most
}

fn not_only(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    let listed = wishes.only.is_empty() || wishes.only.iter().any(|it| it.means(deployment));
    (!listed).then_some(Exclusion::NotOnly)
}

fn ignored(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    wishes.ignore.iter().any(|it| it.means(deployment)).then_some(Exclusion::Ignored)
}

/// Who refuses fallbacks and names an order means those in it (OpenRouter, "Disabling Fallbacks", 2026).
fn no_fallback(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    let outside = wishes.place(deployment) == wishes.order.len() && !wishes.order.is_empty();
    (outside && wishes.fallbacks == Fallbacks::Refused).then_some(Exclusion::Fallback)
}

fn untaken(deployment: &Deployment, wishes: &ProviderWishes, need: &Need) -> Option<Exclusion> {
    let missing = deployment.terms.lacks.common(need.parameters);
    let wanted = wishes.parameters == Parameters::Required;
    (wanted && !missing.is_empty()).then_some(Exclusion::Parameters { missing })
}

fn collects(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    let told = deployment.terms.data_collection;
    let kept = wishes.data_collection.is_allowed() || told == Some(DataCollection::Deny);
    (!kept).then_some(Exclusion::DataCollection { told })
}

fn retains(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    let told = deployment.terms.zdr;
    let kept = wishes.retention == Retention::Allowed || told == Some(true);
    (!kept).then_some(Exclusion::Zdr { told })
}

fn other_precision(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    let told = deployment.terms.quantization;
    let listed = |it| wishes.quantizations.contains(&it);
    let fine = wishes.quantizations.is_empty() || listed(told.unwrap_or(Quantization::Unknown));
    (!fine).then_some(Exclusion::Quantization { told })
}

/// Deployments ask for tokens only: what they ask for a call or an image as such is nothing, which is
/// within every limit.
fn over_price(deployment: &Deployment, wishes: &ProviderWishes) -> Option<Exclusion> {
    let (most, asks) = (wishes.max_price, deployment.price);
    let prompt = most.prompt.filter(|it| asks.input > *it).map(|it| (asks.input, it));
    let completion = most.completion.filter(|it| asks.output > *it).map(|it| (asks.output, it));
    let (asked, most) = prompt.or(completion)?;
    Some(Exclusion::Price { asked, most })
}
