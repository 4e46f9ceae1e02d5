//! One model: what it can do, what it costs at its vendor, and what is believed of it beforehand.
//!
//! In: rows of `models/catalog.toml`, or of the operator's config. Out: [`Model`]. Invariant: every
//! figure names its source and date.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{AbilitySet, ModelName, Price, Probability, ProviderName};

/// A model, whoever serves it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name here, for instance `gpt-4o-mini`.
    pub name: ModelName,
    /// Who made it.
    pub vendor: String,
    /// The most tokens it can hold, input and output together.
    pub context_window: u64,
    /// The most tokens it gives back in one answer.
    pub max_output_tokens: u64,
    /// What it can do.
    #[serde(default)]
    pub abilities: AbilitySet,
    /// Its vendor's list price, USD per million tokens.
    pub price: Price,
    /// When it came out, `YYYY-MM-DD` or `YYYY-MM`.
    pub released: String,
    /// Where the figures come from.
    pub source: Source,
    /// Its id at each provider that serves it; a deployment may name another.
    #[serde(default)]
    pub served_by: BTreeMap<ProviderName, String>,
    /// The name under which the router artifact knows it, if that is not its own.
    #[serde(default)]
    pub learned_as: Option<String>,
    /// Where its quality starts when it was not seen in training.
    #[serde(default)]
    pub quality_prior: Option<QualityPrior>,
    /// How fast it is believed to be before anything was measured.
    #[serde(default)]
    pub speed: Speed,
}

/// Where a figure comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A document or page, by name.
    pub page: String,
    /// The day on which it said so, `YYYY-MM-DD` or `YYYY-MM`.
    pub as_of: String,
}

/// A belief about a model's mean quality over everyday prompts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualityPrior {
    /// 0 to 1; the prior's mean over the prompts of the training data is moved to this.
    pub value: Probability,
    /// Why.
    pub source: String,
    /// The day of the source, `YYYY-MM-DD` or `YYYY-MM`.
    pub as_of: String,
}

/// A belief about a deployment's speed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speed {
    /// Time to first token, in milliseconds, median.
    pub ttft_ms: f64,
    /// Output tokens per second after the first, median.
    pub tokens_per_s: f64,
}

impl Model {
    /// The name under which a router artifact may know it: what its entry says, else its own, under
    /// which it is learned from outcomes.
    pub fn name_in_training(&self) -> &str {
        self.learned_as.as_deref().unwrap_or(self.name.as_str())
    }
}

impl Default for Speed {
    /// A hosted model of middling size; replaced by measurements as they come.
    fn default() -> Self {
        Self { ttft_ms: 700.0, tokens_per_s: 70.0 }
    }
}
