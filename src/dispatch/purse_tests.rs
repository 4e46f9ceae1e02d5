//! What a caller's purse pays: checked before every attempt, settled after each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fixtures::{Figures, Script, answers, fails, health, ranking};
use super::{ChainEnd, ChainFailure, Dispatched, Plan, run};
use crate::access::{Purse, Window};
use crate::domain::{ChatRequest, FailureClass, Price, TokenPrice, Usd};
use crate::ranking::{Policy, Ranking};

/// The most that a call costs here: 1000 tokens out; `hello` and its turn in.
const WORST_USD: f64 = 0.001_021;
/// What an answer and what a failure cost.
const ANSWER_USD: f64 = 15e-6;
const FAILURE_USD: f64 = 10e-6;

fn usd(amount: f64) -> Usd {
    Usd::new(amount).unwrap()
}

/// Two candidates, the first of which costs so many times the second.
fn two(times: f64) -> Ranking {
    let mut ranking = ranking(&[Figures::default(); 2]);
    let price = TokenPrice::per_million(times).unwrap();
    Arc::make_mut(&mut ranking.entries[0].deployment).price = Price::of(price, price);
    ranking
}

async fn play(
    ranking: &Ranking,
    purse: &Purse,
    script: &Script,
    gone: impl Future<Output = ()>,
) -> Dispatched {
    let (policy, request) = (&Policy::default(), &ChatRequest::from_prompt("hello"));
    let (arrived, max_latency, health) =
        (Instant::now(), policy.budget.max_latency, &health(ranking));
    let purse = Some(purse);
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse };
    run(plan, script, 7, gone).await
}

fn limit(of: &Dispatched) -> Option<(Window, bool)> {
    match of.end {
        ChainEnd::Failed(ChainFailure::SpendLimit(it)) => Some((it.window, it.held)),
        ChainEnd::Failed(_) | ChainEnd::Served { .. } | ChainEnd::Broken { .. } => None,
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_too_dear_is_passed_over_and_the_real_cost_is_paid() {
    let check = async |per_day: f64, called: &[&str], spent: f64| {
        let (ranking, purse) = (two(10.0), Purse::of(usd(per_day)));
        let script = Script::new(vec![vec![answers()], vec![answers()]]);
        let dispatched = play(&ranking, &purse, &script, std::future::pending()).await;
        assert_eq!(script.models(), called, "{per_day}");
        assert_eq!(purse.standing(), (usd(spent), Usd::ZERO), "{per_day}");
        assert_eq!(limit(&dispatched).is_some(), called.is_empty());
    };
    check(10.0 * WORST_USD, &["m0"], 10.0 * ANSWER_USD).await;
    check(10.0 * WORST_USD - 1e-12, &["m1"], ANSWER_USD).await;
    check(WORST_USD, &["m1"], ANSWER_USD).await;
    check(WORST_USD - 1e-12, &[], 0.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_paid_out_of_what_the_failure_left() {
    let check = async |per_day: f64, called: &[&str], spent: f64| {
        let (ranking, purse) = (two(1.0), Purse::of(usd(per_day)));
        let script = Script::new(vec![vec![fails(FailureClass::Auth)], vec![answers()]]);
        let dispatched = play(&ranking, &purse, &script, std::future::pending()).await;
        assert_eq!(script.models(), called, "{per_day}");
        assert_eq!(purse.standing(), (usd(spent), Usd::ZERO), "{per_day}");
        assert_eq!(dispatched.cost_usd(), usd(spent));
        let short = called.len() == 1;
        assert_eq!(limit(&dispatched), short.then_some((Window::Day, false)));
    };
    check(WORST_USD + FAILURE_USD, &["m0", "m1"], FAILURE_USD + ANSWER_USD).await;
    check(WORST_USD + FAILURE_USD - 1e-12, &["m0"], FAILURE_USD).await;
}

#[tokio::test(start_paused = true)]
async fn who_leaves_pays_what_was_begun_and_holds_nothing_back() {
    let (ranking, purse) = (two(1.0), Purse::of(usd(1.0)));
    let script = Script::new(vec![vec![answers()], vec![answers()]]);
    let gone = tokio::time::sleep(Duration::from_millis(50));
    let dispatched = play(&ranking, &purse, &script, gone).await;
    assert_eq!(dispatched.attempts.len(), 1);
    assert_eq!(purse.standing(), (dispatched.cost_usd(), Usd::ZERO));
}

#[tokio::test(start_paused = true)]
async fn money_held_by_others_is_told_from_money_that_is_gone() {
    let (ranking, purse) = (two(1.0), Purse::of(usd(WORST_USD)));
    let others = purse.reserve(usd(WORST_USD)).unwrap();
    let script = Script::new(vec![vec![answers()], vec![answers()]]);
    let dispatched = play(&ranking, &purse, &script, std::future::pending()).await;
    assert_eq!(limit(&dispatched), Some((Window::Day, true)));
    drop(others);
    assert_eq!(purse.standing(), (Usd::ZERO, Usd::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_paid_too() {
    let (ranking, purse) = (two(1.0), Purse::of(usd(WORST_USD - 1e-12)));
    let (policy, request) = (&Policy::default(), &ChatRequest::from_prompt("hello"));
    let (arrived, max_latency) = (Instant::now(), policy.budget.max_latency);
    let (ranking, health, purse) = (&ranking, &health(&ranking), Some(&purse));
    let plan = Plan { ranking, policy, request, health, arrived, max_latency, purse };
    let (events, _pieces) = mpsc::channel(super::EVENTS_MAX);
    let script = Script::new(vec![vec![answers()], vec![answers()]]);
    let dispatched = super::stream(plan, &script, 7, &events).await;
    assert_eq!((limit(&dispatched), dispatched.attempts.len()), (Some((Window::Day, false)), 0));
}
