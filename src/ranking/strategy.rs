//! How several deployments of one model are ordered, where the model itself is named.
//!
//! In: what is expected of a deployment, how busy it is, what it did of late, a seed. Out: a number for
//! each, of which less comes first, and each one's chance where it is drawn. Invariant: pure, so that a
//! decision can be made again from its record; a draw does not change who of two others comes first.
//! Names as LiteLLM's and OpenRouter's users know them (2026). Not here: the order of models, the
//! caller's own orders (see [`super::order`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::preferences::Figure;
use super::ties::Ties;
use super::verdict::Ranked;
use crate::domain::{ModelName, Probability};

/// How deployments of one model are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By utility.
    #[default]
    Learned,
    /// Drawn, the chance falling with the square of the expected cost: OpenRouter's spread over
    /// providers. Who failed of late stands behind.
    Spread,
    /// The cheapest first.
    Price,
    /// The most tokens per second first.
    Throughput,
    /// The shortest expected time of the whole answer first.
    Latency,
    /// The shortest expected time to the first token first.
    Ttft,
    /// The shortest expected time between tokens first.
    InterToken,
    /// Drawn by the deployments' weights.
    Shuffle,
    /// The fewest calls under way first.
    LeastBusy,
    /// The least used share of its own calls and tokens per minute first.
    Usage,
}

impl Strategy {
    /// Every strategy, by its name.
    pub const NAMES: [(&str, Self); 10] = [
        ("learned", Self::Learned),
        ("spread", Self::Spread),
        ("price", Self::Price),
        ("throughput", Self::Throughput),
        ("latency", Self::Latency),
        ("ttft", Self::Ttft),
        ("inter_token", Self::InterToken),
        ("shuffle", Self::Shuffle),
        ("least_busy", Self::LeastBusy),
        ("usage", Self::Usage),
    ];

    /// What orders deployments of one model: compared one after the other, less first.
    pub(super) fn keys(self, of: &Ranked, ties: Ties) -> [f64; 2] {
        let figure = |it: Figure| [it.of(&of.prediction), 0.0];
        match self {
            Self::Learned => [0.0, 0.0],
            Self::Spread => [f64::from(u8::from(of.recent.failing)), self.drawn(of, ties)],
            Self::Price => figure(Figure::Price),
            Self::Throughput => figure(Figure::Throughput),
            Self::Latency => figure(Figure::Latency),
            Self::Ttft => figure(Figure::Ttft),
            Self::InterToken => figure(Figure::InterToken),
            Self::Shuffle => [self.drawn(of, ties), 0.0],
            Self::LeastBusy => [f64::from(of.in_flight), 0.0],
            Self::Usage => [used_share(of), of.recent.calls as f64],
        }
    }

    /// A number of which less comes first, so that the first of several is each with a chance as its
    /// weight: an exponential draw divided by the weight (Efraimidis and Spirakis 2006, in logarithms).
    /// What costs nothing comes before all that costs anything; a weight of nought is never drawn.
    fn drawn(self, of: &Ranked, ties: Ties) -> f64 {
        let unit = ties.unit(&of.deployment.id);
        match self.weight(of) {
            Weight::All => unit - 1.0,
            Weight::Part(weight) => -(1.0 - unit).ln() / weight,
        }
    }

    fn weight(self, of: &Ranked) -> Weight {
        match self {
            Self::Spread => {
                let cost = of.prediction.expected_cost_usd();
                if cost <= 0.0 { Weight::All } else { Weight::Part(1.0 / (cost * cost)) }
            }
            Self::Shuffle
            | Self::Learned
            | Self::Price
            | Self::Throughput
            | Self::Latency
            | Self::Ttft
            | Self::InterToken
            | Self::LeastBusy
            | Self::Usage => Weight::Part(of.deployment.terms.weight),
        }
    }

    /// Whether it draws.
    fn draws(self) -> bool {
        match self {
            Self::Spread | Self::Shuffle => true,
            Self::Learned
            | Self::Price
            | Self::Throughput
            | Self::Latency
            | Self::Ttft
            | Self::InterToken
            | Self::LeastBusy
            | Self::Usage => false,
        }
    }

    /// The chance of each of `head`, among whom the first is drawn, to be that one; `None` where none is.
    pub(super) fn chances(self, head: &[Ranked]) -> Option<Vec<Probability>> {
        if !self.draws() {
            return None;
        }
        let weights: Vec<_> = head.iter().map(|it| self.weight(it)).collect();
        let free = weights.iter().any(|it| matches!(it, Weight::All));
        let weight = |it: &Weight| match it {
            Weight::All => 1.0,
            Weight::Part(_) if free => 0.0,
            Weight::Part(weight) => *weight,
        };
        let sum: f64 = weights.iter().map(weight).sum();
        let share = |it: &Weight| Probability::clamped(weight(it) / sum);
        (sum.is_finite() && sum > 0.0).then(|| weights.iter().map(share).collect())
    }
}

/// How likely someone is drawn.
enum Weight {
    /// Before everyone who is not so.
    All,
    /// In proportion to this.
    Part(f64),
}

/// How much of its own minute is used; nought where it has no limit.
fn used_share(of: &Ranked) -> f64 {
    let share = |used: u64, limit: Option<u64>| {
        limit.map_or(0.0, |limit| used as f64 / limit.max(1) as f64)
    };
    let terms = &of.deployment.terms;
    share(of.recent.calls, terms.rpm).max(share(of.recent.tokens, terms.tpm))
}

/// The strategies of all models.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Strategies {
    /// Of those that have none of their own.
    pub default: Strategy,
    /// Of each model that has one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<ModelName, Strategy>,
}

impl Strategies {
    /// Whether all are learned; they then stand in no record.
    pub fn are_default(&self) -> bool {
        *self == Self::default()
    }

    /// A model's strategy.
    pub fn of(&self, model: &ModelName) -> Strategy {
        self.models.get(model).copied().unwrap_or(self.default)
    }

    /// Whether a model's deployments are ordered by utility.
    pub(super) fn learns(&self, model: &ModelName) -> bool {
        self.of(model) == Strategy::Learned
    }
}
