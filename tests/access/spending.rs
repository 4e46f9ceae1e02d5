//! For how much: limits hold to the last cent, before every attempt, over restarts and for teams.

use futures_util::future::join_all;
use pointsman::access::{SpendLimits, Spending};
use pointsman::api::proto;
use pointsman::domain::Usd;
use pointsman::simulator::{FaultRates, parse_fault};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::desk::{CHAT, Desk, Key, MESSAGES, RESPONSES, body_for, now_s, start};
use crate::support::{ask, failure_of, instant_models};

fn usd(amount: f64) -> Usd {
    Usd::new(amount).unwrap()
}

fn daily(desk: &mut Desk, team: &str, amount: f64) -> Key {
    let limits = SpendLimits { per_day: Some(usd(amount)), per_month: None };
    desk.key(team, |it| it.spend = limits)
}

/// What the store knows of a team's spending this month.
fn spent(desk: &Desk, team: &str) -> Usd {
    Spending::read(&desk.store, now_s() * 1_000).unwrap().of_team(team).month
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_purse_is_refused_with_the_limit_and_its_end_in_every_dialect() {
    let mut desk = Desk::open().await;
    let key = daily(&mut desk, "search", 1e-9);
    for path in [CHAT, MESSAGES, RESPONSES] {
        let told = desk.post(path, &key.text, &body_for(path, "auto")).await;
        assert_eq!(told.status, 429, "{}", told.body);
        let error = &told.body["error"];
        assert_eq!(error["type"], json!("rate_limit_error"), "{path}");
        assert!(error["message"].as_str().unwrap().contains("per day"), "{error}");
        let facts = &told.body["pointsman"]["facts"];
        assert_eq!(facts["limit"], json!("key_spend_per_day"));
        let reset: u64 = facts["resets_in_s"].as_str().unwrap().parse().unwrap();
        let wait: u64 = told.header("retry-after").parse().unwrap();
        assert!(reset < 86_400 && wait.abs_diff(reset) <= 1, "{wait} {reset}");
    }
    let status = desk.route(&key.text, ask("Which is heavier?")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "SPEND_LIMIT_EXCEEDED");
    assert!(status.get_details_retry_info().is_some());
    assert!(failure_of(&status).attempts.is_empty());
    let mut stream = body_for(CHAT, "auto");
    stream["stream"] = json!(true);
    assert_eq!(desk.post(CHAT, &key.text, &stream).await.status, 429);
    assert!(desk.house.simulator.calls().is_empty());
    assert!(desk.records().iter().all(|it| it.end == "spend_limit" && it.attempts.is_empty()));
    let sample = "pointsman_limit_refusals_total{limit=\"key_spend_per_day\"}";
    assert_eq!(desk.metric(sample).await, 5.0);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_paid_is_passed_over_before_every_attempt() {
    let mut models = instant_models();
    models[1].faults = FaultRates::always(parse_fault("status:503").unwrap());
    let mut desk = Desk::with(models, "", |it| it).await;
    // At most 4096 tokens: the best may cost 0.062 USD, the middle one 0.009, the small one 0.002.
    let key = daily(&mut desk, "search", 0.03);
    let answer = desk.route(&key.text, ask("Which is heavier?")).await.unwrap();
    let tried: Vec<_> = answer.attempts.iter().map(|it| it.deployment.as_str()).collect();
    assert_eq!(answer.served_model, "small", "{tried:?}");
    assert!(tried.iter().all(|it| !it.starts_with("best")), "{tried:?}");
    assert!(tried[0].starts_with("middle"), "{tried:?}");
    assert_eq!(spent(&desk, "search"), usd(answer.cost_usd));
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_shares_its_money_and_a_restart_forgets_nothing() {
    let mut desk = Desk::open().await;
    let [a, b] = [0, 1].map(|_| desk.key("search", |_| {}));
    let other = desk.key("ads", |_| {});
    let first = desk.route(&a.text, ask("Which is heavier?")).await.unwrap().cost_usd;
    assert_eq!(spent(&desk, "search"), usd(first));
    // What one answer may cost at the most is more than twice what this one did cost.
    let limits = SpendLimits { per_day: None, per_month: Some(usd(first * 2.0)) };
    desk.store.limit_team("search", &limits).unwrap();
    desk.refresh();
    for key in [&a, &b] {
        assert_eq!(desk.code(&key.text).await.0, Code::ResourceExhausted);
    }
    assert_eq!(desk.code(&other.text).await.0, Code::Ok);
    let enough = SpendLimits { per_month: Some(usd(first + 0.07)), ..limits };
    desk.store.limit_team("search", &enough).unwrap();
    desk.refresh();
    assert_eq!(desk.code(&b.text).await.0, Code::Ok);
    let both = spent(&desk, "search");
    assert!(both > usd(first), "{both}");
    let tight = SpendLimits { per_month: Some(usd(both.get() + 0.05)), ..limits };
    desk.house.stop().await;
    let house = start(instant_models(), &desk.path, "", |it| it).await;
    let mut after = Desk { house, ..desk };
    after.store.limit_team("search", &tight).unwrap();
    after.refresh();
    // With nothing spent yet, 0.05 USD more than that would do for a best one's 0.062.
    let request = crate::desk::body_for(CHAT, "best");
    let told = after.post(CHAT, &a.text, &request).await;
    assert_eq!(told.status, 429, "{}", told.body);
    assert_eq!(told.body["pointsman"]["facts"]["limit"], json!("team_spend_per_month"));
    after.house.stop().await;
}

/// Twenty times the usual prices: an answer costs about a cent and a half.
fn dear(text: String) -> String {
    text.replace("input = 3.0, output = 15.0", "input = 60.0, output = 300.0")
}

/// One request of the race, by one of three ways; what it cost, if it was answered.
async fn race(desk: &Desk, key: &Key, number: usize) -> Option<f64> {
    let mut body = body_for(CHAT, "best");
    body["max_tokens"] = json!(60);
    match number % 3 {
        0 => {
            let told = desk.post(CHAT, &key.text, &body).await;
            assert!(matches!(told.status, 200 | 429), "{}", told.body);
            told.body["pointsman"]["cost_usd"].as_f64().filter(|_| told.status == 200)
        }
        1 => {
            body["stream"] = json!(true);
            let told = desk.post(CHAT, &key.text, &body).await;
            assert!(matches!(told.status, 200 | 429), "{}", told.body);
            let text = told.body.as_str().unwrap_or_default();
            let cost = text.rsplit_once("\"cost_usd\":").map(|(_, it)| it)?;
            // The last of them is the sum; those of attempts stand before it.
            cost.split([',', '}']).next()?.parse().ok().filter(|_| told.status == 200)
        }
        _ => {
            let candidates =
                proto::Candidates { order: vec!["best".to_owned()], ..Default::default() };
            let sampling = proto::Sampling { max_output_tokens: Some(60), ..Default::default() };
            let request = proto::RouteRequest {
                candidates: Some(candidates),
                sampling: Some(sampling),
                ..ask("Which is heavier?")
            };
            let told = desk.route(&key.text, request).await;
            told.map_err(|it| assert_eq!(it.code(), Code::ResourceExhausted))
                .ok()
                .map(|it| it.cost_usd)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_callers_race_for_the_last_dollar_and_it_is_spent_once() {
    let mut desk = Desk::with(instant_models(), "", dear).await;
    let key = daily(&mut desk, "search", 1.0);
    let racing = (0..200).map(|number| race(&desk, &key, number));
    let mut answered: Vec<f64> = join_all(racing).await.into_iter().flatten().collect();
    // What reservations kept from the last of them is still there to be spent.
    while let Some(cost) = race(&desk, &key, 0).await {
        answered.push(cost);
    }
    let told: Usd = answered.iter().map(|it| usd(*it)).sum();
    assert!(told <= usd(1.0), "{told}");
    // Less than one call's most is left: 60 tokens at 300 USD per million and the prompt's bytes.
    assert!(usd(1.0).less(told) < usd(0.022), "{told} of {} answers", answered.len());
    assert_eq!(spent(&desk, "search"), told, "the store");
    let records = desk.records();
    let logged: Usd = records.iter().map(|it| it.cost_usd).sum();
    assert_eq!(logged, told, "the outcome log");
    let file = rusqlite::Connection::open(&desk.house.store).unwrap();
    let sql = "SELECT sum(cost_picousd) FROM outcome \
               WHERE json_extract(record, '$.caller.key') = ?1";
    let by_key: i64 = file.query_row(sql, [&key.id], |it| it.get(0)).unwrap();
    assert_eq!(by_key.unsigned_abs(), told.picousd(), "by key, as the page says");
    assert!(records.len() > 200);
    desk.house.stop().await;
}
