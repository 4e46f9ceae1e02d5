//! Records for tests: real decisions over a fleet drawn from a seed.
//!
//! In: a seed, a policy, a need. Out: a record as the pipeline would write it.

use std::sync::Arc;

use super::facts::Choice;
use super::privacy::RecordedPrompt;
use super::record::{OutcomeRecord, RECORD_VERSION};
use crate::catalog::{Deployment, Model, Source, Speed};
use crate::domain::{
    Ability, AbilitySet, Attempt, DecisionId, FailureClass, ModelName, Price, Probability,
    ProviderName, TokenPrice, Usage,
};
use crate::prediction::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};
use crate::ranking::{Availability, Candidate, Need, Policy, TIE_STEP, Unavailable, rank};

/// A served request.
pub(crate) fn record() -> OutcomeRecord {
    decided(1, Policy::default(), Need::default())
}

/// What ranking makes of six models drawn from `seed`: the first two are equals, `m4` has no key,
/// `m5` is the last resort, and the even ones call tools.
pub(super) fn decided(seed: u64, policy: Policy, need: Need) -> OutcomeRecord {
    shut(seed, policy, need, &[])
}

/// As [`decided`], while calls are under way, so many at each of the first.
pub(super) fn busy(seed: u64, calls: &[u32]) -> OutcomeRecord {
    let mut availability = Availability::default();
    for (at, count) in calls.iter().enumerate() {
        availability.count(deployment(at).id, *count);
    }
    chosen(seed, (Policy::default(), Need::default()), availability)
}

/// As [`decided`], while some are shut, the later the longer.
pub(super) fn shut(seed: u64, policy: Policy, need: Need, shut: &[usize]) -> OutcomeRecord {
    let mut availability = Availability::default();
    for at in shut {
        let (for_ms, class) = (1_000 + *at as u64 / 2, FailureClass::Overloaded);
        availability.mark(deployment(*at).id, Unavailable::Shut { for_ms, class });
    }
    chosen(seed, (policy, need), availability)
}

fn chosen(seed: u64, (policy, need): (Policy, Need), open: Availability) -> OutcomeRecord {
    let (mut draw, mut availability) = (draws(seed), open);
    let fleet: Vec<_> = (0..6).map(|at| Arc::new(deployment(at))).collect();
    let mut predictions: Vec<_> = fleet.iter().map(|it| prediction(it, &mut draw)).collect();
    predictions[1] = Prediction { deployment: fleet[1].id.clone(), ..predictions[0].clone() };
    availability.mark(fleet[4].id.clone(), Unavailable::NoKey("M4_API_KEY".into()));
    let candidates = fleet.iter().zip(predictions).map(|(deployment, prediction)| Candidate {
        deployment: Arc::clone(deployment),
        prediction,
    });
    let verdict = rank(candidates.collect(), &policy, &need, &availability, seed);
    let Choice { candidates, ranked, excluded } = Choice::of(&fleet, &availability, &verdict);
    let served = ranked.first().map(|it| it.deployment.clone());
    let attempts: Vec<_> = served.iter().map(|it| attempt(it.clone())).collect();
    let cost_usd = attempts.iter().map(|it| it.cost_usd).sum();
    let route = verdict.as_ref().ok().and_then(|it| it.taken.clone());
    OutcomeRecord {
        version: RECORD_VERSION,
        decision: DecisionId::fresh(),
        at_unix_ms: 1_700_000_000_000,
        request_id: Some("r-1".into()),
        session_id: Some("s-1".into()),
        metadata: [("team".to_owned(), "blue".to_owned())].into(),
        caller: None,
        artifact_version: "test".into(),
        learned_updates: 0,
        encoder_exit: 0,
        feature_schema: 1,
        features: vec![0.1, 1.0, -2.5],
        embedding: vec![0.25, 1.0 / 3.0],
        policy,
        need,
        seed,
        tie_step: TIE_STEP,
        route,
        candidates,
        ranked,
        excluded,
        attempts,
        end: if served.is_some() { "served" } else { "refused" }.into(),
        served,
        seams: vec![],
        usage: Usage { input_tokens: 10, output_tokens: 20, ..Usage::default() },
        cost_usd,
        total_ms: 812.3,
        decide_us: 431.7,
        prompt: RecordedPrompt::None,
        cached: None,
        canary: None,
        shadow: None,
    }
}

/// The price of every model here, USD per million tokens.
fn price() -> Price {
    let price = |usd| TokenPrice::per_million(usd).unwrap();
    let (cached, cache_written) = (Some(price(0.25)), Some(price(3.75)));
    let reasoning = Some(price(9.0));
    Price { cached, cache_written, reasoning, ..Price::of(price(3.0), price(15.0)) }
}

/// It used every kind of token there is.
fn attempt(deployment: crate::domain::DeploymentId) -> Attempt {
    let usage = Usage {
        input_tokens: 100,
        cached_tokens: 30,
        cache_written_tokens: 20,
        output_tokens: 20,
        reasoning_tokens: 5,
    };
    Attempt {
        deployment,
        failure: None,
        status: Some(200),
        start_ms: 0.4,
        total_ms: 811.9,
        ttft_ms: None,
        usage,
        usage_estimated: true,
        cost_usd: price().cost(&usage),
        detail: None,
    }
}

fn deployment(at: usize) -> Deployment {
    let tools = AbilitySet::EMPTY.with(Ability::Tools);
    let model = Model {
        name: ModelName::new(&format!("m{at}")).unwrap(),
        vendor: "test".into(),
        context_window: 8_000,
        max_output_tokens: 2_000,
        abilities: if at.is_multiple_of(2) { tools } else { AbilitySet::EMPTY },
        price: price(),
        released: "2025-01".into(),
        source: Source { page: "test".into(), as_of: "2025-01".into() },
        served_by: std::collections::BTreeMap::new(),
        learned_as: None,
        quality_prior: None,
        speed: Speed::default(),
    };
    let provider = ProviderName::new("local").unwrap();
    let made = Deployment::new(&Arc::new(model), &provider, format!("id-{at}"));
    Deployment { last_resort: at == 5, ..made }
}

fn prediction(deployment: &Deployment, draw: &mut impl FnMut() -> f64) -> Prediction {
    let tokens = LogNormal { mu: 3.0 + 3.0 * draw(), sigma: draw(), cap: 2_000.0 };
    let mean = Probability::clamped(draw());
    Prediction {
        deployment: deployment.id.clone(),
        quality: QualityEstimate { mean, spread: draw() / 7.0 },
        input_tokens: 9_000.0 * draw(),
        output_tokens: tokens,
        cost_usd: Forecast { fixed: draw() / 1e3, per_token: draw() / 1e5, tokens },
        cached: CachedInput::NONE,
        ttft_ms: 900.0 * draw(),
        ttft_sigma: draw(),
        latency_s: Forecast { fixed: draw(), per_token: draw() / 50.0, tokens },
    }
}

/// Floats in [0, 1) with all 53 bits in use: SplitMix64 (Steele, Lea, Flood 2014).
fn draws(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
