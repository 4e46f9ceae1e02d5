//! A request's wishes over a server's: limits only tighten, and every mistake is told.

use super::*;
use crate::api::testing;
use crate::ranking::UtilityGivenUp;

fn merged(wire: proto::RouteRequest) -> Policy {
    policy_for(&Policy::default(), &wire, &testing::fleet()).unwrap()
}

fn found(defaults: &Policy, wire: proto::RouteRequest) -> Vec<Violation> {
    policy_for(defaults, &wire, &testing::fleet()).err().unwrap_or_default()
}

fn budget(budget: proto::Budget) -> proto::RouteRequest {
    proto::RouteRequest { budget: Some(budget), ..Default::default() }
}

#[test]
fn an_empty_request_keeps_the_defaults() {
    assert_eq!(merged(proto::RouteRequest::default()), Policy::default());
    let empty = proto::RouteRequest {
        budget: Some(proto::Budget::default()),
        preference: Some(proto::Preference::default()),
        candidates: Some(proto::Candidates::default()),
        fallback: Some(proto::Fallback::default()),
        ..Default::default()
    };
    assert_eq!(merged(empty), Policy::default());
}

#[test]
fn limits_tighten_and_never_loosen() {
    let check = |asked_ms: f64, wanted_ms: u64| {
        let wire = budget(proto::Budget { max_latency_ms: Some(asked_ms), ..Default::default() });
        assert_eq!(merged(wire).budget.max_latency, Duration::from_millis(wanted_ms));
    };
    check(2_500.0, 2_500);
    check(1e300, 60_000);
    let mut defaults = Policy::default();
    defaults.budget.max_cost_usd = Some(Usd::clamped(0.01));
    defaults.min_quality = Some(Probability::clamped(0.5));
    let wire = proto::RouteRequest {
        min_quality: Some(0.4),
        fallback: Some(proto::Fallback {
            candidates_max: Some(9),
            on_content_filter: Some(true),
            on_stream_failure: proto::OnStreamFailure::Error.into(),
            ..Default::default()
        }),
        ..budget(proto::Budget { max_cost_usd: Some(1.0), ..Default::default() })
    };
    let policy = policy_for(&defaults, &wire, &testing::fleet()).unwrap();
    assert_eq!(policy.budget.max_cost_usd, defaults.budget.max_cost_usd);
    assert_eq!(policy.min_quality, defaults.min_quality);
    assert_eq!(policy.fallback.candidates_max, defaults.fallback.candidates_max);
    assert!(policy.fallback.on_content_filter);
    assert_eq!(policy.fallback.on_stream_failure, OnStreamFailure::Error);
}

#[test]
fn a_request_can_only_opt_out_of_exploration() {
    let drawn = Exploration::Drawn(UtilityGivenUp::new(0.01).unwrap());
    let check = |default: Exploration, asked: Option<bool>, wanted: Exploration| {
        assert_eq!(exploration(default, asked), wanted, "{default:?} {asked:?}");
    };
    check(drawn, None, drawn);
    check(drawn, Some(true), drawn);
    check(drawn, Some(false), Exploration::Off);
    check(Exploration::Off, Some(true), Exploration::Off);
}

#[test]
fn preferences_are_a_preset_with_figures_replaced() {
    let wire = proto::Preference {
        preset: Some("cost".into()),
        latency_per_quality_ms: Some(1.0),
        ..Default::default()
    };
    let policy = merged(proto::RouteRequest { preference: Some(wire), ..Default::default() });
    let wanted = Preference { latency_per_quality_ms: 1.0, ..Preference::COST };
    assert_eq!(policy.preference, wanted);
}

#[test]
fn every_violation_is_reported() {
    let wire = proto::RouteRequest {
        budget: Some(proto::Budget {
            max_cost_usd: Some(-1.0),
            max_latency_ms: Some(0.0),
            max_ttft_ms: Some(f64::NAN),
            confidence: Some(2.0),
            max_inter_token_ms: Some(0.0),
            min_throughput: Some(-1.0),
        }),
        preference: Some(proto::Preference {
            preset: Some("cheap".into()),
            cost_per_quality_usd: Some(0.0),
            latency_per_quality_ms: Some(f64::INFINITY),
        }),
        min_quality: Some(f64::NAN),
        candidates: Some(proto::Candidates {
            allow: vec!["smal".into()],
            deny: vec!["".into()],
            order: vec!["zzz".into()],
        }),
        fallback: Some(proto::Fallback { candidates_max: Some(0), ..Default::default() }),
        ..Default::default()
    };
    let found = found(&Policy::default(), wire);
    let fields: Vec<_> = found.iter().map(|it| it.field.as_str()).collect();
    let wanted = [
        "budget.max_cost_usd",
        "budget.max_latency_ms",
        "budget.max_ttft_ms",
        "budget.confidence",
        "budget.max_inter_token_ms",
        "budget.min_throughput",
        "preference.preset",
        "preference.cost_per_quality_usd",
        "preference.latency_per_quality_ms",
        "min_quality",
        "candidates.allow[0]",
        "candidates.deny[0]",
        "candidates.order[0]",
        "fallback.candidates_max",
    ];
    assert_eq!(fields, wanted);
    assert!(found[10].message.contains("`smal`") && found[10].message.contains("`small`"));
    assert!(!found[12].message.contains("did you mean"));
}

#[test]
fn both_allow_lists_hold() {
    let mut defaults = Policy::default();
    defaults.candidates.allow = vec![ModelName::new("small").unwrap()];
    let allow = |name: &str| proto::RouteRequest {
        candidates: Some(proto::Candidates { allow: vec![name.into()], ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(found(&defaults, allow("small")), []);
    assert_eq!(found(&defaults, allow("large"))[0].field, "candidates.allow");
}
