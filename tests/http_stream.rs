//! Streams over HTTP, through a whole server: needs a simulator that streams.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use pointsman::simulator::{FaultRates, parse_fault};
use serde_json::{Value, json};
use support::{House, deployment, http_client, instant_models};

async fn post(house: &House, model: &str) -> reqwest::Response {
    let body = json!({
        "model": model, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "Which is heavier?"}],
    });
    let request = http_client().post(format!("http://{}/v1/chat/completions", house.address));
    request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_and_ends_with_usage_details_and_done() {
    let house = House::start(instant_models()).await;
    let response = post(&house, "auto").await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("x-pointsman-model"), "best");
    assert_eq!(header("x-pointsman-deployment"), deployment("best"));
    let text = response.text().await.unwrap();
    let events: Vec<&str> = text.split("\n\n").filter(|it| !it.is_empty()).collect();
    assert_eq!(events.last(), Some(&"data: [DONE]"));
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .filter_map(|it| it.strip_prefix("data: "))
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let words: String =
        chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(!words.is_empty());
    let last = chunks.last().unwrap();
    assert!(last["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{last}");
    assert_eq!(last["pointsman"]["attempts"].as_array().unwrap().len(), 1);
    assert!((last["pointsman"]["cost_usd"].as_f64().unwrap() - house.spent()).abs() < 1e-12);
    assert_eq!(house.stored("outcome"), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_content_has_its_status() {
    let house = House::start(instant_models()).await;
    let fault = FaultRates::always(parse_fault("status:500").unwrap());
    house.simulator.set_faults("best", fault).unwrap();
    let response = post(&house, "best").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "2");
    let response = post(&house, "auto").await;
    assert_eq!(response.headers()["x-pointsman-model"], "middle");
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    house.stop().await;
}
