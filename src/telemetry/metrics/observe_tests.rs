//! What is counted of chains that tests of whole servers rarely see: hedges, answers that broke off,
//! whoever was never called.

use std::sync::Arc;

use super::states::{Standing, States};
use super::text::Exposition;
use super::{Delivery, Metrics, Seen};
use crate::catalog::{Deployment, Fleet, Model, Source, Speed};
use crate::dispatch::health::Phase;
use crate::dispatch::{ChainEnd, ChainFailure, Dispatched};
use crate::domain::{
    AbilitySet, Attempt, ChatResponse, FailureClass, FinishReason, ModelName, Price, Probability,
    ProviderName, TokenPrice, Usage, Usd,
};
use crate::prediction::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};
use crate::ranking::{Ranked, Ranking, Recent};

/// `a@one` and `b@one`.
fn fleet() -> Fleet {
    let one = ProviderName::new("one").unwrap();
    let price = TokenPrice::per_million(1.0).unwrap();
    let deployments = ["a", "b"].map(|name| {
        let model = Model {
            name: ModelName::new(name).unwrap(),
            vendor: "nobody".into(),
            context_window: 8_192,
            max_output_tokens: 1_024,
            abilities: AbilitySet::EMPTY,
            price: Price::of(price, price),
            released: "2025-01".into(),
            source: Source { page: "none".into(), as_of: "2025-01".into() },
            served_by: Default::default(),
            learned_as: None,
            quality_prior: None,
            speed: Speed::default(),
        };
        Deployment::new(&Arc::new(model), &one, name.to_owned())
    });
    Fleet::new(deployments.to_vec()).unwrap()
}

/// `a` before `b`; each is expected to cost 0.001 USD, to write 100 tokens and to take a second.
fn ranking(fleet: &Fleet) -> Ranking {
    let tokens = LogNormal { mu: 100.0_f64.ln(), sigma: 0.0, cap: 1_000.0 };
    let ranked = |deployment: &Arc<Deployment>| Ranked {
        deployment: Arc::clone(deployment),
        prediction: Prediction {
            deployment: deployment.id.clone(),
            quality: QualityEstimate { mean: Probability::clamped(0.5), spread: 0.1 },
            input_tokens: 10.0,
            output_tokens: tokens,
            cost_usd: Forecast { fixed: 0.001, per_token: 0.0, tokens },
            ttft_ms: 200.0,
            cached: CachedInput::NONE,
            ttft_sigma: 0.0,
            latency_s: Forecast { fixed: 1.0, per_token: 0.0, tokens },
        },
        utility: 0.4,
        propensity: Probability::ONE,
        in_flight: 0,
        recent: Recent::default(),
        shut: None,
        stop: None,
    };
    let entries = fleet.deployments().iter().map(ranked).collect();
    Ranking { entries, excluded: vec![], ties: 1.into(), taken: None }
}

fn attempt(of: &Deployment, start_ms: f64, failure: Option<FailureClass>) -> Attempt {
    Attempt {
        deployment: of.id.clone(),
        failure,
        status: None,
        start_ms,
        total_ms: 2_000.0,
        ttft_ms: None,
        usage: Usage { output_tokens: 50, ..Usage::default() },
        usage_estimated: failure.is_some(),
        cost_usd: Usd::clamped(0.001),
        detail: None,
    }
}

fn lost(of: Attempt) -> Attempt {
    let failure = Some(FailureClass::Cancelled);
    Attempt { failure, detail: Some(Attempt::LOST.to_owned()), ..of }
}

fn answer() -> ChatResponse {
    ChatResponse {
        text: Some("hello".into()),
        reasoning: vec![],
        tool_calls: vec![],
        finish: FinishReason::Stop,
        usage: Usage::default(),
        logprobs: None,
    }
}

/// The text after one request.
fn after(make: impl Fn([&Arc<Deployment>; 2]) -> (ChainEnd, Vec<Attempt>)) -> String {
    let fleet = fleet();
    let (metrics, ranking) = (Metrics::new(&fleet), ranking(&fleet));
    let (end, attempts) = make([&fleet.deployments()[0], &fleet.deployments()[1]]);
    let dispatched = Dispatched { end, attempts, dropped: vec![], seams: vec![], retry_in: None };
    metrics.ended(&Seen {
        ranking: Some(&ranking),
        dispatched: Some(&dispatched),
        end: "an_end",
        delivery: Delivery::Whole,
        total_ms: 10.0,
        decide_us: 50.0,
        encoder_exit: 1,
    });
    text(&metrics)
}

fn text(metrics: &Metrics) -> String {
    let (deployment, model) = ("a@one".to_owned(), "a".to_owned());
    let phase = Phase::Due;
    let standing = Standing { deployment, model, phase, available: true };
    let states = States {
        fleet: vec![standing],
        encoder_queue: 3,
        log_queue: 4,
        log_queue_max: 8,
        retries_left: 10,
        ready: false,
    };
    metrics.text(&states, Exposition::Text)
}

#[test]
fn why_another_answered_is_told() {
    let check = |first: Option<Attempt>, wanted: &str| {
        let told = after(|[_, b]| {
            let end = ChainEnd::Served { deployment: Arc::clone(b), response: answer() };
            (end, first.clone().into_iter().chain([attempt(b, 5.0, None)]).collect())
        });
        let line = format!("pointsman_fallbacks_total{{first=\"a@one\",why=\"{wanted}\"}} 1\n");
        assert!(told.contains(&line), "{wanted}: {told}");
    };
    let a = &fleet().deployments()[0].clone();
    check(None, "not_called");
    check(Some(attempt(a, 0.0, Some(FailureClass::Overloaded))), "overloaded");
    check(Some(lost(attempt(a, 0.0, None))), "hedged");
}

#[test]
fn what_is_no_fallback_is_not_counted_as_one() {
    let check = |make: fn([&Arc<Deployment>; 2]) -> ChainEnd| {
        let told = after(|both| (make(both), vec![attempt(both[0], 0.0, None)]));
        assert!(!told.contains("pointsman_fallbacks_total{"), "{told}");
    };
    check(|[a, _]| ChainEnd::Served { deployment: Arc::clone(a), response: answer() });
    check(|[_, b]| {
        let (deployment, class) = (Arc::clone(b), FailureClass::Stalled);
        ChainEnd::Broken { deployment, class, partial: answer() }
    });
    check(|_| ChainEnd::Failed(ChainFailure::Deadline));
}

#[test]
fn a_hedge_is_won_by_the_later_call_or_lost() {
    let check = |loser: usize, winner: usize, wanted: &str| {
        let told = after(|both| {
            let start = |at: usize| 100.0 * at as f64;
            let lost = lost(attempt(both[loser], start(loser), None));
            let won = attempt(both[winner], start(winner), None);
            let end = ChainEnd::Served { deployment: Arc::clone(both[winner]), response: answer() };
            (end, vec![won, lost])
        });
        let line = format!("pointsman_hedges_total{{result=\"{wanted}\"}} 1\n");
        assert!(told.contains(&line), "{wanted}: {told}");
    };
    check(0, 1, "won");
    check(1, 0, "lost");
}

#[test]
fn what_was_real_stands_over_what_was_predicted() {
    let told = after(|[a, _]| {
        let end = ChainEnd::Served { deployment: Arc::clone(a), response: answer() };
        (end, vec![attempt(a, 0.0, None)])
    });
    for (quantity, ratio) in [("cost", "1.0"), ("output_tokens", "0.5"), ("latency", "2.0")] {
        let label = format!("{{deployment=\"a@one\",quantity=\"{quantity}\"}}");
        let sum = told
            .lines()
            .find_map(|it| it.strip_prefix(&format!("pointsman_prediction_ratio_sum{label} ")));
        let near = |it: &str| (it.parse::<f64>().unwrap() - ratio.parse::<f64>().unwrap()).abs();
        assert!(sum.is_some_and(|it| near(it) < 1e-9), "{quantity}: {sum:?}");
    }
}

#[test]
fn what_lives_is_in_flight_and_states_are_as_they_stand() {
    let metrics = Metrics::new(&fleet());
    let under_way = [metrics.begun(Delivery::Stream), metrics.begun(Delivery::Stream)];
    metrics.not_decided();
    metrics.appended(&Err::<(), _>(()), std::time::Duration::ZERO);
    let told = text(&metrics);
    for line in [
        "pointsman_requests_in_flight{delivery=\"stream\"} 2",
        "pointsman_requests_total{end=\"internal_error\",model=\"none\"} 1",
        "pointsman_outcome_append_failures_total 1",
        "pointsman_breaker_state{deployment=\"a@one\",state=\"half_open\"} 1",
        "pointsman_breaker_state{deployment=\"a@one\",state=\"closed\"} 0",
        "pointsman_encoder_queue_length 3",
        "pointsman_outcome_queue_length 4",
        "pointsman_outcome_queue_limit 8",
        "pointsman_retry_budget_left 10",
        "pointsman_ready 0",
    ] {
        assert!(told.lines().any(|it| it == line), "{line}: {told}");
    }
    drop(under_way);
    assert!(text(&metrics).contains("pointsman_requests_in_flight{delivery=\"stream\"} 0\n"));
}
