//! What a caller wants of the providers behind the models: OpenRouter's `provider` object.
//!
//! In: names and figures that were checked where they came in. Out: [`ProviderWishes`]. Invariant: every
//! wish is a hard limit or an order, and none is passed over silently. Source of the names: OpenRouter,
//! "Provider Routing" (2026); `ttft` and `inter_token` are ours. Not here: the limits themselves (see
//! [`super::limits`]) and the order (see [`super::order`]).

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalog::{DataCollection, Deployment, Quantization};
use crate::domain::{DeploymentId, ProviderName, TokenPrice, Usd};
use crate::prediction::Prediction;

/// Whose deployments are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// All of a provider.
    Provider(ProviderName),
    /// This one.
    Deployment(DeploymentId),
}

impl Whose {
    /// Who is meant by a name: one of these deployments by its id, or all of a provider's, in whatever
    /// case its name is written (OpenRouter's users write `OpenAI` and `openai`).
    pub fn named<D: Borrow<Deployment>>(name: &str, fleet: &[D]) -> Option<Self> {
        let mut all = fleet.iter().map(Borrow::borrow);
        let exact = all.clone().find(|it| it.id.as_str() == name);
        if let Some(found) = exact {
            return Some(Self::Deployment(found.id.clone()));
        }
        let found = all.find(|it| it.provider.as_str().eq_ignore_ascii_case(name));
        found.map(|it| Self::Provider(it.provider.clone()))
    }

    /// Whether a deployment is meant.
    pub fn means(&self, deployment: &Deployment) -> bool {
        match self {
            Self::Provider(name) => *name == deployment.provider,
            Self::Deployment(id) => *id == deployment.id,
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(name) => name.fmt(out),
            Self::Deployment(id) => id.fmt(out),
        }
    }
}

/// Whether anyone but the first is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallbacks {
    /// All that the policy allows.
    #[default]
    Allowed,
    /// Only those of the caller's `order`; without one only the first.
    Refused,
}

/// Whether all parameters of a request must be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameters {
    /// One that a provider lacks is left out and named.
    #[default]
    MayBeLeftOut,
    /// Who lacks one is not asked.
    Required,
}

/// Whether anything may be retained of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// As the data policy says.
    #[default]
    Allowed,
    /// Nothing: zero data retention.
    Zero,
}

/// A figure that candidates can be ordered by; the best comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Expected cost of this request, least first.
    Price,
    /// Expected tokens per second after the first, most first.
    Throughput,
    /// Expected time of the whole answer, least first.
    Latency,
    /// Expected time to the first token, least first.
    Ttft,
    /// Expected time from one token to the next, least first: the order of [`Figure::Throughput`].
    InterToken,
}

impl Figure {
    /// Every figure, by its name.
    pub const NAMES: [(&str, Self); 5] = [
        ("price", Self::Price),
        ("throughput", Self::Throughput),
        ("latency", Self::Latency),
        ("ttft", Self::Ttft),
        ("inter_token", Self::InterToken),
    ];

    /// The figure as a number of which less is better: USD, seconds or milliseconds.
    pub(super) fn of(self, prediction: &Prediction) -> f64 {
        match self {
            Self::Price => prediction.expected_cost_usd(),
            Self::Latency => prediction.latency_s.mean(),
            Self::Ttft => prediction.ttft_ms,
            // More tokens per second are fewer seconds per token.
            Self::Throughput | Self::InterToken => prediction.latency_s.per_token,
        }
    }
}

/// Whether models of a given order stay in it when candidates are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partition {
    /// They do: models named later stay fallbacks.
    #[default]
    Model,
    /// They do not: all deployments are sorted together.
    None,
}

impl Partition {
    /// Both, by their names.
    pub const NAMES: [(&str, Self); 2] = [("model", Self::Model), ("none", Self::None)];
}

/// How candidates are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// By what.
    pub by: Figure,
    /// Within which bounds.
    #[serde(default)]
    pub partition: Partition,
}

/// The most that a deployment may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MaxPrice {
    /// For input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<TokenPrice>,
    /// For output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<TokenPrice>,
    /// For a call as such. Deployments here ask for tokens only, so that every limit is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Usd>,
    /// For an image as such; likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Usd>,
}

impl MaxPrice {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What is wanted of the providers behind the models.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderWishes {
    /// These first, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Whose>,
    /// Only these; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Whose>,
    /// Never these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<Whose>,
    /// Whether anyone but the first is tried.
    pub fallbacks: Fallbacks,
    /// Whether all parameters of the request must be taken.
    pub parameters: Parameters,
    /// Whether prompts may be kept.
    #[serde(skip_serializing_if = "DataCollection::is_allowed")]
    pub data_collection: DataCollection,
    /// Whether anything may be retained.
    pub retention: Retention,
    /// Only these precisions; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quantizations: Vec<Quantization>,
    /// By what candidates are sorted, instead of by utility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// The most that a deployment may ask for.
    #[serde(skip_serializing_if = "MaxPrice::is_none")]
    pub max_price: MaxPrice,
}

impl ProviderWishes {
    /// Whether nothing is wanted; it then stands in no record.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// The place of a deployment in the caller's order; behind all of it where it is not named.
    pub(super) fn place(&self, deployment: &Deployment) -> usize {
        self.order.iter().position(|it| it.means(deployment)).unwrap_or(self.order.len())
    }
}
