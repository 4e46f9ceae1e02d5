//! The server's policy and a caller's wishes, made into one policy.
//!
//! In: the defaults of the config, a request, the fleet. Out: the [`Policy`] that holds for this
//! request, or every [`Violation`]. Invariant: limits only tighten; what is not a limit (what
//! quality is worth, the order, confidence) is the caller's where he says so. Pure.

use std::time::Duration;

use super::{preferences, proto, variants};
use crate::catalog::Fleet;
use crate::domain::{ModelName, Probability, Timeouts, Usd, Violation};
use crate::ranking::{
    Budget, Candidates, Exploration, FallbackPolicy, OnStreamFailure, Order, Policy, Preference,
    Strategy,
};

/// Most names in one list of candidates: far more than any fleet has models.
const NAMES_MAX: usize = 256;
/// The longest limit on time, in milliseconds: a day. Longer ones are taken as a day.
const LIMIT_MS_MAX: f64 = 86_400_000.0;
/// How alike a name must be, 0 to 1, to be suggested for one that is not known.
const ALIKE_MIN: f64 = 0.6;

/// The policy that holds for a request.
///
/// # Errors
/// Every [`Violation`] in the request's budget, preference, quality, candidates and fallback.
pub fn policy_for(
    defaults: &Policy,
    wire: &proto::RouteRequest,
    fleet: &Fleet,
) -> Result<Policy, Vec<Violation>> {
    let mut found = Vec::new();
    let policy = Policy {
        budget: budget(&defaults.budget, wire.budget.as_ref(), &mut found),
        preference: preference(defaults.preference, wire.preference.as_ref(), &mut found),
        min_quality: min_quality(defaults.min_quality, wire.min_quality, &mut found),
        candidates: Candidates {
            provider: preferences::wishes(
                &defaults.candidates.provider,
                wire.provider.as_ref(),
                fleet,
                &mut found,
            ),
            ..candidates(&defaults.candidates, wire.candidates.as_ref(), fleet, &mut found)
        },
        fallback: fallback(defaults.fallback, wire.fallback.as_ref(), &mut found),
        exploration: exploration(defaults.exploration, wire.explore),
        route: None,
    };
    if found.is_empty() { Ok(policy) } else { Err(found) }
}

fn budget(defaults: &Budget, wire: Option<&proto::Budget>, found: &mut Vec<Violation>) -> Budget {
    let Some(wire) = wire else { return *defaults };
    let cost = wire.max_cost_usd.and_then(|it| {
        let read = Usd::new(it);
        read.map_err(|why| found.push(Violation::new("budget.max_cost_usd", why.to_string()))).ok()
    });
    let latency = wire.max_latency_ms.and_then(|it| limit("budget.max_latency_ms", it, found));
    let ttft = wire.max_ttft_ms.and_then(|it| limit("budget.max_ttft_ms", it, found));
    let confidence = wire.confidence.and_then(|it| chance("budget.confidence", it, found));
    let apart = wire.max_inter_token_ms;
    let apart = apart.and_then(|it| limit("budget.max_inter_token_ms", it, found));
    let least = wire.min_throughput.and_then(|it| above_zero("budget.min_throughput", it, found));
    let throughput = defaults.min_throughput.into_iter().chain(least);
    Budget {
        max_cost_usd: defaults.max_cost_usd.into_iter().chain(cost).min(),
        max_latency: latency.map_or(defaults.max_latency, |it| it.min(defaults.max_latency)),
        max_ttft: defaults.max_ttft.into_iter().chain(ttft).min(),
        confidence: confidence.unwrap_or(defaults.confidence),
        max_inter_token: defaults.max_inter_token.into_iter().chain(apart).min(),
        min_throughput: throughput.reduce(f64::max),
    }
}

fn above_zero(field: &str, value: f64, found: &mut Vec<Violation>) -> Option<f64> {
    let fine = value.is_finite() && value > 0.0;
    if !fine {
        found.push(Violation::new(field, format!("{value} is not a number above zero")));
    }
    fine.then_some(value)
}

fn limit(field: &str, ms: f64, found: &mut Vec<Violation>) -> Option<Duration> {
    let fine = ms.is_finite() && ms > 0.0;
    let limit = fine.then(|| Duration::try_from_secs_f64(ms.min(LIMIT_MS_MAX) / 1_000.0).ok());
    if limit.is_none() {
        let message = format!("{ms} is no limit: it must be milliseconds above zero");
        found.push(Violation::new(field, message));
    }
    limit.flatten()
}

fn chance(field: &str, value: f64, found: &mut Vec<Violation>) -> Option<Probability> {
    let read = Probability::new(value);
    read.map_err(|why| found.push(Violation::new(field, why.to_string()))).ok()
}

fn preference(
    default: Preference,
    wire: Option<&proto::Preference>,
    found: &mut Vec<Violation>,
) -> Preference {
    let Some(wire) = wire else { return default };
    let mut preference = default;
    if let Some(name) = &wire.preset {
        match Preference::preset(name) {
            Some(preset) => preference = preset,
            None => {
                let names = Preference::PRESETS.map(|(it, _)| it).join(", ");
                let message = format!("this preset is not known; the presets are {names}");
                found.push(Violation::new("preference.preset", message));
            }
        }
    }
    let figures = [
        (
            "preference.cost_per_quality_usd",
            wire.cost_per_quality_usd,
            &mut preference.cost_per_quality_usd,
        ),
        (
            "preference.latency_per_quality_ms",
            wire.latency_per_quality_ms,
            &mut preference.latency_per_quality_ms,
        ),
    ];
    for (field, value, place) in figures {
        let value = value.and_then(|it| above_zero(field, it, found));
        *place = value.unwrap_or(*place);
    }
    preference
}

fn min_quality(
    default: Option<Probability>,
    wire: Option<f64>,
    found: &mut Vec<Violation>,
) -> Option<Probability> {
    let asked = wire.and_then(|it| chance("min_quality", it, found));
    let both = default.into_iter().chain(asked);
    both.reduce(|a, b| if b > a { b } else { a })
}

fn candidates(
    defaults: &Candidates,
    wire: Option<&proto::Candidates>,
    fleet: &Fleet,
    found: &mut Vec<Violation>,
) -> Candidates {
    let Some(wire) = wire else { return defaults.clone() };
    let asked = names("candidates.allow", &wire.allow, fleet, found);
    let mut deny = defaults.deny.clone();
    deny.extend(names("candidates.deny", &wire.deny, fleet, found));
    let (order, strategies) = in_order(&wire.order, fleet, found);
    let order = if order.is_empty() { defaults.order.clone() } else { Order::Given(order) };
    let allow = both_allow(&defaults.allow, asked, found);
    let mut made = Candidates { allow, deny, order, ..defaults.clone() };
    made.strategies.models.extend(strategies);
    made
}

/// The models in an order, and the strategy of each that was named by a variant.
fn in_order(
    wire: &[String],
    fleet: &Fleet,
    found: &mut Vec<Violation>,
) -> (Vec<ModelName>, Vec<(ModelName, Strategy)>) {
    let plain = |it: &String| variants::read(it, fleet).ok();
    let strategies = wire.iter().take(NAMES_MAX).filter_map(plain);
    let strategies = strategies.filter_map(|(name, it)| Some((name, it?))).collect();
    let base = |it: &String| plain(it).map_or_else(|| it.clone(), |(name, _)| name.to_string());
    let bases: Vec<_> = wire.iter().map(base).collect();
    (names("candidates.order", &bases, fleet, found), strategies)
}

fn both_allow(
    defaults: &[ModelName],
    asked: Vec<ModelName>,
    found: &mut Vec<Violation>,
) -> Vec<ModelName> {
    if defaults.is_empty() {
        return asked;
    }
    if asked.is_empty() {
        return defaults.to_vec();
    }
    let both: Vec<_> = asked.into_iter().filter(|it| defaults.contains(it)).collect();
    if both.is_empty() {
        // An empty list would mean everyone.
        let allowed = defaults.iter().map(ModelName::as_str).collect::<Vec<_>>().join(", ");
        let message = format!("this server allows none of these; it allows {allowed}");
        found.push(Violation::new("candidates.allow", message));
    }
    both
}

fn names(
    field: &str,
    wire: &[String],
    fleet: &Fleet,
    found: &mut Vec<Violation>,
) -> Vec<ModelName> {
    if wire.len() > NAMES_MAX {
        let message = format!("{} names, at most {NAMES_MAX} are allowed", wire.len());
        found.push(Violation::new(field, message));
    }
    let mut names = Vec::with_capacity(wire.len().min(NAMES_MAX));
    for (at, text) in wire.iter().enumerate().take(NAMES_MAX) {
        match ModelName::new(text) {
            Err(why) => found.push(Violation::new(format!("{field}[{at}]"), why.to_string())),
            Ok(name) if fleet.has_model(&name) => names.push(name),
            Ok(name) => found.push(Violation::new(format!("{field}[{at}]"), unknown(&name, fleet))),
        }
    }
    names
}

/// That a model is not served, with the name that was perhaps meant.
pub(super) fn unknown(name: &ModelName, fleet: &Fleet) -> String {
    let models = fleet.models();
    match nearest(name.as_str(), models.iter().map(|it| it.name.as_str())) {
        Some(nearest) => {
            format!("the model `{name}` is not served here; did you mean `{nearest}`?")
        }
        None => {
            format!("the model `{name}` is not served here; the list of models tells which are")
        }
    }
}

/// The name most like `text`, if any is like it.
pub(super) fn nearest<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |it: &str| strsim::jaro_winkler(it, text);
    let nearest = names.max_by(|a, b| alike(a).total_cmp(&alike(b)));
    nearest.filter(|it| alike(it) >= ALIKE_MIN)
}

fn exploration(default: Exploration, asked: Option<bool>) -> Exploration {
    if asked == Some(false) { Exploration::Off } else { default }
}

fn on_stream_failure(
    default: OnStreamFailure,
    wire: &proto::Fallback,
    found: &mut Vec<Violation>,
) -> OnStreamFailure {
    use proto::OnStreamFailure as Wire;
    match Wire::try_from(wire.on_stream_failure) {
        Ok(Wire::Unspecified) => default,
        Ok(Wire::Continue) => OnStreamFailure::Continue,
        Ok(Wire::Restart) => OnStreamFailure::Restart,
        Ok(Wire::Error) => OnStreamFailure::Error,
        Err(_) => {
            let message = format!("{} is not a known way on", wire.on_stream_failure);
            found.push(Violation::new("fallback.on_stream_failure", message));
            default
        }
    }
}

fn fallback(
    default: FallbackPolicy,
    wire: Option<&proto::Fallback>,
    found: &mut Vec<Violation>,
) -> FallbackPolicy {
    let Some(wire) = wire else { return default };
    if wire.candidates_max == Some(0) {
        let message = "0 candidates cannot answer; 1 means no fallback";
        found.push(Violation::new("fallback.candidates_max", message));
    }
    let asked = wire.candidates_max.map_or(default.candidates_max, |it| it as usize);
    FallbackPolicy {
        candidates_max: asked.min(default.candidates_max),
        on_stream_failure: on_stream_failure(default.on_stream_failure, wire, found),
        on_content_filter: wire.on_content_filter.unwrap_or(default.on_content_filter),
        hedge: wire.hedge.unwrap_or(default.hedge),
        timeouts: timeouts(wire.timeouts.unwrap_or_default(), found).or(default.timeouts),
        ..default
    }
}

fn timeouts(wire: proto::Timeouts, found: &mut Vec<Violation>) -> Timeouts {
    let mut read = |name: &str, ms: Option<f64>| {
        ms.and_then(|it| limit(&format!("fallback.timeouts.{name}"), it, found))
    };
    Timeouts {
        first_attempt: read("first_attempt_ms", wire.first_attempt_ms),
        fallback: read("fallback_ms", wire.fallback_ms),
        first_token: read("first_token_ms", wire.first_token_ms),
        stall: read("stall_ms", wire.stall_ms),
    }
}

#[cfg(test)]
mod tests;
