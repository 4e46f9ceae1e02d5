//! OpenRouter's request as its documentation writes it, with only the address changed.

use pointsman::outcome::differences;
use serde_json::{Value, json};

use crate::town::{
    CHAT, LLAMA, MIXTRAL, Plan, chat, house, id, json_snippet, model_id, post, records,
};

fn attempts(told: &Value) -> Vec<&str> {
    let attempts = told["pointsman"]["attempts"].as_array();
    attempts.unwrap().iter().map(|it| it["deployment"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_providers_are_fallen_back_along_as_they_are_named() {
    let house = house(&Plan::PLAIN).await;
    let body = json_snippet("fallback");
    let (status, told) = post(&house, CHAT, &body).await;
    assert_eq!((status, &told["model"]), (200, &json!(LLAMA)), "{told}");
    assert_eq!(attempts(&told), [id(LLAMA, "together")]);
    let cost = told["usage"]["cost"].as_f64().unwrap();
    let tokens = told["usage"]["total_tokens"].as_f64().unwrap();
    assert!((cost - tokens / 1e6).abs() < 1e-12, "{told}");

    house.simulator.set_down(&model_id(LLAMA, "together")).unwrap();
    let (_, told) = post(&house, CHAT, &body).await;
    let reached = attempts(&told).last().copied().map(str::to_owned);
    assert_eq!(reached, Some(id(LLAMA, "deepinfra")), "{told}");

    for name in ["deepinfra", "fireworks"] {
        house.simulator.set_down(&model_id(LLAMA, name)).unwrap();
    }
    let patient = json!({"fallback": {"candidates_max": 5}});
    let mut body = body;
    body["pointsman"] = patient;
    let (status, told) = post(&house, CHAT, &body).await;
    // The server's own limit is three candidates: the models after them are not reached.
    assert_eq!(status, 503, "{told}");
    body["provider"]["ignore"] = json!(["fireworks", id(LLAMA, "deepinfra")]);
    let (status, told) = post(&house, CHAT, &body).await;
    assert_eq!((status, &told["model"]), (200, &json!(MIXTRAL)), "{told}");
    let records = records(&house.store);
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|it| differences(it).is_empty()));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_fallbacks_only_the_first_is_tried() {
    let house = house(&Plan::PLAIN).await;
    let asked = |provider: Value| {
        let mut body = chat(LLAMA);
        body["provider"] = provider;
        body
    };
    let called = |name: &str| {
        let model = model_id(LLAMA, name);
        house.simulator.calls().iter().filter(|it| it.model_id == model).count()
    };
    let alone = asked(json!({"allow_fallbacks": false, "sort": "price"}));
    let (_, told) = post(&house, CHAT, &alone).await;
    assert_eq!(attempts(&told), [id(LLAMA, "together")]);
    house.simulator.set_down(&model_id(LLAMA, "together")).unwrap();
    let (status, told) = post(&house, CHAT, &alone).await;
    assert_eq!(status, 503, "{told}");
    assert!(attempts(&told).iter().all(|it| *it == id(LLAMA, "together")));
    assert_eq!((called("deepinfra"), called("fireworks")), (0, 0));
    // With an order, those in it are tried and nobody else.
    let two = asked(json!({"order": ["together", "fireworks"], "allow_fallbacks": false}));
    let (status, told) = post(&house, CHAT, &two).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["pointsman"]["provider"], "fireworks");
    house.simulator.set_down(&model_id(LLAMA, "fireworks")).unwrap();
    let (status, told) = post(&house, CHAT, &two).await;
    assert_eq!((status, called("deepinfra")), (503, 0), "{told}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_of_a_stream_stands_in_its_usage() {
    let house = house(&Plan::PLAIN).await;
    let mut body = chat(LLAMA);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body["usage"] = json!({"include": true});
    let request = crate::support::http_client().post(format!("http://{}{CHAT}", house.address));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let text = request.send().await.unwrap().text().await.unwrap();
    let chunks = text.lines().filter_map(|it| it.strip_prefix("data: "));
    let mut chunks = chunks.filter_map(|it| serde_json::from_str::<Value>(it).ok());
    let told = chunks.rfind(|it| it["usage"].is_object()).unwrap();
    let (cost, all) = (told["usage"]["cost"].as_f64(), told["pointsman"]["cost_usd"].as_f64());
    assert!(cost.is_some_and(|it| it > 0.0) && cost == all, "{told}");
    house.stop().await;
}
