//! Answers that are given again, through both faces: who gets them, who does not, and what is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use pointsman::api::proto::{self, CacheUse, route_event::Event};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use support::{House, ask, config_text, http_client, instant_models};

async fn house(section: &str) -> House {
    House::with(instant_models(), |simulator, listen, store| {
        config_text(&simulator.base_url(), listen, store) + section
    })
    .await
}

/// An answer: its headers and JSON.
async fn post(house: &House, body: &Value, headers: &[(&str, &str)]) -> (HeaderMap, Value) {
    let url = format!("http://{}/v1/chat/completions", house.address);
    let request = http_client().post(url).header("content-type", "application/json");
    let request = headers.iter().fold(request, |it, (name, value)| it.header(*name, *value));
    let response = request.body(body.to_string()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (headers, text) = (response.headers().clone(), response.text().await.unwrap());
    (headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn chat(prompt: &str) -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn how(headers: &HeaderMap) -> &str {
    headers.get("x-pointsman-cache").map_or("", |it| it.to_str().unwrap())
}

fn content(body: &Value) -> &str {
    body["choices"][0]["message"]["content"].as_str().unwrap()
}

fn calls(house: &House) -> usize {
    house.simulator.calls().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_question_gets_its_answer_again_and_everybody_says_so() {
    let mut house = house("[cache]\n").await;
    let (headers, first) = post(&house, &chat("Why is it dark?"), &[]).await;
    assert_eq!((how(&headers), &first["pointsman"]["cached"]), ("", &Value::Null));
    let (headers, again) = post(&house, &chat("Why is it dark?"), &[]).await;
    assert_eq!((how(&headers), content(&again)), ("hit", content(&first)));
    assert!(headers.contains_key("age"));
    let own = &again["pointsman"];
    assert_eq!(own["cached"]["decision_id"], first["pointsman"]["decision_id"]);
    assert_ne!(own["decision_id"], first["pointsman"]["decision_id"]);
    assert_eq!((&own["cost_usd"], &own["attempts"]), (&json!(0.0), &json!([])));
    assert_eq!(again["model"], first["model"]);
    for (name, tokens) in first["usage"].as_object().unwrap() {
        let wanted = if name == "cost" { &json!(0.0) } else { tokens };
        assert_eq!(&again["usage"][name], wanted, "{name}");
    }

    let answer = house.client.route(ask("Why is it dark?")).await.unwrap().into_inner();
    assert!(answer.attempts.is_empty() && answer.cost_usd == 0.0 && answer.outcome_recorded);
    assert_eq!(answer.cached.unwrap().decision_id, first["pointsman"]["decision_id"]);
    assert_eq!(calls(&house), 1, "one question, one call");
    let rows = support::log_file(&house.store)
        .prepare("SELECT ended FROM outcome ORDER BY seq")
        .unwrap()
        .query_map([], |it| it.get::<_, String>(0))
        .unwrap()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert_eq!(rows, ["served", "cached", "cached"]);
    let metrics = http_client().get(format!("http://{}/metrics", house.admin));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("pointsman_cache_lookups_total{result=\"hit\"} 2"), "{metrics}");
    assert!(metrics.contains("pointsman_cache_lookups_total{result=\"miss\"} 1"), "{metrics}");
    assert!(metrics.contains("pointsman_cache_answers 1"), "{metrics}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_kept_and_kept_answers_are_streamed() {
    let mut house = house("[cache]\n").await;
    let streamed = |prompt| with(chat(prompt), "stream", json!(true));
    let (headers, told) = post(&house, &streamed("Why is it light?"), &[]).await;
    assert_eq!(how(&headers), "");
    let text = |told: &Value| {
        let lines = told.as_str().unwrap().lines().filter_map(|it| it.strip_prefix("data: "));
        let chunks = lines.filter_map(|it| serde_json::from_str::<Value>(it).ok());
        let piece = |it: Value| it["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
        chunks.filter_map(piece).collect::<String>()
    };
    let (headers, whole) = post(&house, &chat("Why is it light?"), &[]).await;
    assert_eq!((how(&headers), content(&whole)), ("hit", text(&told).as_str()));
    let (headers, again) = post(&house, &streamed("Why is it light?"), &[]).await;
    assert_eq!((how(&headers), text(&again)), ("hit", text(&told)));

    let mut stream = house.client.route_stream(ask("Why is it light?")).await.unwrap().into_inner();
    let (mut said, mut cached) = (String::new(), None);
    while let Some(event) = stream.message().await.unwrap() {
        match event.event.unwrap() {
            Event::Delta(proto::Delta { piece: Some(proto::delta::Piece::Text(it)) }) => {
                said.push_str(&it);
            }
            Event::Completed(it) => cached = it.cached,
            _ => {}
        }
    }
    assert_eq!((said, cached.is_some(), calls(&house)), (text(&told), true, 1));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_want_a_new_answer() {
    let mut house = house("[cache]\n").await;
    let asked = async |headers: &[(&str, &str)]| {
        let (headers, body) = post(&house, &chat("Which number?"), headers).await;
        (how(&headers).to_owned(), body["pointsman"]["decision_id"].to_string(), body)
    };
    let (_, first, _) = asked(&[]).await;
    assert_eq!(asked(&[("x-pointsman-cache", "off")]).await.0, "");
    assert_eq!(asked(&[("cache-control", "no-store")]).await.0, "");
    let (how_again, _, body) = asked(&[]).await;
    assert_eq!(
        (how_again.as_str(), body["pointsman"]["cached"]["decision_id"].to_string()),
        ("hit", first)
    );
    let (refreshed, newer, _) = asked(&[("cache-control", "no-cache")]).await;
    assert_eq!(refreshed, "");
    assert_eq!(asked(&[]).await.2["pointsman"]["cached"]["decision_id"].to_string(), newer);
    assert_eq!(calls(&house), 4);
    let mut request = ask("Which number?");
    request.set_cache(CacheUse::Off);
    assert_eq!(house.client.route(request.clone()).await.unwrap().into_inner().cached, None);
    request.cache = 77;
    let refused = house.client.route(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("cache"), "{refused}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_old_or_may_not_be_given_now_is_asked_for_anew() {
    let stale = house("[cache]\nttl = \"1ms\"\n").await;
    let mut hits = 0;
    for _ in 0..20 {
        let (headers, _) = post(&stale, &chat("What time is it?"), &[]).await;
        hits += usize::from(how(&headers) == "hit");
    }
    assert!(hits < 19 && calls(&stale) == 20 - hits, "{hits}");
    stale.stop().await;

    let house = house("[cache]\n").await;
    let explained = with(chat("Too dear?"), "pointsman", json!({"explain": true}));
    let (_, first) = post(&house, &explained, &[]).await;
    assert_eq!(first["model"], "best");
    // Between what the best and the next are sure to cost.
    let likely = |at: usize| &first["pointsman"]["ranking"][at]["prediction"]["cost_usd_p90"];
    let [best, next] = [0, 1].map(|it| likely(it).as_f64().unwrap());
    let capped = json!({"budget": {"max_cost_usd": (best * next).sqrt()}});
    let (headers, other) = post(&house, &with(chat("Too dear?"), "pointsman", capped), &[]).await;
    assert_eq!((how(&headers), &other["model"]), ("", &json!("middle")), "the best is too dear");
    let (headers, again) = post(&house, &chat("Too dear?"), &[]).await;
    assert_eq!((how(&headers), &again["model"]), ("", &json!("best")), "the kept one is worse");
    assert_eq!(how(&post(&house, &chat("Too dear?"), &[]).await.0), "hit");
    let tool = json!([{"type": "function", "function": {"name": "pay", "parameters": {"type": "object"}}}]);
    let tooled = with(chat("Pay!"), "tools", tool);
    for _ in 0..2 {
        assert_eq!(how(&post(&house, &tooled, &[]).await.0), "", "a tool may have effects");
    }
    let wanted = [("x-pointsman-cache", "tools")];
    post(&house, &tooled, &wanted).await;
    assert_eq!(how(&post(&house, &tooled, &wanted).await.0), "hit", "unless asked");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_nearly_the_same_gets_the_answer_where_the_operator_says_from_when_on() {
    let first = "What is the capital of the country in which the river Elbe ends?";
    let near = "what is the capital of the country in which the river Elbe ends";
    let far = "Write a sorting function in C and explain its worst case.";
    for (section, wanted) in [("[cache]\nsimilarity = 0.95\n", "near-hit"), ("[cache]\n", "")] {
        let house = house(section).await;
        post(&house, &chat(first), &[]).await;
        let (headers, body) = post(&house, &chat(near), &[]).await;
        assert_eq!(how(&headers), wanted, "{section}");
        let similarity = body["pointsman"]["cached"]["similarity"].as_f64();
        assert_eq!(similarity.is_some_and(|it| (0.95..=1.0001).contains(&it)), !wanted.is_empty());
        assert_eq!(how(&post(&house, &chat(far), &[]).await.0), "");
        let other_frame = with(chat(near), "temperature", json!(0.3));
        assert_eq!(how(&post(&house, &other_frame, &[]).await.0), "", "asked otherwise");
        house.stop().await;
    }
}
