//! One decision of the past: who could have been chosen at what expectation, and how long the answer took.
//!
//! In: a request that ended. Out: plain numbers. Invariant: at most [`OFFERS_MAX`] candidates.

use std::collections::HashMap;

use crate::domain::{Attempt, DeploymentId};
use crate::prediction::Forecast;
use crate::ranking::{Ranked, Ranking};
use crate::telemetry::Seen;

/// Candidates kept of one decision, the best ranked.
const OFFERS_MAX: usize = 64;

/// Somebody who could have been chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Offer {
    /// Its place in the fleet.
    pub(super) who: u16,
    /// Expected, 0 to 1.
    pub(super) quality: f64,
    /// Expected, USD.
    pub(super) cost_usd: f64,
    /// Expected, milliseconds.
    pub(super) latency_ms: f64,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Answer {
    /// Its place in the fleet.
    pub(super) who: u16,
    /// What was expected of its time.
    pub(super) expected_s: Forecast,
    /// What it took, milliseconds.
    pub(super) took_ms: f64,
}

/// A decision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Past {
    /// Never empty.
    pub(super) offers: Vec<Offer>,
    pub(super) answer: Option<Answer>,
}

impl Past {
    /// What is kept of a request; nothing of one that was refused.
    pub(super) fn of(seen: &Seen<'_>, places: &HashMap<DeploymentId, u16>) -> Option<Self> {
        let ranking = seen.ranking?;
        let offer = |it: &Ranked| {
            let who = *places.get(&it.deployment.id)?;
            Some(Offer {
                who,
                quality: it.prediction.quality.mean.get(),
                cost_usd: it.prediction.expected_cost_usd(),
                latency_ms: it.prediction.latency_s.mean() * 1_000.0,
            })
        };
        let offers: Vec<_> = ranking.entries.iter().take(OFFERS_MAX).filter_map(offer).collect();
        let attempts = seen.dispatched.map(|it| it.attempts.as_slice()).unwrap_or_default();
        // As the metrics compare: an answer, and none that somebody made slow.
        let answered = attempts.iter().find(|it| it.failure.is_none() && !it.is_forced());
        let answer = answered.and_then(|it| answer(it, ranking, places));
        (!offers.is_empty()).then_some(Self { offers, answer })
    }
}

fn answer(of: &Attempt, ranking: &Ranking, places: &HashMap<DeploymentId, u16>) -> Option<Answer> {
    let ranked = ranking.entries.iter().find(|it| it.deployment.id == of.deployment)?;
    let who = *places.get(&of.deployment)?;
    Some(Answer { who, expected_s: ranked.prediction.latency_s, took_ms: of.total_ms })
}
