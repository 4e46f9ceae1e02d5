//! Our own part of an answer, as JSON: the `pointsman` object, and decisions.
//!
//! In: what was decided and tried. Out: JSON with the names that gRPC's messages have. Invariant:
//! errors tell as much as answers do. Not here: the answer itself, which is the dialect's.

use serde_json::{Map, Value, json};

use crate::api::explain;
use crate::api::fault::{Fault, Kind, Tried};
use crate::api::to_proto;
use crate::catalog::Deployment;
use crate::domain::{Attempt, FailureClass, Seam};
use crate::pipeline::{CacheHit, Decision, Routed};
use crate::prediction::Prediction;
use crate::ranking::{Excluded, Ranked};

/// Whether the caller wants to know why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Explain {
    /// No.
    No,
    /// In words, and the whole ranking.
    Yes,
}

impl From<bool> for Explain {
    fn from(wanted: bool) -> Self {
        if wanted { Self::Yes } else { Self::No }
    }
}

/// The `pointsman` object of an answer of `deployment`.
pub(super) fn of_answer(routed: &Routed, deployment: &Deployment, explain: Explain) -> Value {
    let dispatched = routed.dispatched.as_ref();
    let mut all = decided(&routed.decision, explain);
    let rest = json!({
        "served_model": deployment.model.name,
        "deployment": deployment.id,
        "provider": deployment.provider,
        "attempts": dispatched.map(|it| attempts(&it.attempts)),
        "cost_usd": dispatched.map_or(0.0, |it| it.cost_usd().get()),
        "total_ms": routed.total_ms,
        "outcome_recorded": routed.recorded,
        "cached": routed.cached.map(cached),
        "switches": dispatched.map(|it| it.seams.as_slice()).unwrap_or_default(),
        "dropped_parameters": dispatched.map(|it| it.dropped.as_slice()).unwrap_or_default(),
    });
    extend(&mut all, rest);
    Value::Object(all)
}

fn cached(of: CacheHit) -> Value {
    let CacheHit { decision, age, similarity } = of;
    json!({ "decision_id": decision.to_string(), "age_ms": age.as_millis() as u64, "similarity": similarity })
}

/// The `pointsman` object of an error; null where nothing was decided.
pub(super) fn of_fault(fault: &Fault, explain: Explain) -> Value {
    let Some(tried) = &fault.tried else {
        let told = json!({ "reason": fault.reason, "facts": fault.facts });
        return if fault.facts.is_empty() { Value::Null } else { told };
    };
    let Tried { decision, cost_usd, total_ms, recorded, .. } = &**tried;
    let mut all = decided(decision, explain);
    let rest = json!({
        "reason": fault.reason,
        "attempts": attempts(&tried.attempts),
        "cost_usd": cost_usd.get(),
        "total_ms": total_ms,
        "outcome_recorded": recorded,
    });
    extend(&mut all, rest);
    if !fault.facts.is_empty() {
        let name = if fault.kind == Kind::NoCandidate { "excluded_by" } else { "facts" };
        all.insert(name.into(), json!(fault.facts));
    }
    if let Some(it) = &tried.partial {
        let sent = to_proto::partial(&it.deployment, it.class, &it.response);
        let told = json!({
            "deployment": sent.deployment,
            "failure": it.class,
            "text_bytes": sent.text_bytes,
            "reasoning_bytes": sent.reasoning_bytes,
            "tool_calls_whole": sent.tool_calls_whole,
        });
        all.insert("partial".into(), told);
    }
    Value::Object(all)
}

/// The `pointsman` object of the place where another deployment goes on.
pub(super) fn of_switch(seam: &Seam, failure: FailureClass) -> Value {
    let Seam { at_bytes, deployment } = seam;
    let told = json!({ "deployment": deployment, "at_bytes": at_bytes, "failure": failure });
    json!({ "switched": told })
}

/// A whole decision.
pub(super) fn of_decision(decision: &Decision, explain: Explain) -> Value {
    let mut all = decided(decision, explain);
    let refusal = decision.verdict.as_ref().err().map(ToString::to_string);
    let rest = json!({
        "object": "pointsman.decision",
        "encoder_exit": decision.encoder_exit,
        "learned_updates": decision.learned_updates,
        // As text: JavaScript's numbers end at 2^53.
        "seed": decision.id.seed().to_string(),
        "decide_us": decision.decide_us,
        "refusal": refusal,
    });
    extend(&mut all, rest);
    extend(&mut all, ranking(decision));
    Value::Object(all)
}

fn decided(decision: &Decision, explain: Explain) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("decision_id".into(), decision.id.to_string().into());
    all.insert("artifact_version".into(), decision.artifact_version.as_str().into());
    if decision.canary {
        all.insert("canary".into(), true.into());
    }
    if let Some(taken) = decision.verdict.as_ref().ok().and_then(|it| it.taken.as_ref()) {
        let told = json!({ "name": taken.route, "branch": taken.branch });
        all.insert("route".into(), told);
    }
    if explain == Explain::Yes {
        all.insert("explanation".into(), explain::explanation(decision).into());
        extend(&mut all, ranking(decision));
    }
    all
}

fn extend(all: &mut Map<String, Value>, more: Value) {
    if let Value::Object(fields) = more {
        all.extend(fields);
    }
}

fn ranking(of: &Decision) -> Value {
    let (ranked, excluded) = match &of.verdict {
        Ok(ranking) => (ranking.entries.as_slice(), &ranking.excluded),
        Err(refusal) => ([].as_slice(), &refusal.excluded),
    };
    let ranked: Vec<_> = ranked.iter().map(self::ranked).collect();
    let excluded: Vec<_> = excluded.iter().map(self::excluded).collect();
    json!({ "ranking": ranked, "excluded": excluded })
}

fn ranked(of: &Ranked) -> Value {
    json!({
        "deployment": of.deployment.id,
        "model": of.deployment.model.name,
        "provider": of.deployment.provider,
        "prediction": prediction(&of.prediction),
        "utility": of.utility,
        "propensity": of.propensity.get(),
        "shut": of.shut.as_ref().map(ToString::to_string),
        "in_flight": of.in_flight,
        "target": of.stop.as_ref().map(|it| it.label.as_str()),
    })
}

fn excluded(of: &Excluded) -> Value {
    let reasons = of.reasons.iter();
    let reasons = reasons.map(|it| json!({ "limit": it.limit(), "message": it.to_string() }));
    json!({
        "deployment": of.deployment,
        "reasons": reasons.collect::<Vec<_>>(),
        "prediction": prediction(&of.prediction),
    })
}

fn prediction(of: &Prediction) -> Value {
    json!({
        "quality": of.quality.mean.get(),
        "quality_spread": of.quality.spread,
        "input_tokens": of.input_tokens,
        "output_tokens": of.output_tokens.mean(),
        "cost_usd": of.expected_cost_usd(),
        "cost_usd_p90": of.cost_usd.quantile(0.9),
        "latency_ms": of.latency_s.mean() * 1_000.0,
        "latency_ms_p90": of.latency_s.quantile(0.9) * 1_000.0,
        "ttft_ms": of.ttft_ms,
        "cached_tokens": of.cached.tokens,
        "ttft_ms_p90": of.ttft_quantile_ms(0.9),
    })
}

fn attempts(all: &[Attempt]) -> Value {
    let one = |it: &Attempt| {
        json!({
            "deployment": it.deployment,
            "failure": it.failure,
            "status": it.status,
            "start_ms": it.start_ms,
            "total_ms": it.total_ms,
            "ttft_ms": it.ttft_ms,
            "usage": it.usage,
            "usage_estimated": it.usage_estimated,
            "cost_usd": it.cost_usd.get(),
            "detail": it.detail,
        })
    };
    all.iter().map(one).collect()
}
