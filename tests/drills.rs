//! Failures that are asked for: the fallback really runs, it is told that they were asked for, and
//! nobody can ask where the operator does not allow it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use pointsman::api::proto::pointsman_admin_client::PointsmanAdminClient;
use pointsman::api::proto::{
    self, Attempt, ClearFaultsRequest, FailureClass, FaultsResponse, ForcedFault,
    ListFaultsRequest, SetFaultsRequest, delta::Piece, route_event::Event,
};
use pointsman::dispatch::BreakerSettings;
use pointsman::simulator::{Dialect, Simulator};
use serde_json::{Value, json};
use support::{House, ask, config_text, deployment, http_client, instant_models, prompt};
use tonic::{Code, Status};

const ALLOWED: &str = "[testing]\nallow_faults = true\n";
/// So short that no fault shuts the next one's deployment.
const HASTY: BreakerSettings = BreakerSettings {
    open_min: Duration::from_millis(1),
    open_max: Duration::from_millis(1),
    limited: Duration::from_millis(1),
    ramp: Duration::from_millis(1),
};

/// What a caller is told.
#[derive(Default)]
struct Told {
    text: String,
    served: Option<String>,
    attempts: Vec<Attempt>,
}

/// A server whose providers speak `protocol`.
async fn house(protocol: &'static str, testing: &'static str) -> House {
    let config = move |simulator: &Simulator, listen: SocketAddr, store: &Path| {
        let base_url = simulator.base_url_for(Dialect::named(protocol).unwrap());
        let text = config_text(&base_url, listen, store);
        let spoken = format!("protocol = \"{protocol}\"\napi_key_env = \"HOUSE_KEY\"");
        let impatient = "[policy]\ntimeouts = { first_attempt = \"1s\" }\n";
        let text = text.replace("protocol = \"openai\"", &spoken);
        text.replace("[policy]\n", impatient) + testing
    };
    House::with_breakers(instant_models(), config, HASTY).await
}

fn fault(target: &str, fault: &str) -> ForcedFault {
    let (target, fault) = (target.to_owned(), fault.to_owned());
    ForcedFault { target, fault, ..Default::default() }
}

fn asked(faults: &[ForcedFault]) -> proto::RouteRequest {
    let mut wire = ask(&prompt(faults.len()));
    wire.faults = faults.to_vec();
    wire.budget.get_or_insert_default().max_latency_ms = Some(3_000.0);
    wire
}

async fn whole(house: &House, faults: &[ForcedFault]) -> Told {
    match house.client.clone().route(asked(faults)).await {
        Ok(answer) => {
            let answer = answer.into_inner();
            let served = Some(answer.served_model);
            Told { served, attempts: answer.attempts, ..Told::default() }
        }
        Err(status) => failed(&status, String::new()),
    }
}

async fn streamed(house: &House, faults: &[ForcedFault]) -> Told {
    let mut events = house.client.clone().route_stream(asked(faults)).await.unwrap().into_inner();
    let mut text = String::new();
    loop {
        match events.message().await.map(|it| it.unwrap().event) {
            Err(status) => return failed(&status, text),
            Ok(Some(Event::Delta(proto::Delta { piece: Some(Piece::Text(it)) }))) => {
                text.push_str(&it);
            }
            Ok(Some(Event::Completed(it))) => {
                return Told { text, served: Some(it.served_model), attempts: it.attempts };
            }
            Ok(_) => {}
        }
    }
}

fn failed(status: &Status, text: String) -> Told {
    let attempts = support::failure_of(status).attempts;
    Told { text, served: None, attempts }
}

/// Asks until the first model serves all the time: breakers count what is forced, too.
async fn until_well(house: &House) {
    let mut in_row = 0;
    for _ in 0..200 {
        let well = whole(house, &[]).await.served.as_deref() == Some("best");
        in_row = if well { in_row + 1 } else { 0 };
        if in_row == 3 {
            return;
        }
    }
    panic!("it never came back");
}

fn calls(house: &House, model: &str) -> usize {
    house.simulator.calls().iter().filter(|it| it.model_id == model).count()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Whole,
    Stream,
}

/// The first model fails so: whoever asks is answered by the second, and is told what failed, how, and
/// that it was asked for.
async fn falls_back(house: &House, way: Way, text: &str, class: FailureClass) {
    until_well(house).await;
    let (best, middle) = (calls(house, "best"), calls(house, "middle"));
    let faults = [fault("best", text)];
    let told = match way {
        Way::Whole => whole(house, &faults).await,
        Way::Stream => streamed(house, &faults).await,
    };
    assert_eq!(told.served.as_deref(), Some("middle"), "{text}, {way:?}");
    let (last, first) = told.attempts.split_last().unwrap();
    assert_eq!((last.failure, last.detail.as_deref()), (0, None), "{text}");
    assert!(!first.is_empty(), "{text}, {way:?}");
    for attempt in first {
        assert_eq!(attempt.deployment, deployment("best"), "{text}");
        assert_eq!(attempt.failure(), class, "{text}, {way:?}");
        assert_eq!(attempt.detail, Some(format!("forced: {text}")));
        // Who is asked late would be asked, so that it counts as asked.
        let late = text.starts_with("slow_first_token");
        let asked = late || (way == Way::Stream && text.ends_with(":0"));
        assert!(asked || attempt.cost_usd == 0.0, "{text}: {attempt:?}");
    }
    // A stream that is broken before its first piece is asked for all the same; nothing else is.
    let asked = if way == Way::Stream && text.ends_with(":0") { first.len() } else { 0 };
    assert!(calls(house, "best") <= best + asked, "{text}");
    assert_eq!(calls(house, "middle"), middle + 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_answers_whatever_the_first_one_fails_with() {
    use FailureClass::*;
    let ways = [(Way::Whole, Deadline), (Way::Stream, FirstTokenLate)];
    let passing = ways.map(|(way, late)| async move {
        let house = house("openai", ALLOWED).await;
        for (text, class) in [
            ("status:503", Overloaded),
            ("status:500", Overloaded),
            ("reset", Connection),
            ("unsupported", Unsupported),
            ("empty", EmptyAnswer),
            ("malformed", Malformed),
            ("error_inside_200", Overloaded),
            ("cut_after:0", StreamCut),
            ("malformed_chunk:0", Malformed),
            ("error_in_stream:0", Overloaded),
            ("hang", late),
            ("stall:0", late),
            ("slow_first_token:2s", late),
        ] {
            falls_back(&house, way, text, class).await;
        }
        house.stop().await;
    });
    join_all(passing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shuts_a_deployment_for_long_falls_back_too() {
    use FailureClass::*;
    let lasting = [
        ("auth", Auth),
        ("quota", Auth),
        ("wrong_model", ModelMissing),
        ("status:429:100ms", RateLimited),
    ];
    let cases = lasting.map(|(text, class)| async move {
        for way in [Way::Whole, Way::Stream] {
            let house = house("openai", ALLOWED).await;
            falls_back(&house, way, text, class).await;
            house.stop().await;
        }
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_errors_end_the_chain() {
    let check = async |text: &str, class: FailureClass| {
        let house = house("openai", ALLOWED).await;
        for told in
            [whole(&house, &[fault("*", text)]).await, streamed(&house, &[fault("*", text)]).await]
        {
            assert_eq!((told.served, told.attempts.len()), (None, 1), "{text}");
            assert_eq!(told.attempts[0].failure(), class, "{text}");
        }
        assert_eq!(house.simulator.calls().len(), 0, "{text}");
        house.stop().await;
    };
    check("content_filter", FailureClass::ContentFiltered).await;
    check("context_too_long", FailureClass::ContextTooLong).await;
    check("status:400", FailureClass::InvalidRequest).await;
}

/// A stream of the first model is broken after content; the provider was really asked.
async fn breaks(house: &House, text: &str, class: FailureClass, bytes_min: usize) {
    until_well(house).await;
    let before = calls(house, "best");
    let told = streamed(house, &[fault("best", text)]).await;
    let first = &told.attempts[0];
    assert_eq!((first.deployment.as_str(), first.failure()), ("best@simulated", class), "{text}");
    assert_eq!(first.detail, Some(format!("forced: {text}")));
    assert!(told.text.len() >= bytes_min, "{text}: {}", told.text);
    assert!(calls(house, "best") > before, "{text}");
    // No broken stream passes as a whole one: whoever is named as having answered is another.
    assert_ne!(told.served.as_deref(), Some("best"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_stream_breaks_in_every_protocol() {
    use FailureClass::*;
    let cases = ["openai", "anthropic", "gemini", "ollama", "bedrock"].map(|protocol| async move {
        let house = house(protocol, ALLOWED).await;
        breaks(&house, "cut_after:8", StreamCut, 32).await;
        breaks(&house, "no_end_mark", StreamCut, 40).await;
        breaks(&house, "reset_in_body", StreamCut, 32).await;
        breaks(&house, "malformed_chunk:8", Malformed, 32).await;
        breaks(&house, "error_in_stream:8", Overloaded, 32).await;
        breaks(&house, "stall:8", Deadline, 32).await;
        breaks(&house, "drip", Deadline, 4).await;
        house.stop().await;
    });
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_late_is_answered_and_marked() {
    let house = house("openai", ALLOWED).await;
    let faults = [fault("simulated", "slow_first_token:150ms")];
    for told in [whole(&house, &faults).await, streamed(&house, &faults).await] {
        assert_eq!(told.served.as_deref(), Some("best"));
        let [only] = told.attempts.as_slice() else { panic!("{:?}", told.attempts) };
        assert_eq!(only.detail.as_deref(), Some("forced: slow_first_token:150ms"));
        assert!(only.total_ms >= 150.0, "{only:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_times_and_with_such_a_chance() {
    let house = house("openai", ALLOWED).await;
    let once = ForcedFault { times: Some(1), ..fault("best", "status:503") };
    let told = whole(&house, &[once]).await;
    let served: Vec<_> = told.attempts.iter().map(|it| it.deployment.as_str()).collect();
    assert_eq!(served, ["best@simulated"; 2], "its retry is well");
    assert_eq!(told.attempts[1].detail, None);
    let never = ForcedFault { probability: Some(0.0), ..fault("*", "reset") };
    let always = ForcedFault { probability: Some(1.0), ..fault("best", "auth") };
    let told = whole(&house, &[never, always]).await;
    assert_eq!(told.attempts[0].detail.as_deref(), Some("forced: auth"));
    house.stop().await;
}

type Admin = PointsmanAdminClient<tonic::transport::Channel>;

async fn admin(house: &House) -> Admin {
    PointsmanAdminClient::new(support::channel(house.admin).await)
}

async fn set(admin: &mut Admin, faults: Vec<ForcedFault>, ttl_ms: Option<u64>) -> FaultsResponse {
    let request = SetFaultsRequest { faults, ttl_ms };
    admin.set_faults(request).await.unwrap().into_inner()
}

async fn listed(admin: &mut Admin) -> FaultsResponse {
    admin.list_faults(ListFaultsRequest {}).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_holds_for_every_request_and_ends() {
    let house = house("openai", ALLOWED).await;
    let mut admin = admin(&house).await;
    let told = set(&mut admin, vec![fault("best", "unsupported")], None).await;
    assert!((599_000..=600_000).contains(&told.left_ms), "{told:?}");
    assert_eq!(whole(&house, &[]).await.served.as_deref(), Some("middle"));
    // Those of the request come first.
    let own = whole(&house, &[fault("best", "malformed")]).await;
    assert_eq!(own.attempts[0].detail.as_deref(), Some("forced: malformed"));
    let told = listed(&mut admin).await;
    assert_eq!((told.faults.len(), told.faults[0].struck), (1, 1));
    assert_eq!(told.faults[0].fault.as_ref().unwrap().fault, "unsupported");
    let told = set(&mut admin, vec![fault("small", "reset")], None).await;
    assert_eq!(told.faults.len(), 1, "the set is replaced");
    let told = admin.clear_faults(ClearFaultsRequest {}).await.unwrap().into_inner();
    assert_eq!((told.faults.len(), told.left_ms), (0, 0));
    assert_eq!(whole(&house, &[]).await.served.as_deref(), Some("best"));
    // So short that it is over when the answer is there.
    set(&mut admin, vec![fault("best", "unsupported")], Some(1)).await;
    while !listed(&mut admin).await.faults.is_empty() {}
    assert_eq!(whole(&house, &[]).await.served.as_deref(), Some("best"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_makes_no_sense_is_told() {
    let house = house("openai", ALLOWED).await;
    let mut admin = admin(&house).await;
    let wrong = vec![fault("bst", "reset"), fault("best", "sneeze")];
    let status = admin.set_faults(SetFaultsRequest { faults: wrong, ttl_ms: None }).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("did you mean `best`"), "{status}");
    assert!(status.message().contains("`sneeze` is not a fault"), "{status}");
    let long = SetFaultsRequest { faults: vec![], ttl_ms: Some(u64::MAX) };
    assert!(admin.set_faults(long).await.unwrap_err().message().contains("ttl_ms"));
    assert!(listed(&mut admin).await.faults.is_empty());
    house.stop().await;
}

async fn post(house: &House, path: &str, mut body: Value) -> (u16, Value) {
    body["pointsman"] = json!({"faults": [{"target": "best", "fault": "malformed"}]});
    let url = format!("http://{}{path}", house.address);
    let response = http_client().post(url).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn bodies() -> [(&'static str, Value); 3] {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let chat = json!({"model": "auto", "messages": messages});
    let anthropic = json!({"model": "auto", "max_tokens": 400, "messages": messages});
    let responses = json!({"model": "auto", "input": "hello"});
    [("/v1/chat/completions", chat), ("/v1/messages", anthropic), ("/v1/responses", responses)]
}

#[tokio::test(flavor = "multi_thread")]
async fn http_asks_for_failures_in_every_dialect() {
    let house = house("openai", ALLOWED).await;
    for (path, body) in bodies() {
        let (status, told) = post(&house, path, body).await;
        assert_eq!((status, &told["model"]), (200, &json!("middle")), "{path}: {told}");
        let first = &told["pointsman"]["attempts"][0];
        assert_eq!(first["detail"], "forced: malformed", "{path}: {told}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_not_allowed_nobody_can() {
    let house = house("openai", "").await;
    let refused = |status: Status| {
        assert_eq!(status.code(), Code::PermissionDenied, "{status}");
        assert!(status.message().contains("allow_faults"), "{status}");
    };
    let faults = [fault("best", "reset")];
    refused(house.client.clone().route(asked(&faults)).await.unwrap_err());
    refused(house.client.clone().route_stream(asked(&faults)).await.unwrap_err());
    let mut admin = admin(&house).await;
    let set = SetFaultsRequest { faults: faults.to_vec(), ttl_ms: None };
    refused(admin.set_faults(set).await.unwrap_err());
    refused(admin.list_faults(ListFaultsRequest {}).await.unwrap_err());
    refused(admin.clear_faults(ClearFaultsRequest {}).await.unwrap_err());
    for (path, body) in bodies() {
        let (status, told) = post(&house, path, body).await;
        assert_eq!(status, 403, "{path}: {told}");
        assert!(told.to_string().contains("allow_faults"), "{path}: {told}");
    }
    assert_eq!(house.simulator.calls().len(), 0);
    assert_eq!(whole(&house, &[]).await.served.as_deref(), Some("best"));
    house.stop().await;
}
