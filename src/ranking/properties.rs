//! The laws of ranking, on candidates and policies made at random.
//!
//! In: predictions of every size, among them nonsense. Out: nothing, unless a law is broken; the
//! failing case is then shrunk and printed. The laws themselves are in [`super::invariants`].

mod ties;
mod wishes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::*;
use crate::catalog::{Deployment, Model, Source, Speed};
use crate::domain::{
    Ability, AbilitySet, DeploymentId, FailureClass, ModelName, Price, Probability, ProviderName,
    Usd,
};
use crate::prediction::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};

/// Most candidates of one case: more than any fleet has models, and cases stay readable.
const CANDIDATES_MAX: usize = 24;

/// What is random about a candidate.
#[derive(Debug, Clone)]
struct Draft {
    quality: f64,
    fixed_usd: f64,
    usd_per_token: f64,
    ttft_ms: f64,
    s_per_token: f64,
    mu: f64,
    sigma: f64,
    input_tokens: f64,
    window: u64,
    tools: bool,
    last_resort: bool,
}

fn model(at: usize, draft: &Draft) -> Model {
    let abilities = AbilitySet::EMPTY;
    Model {
        name: ModelName::new(&format!("m{at}")).unwrap(),
        vendor: "nobody".into(),
        context_window: draft.window,
        max_output_tokens: 4_096,
        abilities: if draft.tools { abilities.with(Ability::Tools) } else { abilities },
        price: Price::FREE,
        released: "2025-01".into(),
        source: Source { page: "none".into(), as_of: "2025-01".into() },
        served_by: Default::default(),
        learned_as: None,
        quality_prior: None,
        speed: Speed::default(),
    }
}

fn candidate(at: usize, draft: &Draft) -> Candidate {
    let provider = ProviderName::new("p").unwrap();
    let mut deployment = Deployment::new(&Arc::new(model(at, draft)), &provider, format!("m{at}"));
    deployment.last_resort = draft.last_resort;
    let tokens = LogNormal { mu: draft.mu, sigma: draft.sigma, cap: 4_096.0 };
    let prediction = Prediction {
        deployment: deployment.id.clone(),
        quality: QualityEstimate { mean: Probability::clamped(draft.quality), spread: 0.1 },
        input_tokens: draft.input_tokens,
        output_tokens: tokens,
        cost_usd: Forecast { fixed: draft.fixed_usd, per_token: draft.usd_per_token, tokens },
        cached: CachedInput::NONE,
        ttft_ms: draft.ttft_ms,
        ttft_sigma: draft.sigma,
        latency_s: Forecast {
            fixed: draft.ttft_ms / 1_000.0,
            per_token: draft.s_per_token,
            tokens,
        },
    };
    Candidate { deployment: Arc::new(deployment), prediction }
}

fn fleet(drafts: &[Draft]) -> Vec<Candidate> {
    drafts.iter().enumerate().map(|(at, it)| candidate(at, it)).collect()
}

prop_compose! {
    fn draft()(
        (quality, fixed_usd, usd_per_token) in (0.0..=1.0, 0.0..0.02, 0.0..1e-4),
        (ttft_ms, s_per_token) in (1.0..5_000.0, 1e-4..0.1),
        (mu, sigma) in (0.0..9.0, 0.0..2.0),
        input_tokens in 0.0..20_000.0,
        window in prop_oneof![Just(4_096_u64), Just(128_000)],
        tools in any::<bool>(),
        last_resort in prop::bool::weighted(0.15),
    ) -> Draft {
        Draft {
            quality, fixed_usd, usd_per_token, ttft_ms, s_per_token, mu, sigma, input_tokens,
            window, tools, last_resort,
        }
    }
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    prop::collection::vec(draft(), 1..CANDIDATES_MAX)
}

/// Numbers that no prediction should hold, and yet.
fn nonsense() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        any::<f64>(),
    ]
}

prop_compose! {
    fn nonsense_draft()(
        numbers in prop::array::uniform8(nonsense()),
        window in any::<u64>(),
        (tools, last_resort) in any::<(bool, bool)>(),
    ) -> Draft {
        let [quality, fixed_usd, usd_per_token, ttft_ms, s_per_token, mu, sigma, input_tokens] =
            numbers;
        Draft {
            quality, fixed_usd, usd_per_token, ttft_ms, s_per_token, mu, sigma, input_tokens,
            window, tools, last_resort,
        }
    }
}

prop_compose! {
    fn policy()(
        max_cost_usd in prop::option::of(0.0..0.05),
        max_latency_ms in prop_oneof![Just(60_000_u64), 100_u64..60_000],
        max_ttft_ms in prop::option::of(10_u64..5_000),
        confidence in 0.0..=1.0,
        preset in 0..Preference::PRESETS.len(),
        min_quality in prop::option::of(0.0..=1.0),
        (allow, deny, order) in (names(), names(), prop::option::weighted(0.3, names())),
        exploration in exploration(),
    ) -> Policy {
        Policy {
            budget: Budget {
                max_cost_usd: max_cost_usd.map(Usd::clamped),
                max_latency: Duration::from_millis(max_latency_ms),
                max_ttft: max_ttft_ms.map(Duration::from_millis),
                confidence: Probability::clamped(confidence),
                ..Budget::default()
            },
            preference: Preference::PRESETS[preset].1,
            min_quality: min_quality.map(Probability::clamped),
            route: None,
            candidates: Candidates {
                permitted: None,
                allow,
                deny,
                order: order.map_or(Order::Learned, Order::Given),
                ..Candidates::default()
            },
            fallback: FallbackPolicy::default(),
            exploration,
        }
    }
}

fn exploration() -> impl Strategy<Value = Exploration> {
    let given_up = || (1e-6..=1.0).prop_map(|it| UtilityGivenUp::new(it).unwrap());
    prop_oneof![
        Just(Exploration::Off),
        given_up().prop_map(Exploration::Shown),
        given_up().prop_map(Exploration::Drawn),
    ]
}

/// Most often none, so that most candidates stay in.
fn names() -> impl Strategy<Value = Vec<ModelName>> {
    let name = |at: usize| ModelName::new(&format!("m{at}")).unwrap();
    prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((0..CANDIDATES_MAX).prop_map(name), 1..6),
    ]
}

prop_compose! {
    fn need()(tools in prop::bool::weighted(0.2), most in prop::option::of(1_u64..8_192)) -> Need {
        let abilities = AbilitySet::EMPTY;
        let abilities = if tools { abilities.with(Ability::Tools) } else { abilities };
        Need { abilities, max_output_tokens: most, ..Need::default() }
    }
}

/// The first few candidates have no key, and others are more or less busy.
fn availability(down: usize) -> Availability {
    let mut availability = Availability::default();
    for at in 0..CANDIDATES_MAX {
        let id = DeploymentId::new(&format!("m{at}@p")).unwrap();
        availability.count(id, (at * 7 % 5) as u32);
    }
    for at in 0..down {
        let id = DeploymentId::new(&format!("m{at}@p")).unwrap();
        availability.mark(id, Unavailable::NoKey("A_KEY".into()));
    }
    availability
}

/// Some candidates are shut, for so many milliseconds.
fn closes(shut: &[Option<u64>]) -> Availability {
    let mut availability = Availability::default();
    for (at, for_ms) in shut.iter().enumerate() {
        let id = DeploymentId::new(&format!("m{at}@p")).unwrap();
        let why =
            for_ms.map(|for_ms| Unavailable::Shut { for_ms, class: FailureClass::Overloaded });
        why.into_iter().for_each(|why| availability.mark(id.clone(), why));
    }
    availability
}

fn ids(ranking: &Ranking) -> Vec<&DeploymentId> {
    ranking.entries.iter().map(|it| &it.deployment.id).collect()
}

/// The laws that hold whatever the numbers.
fn check_laws(drafts: &[Draft], policy: &Policy, need: &Need, down: usize, seed: u64) {
    let open = availability(down);
    let verdict = rank(fleet(drafts), policy, need, &open, seed);
    assert_eq!(
        verdict.is_err(),
        verdict.as_ref().is_err_and(|it| it.excluded.len() == drafts.len())
    );
    let Ok(ranking) = verdict else { return };
    assert!(invariants::everyone_is_accounted_for(&ranking, drafts.len()));
    assert!(invariants::no_limit_is_broken(&ranking, policy, need));
    assert!(invariants::order_follows_utility(&ranking, policy));
    assert!(invariants::chances_are_whole(&ranking, policy));
    assert!(invariants::unavailable_ones_stand_behind(&ranking, &open));
    assert!(ranking.excluded.iter().all(|it| !it.reasons.is_empty()));
}

proptest! {
    // A failing case is printed, shrunk; a file beside the sources would only be forgotten.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ranking_is_a_permutation_of_those_who_pass_every_limit(
        drafts in drafts(), policy in policy(), need in need(), down in 0_usize..3, seed: u64,
    ) {
        check_laws(&drafts, &policy, &need, down, seed);
        let all = fleet(&drafts);
        let open = availability(down);
        let passes = |it: &&Candidate| {
            limits::exclusions(&it.deployment, &it.prediction, &policy, &need, &open).is_empty()
        };
        let eligible: BTreeSet<_> = all.iter().filter(passes).map(|it| &it.deployment.id).collect();
        let verdict = rank(all.clone(), &policy, &need, &open, seed);
        let ranked = verdict.as_ref().map(ids).unwrap_or_default();
        prop_assert_eq!(ranked.len(), eligible.len());
        prop_assert_eq!(ranked.into_iter().collect::<BTreeSet<_>>(), eligible);
    }

    #[test]
    fn shut_ones_stand_behind_all_others(
        drafts in drafts(), policy in policy(), need in need(), seed: u64,
        shut in prop::collection::vec(prop::option::of(1_u64..9), CANDIDATES_MAX),
    ) {
        // Another draw among others would be another order.
        let policy = Policy { exploration: policy.exploration.shown(), ..policy };
        let open = closes(&shut);
        let verdict = rank(fleet(&drafts), &policy, &need, &open, seed);
        let healthy = rank(fleet(&drafts), &policy, &need, &Availability::default(), seed);
        // Being shut alone never refuses anyone.
        prop_assert_eq!(verdict.is_ok(), healthy.is_ok());
        let (Ok(ranking), Ok(healthy)) = (verdict, healthy) else { return Ok(()) };
        prop_assert!(invariants::unavailable_ones_stand_behind(&ranking, &open));
        prop_assert!(invariants::everyone_is_accounted_for(&ranking, drafts.len()));
        let is_open = |it: &&DeploymentId| open.of(it).is_none();
        let (ranked, whole) = (ids(&ranking), ids(&healthy));
        let still: Vec<_> = whole.iter().copied().filter(is_open).collect();
        prop_assert_eq!(ranked.len(), whole.len());
        prop_assert_eq!(&ranked[..still.len()], still.as_slice());
        let times = ranking.entries.iter().map(order::opens_in_ms);
        prop_assert!(times.is_sorted());
    }

    #[test]
    fn numbers_that_make_no_sense_do_not_panic(
        drafts in prop::collection::vec(nonsense_draft(), 1..CANDIDATES_MAX),
        policy in policy(), need in need(), seed: u64,
    ) {
        check_laws(&drafts, &policy, &need, 0, seed);
    }

    #[test]
    fn better_and_cheaper_and_faster_never_ranks_lower(
        worse in draft(), others in drafts(), seed: u64,
        (better, cheaper, faster) in (0.0..0.5, 0.0..=1.0, 0.0..=1.0),
    ) {
        let dominant = Draft {
            quality: worse.quality + better,
            fixed_usd: worse.fixed_usd * cheaper,
            usd_per_token: worse.usd_per_token * cheaper,
            ttft_ms: worse.ttft_ms * faster,
            s_per_token: worse.s_per_token * faster,
            ..worse.clone()
        };
        // By two steps, so that the two stand on different ones.
        let strictly = f64::min(better, 1.0 - worse.quality) > 2.0 * TIE_STEP;
        let all: Vec<_> = [worse, dominant].into_iter().chain(others).collect();
        let verdict = rank(fleet(&all), &Policy::default(), &Need::default(), &availability(0), seed);
        let ranked = verdict.as_ref().map(ids).unwrap_or_default();
        let place = |name: &str| ranked.iter().position(|it| it.as_str() == name);
        let (worse, dominant) = (place("m0@p"), place("m1@p"));
        prop_assert!(worse.is_none() || dominant.is_some(), "it passes every limit that the worse passes");
        if let (Some(worse), Some(dominant), true) = (worse, dominant, strictly) {
            prop_assert!(dominant < worse);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_answer_in_any_order_of_asking(
        drafts in drafts(), policy in policy(), need in need(), seed: u64,
    ) {
        let open = availability(1);
        let first = rank(fleet(&drafts), &policy, &need, &open, seed);
        prop_assert_eq!(&first, &rank(fleet(&drafts), &policy, &need, &open, seed));
        let mut turned = fleet(&drafts);
        turned.reverse();
        let turned = rank(turned, &policy, &need, &open, seed);
        prop_assert_eq!(first.as_ref().map(ids).ok(), turned.as_ref().map(ids).ok());
    }

    #[test]
    fn exploring_changes_nothing_but_who_is_first(
        drafts in drafts(), policy in policy(), need in need(), down in 0_usize..3, seed: u64,
        given_up in 1e-6..=1.0,
    ) {
        let open = availability(down);
        let given_up = UtilityGivenUp::new(given_up).unwrap();
        let with = |exploration| {
            let policy = Policy { exploration, ..policy.clone() };
            rank(fleet(&drafts), &policy, &need, &open, seed)
        };
        let verdicts = (with(Exploration::Off), with(Exploration::Shown(given_up)));
        let drawn = with(Exploration::Drawn(given_up));
        let (Ok(off), Ok(shown), Ok(drawn)) = (verdicts.0, verdicts.1, drawn) else {
            return Ok(());
        };
        prop_assert_eq!(ids(&off), ids(&shown));
        let chance = |of: &Ranking, id| of.entries.iter().find(|it| it.deployment.id == id).unwrap().propensity;
        for it in &shown.entries {
            prop_assert_eq!(it.propensity, chance(&drawn, it.deployment.id.clone()));
        }
        let lost: f64 = shown.entries.iter().map(|it| it.propensity.get() * (off.entries[0].utility - it.utility)).sum();
        prop_assert!(lost <= given_up.get() * (1.0 + 1e-5) + 1e-7, "{lost} of {given_up:?}");
        let first = &drawn.entries[0].deployment.id;
        let rest: Vec<_> = ids(&off).into_iter().filter(|it| *it != first).collect();
        prop_assert_eq!(&ids(&drawn)[1..], rest.as_slice());
    }

    #[test]
    fn a_last_resort_more_changes_nothing_else(
        drafts in drafts(), extra in draft(), policy in policy(), need in need(), seed: u64,
    ) {
        let open = availability(0);
        let before = rank(fleet(&drafts), &policy, &need, &open, seed);
        let extra = Draft { last_resort: true, ..extra };
        let more: Vec<_> = drafts.into_iter().chain([extra]).collect();
        let added = format!("m{}@p", more.len() - 1);
        let after = rank(fleet(&more), &policy, &need, &open, seed);
        let rest: Vec<_> = after.as_ref().map(ids).unwrap_or_default();
        let rest: Vec<_> = rest.into_iter().filter(|it| it.as_str() != added).collect();
        prop_assert_eq!(before.as_ref().map(ids).unwrap_or_default(), rest);
        if let (Ok(before), Ok(after)) = (&before, &after) {
            let first = |it: &Ranking| it.entries[0].deployment.last_resort;
            prop_assert!(first(before) || before.entries[0] == after.entries[0]);
        }
    }
}
