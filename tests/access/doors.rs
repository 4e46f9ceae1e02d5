//! Who is let in, and what those who are not are told.

use std::time::{Duration, Instant};

use pointsman::access::{KeyId, KeyRow, Role};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tonic::Code;

use crate::desk::{CHAT, Desk, MESSAGES, RESPONSES, body_for, now_s};
use crate::support::{PATIENCE, http_client, instant_models};

const REFUSALS: &str = "pointsman_auth_refusals_total";

fn revoked(desk: &mut Desk, id: &str) {
    let id = KeyId::parse(id).unwrap();
    assert!(desk.store.revoke(&id, now_s()).unwrap());
    desk.refresh();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_every_face_and_a_bad_one_none_and_nothing_tells_which_kind_of_bad() {
    let mut desk = Desk::open().await;
    let good = desk.key("search", |_| {});
    let expired = desk.key("search", |it| it.expires_s = Some(now_s() - 1));
    let taken = desk.key("search", |_| {});
    revoked(&mut desk, &taken.id);
    let made_up = desk.unknown_key().text.expose_secret().to_owned();
    let forged = format!("{}{}", &good.text[..14], &made_up[14..]);
    let bad = [
        ("missing", ""),
        ("unknown", made_up.as_str()),
        ("forged", &forged),
        ("expired", &expired.text),
        ("revoked", &taken.text),
        ("unknown", "sk-somebody-elses"),
    ];
    for path in [CHAT, MESSAGES, RESPONSES] {
        let told = desk.post(path, &good.text, &body_for(path, "auto")).await;
        assert_eq!(told.status, 200, "{path}: {}", told.body);
        let mut all: Vec<Value> = Vec::new();
        for (_, key) in bad {
            let told = desk.post(path, key, &body_for(path, "auto")).await;
            assert_eq!((told.status, told.header("www-authenticate")), (401, "Bearer"), "{path}");
            assert_eq!(told.header("x-pointsman-decision"), "");
            all.push(told.body);
        }
        assert!(all.windows(2).all(|it| it[0] == it[1]), "{all:?}");
        let error = &all[0]["error"];
        let kind = if path == CHAT { "invalid_request_error" } else { "authentication_error" };
        assert_eq!(error["type"], json!(kind), "{path}");
        if path != MESSAGES {
            assert_eq!(error["code"], json!("invalid_api_key"), "{path}");
        }
    }
    assert_eq!(desk.code(&good.text).await.0, Code::Ok);
    let mut all = Vec::new();
    for (_, key) in bad {
        all.push(desk.code(key).await);
    }
    assert!(all.iter().all(|it| *it == all[0] && it.0 == Code::Unauthenticated), "{all:?}");
    // Four faces each; of "unknown" there were two kinds.
    for (reason, count) in
        [("missing", 4.0), ("unknown", 8.0), ("forged", 4.0), ("expired", 4.0), ("revoked", 4.0)]
    {
        let sample = format!("{REFUSALS}{{reason=\"{reason}\"}}");
        assert_eq!(desk.metric(&sample).await, count, "{reason}");
    }
    assert_eq!(desk.house.simulator.calls().len(), 4, "only the good key's");
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_and_nothing_else_is() {
    let mut desk = Desk::open().await;
    let good = desk.key("search", |_| {});
    let check = async |path: &str, without: u16, with: u16| {
        for (key, wanted) in [("", without), (good.text.as_str(), with)] {
            assert_eq!(desk.send(path, ("x-api-key", key), None).await.status, wanted, "{path}");
        }
    };
    check("/healthz", 200, 200).await;
    check("/readyz", 200, 200).await;
    check("/v1/models", 401, 200).await;
    check("/v1/models/best", 401, 200).await;
    check("/v1/nothing", 401, 404).await;
    check(CHAT, 401, 405).await;
    let channel = crate::support::channel(desk.house.address).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    assert!(health.check(tonic_health::pb::HealthCheckRequest::default()).await.is_ok());
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_sees_keys_come_and_go() {
    let mut desk = Desk::open().await;
    let fresh = desk.unknown_key();
    let key = fresh.text.expose_secret().to_owned();
    let until = async |desk: &Desk, wanted: u16| {
        let began = Instant::now();
        while desk.send("/v1/models", ("x-api-key", &key), None).await.status != wanted {
            assert!(began.elapsed() < PATIENCE, "never {wanted}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until(&desk, 401).await;
    // Nobody tells the server: it looks.
    desk.store.add(&KeyRow::new(&fresh, "late", "search", now_s())).unwrap();
    until(&desk, 200).await;
    desk.store.revoke(&fresh.id, now_s()).unwrap();
    until(&desk, 401).await;
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_key_is_required_those_that_are_shown_must_be_right() {
    let mut desk = Desk::with(instant_models(), "required = false", |it| it).await;
    let good = desk.key("search", |_| {});
    let body = body_for(CHAT, "auto");
    for (key, wanted) in [("", 200), ("sk-any", 200), (&good.text[..], 200), ("pm-made-up", 401)] {
        let told = desk.post(CHAT, key, &body).await;
        assert_eq!(told.status, wanted, "{}", told.body);
    }
    let known: Vec<_> = desk.records().iter().map(|it| it.caller.is_some()).collect();
    assert_eq!(known, [false, false, true]);
    desk.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_keys_open_the_admin_listener_and_callers_do_not() {
    let admin_key =
        |text: String| text.replace("[server]\n", "[server]\nadmin_key_env = \"ADMIN_KEY\"\n");
    let mut desk = Desk::with(instant_models(), "", admin_key).await;
    let (caller, admin) = (desk.key("a", |_| {}), desk.key("a", |it| it.scope.role = Role::Admin));
    let url = format!("http://{}/metrics", desk.house.admin);
    let check = async |key: &str, wanted: u16| {
        let answer = http_client().get(&url).bearer_auth(key).send().await.unwrap();
        assert_eq!(answer.status(), wanted);
        answer.text().await.unwrap()
    };
    let refused = check(&caller.text, 401).await;
    assert_eq!(check("pm-nobody", 401).await, refused);
    check("house-key", 200).await;
    let told = check(&admin.text, 200).await;
    assert!(told.contains(&format!("{REFUSALS}{{reason=\"not_admin\"}} 2")), "{told}");
    desk.house.stop().await;
}
