//! What attempts cost that the provider told nothing of, and the cap over all of them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::fixtures::{
    Figures, Piece, Script, Turn, USD_PER_TOKEN, answers, hangs, health, ranking,
};
use super::{ChainEnd, ChainFailure, Dispatched, EVENTS_MAX, Plan, run, stream};
use crate::domain::{
    Attempt, Billing, ChatRequest, Delta, FailureClass, FinishReason, Probability, StreamEnd,
    Usage, Usd,
};
use crate::providers::{CallFailure, StreamItem};
use crate::ranking::{Policy, Ranking};

/// What is predicted of everyone, in tokens: a token costs the same in and out.
const INPUT: u64 = 10;
const OUTPUT: u64 = 200;

/// Candidates whose providers bill by these rules.
fn billed_by(rules: &[Billing]) -> Ranking {
    let figures = Figures { cost_usd: (INPUT + OUTPUT) as f64 * USD_PER_TOKEN, ..FIGURES };
    let mut ranking = ranking(&vec![figures; rules.len()]);
    for (entry, rule) in ranking.entries.iter_mut().zip(rules) {
        let mut deployment = (*entry.deployment).clone();
        deployment.billing = *rule;
        entry.deployment = deployment.into();
        entry.prediction.output_tokens.mu = (OUTPUT as f64).ln();
    }
    ranking
}

const FIGURES: Figures =
    Figures { latency_s: 1.0, cost_usd: 0.0, window: 8_000, last_resort: false };

/// What the candidates do.
enum Play {
    Whole(Vec<Vec<Turn>>),
    /// The reader leaves after so many events.
    Pieces(Vec<Vec<Vec<Piece>>>, usize),
}

async fn play(ranking: &Ranking, policy: &Policy, script: Play) -> Dispatched {
    let request = &ChatRequest::from_prompt("hello");
    let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
    let health = &health(ranking);
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
    match script {
        Play::Whole(turns) => run(plan, &Script::new(turns), 7, std::future::pending()).await,
        Play::Pieces(streams, reads) => {
            let (events, mut pieces) = mpsc::channel(EVENTS_MAX);
            let reader = tokio::spawn(async move {
                for _ in 0..reads {
                    if pieces.recv().await.is_none() {
                        break;
                    }
                }
            });
            let dispatched = stream(plan, &Script::of_streams(streams), 7, &events).await;
            drop(events);
            reader.await.unwrap();
            dispatched
        }
    }
}

fn text(wait_s: u64, bytes: usize) -> Piece {
    let text = "x".repeat(bytes);
    (Duration::from_secs(wait_s), Ok(StreamItem::Delta(Delta::Text(text.as_str().into()))))
}

fn cut() -> Piece {
    (Duration::ZERO, Err(CallFailure::of(FailureClass::StreamCut)))
}

/// Input, output and whether they are ours; the cost is their price.
fn counted(attempt: &Attempt) -> (u64, u64, bool) {
    let usage = attempt.usage;
    let tokens = usage.input_tokens + usage.output_tokens;
    assert_eq!(attempt.cost_usd, Usd::new(tokens as f64 * USD_PER_TOKEN).unwrap());
    (usage.input_tokens, usage.output_tokens, attempt.usage_estimated)
}

/// The first attempt by each rule, in the order of [`Billing::ALL`].
async fn check(script: impl Fn() -> Play, failure: FailureClass, wanted: [(u64, u64, bool); 4]) {
    for (rule, wanted) in Billing::ALL.into_iter().zip(wanted) {
        let dispatched = play(&billed_by(&[rule]), &Policy::default(), script()).await;
        let first = &dispatched.attempts[0];
        assert_eq!((first.failure, counted(first)), (Some(failure), wanted), "{rule:?}");
    }
}

const NOTHING: (u64, u64, bool) = (0, 0, false);
const WHOLE: (u64, u64, bool) = (INPUT, OUTPUT, true);

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_or_is_left_is_billed_by_the_rule() {
    let seen = (INPUT, 10, true);
    let broken = || Play::Pieces(vec![vec![vec![text(0, 30), text(0, 10), cut()]]], usize::MAX);
    check(broken, FailureClass::StreamCut, [NOTHING, seen, seen, WHOLE]).await;
    let stalled = || Play::Pieces(vec![vec![vec![text(0, 40), text(60, 4)]]], usize::MAX);
    check(stalled, FailureClass::Stalled, [NOTHING, seen, seen, WHOLE]).await;
    // Told that it begins, then a piece; then the reader is gone.
    let left = || Play::Pieces(vec![vec![vec![text(0, 40), text(5, 40)]]], 2);
    check(left, FailureClass::Cancelled, [NOTHING, seen, seen, WHOLE]).await;
    let input = (INPUT, 0, true);
    let late = || Play::Pieces(vec![vec![vec![text(60, 40)]]], usize::MAX);
    check(late, FailureClass::FirstTokenLate, [NOTHING, input, input, WHOLE]).await;
    let at_once = || Play::Pieces(vec![vec![vec![text(2, 40)]]], 0);
    check(at_once, FailureClass::Cancelled, [NOTHING, input, input, WHOLE]).await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_is_not_waited_for_is_billed_whole() {
    let silent = || Play::Whole(vec![vec![hangs()]]);
    check(silent, FailureClass::Deadline, [NOTHING, WHOLE, WHOLE, WHOLE]).await;
    let ranking = billed_by(&[Billing::WhatWasGenerated]);
    let (request, policy) = (ChatRequest::from_prompt("hello"), Policy::default());
    let (health, arrived) = (health(&ranking), Instant::now());
    let max_latency = policy.budget.max_latency;
    let (ranking, policy, request, health) = (&ranking, &policy, &request, &health);
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse: None };
    let (leave, gone) = oneshot::channel::<()>();
    let timer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(leave);
    });
    let gone = async { drop(gone.await) };
    let dispatched = run(plan, &Script::new(vec![vec![hangs()]]), 7, gone).await;
    timer.await.unwrap();
    assert_eq!(dispatched.end, ChainEnd::Failed(ChainFailure::Cancelled));
    assert_eq!(counted(&dispatched.attempts[0]), WHOLE);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_usage_is_counted_by_its_bytes() {
    let end = StreamEnd { finish: FinishReason::Stop, usage: Usage::default() };
    let end = || (Duration::ZERO, Ok(StreamItem::End(end)));
    for rule in Billing::ALL {
        let streams = vec![vec![vec![text(0, 81), end()]]];
        let script = Play::Pieces(streams, usize::MAX);
        let streamed = play(&billed_by(&[rule]), &Policy::default(), script).await;
        assert_eq!(counted(&streamed.attempts[0]), (INPUT, 21, true), "{rule:?}");
        let mut turn = answers();
        turn.result.as_mut().unwrap().response.usage = Usage::default();
        let script = Play::Whole(vec![vec![turn]]);
        let whole = play(&billed_by(&[rule]), &Policy::default(), script).await;
        assert_eq!(counted(&whole.attempts[0]), (INPUT, 1, true), "`fine`");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_that_told_nothing_use_up_the_budget() {
    let mut policy = Policy::default();
    // One answer and a half.
    let budget = 1.5 * (INPUT + OUTPUT) as f64 * USD_PER_TOKEN;
    policy.budget.max_cost_usd = Usd::new(budget).ok();
    let check = async |script: fn() -> Play, rule, wanted: Result<(), ChainFailure>| {
        let dispatched = play(&billed_by(&[rule; 3]), &policy, script()).await;
        assert!(dispatched.cost_usd().get() <= budget, "{dispatched}");
        let end = match dispatched.end {
            ChainEnd::Served { .. } => Ok(()),
            ChainEnd::Broken { .. } => panic!("{dispatched}"),
            ChainEnd::Failed(failure) => Err(failure),
        };
        assert_eq!(end, wanted, "{rule:?}");
    };
    let silent: fn() -> Play = || Play::Whole(vec![vec![hangs()]]);
    check(silent, Billing::Nothing, Ok(())).await;
    check(silent, Billing::WhatWasGenerated, Err(ChainFailure::OverBudget)).await;
    let late: fn() -> Play = || {
        let end = StreamEnd { finish: FinishReason::Stop, usage: Usage::default() };
        let fine = vec![text(0, 40), (Duration::ZERO, Ok(StreamItem::End(end)))];
        Play::Pieces(vec![vec![vec![text(60, 1)]], vec![fine]], usize::MAX)
    };
    check(late, Billing::WhatWasGenerated, Ok(())).await;
    check(late, Billing::WholeAnswer, Err(ChainFailure::OverBudget)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_kept_with_the_confidence_that_was_asked_for() {
    let check = async |confidence: f64, wanted: Result<(), ChainFailure>| {
        let mut ranking = billed_by(&[Billing::WhatWasGenerated; 2]);
        for entry in &mut ranking.entries {
            let cost = &mut entry.prediction.cost_usd;
            (cost.fixed, cost.per_token) = (0.0, USD_PER_TOKEN);
            // The mean is below what is left after the first, one in five is above it.
            (cost.tokens.mu, cost.tokens.sigma) = ((100.0_f64).ln(), 0.5);
        }
        let mut policy = Policy::default();
        let left = cost_at(&ranking, 0.8);
        let first = Usd::new((INPUT + OUTPUT) as f64 * USD_PER_TOKEN).unwrap();
        policy.budget.max_cost_usd = Some(left + first);
        policy.budget.confidence = Probability::clamped(confidence);
        let dispatched = play(&ranking, &policy, Play::Whole(vec![vec![hangs()]])).await;
        let end = match dispatched.end {
            ChainEnd::Failed(failure) => Err(failure),
            ChainEnd::Served { .. } | ChainEnd::Broken { .. } => Ok(()),
        };
        assert_eq!(end, wanted, "{confidence}");
    };
    check(0.0, Ok(())).await;
    check(0.75, Ok(())).await;
    check(0.85, Err(ChainFailure::OverBudget)).await;
}

/// What the second candidate costs at most with this chance.
fn cost_at(ranking: &Ranking, chance: f64) -> Usd {
    let cost = &ranking.entries[1].prediction.cost_usd;
    assert!(cost.mean() < cost.quantile(chance));
    Usd::new(cost.quantile(chance)).unwrap()
}
