//! How calls fail, and what each way of failing asks for: one enum, one full match.
//!
//! In: what the protocols recognised. Out: [`Handling`], which dispatch obeys. Invariant: no
//! wildcard arm, so a new class cannot be added without saying how it is handled.

use serde::{Deserialize, Serialize};

/// A way in which a call to a deployment can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The provider asks for a pause (429, or a body that says so).
    RateLimited,
    /// The provider is ill (5xx, "overloaded").
    Overloaded,
    /// No connection, or it broke before the headers.
    Connection,
    /// No content within the limit for the first token.
    FirstTokenLate,
    /// Content began and then nothing came for the stall limit.
    Stalled,
    /// The time for this attempt, or for the whole chain, ran out.
    Deadline,
    /// The key or the account was refused (401, 402, 403, quota).
    Auth,
    /// The provider does not have the model.
    ModelMissing,
    /// The prompt is longer than this deployment takes.
    ContextTooLong,
    /// A parameter, tool or modality this provider lacks.
    Unsupported,
    /// The provider withheld the answer.
    ContentFiltered,
    /// Any other 400 or 422: the caller's error.
    InvalidRequest,
    /// An answer with neither text nor tool call.
    EmptyAnswer,
    /// A body, or tool arguments, that do not parse.
    Malformed,
    /// The connection ended inside the answer, before anything was passed on.
    StreamCut,
    /// Its predicted cost exceeds what is left of the money; nothing was called.
    OverBudget,
    /// Nobody waits for it any more: the caller left.
    Cancelled,
}

/// Whether the same deployment is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// No.
    Never,
    /// Once, without waiting.
    AtOnce,
    /// Once, after a short jittered pause.
    AfterBackoff,
    /// Once, after the provider's Retry-After if it is short and fits the deadline.
    AfterRetryAfter,
}

/// Whether the next candidate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Yes.
    Any,
    /// Yes, but only one with a larger context window.
    LargerWindow,
    /// Only where the policy says so.
    IfPolicyAllows,
    /// Yes, but only one that fits what is left of the money.
    CheapEnough,
    /// No: another model would fail alike, or no time is left.
    No,
}

/// What the failure says about the deployment's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerEffect {
    /// Nothing.
    None,
    /// One failure more.
    Counts,
    /// One failure more, if the deployment was slower than its predicted p99.
    CountsIfSlow,
    /// Closed to traffic until Retry-After, at most ten minutes.
    OpensUntilRetryAfter,
    /// Closed to traffic for so many seconds, and the operator is told.
    OpensFor(u32),
}

/// What a class of failure asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handling {
    /// The same deployment again?
    pub again: Again,
    /// The next candidate?
    pub next: Next,
    /// The deployment's health?
    pub breaker: BreakerEffect,
}

impl FailureClass {
    /// Every class, in the order of the table.
    pub const ALL: [Self; 17] = [
        Self::RateLimited,
        Self::Overloaded,
        Self::Connection,
        Self::FirstTokenLate,
        Self::Stalled,
        Self::Deadline,
        Self::Auth,
        Self::ModelMissing,
        Self::ContextTooLong,
        Self::Unsupported,
        Self::ContentFiltered,
        Self::InvalidRequest,
        Self::EmptyAnswer,
        Self::Malformed,
        Self::StreamCut,
        Self::OverBudget,
        Self::Cancelled,
    ];

    /// Its name in answers, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::Connection => "connection",
            Self::FirstTokenLate => "first_token_late",
            Self::Stalled => "stalled",
            Self::Deadline => "deadline",
            Self::Auth => "auth",
            Self::ModelMissing => "model_missing",
            Self::ContextTooLong => "context_too_long",
            Self::Unsupported => "unsupported",
            Self::ContentFiltered => "content_filtered",
            Self::InvalidRequest => "invalid_request",
            Self::EmptyAnswer => "empty_answer",
            Self::Malformed => "malformed",
            Self::StreamCut => "stream_cut",
            Self::OverBudget => "over_budget",
            Self::Cancelled => "cancelled",
        }
    }

    /// What it asks for.
    pub fn handling(self) -> Handling {
        use BreakerEffect::{Counts, CountsIfSlow, OpensFor, OpensUntilRetryAfter};
        let (again, next, breaker) = match self {
            Self::RateLimited => (Again::AfterRetryAfter, Next::Any, OpensUntilRetryAfter),
            Self::Overloaded => (Again::AfterBackoff, Next::Any, Counts),
            Self::Connection => (Again::AtOnce, Next::Any, Counts),
            Self::FirstTokenLate | Self::Stalled => (Again::Never, Next::Any, Counts),
            Self::Deadline => (Again::Never, Next::No, CountsIfSlow),
            Self::Auth => (Again::Never, Next::Any, OpensFor(60)),
            Self::ModelMissing => (Again::Never, Next::Any, OpensFor(600)),
            Self::ContextTooLong => (Again::Never, Next::LargerWindow, BreakerEffect::None),
            Self::Unsupported => (Again::Never, Next::Any, BreakerEffect::None),
            Self::ContentFiltered => (Again::Never, Next::IfPolicyAllows, BreakerEffect::None),
            Self::InvalidRequest | Self::Cancelled => (Again::Never, Next::No, BreakerEffect::None),
            Self::EmptyAnswer | Self::Malformed | Self::StreamCut => {
                (Again::Never, Next::Any, Counts)
            }
            Self::OverBudget => (Again::Never, Next::CheapEnough, BreakerEffect::None),
        };
        Handling { again, next, breaker }
    }

    /// Whether the provider as a whole is at fault, so that its other deployments would most likely
    /// fail alike: the line to it, the key for it, or its load.
    pub fn speaks_for_provider(self) -> bool {
        match self {
            Self::Connection | Self::Auth | Self::Overloaded => true,
            Self::RateLimited
            | Self::FirstTokenLate
            | Self::Stalled
            | Self::Deadline
            | Self::ModelMissing
            | Self::ContextTooLong
            | Self::Unsupported
            | Self::ContentFiltered
            | Self::InvalidRequest
            | Self::EmptyAnswer
            | Self::Malformed
            | Self::StreamCut
            | Self::OverBudget
            | Self::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_serde_agrees() -> serde_json::Result<()> {
        let names: std::collections::BTreeSet<_> =
            FailureClass::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(names.len(), FailureClass::ALL.len());
        for class in FailureClass::ALL {
            assert_eq!(serde_json::to_value(class)?, class.as_str());
        }
        Ok(())
    }

    #[test]
    fn the_callers_own_errors_stop_the_chain() {
        for class in FailureClass::ALL {
            let stops = class.handling().next == Next::No;
            use FailureClass::{Cancelled, Deadline, InvalidRequest};
            let wanted = matches!(class, Cancelled | Deadline | InvalidRequest);
            assert_eq!(stops, wanted, "{class:?}");
        }
    }
}
