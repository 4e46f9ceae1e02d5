//! What a caller sees when providers fail: an answer from the next one, or one error with every
//! attempt in it.
#![allow(clippy::unwrap_used, reason = "a test may stop on the first surprise")]

mod support;

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use pointsman::api::proto::{FailureClass, RouteFailure, RouteResponse};
use pointsman::dispatch::BreakerSettings;
use pointsman::simulator::{Fault, FaultRates, Simulator};
use prost::Message;
use support::{House, ROWS, ask, deployment, instant_models, prompt};
use tonic::{Code, Status};
use tonic_types::pb;

/// Requests under way at the same time.
const AT_ONCE: usize = 64;
const ROUTED: usize = 1_000;
const FAILED: usize = 1_000;

type Answer = Result<RouteResponse, Status>;

/// Routes so many prompts, some at a time.
async fn route_many(house: &House, count: usize) -> Vec<Answer> {
    let one = |number: usize| {
        let mut client = house.client.clone();
        async move { client.route(ask(&prompt(number))).await.map(tonic::Response::into_inner) }
    };
    stream::iter(0..count).map(one).buffer_unordered(AT_ONCE).collect().await
}

/// What the status says of the chain, and which kinds of details it holds.
fn failure_of(status: &Status) -> (RouteFailure, Vec<String>) {
    let details = pb::Status::decode(status.details()).unwrap().details;
    let kinds = details.iter().map(|it| it.type_url.clone()).collect();
    let found = details.iter().find(|it| it.type_url.ends_with("/pointsman.v1.RouteFailure"));
    (RouteFailure::decode(&found.unwrap().value[..]).unwrap(), kinds)
}

fn all_fail(simulator: &Simulator, fault: Fault) {
    for row in ROWS {
        simulator.set_faults(row.name, FaultRates::always(fault)).unwrap();
    }
}

/// Fails a test that hangs, instead of hanging with it.
async fn bounded<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(support::PATIENCE * 2, work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_first_provider_down_every_request_is_answered() {
    let house = House::start(instant_models()).await;
    house.simulator.set_down("best").unwrap();
    let answers = bounded(route_many(&house, ROUTED)).await;
    let (mut attempts, mut fallen) = (0, 0);
    for answer in &answers {
        let answer = answer.as_ref().unwrap();
        attempts += answer.attempts.len();
        assert_eq!(answer.served_model, "middle");
        let (last, failed) = answer.attempts.split_last().unwrap();
        assert_eq!((last.deployment.as_str(), last.failure), ("middle@simulated", 0));
        fallen += usize::from(!failed.is_empty());
        for attempt in failed {
            assert_eq!(attempt.deployment, deployment("best"));
            assert_eq!(attempt.failure(), FailureClass::Overloaded);
            assert_eq!(attempt.status, Some(503));
        }
        assert!(answer.outcome_recorded);
    }
    assert_eq!(answers.len(), ROUTED);
    // The first ones and the probes; all others know better.
    assert!((1..ROUTED / 2).contains(&fallen), "{fallen} fell back");
    assert_eq!(attempts, house.simulator.calls().len(), "every call is named by one answer");
    assert_eq!(house.stored("outcome"), ROUTED as u64);
    let told: f64 = answers.iter().flatten().map(|it| it.cost_usd).sum();
    assert!((told - house.spent()).abs() < 1e-8, "told {told}, spent {}", house.spent());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_down_each_gets_one_error_that_lists_every_attempt() {
    // So short that whoever finds all shut waits for a moment only.
    let moment = Duration::from_millis(1);
    let breakers =
        BreakerSettings { open_min: moment, open_max: moment, limited: moment, ramp: moment };
    let house = House::hasty(instant_models(), breakers).await;
    for row in ROWS {
        house.simulator.set_down(row.name).unwrap();
    }
    let answers = bounded(route_many(&house, FAILED)).await;
    assert_eq!(answers.len(), FAILED);
    let (mut attempts, mut exhausted) = (0, 0);
    for answer in answers {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        let (failure, kinds) = failure_of(&status);
        let called = !failure.attempts.is_empty();
        assert_eq!(failure.reason, if called { "EXHAUSTED" } else { "ALL_SHUT" });
        exhausted += usize::from(called);
        assert!(kinds.iter().any(|it| it.ends_with("google.rpc.ErrorInfo")), "{kinds:?}");
        attempts += failure.attempts.len();
        for attempt in &failure.attempts {
            assert!(status.message().contains(&attempt.deployment), "{status}");
        }
        assert!(failure.attempts.iter().all(|it| it.failure() == FailureClass::Overloaded));
        assert!(failure.outcome_recorded);
    }
    assert!(exhausted > 0);
    assert_eq!(attempts, house.simulator.calls().len(), "every call is named by one error");
    assert_eq!(house.stored("outcome"), FAILED as u64);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_bounds_the_whole_chain() {
    let mut house = House::start(instant_models()).await;
    all_fail(&house.simulator, Fault::Hang);
    let mut wire = ask(&prompt(1));
    wire.sampling.get_or_insert_default().max_output_tokens = Some(64);
    wire.budget.get_or_insert_default().max_latency_ms = Some(1_500.0);
    let start = Instant::now();
    let status = bounded(house.client.route(wire)).await.unwrap_err();
    let took = start.elapsed();
    let late = Duration::from_millis(3_000);
    assert!(took < late, "{took:?}");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    let (failure, _) = failure_of(&status);
    assert!(!failure.attempts.is_empty());
    assert_eq!(failure.attempts.len(), house.simulator.calls().len());
    for attempt in &failure.attempts {
        assert!(attempt.start_ms + attempt.total_ms < 2_500.0);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_grpc_deadline_bounds_it_too() {
    let mut house = House::start(instant_models()).await;
    all_fail(&house.simulator, Fault::Hang);
    let mut request = tonic::Request::new(ask(&prompt(2)));
    request.set_timeout(Duration::from_millis(1_500));
    let start = Instant::now();
    let status = bounded(house.client.route(request)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_millis(3_000), "{:?}", start.elapsed());
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    let (failure, _) = failure_of(&status);
    assert!(!failure.attempts.is_empty(), "the answer comes before the caller gives up");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_provider_calls_invalid_is_not_tried_elsewhere() {
    let mut house = House::start(instant_models()).await;
    all_fail(&house.simulator, Fault::Status { code: 400, retry_after: None });
    let status = bounded(house.client.route(ask(&prompt(3)))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let (failure, _) = failure_of(&status);
    let classes: Vec<_> = failure.attempts.iter().map(|it| it.failure()).collect();
    assert_eq!(classes, [FailureClass::InvalidRequest]);
    assert_eq!(house.simulator.calls().len(), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_failure_leads_to_the_next_model() {
    let check = [
        (Fault::Status { code: 429, retry_after: None }, FailureClass::RateLimited),
        (Fault::Status { code: 500, retry_after: None }, FailureClass::Overloaded),
        (Fault::Reset, FailureClass::Connection),
        (Fault::Empty, FailureClass::EmptyAnswer),
        (Fault::Malformed, FailureClass::Malformed),
        (Fault::ResetInBody, FailureClass::StreamCut),
        (Fault::WrongModel, FailureClass::ModelMissing),
        (Fault::Auth, FailureClass::Auth),
    ];
    for (number, (fault, class)) in check.into_iter().enumerate() {
        // Some of these shut the deployment for minutes: a new server for each.
        let mut house = House::start(instant_models()).await;
        house.simulator.set_faults("best", FaultRates::always(fault)).unwrap();
        let answer = bounded(house.client.route(ask(&prompt(number)))).await.unwrap().into_inner();
        assert_eq!(answer.served_model, "middle", "{fault:?}");
        assert_eq!(answer.attempts[0].failure(), class, "{fault:?}");
        house.stop().await;
    }
}
