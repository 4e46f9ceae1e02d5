//! Who can be called now, how busy each is, and what each did of late.
//!
//! In: what calls found out, from outside. Out: [`Availability`], a plain value that ranking reads.
//! Invariant: whoever is not named in it can be called, is idle and well.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{DeploymentId, FailureClass};

/// Why a deployment may not be called now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// Its provider's key is not set; the environment variable (or file) that should hold it.
    NoKey(String),
    /// It failed so much lately that nobody calls it for now.
    Shut {
        /// For so long, in milliseconds.
        for_ms: u64,
        /// How it failed.
        class: FailureClass,
    },
    /// Its own calls or tokens per minute are used up.
    Full {
        /// For so long, in milliseconds.
        for_ms: u64,
    },
}

impl Unavailable {
    /// In how many milliseconds it may be called again, if waiting helps.
    pub fn opens_in_ms(&self) -> Option<u64> {
        match self {
            Self::NoKey(_) => None,
            Self::Shut { for_ms, .. } | Self::Full { for_ms } => Some(*for_ms),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey(place) => write!(out, "no API key in {place}"),
            Self::Shut { for_ms, class } => {
                write!(out, "shut for {for_ms} ms after {}", class.as_str())
            }
            Self::Full { for_ms } => write!(out, "full for {for_ms} ms by its own rpm or tpm"),
        }
    }
}

/// What a deployment did in the last minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Recent {
    /// Calls begun, where they are counted: where it has an `rpm` or `tpm`.
    #[serde(skip_serializing_if = "is_zero")]
    pub calls: u64,
    /// Tokens of these calls, expected ones of those under way.
    #[serde(skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Whether it was shut after failures and not all of its traffic is back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failing: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(it: &u64) -> bool {
    *it == 0
}

impl Recent {
    /// Whether nothing is known of it; it then stands in no record.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Which deployments may not be called now, and why (all others may); how busy each is, and what it
/// did of late.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Availability {
    closed: BTreeMap<DeploymentId, Unavailable>,
    /// Calls under way; who is not here has none.
    in_flight: BTreeMap<DeploymentId, u32>,
    recent: BTreeMap<DeploymentId, Recent>,
}

impl Availability {
    /// Says how many calls are under way at a deployment.
    pub fn count(&mut self, deployment: DeploymentId, in_flight: u32) {
        self.in_flight.insert(deployment, in_flight);
    }

    /// How many calls are under way at a deployment.
    pub fn in_flight(&self, deployment: &DeploymentId) -> u32 {
        self.in_flight.get(deployment).copied().unwrap_or(0)
    }

    /// Says what a deployment did of late.
    pub fn note(&mut self, deployment: DeploymentId, recent: Recent) {
        self.recent.insert(deployment, recent);
    }

    /// What a deployment did of late.
    pub fn recent(&self, deployment: &DeploymentId) -> Recent {
        self.recent.get(deployment).copied().unwrap_or_default()
    }

    /// Marks a deployment. One without a key stays so, whatever else is wrong with it; of two that pass
    /// the later end holds.
    pub fn mark(&mut self, deployment: DeploymentId, why: Unavailable) {
        let known = self.closed.entry(deployment).or_insert_with(|| why.clone());
        let later = match (known.opens_in_ms(), why.opens_in_ms()) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(known), Some(other)) => other >= known,
        };
        if later {
            *known = why;
        }
    }

    /// Why a deployment may not be called, if so.
    pub fn of(&self, deployment: &DeploymentId) -> Option<&Unavailable> {
        self.closed.get(deployment)
    }
}
