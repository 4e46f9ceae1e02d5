//! The HTTP face of a whole server: chat completions, models, rank, feedback, errors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use pointsman::simulator::{FaultRates, parse_fault};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use support::{House, ask, deployment, http_client, instant_models};

/// An answer: its status, headers and JSON.
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Told {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
        Self { status, headers, body }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Which is heavier?"}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

async fn post(house: &House, path: &str, body: &Value) -> Told {
    let request = http_client().post(format!("http://{}{path}", house.address));
    let json = request.header("content-type", "application/json").body(body.to_string());
    Told::of(json).await
}

async fn get(house: &House, path: &str) -> Told {
    Told::of(http_client().get(format!("http://{}{path}", house.address))).await
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_who_gave_it_and_grpc_works_beside_it() {
    let mut house = House::start(instant_models()).await;
    let told = post(&house, CHAT, &chat("auto")).await;
    assert_eq!(told.status, 200, "{}", told.body);
    let body = &told.body;
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("best")));
    assert!(body["choices"][0]["message"]["content"].as_str().is_some_and(|it| !it.is_empty()));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    let own = &body["pointsman"];
    assert_eq!(own["deployment"], json!(deployment("best")));
    assert_eq!(own["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(own["outcome_recorded"], true);
    assert!((own["cost_usd"].as_f64().unwrap() - house.spent()).abs() < 1e-12);
    let decision = own["decision_id"].as_str().unwrap();
    assert_eq!(body["id"], format!("chatcmpl-{decision}"));
    assert_eq!(told.header("x-pointsman-decision"), decision);
    assert_eq!(told.header("x-pointsman-model"), "best");
    assert_eq!(told.header("x-pointsman-deployment"), deployment("best"));
    assert_eq!(told.header("x-pointsman-attempts"), "1");
    let given = json!({"decision_id": decision, "score": 0.5, "kind": "judge"});
    for newly in [true, false] {
        let told = post(&house, "/v1/feedback", &given).await;
        assert_eq!((told.status, &told.body), (200, &json!({"newly_stored": newly})));
    }
    let answer = house.client.route(ask("Which is heavier?")).await.unwrap().into_inner();
    assert_eq!(answer.served_model, "best");
    assert_eq!(house.stored("outcome"), 2);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn model_and_wishes_choose_who_answers() {
    let house = House::start(instant_models()).await;
    let check = async |body: Value, wanted: &str| {
        let told = post(&house, CHAT, &body).await;
        assert_eq!((told.status, &told.body["model"]), (200, &json!(wanted)), "{}", told.body);
    };
    check(chat("small"), "small").await;
    check(chat("auto:quality"), "best").await;
    check(with(chat("auto"), "models", json!(["middle", "best"])), "middle").await;
    check(with(chat("small"), "models", json!(["middle"])), "small").await;
    let own = json!({"candidates": {"deny": ["best"]}, "request_id": "r"});
    check(with(chat("auto"), "pointsman", own), "middle").await;
    let request = http_client().post(format!("http://{}{CHAT}", house.address));
    let request = request.header("x-pointsman-explain", "true").body(chat("auto").to_string());
    let told = Told::of(request).await;
    let ranking = told.body["pointsman"]["ranking"].as_array().unwrap();
    assert_eq!(ranking.len(), 3, "{}", told.body);
    assert!(told.body["pointsman"]["explanation"].as_str().unwrap().starts_with("1. best@"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn falling_back_and_failing_are_told_with_every_attempt() {
    let house = House::start(instant_models()).await;
    let fault = || FaultRates::always(parse_fault("status:500").unwrap());
    house.simulator.set_faults("best", fault()).unwrap();
    let told = post(&house, CHAT, &chat("auto")).await;
    assert_eq!((told.status, &told.body["model"]), (200, &json!("middle")), "{}", told.body);
    let attempts = told.body["pointsman"]["attempts"].as_array().unwrap();
    assert_eq!(attempts[0]["failure"], "overloaded");
    assert_eq!(
        (&attempts[0]["status"], &attempts.last().unwrap()["failure"]),
        (&json!(500), &Value::Null)
    );
    assert_eq!(told.header("x-pointsman-attempts"), attempts.len().to_string());
    let told = post(&house, CHAT, &chat("best")).await;
    assert_eq!(told.status, 503, "{}", told.body);
    assert_eq!((told.header("retry-after"), told.header("retry-after-ms")), ("2", "2000"));
    let error = &told.body["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("exhausted")));
    assert_eq!(told.body["pointsman"]["attempts"][0]["deployment"], json!(deployment("best")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_in_openais_shape() {
    let house = House::start(instant_models()).await;
    let check = async |body: Value, status: u16, code: &str, param: Value| {
        let told = post(&house, CHAT, &body).await;
        let error = &told.body["error"];
        let told = (told.status, &error["code"], &error["param"]);
        assert_eq!(told, (status, &json!(code), &param), "{error}");
        assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
    };
    let bad = "invalid_request";
    check(json!({"model": "auto"}), 400, bad, json!("messages")).await;
    check(with(chat("auto"), "temperature", json!(9)), 400, bad, json!("temperature")).await;
    check(with(chat("auto"), "n", json!(2)), 400, bad, json!("n")).await;
    check(chat("auto:quick"), 400, bad, json!("model")).await;
    check(chat("bset"), 404, "model_not_found", json!("model")).await;
    let models = with(chat("auto"), "models", json!(["best", "zzz"]));
    check(models, 404, "model_not_found", json!("models[1]")).await;
    let own = with(chat("auto"), "pointsman", json!({"budget": {"max_cost_usd": -1}}));
    check(own, 400, bad, json!("pointsman.budget.max_cost_usd")).await;
    let own = with(chat("auto"), "pointsman", json!({"candidates": {"deny": ["zz"]}}));
    check(own, 400, bad, json!("pointsman.candidates.deny[0]")).await;
    let deny = json!({"candidates": {"deny": ["best", "middle", "small"]}});
    check(with(chat("auto"), "pointsman", deny), 422, "no_candidate", Value::Null).await;
    let long = "x".repeat(10 << 20);
    let long = json!({"messages": [{"role": "user", "content": long}]});
    check(long, 400, bad, json!("messages")).await;
    assert_eq!(house.simulator.calls(), []);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_before_it_is_read() {
    let house = House::start(instant_models()).await;
    let url = format!("http://{}{CHAT}", house.address);
    let check = async |kind: &str, body: Vec<u8>, status: u16, part: &str| {
        let request = http_client().post(&url).header("content-type", kind).body(body);
        let told = Told::of(request).await;
        let message = told.body["error"]["message"].as_str().unwrap();
        assert_eq!(told.status, status, "{message}");
        assert!(message.contains(part) && !message.contains("secret"), "{message}");
    };
    let json = "application/json";
    check(json, b"{\"model\":\n secret}".to_vec(), 400, "line 2, column 2").await;
    check(json, b"[1]".to_vec(), 400, "must be a JSON object").await;
    check(json, "[".repeat(1_000).into_bytes(), 400, "nested too deeply").await;
    check("text/plain", b"{}".to_vec(), 415, "application/json").await;
    let told = get(&house, CHAT).await;
    assert_eq!((told.status, &told.body["error"]["code"]), (405, &json!("wrong_method")));
    let told = get(&house, "/v1/secret").await;
    assert_eq!((told.status, &told.body["error"]["code"]), (404, &json!("unknown_path")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_ranking_and_health_have_their_paths() {
    let house = House::start(instant_models()).await;
    let told = get(&house, "/v1/models").await;
    let data = told.body["data"].as_array().unwrap();
    let ids: Vec<_> = data.iter().map(|it| it["id"].as_str().unwrap()).collect();
    let autos = ["auto", "auto:quality", "auto:balanced", "auto:cost", "auto:latency"];
    assert_eq!(ids, [&autos[..], &["best", "middle", "small"]].concat());
    let told = get(&house, "/v1/models/middle").await;
    assert_eq!(told.body["deployments"][0]["id"], json!(deployment("middle")));
    let told = get(&house, "/v1/models/some/midle").await;
    assert_eq!((told.status, &told.body["error"]["code"]), (404, &json!("model_not_found")));
    let told = post(&house, "/v1/rank", &chat("auto")).await;
    assert_eq!(told.body["ranking"][0]["model"], "best", "{}", told.body);
    assert_eq!((&told.body["refusal"], told.status), (&Value::Null, 200));
    let told = post(&house, "/v1/feedback", &json!({"scroe": 1, "kind": "x"})).await;
    let message = told.body["error"]["message"].as_str().unwrap();
    assert_eq!(told.status, 400);
    for part in ["kind: no such kind", "scroe: no such field; did you mean `score`", "decision_id"]
    {
        assert!(message.contains(part), "{message}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(get(&house, path).await.status, 200);
    }
    assert_eq!((house.simulator.calls().len(), house.stored("outcome")), (0, 0));
    house.stop().await;
}
