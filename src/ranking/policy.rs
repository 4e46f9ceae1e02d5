//! What the caller and the operator want: hard limits, prices of quality, who may be asked.
//!
//! In: config defaults and request fields. Out: [`Policy`], one value that ranking and dispatch
//! read. Invariant: every number is checked where it is made; there are no sentinel values.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::preferences::ProviderWishes;
use super::route::OnRoute;
use super::strategy::Strategies;
use crate::domain::{AbilitySet, ModelName, ParameterSet, Probability, Timeouts, Usd};

/// Hard limits for the whole chain of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The most that all attempts together may cost.
    pub max_cost_usd: Option<Usd>,
    /// The longest that choosing and all attempts together may take.
    pub max_latency: Duration,
    /// The longest that the first token may take; at `confidence`, as the other two.
    pub max_ttft: Option<Duration>,
    /// How sure a candidate must be to stay inside the limits.
    pub confidence: Probability,
    /// The longest expected time from one output token to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_inter_token: Option<Duration>,
    /// The least expected output tokens per second after the first; above zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_throughput: Option<f64>,
}

impl Default for Budget {
    /// 60 s in all (`failure.md`), at 90 % confidence (`learning.md`), no cap on cost.
    fn default() -> Self {
        Self {
            max_cost_usd: None,
            max_latency: Duration::from_secs(60),
            max_ttft: None,
            confidence: Probability::clamped(0.9),
            max_inter_token: None,
            min_throughput: None,
        }
    }
}

/// What quality is worth: the prices at which money and time are traded for it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// USD that one answer going from wrong to right is worth.
    pub cost_per_quality_usd: f64,
    /// Milliseconds that one answer going from wrong to right is worth.
    pub latency_per_quality_ms: f64,
}

impl Preference {
    /// Quality first: a right answer is worth a dollar, or ten minutes: what a person needs to find and
    /// mend a wrong one. The reasoning behind all four, with figures, is in docs/choosing.md.
    pub const QUALITY: Self = Self { cost_per_quality_usd: 1.0, latency_per_quality_ms: 600_000.0 };
    /// The default: 5 cents, or two minutes. A typical answer costs 0.013 cents at the cheapest tenth of
    /// the catalog, 0.14 at the median and 0.6 at the dearest tenth, so a dear model must be right 9 %
    /// more often than a median one, and that 2.5 % more often than a cheap one.
    pub const BALANCED: Self =
        Self { cost_per_quality_usd: 0.05, latency_per_quality_ms: 120_000.0 };
    /// Money first: half a cent, or two minutes. A dear model is never worth it, and a median one where
    /// it is right 25 % more often than a cheap one.
    pub const COST: Self = Self { cost_per_quality_usd: 0.005, latency_per_quality_ms: 120_000.0 };
    /// Time first: 5 cents, or ten seconds: a second's wait is worth a tenth of a right answer.
    pub const LATENCY: Self = Self { cost_per_quality_usd: 0.05, latency_per_quality_ms: 10_000.0 };
    /// The presets by name.
    pub const PRESETS: [(&str, Self); 4] = [
        ("quality", Self::QUALITY),
        ("balanced", Self::BALANCED),
        ("cost", Self::COST),
        ("latency", Self::LATENCY),
    ];

    /// The preset of this name.
    pub fn preset(name: &str) -> Option<Self> {
        Self::PRESETS.into_iter().find(|(it, _)| *it == name).map(|(_, it)| it)
    }
}

/// Who orders the candidates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Order {
    /// Utility, highest first.
    #[default]
    Learned,
    /// The caller: these models in this order, and no others.
    Given(Vec<ModelName>),
}

/// Which models may be asked, and where.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Candidates {
    /// Only these; empty means all.
    pub allow: Vec<ModelName>,
    /// Never these.
    pub deny: Vec<ModelName>,
    /// Who orders them.
    pub order: Order,
    /// Only these, because the caller's key has no right to others; `None`: it has, or there is no
    /// key, as in records from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permitted: Option<Vec<ModelName>>,
    /// What is wanted of their providers; records from before that could be said have nothing.
    #[serde(default, skip_serializing_if = "ProviderWishes::are_none")]
    pub provider: ProviderWishes,
    /// How several deployments of one model are ordered.
    #[serde(default, skip_serializing_if = "Strategies::are_default")]
    pub strategies: Strategies,
}

impl Candidates {
    /// The models in the order that somebody gave, if anybody did. A list of one that is allowed is such
    /// an order.
    pub(super) fn models_in_order(&self) -> Option<&[ModelName]> {
        match &self.order {
            Order::Given(models) => Some(models),
            Order::Learned if self.allow.len() == 1 => Some(&self.allow),
            Order::Learned => None,
        }
    }

    /// Whether utility alone says who comes first.
    pub(super) fn by_utility(&self) -> bool {
        let unnamed = match (&self.order, self.models_in_order()) {
            (Order::Learned, Some(models)) => models.iter().all(|it| self.strategies.learns(it)),
            (Order::Learned, None) => true,
            (Order::Given(_), _) => false,
        };
        unnamed && self.provider.order.is_empty() && self.provider.sort.is_none()
    }
}

/// What follows when a stream breaks after its first content was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStreamFailure {
    /// The next candidate that can goes on from the text already sent; else as with an error.
    #[default]
    Continue,
    /// The next candidate begins anew, and the reader is told to drop what it has.
    Restart,
    /// The reader is told that the rest does not come.
    Error,
}

impl OnStreamFailure {
    /// Every way, by its name.
    pub const NAMES: [(&str, Self); 3] =
        [("continue", Self::Continue), ("restart", Self::Restart), ("error", Self::Error)];
}

/// How far down the ranking a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallbackPolicy {
    /// Most deployments tried, last resorts not counted; at least 1.
    pub candidates_max: usize,
    /// Most calls in all; at least 1.
    pub attempts_max: usize,
    /// Whether a filtered answer goes on to the next candidate.
    pub on_content_filter: bool,
    /// What follows when a stream breaks after its first content; records from before it was known
    /// have none.
    #[serde(default)]
    pub on_stream_failure: OnStreamFailure,
    /// Whether a second candidate starts beside one that is slow.
    #[serde(default)]
    pub hedge: bool,
    /// The request's own limits on each call; a deployment's stand behind them.
    #[serde(default)]
    pub timeouts: Timeouts,
}

impl Default for FallbackPolicy {
    /// The figures of `failure.md`: three candidates, six attempts, no hedging.
    fn default() -> Self {
        Self {
            candidates_max: 3,
            attempts_max: 6,
            on_content_filter: false,
            on_stream_failure: OnStreamFailure::default(),
            hedge: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// What is given up for the sake of learning: now and then someone else than the best comes first, so
/// that the log tells how good the others are by now.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exploration {
    /// The best comes first, always.
    #[default]
    Off,
    /// Everyone's chance is told, and the best comes first: for those who only look.
    Shown(UtilityGivenUp),
    /// Who comes first is drawn.
    Drawn(UtilityGivenUp),
}

/// What a request gives up on average, in units of quality: 0.01 is one right answer in a hundred.
/// Above 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct UtilityGivenUp(f64);

/// A number that cannot be given up.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not above 0 and at most 1")]
pub struct NotGivenUp(pub f64);

impl UtilityGivenUp {
    /// Checks a float.
    ///
    /// # Errors
    /// [`NotGivenUp`] for all that is not above 0 and at most 1.
    pub fn new(value: f64) -> Result<Self, NotGivenUp> {
        if value > 0.0 && value <= 1.0 { Ok(Self(value)) } else { Err(NotGivenUp(value)) }
    }

    /// The float.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for UtilityGivenUp {
    type Error = NotGivenUp;
    fn try_from(value: f64) -> Result<Self, NotGivenUp> {
        Self::new(value)
    }
}

impl From<UtilityGivenUp> for f64 {
    fn from(value: UtilityGivenUp) -> Self {
        value.0
    }
}

impl Exploration {
    /// Whether there is none; it then stands in no record.
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }

    /// What is given up, if anything.
    pub fn given_up(self) -> Option<UtilityGivenUp> {
        match self {
            Self::Off => None,
            Self::Shown(it) | Self::Drawn(it) => Some(it),
        }
    }

    /// The same for someone who only looks: nobody is drawn.
    pub fn shown(self) -> Self {
        match self {
            Self::Off => Self::Off,
            Self::Shown(it) | Self::Drawn(it) => Self::Shown(it),
        }
    }
}

/// Everything wanted of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Hard limits.
    pub budget: Budget,
    /// What quality is worth.
    pub preference: Preference,
    /// Candidates expected to be worse than this are excluded.
    pub min_quality: Option<Probability>,
    /// Which models may be asked.
    pub candidates: Candidates,
    /// How far down the ranking to go.
    pub fallback: FallbackPolicy,
    /// What is given up to learn; records from before that could be have none.
    #[serde(default, skip_serializing_if = "Exploration::is_off")]
    pub exploration: Exploration,
    /// The operator's own way through the fleet that this request takes; records from before there were
    /// any, and requests that take none, have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<OnRoute>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            preference: Preference::BALANCED,
            min_quality: None,
            candidates: Candidates::default(),
            fallback: FallbackPolicy::default(),
            exploration: Exploration::Off,
            route: None,
        }
    }
}

/// What a request needs of whoever serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Need {
    /// Abilities without which it cannot be served.
    pub abilities: AbilitySet,
    /// Output tokens asked for at most, if the caller said.
    pub max_output_tokens: Option<u64>,
    /// Parameters that the request has; records from before they were kept have none.
    #[serde(default, skip_serializing_if = "ParameterSet::is_empty")]
    pub parameters: ParameterSet,
}
