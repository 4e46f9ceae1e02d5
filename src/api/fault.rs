//! The one table from what went wrong to what a caller is told, in no wire format yet.
//!
//! In: violations, refusals, failed chains, our own faults. Out: a [`Fault`], from which the gRPC
//! face makes a status ([`super::status`]) and the HTTP face a body and headers. Invariant: both
//! codes of a kind stand side by side, so that the faces never disagree; no prompt, answer or key
//! is in it. Full matches, no wildcard arm.

mod rights;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tonic::Code;

use crate::catalog::Deployment;
use crate::dispatch::{COME_BACK_AFTER, ChainEnd, ChainFailure};
use crate::domain::{Attempt, ChatResponse, FailureClass, Usd, Violation};
use crate::outcome::OutcomeError;
use crate::pipeline::{Decision, PipelineError, Routed};
use crate::ranking::Refusal;

use rights::over_spend;
pub(super) use rights::{not_permitted, over_rate, unauthenticated};
use words::all_in_words;

/// What went wrong.
#[derive(Debug)]
pub(super) struct Fault {
    /// Which row of the table.
    pub(super) kind: Kind,
    /// For programs, upper case: `EXHAUSTED`, `NO_CANDIDATE`.
    pub(super) reason: String,
    /// For people.
    pub(super) message: String,
    /// When to come back, where waiting helps, milliseconds; a `Duration` would be too large.
    pub(super) retry_ms: Option<u32>,
    /// Fields at fault.
    pub(super) violations: Vec<Violation>,
    /// More about it, by name: which limit excluded how many, after a refusal; which limit of whose is
    /// used up.
    pub(super) facts: BTreeMap<String, String>,
    /// What was decided and tried, where it came to that.
    pub(super) tried: Option<Box<Tried>>,
}

/// What was decided and tried before it went wrong.
#[derive(Debug)]
pub(super) struct Tried {
    /// Who was to be tried.
    pub(super) decision: Decision,
    /// Every call that was made, in order.
    pub(super) attempts: Vec<Attempt>,
    /// What came of an answer that broke off, all of it already with the caller.
    pub(super) partial: Option<Partial>,
    /// What they cost together.
    pub(super) cost_usd: Usd,
    /// From arrival to the end, in milliseconds.
    pub(super) total_ms: f64,
    /// Whether the outcome is in the log.
    pub(super) recorded: bool,
}

/// A part of an answer, whose rest did not come.
#[derive(Debug)]
pub(super) struct Partial {
    /// Whose.
    pub(super) deployment: Arc<Deployment>,
    /// How it broke off.
    pub(super) class: FailureClass,
    /// What was passed on.
    pub(super) response: ChatResponse,
}

/// Kinds of what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request did not pass its checks, or a provider refused it as others would.
    Invalid,
    /// The body is too long.
    TooLarge,
    /// The body is no JSON by its headers.
    MediaType,
    /// No key was shown that is worth something here.
    Unauthenticated,
    /// A key that may not do this.
    NotPermitted,
    /// A limit of a key or its team is used up.
    OverLimit,
    /// Failures were asked for, and the operator does not allow that.
    FaultsRefused,
    /// An artifact is not taken, or there is none to take.
    ArtifactRefused,
    /// The log was to be read or deleted from, and the operator does not allow that.
    OutcomesRefused,
    /// The model is not served here.
    UnknownModel,
    /// The decision is not in the log.
    UnknownDecision,
    /// Nothing is at this path.
    UnknownPath,
    /// Something is at this path, but not under this method.
    WrongMethod,
    /// Every candidate was excluded by a limit. Not 4xx codes that clients retry (408, 409, 429):
    /// the same request would be refused again.
    NoCandidate,
    /// Every candidate failed, and waiting helps.
    Exhausted,
    /// Every candidate is shut after failures; waiting helps.
    AllShut,
    /// Every candidate failed in ways that waiting does not mend: a key, a missing model.
    ExhaustedForGood,
    /// An answer broke after a part of it was given.
    Broken,
    /// The time ran out.
    Deadline,
    /// The caller's money does not pay any candidate.
    OverBudget,
    /// A provider withheld the answer.
    Filtered,
    /// The caller left. Nobody reads it; 499 is nginx's number for it.
    Cancelled,
    /// A fault of ours.
    Internal,
    /// The log did not take it.
    NotStored,
    /// The server is stopping.
    Stopping,
}

impl Kind {
    /// The HTTP status and the gRPC code.
    pub(super) fn codes(self) -> (u16, Code) {
        match self {
            Self::Invalid => (400, Code::InvalidArgument),
            Self::TooLarge => (413, Code::ResourceExhausted),
            Self::MediaType => (415, Code::InvalidArgument),
            Self::Unauthenticated => (401, Code::Unauthenticated),
            Self::OverLimit => (429, Code::ResourceExhausted),
            Self::NotPermitted | Self::FaultsRefused | Self::OutcomesRefused => {
                (403, Code::PermissionDenied)
            }
            Self::UnknownModel | Self::UnknownDecision => (404, Code::NotFound),
            Self::UnknownPath => (404, Code::Unimplemented),
            Self::WrongMethod => (405, Code::Unimplemented),
            Self::NoCandidate => (422, Code::FailedPrecondition),
            Self::ArtifactRefused => (409, Code::FailedPrecondition),
            Self::Exhausted | Self::AllShut | Self::NotStored | Self::Stopping => {
                (503, Code::Unavailable)
            }
            Self::ExhaustedForGood | Self::Broken => (502, Code::Unavailable),
            Self::Deadline => (504, Code::DeadlineExceeded),
            Self::OverBudget => (402, Code::ResourceExhausted),
            Self::Filtered => (400, Code::FailedPrecondition),
            Self::Cancelled => (499, Code::Cancelled),
            Self::Internal => (500, Code::Internal),
        }
    }

    /// When to come back, where waiting helps and nothing more is known.
    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Exhausted | Self::AllShut | Self::NotStored | Self::Stopping => {
                Some(COME_BACK_AFTER)
            }
            Self::Invalid
            | Self::TooLarge
            | Self::MediaType
            | Self::Unauthenticated
            | Self::NotPermitted
            | Self::OverLimit
            | Self::FaultsRefused
            | Self::ArtifactRefused
            | Self::OutcomesRefused
            | Self::UnknownModel
            | Self::UnknownDecision
            | Self::UnknownPath
            | Self::WrongMethod
            | Self::NoCandidate
            | Self::ExhaustedForGood
            | Self::Broken
            | Self::Deadline
            | Self::OverBudget
            | Self::Filtered
            | Self::Cancelled
            | Self::Internal => None,
        }
    }
}

impl Fault {
    /// A fault in words.
    pub(super) fn new(kind: Kind, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            retry_ms: kind.retry_after().map(millis),
            violations: Vec::new(),
            facts: BTreeMap::new(),
            tried: None,
        }
    }

    /// Puts a pause that is known in the place of the usual one, where waiting helps at all. The end of
    /// a limit is known already.
    fn retry_in(self, known: Option<Duration>) -> Self {
        let known = known.filter(|it| !it.is_zero() && self.kind != Kind::OverLimit);
        Self { retry_ms: self.retry_ms.map(|it| known.map_or(it, millis)), ..self }
    }

    /// When to come back, where waiting helps.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_ms.map(|it| Duration::from_millis(it.into()))
    }
}

fn millis(pause: Duration) -> u32 {
    u32::try_from(pause.as_micros().div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// A request that did not pass its checks.
pub(super) fn invalid(violations: &[Violation]) -> Fault {
    let all: Vec<_> = violations.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
    let count = violations.len();
    let message = format!("{count} problem(s) in the request: {}", all.join("; "));
    let fault = Fault::new(Kind::Invalid, "INVALID_REQUEST", message);
    Fault { violations: violations.to_vec(), ..fault }
}

/// A request that was refused by every candidate's limits, whose every attempt failed, or whose
/// answer broke.
pub(super) fn unanswered(routed: &Routed) -> Fault {
    let dispatched = routed.dispatched.as_ref();
    let attempts = dispatched.map_or(&[][..], |it| it.attempts.as_slice());
    let fault = match (&routed.decision.verdict, dispatched.map(|it| &it.end)) {
        (Err(refusal), _) => refused(refusal),
        (Ok(_), Some(ChainEnd::Failed(failure))) => {
            let retry_in = dispatched.and_then(|it| it.retry_in);
            failed(*failure, attempts).retry_in(retry_in)
        }
        (Ok(_), Some(ChainEnd::Broken { class, .. })) => broke(*class, attempts),
        (Ok(_), Some(ChainEnd::Served { .. }) | None) => {
            Fault::new(Kind::Internal, "NOT_DISPATCHED", "nothing was dispatched")
        }
    };
    let tried = Tried {
        decision: routed.decision.clone(),
        attempts: attempts.to_vec(),
        partial: dispatched.and_then(|it| partial(&it.end)),
        cost_usd: dispatched.map_or(Usd::ZERO, crate::dispatch::Dispatched::cost_usd),
        total_ms: routed.total_ms,
        recorded: routed.recorded,
    };
    Fault { tried: Some(Box::new(tried)), ..fault }
}

fn partial(end: &ChainEnd) -> Option<Partial> {
    match end {
        ChainEnd::Broken { deployment, class, partial } => {
            let (deployment, response) = (Arc::clone(deployment), partial.clone());
            Some(Partial { deployment, class: *class, response })
        }
        ChainEnd::Served { .. } | ChainEnd::Failed(_) => None,
    }
}

fn refused(refusal: &Refusal) -> Fault {
    let facts = refusal.counts().into_iter();
    let facts = facts.map(|(limit, count)| (limit.to_owned(), count.to_string())).collect();
    Fault { facts, ..Fault::new(Kind::NoCandidate, "NO_CANDIDATE", refusal.to_string()) }
}

fn failed(failure: ChainFailure, attempts: &[Attempt]) -> Fault {
    let (kind, reason, what) = match failure {
        ChainFailure::Exhausted => {
            let waiting = attempts.iter().any(|it| passes_by_itself(it.failure));
            let kind = if waiting { Kind::Exhausted } else { Kind::ExhaustedForGood };
            (kind, "EXHAUSTED".to_owned(), "every candidate that could be tried failed")
        }
        ChainFailure::AllShut { .. } => {
            let what = "every candidate is shut after failures or full by its own limits";
            (Kind::AllShut, "ALL_SHUT".to_owned(), what)
        }
        ChainFailure::SpendLimit(exceeded) => return over_spend(&exceeded, attempts),
        ChainFailure::Deadline => (Kind::Deadline, "DEADLINE".to_owned(), "the time ran out"),
        ChainFailure::OverBudget => {
            let what = "what is left of the money pays no candidate";
            (Kind::OverBudget, "OVER_BUDGET".to_owned(), what)
        }
        // A caller who left reads nothing; who reads this was cut off.
        ChainFailure::Cancelled => {
            let what = "the server stopped before the answer was there";
            (Kind::Stopping, "STOPPING".to_owned(), what)
        }
        ChainFailure::RouteEnds(class) => {
            let what = "the route goes on after no such failure";
            (caller_error(class), class.as_str().to_uppercase(), what)
        }
        ChainFailure::CallerError(class) => {
            let what = "the provider refused the request, as others would";
            (caller_error(class), class.as_str().to_uppercase(), what)
        }
    };
    Fault::new(kind, &reason, format!("{what}; attempts: {}", all_in_words(attempts)))
}

/// An answer that broke after a part of it was given.
fn broke(class: FailureClass, attempts: &[Attempt]) -> Fault {
    let what = "the answer broke off; what came before is all there is";
    let message = format!("{what} ({}); attempts: {}", class.as_str(), all_in_words(attempts));
    let kind = if class == FailureClass::Deadline { Kind::Deadline } else { Kind::Broken };
    Fault::new(kind, &class.as_str().to_uppercase(), message)
}

/// The kind of a failure that no other candidate was to be tried after.
fn caller_error(class: FailureClass) -> Kind {
    match class {
        FailureClass::InvalidRequest | FailureClass::ContextTooLong | FailureClass::Unsupported => {
            Kind::Invalid
        }
        FailureClass::ContentFiltered => Kind::Filtered,
        FailureClass::Deadline => Kind::Deadline,
        FailureClass::Cancelled => Kind::Cancelled,
        FailureClass::OverBudget => Kind::OverBudget,
        FailureClass::RateLimited
        | FailureClass::Overloaded
        | FailureClass::Connection
        | FailureClass::FirstTokenLate
        | FailureClass::Stalled
        | FailureClass::StreamCut => Kind::Exhausted,
        FailureClass::Auth
        | FailureClass::ModelMissing
        | FailureClass::EmptyAnswer
        | FailureClass::Malformed => Kind::ExhaustedForGood,
    }
}

/// Whether waiting helps.
fn passes_by_itself(failure: Option<FailureClass>) -> bool {
    match failure {
        Some(
            FailureClass::RateLimited
            | FailureClass::Overloaded
            | FailureClass::Connection
            | FailureClass::FirstTokenLate
            | FailureClass::Stalled
            | FailureClass::Deadline
            | FailureClass::StreamCut,
        ) => true,
        Some(
            FailureClass::Auth
            | FailureClass::ModelMissing
            | FailureClass::ContextTooLong
            | FailureClass::Unsupported
            | FailureClass::ContentFiltered
            | FailureClass::InvalidRequest
            | FailureClass::EmptyAnswer
            | FailureClass::Malformed
            | FailureClass::OverBudget
            | FailureClass::Cancelled,
        )
        | None => false,
    }
}

/// A fault of our own while choosing.
pub(super) fn broken(error: &PipelineError) -> Fault {
    tracing::error!(%error, "a request could not be decided");
    let message = match error {
        PipelineError::Encoder(_) => "the prompt could not be encoded",
        PipelineError::Worker(_) | PipelineError::Interrupted => {
            "the request was interrupted by a fault"
        }
    };
    Fault::new(Kind::Internal, "INTERNAL", message)
}

/// A feedback that could not be stored.
pub(super) fn not_stored(error: &OutcomeError) -> Fault {
    tracing::error!(%error, "a feedback could not be stored");
    let message = "the feedback could not be stored; send it again";
    Fault::new(Kind::NotStored, "NOT_STORED", message)
}

/// A feedback for a decision that is not in the log.
pub(super) fn unknown_decision() -> Fault {
    let message = "no decision of this id is in the log";
    Fault::new(Kind::UnknownDecision, "UNKNOWN_DECISION", message)
}

/// A handler that panicked: told to this caller alone.
pub(super) fn panicked() -> Fault {
    let message = "a fault in the server ended this request; others are not touched by it";
    Fault::new(Kind::Internal, "INTERNAL", message)
}

#[cfg(test)]
mod tests;
