//! What ranking says: the order, everyone's reasons, or a refusal.
//!
//! Invariant: every candidate is in the order or among the excluded, never both, never neither.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::availability::{Recent, Unavailable};
use super::exclusion::Exclusion;
use super::route::{Stop, Taken};
use super::ties::Ties;
use crate::catalog::Deployment;
use crate::domain::{DeploymentId, Probability};
use crate::prediction::Prediction;

/// A deployment that may serve the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Which.
    pub deployment: Arc<Deployment>,
    /// What is expected of it.
    pub prediction: Prediction,
    /// quality - cost / worth - latency / worth, at the expected values.
    pub utility: f64,
    /// The chance with which this policy puts it first.
    pub propensity: Probability,
    /// Why it is called only when nobody else is left: it is shut or full. It stands behind all that are not.
    pub shut: Option<Unavailable>,
    /// Calls under way there when it was ranked; fewer come first among equals.
    pub in_flight: u32,
    /// Its place on the route that was taken; `None` where none was.
    pub stop: Option<Arc<Stop>>,
    /// What it did of late.
    pub recent: Recent,
}

/// The order in which deployments are tried; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Everyone eligible, best first, last resorts at the end; behind them those who would be eligible
    /// and are shut, by when they may be called again.
    pub entries: Vec<Ranked>,
    /// Everyone else.
    pub excluded: Vec<Excluded>,
    /// Who counted as equal, and in which order those came that were equally busy.
    pub ties: Ties,
    /// The operator's own way that the order follows, where it does.
    pub taken: Option<Taken>,
}

impl Ranking {
    /// The entries that fallback may walk: the first `candidates_max`, of a route the first of each of
    /// its targets, and all last resorts.
    pub fn walk(&self, candidates_max: usize) -> impl Iterator<Item = &Ranked> {
        let within = move |(at, it): &(usize, &Ranked)| {
            self.rank_at_stop(*at, it) < candidates_max || it.deployment.last_resort
        };
        self.entries.iter().enumerate().filter(within).map(|(_, it)| it)
    }

    /// How many stand before an entry at the same target; without a route, at all.
    fn rank_at_stop(&self, at: usize, of: &Ranked) -> usize {
        let Some(stop) = &of.stop else { return at };
        let same = |it: &&Ranked| it.stop.as_ref().is_some_and(|own| own.place == stop.place);
        self.entries.iter().take(at).filter(same).count()
    }
}

/// A deployment that may not serve the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Excluded {
    /// Which.
    pub deployment: DeploymentId,
    /// Every reason.
    pub reasons: Vec<Exclusion>,
    /// What would have been expected of it.
    pub prediction: Prediction,
}

/// Nobody may serve the request; nothing was spent.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Everyone, with every reason.
    pub excluded: Vec<Excluded>,
}

impl Refusal {
    /// How many candidates each limit excluded, most first.
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        for reason in self.excluded.iter().flat_map(|it| &it.reasons) {
            match counts.iter_mut().find(|(limit, _)| *limit == reason.limit()) {
                Some((_, count)) => *count += 1,
                None => counts.push((reason.limit(), 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "none of {} candidates passes the limits:", self.excluded.len())?;
        for (at, (limit, count)) in self.counts().into_iter().enumerate() {
            write!(out, "{} {limit} excludes {count}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::{CachedInput, Forecast, LogNormal, QualityEstimate};

    fn chance(value: f64) -> Probability {
        Probability::clamped(value)
    }

    fn excluded(reasons: Vec<Exclusion>) -> Excluded {
        let deployment = DeploymentId::new("m@p").unwrap();
        let tokens = LogNormal { mu: 1.0, sigma: 0.0, cap: 10.0 };
        let forecast = Forecast { fixed: 0.0, per_token: 0.0, tokens };
        let prediction = Prediction {
            deployment: deployment.clone(),
            quality: QualityEstimate { mean: Probability::ONE, spread: 0.0 },
            input_tokens: 1.0,
            output_tokens: tokens,
            cost_usd: forecast,
            cached: CachedInput::NONE,
            ttft_ms: 1.0,
            ttft_sigma: 0.0,
            latency_s: forecast,
        };
        Excluded { deployment, reasons, prediction }
    }

    #[test]
    fn a_refusal_counts_the_limits_most_first() {
        let slow = || Exclusion::Ttft { chance: chance(0.5), likely_ms: 1.0 };
        let everyone = [vec![Exclusion::NotAllowed, slow()], vec![slow()]];
        let refusal = Refusal { excluded: everyone.map(excluded).to_vec() };
        let wanted = "none of 2 candidates passes the limits: max_ttft_ms excludes 2, \
                      not_allowed excludes 1";
        assert_eq!(refusal.to_string(), wanted);
    }
}
