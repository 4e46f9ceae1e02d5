//! Small values for the tests of this layer. Used by tests only.

use std::sync::Arc;

use super::proto;
use crate::catalog::{Deployment, Fleet, Model, Source, Speed};
use crate::dispatch::{ChainEnd, ChainFailure, Dispatched};
use crate::domain::{
    AbilitySet, Attempt, ChatResponse, DecisionId, FailureClass, FinishReason, ModelName, Price,
    Probability, ProviderName, Reasoning, Seal, TokenPrice, ToolCall, Usage, Usd,
};
use crate::pipeline::{Decision, Routed};
use crate::prediction::{CachedInput, Forecast, LogNormal, Prediction, QualityEstimate};
use crate::ranking::{Excluded, Exclusion, Ranked, Ranking, Recent, Refusal};

/// `small@one` and `large@one`.
pub(super) fn fleet() -> Fleet {
    let one = ProviderName::new("one").unwrap();
    let deployments = ["small", "large"].map(|name| {
        let price = TokenPrice::per_million(1.0).unwrap();
        let model = Model {
            name: ModelName::new(name).unwrap(),
            vendor: "nobody".into(),
            context_window: 8_192,
            max_output_tokens: 1_024,
            abilities: AbilitySet::EMPTY,
            price: Price::of(price, price),
            released: "2025-01".into(),
            source: Source { page: "none".into(), as_of: "2025-01".into() },
            served_by: Default::default(),
            learned_as: None,
            quality_prior: None,
            speed: Speed::default(),
        };
        Deployment::new(&Arc::new(model), &one, name.to_owned())
    });
    Fleet::new(deployments.to_vec()).unwrap()
}

/// One user turn.
pub(super) fn request(text: &str) -> proto::RouteRequest {
    let part = proto::Part { content: Some(proto::part::Content::Text(text.into())) };
    let message = proto::Message { role: proto::Role::User.into(), parts: vec![part] };
    proto::RouteRequest { messages: vec![message], ..Default::default() }
}

/// A call with a seal.
pub(super) fn tool_call() -> ToolCall {
    let (id, name) = ("1".to_owned(), "f".to_owned());
    let seal = Seal { provider: ProviderName::new("one").unwrap(), value: "s".into() };
    ToolCall { id, name, arguments: "{}".into(), seal: Some(seal) }
}

/// Thinking, `hello`, a tool call, log-probabilities.
pub(super) fn answer() -> ChatResponse {
    ChatResponse {
        text: Some("hello".into()),
        reasoning: vec![Reasoning { text: Some("hm".into()), seal: None }],
        tool_calls: vec![tool_call()],
        finish: FinishReason::ToolCalls,
        usage: Usage { cache_written_tokens: 3, ..Usage::default() },
        logprobs: Some(serde_json::json!({"content": []}).into()),
    }
}

fn prediction(deployment: &Deployment) -> Prediction {
    let tokens = LogNormal { mu: 100.0_f64.ln(), sigma: 0.0, cap: 1_000.0 };
    Prediction {
        deployment: deployment.id.clone(),
        quality: QualityEstimate { mean: Probability::clamped(0.5), spread: 0.1 },
        input_tokens: 10.0,
        output_tokens: tokens,
        cost_usd: Forecast { fixed: 0.001, per_token: 1e-6, tokens },
        cached: CachedInput::NONE,
        ttft_ms: 200.0,
        ttft_sigma: 0.5,
        latency_s: Forecast { fixed: 0.2, per_token: 0.01, tokens },
    }
}

fn decision(verdict: Result<Ranking, Refusal>) -> Decision {
    let id = DecisionId::fresh();
    Decision {
        id,
        artifact_version: "test".into(),
        canary: false,
        learned_updates: 0,
        encoder_exit: 0,
        verdict,
        decide_us: 1.0,
    }
}

/// `small@one` was chosen.
pub(super) fn decided() -> Decision {
    let deployment = Arc::clone(&fleet().deployments()[0]);
    let prediction = prediction(&deployment);
    let (utility, propensity, shut) = (0.4, Probability::ONE, None);
    let (in_flight, recent, stop) = (0, Recent::default(), None);
    let entry =
        Ranked { deployment, prediction, utility, propensity, shut, in_flight, recent, stop };
    let (entries, excluded) = (vec![entry], vec![]);
    decision(Ok(Ranking { entries, excluded, ties: 1.into(), taken: None }))
}

/// Nobody was allowed.
pub(super) fn refused() -> Decision {
    let excluded = |it: &Arc<Deployment>| Excluded {
        deployment: it.id.clone(),
        reasons: vec![Exclusion::NotAllowed],
        prediction: prediction(it),
    };
    let excluded = fleet().deployments().iter().map(excluded).collect();
    decision(Err(Refusal { excluded }))
}

/// A decision whose one attempt failed, where a failure is given.
pub(super) fn routed(decision: Decision, failure: Option<ChainFailure>) -> Routed {
    let end = failure.map(ChainEnd::Failed);
    let failed = Some(FailureClass::Overloaded);
    Routed { dispatched: end.map(|it| dispatched(it, failed)), ..undispatched(decision) }
}

/// `small@one` answered.
pub(super) fn answered(response: ChatResponse) -> Routed {
    let deployment = Arc::clone(&fleet().deployments()[0]);
    let end = ChainEnd::Served { deployment, response };
    Routed { dispatched: Some(dispatched(end, None)), ..undispatched(decided()) }
}

/// `small@one` broke off after this part.
pub(super) fn broken(class: FailureClass, partial: ChatResponse) -> Routed {
    let deployment = Arc::clone(&fleet().deployments()[0]);
    let end = ChainEnd::Broken { deployment, class, partial };
    Routed { dispatched: Some(dispatched(end, Some(class))), ..undispatched(decided()) }
}

fn undispatched(decision: Decision) -> Routed {
    Routed { decision, dispatched: None, total_ms: 33.0, recorded: true, cached: None }
}

/// One attempt, and how everything ended.
fn dispatched(end: ChainEnd, failure: Option<FailureClass>) -> Dispatched {
    let usage = match &end {
        ChainEnd::Served { response, .. } => response.usage,
        ChainEnd::Broken { .. } | ChainEnd::Failed(_) => Usage::default(),
    };
    let attempt = Attempt {
        deployment: fleet().deployments()[0].id.clone(),
        failure,
        status: Some(failure.map_or(200, |_| 503)),
        start_ms: 2.0,
        total_ms: 30.0,
        ttft_ms: None,
        usage,
        usage_estimated: failure.is_some(),
        cost_usd: Usd::clamped(0.0001),
        detail: None,
    };
    let retry_in = Some(std::time::Duration::from_millis(1_700));
    let dropped = vec!["seed".into()];
    Dispatched { end, attempts: vec![attempt], dropped, seams: vec![], retry_in }
}
