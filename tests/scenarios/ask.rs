//! A caller of either face, and what it is told.
//!
//! In: a scene. Out: [`Told`], in the same words for both faces. Written from the descriptions of
//! the two APIs, with nothing of the server's own code but gRPC's generated types.

use std::time::{Duration, Instant};

use pointsman::api::proto::{self, part::Content, pointsman_client::PointsmanClient};
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use super::scene::{Cause, Face, LETTERS, Scene, Way, Wish};
use super::support::{House, failure_of, http_client};

const IMAGE_URL: &str = "https://example.org/train.png";

/// What a caller is told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The error, as its face says it; none with a whole answer.
    pub(crate) error: Option<String>,
    /// What was said, until the end or the error.
    pub(crate) text: String,
    /// Who answered, by name.
    pub(crate) served: String,
    pub(crate) attempts: Vec<Tried>,
    pub(crate) cost_usd: f64,
    /// By the caller's own clock.
    pub(crate) took: Duration,
}

/// An attempt.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) deployment: String,
    /// Its class; empty when it answered.
    pub(crate) failure: String,
    pub(crate) status: Option<u64>,
    pub(crate) start_ms: f64,
    /// Whether the provider told less than all of what it used.
    pub(crate) usage_estimated: bool,
}

/// Asks a server.
pub(crate) struct Asker {
    grpc: PointsmanClient<Channel>,
    http: reqwest::Client,
    url: String,
}

impl Asker {
    pub(crate) fn new(house: &House) -> Self {
        let url = format!("http://{}/v1/chat/completions", house.address);
        Self { grpc: house.client.clone(), http: http_client(), url }
    }

    pub(crate) async fn ask(&self, scene: &Scene) -> Told {
        let start = Instant::now();
        let told = match (scene.face, scene.way) {
            (Face::Grpc, Way::Whole) => self.grpc_whole(scene).await,
            (Face::Grpc, Way::Stream) => self.grpc_stream(scene).await,
            (Face::Http, _) => self.http(scene).await,
        };
        Told { took: start.elapsed(), ..told }
    }

    async fn grpc_whole(&self, scene: &Scene) -> Told {
        match self.grpc.clone().route(wire(scene)).await {
            Ok(answer) => whole(answer.into_inner()),
            Err(status) => failed(&status, String::new()),
        }
    }

    async fn grpc_stream(&self, scene: &Scene) -> Told {
        let mut events = match self.open(scene).await {
            Ok(events) => events,
            Err(status) => return failed(&status, String::new()),
        };
        let mut text = String::new();
        loop {
            match events.message().await {
                Err(status) => return failed(&status, text),
                Ok(None) => return Told { error: Some("no end".to_owned()), ..Told::default() },
                Ok(Some(event)) => match event.event {
                    Some(proto::route_event::Event::Completed(it)) => {
                        return Told { text, ..whole(it) };
                    }
                    other => text.push_str(&said(other)),
                },
            }
        }
    }

    /// Begins a stream over gRPC.
    pub(crate) async fn open(
        &self,
        scene: &Scene,
    ) -> Result<tonic::Streaming<proto::RouteEvent>, tonic::Status> {
        self.grpc.clone().route_stream(wire(scene)).await.map(tonic::Response::into_inner)
    }

    /// Asks over HTTP; returns when the headers are there.
    pub(crate) async fn post(&self, scene: &Scene) -> reqwest::Response {
        self.http.post(&self.url).json(&body(scene)).send().await.unwrap()
    }

    async fn http(&self, scene: &Scene) -> Told {
        let response = self.post(scene).await;
        let status = response.status();
        let text = response.text().await.unwrap();
        if scene.way == Way::Stream && status.is_success() {
            return streamed(&text);
        }
        let told: Value = serde_json::from_str(&text).unwrap();
        let code = told["error"]["code"].as_str();
        Told {
            error: code.map(|it| format!("{} {it}", status.as_u16())),
            text: text_of(&told["choices"][0]["message"]["content"]),
            ..details(&told["pointsman"])
        }
    }
}

/// The text of an event, if it has one.
pub(crate) fn said(event: Option<proto::route_event::Event>) -> String {
    let Some(proto::route_event::Event::Delta(delta)) = event else { return String::new() };
    match delta.piece {
        Some(proto::delta::Piece::Text(text)) => text,
        _ => String::new(),
    }
}

fn wire(scene: &Scene) -> proto::RouteRequest {
    let mut contents = vec![Content::Text(scene.prompt())];
    if scene.row.fault == Cause::ImageByUrl {
        let source = Some(proto::image::Source::Url(IMAGE_URL.to_owned()));
        contents.push(Content::Image(proto::Image { source, ..Default::default() }));
    }
    let parts = contents.into_iter().map(|it| proto::Part { content: Some(it) }).collect();
    let order = LETTERS.map(|it| scene.model(it)).to_vec();
    let past_filters = scene.row.wish == Wish::PastFilters;
    proto::RouteRequest {
        messages: vec![proto::Message { role: proto::Role::User.into(), parts }],
        candidates: Some(proto::Candidates { order, ..Default::default() }),
        budget: Some(proto::Budget {
            max_cost_usd: scene.cap_usd(),
            max_latency_ms: scene.limit_ms(),
            // Whoever costs too much stands in the ranking all the same.
            confidence: scene.cap_usd().map(|_| 0.0),
            ..Default::default()
        }),
        fallback: past_filters
            .then(|| proto::Fallback { on_content_filter: Some(true), ..Default::default() }),
        request_id: Some(scene.model('A')),
        ..Default::default()
    }
}

fn body(scene: &Scene) -> Value {
    let content = match scene.row.fault {
        Cause::ImageByUrl => json!([
            { "type": "text", "text": scene.prompt() },
            { "type": "image_url", "image_url": { "url": IMAGE_URL } },
        ]),
        Cause::Fault(_) | Cause::NothingListens => json!(scene.prompt()),
    };
    let mut own = json!({
        "candidates": { "order": LETTERS.map(|it| scene.model(it)) },
        "request_id": scene.model('A'),
    });
    if let Some(ms) = scene.limit_ms() {
        own["budget"] = json!({ "max_latency_ms": ms });
    }
    if let Some(usd) = scene.cap_usd() {
        own["budget"] = json!({ "max_cost_usd": usd, "confidence": 0.0 });
    }
    if scene.row.wish == Wish::PastFilters {
        own["fallback"] = json!({ "on_content_filter": true });
    }
    json!({
        "model": "auto",
        "stream": scene.way == Way::Stream,
        "messages": [{ "role": "user", "content": content }],
        "pointsman": own,
    })
}

fn whole(answer: proto::RouteResponse) -> Told {
    let parts = answer.message.map(|it| it.parts).unwrap_or_default();
    let text = parts.into_iter().filter_map(|it| match it.content {
        Some(Content::Text(text)) => Some(text),
        _ => None,
    });
    Told {
        text: text.collect(),
        served: answer.served_model,
        attempts: answer.attempts.iter().map(tried).collect(),
        cost_usd: answer.cost_usd,
        ..Told::default()
    }
}

fn failed(status: &tonic::Status, text: String) -> Told {
    let Some(info) = status.get_details_error_info() else {
        return Told { error: Some(format!("{status:?}")), ..Told::default() };
    };
    let failure = failure_of(status);
    assert_eq!(failure.reason, info.reason);
    Told {
        error: Some(format!("{} {}", upper(&format!("{:?}", status.code())), info.reason)),
        text,
        attempts: failure.attempts.iter().map(tried).collect(),
        cost_usd: failure.cost_usd,
        ..Told::default()
    }
}

/// `FailedPrecondition` as `FAILED_PRECONDITION`.
fn upper(code: &str) -> String {
    let mut name = String::new();
    for it in code.chars() {
        if it.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(it.to_ascii_uppercase());
    }
    name
}

fn tried(of: &proto::Attempt) -> Tried {
    let class = of.failure().as_str_name().trim_start_matches("FAILURE_CLASS_").to_lowercase();
    Tried {
        deployment: of.deployment.clone(),
        failure: if class == "unspecified" { String::new() } else { class },
        status: of.status.map(u64::from),
        start_ms: of.start_ms,
        usage_estimated: of.usage_estimated,
    }
}

/// Reads server-sent events, to their end or an error.
fn streamed(events: &str) -> Told {
    let mut text = String::new();
    let data = |it: &str| it.strip_prefix("data: ").map(str::to_owned);
    let all: Vec<String> = events.split("\n\n").filter_map(data).collect();
    let mut last = Value::Null;
    for data in all.iter().filter(|it| *it != "[DONE]") {
        last = serde_json::from_str(data).unwrap();
        text.push_str(&text_of(&last["choices"][0]["delta"]["content"]));
    }
    let error = match last["error"]["code"].as_str() {
        Some(code) => Some(format!("200, then {code}")),
        None => (all.last().map(String::as_str) != Some("[DONE]")).then(|| "no end".to_owned()),
    };
    Told { error, text, ..details(&last["pointsman"]) }
}

/// Our own part of an answer or an error.
fn details(of: &Value) -> Told {
    let attempts = of["attempts"].as_array().into_iter().flatten().map(|it| Tried {
        deployment: text_of(&it["deployment"]),
        failure: text_of(&it["failure"]),
        status: it["status"].as_u64(),
        start_ms: it["start_ms"].as_f64().unwrap(),
        usage_estimated: it["usage_estimated"].as_bool().unwrap(),
    });
    Told {
        served: text_of(&of["served_model"]),
        attempts: attempts.collect(),
        cost_usd: of["cost_usd"].as_f64().unwrap_or(f64::NAN),
        ..Told::default()
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
