//! The dashboard's JSON beside `/metrics`, the log and the key.

use std::net::SocketAddr;
use std::path::Path;

use pointsman::api::proto::{self, FeedbackKind, FeedbackRequest, ForcedFault};
use pointsman::simulator::Simulator;
use serde_json::{Value, json};

use crate::figures;
use crate::scrape::Scrape;
use crate::support::{House, ask, config_text, http_client, instant_models, prompt};

async fn get(house: &House, path: &str) -> (u16, Value) {
    let answer = http_client().get(format!("http://{}{path}", house.admin)).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn fine(house: &House, path: &str) -> Value {
    let (status, told) = get(house, path).await;
    assert_eq!(status, 200, "{path}: {told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_is_told_as_one() {
    let house = House::start(instant_models()).await;
    let told = fine(&house, "/api/overview").await;
    assert_eq!(told["requests"]["total"], 0.0);
    assert_eq!(told["fallbacks"]["rate"], Value::Null);
    assert_eq!(told["recent"]["frontier"]["policy"], Value::Null);
    assert_eq!(told["recent"]["latency"]["rows"], json!([]));
    assert_eq!(told["policy"]["preset"], "quality");
    assert_eq!(told["deployments"].as_array().unwrap().len(), 3);
    let page = fine(&house, "/api/requests").await;
    assert_eq!((&page["requests"], &page["next"]), (&json!([]), &Value::Null));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_metrics() {
    let house = figures::house().await;
    figures::traffic(&house).await;
    let answer = house.client.clone().route(ask(&prompt(50))).await.unwrap().into_inner();
    let request = FeedbackRequest {
        decision_id: answer.decision.unwrap().id,
        score: Some(0.25),
        kind: FeedbackKind::Explicit.into(),
        ..Default::default()
    };
    house.client.clone().feedback(request).await.unwrap();
    let (told, seen) = (fine(&house, "/api/overview").await, Scrape::of(&house).await);
    let check = |pointer: &str, name: &str, labels: &[&str]| {
        let (found, wanted) =
            (told.pointer(pointer).and_then(Value::as_f64), seen.sum(name, labels));
        assert_eq!(found, Some(wanted), "{pointer}");
        assert!(wanted > 0.0, "{pointer}: nothing to compare");
    };
    let served = r#"end="served""#;
    check("/requests/total", "pointsman_requests_total", &[]);
    check("/requests/served", "pointsman_requests_total", &[served]);
    let middle = r#"model="middle""#;
    check("/requests/served_by_model/middle", "pointsman_requests_total", &[served, middle]);
    check("/fallbacks/total", "pointsman_fallbacks_total", &[]);
    let malformed = [r#"why="malformed""#];
    check("/fallbacks/by_class/malformed", "pointsman_fallbacks_total", &malformed);
    check("/money/spent_usd", "pointsman_cost_usd_total", &[]);
    check("/money/always_best_usd", "pointsman_always_best_cost_usd_total", &[]);
    let quality = [r#"quantity="quality""#];
    check("/calibration/answers", "pointsman_compared_answers_total", &quality);
    check("/calibration/predicted_sum", "pointsman_predicted_total", &quality);
    let best = [r#"deployment="best@simulated""#, r#"class="answered""#];
    check("/deployments/0/attempts/answered", "pointsman_attempts_total", &best);
    let ended: u64 =
        told["traffic"]["ended"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert_eq!(Some(ended as f64), told["requests"]["total"].as_f64());
    assert_eq!(told["calibration"]["bins"][0]["realised"], 0.25);
    assert_eq!(told["deployments"][0]["breaker"], "closed");
    let frontier = &told["recent"]["frontier"];
    assert_eq!(frontier["always_best"], frontier["policy"], "the policy is quality");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_over_request_is_found_and_explained() {
    let house = figures::house().await;
    let fault = |target: &str, fault: &str| ForcedFault {
        target: target.to_owned(),
        fault: fault.to_owned(),
        ..Default::default()
    };
    let wire = proto::RouteRequest {
        faults: vec![fault("best", "malformed")],
        session_id: Some("s 1".to_owned()),
        metadata: [("team".to_owned(), "blue & co".to_owned())].into(),
        ..ask("a secret prompt")
    };
    let answer = house.client.clone().route(wire).await.unwrap().into_inner();
    house.client.clone().route(ask(&prompt(1))).await.unwrap();
    let id = answer.decision.unwrap().id;
    let filters = [
        "failed=malformed",
        "failed=any",
        "model=middle",
        "session=s+1",
        "metadata=team%3Dblue+%26+co",
        "end=served&model=middle&limit=1",
    ];
    for filter in filters {
        let page = fine(&house, &format!("/api/requests?{filter}")).await;
        let found = page["requests"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{filter}: {page}");
        assert_eq!(found[0]["decision_id"], id.as_str(), "{filter}");
        assert_eq!(found[0]["failures"], json!(["malformed"]));
    }
    assert_eq!(fine(&house, "/api/requests?model=small").await["requests"], json!([]));
    let told = fine(&house, &format!("/api/requests/{id}")).await;
    let classes: Vec<_> =
        told["attempts"].as_array().unwrap().iter().map(|it| &it["failure"]).collect();
    assert_eq!(classes, [&json!("malformed"), &Value::Null]);
    assert_eq!(told["ranking"][0]["deployment"], "best@simulated");
    assert_eq!(told["answer"]["deployment"], "middle@simulated");
    assert_eq!(told["answer"]["cost_usd"]["real"], told["attempts"][1]["cost_usd"]);
    assert_eq!(told["prompt"]["kept"], "hash");
    assert!(!told.to_string().contains("a secret prompt"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_told_with_its_place() {
    let house = House::start(instant_models()).await;
    let check = async |path: &str, wanted: u16, words: &str| {
        let (status, told) = get(&house, path).await;
        assert_eq!(status, wanted, "{path}: {told}");
        let message = told["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{path}: {message}");
    };
    check("/api/requests?limit=9999", 400, "limit: it must be 1 to 200").await;
    check("/api/requests?failed=sad&colour=red", 400, "colour").await;
    check("/api/requests?after=yesterday", 400, "after").await;
    check("/api/requests/x", 400, "decision").await;
    let unknown = "/api/requests/0197a4c2-6f1e-7c31-9b5f-2d1e8a4b7c60";
    check(unknown, 404, "no decision of this id").await;
    check("/api/nothing", 404, "no such path").await;
    check("/api/rank", 405, "method").await;
    let rank = http_client().post(format!("http://{}/api/rank", house.admin));
    let long = json!({"messages": [{"role": "user", "content": "x".repeat(2 << 20)}]});
    assert_eq!(rank.json(&long).send().await.unwrap().status(), 413);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playground_ranks_and_leaves_no_trace() {
    let house = House::start(instant_models()).await;
    let first = async |worth_usd: f64| {
        let preference = json!({"cost_per_quality_usd": worth_usd, "latency_per_quality_ms": 1e9});
        let body = json!({
            "model": "auto", "messages": [{"role": "user", "content": "hello"}],
            "pointsman": {"preference": preference},
        });
        let post = http_client().post(format!("http://{}/api/rank", house.admin)).json(&body);
        let told: Value = post.send().await.unwrap().json().await.unwrap();
        told["ranking"][0]["model"].as_str().unwrap().to_owned()
    };
    assert_eq!((first(10.0).await.as_str(), first(1e-9).await.as_str()), ("best", "small"));
    assert_eq!((house.stored("outcome"), house.simulator.calls().len()), (0, 0));
    assert_eq!(Scrape::of(&house).await.sum("pointsman_requests_total", &[]), 0.0);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_there_without_the_key_and_tells_nothing() {
    let config = |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        let text = config_text(&simulator.base_url(), listen, store);
        text.replace("[server]\n", "[server]\nadmin_key_env = \"ADMIN_KEY\"\n")
    };
    let house = House::with(instant_models(), config).await;
    let at = |path: &str| http_client().get(format!("http://{}{path}", house.admin));
    for path in ["/", "/dashboard/app.js", "/dashboard/base.css"] {
        let answer = at(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let text = answer.text().await.unwrap();
        assert!(!text.is_empty() && !text.contains("simulated"), "{path}");
    }
    for path in ["/api/overview", "/api/requests", "/api/nothing"] {
        assert_eq!(at(path).send().await.unwrap().status(), 401, "{path}");
        let shown = at(path).bearer_auth("house-key").send().await.unwrap();
        assert_eq!(shown.status() == 200, path != "/api/nothing", "{path}");
    }
    for path in ["/dashboard/../Cargo.toml", "/dashboard/%2e%2e/mod.rs", "/dashboard/page.rs"] {
        let answer = at(path).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 401 | 404), "{path}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_no_other_name_leads_here() {
    let house = House::start(instant_models()).await;
    let check = async |host: &str, wanted: u16| {
        let url = format!("http://{}/api/overview", house.admin);
        let answer = http_client().get(url).header("host", host).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), wanted, "{host}");
    };
    check("localhost:8081", 200).await;
    check("[::1]:8081", 200).await;
    check("rebound.example", 403).await;
    house.stop().await;
}

/// What a page refers to must be in this binary, and nothing else may be.
#[test]
fn the_page_names_only_files_that_there_are() {
    let folder = Path::new("src/api/dashboard/page");
    let mut named = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let served = |it: &str| it.strip_prefix("/dashboard/").map(|it| folder.join(it));
        for word in
            text.split('"').filter(|it| it.starts_with("/dashboard/") || it.starts_with("./"))
        {
            let file = served(word).unwrap_or_else(|| folder.join(word.trim_start_matches("./")));
            assert!(file.exists(), "{} names {word}", path.display());
            named += 1;
        }
        let own = ["http://www.w3.org/2000/svg"];
        let strange = text.split(['"', '\'', '`', ' ', '(']).filter(|it| it.starts_with("http"));
        let strange: Vec<_> = strange.filter(|it| !own.contains(it)).collect();
        assert!(strange.is_empty(), "{}: {strange:?}", path.display());
        assert!(!text.contains("innerHTML"), "{}", path.display());
    }
    assert!(named > 20, "{named}");
}
