//! How the server is doing, in one look.
//!
//! In: the pipeline. Out: the JSON of `GET /api/overview`. Invariant: whatever stands in `/metrics` too
//! is that very figure, counted since the process started; what is of the newest requests alone says so
//! in its name. Not here: the past beyond this process (the log, and Prometheus).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use http::Response;
use serde_json::{Value, json};

use super::{Desk, unix_ms};
use crate::api::http::answer;
use crate::catalog::Deployment;
use crate::dispatch::health::{Condition, Phase};
use crate::pipeline::Pipeline;
use crate::ranking::{Availability, Policy, Preference};
use crate::telemetry::{Figures, Glance, LATENCY_QUANTILES, Point};

/// Seconds of traffic that are told: ten minutes.
const SECONDS: usize = 600;
/// More answers than this share by a later choice wake somebody (`deploy/prometheus/rules.yml`).
const FALLBACK_LINE: f64 = 0.05;

const REQUESTS: &str = "pointsman_requests_total";
const FALLBACKS: &str = "pointsman_fallbacks_total";
const SERVED: (&str, &str) = ("end", "served");

/// `GET /api/overview`.
pub(super) async fn overview(State(desk): State<Arc<Desk>>) -> Response<Body> {
    // A few milliseconds of sums: not on a thread that serves connections.
    let told = tokio::task::spawn_blocking(move || told(&desk)).await;
    answer(told.map_err(|_| crate::api::fault::panicked()))
}

fn told(desk: &Desk) -> Value {
    let (pipeline, now) = (&desk.face.pipeline, unix_ms());
    let figures = pipeline.figures(desk.face.life.is_ready());
    let glance = pipeline.history().glance(now, SECONDS);
    json!({
        "now_unix_ms": now,
        "began_unix_ms": desk.began_unix_ms,
        "version": env!("CARGO_PKG_VERSION"),
        "ready": figures.sum("pointsman_ready", &[]) > 0.0,
        "artifact": artifact(pipeline),
        "policy": policy(&desk.face.defaults.policy),
        "traffic": traffic(&glance, now),
        "requests": requests(&figures),
        "fallbacks": fallbacks(&figures),
        "money": money(&figures),
        "deployments": deployments(pipeline, &figures),
        "recent": {
            "frontier": frontier(&glance, &desk.face.defaults.policy.preference),
            "latency": latency(&glance),
        },
        "calibration": calibration(&glance, &figures),
        "log": log(pipeline),
    })
}

fn artifact(pipeline: &Pipeline) -> Value {
    let status = pipeline.artifacts().status();
    let learned = pipeline.learning_state().map(|it| it.updates);
    json!({
        "version": pipeline.artifacts().version(),
        "canary": status.canary.now.map(|it| it.version),
        "canary_share": status.canary_share.map(|it| it.get()),
        "shadow": status.shadow.now.map(|it| it.version),
        "learned_updates": learned,
    })
}

fn policy(of: &Policy) -> Value {
    let preset = |it: &Preference| {
        let known = Preference::PRESETS.iter().find(|(_, of)| of == it);
        known.map(|(name, _)| *name)
    };
    let presets = Preference::PRESETS.iter().map(|(name, it)| {
        json!({
            "name": name,
            "cost_per_quality_usd": it.cost_per_quality_usd,
            "latency_per_quality_ms": it.latency_per_quality_ms,
        })
    });
    json!({
        "preset": preset(&of.preference),
        "cost_per_quality_usd": of.preference.cost_per_quality_usd,
        "latency_per_quality_ms": of.preference.latency_per_quality_ms,
        "min_quality": of.min_quality.map(|it| it.get()),
        "max_cost_usd": of.budget.max_cost_usd.map(|it| it.get()),
        "max_latency_ms": of.budget.max_latency.as_millis() as u64,
        "presets": presets.collect::<Vec<_>>(),
    })
}

fn traffic(of: &Glance, now_unix_ms: u64) -> Value {
    let column = |of_second: fn(&crate::telemetry::Second) -> u32| {
        of.seconds.iter().map(of_second).collect::<Vec<_>>()
    };
    json!({
        "last_unix_s": now_unix_ms / 1_000,
        "ended": column(|it| it.ended),
        "answered": column(|it| it.answered),
        "fell_back": column(|it| it.fell_back),
    })
}

fn requests(of: &Figures) -> Value {
    json!({
        "total": of.sum(REQUESTS, &[]),
        "served": of.sum(REQUESTS, &[SERVED]),
        "in_flight": of.sum("pointsman_requests_in_flight", &[]),
        "by_end": of.by(REQUESTS, "end", &[]),
        "served_by_model": of.by(REQUESTS, "model", &[SERVED]),
    })
}

fn fallbacks(of: &Figures) -> Value {
    let (all, served) = (of.sum(FALLBACKS, &[]), of.sum(REQUESTS, &[SERVED]));
    json!({
        "total": all,
        "rate": (served > 0.0).then(|| all / served),
        "line": FALLBACK_LINE,
        "by_class": of.by(FALLBACKS, "why", &[]),
        "by_first": of.by(FALLBACKS, "first", &[]),
    })
}

fn money(of: &Figures) -> Value {
    let spent = of.sum("pointsman_cost_usd_total", &[]);
    let best = of.sum("pointsman_always_best_cost_usd_total", &[]);
    json!({
        "spent_usd": spent,
        "always_best_usd": best,
        "saved_usd": best - spent,
        "saved_share": (best > 0.0).then(|| (best - spent) / best),
    })
}

fn deployments(pipeline: &Pipeline, figures: &Figures) -> Vec<Value> {
    let (conditions, now) = pipeline.conditions();
    let availability = pipeline.availability();
    let fleet = pipeline.fleet().deployments().iter();
    fleet
        .map(|it| {
            let condition = conditions.iter().find(|of| of.deployment == it.id);
            deployment((it, condition, now), &availability, figures)
        })
        .collect()
}

fn deployment(
    (of, condition, now): (&Deployment, Option<&Condition>, std::time::Duration),
    availability: &Availability,
    figures: &Figures,
) -> Value {
    let own = [("deployment", of.id.as_str())];
    let states = figures.by("pointsman_breaker_state", "state", &own);
    let state = states.into_iter().find(|(_, value)| *value > 0.0).map(|(name, _)| name);
    let until = condition.and_then(|it| match it.phase {
        Phase::Closed | Phase::Due => None,
        Phase::Open(until) | Phase::Probing(until) | Phase::Ramping(until) => Some(until),
    });
    json!({
        "deployment": of.id,
        "model": of.model.name,
        "provider": of.provider,
        "breaker": state,
        "available": figures.sum("pointsman_deployment_available", &own) > 0.0,
        "unavailable": availability.of(&of.id).map(ToString::to_string),
        "opens_in_ms": until.map(|it| it.saturating_sub(now).as_millis() as u64),
        "opened_by": condition.and_then(|it| it.class),
        "input_usd_per_million": of.price.input.usd_per_million(),
        "output_usd_per_million": of.price.output.usd_per_million(),
        "cost_usd": figures.sum("pointsman_cost_usd_total", &own),
        "attempts": figures.by("pointsman_attempts_total", "class", &own),
    })
}

fn point(of: Option<Point>) -> Value {
    of.map_or(Value::Null, |it| json!({ "cost_usd": it.cost_usd, "quality": it.quality }))
}

fn frontier(of: &Glance, preference: &Preference) -> Value {
    let frontier = of.frontier(preference);
    let curve = frontier.curve.iter().map(|it| {
        let (cost_usd, quality) = (it.point.cost_usd, it.point.quality);
        json!({ "worth_usd": it.worth_usd, "cost_usd": cost_usd, "quality": quality })
    });
    let alone = frontier.alone.iter().map(|it| {
        let (cost_usd, quality) = (it.point.cost_usd, it.point.quality);
        let (deployment, offered) = (&it.deployment, it.offered);
        json!({
            "deployment": deployment, "offered": offered, "cost_usd": cost_usd, "quality": quality,
        })
    });
    json!({
        "requests": frontier.requests,
        "curve": curve.collect::<Vec<_>>(),
        "alone": alone.collect::<Vec<_>>(),
        "policy": point(frontier.policy),
        "always_best": point(frontier.always_best),
    })
}

fn latency(of: &Glance) -> Value {
    let rows = of.latencies().into_iter().map(|it| {
        json!({
            "deployment": it.deployment,
            "answers": it.answers,
            "predicted_ms": it.predicted_ms,
            "real_ms": it.real_ms,
            "within_p90": it.within_p90,
        })
    });
    json!({ "quantiles": LATENCY_QUANTILES, "rows": rows.collect::<Vec<_>>() })
}

fn calibration(of: &Glance, figures: &Figures) -> Value {
    let bins = of.calibration.iter().map(
        |it| json!({ "answers": it.answers, "predicted": it.predicted, "realised": it.realised }),
    );
    let quality = [("quantity", "quality")];
    json!({
        "answers": figures.sum("pointsman_compared_answers_total", &quality),
        "predicted_sum": figures.sum("pointsman_predicted_total", &quality),
        "realised_sum": figures.sum("pointsman_realised_total", &quality),
        "bins": bins.collect::<Vec<_>>(),
    })
}

fn log(pipeline: &Pipeline) -> Value {
    let status = pipeline.log().status();
    json!({
        "prompts": pipeline.log().prompts(),
        "queued": status.queued,
        "connected": status.connected,
        "spooled": status.spooled_records,
        "dropped": status.dropped,
        "last_error": status.last_error,
    })
}
