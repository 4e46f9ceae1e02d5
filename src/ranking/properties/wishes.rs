//! The laws of what is wanted of providers, and of strategies, on wishes made at random.

use super::*;
use crate::catalog::{DataCollection, Quantization, Terms};
use crate::domain::{Parameter, ParameterSet, TokenPrice};
use crate::ranking::Strategy as Among;

/// How many models share the candidates, so that each has several deployments.
const MODELS: usize = 4;

/// As [`fleet`], four models at as many providers as it takes, each with terms of its own.
fn wide_fleet(drafts: &[Draft]) -> Vec<Candidate> {
    drafts.iter().enumerate().map(|(at, it)| wide(at, it)).collect()
}

fn provider(at: usize) -> ProviderName {
    ProviderName::new(&format!("p{}", at / MODELS)).unwrap()
}

fn wide(at: usize, draft: &Draft) -> Candidate {
    let Candidate { deployment, mut prediction } = candidate(at % MODELS, draft);
    let mut deployment = Deployment::clone(&deployment);
    deployment.provider = provider(at);
    deployment.id = DeploymentId::of(&deployment.model.name, &deployment.provider);
    prediction.deployment = deployment.id.clone();
    let price = |usd: usize| TokenPrice::per_million(usd as f64).unwrap();
    deployment.price = Price::of(price(at % 5), price(at % 7));
    deployment.terms = Terms {
        data_collection: [None, Some(DataCollection::Deny), Some(DataCollection::Allow)][at % 3],
        zdr: [Some(true), None, Some(false)][at / 2 % 3],
        quantization: [None, Some(Quantization::Fp8), Some(Quantization::Bf16)][at / 3 % 3],
        lacks: if at.is_multiple_of(2) { ParameterSet::EMPTY } else { seed() },
        weight: (at % 4) as f64,
        rpm: at.is_multiple_of(3).then_some(10),
        tpm: at.is_multiple_of(5).then_some(1_000),
    };
    Candidate { deployment: Arc::new(deployment), prediction }
}

fn seed() -> ParameterSet {
    ParameterSet::EMPTY.with(Parameter::Seed)
}

/// Some are busy, failing, shut or full.
fn wide_availability(count: usize, draw: u64) -> Availability {
    let mut availability = Availability::default();
    for (at, it) in wide_fleet(&vec![worst(); count]).into_iter().enumerate() {
        let id = &it.deployment.id;
        let bits = draw.rotate_left(at as u32 * 5);
        availability.count(id.clone(), (bits % 4) as u32);
        let (calls, tokens) = (bits % 11, bits % 1_001);
        availability.note(id.clone(), Recent { calls, tokens, failing: bits.is_multiple_of(3) });
        if bits.is_multiple_of(7) {
            availability.mark(id.clone(), Unavailable::Full { for_ms: bits % 100 });
        }
    }
    availability
}

fn worst() -> Draft {
    Draft {
        quality: 0.0,
        fixed_usd: 0.0,
        usd_per_token: 0.0,
        ttft_ms: 1.0,
        s_per_token: 1.0,
        mu: 0.0,
        sigma: 0.0,
        input_tokens: 0.0,
        window: 4_096,
        tools: false,
        last_resort: false,
    }
}

fn whose() -> impl Strategy<Value = Vec<Whose>> {
    let one = (0..CANDIDATES_MAX, any::<bool>()).prop_map(|(at, alone)| {
        if alone {
            let id = format!("m{}@p{}", at % MODELS, at / MODELS);
            Whose::Deployment(DeploymentId::new(&id).unwrap())
        } else {
            Whose::Provider(provider(at))
        }
    });
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..5)]
}

fn sort() -> impl Strategy<Value = Option<Sort>> {
    let by = prop::sample::select(Figure::NAMES.map(|(_, it)| it).to_vec());
    let partition = prop::sample::select(Partition::NAMES.map(|(_, it)| it).to_vec());
    prop::option::of((by, partition).prop_map(|(by, partition)| Sort { by, partition }))
}

prop_compose! {
    fn provider_wishes()(
        (order, only, ignore) in (whose(), whose(), whose()),
        (refused, required, denied, zero) in
            (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2)),
        fp8 in prop::bool::weighted(0.2),
        sort in sort(),
        most in prop::option::weighted(0.3, 0.0..6.0),
    ) -> ProviderWishes {
        ProviderWishes {
            order,
            only,
            ignore,
            fallbacks: if refused { Fallbacks::Refused } else { Fallbacks::Allowed },
            parameters: if required { Parameters::Required } else { Parameters::MayBeLeftOut },
            data_collection: if denied { DataCollection::Deny } else { DataCollection::Allow },
            retention: if zero { Retention::Zero } else { Retention::Allowed },
            quantizations: if fp8 { vec![Quantization::Fp8] } else { Vec::new() },
            sort,
            max_price: MaxPrice {
                prompt: most.map(|it| TokenPrice::per_million(it).unwrap()),
                ..MaxPrice::default()
            },
        }
    }
}

fn given() -> impl Strategy<Value = Order> {
    let name = |at: usize| ModelName::new(&format!("m{at}")).unwrap();
    let named = prop::collection::vec((0..MODELS).prop_map(name), 1..MODELS);
    prop_oneof![Just(Order::Learned), named.prop_map(Order::Given)]
}

prop_compose! {
    /// A policy that names models, wishes and a strategy.
    fn wishful()(
        policy in policy(), provider in provider_wishes(), order in given(),
        default in prop::sample::select(Among::NAMES.map(|(_, it)| it).to_vec()),
    ) -> Policy {
        let strategies = Strategies { default, ..Strategies::default() };
        let candidates = Candidates { provider, order, strategies, ..Candidates::default() };
        Policy { candidates, ..policy }
    }
}

fn need() -> Need {
    Need { parameters: seed(), ..Need::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_wish_is_kept_and_everyone_accounted_for(
        drafts in drafts(), policy in wishful(), draw: u64, seed: u64,
    ) {
        let open = wide_availability(drafts.len(), draw);
        let Ok(ranking) = rank(wide_fleet(&drafts), &policy, &need(), &open, seed) else {
            return Ok(());
        };
        prop_assert!(invariants::everyone_is_accounted_for(&ranking, drafts.len()));
        prop_assert!(invariants::no_limit_is_broken(&ranking, &policy, &need()));
        prop_assert!(invariants::order_follows_utility(&ranking, &policy));
        prop_assert!(invariants::wishes_are_kept(&ranking, &policy, &need()));
        prop_assert!(invariants::chances_are_whole(&ranking, &policy));
        prop_assert!(invariants::unavailable_ones_stand_behind(&ranking, &open));
        prop_assert!(ranking.excluded.iter().all(|it| !it.reasons.is_empty()));
    }

    #[test]
    fn nonsense_is_ordered_too(
        drafts in prop::collection::vec(nonsense_draft(), 1..CANDIDATES_MAX),
        policy in wishful(), draw: u64, seed: u64,
    ) {
        let open = wide_availability(drafts.len(), draw);
        if let Ok(ranking) = rank(wide_fleet(&drafts), &policy, &need(), &open, seed) {
            prop_assert!(invariants::everyone_is_accounted_for(&ranking, drafts.len()));
        }
    }

    #[test]
    fn wishes_only_ever_exclude(drafts in drafts(), policy in wishful(), seed: u64) {
        let open = Availability::default();
        let plain = Candidates { provider: ProviderWishes::default(), ..policy.candidates.clone() };
        let plain = Policy { candidates: plain, ..policy.clone() };
        let [wanted, all] = [&policy, &plain].map(|policy| {
            let verdict = rank(wide_fleet(&drafts), policy, &need(), &open, seed);
            let ranked = verdict.map(|it| it.entries).unwrap_or_default();
            ranked.into_iter().map(|it| it.deployment.id.clone()).collect::<BTreeSet<_>>()
        });
        prop_assert!(wanted.is_subset(&all));
    }

    /// A draw, too, says of two who comes first whoever else is there.
    #[test]
    fn who_leaves_changes_nothing_among_the_others(
        drafts in drafts(), policy in wishful(), draw: u64, seed: u64,
    ) {
        let mut policy = policy;
        (policy.candidates.provider.fallbacks, policy.exploration) = Default::default();
        let open = wide_availability(drafts.len(), draw);
        let all = rank(wide_fleet(&drafts), &policy, &need(), &open, seed);
        let mut fewer = wide_fleet(&drafts);
        let gone = fewer.remove(draw as usize % drafts.len()).deployment.id.clone();
        let fewer = rank(fewer, &policy, &need(), &open, seed);
        let mut left = all.as_ref().map(ids).unwrap_or_default();
        left.retain(|it| **it != gone);
        prop_assert_eq!(left, fewer.as_ref().map(ids).unwrap_or_default());
    }

    #[test]
    fn the_order_of_asking_does_not_matter(
        drafts in drafts(), policy in wishful(), draw: u64, seed: u64,
    ) {
        let open = wide_availability(drafts.len(), draw);
        let first = rank(wide_fleet(&drafts), &policy, &need(), &open, seed);
        let mut turned = wide_fleet(&drafts);
        turned.reverse();
        let turned = rank(turned, &policy, &need(), &open, seed);
        prop_assert_eq!(first.as_ref().map(ids).ok(), turned.as_ref().map(ids).ok());
    }
}

/// How often each of these deployments of one model comes first in 10,000 decisions, and the chance told.
fn shares(all: &[Candidate], among: Among, open: &Availability) -> Vec<(f64, f64)> {
    let mut policy = Policy::default();
    policy.candidates.order = Order::Given(vec![ModelName::new("m0").unwrap()]);
    policy.candidates.strategies.default = among;
    let mut first = vec![(0.0, 0.0); all.len()];
    for seed in 0..10_000 {
        let ranking = rank(all.to_vec(), &policy, &Need::default(), open, seed).unwrap();
        let head = &ranking.entries[0].deployment.id;
        first[all.iter().position(|it| it.deployment.id == *head).unwrap()].0 += 1e-4;
        for it in &ranking.entries {
            let at = all.iter().position(|of| of.deployment.id == it.deployment.id).unwrap();
            first[at].1 = it.propensity.get();
        }
    }
    first
}

/// One model at as many providers, each at its price and weight.
fn at_prices(prices: &[f64], weights: &[f64]) -> Vec<Candidate> {
    let one = |(at, (usd, weight)): (usize, (&f64, &f64))| {
        let draft = Draft { fixed_usd: *usd, quality: 0.5, ..worst() };
        let mut it = wide(at * MODELS, &draft);
        let mut deployment = Deployment::clone(&it.deployment);
        deployment.terms = Terms { weight: *weight, ..Terms::default() };
        it.deployment = Arc::new(deployment);
        it
    };
    prices.iter().zip(weights).enumerate().map(one).collect()
}

#[test]
fn draws_follow_their_weights_within_two_percent() {
    let check = |among, prices: &[f64], weights: &[f64], wanted: &[f64]| {
        let found = shares(&at_prices(prices, weights), among, &Availability::default());
        for ((share, told), wanted) in found.iter().zip(wanted) {
            assert!((share - wanted).abs() < 0.02, "{among:?} {prices:?}: {found:?}");
            assert!((told - wanted).abs() < 1e-9, "{among:?} {prices:?}: {found:?}");
        }
    };
    // OpenRouter's example: $1, $2 and $3 make 36 : 9 : 4.
    let ones = [1.0; 3];
    check(Among::Spread, &[0.001, 0.002, 0.003], &ones, &[36.0 / 49.0, 9.0 / 49.0, 4.0 / 49.0]);
    check(Among::Spread, &[0.0, 0.002, 0.0], &ones, &[0.5, 0.0, 0.5]);
    check(Among::Shuffle, &[0.001; 3], &[7.0, 2.0, 1.0], &[0.7, 0.2, 0.1]);
    check(Among::Shuffle, &[0.001; 3], &[0.0, 3.0, 1.0], &[0.0, 0.75, 0.25]);
    check(Among::Price, &[0.002, 0.001, 0.003], &ones, &[0.0, 1.0, 0.0]);
}

#[test]
fn who_failed_of_late_stands_behind_in_a_spread() {
    let all = at_prices(&[0.001, 0.002, 0.003], &[1.0; 3]);
    let mut open = Availability::default();
    let failing = Recent { failing: true, ..Recent::default() };
    open.note(all[1].deployment.id.clone(), failing);
    let found = shares(&all, Among::Spread, &open);
    for ((share, told), wanted) in found.iter().zip([0.9, 0.0, 0.1]) {
        assert!((share - wanted).abs() < 0.02 && (told - wanted).abs() < 1e-9, "{found:?}");
    }
}
