//! Answers that break off after their first content, through a whole server: what another model goes
//! on with is the answer that an unbroken call gives, letter by letter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop on the first surprise")]

mod support;

use pointsman::api::proto::delta::Piece;
use pointsman::api::proto::route_event::Event;
use pointsman::api::proto::{
    Candidates, FailureClass, Fallback, OnStreamFailure, ResponseFormat, ResponseFormatKind,
    RouteRequest, RouteResponse, Usage,
};
use pointsman::simulator::{Dialect, Fault, OutputTokens, SimulatedModel};
use serde_json::{Value, json};
use support::{House, PATIENCE, ask, failure_of, http_client, prompt};
use tonic::Status;

/// Ids under which the simulator serves both; on Bedrock, such a model goes on with an answer.
const IDS: [&str; 2] = ["amazon.nova-first", "amazon.nova-second"];
const NAMES: [&str; 2] = ["first", "second"];
/// Tokens by which an estimate may differ from the provider's count.
const INPUT_SLACK: u64 = 6;
const OUTPUT_SLACK: u64 = 4;
/// Every provider that goes on, by its protocol, and what a config says of it beside that.
const PROVIDERS: [(&str, &str); 7] = [
    ("openai", "quirks = { assistant_prefix = \"plain\" }"),
    ("openai", "quirks = { assistant_prefix = \"prefix_field\" }"),
    ("openai", "quirks = { assistant_prefix = \"continue_final_message\" }"),
    ("anthropic", ""),
    ("gemini", ""),
    ("ollama", ""),
    ("bedrock", ""),
];

/// A server with two models that say the same, behind one provider.
async fn house(protocol: &str, more: &str) -> House {
    let model = |id: &str| SimulatedModel {
        output_tokens: OutputTokens { median: 60.0, sigma: 0.2 },
        voice: Some("both".to_owned()),
        ..SimulatedModel::instant(id)
    };
    House::with(IDS.map(model).to_vec(), |simulator, listen, store| {
        let base_url = simulator.base_url_for(Dialect::named(protocol).unwrap());
        let models = NAMES.iter().zip(IDS).map(|(name, id)| {
            format!(
                "[[model]]\nname = \"{name}\"\nquality_prior = 0.5\ncontext_window = 131072\n\
                 max_output_tokens = 4096\nabilities = [\"json_object\"]\n\
                 [[model.deployment]]\nprovider = \"house\"\nmodel_id = \"{id}\"\n\
                 price = {{ input = 1.0, output = 1.0 }}\n\
                 speed = {{ ttft_ms = 20, tokens_per_s = 2000 }}\n"
            )
        });
        format!(
            "[server]\nlisten = \"{listen}\"\n[outcomes]\nstore = \"sqlite://{}\"\n\
             [[provider]]\nname = \"house\"\nprotocol = \"{protocol}\"\n\
             base_url = \"{base_url}\"\napi_key_env = \"HOUSE_KEY\"\n{more}\n{}",
            store.display(),
            models.collect::<String>()
        )
    })
    .await
}

/// The first model, then the second.
fn wire(number: usize, wish: OnStreamFailure) -> RouteRequest {
    let order = NAMES.map(str::to_owned).to_vec();
    let fallback = Fallback { on_stream_failure: wish.into(), ..Default::default() };
    RouteRequest {
        candidates: Some(Candidates { order, ..Default::default() }),
        fallback: Some(fallback),
        ..ask(&prompt(number))
    }
}

/// Everything that a stream sent, and how it ended.
async fn told(house: &mut House, request: RouteRequest) -> (Vec<Event>, Result<(), Status>) {
    let mut stream = house.client.route_stream(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, stream.message()).await.unwrap() {
            Ok(Some(event)) => events.push(event.event.unwrap()),
            Ok(None) => return (events, Ok(())),
            Err(status) => return (events, Err(status)),
        }
    }
}

fn text(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            Event::Restarted(_) => text.clear(),
            Event::Delta(delta) => {
                if let Some(Piece::Text(more)) = &delta.piece {
                    text.push_str(more);
                }
            }
            _ => {}
        }
    }
    text
}

fn completed(events: &[Event]) -> &RouteResponse {
    match events.last() {
        Some(Event::Completed(it)) => it,
        _ => panic!("the stream did not end as it should"),
    }
}

fn cut(house: &House, tokens: u32) {
    house.simulator.push_script(IDS[0], vec![Fault::CutAfter { tokens }]).unwrap();
}

/// The newest record of the log.
fn record(house: &House) -> Value {
    let file = support::log_file(&house.store);
    let newest = "SELECT record FROM outcome ORDER BY rowid DESC LIMIT 1";
    let text: String = file.query_row(newest, [], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn plus(one: Usage, other: Usage) -> (u64, u64) {
    (one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_answer_is_gone_on_with_to_the_letter() {
    for (protocol, more) in PROVIDERS {
        let mut house = house(protocol, more).await;
        let request = wire(1, OnStreamFailure::Unspecified);
        let (events, ended) = told(&mut house, request.clone()).await;
        ended.unwrap();
        let whole = text(&events);
        let tokens = u32::try_from(whole.len().div_ceil(4)).unwrap();
        // Around 40 %, so that the cut falls into words and between them.
        for after in tokens * 2 / 5..tokens * 2 / 5 + 6 {
            cut(&house, after);
            let (events, ended) = told(&mut house, request.clone()).await;
            ended.unwrap_or_else(|it| panic!("{protocol}: {it}"));
            assert_eq!(text(&events), whole, "{protocol} cut after {after} tokens");
            let switched = events.iter().find_map(|it| match it {
                Event::Switched(it) => Some(it),
                _ => None,
            });
            let switched = switched.unwrap();
            assert_eq!(switched.answering.as_ref().unwrap().deployment, "second@house");
            assert_eq!(switched.failure(), FailureClass::StreamCut);
            let seams = json!([{"at_bytes": switched.text_bytes, "deployment": "second@house"}]);
            assert_eq!(record(&house)["seams"], seams, "{protocol}");
            figures_are_those_of_both_calls(&house, completed(&events));
        }
        house.stop().await;
    }
}

/// Usage and cost are the sums of both calls; what the second used is what its provider counted.
fn figures_are_those_of_both_calls(house: &House, whole: &RouteResponse) {
    assert_eq!(whole.served_model, "second");
    let [one, two] = &whole.attempts[..] else { panic!("{} attempts", whole.attempts.len()) };
    let (first, second) = (one.usage.unwrap(), two.usage.unwrap());
    let sum = whole.usage.unwrap();
    assert_eq!((sum.input_tokens, sum.output_tokens), plus(first, second));
    assert!((whole.cost_usd - one.cost_usd - two.cost_usd).abs() < 1e-12);
    let calls = house.simulator.calls();
    let [.., before, last] = &calls[..] else { panic!("{} calls", calls.len()) };
    let counted = (last.prompt_tokens, last.completion_tokens);
    assert_eq!((second.input_tokens, second.output_tokens), counted);
    assert_eq!((last.model_id.as_str(), last.messages), (IDS[1], before.messages + 1));
    // A stream that is cut is billed for what came; where it does not tell, the server estimates.
    assert!(first.input_tokens.abs_diff(before.prompt_tokens) <= INPUT_SLACK);
    // Some tell a running count, which is ahead of what came.
    let most = before.completion_tokens.max(before.delivered_tokens + OUTPUT_SLACK);
    let least = before.delivered_tokens.saturating_sub(OUTPUT_SLACK);
    assert!((least..=most).contains(&first.output_tokens), "{first:?} of {before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_break_inside_the_answer_is_gone_on_from() {
    let mut house = house(PROVIDERS[0].0, PROVIDERS[0].1).await;
    let request = wire(2, OnStreamFailure::Continue);
    let whole = text(&told(&mut house, request.clone()).await.0);
    let breaks = [
        (Fault::CutAfter { tokens: 9 }, FailureClass::StreamCut),
        (Fault::MalformedChunk { after_tokens: 9 }, FailureClass::Malformed),
        (Fault::NoEndMark, FailureClass::StreamCut),
    ];
    for (fault, class) in breaks {
        house.simulator.push_script(IDS[0], vec![fault]).unwrap();
        let (events, ended) = told(&mut house, request.clone()).await;
        ended.unwrap_or_else(|it| panic!("{fault:?}: {it}"));
        assert_eq!(text(&events), whole, "{fault:?}");
        assert_eq!(completed(&events).attempts[0].failure(), class);
    }
    // The class that allows it asks the same model once more.
    let fault = Fault::ErrorInStream { after_tokens: 9 };
    house.simulator.push_script(IDS[0], vec![fault]).unwrap();
    let (events, ended) = told(&mut house, request.clone()).await;
    ended.unwrap();
    assert_eq!((text(&events), completed(&events).served_model.as_str()), (whole, "first"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_begins_anew_and_error_tells_what_is_valid() {
    // OpenAI itself goes on with nothing.
    let mut house = house("openai", "").await;
    let whole = text(&told(&mut house, wire(3, OnStreamFailure::Continue)).await.0);
    cut(&house, 9);
    let (events, ended) = told(&mut house, wire(3, OnStreamFailure::Restart)).await;
    ended.unwrap();
    assert_eq!(text(&events), whole);
    assert!(events.iter().any(|it| matches!(it, Event::Restarted(_))));
    assert_eq!(record(&house)["seams"], Value::Null);
    for wish in [OnStreamFailure::Error, OnStreamFailure::Continue] {
        cut(&house, 9);
        let (events, ended) = told(&mut house, wire(3, wish)).await;
        let partial = failure_of(&ended.unwrap_err()).partial.unwrap();
        assert_eq!(partial.text_bytes, text(&events).len() as u64);
        assert!(whole.starts_with(&text(&events)));
        assert_eq!(record(&house)["end"], "broken");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_checked_as_a_whole() {
    let mut house = house("gemini", "").await;
    let kind = ResponseFormatKind::JsonObject.into();
    let response_format = Some(ResponseFormat { kind, ..Default::default() });
    let request = RouteRequest { response_format, ..wire(4, OnStreamFailure::Continue) };
    // Who goes on is not held to the shape, and the simulator then says prose.
    cut(&house, 2);
    let (events, ended) = told(&mut house, request).await;
    assert!(events.iter().any(|it| matches!(it, Event::Switched(_))));
    let failure = failure_of(&ended.unwrap_err());
    assert_eq!(failure.partial.unwrap().failure(), FailureClass::Malformed);
    house.stop().await;
}

async fn post(house: &House, path: &str, body: &Value) -> (u16, String) {
    let request = http_client().post(format!("http://{}{path}", house.address));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

fn data(body: &str) -> Vec<Value> {
    let lines = body.lines().filter_map(|it| it.strip_prefix("data: "));
    lines.filter(|it| *it != "[DONE]").map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_the_answer_is_one_and_says_where_it_switched() {
    let house = house("anthropic", "").await;
    let ask = |stream: bool| {
        let turn = json!({"role": "user", "content": "Which is heavier?"});
        json!({"models": NAMES, "model": NAMES[0], "messages": [turn], "stream": stream,
            "max_tokens": 900})
    };
    let path = "/v1/chat/completions";
    let (_, body) = post(&house, path, &ask(false)).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    let whole = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    cut(&house, 12);
    let (status, body) = post(&house, path, &ask(true)).await;
    assert!(status == 200 && body.ends_with("data: [DONE]\n\n"), "{body}");
    let chunks = data(&body);
    let words = |it: &Value| it["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    assert_eq!(chunks.iter().filter_map(words).collect::<String>(), whole);
    let switched = chunks.iter().find_map(|it| it["pointsman"].get("switched")).unwrap();
    let at = switched["at_bytes"].as_u64().unwrap();
    assert_eq!(
        (&switched["deployment"], &switched["failure"]),
        (&json!("second@house"), &json!("stream_cut"))
    );
    let told = &chunks.last().unwrap()["pointsman"];
    let seams = json!([{"at_bytes": at, "deployment": "second@house"}]);
    assert_eq!((&told["switches"], told["attempts"].as_array().unwrap().len()), (&seams, 2));
    // Anthropic's events tell it at the end.
    cut(&house, 12);
    let messages = json!({"model": "auto", "max_tokens": 900, "stream": true,
        "pointsman": {"candidates": {"order": NAMES}},
        "messages": [{"role": "user", "content": "Which is heavier?"}]});
    let (_, body) = post(&house, "/v1/messages", &messages).await;
    let events = data(&body);
    let told_words = |it: &Value| it["delta"]["text"].as_str().map(str::to_owned);
    assert_eq!(events.iter().filter_map(told_words).collect::<String>(), whole);
    let told = events.iter().find_map(|it| it["pointsman"].get("switches")).unwrap();
    assert_eq!(told.as_array().unwrap().len(), 1);
    // Where nobody is to go on, the error says how much is valid.
    cut(&house, 12);
    let mut refusing = ask(true);
    refusing["pointsman"] = json!({"fallback": {"on_stream_failure": "error"}});
    let (_, body) = post(&house, path, &refusing).await;
    assert!(!body.contains("[DONE]"), "{body}");
    let chunks = data(&body);
    let said: String = chunks.iter().filter_map(words).collect();
    let partial = &chunks.last().unwrap()["pointsman"]["partial"];
    assert_eq!(partial["text_bytes"], json!(said.len()));
    assert_eq!(partial["failure"], json!("stream_cut"));
    assert!(whole.starts_with(&said) && said.len() < whole.len());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_nothing_begins_anew() {
    let house = house("anthropic", "").await;
    let turn = json!({"role": "user", "content": "Hello"});
    let body = json!({"model": "auto", "messages": [turn],
        "pointsman": {"fallback": {"on_stream_failure": "restart"}}});
    let (status, body) = post(&house, "/v1/chat/completions", &body).await;
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("pointsman.fallback.on_stream_failure"), "{body}");
    assert!(body.contains("gRPC only"), "{body}");
    house.stop().await;
}
