//! What ranking says: the order, everyone's reasons, or a refusal.
//!
//! Invariant: every candidate is in the order or among the excluded, never both, never neither.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::policy::{Ties, Unavailable};
use super::route::{Stop, Taken};
use crate::catalog::Deployment;
use crate::domain::{AbilitySet, DeploymentId, Probability};
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
    /// Why it is called only when nobody else is left: it is shut. It stands behind all that are not.
    pub shut: Option<Unavailable>,
    /// Calls under way there when it was ranked; fewer come first among equals.
    pub in_flight: u32,
    /// Its place on the route that was taken; `None` where none was.
    pub stop: Option<Arc<Stop>>,
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

/// A reason not to serve a request with a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// It cannot do something that is needed.
    Abilities {
        /// What it lacks.
        missing: AbilitySet,
    },
    /// The prompt and the answer do not fit its context window.
    Window {
        /// Tokens needed.
        needed_tokens: u64,
        /// Tokens it holds.
        window_tokens: u64,
    },
    /// It may not be called now.
    Unavailable(Unavailable),
    /// The caller or the operator does not want it.
    NotAllowed,
    /// The caller's key has no right to its model.
    NotPermitted,
    /// The operator's route does not lead to it.
    NotOnRoute,
    /// It is not sure enough to stay inside the cost limit.
    Cost {
        /// How sure it is.
        chance: Probability,
        /// The cost it stays below at the policy's confidence, USD.
        likely_usd: f64,
    },
    /// It is not sure enough to stay inside the latency limit.
    Latency {
        /// How sure it is.
        chance: Probability,
        /// The time it stays below at the policy's confidence, milliseconds.
        likely_ms: f64,
    },
    /// It is not sure enough to begin inside the limit on the first token.
    Ttft {
        /// How sure it is; records from before it was reckoned have none: they went by the median.
        #[serde(default = "no_chance")]
        chance: Probability,
        /// The time before which it begins at the policy's confidence, milliseconds.
        likely_ms: f64,
    },
    /// It is expected to be worse than the caller accepts.
    Quality {
        /// Expected quality.
        expected: Probability,
    },
}

fn no_chance() -> Probability {
    Probability::ZERO
}

impl Exclusion {
    /// The limit's name in answers, logs and metrics.
    pub fn limit(&self) -> &'static str {
        match self {
            Self::Abilities { .. } => "abilities",
            Self::Window { .. } => "context_window",
            Self::Unavailable(_) => "unavailable",
            Self::NotAllowed => "not_allowed",
            Self::NotPermitted => "key_scope",
            Self::NotOnRoute => "not_on_route",
            Self::Cost { .. } => "max_cost_usd",
            Self::Latency { .. } => "max_latency_ms",
            Self::Ttft { .. } => "max_ttft_ms",
            Self::Quality { .. } => "min_quality",
        }
    }
}

impl fmt::Display for Exclusion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abilities { missing } => write!(out, "lacks {missing}"),
            Self::Window { needed_tokens, window_tokens } => {
                write!(out, "needs {needed_tokens} tokens, holds {window_tokens}")
            }
            Self::Unavailable(why) => why.fmt(out),
            Self::NotAllowed => out.write_str("not among the candidates allowed"),
            Self::NotPermitted => out.write_str("not among the models of this API key"),
            Self::NotOnRoute => out.write_str("not on the route of this request"),
            Self::Cost { chance, likely_usd } => write!(
                out,
                "cost: {:.0} % sure to fit, likely up to ${likely_usd:.6}",
                chance.get() * 100.0
            ),
            Self::Latency { chance, likely_ms } => write!(
                out,
                "latency: {:.0} % sure to fit, likely up to {likely_ms:.0} ms",
                chance.get() * 100.0
            ),
            Self::Ttft { chance, likely_ms } => write!(
                out,
                "first token: {:.0} % sure to be in time, likely up to {likely_ms:.0} ms",
                chance.get() * 100.0
            ),
            Self::Quality { expected } => write!(out, "expected quality {:.2}", expected.get()),
        }
    }
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
    use crate::domain::{Ability, FailureClass};
    use crate::prediction::{CachedInput, Forecast, LogNormal, QualityEstimate};

    fn chance(value: f64) -> Probability {
        Probability::clamped(value)
    }

    /// One exclusion of each kind, with its limit and its words.
    fn all() -> Vec<(Exclusion, &'static str, &'static str)> {
        let missing = AbilitySet::EMPTY.with(Ability::Tools);
        let no_key = Unavailable::NoKey("OPENAI_API_KEY".into());
        let shut = Unavailable::Shut { for_ms: 1_500, class: FailureClass::Overloaded };
        vec![
            (Exclusion::Abilities { missing }, "abilities", "lacks tools"),
            (
                Exclusion::Window { needed_tokens: 9_000, window_tokens: 8_192 },
                "context_window",
                "needs 9000 tokens, holds 8192",
            ),
            (Exclusion::Unavailable(no_key), "unavailable", "no API key in OPENAI_API_KEY"),
            (Exclusion::Unavailable(shut), "unavailable", "shut for 1500 ms after overloaded"),
            (Exclusion::NotAllowed, "not_allowed", "not among the candidates allowed"),
            (Exclusion::NotPermitted, "key_scope", "not among the models of this API key"),
            (Exclusion::NotOnRoute, "not_on_route", "not on the route of this request"),
            (
                Exclusion::Cost { chance: chance(0.42), likely_usd: 0.0123 },
                "max_cost_usd",
                "cost: 42 % sure to fit, likely up to $0.012300",
            ),
            (
                Exclusion::Latency { chance: chance(0.5), likely_ms: 1_234.5 },
                "max_latency_ms",
                "latency: 50 % sure to fit, likely up to 1234 ms",
            ),
            (
                Exclusion::Ttft { chance: chance(0.75), likely_ms: 700.4 },
                "max_ttft_ms",
                "first token: 75 % sure to be in time, likely up to 700 ms",
            ),
            (
                Exclusion::Quality { expected: chance(0.314) },
                "min_quality",
                "expected quality 0.31",
            ),
        ]
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
    fn every_exclusion_has_words_with_its_figures() {
        for (exclusion, limit, words) in all() {
            assert_eq!(exclusion.limit(), limit);
            assert_eq!(exclusion.to_string(), words, "{limit}");
        }
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
