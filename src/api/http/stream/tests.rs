//! Streams with a scripted source, on a paused clock.

use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::api::http::openai::Completions;
use crate::api::testing;
use crate::dispatch::{ChainEnd, ChainFailure, Dispatched};
use crate::domain::{ChatResponse, Delta, FailureClass, FinishReason, Usage};
use crate::pipeline::Routed;

/// Events, each after a pause of so many seconds.
struct Script {
    events: VecDeque<(u64, Next)>,
    /// When the first of them is there.
    due: Instant,
}

impl Source for Script {
    async fn next(&mut self) -> Next {
        tokio::time::sleep_until(self.due).await;
        let event = self.events.pop_front().map(|(_, it)| it);
        let pause = self.events.front().map_or(0, |it| it.0);
        self.due = Instant::now() + Duration::from_secs(pause);
        event.unwrap_or(Err(PipelineError::Interrupted))
    }
}

fn committed() -> RouteEvent {
    let deployment = Arc::clone(&testing::fleet().deployments()[0]);
    let dropped = vec!["seed".to_owned()];
    RouteEvent::Chain(ChainEvent::Committed(Answering { deployment, attempts: 2, dropped }))
}

fn text(it: &str) -> RouteEvent {
    RouteEvent::Chain(ChainEvent::Delta(Delta::Text(it.into())))
}

fn ended(broken: Option<FailureClass>) -> RouteEvent {
    let deployment = Arc::clone(&testing::fleet().deployments()[0]);
    let response = ChatResponse {
        text: Some("ab".into()),
        reasoning: vec![],
        tool_calls: vec![],
        finish: FinishReason::Stop,
        usage: Usage::default(),
        logprobs: None,
    };
    let end = match broken {
        None => ChainEnd::Served { deployment, response },
        Some(class) => ChainEnd::Broken { deployment, class, partial: response },
    };
    let dispatched =
        Dispatched { end, attempts: vec![], dropped: vec![], seams: vec![], retry_in: None };
    let decision = testing::decided();
    let dispatched = Some(dispatched);
    let (total_ms, recorded, cached) = (1.0, true, None);
    RouteEvent::Ended(Box::new(Routed { decision, dispatched, total_ms, recorded, cached }))
}

async fn told(script: Vec<(u64, RouteEvent)>) -> Result<Response<Body>, Fault> {
    let due = Instant::now() + Duration::from_secs(script.first().map_or(0, |it| it.0));
    let events = script.into_iter().map(|(pause, it)| (pause, Ok(it))).collect();
    let script = Script { events, due };
    let about = About { id: "1".into(), created_s: 7, model: "auto".into(), chat: Arc::default() };
    let how = How { delivery: Delivery::Stream, explain: Explain::No };
    tell::<Completions, _>(script, about, how).await
}

async fn body(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_headers_pieces_and_an_end() {
    let script = vec![(1, committed()), (0, text("a")), (25, text("b")), (0, ended(None))];
    let response = told(script).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("x-pointsman-model"), "small");
    assert_eq!(header("x-pointsman-deployment"), "small@one");
    assert_eq!(header("x-pointsman-attempts"), "2");
    assert_eq!(header("x-pointsman-dropped-parameters"), "seed");
    let body = body(response).await;
    let at = |part: &str| body.find(part).unwrap_or_else(|| panic!("{part}: {body}"));
    assert!(at("\"content\":\"a\"") < at(sse::KEEP_ALIVE));
    assert!(at(sse::KEEP_ALIVE) < at("\"content\":\"b\""));
    assert_eq!(body.matches(sse::KEEP_ALIVE).count(), 2, "{body}");
    assert!(at("\"served_model\":\"small\"") < at("data: [DONE]\n\n"));
}

#[tokio::test(start_paused = true)]
async fn an_early_failure_keeps_its_status() {
    let routed = testing::routed(testing::decided(), Some(ChainFailure::Deadline));
    let fault = told(vec![(9, RouteEvent::Ended(Box::new(routed)))]).await.unwrap_err();
    assert_eq!(fault.kind.codes().0, 504);
    let routed = testing::routed(testing::refused(), None);
    let fault = told(vec![(0, RouteEvent::Ended(Box::new(routed)))]).await.unwrap_err();
    assert_eq!(fault.kind.codes().0, 422);
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_is_told_in_band() {
    let routed = testing::routed(testing::decided(), Some(ChainFailure::Exhausted));
    let response = told(vec![(11, RouteEvent::Ended(Box::new(routed)))]).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = body(response).await;
    assert!(body.starts_with(sse::KEEP_ALIVE), "{body}");
    assert!(body.contains("\"code\":\"exhausted\"") && !body.contains("[DONE]"), "{body}");
    assert!(body.contains("\"deployment\":\"small@one\""), "{body}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_is_told_in_band() {
    let script = vec![(0, committed()), (0, text("a")), (0, ended(Some(FailureClass::Stalled)))];
    let body = body(told(script).await.unwrap()).await;
    assert!(body.contains("\"code\":\"stalled\"") && !body.contains("[DONE]"), "{body}");
}
