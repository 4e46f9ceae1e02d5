//! Rankings made by hand and a caller that follows a script, for this layer's tests.
//!
//! In: a few figures per candidate, a script per model. Out: [`Ranking`], [`Script`]. Invariant:
//! the script's time is tokio's, so a paused clock makes it instant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::health::{BreakerSettings, Health};
use crate::catalog::{Deployment, Model};
use crate::domain::{
    ChatResponse, Delta, DeploymentId, FailureClass, FinishReason, Probability, ProviderName,
    StreamEnd, Usage,
};
use crate::prediction::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};
use crate::providers::{Begun, CallFailure, Caller, DeltaStream, Reply, StreamItem};
use crate::ranking::{Ranked, Ranking, Recent};

/// What is expected of a candidate; its model is named after its place, `m0`, `m1`, ...
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) latency_s: f64,
    pub(super) cost_usd: f64,
    pub(super) window: u64,
    pub(super) last_resort: bool,
}

impl Default for Figures {
    fn default() -> Self {
        Self { latency_s: 1.0, cost_usd: 0.001, window: 8_000, last_resort: false }
    }
}

/// What one token costs in these tests, in or out: a dollar per million.
pub(super) const USD_PER_TOKEN: f64 = 1e-6;

/// Everyone of a ranking in health.
pub(super) fn health(ranking: &Ranking) -> Health {
    let ids = ranking.entries.iter().map(|it| it.deployment.id.clone());
    Health::new(ids, BreakerSettings::default())
}

pub(super) fn ranking(figures: &[Figures]) -> Ranking {
    let entries = figures.iter().enumerate().map(|(at, it)| ranked(at, it)).collect();
    Ranking { entries, excluded: vec![], ties: 0.into(), taken: None }
}

fn ranked(at: usize, figures: &Figures) -> Ranked {
    let text = format!(
        r#"
        name = "m{at}"
        vendor = "nobody"
        context_window = {}
        max_output_tokens = 1000
        price = {{ input = 1.0, output = 1.0 }}
        released = "2025-01"
        source = {{ page = "test", as_of = "2025-01" }}
        "#,
        figures.window
    );
    let model: Arc<Model> = Arc::new(toml::from_str(&text).unwrap());
    let provider = ProviderName::new("test").unwrap();
    let mut deployment = Deployment::new(&model, &provider, format!("m{at}"));
    deployment.last_resort = figures.last_resort;
    let prediction = prediction(deployment.id.clone(), figures);
    let propensity = if at == 0 { Probability::ONE } else { Probability::ZERO };
    let utility = -(at as f64);
    let deployment = Arc::new(deployment);
    let (shut, in_flight, recent, stop) = (None, 0, Recent::default(), None);
    Ranked { deployment, prediction, utility, propensity, shut, in_flight, recent, stop }
}

fn prediction(deployment: DeploymentId, figures: &Figures) -> Prediction {
    let tokens = LogNormal { mu: 0.0, sigma: 0.0, cap: 1_000.0 };
    let fixed = |fixed| Forecast { fixed, per_token: 0.0, tokens };
    Prediction {
        deployment,
        quality: QualityEstimate { mean: Probability::ONE, spread: 0.0 },
        input_tokens: 10.0,
        output_tokens: tokens,
        cost_usd: fixed(figures.cost_usd),
        cached: CachedInput::NONE,
        ttft_ms: figures.latency_s * 500.0,
        ttft_sigma: 0.65,
        latency_s: fixed(figures.latency_s),
    }
}

/// One turn of a script: a pause and then this.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) takes: Duration,
    pub(super) result: Result<Reply, CallFailure>,
}

pub(super) fn answers() -> Turn {
    let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
    let response = ChatResponse {
        text: Some("fine".into()),
        reasoning: vec![],
        tool_calls: vec![],
        logprobs: None,
        finish: FinishReason::Stop,
        usage,
    };
    let reply = Reply { response, status: 200, ttft: None, dropped: vec![] };
    Turn { takes: Duration::from_millis(100), result: Ok(reply) }
}

/// Fails, and tells what it used: ten tokens.
pub(super) fn fails(class: FailureClass) -> Turn {
    let usage = Usage { input_tokens: 9, output_tokens: 1, ..Usage::default() };
    let failure = CallFailure { usage, ..CallFailure::of(class) };
    Turn { takes: Duration::from_millis(100), result: Err(failure) }
}

pub(super) fn limited(retry_after: Duration) -> Turn {
    let failure = CallFailure {
        retry_after: Some(retry_after),
        ..CallFailure::of(FailureClass::RateLimited)
    };
    Turn { takes: Duration::from_millis(100), result: Err(failure) }
}

pub(super) fn hangs() -> Turn {
    Turn { takes: Duration::from_secs(3_600), ..answers() }
}

/// A call as the script saw it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) model: String,
    pub(super) at: Duration,
    pub(super) timeout: Duration,
}

/// Plays each model's turns in order, the last one for ever; a model without turns answers.
#[derive(Debug)]
pub(super) struct Script {
    turns: BTreeMap<String, Vec<Turn>>,
    streams: BTreeMap<String, Vec<Vec<Piece>>>,
    /// Who goes on with a begun answer; none by default.
    pub(super) continuing: Vec<&'static str>,
    /// What they were given to go on with, and the tokens left.
    pub(super) begun: Mutex<Vec<(String, Option<u64>)>>,
    seen: Mutex<Vec<Seen>>,
    began: Instant,
}

impl Script {
    pub(super) fn new(turns: Vec<Vec<Turn>>) -> Self {
        let turns = turns.into_iter().enumerate().map(|(at, it)| (format!("m{at}"), it)).collect();
        let (streams, continuing) = (BTreeMap::new(), vec![]);
        let (begun, seen) = (Mutex::default(), Mutex::default());
        Self { turns, streams, continuing, begun, seen, began: Instant::now() }
    }

    /// Plays each model's streams in order, the last one for ever.
    pub(super) fn of_streams(streams: Vec<Vec<Vec<Piece>>>) -> Self {
        let named = streams.into_iter().enumerate();
        let streams = named.map(|(at, it)| (format!("m{at}"), it)).collect();
        Self { streams, ..Self::new(vec![]) }
    }

    fn stream(&self, model: &str) -> Option<Vec<Piece>> {
        let earlier = self.models().iter().filter(|it| **it == model).count();
        let streams = self.streams.get(model)?;
        streams.get(earlier).or(streams.last()).cloned()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn models(&self) -> Vec<String> {
        self.seen().into_iter().map(|it| it.model).collect()
    }
}

/// A script's answer in pieces.
#[derive(Debug)]
pub(super) struct ScriptStream {
    items: VecDeque<Piece>,
    usage: Usage,
    received_bytes: u64,
}

/// A pause, and then this.
pub(super) type Piece = (Duration, Result<StreamItem, CallFailure>);

impl DeltaStream for ScriptStream {
    async fn next(&mut self) -> Result<StreamItem, CallFailure> {
        let cut = (Duration::ZERO, Err(CallFailure::of(FailureClass::StreamCut)));
        let (pause, item) = self.items.pop_front().unwrap_or(cut);
        tokio::time::sleep(pause).await;
        if let Ok(StreamItem::Delta(delta)) = &item {
            self.received_bytes += delta.written_bytes();
        }
        item
    }

    fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    fn usage(&self) -> Usage {
        self.usage
    }

    fn status(&self) -> u16 {
        200
    }

    fn dropped(&self) -> &[String] {
        &[]
    }
}

impl Caller for Script {
    type Stream = ScriptStream;

    async fn open(
        &self,
        deployment: &Deployment,
        request: &crate::domain::ChatRequest,
    ) -> Result<ScriptStream, CallFailure> {
        if let Some(items) = self.stream(&deployment.model_id) {
            let (model, at) = (deployment.model_id.clone(), self.began.elapsed());
            self.seen.lock().unwrap().push(Seen { model, at, timeout: Duration::MAX });
            let usage = Usage { input_tokens: 10, ..Usage::default() };
            return Ok(ScriptStream { items: items.into(), usage, received_bytes: 0 });
        }
        let reply = self.call(deployment, request, Duration::MAX).await?;
        let ChatResponse { text, finish, usage, .. } = reply.response;
        let text = text.map(|it| (Duration::ZERO, Ok(StreamItem::Delta(Delta::Text(it)))));
        let end = (Duration::ZERO, Ok(StreamItem::End(StreamEnd { finish, usage })));
        let items = text.into_iter().chain([end]).collect();
        Ok(ScriptStream { items, usage, received_bytes: 0 })
    }

    fn continues(&self, deployment: &Deployment, _: &crate::domain::ChatRequest) -> bool {
        self.continuing.contains(&deployment.model_id.as_str())
    }

    async fn resume(
        &self,
        deployment: &Deployment,
        request: &crate::domain::ChatRequest,
        begun: Begun<'_>,
    ) -> Result<ScriptStream, CallFailure> {
        let asked = (begun.text.to_owned(), begun.max_output_tokens);
        self.begun.lock().unwrap().push(asked);
        self.open(deployment, request).await
    }

    async fn call(
        &self,
        deployment: &Deployment,
        _: &crate::domain::ChatRequest,
        timeout: Duration,
    ) -> Result<Reply, CallFailure> {
        let model = deployment.model_id.clone();
        let earlier = self.models().iter().filter(|it| **it == model).count();
        let turns = self.turns.get(&model).map(Vec::as_slice).unwrap_or_default();
        let turn = turns.get(earlier).or(turns.last()).cloned().unwrap_or_else(answers);
        self.seen.lock().unwrap().push(Seen { model, at: self.began.elapsed(), timeout });
        tokio::time::sleep(turn.takes).await;
        turn.result
    }
}
