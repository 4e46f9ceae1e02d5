//! How often, and for how many tokens in a minute.

use std::num::NonZeroU32;

use pointsman::access::RateLimits;
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::desk::{CHAT, Desk, Key, MESSAGES, RESPONSES, body_for};
use crate::support::ask;

fn limited(desk: &mut Desk, requests: u32, tokens: u32) -> Key {
    let [requests_per_minute, tokens_per_minute] = [requests, tokens].map(NonZeroU32::new);
    desk.key("search", |it| it.rates = RateLimits { requests_per_minute, tokens_per_minute })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_requests_is_told_as_it_goes_and_refused_when_it_is_gone() {
    let mut desk = Desk::open().await;
    for path in [CHAT, MESSAGES, RESPONSES] {
        let key = limited(&mut desk, 2, 0);
        let other = limited(&mut desk, 2, 0);
        for left in ["1", "0"] {
            let told = desk.post(path, &key.text, &body_for(path, "auto")).await;
            assert_eq!(told.status, 200, "{}", told.body);
            assert_eq!(told.header("x-ratelimit-limit-requests"), "2");
            assert_eq!(told.header("x-ratelimit-remaining-requests"), left);
        }
        let told = desk.post(path, &key.text, &body_for(path, "auto")).await;
        assert_eq!(told.status, 429, "{}", told.body);
        // One request comes back every 30 s.
        let wait: u64 = told.header("retry-after").parse().unwrap();
        assert!((20..=30).contains(&wait), "{wait}");
        assert!(told.header("x-ratelimit-reset-requests").ends_with('s'));
        let error = &told.body["error"];
        assert_eq!(error["type"], json!("rate_limit_error"), "{path}");
        assert!(error["message"].as_str().unwrap().contains("2 requests per minute"), "{error}");
        if path != MESSAGES {
            assert_eq!(error["code"], json!("rate_limit_exceeded"));
        }
        assert_eq!(told.body["pointsman"]["facts"]["limit"], json!("requests_per_minute"));
        let status = desk.route(&key.text, ask("Which is heavier?")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.get_details_error_info().unwrap().reason, "RATE_LIMIT_EXCEEDED");
        let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!((20..=30).contains(&delay.as_secs()), "{delay:?}");
        // Whoever has another key is not kept waiting.
        assert_eq!(desk.post(path, &other.text, &body_for(path, "auto")).await.status, 200);
    }
    let sample = "pointsman_limit_refusals_total{limit=\"requests_per_minute\"}";
    assert_eq!(desk.metric(sample).await, 6.0);
    assert_eq!(desk.house.simulator.calls().len(), 9);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_answers_are_paid_by_the_next_request() {
    let mut desk = Desk::open().await;
    // An answer has some 40 tokens: the first fits, and with the second the minute is gone.
    let key = limited(&mut desk, 0, 40);
    let told = desk.post(CHAT, &key.text, &body_for(CHAT, "auto")).await;
    assert_eq!(told.status, 200, "{}", told.body);
    assert_eq!(told.header("x-ratelimit-limit-tokens"), "40");
    let told = desk.post(CHAT, &key.text, &body_for(CHAT, "auto")).await;
    assert_eq!(told.status, 429, "{}", told.body);
    assert_eq!(told.body["pointsman"]["facts"]["limit"], json!("tokens_per_minute"));
    assert!(told.header("retry-after").parse::<u64>().unwrap() <= 60);
    // Choosing takes no tokens.
    assert_eq!(desk.post("/v1/rank", &key.text, &body_for(CHAT, "auto")).await.status, 200);
    let status = desk.route(&key.text, ask("Which is heavier?")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let long = json!([{"role": "user", "content": "word ".repeat(200)}]);
    let told = desk.post(CHAT, &key.text, &json!({"model": "auto", "messages": long})).await;
    assert_eq!((told.status, told.header("x-should-retry")), (429, "false"));
    assert_eq!(told.header("retry-after"), "");
    let sample = "pointsman_limit_refusals_total{limit=\"tokens_per_minute\"}";
    assert_eq!(desk.metric(sample).await, 3.0);
    desk.house.stop().await;
}
