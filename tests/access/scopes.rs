//! What a key may be used for: models, policies, decisions of its own team.

use pointsman::access::Scope;
use pointsman::api::proto;
use pointsman::domain::ModelName;
use pointsman::outcome::differences;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::desk::{CHAT, Desk, Key, MESSAGES, RESPONSES, body_for, shown};
use crate::support::{ask, deployment, instant_models};

const REFUSALS: &str = "pointsman_auth_refusals_total";

/// A key for these models, and for these policies.
fn scoped(desk: &mut Desk, team: &str, models: &[&str], policies: &[&str]) -> Key {
    let models = models.iter().map(|it| ModelName::new(it).unwrap()).collect();
    let policies = policies.iter().map(|it| (*it).to_owned()).collect();
    let (models, policies) = (Some(models), Some(policies));
    desk.key(team, |it| it.scope = Scope { models, policies, ..Scope::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn candidates_are_cut_to_the_keys_models_and_the_explanation_says_so() {
    let mut desk = Desk::open().await;
    let key = scoped(&mut desk, "search", &["middle", "small"], &[]);
    let mut body = body_for(CHAT, "auto");
    body["pointsman"] = json!({ "explain": true });
    let told = desk.post(CHAT, &key.text, &body).await;
    assert_eq!((told.status, &told.body["model"]), (200, &json!("middle")), "{}", told.body);
    let excluded = told.body["pointsman"]["excluded"].as_array().unwrap();
    let reasons: Vec<_> = excluded
        .iter()
        .map(|it| (it["deployment"].as_str().unwrap(), it["reasons"][0]["limit"].as_str().unwrap()))
        .collect();
    assert_eq!(reasons, [(deployment("best").as_str(), "key_scope")]);
    let told = told.body["pointsman"]["explanation"].as_str().unwrap();
    assert!(told.contains("not among the models of this API key"), "{told}");
    let request = proto::RouteRequest { explain: true, ..ask("Which is heavier?") };
    let response = desk.route(&key.text, request).await.unwrap();
    assert_eq!(response.served_model, "middle");
    let decision = response.decision.unwrap();
    assert_eq!(decision.excluded[0].reasons[0].limit(), proto::Limit::KeyScope);
    for record in desk.records() {
        let caller = record.caller.clone().unwrap();
        assert_eq!((caller.key, caller.team.as_str()), (key.id.clone(), "search"));
        assert_eq!(differences(&record), [], "the record replays");
    }
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_named_without_a_right_is_refused_in_every_dialect() {
    let mut desk = Desk::open().await;
    let key = scoped(&mut desk, "search", &["small"], &[]);
    for path in [CHAT, MESSAGES, RESPONSES] {
        let told = desk.post(path, &key.text, &body_for(path, "best")).await;
        assert_eq!(told.status, 403, "{path}: {}", told.body);
        let error = &told.body["error"];
        assert!(error["message"].as_str().unwrap().contains("`best`"), "{error}");
        let (kind, code) = match path {
            CHAT => ("invalid_request_error", json!("model_not_permitted")),
            RESPONSES => ("permission_error", json!("model_not_permitted")),
            _ => ("permission_error", Value::Null),
        };
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code), "{path}");
        assert_eq!(desk.post(path, &key.text, &body_for(path, "small")).await.status, 200);
    }
    let named = |order: &[&str], allow: &[&str]| {
        let names = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
        let (order, allow) = (names(order), names(allow));
        let candidates = Some(proto::Candidates { order, allow, ..Default::default() });
        proto::RouteRequest { candidates, ..ask("Which is heavier?") }
    };
    for request in [named(&["small", "best"], &[]), named(&[], &["best"])] {
        let status = desk.route(&key.text, request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), &info.metadata["model"][..]),
            ("MODEL_NOT_PERMITTED", "best")
        );
    }
    // A variant of a model is that model.
    let status = desk.route(&key.text, named(&["best:cheap"], &[])).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    for own in ["small", "small:cheap"] {
        assert!(desk.route(&key.text, named(&[own], &[])).await.is_ok(), "{own}");
    }
    let rank = proto::RankRequest { request: Some(named(&["best"], &[])) };
    let refused = desk.house.client.rank(shown(&key.text, rank)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(desk.metric(&format!("{REFUSALS}{{reason=\"model\"}}")).await, 7.0);
    assert!(desk.house.simulator.calls().iter().all(|it| it.model_id == "small"));
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_named_without_a_right_is_refused() {
    let mut desk = Desk::open().await;
    let key = scoped(&mut desk, "search", &["small", "best"], &["cost"]);
    let check = async |model: &str, preference: Value, wanted: u16| {
        let mut body = body_for(CHAT, model);
        if !preference.is_null() {
            body["pointsman"] = json!({ "preference": preference });
        }
        let told = desk.post(CHAT, &key.text, &body).await;
        assert_eq!(told.status, wanted, "{}", told.body);
        if wanted == 403 {
            assert_eq!(told.body["error"]["code"], json!("policy_not_permitted"));
        }
    };
    check("auto", Value::Null, 200).await;
    check("auto:cost", Value::Null, 200).await;
    check("auto:quality", Value::Null, 403).await;
    check("auto", json!("latency"), 403).await;
    check("auto", json!({"cost_per_quality_usd": 1.0}), 403).await;
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_the_models_that_it_may_use() {
    let mut desk = Desk::open().await;
    let key = scoped(&mut desk, "search", &["small"], &[]);
    let list = desk.send("/v1/models", ("x-api-key", &key.text), None).await.body;
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert!(names.contains(&&json!("small")) && !names.contains(&&json!("best")), "{names:?}");
    let best = desk.send("/v1/models/best", ("x-api-key", &key.text), None).await;
    assert_eq!(best.status, 404);
    let asked = shown(&key.text, proto::ListModelsRequest {});
    let told = desk.house.client.list_models(asked).await.unwrap().into_inner();
    let names: Vec<_> = told.models.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["small"]);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_teams_decision_is_as_unknown_as_nobodys() {
    let mut desk = Desk::open().await;
    let keys = [("search", 0), ("search", 1), ("ads", 2)].map(|(team, _)| desk.key(team, |_| {}));
    let answer = desk.route(&keys[0].text, ask("Which is heavier?")).await.unwrap();
    let decision_id = answer.decision.unwrap().id;
    let nobodys = "0190163d-8694-739b-aea5-966c26f8ad91".to_owned();
    let body = |id: &str| json!({"decision_id": id, "score": 1.0});
    let stranger = desk.post("/v1/feedback", &keys[2].text, &body(&decision_id)).await;
    let unknown = desk.post("/v1/feedback", &keys[2].text, &body(&nobodys)).await;
    assert_eq!((stranger.status, unknown.status), (404, 404));
    assert_eq!(stranger.body, unknown.body);
    let feedback = |key: &Key, decision_id: &str| {
        let (decision_id, score) = (decision_id.to_owned(), Some(1.0));
        shown(&key.text, proto::FeedbackRequest { decision_id, score, ..Default::default() })
    };
    let stranger = desk.house.client.feedback(feedback(&keys[2], &decision_id)).await.unwrap_err();
    let unknown = desk.house.client.feedback(feedback(&keys[2], &nobodys)).await.unwrap_err();
    assert_eq!((stranger.code(), stranger.message()), (unknown.code(), unknown.message()));
    assert_eq!(desk.metric(&format!("{REFUSALS}{{reason=\"other_team\"}}")).await, 2.0);
    // Another key of the same team may.
    let own = desk.house.client.feedback(feedback(&keys[1], &decision_id)).await.unwrap();
    assert!(own.into_inner().newly_stored);
    assert_eq!(desk.house.stored("feedback"), 1);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_its_teams_and_no_other_teams_of_the_same_name() {
    let mut desk = Desk::open().await;
    let [a, b] = [0, 1].map(|_| desk.key("search", |_| {}));
    let other = desk.key("ads", |_| {});
    let long = json!([{"role": "user", "content": "word ".repeat(1_500)}]);
    let session = json!({"session_id": "s"});
    let body = json!({"model": "best", "messages": long, "pointsman": session});
    let served = desk.post(CHAT, &a.text, &body).await;
    assert_eq!(served.status, 200, "{}", served.body);
    for (key, held) in [(&a, true), (&b, true), (&other, false)] {
        let told = desk.post("/v1/rank", &key.text, &body).await;
        let cached = &told.body["ranking"][0]["prediction"]["cached_tokens"];
        assert_eq!(cached.as_f64().unwrap() > 1_000.0, held, "{}", told.body);
    }
    // The log keeps the caller's own name for it.
    assert_eq!(desk.records()[0].session_id.as_deref(), Some("s"));
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_answer_is_for_the_key_that_got_it() {
    let mut desk = Desk::with(instant_models(), "", |text| text + "[cache]\n").await;
    let [own, other] = ["search", "search"].map(|team| desk.key(team, |_| {}).text);
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "My salary?"}]});
    let how = async |key: &str| {
        let told = desk.post("/v1/chat/completions", key, &body).await;
        assert_eq!(told.status, 200, "{told:?}");
        told.header("x-pointsman-cache").to_owned()
    };
    assert_eq!((how(&own).await, how(&other).await), (String::new(), String::new()));
    assert_eq!((how(&own).await.as_str(), how(&other).await.as_str()), ("hit", "hit"));
    assert_eq!(desk.house.simulator.calls().len(), 2);
    desk.house.stop().await;
}
