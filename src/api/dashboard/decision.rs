//! One decision of the log, explained.
//!
//! In: a [`Logged`]. Out: JSON: the ranking with what was predicted, what came, who was excluded and
//! why, every attempt. Invariant: recomputes nothing: every figure stands in the record or follows from
//! what is predicted there; a prompt is in it only where the operator keeps them whole. Pure.

use serde_json::{Value, json};

use crate::api::http::{attempts, prediction};
use crate::outcome::{CandidateFacts, ExcludedFacts, Logged, OutcomeRecord, RecordedPrompt};

/// Longest prompt that is shown, bytes of its JSON; a longer one is told by its length.
const PROMPT_BYTES_MAX: usize = 256 << 10;

/// The whole of it.
pub(super) fn told(of: &Logged) -> Value {
    let record = &of.record;
    let scores = of.scores.iter();
    let scores = scores.map(|(kind, it)| json!({ "kind": kind.as_str(), "score": it.get() }));
    let signals = of.signals.iter().map(|it| {
        let (signal, about) = (it.signal.as_str(), &it.about);
        json!({ "signal": signal, "about": about, "score": it.score.get(), "weight": it.weight })
    });
    json!({
        "decision_id": record.decision,
        "at_unix_ms": record.at_unix_ms,
        "request_id": record.request_id,
        "session_id": record.session_id,
        "metadata": record.metadata,
        "caller": record.caller,
        "artifact_version": record.artifact_version,
        "learned_updates": record.learned_updates,
        "encoder_exit": record.encoder_exit,
        "canary": record.canary,
        "shadow": record.shadow,
        "policy": record.policy,
        "need": record.need,
        "end": record.end,
        "served": record.served,
        "cached": record.cached,
        "switches": record.seams,
        "usage": record.usage,
        "cost_usd": record.cost_usd.get(),
        "total_ms": record.total_ms,
        "decide_us": record.decide_us,
        "ranking": ranking(record),
        "excluded": record.excluded.iter().map(|it| excluded(record, it)).collect::<Vec<_>>(),
        "attempts": attempts(&record.attempts),
        "answer": answer(of),
        "scores": scores.collect::<Vec<_>>(),
        "signals": signals.collect::<Vec<_>>(),
        "prompt": prompt(&record.prompt),
    })
}

fn ranking(record: &OutcomeRecord) -> Vec<Value> {
    let place = |it: &crate::outcome::RankedFacts| {
        let facts = record.candidates.iter().find(|of| of.deployment == it.deployment)?;
        Some(json!({
            "deployment": it.deployment,
            "model": facts.model,
            "provider": facts.provider,
            "utility": it.utility,
            "propensity": it.propensity.get(),
            "last_resort": facts.last_resort,
            "in_flight": facts.in_flight,
            "shut": facts.unavailable.as_ref().map(ToString::to_string),
            "prediction": prediction(&facts.prediction),
        }))
    };
    record.ranked.iter().filter_map(place).collect()
}

fn excluded(record: &OutcomeRecord, of: &ExcludedFacts) -> Value {
    let facts = record.candidates.iter().find(|it| it.deployment == of.deployment);
    let reasons = of.reasons.iter();
    let reasons = reasons.map(|it| json!({ "limit": it.limit(), "message": it.to_string() }));
    json!({
        "deployment": of.deployment,
        "model": facts.map(|it| &it.model),
        "provider": facts.map(|it| &it.provider),
        "reasons": reasons.collect::<Vec<_>>(),
        "prediction": facts.map(|it| prediction(&it.prediction)),
    })
}

/// What was predicted of the call that answered, beside what came of it; null where none did.
fn answer(of: &Logged) -> Value {
    let record = &of.record;
    let whole = record.attempts.iter().find(|it| it.failure.is_none());
    let facts = |it: &crate::domain::DeploymentId| -> Option<&CandidateFacts> {
        record.candidates.iter().find(|of| of.deployment == *it)
    };
    let Some((call, facts)) = whole.and_then(|it| Some((it, facts(&it.deployment)?))) else {
        return Value::Null;
    };
    let (expected, surest) = (&facts.prediction, of.surest());
    let pair = |predicted: f64, p90: f64, real: Option<f64>| json!({ "predicted": predicted, "predicted_p90": p90, "real": real });
    let tokens = &expected.output_tokens;
    let latency = &expected.latency_s;
    json!({
        "deployment": call.deployment,
        "quality": {
            "predicted": expected.quality.mean.get(),
            "spread": expected.quality.spread,
            "real": surest.map(|(_, score)| score.get()),
            "scored_by": surest.map(|(kind, _)| kind.as_str()),
        },
        "cost_usd": pair(
            expected.expected_cost_usd(),
            expected.cost_usd.quantile(0.9),
            Some(call.cost_usd.get()),
        ),
        "output_tokens": pair(
            tokens.mean(),
            tokens.quantile(0.9),
            Some(call.usage.output_tokens as f64),
        ),
        "latency_ms": pair(
            latency.mean() * 1_000.0,
            latency.quantile(0.9) * 1_000.0,
            Some(call.total_ms),
        ),
        "ttft_ms": pair(expected.ttft_ms, expected.ttft_quantile_ms(0.9), call.ttft_ms),
    })
}

/// As much of the prompt as is kept.
fn prompt(of: &RecordedPrompt) -> Value {
    match of {
        RecordedPrompt::None => json!({ "kept": "none" }),
        RecordedPrompt::Hash(hash) => json!({ "kept": "hash", "sha256": hash }),
        RecordedPrompt::Full(text) if text.len() > PROMPT_BYTES_MAX => {
            json!({ "kept": "full", "bytes": text.len(), "too_long": true })
        }
        RecordedPrompt::Full(text) => {
            let messages = serde_json::from_str::<Value>(text.as_str()).unwrap_or_default();
            json!({ "kept": "full", "bytes": text.len(), "messages": messages })
        }
    }
}
