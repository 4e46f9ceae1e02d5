//! What follows a failure on a route: triggers, retries, timeouts, parameters of one's own.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Json, State};
use axum::routing::post;
use serde_json::{Value, json};

use crate::station::Station;
use crate::support;

const TWO: &str = r#"
[[route]]
name = "two"
strategy = "fallback"
on = [429, "overloaded"]

[[route.target]]
model = "c"
retry = 0

[[route.target]]
model = "a"

[[route]]
name = "all"
strategy = "fallback"
on = "any"

[[route.target]]
model = "c"
retry = { attempts = 0 }

[[route.target]]
model = "a"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_failures_lead_on() {
    let station = Station::with("", TWO).await;
    let check = async |route: &str, fault: &str, status: u16, end: &str, calls: &str| {
        station.script("c", fault);
        let came = station.on(route, json!({})).await;
        let found = (came.status, came.end(), came.calls());
        assert_eq!(found, (status, end, calls.to_owned()), "{route} {fault}: {}", came.body);
    };
    check("two", "status:503", 200, "a@one", "c a").await;
    check("two", "status:400", 400, "INVALID_REQUEST", "c").await;
    check("two", "empty", 502, "EMPTY_ANSWER", "c").await;
    check("all", "status:400", 200, "a@one", "c a").await;
    check("all", "empty", 200, "a@one", "c a").await;
    check("two", "status:404", 502, "MODEL_MISSING", "c").await;
    // Its breaker opens for this long; whoever cannot be called is passed over.
    check("two", "status:429:60s", 200, "a@one", "c a").await;
    let came = station.on("two", json!({})).await;
    assert_eq!((came.status, came.calls().as_str()), (200, "a"), "{}", came.body);
    station.house.stop().await;
}

const STUBBORN: &str = r#"
[[route]]
name = "stubborn"
strategy = "fallback"
on = "any"

[[route.target]]
model = "c"
retry = { attempts = 3, on = ["5xx", "empty_answer"] }

[[route.target]]
model = "d"
retry = { "5xx" = 2 }

[[route.target]]
model = "a"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_called_again_as_often_as_it_says() {
    let station = Station::with("attempts_max = 12", STUBBORN).await;
    let check = async |script: [(&str, &str); 2], calls: &str| {
        for (model, script) in script {
            station.script(model, script);
        }
        let came = station.on("stubborn", json!({})).await;
        let made = came.calls();
        assert_eq!((came.status, made.replace("@two", "").as_str()), (200, calls), "{made}");
        made
    };
    check([("c", "empty*3"), ("d", "")], "c c c c").await;
    check([("c", "status:400"), ("d", "")], "c d").await;
    // `d` is served twice: who was not called yet comes first.
    let made = check([("c", "status:422"), ("d", "status:500*2")], "c d d d").await;
    let made: Vec<_> = made.split(' ').collect();
    assert_ne!(made[1], made[2]);
    assert_eq!(made[1], made[3]);
    station.house.stop().await;
}

const HASTY: &str = r#"
[[route]]
name = "hasty"
strategy = "fallback"
on = ["timeout"]

[[route.target]]
model = "c"
timeout = "100ms"
retry = 0

[[route.target]]
model = "a"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_has_a_time_of_its_own() {
    let station = Station::with("", HASTY).await;
    station.script("c", "hang");
    let began = std::time::Instant::now();
    let came = station.on("hasty", json!({})).await;
    assert_eq!((came.status, came.calls().as_str()), (200, "c a"), "{}", came.body);
    assert_eq!(came.body["pointsman"]["attempts"][0]["failure"], "deadline");
    assert!(began.elapsed().as_secs() < 5);
    station.house.stop().await;
}

/// A provider that writes down what it was sent.
async fn scribe() -> (String, Arc<Mutex<Vec<Value>>>) {
    type Heard = Arc<Mutex<Vec<Value>>>;
    async fn answer(State(heard): State<Heard>, Json(body): Json<Value>) -> Json<Value> {
        heard.lock().unwrap().push(body);
        Json(json!({
            "choices": [{ "message": { "role": "assistant", "content": "Far." }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 9, "completion_tokens": 2 },
        }))
    }
    let heard = Heard::default();
    let paths = Router::new().route("/chat/completions", post(answer));
    let listener = support::listener().await;
    let address = listener.local_addr().unwrap();
    let served = axum::serve(listener, paths.with_state(Arc::clone(&heard)));
    tokio::spawn(served.into_future());
    (format!("http://{address}"), heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_targets_own_parameters_reach_its_provider() {
    let (url, heard) = scribe().await;
    let routes = format!(
        r#"
[[provider]]
name = "scribe"
protocol = "openai"
base_url = "{url}"

[[model]]
name = "e"
quality_prior = 0.5
context_window = 8000
[[model.deployment]]
provider = "scribe"
model_id = "e"
price = {{ input = 1, output = 1 }}

[[route]]
name = "calm"
strategy = "fallback"
override = {{ temperature = 0.2, seed = 4 }}

[[route.target]]
model = "e"
override = {{ temperature = 0.1, max_output_tokens = 50, stop = ["END"] }}
"#
    );
    let station = Station::with("", &routes).await;
    let fields = json!({ "temperature": 1.0, "max_tokens": 900, "top_p": 0.5 });
    let came = station.on("calm", fields).await;
    assert_eq!((came.status, came.end()), (200, "e@scribe"), "{}", came.body);
    let sent = heard.lock().unwrap().pop().unwrap();
    assert_eq!(sent["temperature"], 0.1, "{sent}");
    assert_eq!(sent["seed"], 4, "handed down");
    assert_eq!(sent["top_p"], 0.5, "the caller's own");
    assert_eq!(sent["stop"], json!(["END"]));
    let limit = sent.get("max_completion_tokens").or(sent.get("max_tokens"));
    assert_eq!(limit, Some(&json!(50)));
    station.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_take_routes_too() {
    let routes = format!(
        "{TWO}\n[[route]]\nname = \"by manner\"\nstrategy = \"conditional\"\ntarget = [\n\
         {{ when = {{ stream = true }}, route = \"two\" }}, {{ model = \"b\" }}]\n"
    );
    let station = Station::with("", &routes.replace("by manner", "manner")).await;
    station.script("c", "status:503");
    let body = json!({
        "model": "route:manner", "stream": true,
        "messages": [{ "role": "user", "content": "How far is it?" }],
    });
    let url = format!("http://{}/v1/chat/completions", station.house.address);
    let response = station.client.post(url).json(&body).send().await.unwrap();
    assert_eq!(response.headers()["x-pointsman-deployment"], "a@one");
    assert!(response.text().await.unwrap().contains("[DONE]"));
    assert_eq!(station.on("manner", json!({})).await.end(), "b@one");
    let called = station.called();
    assert_eq!((called["c"], called["a"], called["b"]), (1, 1, 1));
    station.house.stop().await;
}

const FALLBACKS: &str = r#"
[[model]]
name = "e"
quality_prior = 0.9
context_window = 131072
fallbacks = ["b"]
context_window_fallbacks = ["a"]
content_policy_fallbacks = ["c"]
retry = { attempts = 1 }
[[model.deployment]]
provider = "one"
model_id = "d"
price = { input = 1, output = 1 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_named_model_falls_back_by_the_kind_of_failure() {
    let station = Station::with("", FALLBACKS).await;
    let check = async |script: &str, calls: &str| {
        station.script("d", script);
        let came = station.ask(json!({ "model": "e" }), &[]).await;
        assert_eq!((came.status, came.calls().as_str()), (200, calls), "{script}: {}", came.body);
    };
    check("", "e").await;
    check("context_too_long", "e a").await;
    check("content_filter", "e c").await;
    check("status:500*2", "e e b").await;
    assert_eq!(station.called().get("d"), Some(&5));
    station.house.stop().await;
}
