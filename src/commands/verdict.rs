//! A decision and its attempts, as tables or as JSON.
//!
//! In: `pointsman.v1` messages. Out: text. Invariant: shows the server's own figures and adds none.

use std::io::Write;

use serde_json::{Value, json};

use super::client;
use super::paint::{Paint, Tone, fit, time, usd};
use crate::api::proto;

/// Where and how to write.
pub(super) struct Screen<'o> {
    pub(super) out: &'o mut dyn Write,
    pub(super) paint: Paint,
}

/// The ranking, then who was excluded and why, at most `top` of each.
pub(super) fn decision(
    of: &proto::Decision,
    top: usize,
    screen: &mut Screen<'_>,
) -> std::io::Result<()> {
    let (out, paint) = (&mut *screen.out, screen.paint);
    let shown = of.ranking.iter().take(top);
    let names = shown.clone().map(|it| it.deployment.as_str());
    let excluded_names = of.excluded.iter().take(top).map(|it| it.deployment.as_str());
    let width = names.chain(excluded_names).map(str::len).max().unwrap_or(0).max(10);
    if !of.ranking.is_empty() {
        let heading = format!(
            "{:>4}  {:<width$}  {:>11}  {:>9}  {:>8}  {:>7}",
            "", "deployment", "quality", "cost", "latency", "utility"
        );
        writeln!(out, "{}", paint.tone(Tone::Strong, heading))?;
    }
    for (at, it) in shown.enumerate() {
        let p = it.prediction.unwrap_or_default();
        let line = format!(
            "{:>4}  {}  {:>5.2} ±{:.2}  {:>9}  {:>8}  {:>7.3}",
            at + 1,
            fit(&it.deployment, width),
            p.quality,
            p.quality_spread,
            usd(p.cost_usd),
            time(p.latency_ms),
            it.utility
        );
        writeln!(out, "{}", if at == 0 { paint.tone(Tone::Good, line) } else { line })?;
    }
    more(of.ranking.len(), top, "ranked", screen)?;
    excluded(of, top, width, screen)
}

fn excluded(
    of: &proto::Decision,
    top: usize,
    width: usize,
    screen: &mut Screen<'_>,
) -> std::io::Result<()> {
    for it in of.excluded.iter().take(top) {
        let reasons: Vec<_> = it.reasons.iter().map(|it| it.message.as_str()).collect();
        let line = format!("   -  {}  {}", fit(&it.deployment, width), reasons.join("; "));
        writeln!(screen.out, "{}", screen.paint.tone(Tone::Faint, line))?;
    }
    more(of.excluded.len(), top, "excluded", screen)
}

fn more(all: usize, top: usize, what: &str, screen: &mut Screen<'_>) -> std::io::Result<()> {
    if all <= top {
        return Ok(());
    }
    let line = format!("      and {} more {what} (--top N, --json)", all - top);
    writeln!(screen.out, "{}", screen.paint.tone(Tone::Faint, line))
}

/// Every call that was made, in order.
pub(super) fn attempts(all: &[proto::Attempt], screen: &mut Screen<'_>) -> std::io::Result<()> {
    let width = all.iter().map(|it| it.deployment.len()).max().unwrap_or(0);
    for (at, it) in all.iter().enumerate() {
        let served = it.failure() == proto::FailureClass::Unspecified;
        let status = it.status.map_or(String::new(), |it| format!(" ({it})"));
        let line = format!(
            "{:>4}  {:<width$}  {:<22}  {:>8}  {:>9}",
            at + 1,
            it.deployment,
            format!("{}{status}", client::class(it)),
            time(it.total_ms),
            usd(it.cost_usd)
        );
        let tone = if served { Tone::Good } else { Tone::Warn };
        writeln!(screen.out, "{}", screen.paint.tone(tone, line))?;
    }
    Ok(())
}

/// A choice as JSON, whole.
pub(super) fn json(of: &proto::RankResponse) -> Value {
    let decision = of.decision.clone().unwrap_or_default();
    let ranked = decision.ranking.iter().map(|it| {
        json!({
            "deployment": it.deployment,
            "model": it.model,
            "provider": it.provider,
            "utility": it.utility,
            "propensity": it.propensity,
            "in_flight": it.in_flight,
            "prediction": it.prediction.as_ref().map(prediction),
        })
    });
    let excluded = decision.excluded.iter().map(|it| {
        let reason = |it: &proto::Exclusion| {
            let limit = it.limit().as_str_name().trim_start_matches("LIMIT_").to_lowercase();
            json!({ "limit": limit, "message": it.message })
        };
        json!({
            "deployment": it.deployment,
            "reasons": it.reasons.iter().map(reason).collect::<Vec<_>>(),
            "prediction": it.prediction.as_ref().map(prediction),
        })
    });
    json!({
        "decision_id": decision.id,
        "artifact_version": decision.artifact_version,
        "learned_updates": decision.learned_updates,
        "decide_us": decision.decide_us,
        "seed": decision.seed,
        "refusal": of.refusal,
        "ranking": ranked.collect::<Vec<_>>(),
        "excluded": excluded.collect::<Vec<_>>(),
    })
}

fn prediction(of: &proto::Prediction) -> Value {
    json!({
        "quality": of.quality,
        "quality_spread": of.quality_spread,
        "input_tokens": of.input_tokens,
        "output_tokens": of.output_tokens,
        "cost_usd": of.cost_usd,
        "cost_usd_p90": of.cost_usd_p90,
        "latency_ms": of.latency_ms,
        "latency_ms_p90": of.latency_ms_p90,
        "ttft_ms": of.ttft_ms,
        "cached_tokens": of.cached_tokens,
        "ttft_ms_p90": of.ttft_ms_p90,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> proto::RankResponse {
        let ranked = |name: &str| proto::RankedCandidate {
            deployment: name.into(),
            prediction: Some(proto::Prediction { quality: 0.8, ..Default::default() }),
            ..Default::default()
        };
        let reason = proto::Exclusion {
            limit: proto::Limit::Abilities.into(),
            message: "lacks images".into(),
        };
        let excluded = proto::ExcludedCandidate {
            deployment: "c@p".into(),
            reasons: vec![reason],
            prediction: None,
        };
        let decision = proto::Decision {
            ranking: vec![ranked("a@p"), ranked("b@p")],
            excluded: vec![excluded],
            ..Default::default()
        };
        proto::RankResponse { decision: Some(decision), refusal: None }
    }

    #[test]
    fn the_table_names_the_first_and_why_others_are_out() {
        let mut out = Vec::new();
        let mut screen = Screen { out: &mut out, paint: Paint::Plain };
        decision(&response().decision.unwrap(), 1, &mut screen).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("a@p") && !text.contains("b@p"), "{text}");
        assert!(text.contains("and 1 more ranked") && text.contains("lacks images"), "{text}");
    }

    #[test]
    fn json_is_whole() {
        let json = json(&response());
        assert_eq!(json["ranking"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["excluded"][0]["reasons"][0]["limit"], "abilities");
    }
}
