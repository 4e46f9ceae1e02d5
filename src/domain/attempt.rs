//! One call to one deployment, as it is told to the caller and written to the log; and where the
//! parts of an answer meet.
//!
//! Invariant: every call that left the machine has exactly one of these, failed ones too.

use serde::{Deserialize, Serialize};

use super::answer::Usage;
use super::failure::FailureClass;
use super::fault::Fault;
use super::ids::DeploymentId;
use super::money::Usd;

/// What one call to one deployment came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Where it went.
    pub deployment: DeploymentId,
    /// How it failed; `None` when it answered.
    pub failure: Option<FailureClass>,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// When it began, in milliseconds after the request arrived.
    pub start_ms: f64,
    /// How long it took, in milliseconds.
    pub total_ms: f64,
    /// Time to its first content, in milliseconds, where it was seen.
    pub ttft_ms: Option<f64>,
    /// Tokens it is billed for: as the provider told, or where it did not, as its rule makes them.
    pub usage: Usage,
    /// Whether any of `usage` is an estimate of ours, and not the provider's count.
    #[serde(default)]
    pub usage_estimated: bool,
    /// What it cost, in USD: the deployment's price for `usage`.
    pub cost_usd: Usd,
    /// What could not be sent to this provider, where that is why it failed; or `forced: FAULT`, where
    /// somebody asked for the failure (see [`super::ForcedFault`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where an answer that broke off was gone on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seam {
    /// Bytes of text (UTF-8) before it.
    pub at_bytes: u64,
    /// Whose text follows.
    pub deployment: DeploymentId,
}

/// What the detail of an attempt begins with that somebody asked to fail.
const FORCED: &str = "forced: ";

impl Attempt {
    /// The detail of a call that was ended because one beside it answered first.
    pub const LOST: &str = "another answer came first";

    /// Whether it was ended because one beside it answered first: it says nothing of the answer that
    /// it would have given.
    pub fn is_hedge_loser(&self) -> bool {
        self.detail.as_deref() == Some(Self::LOST)
    }

    /// Notes that somebody asked for this failure.
    pub fn mark_forced(&mut self, fault: Fault) {
        self.detail = Some(format!("{FORCED}{fault}"));
    }

    /// Whether somebody asked for this failure: it says nothing of the deployment.
    pub fn is_forced(&self) -> bool {
        self.detail.as_deref().is_some_and(|it| it.starts_with(FORCED))
    }
}
