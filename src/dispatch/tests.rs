//! The chain as a whole, against a scripted caller under a paused clock.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::fixtures::{
    Figures, Script, Turn, USD_PER_TOKEN, answers, fails, hangs, health, limited, ranking,
};
use super::{ChainEnd, ChainFailure, Dispatched, Plan, run};
use crate::domain::{ChatRequest, FailureClass, Usd};
use crate::ranking::{Policy, Ranking};

const FOUR: [Figures; 4] =
    [Figures { latency_s: 1.0, cost_usd: 0.001, window: 8_000, last_resort: false }; 4];

fn seconds(it: u64) -> Duration {
    Duration::from_secs(it)
}

async fn play(figures: &[Figures], policy: &Policy, script: &Script) -> Dispatched {
    play_ranking(&ranking(figures), policy, script).await
}

async fn play_ranking(ranking: &Ranking, policy: &Policy, script: &Script) -> Dispatched {
    let request = &ChatRequest::from_prompt("hello");
    let max_latency = policy.budget.max_latency;
    let arrived = Instant::now();
    let health = &health(ranking);
    health.spent(Usd::clamped(1.0), health.now());
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
    run(plan, script, 7, std::future::pending()).await
}

fn end(dispatched: &Dispatched) -> Result<String, ChainFailure> {
    match &dispatched.end {
        ChainEnd::Served { deployment, .. } => Ok(deployment.model_id.clone()),
        ChainEnd::Broken { .. } => unreachable!("a whole answer does not break"),
        ChainEnd::Failed(failure) => Err(*failure),
    }
}

/// The models called when the first one fails once, and how it ends when everyone always fails.
fn expected(class: FailureClass) -> (&'static [&'static str], usize, Option<ChainFailure>) {
    use FailureClass as F;
    match class {
        F::Overloaded | F::Connection => (&["m0", "m0"], 6, None),
        // No Retry-After: straight to the next.
        F::RateLimited
        | F::FirstTokenLate
        | F::Stalled
        | F::Deadline
        | F::Auth
        | F::ModelMissing
        | F::EmptyAnswer
        | F::Malformed
        | F::StreamCut
        | F::OverBudget => (&["m0", "m1"], 3, None),
        F::Unsupported => (&["m0", "m1"], 3, None),
        // Nobody's window is larger.
        F::ContextTooLong | F::ContentFiltered | F::InvalidRequest | F::Cancelled => {
            (&["m0"], 1, Some(ChainFailure::CallerError(class)))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_class_is_handled_as_the_table_says() {
    for class in FailureClass::ALL {
        let (models, calls, error) = expected(class);
        let once = Script::new(vec![vec![fails(class), answers()]]);
        let dispatched = play(&FOUR, &Policy::default(), &once).await;
        assert_eq!(once.models(), models, "{class:?}");
        let served = error.map_or(Ok(models.last().unwrap().to_string()), Err);
        assert_eq!(end(&dispatched), served, "{class:?}");

        let always = Script::new(vec![vec![fails(class)]; 4]);
        let dispatched = play(&FOUR, &Policy::default(), &always).await;
        // What everyone lacks is the request's fault.
        let alike = class == FailureClass::Unsupported;
        let alike = alike.then_some(ChainFailure::CallerError(class));
        let wanted = error.or(alike).unwrap_or(ChainFailure::Exhausted);
        assert_eq!(end(&dispatched), Err(wanted), "{class:?}");
        assert_eq!(dispatched.attempts.len(), calls, "{class:?}");
        assert_eq!(always.models().len(), calls, "{class:?}");
        assert!(dispatched.attempts.iter().all(|it| it.failure == Some(class)));
        let spent = Usd::new(10.0 * USD_PER_TOKEN * calls as f64).unwrap();
        assert_eq!(dispatched.cost_usd(), spent, "{class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_policy_may_send_a_filtered_answer_on() {
    let mut policy = Policy::default();
    policy.fallback.on_content_filter = true;
    let filtered = vec![fails(FailureClass::ContentFiltered)];
    let script = Script::new(vec![filtered.clone()]);
    assert_eq!(end(&play(&FOUR, &policy, &script).await), Ok("m1".into()));
    let script = Script::new(vec![filtered; 4]);
    let wanted = ChainFailure::CallerError(FailureClass::ContentFiltered);
    assert_eq!(end(&play(&FOUR, &policy, &script).await), Err(wanted));
    assert_eq!(script.models(), ["m0", "m1", "m2"]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_too_long_goes_to_larger_windows_only() {
    let windows = [8_000, 4_000, 8_000, 16_000].map(|window| Figures { window, ..FOUR[0] });
    let mut policy = Policy::default();
    policy.fallback.candidates_max = 4;
    let script = Script::new(vec![vec![fails(FailureClass::ContextTooLong)]]);
    assert_eq!(end(&play(&windows, &policy, &script).await), Ok("m3".into()));
    assert_eq!(script.models(), ["m0", "m3"]);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_when_short_and_skipped_when_long() {
    let check = async |pause: Duration, wanted: &str, began: Duration| {
        let script = Script::new(vec![vec![limited(pause), answers()]]);
        let dispatched = play(&FOUR, &Policy::default(), &script).await;
        assert_eq!(end(&dispatched), Ok(wanted.into()));
        let start = dispatched.attempts[1].start_ms;
        assert!((start - began.as_secs_f64() * 1e3).abs() < 5.0, "{start} {began:?}");
    };
    let first = Duration::from_millis(100);
    check(seconds(2), "m0", first + seconds(2)).await;
    check(seconds(3), "m1", first).await;
}

#[tokio::test(start_paused = true)]
async fn retry_after_beyond_the_deadline_is_not_waited_for() {
    let mut policy = Policy::default();
    policy.budget.max_latency = seconds(2);
    let script = Script::new(vec![vec![limited(seconds(1)), answers()]]);
    let dispatched = play(&FOUR, &policy, &script).await;
    assert_eq!(end(&dispatched), Ok("m1".into()));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_so_that_the_next_one_fits() {
    let mut policy = Policy::default();
    policy.budget.max_latency = seconds(5);
    let script = Script::new(vec![vec![hangs()]]);
    let dispatched = play(&FOUR, &policy, &script).await;
    assert_eq!(end(&dispatched), Ok("m1".into()));
    assert_eq!(script.seen()[0].timeout, Duration::from_millis(3_950));
    assert_eq!(dispatched.attempts[0].failure, Some(FailureClass::Deadline));
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_has_15_s_and_the_others_10() {
    let script = Script::new(vec![vec![hangs()]; 4]);
    let dispatched = play(&FOUR, &Policy::default(), &script).await;
    assert_eq!(end(&dispatched), Err(ChainFailure::Exhausted));
    let limits: Vec<_> = script.seen().into_iter().map(|it| it.timeout).collect();
    assert_eq!(limits, [seconds(15), seconds(10), seconds(10)]);
    // The request's own limits stand before the model's.
    let mut policy = Policy::default();
    policy.fallback.timeouts.fallback = Some(seconds(3));
    let mut ranking = ranking(&FOUR);
    let mut slow = ranking.entries[0].deployment.as_ref().clone();
    slow.timeouts.first_attempt = Some(seconds(20));
    slow.timeouts.fallback = Some(seconds(20));
    ranking.entries[0].deployment = slow.into();
    let script = Script::new(vec![vec![hangs()]; 4]);
    play_ranking(&ranking, &policy, &script).await;
    let limits: Vec<_> = script.seen().into_iter().map(|it| it.timeout).collect();
    assert_eq!(limits, [seconds(20), seconds(3), seconds(3)]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_chain_on_time() {
    let mut policy = Policy::default();
    policy.budget.max_latency = Duration::from_millis(2_500);
    let began = Instant::now();
    let script = Script::new(vec![vec![hangs()]; 4]);
    let dispatched = play(&FOUR, &policy, &script).await;
    assert_eq!(end(&dispatched), Err(ChainFailure::Deadline));
    assert!(began.elapsed() <= Duration::from_millis(2_510), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_who_is_too_slow_for_what_is_left() {
    let mut policy = Policy::default();
    policy.budget.max_latency = seconds(3);
    let slow = Figures { latency_s: 5.0, ..FOUR[0] };
    let script = Script::new(vec![]);
    assert_eq!(end(&play(&[slow, FOUR[0]], &policy, &script).await), Ok("m1".into()));
    let script = Script::new(vec![]);
    assert_eq!(end(&play(&[slow, slow], &policy, &script).await), Err(ChainFailure::Deadline));
    assert!(script.models().is_empty());
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_paid_and_the_next_must_fit_the_rest() {
    let mut policy = Policy::default();
    policy.budget.max_cost_usd = Some(Usd::new(20.0 * USD_PER_TOKEN).unwrap());
    let costs = |tokens: f64| Figures { cost_usd: tokens * USD_PER_TOKEN, ..FOUR[0] };
    let malformed = vec![fails(FailureClass::Malformed)];
    let script = Script::new(vec![malformed.clone()]);
    let dispatched = play(&[costs(20.0), costs(15.0), costs(9.0)], &policy, &script).await;
    assert_eq!(script.models(), ["m0", "m2"]);
    assert_eq!(dispatched.cost_usd(), Usd::new(25.0 * USD_PER_TOKEN).unwrap());
    let script = Script::new(vec![malformed]);
    let dispatched = play(&[costs(20.0), costs(15.0)], &policy, &script).await;
    assert_eq!(end(&dispatched), Err(ChainFailure::OverBudget));
}

#[tokio::test(start_paused = true)]
async fn caps_hold_and_a_last_resort_comes_on_top() {
    let mut policy = Policy::default();
    policy.fallback.candidates_max = 1;
    let last = Figures { last_resort: true, ..FOUR[0] };
    let broken = vec![fails(FailureClass::Connection)];
    let script = Script::new(vec![broken.clone(), broken.clone()]);
    assert_eq!(end(&play(&[FOUR[0], FOUR[0], last], &policy, &script).await), Ok("m2".into()));
    assert_eq!(script.models(), ["m0", "m0", "m2"]);
    policy.fallback.attempts_max = 2;
    let script = Script::new(vec![broken; 4]);
    let dispatched = play(&[FOUR[0], last], &policy, &script).await;
    assert_eq!(end(&dispatched), Err(ChainFailure::Exhausted));
    // A second call never takes the place of another's first.
    assert_eq!(script.models(), ["m0", "m1"]);
    let script = Script::new(vec![vec![fails(FailureClass::Connection)]; 3]);
    let dispatched = play(&[FOUR[0], FOUR[0], FOUR[0], last], &Policy::default(), &script).await;
    assert_eq!(end(&dispatched), Ok("m3".into()));
    assert_eq!(script.models(), ["m0", "m0", "m1", "m1", "m2", "m3"]);
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let class = prop::sample::select(FailureClass::ALL.to_vec());
    let turn = prop_oneof![
        4 => class.prop_map(fails),
        1 => (0_u64..4_000).prop_map(|it| limited(Duration::from_millis(it))),
        1 => Just(hangs()),
        1 => Just(answers()),
    ];
    prop::collection::vec(turn, 1..4)
}

fn figures() -> impl Strategy<Value = Figures> {
    let numbers = (0.0..20.0, 0.0..40.0, 1_000_u64..4_000, any::<bool>());
    numbers.prop_map(|(latency_s, tokens, window, last_resort)| Figures {
        latency_s,
        cost_usd: tokens * USD_PER_TOKEN,
        window,
        last_resort,
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let numbers = (1_usize..5, 1_usize..9, any::<bool>(), 0_u64..60, prop::option::of(0.0..60.0));
    numbers.prop_map(|(candidates_max, attempts_max, on_content_filter, latency, tokens)| {
        let mut policy = Policy::default();
        policy.fallback.candidates_max = candidates_max;
        policy.fallback.attempts_max = attempts_max;
        policy.fallback.on_content_filter = on_content_filter;
        policy.fallback.hedge = latency % 2 == 0;
        policy.budget.max_latency = seconds(latency);
        policy.budget.max_cost_usd = tokens.map(|it: f64| Usd::clamped(it * USD_PER_TOKEN));
        policy
    })
}

proptest! {
    #[test]
    fn the_laws_hold_for_any_script(
        fleet in prop::collection::vec(figures(), 1..7),
        turns in prop::collection::vec(turns(), 7),
        policy in policies(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let began = Instant::now();
            let script = Script::new(turns);
            let dispatched = play(&fleet, &policy, &script).await;
            let took = began.elapsed();
            let models = script.models();
            let fallback = &policy.fallback;
            let allowed: Vec<String> = (0..fleet.len())
                .filter(|it| *it < fallback.candidates_max || fleet[*it].last_resort)
                .map(|it| format!("m{it}"))
                .collect();
            prop_assert_eq!(models.len(), dispatched.attempts.len());
            prop_assert!(models.len() <= fallback.attempts_max);
            for model in &models {
                prop_assert!(models.iter().filter(|it| *it == model).count() <= 2);
                prop_assert!(allowed.contains(model));
            }
            let tokens: u64 = dispatched
                .attempts
                .iter()
                .map(|it| it.usage.input_tokens + it.usage.output_tokens)
                .sum();
            let paid = Usd::clamped(tokens as f64 * USD_PER_TOKEN);
            prop_assert_eq!(dispatched.cost_usd(), paid);
            prop_assert!(took <= policy.budget.max_latency + Duration::from_millis(20));
            let (last, earlier) = match dispatched.attempts.split_last() {
                Some((last, earlier)) => (Some(last), earlier),
                None => (None, &[][..]),
            };
            prop_assert!(earlier.iter().all(|it| it.failure.is_some()));
            let served = last.is_some_and(|it| it.failure.is_none());
            prop_assert_eq!(served, end(&dispatched).is_ok());
            Ok(())
        })?;
    }
}
