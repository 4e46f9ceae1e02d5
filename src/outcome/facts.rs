//! A ranking as plain facts: everything that went into it, and what came out.
//!
//! In: the fleet, its availability, and the verdict. Out: [`Choice`], which a record carries.
//! Invariant: `candidates` holds everyone in the fleet's order, so that ranking them again gives
//! the same verdict; a prediction is written once. Not here: the ranking again (see
//! [`super::replay()`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::{Deployment, Speed, Terms};
use crate::domain::{
    AbilitySet, Billing, DecisionId, DeploymentId, ModelName, Price, Probability, ProviderName,
};
use crate::prediction::{Forecast, LogNormal, Prediction};
use crate::ranking::{Availability, Exclusion, Ranked, Ranking, Recent, Refusal, Unavailable};

/// One candidate as it was when the decision was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateFacts {
    /// `model@provider`.
    pub deployment: DeploymentId,
    /// The model.
    pub model: ModelName,
    /// The provider.
    pub provider: ProviderName,
    /// The model's id at this provider.
    pub model_id: String,
    /// What the model can do.
    pub abilities: AbilitySet,
    /// The most tokens it holds, input and output together.
    pub context_window: u64,
    /// The most tokens it gives back in one answer.
    pub max_output_tokens: u64,
    /// What it cost, USD per million tokens: the price of every attempt at it.
    pub price: Price,
    /// What its provider billed of calls that failed.
    #[serde(default)]
    pub billing: Billing,
    /// How fast it was believed to be before anything was measured.
    pub speed: Speed,
    /// Whether it goes to the end of every ranking.
    pub last_resort: bool,
    /// Its name in the router's training, so that another artifact can predict for it; records from
    /// before it was kept have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned_as: Option<String>,
    /// What its mean quality was believed to be; as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_prior: Option<Probability>,
    /// Why it could not be called, if so.
    pub unavailable: Option<Unavailable>,
    /// Calls that were under way there; records from before they were counted have none.
    #[serde(default)]
    pub in_flight: u32,
    /// What it did of late; records from before that counted have none.
    #[serde(default, skip_serializing_if = "Recent::is_nothing")]
    pub recent: Recent,
    /// What else was known of it; as above.
    #[serde(default, skip_serializing_if = "Terms::are_unknown")]
    pub terms: Terms,
    /// What was expected of it.
    pub prediction: Prediction,
}

/// An answer that was given before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CachedFacts {
    /// The decision that it was first given for.
    pub decision: DecisionId,
    /// How long before, milliseconds.
    pub age_ms: u64,
    /// How much alike the questions were (cosine), where they were not the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f32>,
}

/// A place in the order; the prediction stands with the candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedFacts {
    /// Which.
    pub deployment: DeploymentId,
    /// Its utility, in units of quality.
    pub utility: f64,
    /// The chance with which the policy put it first.
    pub propensity: Probability,
}

/// Someone left out; the prediction stands with the candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExcludedFacts {
    /// Which.
    pub deployment: DeploymentId,
    /// Every reason.
    pub reasons: Vec<Exclusion>,
}

/// Everyone who could have been chosen, and how it was decided.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Choice {
    /// Everyone, in the fleet's order.
    pub candidates: Vec<CandidateFacts>,
    /// The order of trying; empty after a refusal.
    pub ranked: Vec<RankedFacts>,
    /// Everyone else.
    pub excluded: Vec<ExcludedFacts>,
}

impl Choice {
    /// The facts of a verdict over `fleet`. A deployment that the verdict does not name is left
    /// out; ranking names all it was given.
    pub fn of(
        fleet: &[Arc<Deployment>],
        availability: &Availability,
        verdict: &Result<Ranking, Refusal>,
    ) -> Self {
        let (entries, excluded) = match verdict {
            Ok(ranking) => (ranking.entries.as_slice(), ranking.excluded.as_slice()),
            Err(refusal) => (&[][..], refusal.excluded.as_slice()),
        };
        let ranked = entries.iter().map(|it| (&it.deployment.id, &it.prediction));
        let left_out = excluded.iter().map(|it| (&it.deployment, &it.prediction));
        let predictions: BTreeMap<_, _> = ranked.chain(left_out).collect();
        let candidate = |deployment: &Arc<Deployment>| {
            let prediction = predictions.get(&deployment.id)?;
            Some(CandidateFacts::new(deployment, (*prediction).clone(), availability))
        };
        Self {
            candidates: fleet.iter().filter_map(candidate).collect(),
            ranked: entries.iter().map(RankedFacts::of).collect(),
            excluded: excluded
                .iter()
                .map(|it| ExcludedFacts {
                    deployment: it.deployment.clone(),
                    reasons: it.reasons.clone(),
                })
                .collect(),
        }
    }
}

impl CandidateFacts {
    /// A deployment, with what was expected of it, whether it could be called and how busy it was.
    pub fn new(
        deployment: &Deployment,
        prediction: Prediction,
        availability: &Availability,
    ) -> Self {
        Self {
            deployment: deployment.id.clone(),
            model: deployment.model.name.clone(),
            provider: deployment.provider.clone(),
            model_id: deployment.model_id.clone(),
            abilities: deployment.model.abilities,
            context_window: deployment.model.context_window,
            max_output_tokens: deployment.model.max_output_tokens,
            price: deployment.price,
            billing: deployment.billing,
            speed: deployment.speed,
            last_resort: deployment.last_resort,
            learned_as: deployment.model.learned_as.clone(),
            quality_prior: deployment.model.quality_prior.as_ref().map(|it| it.value),
            unavailable: availability.of(&deployment.id).cloned(),
            in_flight: availability.in_flight(&deployment.id),
            recent: availability.recent(&deployment.id),
            terms: deployment.terms,
            prediction,
        }
    }

    /// Its numbers by name, for the check that JSON can hold them.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let it = &self.prediction;
        let single = [
            ("speed.ttft_ms", self.speed.ttft_ms),
            ("speed.tokens_per_s", self.speed.tokens_per_s),
            ("terms.weight", self.terms.weight),
            ("prediction.quality.spread", it.quality.spread),
            ("prediction.input_tokens", it.input_tokens),
            ("prediction.ttft_ms", it.ttft_ms),
            ("prediction.cached.tokens", it.cached.tokens),
            ("prediction.cached.saves_usd", it.cached.saves_usd),
            ("prediction.ttft_sigma", it.ttft_sigma),
        ];
        let tokens = log_normal(&it.output_tokens).map(|it| ("prediction.output_tokens", it));
        let cost = forecast(&it.cost_usd).map(|it| ("prediction.cost_usd", it));
        let latency = forecast(&it.latency_s).map(|it| ("prediction.latency_s", it));
        single.into_iter().chain(tokens).chain(cost).chain(latency)
    }
}

impl RankedFacts {
    fn of(ranked: &Ranked) -> Self {
        let deployment = ranked.deployment.id.clone();
        Self { deployment, utility: ranked.utility, propensity: ranked.propensity }
    }
}

fn log_normal(it: &LogNormal) -> [f64; 3] {
    [it.mu, it.sigma, it.cap]
}

fn forecast(it: &Forecast) -> [f64; 5] {
    let [mu, sigma, cap] = log_normal(&it.tokens);
    [it.fixed, it.per_token, mu, sigma, cap]
}
