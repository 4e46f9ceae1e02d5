//! The `pointsman` object of a body: our own fields, by the names they have in gRPC.
//!
//! In: JSON. Out: the fields of [`proto::RouteRequest`] that are not the prompt. Invariant: a field
//! that is not known is told, with the one that was perhaps meant. Not here: whether the values
//! make sense, which is one rule for both faces (see [`crate::api::from_proto`]).

use serde_json::Value;

use super::fields::Fields;
use crate::api::proto;
use crate::domain::{FORCED_MAX, Violation};

/// The name of the object.
pub(super) const NAME: &str = "pointsman";
/// Its fields.
pub(super) const KNOWN: [&str; 13] = [
    "cache",
    "budget",
    "preference",
    "min_quality",
    "candidates",
    "fallback",
    "session_id",
    "request_id",
    "metadata",
    "explain",
    "explore",
    "faults",
    "route",
];
const BUDGET: [&str; 6] = [
    "max_cost_usd",
    "max_latency_ms",
    "max_ttft_ms",
    "confidence",
    "max_inter_token_ms",
    "min_throughput",
];
const PREFERENCE: [&str; 3] = ["preset", "cost_per_quality_usd", "latency_per_quality_ms"];
const CANDIDATES: [&str; 3] = ["allow", "deny", "order"];
const FALLBACK: [&str; 5] =
    ["candidates_max", "on_content_filter", "on_stream_failure", "timeouts", "hedge"];
const TIMEOUTS: [&str; 4] = ["first_attempt_ms", "fallback_ms", "first_token_ms", "stall_ms"];
const FAULT: [&str; 4] = ["target", "fault", "times", "probability"];

/// Reads the object over what is there already.
pub(super) fn read(value: Value, wire: &mut proto::RouteRequest, found: &mut Vec<Violation>) {
    let Some(mut fields) = Fields::of(NAME, value, found) else { return };
    if let Some(inner) = fields.object("budget", found) {
        budget(inner, wire.budget.get_or_insert_default(), found);
    }
    if let Some(value) = fields.take("preference") {
        preference(value, wire.preference.get_or_insert_default(), found);
    }
    over(&mut wire.min_quality, fields.number("min_quality", found));
    if let Some(inner) = fields.object("candidates", found) {
        candidates(inner, wire.candidates.get_or_insert_default(), found);
    }
    if let Some(inner) = fields.object("fallback", found) {
        fallback(inner, wire.fallback.get_or_insert_default(), found);
    }
    over(&mut wire.session_id, fields.text("session_id", found));
    over(&mut wire.request_id, fields.text("request_id", found));
    wire.metadata.extend(fields.named_texts("metadata", found));
    wire.explain = fields.flag("explain", found).unwrap_or(wire.explain);
    over(&mut wire.explore, fields.flag("explore", found));
    over(&mut wire.route, fields.text("route", found));
    if let Some(name) = fields.text("cache", found) {
        match cache_use(&name) {
            Ok(it) => wire.cache = it.into(),
            Err(message) => found.push(Violation::new(format!("{NAME}.cache"), message)),
        }
    }
    if let Some(list) = fields.place("faults") {
        // One more than is allowed is enough to be told so.
        let list = list.elements(found).into_iter().take(FORCED_MAX + 1);
        wire.faults = list.filter_map(|it| Some(fault(it.object(found)?, found))).collect();
    }
    fields.deny_rest(&KNOWN, found);
}

fn over<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}

fn budget(mut fields: Fields, wire: &mut proto::Budget, found: &mut Vec<Violation>) {
    over(&mut wire.max_cost_usd, fields.number("max_cost_usd", found));
    over(&mut wire.max_latency_ms, fields.number("max_latency_ms", found));
    over(&mut wire.max_ttft_ms, fields.number("max_ttft_ms", found));
    over(&mut wire.confidence, fields.number("confidence", found));
    over(&mut wire.max_inter_token_ms, fields.number("max_inter_token_ms", found));
    over(&mut wire.min_throughput, fields.number("min_throughput", found));
    fields.deny_rest(&BUDGET, found);
}

/// A preset's name, or an object.
fn preference(value: Value, wire: &mut proto::Preference, found: &mut Vec<Violation>) {
    if let Value::String(preset) = value {
        wire.preset = Some(preset);
        return;
    }
    let path = format!("{NAME}.preference");
    let Some(mut fields) = Fields::of(&path, value, found) else { return };
    over(&mut wire.preset, fields.text("preset", found));
    over(&mut wire.cost_per_quality_usd, fields.number("cost_per_quality_usd", found));
    over(&mut wire.latency_per_quality_ms, fields.number("latency_per_quality_ms", found));
    fields.deny_rest(&PREFERENCE, found);
}

fn candidates(mut fields: Fields, wire: &mut proto::Candidates, found: &mut Vec<Violation>) {
    wire.allow = fields.texts("allow", found);
    wire.deny = fields.texts("deny", found);
    wire.order = fields.texts("order", found);
    fields.deny_rest(&CANDIDATES, found);
}

fn fallback(mut fields: Fields, wire: &mut proto::Fallback, found: &mut Vec<Violation>) {
    let most = fields.count("candidates_max", found);
    wire.candidates_max = most.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    wire.on_content_filter = fields.flag("on_content_filter", found);
    if let Some(name) = fields.text("on_stream_failure", found) {
        match on_stream_failure(&name) {
            Ok(way) => wire.on_stream_failure = way.into(),
            Err(message) => {
                let field = format!("{NAME}.fallback.on_stream_failure");
                found.push(Violation::new(field, message));
            }
        }
    }
    over(&mut wire.hedge, fields.flag("hedge", found));
    if let Some(inner) = fields.object("timeouts", found) {
        timeouts(inner, wire.timeouts.get_or_insert_default(), found);
    }
    fields.deny_rest(&FALLBACK, found);
}

fn timeouts(mut fields: Fields, wire: &mut proto::Timeouts, found: &mut Vec<Violation>) {
    over(&mut wire.first_attempt_ms, fields.number("first_attempt_ms", found));
    over(&mut wire.fallback_ms, fields.number("fallback_ms", found));
    over(&mut wire.first_token_ms, fields.number("first_token_ms", found));
    over(&mut wire.stall_ms, fields.number("stall_ms", found));
    fields.deny_rest(&TIMEOUTS, found);
}

/// What follows when a stream breaks off, by its name. A dialect has no word for taking back what
/// was told, so that nothing begins anew here.
pub(super) fn on_stream_failure(name: &str) -> Result<proto::OnStreamFailure, String> {
    match name {
        "continue" => Ok(proto::OnStreamFailure::Continue),
        "error" => Ok(proto::OnStreamFailure::Error),
        "restart" => {
            Err("`restart` is for gRPC only; here there are `continue` and `error`".into())
        }
        _ => Err("`continue` or `error` is wanted".into()),
    }
}

/// What is wanted of kept answers, by its name.
pub(super) fn cache_use(name: &str) -> Result<proto::CacheUse, String> {
    match name {
        "on" => Ok(proto::CacheUse::On),
        "tools" => Ok(proto::CacheUse::Tools),
        "refresh" => Ok(proto::CacheUse::Refresh),
        "off" => Ok(proto::CacheUse::Off),
        _ => Err("`on`, `tools`, `refresh` or `off` is wanted".into()),
    }
}

fn fault(mut fields: Fields, found: &mut Vec<Violation>) -> proto::ForcedFault {
    let times = fields.count("times", found);
    let wire = proto::ForcedFault {
        target: fields.text("target", found).unwrap_or_default(),
        fault: fields.text("fault", found).unwrap_or_default(),
        times: times.map(|it| u32::try_from(it).unwrap_or(u32::MAX)),
        probability: fields.number("probability", found),
    };
    fields.deny_rest(&FAULT, found);
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_is_read() {
        let (mut wire, mut found) = (proto::RouteRequest::default(), Vec::new());
        wire.budget.get_or_insert_default().max_ttft_ms = Some(5.0);
        let value = json!({
            "budget": {"max_cost_usd": 0.01, "max_latency_ms": 900, "confidence": 0.9},
            "preference": {"preset": "cost", "cost_per_quality_usd": 0.1},
            "min_quality": 0.5,
            "candidates": {"allow": ["a"], "deny": ["b"], "order": ["c", "d"]},
            "fallback": {
                "candidates_max": 2, "on_content_filter": true, "on_stream_failure": "error",
                "hedge": true, "timeouts": {"first_token_ms": 800, "stall_ms": 2000.5},
            },
            "session_id": "s", "request_id": "r", "metadata": {"k": "v"}, "explain": true,
            "explore": false, "cache": "refresh", "route": "support",
            "faults": [{"target": "*", "fault": "reset", "times": 2, "probability": 0.5}],
        });
        read(value, &mut wire, &mut found);
        assert_eq!(found, []);
        let budget = wire.budget.unwrap();
        assert_eq!((budget.max_cost_usd, budget.max_ttft_ms), (Some(0.01), Some(5.0)));
        assert_eq!(wire.candidates.unwrap().order, ["c", "d"]);
        let fallback = wire.fallback.unwrap();
        assert_eq!(fallback.candidates_max, Some(2));
        assert_eq!(fallback.on_stream_failure(), proto::OnStreamFailure::Error);
        let timeouts = fallback.timeouts.unwrap_or_default();
        assert_eq!((timeouts.first_token_ms, timeouts.stall_ms), (Some(800.0), Some(2000.5)));
        assert_eq!(fallback.hedge, Some(true));
        assert_eq!((wire.session_id.as_deref(), wire.explain), (Some("s"), true));
        assert_eq!((wire.metadata["k"].as_str(), wire.explore), ("v", Some(false)));
        assert_eq!(wire.route.as_deref(), Some("support"));
        assert_eq!(wire.cache, i32::from(proto::CacheUse::Refresh));
        let fault = &wire.faults[0];
        assert_eq!((fault.target.as_str(), fault.fault.as_str()), ("*", "reset"));
        assert_eq!((fault.times, fault.probability), (Some(2), Some(0.5)));
    }

    #[test]
    fn what_is_wrong_has_its_path() {
        let check = |value: Value, field: &str, part: &str| {
            let (mut wire, mut found) = (proto::RouteRequest::default(), Vec::new());
            read(value, &mut wire, &mut found);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].field, field);
            assert!(found[0].message.contains(part), "{found:?}");
        };
        check(json!(1), "pointsman", "an object is wanted");
        check(json!({"buget": {}}), "pointsman.buget", "did you mean `budget`");
        let value = json!({"budget": {"max_cost": 1}});
        check(value, "pointsman.budget.max_cost", "did you mean `max_cost_usd`");
        let value = json!({"budget": {"max_cost_usd": "secret"}});
        check(value, "pointsman.budget.max_cost_usd", "a number is wanted, not a string");
        check(json!({"candidates": {"order": [1]}}), "pointsman.candidates.order[0]", "a string");
        let value = json!({"fallback": {"on_stream_failure": "restart"}});
        check(value, "pointsman.fallback.on_stream_failure", "gRPC only");
        let value = json!({"fallback": {"on_stream_failure": "again"}});
        check(value, "pointsman.fallback.on_stream_failure", "`continue` or `error`");
        let value = json!({"faults": [{"time": 1}]});
        check(value, "pointsman.faults[0].time", "did you mean `times`");
        check(json!({"cache": "never"}), "pointsman.cache", "`refresh`");
        check(json!({"metadata": {"k": 1}}), "pointsman.metadata.k", "a string");
    }
}
