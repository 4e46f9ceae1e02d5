//! Which way a request takes: conditions in nested routes, weights, sessions, names.

use futures_util::{StreamExt, stream};
use pointsman::outcome::{OutcomeReader, differences};
use serde_json::{Value, json};

use crate::station::Station;

const NESTED: &str = r#"
[[route]]
name = "desk"
strategy = "conditional"

[[route.target]]
name = "paid"
when = { metadata.plan = ["paid", "pro"], not = { stream = true } }
strategy = "conditional"

[[route.target.target]]
name = "long"
when = { any = [{ input_tokens = { gt = 500 } }, { max_output_tokens = { gte = 1000 } }] }
model = "a"

[[route.target.target]]
model = "b"

[[route.target]]
name = "tools"
when = { tools = true }
deployment = "c@one"

[[route.target]]
name = "by name"
when = { model = { matches = "^fast" }, quality = { a = { gt = 0.5 } } }
model = "d"

[[route.target]]
name = "rest"
model = "auto"
candidates = ["b", "c"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn conditions_lead_through_nested_routes() {
    let station = Station::with("route = \"desk\"", NESTED).await;
    let check = async |fields: Value, wanted: &str, branch: &[&str]| {
        let came = station.ask(fields.clone(), &[]).await;
        assert_eq!((came.status, came.end()), (200, wanted), "{fields}: {}", came.body);
        assert_eq!(came.branch(), branch, "{fields}");
    };
    let plan = |it: &str| json!({ "metadata": { "plan": it } });
    check(json!({}), "b@one", &["rest"]).await;
    check(plan("free"), "b@one", &["rest"]).await;
    check(plan("paid"), "b@one", &["paid", "b"]).await;
    check(plan("pro"), "b@one", &["paid", "b"]).await;
    let mut long = plan("paid");
    long["max_tokens"] = 2_000.into();
    check(long, "a@one", &["paid", "long"]).await;
    let mut wordy = plan("paid");
    let words = "the river and the mill ".repeat(200);
    wordy["messages"] = json!([{ "role": "user", "content": words }]);
    check(wordy, "a@one", &["paid", "long"]).await;
    let tool = json!({ "type": "function", "function": { "name": "look", "parameters": {} } });
    check(json!({ "tools": [tool] }), "c@one", &["tools"]).await;
    station.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_named_by_header_body_model_or_grpc() {
    let routes = format!("{NESTED}\n[[route]]\nname = \"last\"\ndeployment = \"d@two\"\n");
    let mut station = Station::with("", &routes).await;
    let ends = async |fields: Value, headers: &[(&str, &str)]| {
        station.ask(fields, headers).await.end().to_owned()
    };
    assert_eq!(ends(json!({}), &[]).await, "a@one", "no route is the default");
    assert_eq!(ends(json!({}), &[("x-pointsman-route", "last")]).await, "d@two");
    assert_eq!(ends(json!({ "pointsman": { "route": "last" } }), &[]).await, "d@two");
    assert_eq!(ends(json!({ "model": "route:last" }), &[]).await, "d@two");
    // On a route, the model is what its conditions look at.
    let named = json!({ "model": "fast-one", "pointsman": { "route": "desk" } });
    assert!(ends(named, &[]).await.starts_with("d@"));
    let wrong = station.ask(json!({ "model": "route:lost" }), &[]).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.to_string().contains("did you mean `last`"), "{}", wrong.body);
    let both = json!({ "pointsman": { "route": "last", "candidates": { "order": ["a"] } } });
    assert_eq!(station.ask(both, &[]).await.status, 400);
    let mut wire = crate::support::ask("hello");
    wire.route = Some("last".into());
    let answer = station.house.client.route(wire).await.unwrap().into_inner();
    assert_eq!(answer.deployment, "d@two");
    let decision = answer.decision.unwrap();
    assert_eq!(decision.route.unwrap().name, "last");
    assert_eq!(decision.ranking[0].target.as_deref(), Some(""));
    station.house.stop().await;
}

const CANARY: &str = r#"
[[route]]
name = "canary"
strategy = "loadbalance"

[[route.target]]
model = "a"
weight = 0.7

[[route.target]]
name = "new"
model = "b"
weight = 0.2

[[route.target]]
model = "c"
weight = 0.1
"#;

const DRAWN: usize = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_load_balance_keeps_its_weights_and_its_sessions() {
    let station = Station::with("route = \"canary\"", CANARY).await;
    let url = format!("http://{}/v1/rank", station.house.address);
    let client = crate::support::http_client();
    let rank = |number: usize| {
        let body = json!({ "messages": [{ "role": "user", "content": format!("{number}") }] });
        let request = client.post(&url).json(&body);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let all: Vec<_> = stream::iter(0..DRAWN).map(rank).buffer_unordered(16).collect().await;
    for (model, share) in [("a", 0.7), ("b", 0.2), ("c", 0.1)] {
        let mine = |it: &&Value| it["ranking"][0]["model"] == model;
        let count = all.iter().filter(mine).count();
        let off = count as f64 / DRAWN as f64 - share;
        assert!(off.abs() < 0.02, "{model}: {count} of {DRAWN}");
        let told = all.iter().find(mine).unwrap()["ranking"][0]["propensity"].as_f64().unwrap();
        assert!((told - share).abs() < 1e-9, "{told}");
    }
    let ends = async |session: &str| {
        let fields = json!({ "pointsman": { "session_id": session } });
        station.ask(fields, &[]).await.end().to_owned()
    };
    let mut seen = std::collections::BTreeSet::new();
    for session in 0..12 {
        let (first, second) = (ends(&session.to_string()).await, ends(&session.to_string()).await);
        assert_eq!(first, second, "a session stays where it is");
        seen.insert(first);
    }
    assert!(seen.len() > 1, "{seen:?}");
    station.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_decision_on_a_route_can_be_made_again_from_its_record() {
    let station = Station::with("", &format!("{NESTED}{CANARY}")).await;
    for (at, route) in ["desk", "canary", "desk", "canary", "canary"].into_iter().enumerate() {
        let plan = if at == 0 { "paid" } else { "free" };
        let came = station.on(route, json!({ "metadata": { "plan": plan } })).await;
        assert_eq!(came.status, 200, "{}", came.body);
    }
    let store = station.house.store.clone();
    let mut routes = Vec::new();
    let reader = OutcomeReader::open(&store).unwrap();
    reader
        .for_each(|it| {
            let record = it.unwrap().record;
            assert_eq!(differences(&record), []);
            let mut wrong = record.clone();
            wrong.policy.route = None;
            assert!(!differences(&wrong).is_empty());
            let taken = record.route.unwrap();
            routes.push(format!("{} {}", taken.route, taken.branch.join(" ")));
        })
        .unwrap();
    routes.sort();
    assert_eq!(routes.len(), 5);
    assert!(routes.iter().any(|it| it == "desk paid b"), "{routes:?}");
    assert_eq!(routes.iter().filter(|it| it.starts_with("canary ")).count(), 3);
    station.house.stop().await;
}
