//! Every wish excludes whom it should, and says why.

use pointsman::api::proto;
use serde_json::{Value, json};

use crate::support::ask;
use crate::town::{
    CHAT, LLAMA, MIXTRAL, Plan, chat, house, id, json_snippet, post, ranked, snippet,
};

fn with(provider: Value) -> Value {
    let mut body = chat(LLAMA);
    body["provider"] = provider;
    // A parameter that one of them lacks.
    body["seed"] = json!(1);
    body
}

fn own(budget: Value) -> Value {
    let mut body = chat(LLAMA);
    body["pointsman"] = json!({ "budget": budget });
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_excludes_with_its_reason() {
    let house = house(&Plan::PLAIN).await;
    let cases: [(Value, &[&str], &str); 13] = [
        (with(json!({"only": ["deepinfra"]})), &["together", "fireworks"], "provider_only"),
        (
            with(json!({"only": [id(LLAMA, "fireworks")]})),
            &["together", "deepinfra"],
            "provider_only",
        ),
        (with(json!({"ignore": ["Together"]})), &["together"], "provider_ignore"),
        (with(json!({"require_parameters": true})), &["fireworks"], "require_parameters"),
        (with(json!({"data_collection": "deny"})), &["deepinfra", "fireworks"], "data_collection"),
        (with(json!({"zdr": true})), &["deepinfra", "fireworks"], "zdr"),
        (with(json!({"quantizations": ["fp8"]})), &["deepinfra", "fireworks"], "quantizations"),
        (with(json!({"quantizations": ["bf16", "unknown"]})), &["together"], "quantizations"),
        (with(json!({"max_price": {"prompt": 2.5}})), &["fireworks"], "max_price"),
        (
            with(json!({"max_price": {"completion": "1", "request": 0, "image": 0}})),
            &["deepinfra", "fireworks"],
            "max_price",
        ),
        (
            with(json!({"order": ["deepinfra"], "allow_fallbacks": false})),
            &["together", "fireworks"],
            "allow_fallbacks",
        ),
        (own(json!({"max_inter_token_ms": 10})), &["together"], "max_inter_token_ms"),
        (own(json!({"min_throughput": 300})), &["together", "fireworks"], "min_throughput"),
    ];
    for (body, wanted, limit) in cases {
        let (order, excluded) = ranked(&house, &body).await;
        let out = excluded.iter().filter(|(it, _)| it.starts_with(LLAMA));
        let out: Vec<_> = out.map(|(it, limits)| (it.clone(), limits.clone())).collect();
        let wanted: Vec<_> =
            wanted.iter().map(|it| (id(LLAMA, it), vec![limit.to_owned()])).collect();
        assert_eq!(out.len(), wanted.len(), "{body}: {out:?}");
        assert!(wanted.iter().all(|it| out.contains(it)), "{body}: {out:?}");
        assert_eq!(order.len() + wanted.len(), 3, "{body}");
    }
    let mut strict = chat("auto");
    strict["provider"] = json_snippet("deny");
    let (order, _) = ranked(&house, &strict).await;
    assert_eq!(order.len(), 2);
    assert!(order.iter().all(|it| it.ends_with("@together")), "{order:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_left_is_refused_and_nothing_is_called() {
    let house = house(&Plan::PLAIN).await;
    let (status, told) =
        post(&house, CHAT, &with(json!({"zdr": true, "only": ["fireworks"]}))).await;
    assert_eq!((status, &told["error"]["code"]), (422, &json!("no_candidate")), "{told}");
    assert!(told.to_string().contains("zdr"), "{told}");
    assert!(house.simulator.calls().is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_told_in_every_dialect() {
    let house = house(&Plan::PLAIN).await;
    let prompt = json!([{"role": "user", "content": "hello"}]);
    let bodies = [
        (CHAT, json!({"model": LLAMA, "messages": prompt})),
        ("/v1/messages", json!({"model": LLAMA, "messages": prompt, "max_tokens": 9})),
        ("/v1/responses", json!({"model": LLAMA, "input": "hello"})),
    ];
    let cases = [
        (json!({"order": ["together", "fireworx"]}), "provider.order[1]", "fireworks"),
        (json!({"ordr": []}), "provider.ordr", "did you mean `order`"),
        (json!({"data_collection": "no"}), "provider.data_collection", "allow, deny"),
        (json!({"quantizations": ["fp9"]}), "provider.quantizations[0]", "fp8"),
        (json!({"sort": "cost"}), "provider.sort", "price, throughput"),
        (json!({"max_price": {"prompt": -1}}), "provider.max_price.prompt", "zero or more"),
    ];
    for (path, body) in bodies {
        for (provider, field, part) in &cases {
            let mut body = body.clone();
            body["provider"] = provider.clone();
            let (status, told) = post(&house, path, &body).await;
            let text = told.to_string();
            assert_eq!(status, 400, "{path} {provider}: {text}");
            assert!(text.contains(field) && text.contains(part), "{path} {provider}: {text}");
        }
        let mut body = body;
        body["provider"] = json!({"only": ["deepinfra"]});
        let (status, told) = post(&house, path, &body).await;
        assert_eq!(status, 200, "{told}");
    }
    let models = house.simulator.calls().into_iter().map(|it| it.model_id);
    assert!(models.into_iter().all(|it| it.ends_with("deepinfra")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_has_the_same_wishes() {
    let mut house = house(&Plan::PLAIN).await;
    let asked = |provider| {
        let candidates = proto::Candidates { order: vec![LLAMA.to_owned()], ..Default::default() };
        let (candidates, provider) = (Some(candidates), Some(provider));
        proto::RouteRequest { candidates, provider, ..ask("Which is heavier?") }
    };
    let by = proto::ProviderSort { by: "ttft".into(), partition: String::new() };
    let wire = asked(proto::ProviderPreferences {
        ignore: vec!["fireworks".into()],
        sort: Some(by),
        ..Default::default()
    });
    let told = house.client.route(wire).await.unwrap().into_inner();
    assert_eq!(told.provider, "deepinfra");
    let decision = told.decision.unwrap();
    let limits: Vec<_> = decision.excluded.iter().flat_map(|it| &it.reasons).collect();
    assert!(limits.iter().any(|it| it.limit() == proto::Limit::ProviderIgnore));
    let wire = asked(proto::ProviderPreferences { only: vec!["x".into()], ..Default::default() });
    let refused = house.client.route(wire).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("provider.only[0]"), "{}", refused.message());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_wishes_hold_for_every_request() {
    // Without the header, which the plan has already.
    let text = snippet("policy").replacen("[policy]\n", "", 1);
    let policy: &'static str = Box::leak((text + "\n").into_boxed_str());
    let house = house(&Plan { policy, ..Plan::PLAIN }).await;
    let (order, excluded) = ranked(&house, &chat("auto")).await;
    assert_eq!(order, [id(LLAMA, "together"), id(MIXTRAL, "together")].map(|it| it.to_owned()));
    let limits: Vec<_> = excluded.iter().flat_map(|it| it.1.clone()).collect();
    assert!(limits.contains(&"provider_ignore".to_owned()), "{excluded:?}");
    assert!(limits.contains(&"data_collection".to_owned()), "{excluded:?}");
    let mut looser = chat("auto");
    looser["provider"] = json!({"data_collection": "allow", "ignore": []});
    assert_eq!(ranked(&house, &looser).await.0.len(), 2);
    house.stop().await;
}
