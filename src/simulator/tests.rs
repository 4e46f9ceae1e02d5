//! The simulator as a client sees it: every fault, the bounds, and a log that agrees.

use std::{error::Error, io::ErrorKind, time::Duration};

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

async fn start(models: Vec<SimulatedModel>, seed: u64) -> Simulator {
    Simulator::start(models, seed, TcpListener::bind("127.0.0.1:0").await.unwrap())
}

fn client() -> Client {
    // Another test may have installed it before: then there is one, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

async fn post(simulator: &Simulator, body: &Value) -> reqwest::Result<Response> {
    let url = format!("{}/chat/completions", simulator.base_url());
    client().post(url).json(body).send().await
}

fn body(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello there"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn answer(simulator: &Simulator, more: Value) -> Value {
    let response = post(simulator, &body(more)).await.unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

fn was_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(it) = cause {
        if let Some(io) = it.downcast_ref::<std::io::Error>()
            && io.kind() == ErrorKind::ConnectionReset
        {
            return true;
        }
        cause = it.source();
    }
    false
}

/// One call with the fault; what its log line must say of the status.
async fn scripted(fault: Fault) -> (Simulator, reqwest::Result<Response>) {
    let simulator = start(vec![SimulatedModel::instant("m")], 1).await;
    simulator.push_script("m", vec![fault]).unwrap();
    let outcome = post(&simulator, &body(json!({}))).await;
    let calls = simulator.calls();
    assert_eq!((calls.len(), calls[0].fault), (1, Some(fault)));
    let got = outcome.as_ref().ok().map(|it| it.status().as_u16());
    assert_eq!(calls[0].status, got, "{fault}");
    (simulator, outcome)
}

#[tokio::test]
async fn refusals_have_their_status_and_code() {
    async fn check(fault: Fault, status: u16, code: Value) {
        let (simulator, outcome) = scripted(fault).await;
        let response = outcome.unwrap();
        assert_eq!(response.status(), status, "{fault}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(error["error"]["code"], code, "{fault}");
        assert!(error["error"]["message"].is_string());
        assert_eq!(answer(&simulator, json!({})).await["object"], "chat.completion");
        simulator.stop().await;
    }
    let status = |code| Fault::Status { code, retry_after: None };
    check(status(429), 429, json!("rate_limit_exceeded")).await;
    check(status(500), 500, Value::Null).await;
    check(status(503), 503, json!("server_overloaded")).await;
    check(status(200), 500, Value::Null).await;
    check(Fault::ContextTooLong, 400, json!("context_length_exceeded")).await;
    check(Fault::ContentFilter, 400, json!("content_filter")).await;
    check(Fault::WrongModel, 404, json!("model_not_found")).await;
    check(Fault::Auth, 401, json!("invalid_api_key")).await;
    check(Fault::ErrorInside200, 200, json!(502)).await;
}

#[tokio::test]
async fn retry_after_is_sent_in_seconds_and_milliseconds() {
    let pause = Duration::from_millis(1500);
    let (_simulator, outcome) =
        scripted(Fault::Status { code: 429, retry_after: Some(pause) }).await;
    let headers = outcome.unwrap().headers().clone();
    assert_eq!((&headers["retry-after"], &headers["retry-after-ms"]).0, "2");
    assert_eq!(headers["retry-after-ms"], "1500");
}

#[tokio::test]
async fn broken_bodies_are_broken() {
    let (_simulator, outcome) = scripted(Fault::Malformed).await;
    assert!(outcome.unwrap().json::<Value>().await.unwrap_err().is_decode());
    let (_simulator, outcome) = scripted(Fault::Empty).await;
    let empty: Value = outcome.unwrap().json().await.unwrap();
    assert_eq!(empty["choices"][0]["message"]["content"], "");
    assert_eq!(empty["usage"]["completion_tokens"], 0);
}

#[tokio::test]
async fn resets_are_resets_before_and_inside_the_body() {
    let (simulator, outcome) = scripted(Fault::Reset).await;
    assert!(was_reset(&outcome.unwrap_err()));
    answer(&simulator, json!({})).await;
    let (simulator, outcome) = scripted(Fault::ResetInBody).await;
    let mut response = outcome.unwrap();
    let begun = response.chunk().await.unwrap().unwrap();
    assert!(begun.starts_with(b"{\"choices\"") || begun.starts_with(b"{"));
    assert!(response.chunk().await.is_err());
    answer(&simulator, json!({})).await;
}

#[tokio::test]
async fn a_hanging_call_ends_when_the_client_leaves_or_the_simulator_stops() {
    let script = vec![Fault::Hang, Fault::Hang];
    let simulator = start(vec![SimulatedModel { script, ..SimulatedModel::instant("m") }], 1).await;
    let url = format!("{}/chat/completions", simulator.base_url());
    let call = || client().post(&url).json(&body(json!({})));
    let left = call().timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(left.is_timeout());
    let second = tokio::spawn(call().send());
    while simulator.calls().len() < 2 {
        tokio::task::yield_now().await;
    }
    let begun = std::time::Instant::now();
    assert!(simulator.calls().iter().all(|it| it.status.is_none()));
    simulator.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(was_reset(&second.await.unwrap().unwrap_err()));
}

#[tokio::test]
async fn a_slow_first_token_is_late_by_as_much() {
    let late = Duration::from_millis(60);
    let begun = std::time::Instant::now();
    let (_simulator, outcome) = scripted(Fault::SlowFirstToken(late)).await;
    assert!(begun.elapsed() >= late);
    assert_eq!(outcome.unwrap().status(), 200);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_and_models_do_not_share_it() {
    async fn run(seed: u64) -> Vec<String> {
        let faults = parse_rates("status:500=0.3, empty=0.2").unwrap();
        let model = |id| SimulatedModel { faults: faults.clone(), ..SimulatedModel::instant(id) };
        let simulator = start(vec![model("m"), model("n")], seed).await;
        let mut seen = Vec::new();
        for id in ["m", "n", "m", "m", "n", "m"] {
            let response = post(&simulator, &body(json!({"model": id}))).await.unwrap();
            seen.push(response.text().await.unwrap());
        }
        seen
    }
    let (first, again, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_ne!(first[0].replace("\"m\"", "\"n\""), first[1]);
}

#[tokio::test]
async fn answers_keep_to_the_limit_and_count_themselves() {
    let simulator = start(vec![SimulatedModel::instant("m")], 3).await;
    for limit in [1, 2, 7, 10_000] {
        for name in ["max_tokens", "max_completion_tokens"] {
            let reply = answer(&simulator, json!({name: limit})).await;
            let tokens = reply["usage"]["completion_tokens"].as_u64().unwrap();
            let text = reply["choices"][0]["message"]["content"].as_str().unwrap();
            assert!(tokens <= limit && text.len().div_ceil(4) as u64 == tokens);
            let wanted = if limit < 10 { "length" } else { "stop" };
            assert_eq!(reply["choices"][0]["finish_reason"], wanted);
        }
    }
}

#[tokio::test]
async fn tools_and_schemas_are_answered_in_kind() {
    let simulator = start(vec![SimulatedModel::instant("m")], 3).await;
    let schema = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city", "days"],
    });
    let fits = |text: &Value| {
        let value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert!(value["city"].is_string() && value["days"].as_i64().unwrap() >= 1, "{value}");
    };
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let reply = answer(&simulator, json!({"response_format": format})).await;
    fits(&reply["choices"][0]["message"]["content"]);
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    let reply = answer(&simulator, json!({"tools": [tool], "tool_choice": "required"})).await;
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
    let call = &reply["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "f");
    fits(&call["function"]["arguments"]);
}

#[tokio::test]
async fn the_log_agrees_with_what_clients_got() {
    let faults = parse_rates("status:500=0.2, auth=0.2, empty=0.1").unwrap();
    let model = SimulatedModel { faults, quality: 0.5, ..SimulatedModel::instant("m") };
    let simulator = start(vec![model], 11).await;
    let mut seen = Vec::new();
    for _ in 0..40 {
        let response = post(&simulator, &body(json!({}))).await.unwrap();
        let status = Some(response.status().as_u16());
        let reply: Value = response.json().await.unwrap();
        let usage = |name: &str| reply["usage"][name].as_u64().unwrap_or(0);
        let text = reply["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        let right = text.starts_with("Right");
        seen.push((status, usage("prompt_tokens"), usage("completion_tokens"), right));
    }
    let line = |it: CallLog| (it.status, it.prompt_tokens, it.completion_tokens, it.right);
    let logged: Vec<_> = simulator.calls().into_iter().map(line).collect();
    assert_eq!(logged, seen);
    let statuses: std::collections::BTreeSet<_> = seen.iter().map(|it| it.0).collect();
    assert_eq!(statuses.len(), 3);
}

#[tokio::test]
async fn requests_that_reach_no_model_are_refused_and_not_logged() {
    let simulator = start(vec![SimulatedModel::instant("m")], 1).await;
    let check = async |body: Value, status: u16| {
        let response = post(&simulator, &body).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.json::<Value>().await.unwrap()["error"]["message"].is_string());
    };
    check(body(json!({"model": "other"})), 404).await;
    check(json!({"prompt": "x"}), 400).await;
    let url = simulator.base_url();
    let large = client().post(format!("{url}/chat/completions"));
    let large = large.body(vec![b' '; BODY_BYTES_MAX + 1]).send().await;
    // The server may close before the client has sent it all, which the client may see as an error.
    assert!(large.map_or(true, |it| it.status() == 413));
    assert_eq!(client().get(format!("{url}/nothing")).send().await.unwrap().status(), 404);
    let models = client().get(format!("{url}/models")).send().await.unwrap();
    assert_eq!(models.json::<Value>().await.unwrap()["data"][0]["id"], "m");
    assert_eq!(simulator.calls(), []);
}

#[tokio::test]
async fn a_model_goes_down_and_comes_back() {
    let models = vec![SimulatedModel::instant("m"), SimulatedModel::instant("n")];
    let simulator = start(models, 1).await;
    let status = async |id: &str| {
        post(&simulator, &body(json!({"model": id}))).await.unwrap().status().as_u16()
    };
    simulator.set_down("m").unwrap();
    assert_eq!((status("m").await, status("n").await), (503, 200));
    simulator.set_up("m").unwrap();
    assert_eq!(status("m").await, 200);
    let address = simulator.address();
    simulator.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
