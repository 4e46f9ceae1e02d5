//! Every call of the service once, over a real connection, with simulated providers behind it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use pointsman::api::proto::{
    FeedbackKind, FeedbackRequest, FinishReason, ListModelsRequest, RankBatchRequest, RankRequest,
    Role, part,
};
use support::{House, ROWS, ask, deployment, instant_models, prompt};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

const SERVICE: &str = "pointsman.v1.Pointsman";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_names_who_served_it_and_what_it_cost() {
    let mut house = House::start(instant_models()).await;
    let mut wire = ask(&prompt(1));
    wire.explain = true;
    let answer = house.client.route(wire).await.unwrap().into_inner();
    assert_eq!(answer.served_model, "best");
    assert_eq!(answer.deployment, deployment("best"));
    assert_eq!(answer.provider, support::PROVIDER);
    assert_eq!(answer.finish_reason(), FinishReason::Stop);
    let message = answer.message.as_ref().unwrap();
    assert_eq!(message.role(), Role::Assistant);
    assert!(matches!(&message.parts[0].content, Some(part::Content::Text(it)) if !it.is_empty()));
    let [attempt] = &answer.attempts[..] else { panic!("{} attempts", answer.attempts.len()) };
    assert_eq!((attempt.deployment.as_str(), attempt.failure), ("best@simulated", 0));
    assert_eq!(attempt.status, Some(200));
    let decision = answer.decision.as_ref().unwrap();
    let order: Vec<_> = decision.ranking.iter().map(|it| it.model.as_str()).collect();
    assert_eq!(order, ROWS.map(|it| it.name));
    assert!(decision.explanation().contains("best@simulated"));
    let [call] = &house.simulator.calls()[..] else { panic!("not one call") };
    let usage = answer.usage.unwrap();
    assert_eq!(usage.input_tokens, call.prompt_tokens);
    assert_eq!(usage.output_tokens, call.completion_tokens);
    assert!(answer.outcome_recorded);
    assert_eq!(house.stored("outcome"), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_agree_with_the_providers_books() {
    let mut house = House::start(instant_models()).await;
    let (mut told, mut attempts) = (0.0, 0.0);
    for number in 0..40 {
        let mut wire = ask(&prompt(number));
        let allow = ROWS[number % ROWS.len()].name.to_owned();
        wire.candidates.get_or_insert_default().allow = vec![allow];
        let answer = house.client.route(wire).await.unwrap().into_inner();
        told += answer.cost_usd;
        attempts += answer.attempts.iter().map(|it| it.cost_usd).sum::<f64>();
    }
    let spent = house.spent();
    assert!(spent > 0.0);
    assert!((told - spent).abs() < 1e-9, "told {told}, spent {spent}");
    assert!((attempts - spent).abs() < 1e-9, "attempts {attempts}, spent {spent}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranking_spends_nothing_and_leaves_no_trace() {
    let mut house = House::start(instant_models()).await;
    let request = RankRequest { request: Some(ask(&prompt(2))) };
    let ranked = house.client.rank(request).await.unwrap().into_inner();
    let decision = ranked.decision.unwrap();
    assert_eq!(ranked.refusal, None);
    assert_eq!(decision.ranking.len(), ROWS.len());
    let utilities: Vec<_> = decision.ranking.iter().map(|it| it.utility).collect();
    assert!(utilities.is_sorted_by(|a, b| a >= b), "{utilities:?}");
    let propensity: f64 = decision.ranking.iter().map(|it| it.propensity).sum();
    assert!((propensity - 1.0).abs() < 1e-9);

    let requests: Vec<_> = (0..20).map(|it| ask(&prompt(it))).collect();
    let batch = house.client.rank_batch(RankBatchRequest { requests }).await.unwrap().into_inner();
    assert_eq!(batch.responses.len(), 20);
    assert!(batch.responses.iter().all(|it| it.decision.is_some()));
    assert_eq!(house.simulator.calls(), []);
    assert_eq!(house.stored("outcome"), 0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_which_limit_excluded_whom() {
    let mut house = House::start(instant_models()).await;
    let mut wire = ask(&prompt(3));
    wire.budget.get_or_insert_default().max_cost_usd = Some(1e-9);
    let ranked = house.client.rank(RankRequest { request: Some(wire.clone()) }).await.unwrap();
    let ranked = ranked.into_inner();
    assert!(ranked.refusal.as_ref().is_some_and(|it| it.contains("max_cost_usd excludes 3")));
    assert_eq!(ranked.decision.unwrap().excluded.len(), ROWS.len());
    let status = house.client.route(wire).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.message().contains("max_cost_usd"), "{status}");
    assert_eq!(house.simulator.calls(), []);
    assert_eq!(house.stored("outcome"), 1, "a refusal is an outcome");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_with_their_prices() {
    let mut house = House::start(instant_models()).await;
    let listed = house.client.list_models(ListModelsRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.models.len(), ROWS.len());
    for (model, row) in listed.models.iter().zip(ROWS) {
        assert_eq!((model.name.as_str(), model.context_window), (row.name, 131_072));
        let [place] = &model.deployments[..] else { panic!("not one deployment") };
        assert_eq!(place.id, deployment(row.name));
        assert_eq!(place.input_usd_per_million, row.input);
        assert_eq!(place.output_usd_per_million, row.output);
        assert_eq!(place.unavailable, None);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feedback_is_stored_once_and_only_for_known_answers() {
    let mut house = House::start(instant_models()).await;
    let answer = house.client.route(ask(&prompt(4))).await.unwrap().into_inner();
    let feedback = FeedbackRequest {
        decision_id: answer.decision.unwrap().id,
        score: Some(0.75),
        kind: FeedbackKind::Judge.into(),
        comment: Some("right, but long".into()),
        idempotency_key: Some("a".into()),
    };
    let first = house.client.feedback(feedback.clone()).await.unwrap().into_inner();
    assert!(first.newly_stored);
    let again = house.client.feedback(feedback.clone()).await.unwrap().into_inner();
    assert!(!again.newly_stored);
    assert_eq!(house.stored("feedback"), 1);
    let unknown = "01890000-0000-7000-8000-000000000000".to_owned();
    let unknown = FeedbackRequest { decision_id: unknown, ..feedback };
    let status = house.client.feedback(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
    assert_eq!(house.stored("feedback"), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let house = House::start(instant_models()).await;
    let mut health = HealthClient::new(support::channel(house.address).await);
    for service in ["", SERVICE] {
        let asked = HealthCheckRequest { service: service.to_owned() };
        let told = health.check(asked).await.unwrap().into_inner();
        assert_eq!(told.status(), ServingStatus::Serving, "{service:?}");
    }
    drop(health);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services() {
    let house = House::start(instant_models()).await;
    let mut reflection = ServerReflectionClient::new(support::channel(house.address).await);
    let ask = |it| ServerReflectionRequest { host: String::new(), message_request: Some(it) };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(SERVICE.to_owned())),
    ];
    let asked = futures_util::stream::iter(asked);
    let mut told = reflection.server_reflection_info(asked).await.unwrap().into_inner();
    let listed = told.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = listed else { panic!("no list") };
    let has = |name: &str| listed.service.iter().any(|it: &ServiceResponse| it.name == name);
    assert!(has(SERVICE) && has("grpc.health.v1.Health"), "{listed:?}");
    let file = told.message().await.unwrap().unwrap().message_response.unwrap();
    assert!(
        matches!(file, MessageResponse::FileDescriptorResponse(it) if !it.file_descriptor_proto.is_empty())
    );
    drop((told, reflection));
    house.stop().await;
}
