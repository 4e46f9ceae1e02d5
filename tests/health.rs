//! What a caller sees while a provider is ill: it is left alone, its state is told, and it comes
//! back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use std::time::{Duration, Instant};

use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::{
    AvailabilityState, DeploymentAvailability, FailureClass, ListAvailabilityRequest,
    ListModelsRequest, RankRequest, RouteRequest, Sampling,
};
use pointsman::dispatch::BreakerSettings;
use pointsman::outcome::{OutcomeRecord, differences};
use pointsman::simulator::Fault;
use support::{House, ROWS, ask, deployment, http_client, instant_models, prompt};
use tonic::Code;
use tonic_types::StatusExt;

/// The same laws in less time.
const HASTY: BreakerSettings = BreakerSettings {
    open_min: Duration::from_millis(300),
    open_max: Duration::from_millis(800),
    limited: Duration::from_millis(200),
    ramp: Duration::from_millis(200),
};
/// Open for longer than any test takes.
const LASTING: BreakerSettings = BreakerSettings {
    open_min: Duration::from_secs(30),
    open_max: Duration::from_secs(30),
    limited: Duration::from_secs(30),
    ramp: Duration::from_millis(200),
};

async fn availability(house: &House) -> Vec<DeploymentAvailability> {
    let mut admin = PointsmanAdminClient::new(support::channel(house.admin).await);
    let told = admin.list_availability(ListAvailabilityRequest {}).await.unwrap();
    told.into_inner().deployments
}

async fn of(house: &House, name: &str) -> DeploymentAvailability {
    let all = availability(house).await;
    all.into_iter().find(|it| it.deployment == deployment(name)).unwrap()
}

async fn ready(house: &House) -> u16 {
    let url = format!("http://{}/readyz", house.address);
    http_client().get(url).send().await.unwrap().status().as_u16()
}

fn calls(house: &House, name: &str) -> usize {
    house.simulator.calls().iter().filter(|it| it.model_id == name).count()
}

/// Asks until the breaker of the best model opens.
async fn until_open(house: &mut House) {
    for number in 0..10 {
        let answer = house.client.route(ask(&prompt(number))).await.unwrap().into_inner();
        assert_eq!(answer.served_model, "middle");
        if of(house, "best").await.state() == AvailabilityState::Open {
            return;
        }
    }
    panic!("it never opened");
}

/// The records of the outcome file, newest last.
fn records(house: &House) -> Vec<OutcomeRecord> {
    let file = support::log_file(&house.store);
    let mut all = file.prepare("SELECT record FROM outcome ORDER BY at_unix_ms").unwrap();
    let texts = all.query_map([], |row| row.get::<_, String>(0)).unwrap();
    texts.map(|it| serde_json::from_str(&it.unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_primary_is_left_alone_while_it_is_open() {
    let mut house = House::hasty(instant_models(), LASTING).await;
    house.simulator.set_down("best").unwrap();
    until_open(&mut house).await;
    let before = calls(&house, "best");
    for number in 10..30 {
        let answer = house.client.route(ask(&prompt(number))).await.unwrap().into_inner();
        assert_eq!((answer.served_model.as_str(), answer.attempts.len()), ("middle", 1));
        let decision = answer.decision.unwrap();
        assert_eq!(decision.ranking[0].model, "middle");
        let last = decision.ranking.last().unwrap();
        assert_eq!((decision.ranking.len(), last.model.as_str()), (ROWS.len(), "best"));
        assert!(last.shut.as_ref().unwrap().contains("after overloaded"), "{last:?}");
    }
    assert_eq!(calls(&house, "best"), before);
    let best = of(&house, "best").await;
    assert_eq!((best.state(), best.failure()), (AvailabilityState::Open, FailureClass::Overloaded));
    assert!((1..=30_000).contains(&best.until_ms.unwrap()), "{best:?}");
    assert_eq!(of(&house, "middle").await.state(), AvailabilityState::Closed);
    assert_eq!(ready(&house).await, 200);
    let models = house.client.list_models(ListModelsRequest {}).await.unwrap().into_inner().models;
    assert!(models[0].deployments[0].unavailable.as_ref().unwrap().contains("shut"));
    // Every decision can be made again from its record, whoever was shut then.
    let records = records(&house);
    for record in records {
        assert_eq!(differences(&record), []);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovered_primary_comes_back() {
    let mut house = House::hasty(instant_models(), HASTY).await;
    house.simulator.set_down("best").unwrap();
    until_open(&mut house).await;
    house.simulator.set_up("best").unwrap();
    let began = Instant::now();
    let mut in_row = 0;
    for number in 0..1_000 {
        let answer = house.client.route(ask(&prompt(number))).await.unwrap().into_inner();
        in_row = if answer.served_model == "best" { in_row + 1 } else { 0 };
        if in_row == 20 && of(&house, "best").await.state() == AvailabilityState::Closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(in_row >= 20);
    // Some tenths of a second by the breaker's times; the rest is for slow machines.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn measured_speeds_are_told() {
    let mut house = House::start(instant_models()).await;
    assert_eq!(of(&house, "best").await.speed, None);
    for number in 0..5 {
        house.client.route(ask(&prompt(number))).await.unwrap();
    }
    let whole = of(&house, "best").await.speed.unwrap();
    assert_eq!((whole.samples, whole.ttft_ms_p50, whole.token_ms_p50), (5, None, None));
    assert!(whole.latency_ratio_p50.unwrap() <= whole.latency_ratio_p95.unwrap());
    for number in 5..10 {
        let mut stream =
            house.client.route_stream(ask(&prompt(number))).await.unwrap().into_inner();
        while stream.message().await.unwrap().is_some() {}
    }
    let both = of(&house, "best").await.speed.unwrap();
    assert_eq!(both.samples, 10);
    assert!(both.ttft_ms_p50.unwrap() > 0.0 && both.token_ms_p50.unwrap() > 0.0, "{both:?}");
    assert!(both.ttft_ms_p50.unwrap() <= both.ttft_ms_p95.unwrap(), "{both:?}");
    assert_eq!(of(&house, "middle").await.speed, None);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranking_touches_no_health() {
    let mut house = House::hasty(instant_models(), HASTY).await;
    house.simulator.set_down("best").unwrap();
    until_open(&mut house).await;
    // Past the time when the next call would be the probe.
    tokio::time::sleep(HASTY.open_min).await;
    let before = calls(&house, "best");
    for number in 0..20 {
        let request = RankRequest { request: Some(ask(&prompt(number))) };
        let ranked = house.client.rank(request).await.unwrap().into_inner();
        assert_eq!(ranked.decision.unwrap().ranking[0].model, "best", "its probe is due");
        let best = of(&house, "best").await;
        assert_eq!((best.state(), best.until_ms), (AvailabilityState::HalfOpen, None));
    }
    assert_eq!(calls(&house, "best"), before);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_refused_once_it_is_not_asked_again() {
    let mut house = House::start(instant_models()).await;
    house.simulator.push_script("best", vec![Fault::Unsupported; 2]).unwrap();
    let warm = |number| {
        let sampling = Some(Sampling { temperature: Some(0.5), ..Sampling::default() });
        RouteRequest { sampling, ..ask(&prompt(number)) }
    };
    let first = house.client.route(warm(1)).await.unwrap().into_inner();
    let unsupported = FailureClass::Unsupported;
    assert_eq!((first.attempts.len(), first.attempts[0].failure()), (2, unsupported));
    let again = house.client.route(warm(2)).await.unwrap().into_inner();
    assert_eq!((again.served_model.as_str(), again.attempts.len()), ("middle", 1));
    let decision = again.decision.unwrap();
    let last = decision.ranking.last().unwrap();
    assert_eq!(last.deployment, deployment("best"));
    assert!(last.shut.as_ref().unwrap().contains("unsupported"), "{last:?}");
    // Without the parameter it is asked; it has one refusal left, of which nothing follows.
    for (number, wanted) in [(3, "middle"), (4, "best")] {
        let plain = house.client.route(ask(&prompt(number))).await.unwrap().into_inner();
        assert_eq!(plain.served_model, wanted);
    }
    // With everyone refusing, the best is asked all the same.
    for row in ["middle", "small"] {
        house.simulator.push_script(row, vec![Fault::Unsupported]).unwrap();
    }
    for (number, calls) in [(5, 3), (6, 1)] {
        let last = house.client.route(warm(number)).await.unwrap().into_inner();
        assert_eq!((last.served_model.as_str(), last.attempts.len()), ("best", calls));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_shut_it_is_not_ready_and_says_when_to_come_back() {
    let mut house = House::hasty(instant_models(), LASTING).await;
    for row in ROWS {
        house.simulator.set_down(row.name).unwrap();
    }
    for number in 0..10 {
        house.client.route(ask(&prompt(number))).await.unwrap_err();
        if ready(&house).await == 503 {
            break;
        }
    }
    assert_eq!(ready(&house).await, 503);
    let before = house.simulator.calls().len();
    let mut wire = ask(&prompt(11));
    wire.budget.get_or_insert_default().max_latency_ms = Some(5_000.0);
    let began = Instant::now();
    let status = house.client.route(wire).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(3), "it does not wait in vain");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let failure = support::failure_of(&status);
    assert_eq!((failure.reason.as_str(), failure.attempts.len()), ("ALL_SHUT", 0));
    assert_eq!(failure.decision.unwrap().ranking.len(), ROWS.len());
    let pause = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((20..=30).contains(&pause.as_secs()), "{pause:?}");
    assert_eq!(house.simulator.calls().len(), before);

    let body = r#"{"model": "auto", "messages": [{"role": "user", "content": "hello"}],
                   "pointsman": {"budget": {"max_latency_ms": 5000}}}"#;
    let url = format!("http://{}/v1/chat/completions", house.address);
    let post = http_client().post(url).header("content-type", "application/json").body(body);
    let response = post.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 503);
    let after: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((20..=30).contains(&after), "{after}");
    assert!(response.text().await.unwrap().contains("all_shut"));
    let last = records(&house).pop().unwrap();
    assert_eq!((last.end.as_str(), last.ranked.len()), ("all_shut", ROWS.len()));
    assert_eq!(differences(&last), []);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_shut_for_a_moment_the_caller_waits_and_is_served() {
    let mut house = House::hasty(instant_models(), HASTY).await;
    for row in ROWS {
        house.simulator.set_down(row.name).unwrap();
    }
    for number in 0..10 {
        house.client.route(ask(&prompt(number))).await.unwrap_err();
        if ready(&house).await == 503 {
            break;
        }
    }
    for row in ROWS {
        house.simulator.set_up(row.name).unwrap();
    }
    house.client.route(ask(&prompt(11))).await.unwrap();
    assert_eq!(ready(&house).await, 200);
    house.stop().await;
}
