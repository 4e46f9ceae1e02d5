//! A second call beside a slow first one, against scripts under a paused clock.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fixtures::{Figures, Script, Turn, answers, fails, hangs, health, ranking};
use super::{ChainEnd, Dispatched, EVENTS_MAX, Health, Plan, run, stream};
use crate::domain::{
    Attempt, ChatRequest, Delta, FailureClass, FinishReason, StreamEnd, Usage, Usd,
};
use crate::providers::StreamItem;
use crate::ranking::{Policy, Ranking};

/// Answers are expected after a second at most, first tokens after half of one.
const FIGURES: Figures =
    Figures { latency_s: 1.0, cost_usd: 0.001, window: 8_000, last_resort: false };
const LOST: &str = "another answer came first";

fn ms(it: u64) -> Duration {
    Duration::from_millis(it)
}

fn after(wait: Duration, turn: Turn) -> Vec<Turn> {
    vec![Turn { takes: wait, ..turn }]
}

fn hedged() -> Policy {
    let mut policy = Policy::default();
    policy.fallback.hedge = true;
    policy
}

/// Everyone well, and a dollar spent.
fn spent(ranking: &Ranking) -> Health {
    let health = health(ranking);
    health.spent(Usd::clamped(1.0), health.now());
    health
}

async fn play(policy: &Policy, script: &Script, health: impl Fn(&Ranking) -> Health) -> Dispatched {
    let (ranking, request) = (&ranking(&[FIGURES; 3]), &ChatRequest::from_prompt("hello"));
    let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
    let plan = Plan {
        ranking,
        policy,
        request,
        health: &health(ranking),
        arrived,
        max_latency,
        purse: None,
    };
    run(plan, script, 7, std::future::pending()).await
}

/// Who was called, when, how it ended, and why.
type Line<'a> = (&'a str, u64, Option<FailureClass>, Option<&'a str>);

fn line(of: &Attempt) -> Line<'_> {
    let model = of.deployment.as_str().split('@').next().unwrap_or_default();
    (model, of.start_ms.round() as u64, of.failure, of.detail.as_deref())
}

fn told(of: &Dispatched) -> Vec<Line<'_>> {
    of.attempts.iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_counts_and_the_loser_is_dropped() {
    let lost = (Some(FailureClass::Cancelled), Some(LOST));
    let check = async |first: Vec<Turn>, wanted: &[(&str, u64, (_, Option<&str>))]| {
        let script = Script::new(vec![first]);
        let dispatched = play(&hedged(), &script, spent).await;
        let wanted: Vec<_> = wanted.iter().map(|it| (it.0, it.1, it.2.0, it.2.1)).collect();
        assert_eq!(told(&dispatched), wanted);
        assert!(matches!(dispatched.end, ChainEnd::Served { .. }));
    };
    let fine = (None, None);
    check(vec![hangs()], &[("m0", 0, lost), ("m1", 1_000, fine)]).await;
    // Slower than predicted, and yet before the other.
    check(after(ms(1_050), answers()), &[("m1", 1_000, lost), ("m0", 0, fine)]).await;
    check(after(ms(900), answers()), &[("m0", 0, fine)]).await;
    // Whoever fails leaves the other to answer; it is not asked again meanwhile.
    let ill = fails(FailureClass::Overloaded);
    let overloaded = (Some(FailureClass::Overloaded), None);
    check(after(ms(1_050), ill), &[("m0", 0, overloaded), ("m1", 1_000, fine)]).await;
}

#[tokio::test(start_paused = true)]
async fn both_may_fail_and_the_walk_goes_on() {
    let ill = |wait| after(wait, fails(FailureClass::Malformed));
    let script = Script::new(vec![ill(ms(1_200)), ill(ms(100))]);
    let dispatched = play(&hedged(), &script, spent).await;
    assert_eq!(script.models(), ["m0", "m1", "m2"]);
    let malformed = Some(FailureClass::Malformed);
    let wanted =
        [("m1", 1_000, malformed, None), ("m0", 0, malformed, None), ("m2", 1_200, None, None)];
    assert_eq!(told(&dispatched), wanted);
}

#[tokio::test(start_paused = true)]
async fn nobody_starts_beside_it_where_that_is_not_wanted_paid_or_possible() {
    let check = async |policy: Policy, health: fn(&Ranking) -> Health| {
        let script = Script::new(vec![after(ms(3_000), answers())]);
        play(&policy, &script, health).await;
        assert_eq!(script.models(), ["m0"]);
    };
    check(Policy::default(), spent).await;
    // Nothing was spent yet, of which a twentieth could be.
    check(hedged(), health).await;
    let mut policy = hedged();
    policy.fallback.attempts_max = 1;
    check(policy, spent).await;
    let mut policy = hedged();
    policy.fallback.candidates_max = 1;
    check(policy, spent).await;
    // Both together would cost too much.
    let mut policy = hedged();
    policy.budget.max_cost_usd = Some(Usd::clamped(0.0015));
    check(policy, spent).await;
    check(hedged(), |ranking| {
        let health = spent(ranking);
        let told = super::health::Told {
            began: health.now(),
            verdict: super::health::Verdict::Opens(FailureClass::Auth, ms(60_000)),
        };
        let others = &ranking.entries[1..];
        others.iter().for_each(|it| health.report(&it.deployment.id, told, health.now()));
        health
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_hedged_until_its_first_token() {
    let text = |wait, text: &str| (wait, Ok(StreamItem::Delta(Delta::Text(text.into()))));
    let end = StreamEnd { finish: FinishReason::Stop, usage: Usage::default() };
    let end = || (Duration::ZERO, Ok(StreamItem::End(end)));
    let check = async |first: u64, wanted: &[&str], said: &str| {
        let script = Script::of_streams(vec![
            // Silent for long after its first token, which is not what hedging is for.
            vec![vec![text(ms(first), "slow"), text(ms(9_000), " indeed"), end()]],
            vec![vec![text(ms(100), "quick"), end()]],
        ]);
        let (ranking, request) = (&ranking(&[FIGURES; 2]), &ChatRequest::from_prompt("hello"));
        let (policy, arrived) = (&hedged(), Instant::now());
        let (health, max_latency) = (&spent(ranking), policy.budget.max_latency);
        let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
        let (events, _pieces) = mpsc::channel(EVENTS_MAX);
        let dispatched = stream(plan, &script, 7, &events).await;
        assert_eq!(script.models(), wanted);
        let ChainEnd::Served { response, .. } = &dispatched.end else { panic!("{dispatched:?}") };
        assert_eq!(response.text.as_ref().map(|it| it.as_str()), Some(said));
    };
    check(500, &["m0"], "slow indeed").await;
    // 2.9 times the predicted median is 1.45 s.
    check(1_600, &["m0", "m1"], "quick").await;
}

/// What `health` counts as under way, every 50 ms for ten seconds, each state once.
async fn watched(health: &Health) -> Vec<Vec<u32>> {
    let mut states = Vec::new();
    for _ in 0..200 {
        tokio::time::sleep(ms(50)).await;
        states.push(health.in_flight().map(|(_, calls)| calls).collect());
    }
    states.dedup();
    states
}

#[tokio::test(start_paused = true)]
async fn calls_count_as_under_way_until_they_end() {
    let (ranking, request) = (&ranking(&[FIGURES; 3]), &ChatRequest::from_prompt("hello"));
    let (policy, health) = (&hedged(), &spent(ranking));
    let plan = || {
        let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
        Plan { ranking, policy, request, health, arrived, max_latency, purse: None }
    };
    // The first hangs, the second begins beside it and answers.
    let script = Script::new(vec![vec![hangs()], after(ms(400), answers())]);
    let never = std::future::pending();
    let (_, states) = tokio::join!(run(plan(), &script, 7, never), watched(health));
    assert_eq!(states, [vec![1], vec![1, 1], vec![]]);
    // One answer in pieces: under way long after its first content.
    let text = |wait, it: &str| (ms(wait), Ok(StreamItem::Delta(Delta::Text(it.into()))));
    let stop = StreamEnd { finish: FinishReason::Stop, usage: Usage::default() };
    let pieces = vec![text(100, "a"), text(2_000, "b"), (ms(0), Ok(StreamItem::End(stop)))];
    let script = Script::of_streams(vec![vec![pieces]]);
    let (events, mut read) = mpsc::channel(EVENTS_MAX);
    let reading = async { while read.recv().await.is_some() {} };
    let streamed = async {
        let told = stream(plan(), &script, 7, &events).await;
        drop(events);
        told.attempts[0].total_ms
    };
    let (total_ms, states, ()) = tokio::join!(streamed, watched(health), reading);
    assert_eq!((total_ms, states), (2_100.0, vec![vec![1], vec![]]));
    // A caller who leaves.
    let script = Script::new(vec![vec![hangs()]]);
    let left = tokio::time::timeout(ms(200), run(plan(), &script, 7, std::future::pending()));
    let (_, states) = tokio::join!(left, watched(health));
    assert_eq!(states, [vec![1], vec![]]);
}
