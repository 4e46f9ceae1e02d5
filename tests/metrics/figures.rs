//! The figures after known traffic: exactly what callers were told and what providers counted.

use std::net::SocketAddr;
use std::path::Path;

use pointsman::api::proto::{
    self, Attempt, FailureClass, FeedbackKind, FeedbackRequest, ForcedFault, Sampling,
};
use pointsman::simulator::Simulator;
use serde_json::json;

use crate::scrape::Scrape;
use crate::support::{self, House, ROWS, ask, config_text, deployment, http_client, prompt};

/// Requests that are answered at once.
const WELL: usize = 5;
/// Requests whose first call fails.
const FALLEN: usize = 3;

/// A server that may be made to fail.
pub(crate) async fn house() -> House {
    let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        config_text(&simulator.base_url(), listen, store) + "[testing]\nallow_faults = true\n"
    };
    House::with(support::instant_models(), config).await
}

/// Traffic of every kind; gives every attempt that callers were told of.
pub(crate) async fn traffic(house: &House) -> Vec<Attempt> {
    let mut client = house.client.clone();
    let mut told = Vec::new();
    for number in 0..WELL {
        told.extend(client.route(ask(&prompt(number))).await.unwrap().into_inner().attempts);
    }
    for number in 0..FALLEN {
        let wire = failing(number, "best", "malformed");
        let answer = client.route(wire).await.unwrap().into_inner();
        assert_eq!(answer.served_model, "middle");
        told.extend(answer.attempts);
    }
    let failed = client.route(failing(90, "*", "status:400")).await.unwrap_err();
    told.extend(support::failure_of(&failed).attempts);
    let wrong = Sampling { temperature: Some(-1.0), ..Default::default() };
    let wrong = proto::RouteRequest { sampling: Some(wrong), ..ask("hello") };
    client.route(wrong).await.unwrap_err();
    told.extend(streamed(house).await);
    told
}

fn failing(number: usize, target: &str, fault: &str) -> proto::RouteRequest {
    let (target, fault) = (target.to_owned(), fault.to_owned());
    let faults = vec![ForcedFault { target, fault, ..Default::default() }];
    proto::RouteRequest { faults, ..ask(&prompt(number)) }
}

/// A stream over HTTP, of the model that still has every trust.
async fn streamed(house: &House) -> Vec<Attempt> {
    let messages = json!([{"role": "user", "content": prompt(7)}]);
    let body = json!({"model": "small", "messages": messages, "stream": true});
    let url = format!("http://{}/v1/chat/completions", house.address);
    let text = http_client().post(url).json(&body).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("data: [DONE]"), "{text}");
    vec![Attempt { deployment: deployment("small"), ..Default::default() }]
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_what_callers_were_told_and_providers_counted() {
    let house = house().await;
    let told = traffic(&house).await;
    let seen = Scrape::of(&house).await;
    requests(&seen);
    attempts(&seen, &told);
    providers(&seen, &house);
    let of = |name: &str, labels: &[&str]| seen.sum(name, labels);
    let malformed = r#"why="malformed""#;
    let first = r#"first="best@simulated""#;
    assert_eq!(of("pointsman_fallbacks_total", &[malformed, first]), FALLEN as f64);
    assert_eq!(of("pointsman_fallbacks_total", &[]), FALLEN as f64);
    let small = r#"deployment="small@simulated""#;
    assert_eq!(of("pointsman_time_to_first_token_seconds_count", &[small]), 1.0);
    assert_eq!(of("pointsman_time_to_first_token_seconds_count", &[]), 1.0);
    let best = r#"deployment="best@simulated""#;
    for quantity in ["cost", "output_tokens", "latency"] {
        let quantity = format!("quantity=\"{quantity}\"");
        let count = of("pointsman_prediction_ratio_count", &[best, &quantity]);
        assert_eq!(count, WELL as f64, "{quantity}");
    }
    house.stop().await;
}

fn requests(seen: &Scrape) {
    let check = |name: &str, labels: &[&str], wanted: usize| {
        assert_eq!(seen.sum(name, labels), wanted as f64, "{name} {labels:?}");
    };
    let all = WELL + FALLEN + 2;
    let (served, refused) = (r#"end="served""#, r#"end="invalid_request""#);
    check("pointsman_received_requests_total", &[r#"face="grpc""#], all);
    check("pointsman_received_requests_total", &[r#"face="openai""#], 1);
    check("pointsman_rejected_requests_total", &[r#"face="grpc""#], 1);
    check("pointsman_rejected_requests_total", &[], 1);
    check("pointsman_requests_total", &[], all);
    check("pointsman_requests_total", &[served, r#"model="best""#], WELL);
    check("pointsman_requests_total", &[served, r#"model="middle""#], FALLEN);
    check("pointsman_requests_total", &[served, r#"model="small""#], 1);
    check("pointsman_requests_total", &[refused, r#"model="none""#], 1);
    check(
        "pointsman_request_duration_seconds_count",
        &[served, r#"delivery="whole""#],
        WELL + FALLEN,
    );
    check("pointsman_request_duration_seconds_count", &[r#"delivery="stream""#], 1);
    check("pointsman_decision_duration_seconds_count", &[], all);
    check("pointsman_encoder_exits_total", &[], all);
    check("pointsman_encoder_wait_seconds_count", &[], all);
    check("pointsman_outcome_append_seconds_count", &[], all);
    check("pointsman_outcome_append_failures_total", &[], 0);
    check("pointsman_outcome_queue_length", &[], 0);
    check("pointsman_requests_in_flight", &[], 0);
    check("pointsman_ready", &[], 1);
    check("pointsman_build_info", &[], 1);
    check("pointsman_deployment_available", &[], ROWS.len());
    check("pointsman_breaker_state", &[], ROWS.len());
}

/// Every attempt that a caller was told of is counted, under its class, and no other.
fn attempts(seen: &Scrape, told: &[Attempt]) {
    let name = |of: &Attempt| match of.failure() {
        FailureClass::Unspecified => "answered".to_owned(),
        other => other.as_str_name().trim_start_matches("FAILURE_CLASS_").to_lowercase(),
    };
    for one in told {
        let alike =
            told.iter().filter(|it| it.deployment == one.deployment && name(it) == name(one));
        let deployment = format!("deployment=\"{}\"", one.deployment);
        let class = format!("class=\"{}\"", name(one));
        let counted = seen.sum("pointsman_attempts_total", &[&deployment, &class]);
        assert_eq!(counted, alike.count() as f64, "{deployment} {class}");
    }
    assert_eq!(seen.sum("pointsman_attempts_total", &[]), told.len() as f64);
    assert_eq!(seen.sum("pointsman_attempt_duration_seconds_count", &[]), told.len() as f64);
}

/// Tokens and money are those of the providers' own books.
fn providers(seen: &Scrape, house: &House) {
    let calls = house.simulator.calls();
    assert_eq!(calls.len(), WELL + FALLEN + 1, "what fails on purpose asks nobody");
    for row in ROWS {
        let label = format!("deployment=\"{}\"", deployment(row.name));
        let own: Vec<_> = calls.iter().filter(|it| it.model_id == row.name).collect();
        let input: u64 = own.iter().map(|it| it.prompt_tokens).sum();
        let output: u64 = own.iter().map(|it| it.completion_tokens).sum();
        for (kind, wanted) in [("input", input), ("output", output)] {
            let kind = format!("kind=\"{kind}\"");
            let counted = seen.sum("pointsman_tokens_total", &[&label, &kind]);
            assert_eq!(counted, wanted as f64, "{label} {kind}");
        }
        let wanted: f64 = own.iter().map(|it| support::price_of(it)).sum();
        let counted = seen.sum("pointsman_cost_usd_total", &[&label]);
        assert!((counted - wanted).abs() < 1e-12, "{label}: {counted} {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_foretold_of_a_model_stands_beside_what_came() {
    let house = house().await;
    let mut client = house.client.clone();
    let (mut cost, mut expected, mut ids) = (0.0, 0.0, Vec::new());
    for number in 0..WELL {
        let answer = client.route(ask(&prompt(number))).await.unwrap().into_inner();
        let decision = answer.decision.unwrap();
        cost += answer.cost_usd;
        if number < 2 {
            expected += decision.ranking[0].prediction.as_ref().unwrap().quality;
            ids.push(decision.id);
        }
    }
    let said = [(0, FeedbackKind::Implicit, 0.0), (0, FeedbackKind::Explicit, 0.25)];
    // The second score of an answer is in the log alone.
    let said =
        said.into_iter().chain([(0, FeedbackKind::Judge, 1.0), (1, FeedbackKind::Judge, 0.5)]);
    for (at, kind, score) in said {
        let score = Some(score);
        let decision_id = ids[at].clone();
        let request =
            FeedbackRequest { decision_id, score, kind: kind.into(), ..Default::default() };
        assert!(client.feedback(request).await.unwrap().into_inner().newly_stored);
    }
    let seen = Scrape::of(&house).await;
    let check = |name: &str, quantity: &str, wanted: f64| {
        let quantity = format!("quantity=\"{quantity}\"");
        let found = seen.sum(name, &[r#"model="best""#, &quantity]);
        assert!((found - wanted).abs() < 1e-9, "{name} {quantity}: {found} and not {wanted}");
        assert_eq!(seen.sum(name, &[&quantity]), found, "nobody else answered");
    };
    for quantity in ["cost", "output_tokens", "latency"] {
        check("pointsman_compared_answers_total", quantity, WELL as f64);
    }
    check("pointsman_realised_total", "cost", cost);
    check("pointsman_compared_answers_total", "quality", 2.0);
    check("pointsman_realised_total", "quality", 0.75);
    check("pointsman_predicted_total", "quality", expected);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_is_seen() {
    let house = house().await;
    let mut client = house.client.clone();
    // A wrong key shuts its deployment at once, and for long.
    let told = client.route(failing(0, "best", "auth")).await.unwrap().into_inner();
    let seen = Scrape::of(&house).await;
    let best = r#"deployment="best@simulated""#;
    assert_eq!(seen.sum("pointsman_breaker_state", &[best, r#"state="open""#]), 1.0);
    assert_eq!(seen.sum("pointsman_breaker_state", &[best, r#"state="closed""#]), 0.0);
    assert_eq!(seen.sum("pointsman_deployment_available", &[best]), 0.0);
    assert_eq!(seen.sum("pointsman_deployment_available", &[]), 2.0);
    // The next request ranks it behind the others: that is no fallback.
    client.route(ask(&prompt(1))).await.unwrap();
    let seen = Scrape::of(&house).await;
    assert_eq!(seen.sum("pointsman_fallbacks_total", &[]), 1.0, "{:?}", told.attempts);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_request_becomes_a_label() {
    let house = house().await;
    let wire = proto::RouteRequest {
        request_id: "secret-request".to_owned().into(),
        session_id: "secret-session".to_owned().into(),
        metadata: [("secret-key".to_owned(), "secret-value".to_owned())].into(),
        ..ask("a secret prompt")
    };
    house.client.clone().route(wire).await.unwrap();
    let url = format!("http://{}/metrics", house.admin);
    let open =
        http_client().get(url).header("accept", "application/openmetrics-text;version=1.0.0");
    let answer = open.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("# EOF\n") && !text.contains("secret"), "{text}");
    let models: Vec<_> = Scrape::of(&house).await.values("model").into_iter().collect();
    assert_eq!(models, ["best", "middle", "small"]);
    house.stop().await;
}
