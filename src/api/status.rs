//! The one table from what went wrong to what the caller is told.
//!
//! In: violations, refusals, failed chains, our own faults. Out: a gRPC [`Status`] with
//! `google.rpc` details. Invariant: whoever gets an error learns every attempt and every limit,
//! in words and for programs; the whole fits into the 8 KiB of headers that every client takes; no
//! prompt, answer or key is in it. Full matches, no wildcard arm.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::pb;

use super::{proto, to_proto};
use crate::dispatch::{ChainEnd, ChainFailure};
use crate::domain::{Attempt, FailureClass, Violation};
use crate::outcome::OutcomeError;
use crate::pipeline::{PipelineError, Routed};
use crate::ranking::Refusal;

/// Longest message, in bytes. With the details below, in base64, it stays under 8 KiB.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// Most bytes of one detail: 3 KiB are 4 KiB in base64.
const DETAIL_BYTES_MAX: usize = 3_072;
/// When to come back after rate limits and overload: past the shortest of breakers and windows.
const COME_BACK_AFTER: Duration = Duration::from_secs(2);
const DOMAIN: &str = "pointsman";
const FAILURE_URL: &str = "type.googleapis.com/pointsman.v1.RouteFailure";

/// A request that did not pass its checks.
pub(super) fn invalid(violations: &[Violation]) -> Status {
    let mut fields = Vec::new();
    let mut bytes = 0;
    for it in violations {
        bytes += it.field.len() + it.message.len();
        if bytes > DETAIL_BYTES_MAX {
            break;
        }
        fields.push(pb::bad_request::FieldViolation {
            field: it.field.clone(),
            description: it.message.clone(),
            ..Default::default()
        });
    }
    let all: Vec<_> = violations.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
    let count = violations.len();
    let message = format!("{count} problem(s) in the request: {}", all.join("; "));
    let detail = pb::BadRequest { field_violations: fields };
    let details = vec![any("type.googleapis.com/google.rpc.BadRequest", &detail)];
    status(Code::InvalidArgument, message, details)
}

/// A request that was refused by every candidate's limits, or whose every attempt failed.
pub(super) fn unanswered(routed: &Routed) -> Status {
    let attempts = routed.dispatched.as_ref().map_or(&[][..], |it| it.attempts.as_slice());
    let verdict = match (&routed.decision.verdict, routed.failure()) {
        (Err(refusal), _) => refused(refusal),
        (Ok(_), Some(failure)) => failed(failure, attempts),
        (Ok(_), None) => not_served(routed),
    };
    let failure = proto::RouteFailure {
        reason: verdict.reason.clone(),
        attempts: attempts.iter().map(to_proto::attempt).collect(),
        decision: Some(to_proto::decision(&routed.decision)),
        cost_usd: routed.dispatched.as_ref().map_or(0.0, |it| it.cost_usd().get()),
        total_ms: routed.total_ms,
        outcome_recorded: routed.recorded,
        partial: partial(routed),
    };
    let mut metadata = verdict.metadata;
    metadata.insert("decision_id".into(), routed.decision.id.to_string());
    metadata.insert("attempts".into(), attempts.len().to_string());
    let info = pb::ErrorInfo { reason: verdict.reason, domain: DOMAIN.into(), metadata };
    let mut details = vec![any("type.googleapis.com/google.rpc.ErrorInfo", &info)];
    if verdict.code == Code::Unavailable && attempts.iter().any(|it| passes_by_itself(it.failure)) {
        let retry_delay = prost_types::Duration::try_from(COME_BACK_AFTER).ok();
        let detail = pb::RetryInfo { retry_delay };
        details.push(any("type.googleapis.com/google.rpc.RetryInfo", &detail));
    }
    details.push(any(FAILURE_URL, &shortened(failure)));
    status(verdict.code, verdict.message, details)
}

/// One row of the table.
struct Row {
    code: Code,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
}

impl Row {
    fn new(code: Code, reason: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, reason: reason.to_owned(), message, metadata: HashMap::new() }
    }
}

fn refused(refusal: &Refusal) -> Row {
    let counts = refusal.counts().into_iter();
    let metadata = counts.map(|(limit, count)| (limit.to_owned(), count.to_string())).collect();
    Row { metadata, ..Row::new(Code::FailedPrecondition, "NO_CANDIDATE", refusal.to_string()) }
}

fn failed(failure: ChainFailure, attempts: &[Attempt]) -> Row {
    let tried: Vec<_> = attempts.iter().map(in_words).collect();
    let tried = if tried.is_empty() { "none".to_owned() } else { tried.join("; ") };
    let (code, reason, what) = match failure {
        ChainFailure::Exhausted => {
            (Code::Unavailable, "EXHAUSTED", "every candidate that could be tried failed")
        }
        ChainFailure::Deadline => (Code::DeadlineExceeded, "DEADLINE", "the time ran out"),
        ChainFailure::OverBudget => {
            (Code::ResourceExhausted, "OVER_BUDGET", "what is left of the money pays no candidate")
        }
        ChainFailure::Cancelled => (Code::Cancelled, "CANCELLED", "the caller left"),
        ChainFailure::CallerError(class) => {
            let what = "the provider refused the request, as others would";
            (caller_error(class), "CALLER_ERROR", what)
        }
    };
    let mut row = Row::new(code, reason, format!("{what}; attempts: {tried}"));
    if let ChainFailure::CallerError(class) = failure {
        row.reason = class.as_str().to_uppercase();
    }
    row
}

/// The code for a failure that no other candidate was to be tried after.
fn caller_error(class: FailureClass) -> Code {
    match class {
        FailureClass::InvalidRequest | FailureClass::ContextTooLong | FailureClass::Unsupported => {
            Code::InvalidArgument
        }
        FailureClass::ContentFiltered => Code::FailedPrecondition,
        FailureClass::Deadline => Code::DeadlineExceeded,
        FailureClass::Cancelled => Code::Cancelled,
        FailureClass::OverBudget => Code::ResourceExhausted,
        FailureClass::RateLimited
        | FailureClass::Overloaded
        | FailureClass::Connection
        | FailureClass::FirstTokenLate
        | FailureClass::Stalled
        | FailureClass::Auth
        | FailureClass::ModelMissing
        | FailureClass::EmptyAnswer
        | FailureClass::Malformed
        | FailureClass::StreamCut => Code::Unavailable,
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
            | FailureClass::StreamCut,
        ) => true,
        Some(
            FailureClass::Deadline
            | FailureClass::Auth
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

fn in_words(attempt: &Attempt) -> String {
    let class = attempt.failure.map_or("answered", FailureClass::as_str);
    let status = attempt.status.map_or(String::new(), |it| format!(" ({it})"));
    format!(
        "{} {class}{status} at {:.0} ms for {:.0} ms, {}",
        attempt.deployment, attempt.start_ms, attempt.total_ms, attempt.cost_usd
    )
}

/// Cuts what a decision lists until the failure fits; attempts are never cut.
fn shortened(mut failure: proto::RouteFailure) -> proto::RouteFailure {
    let too_long = |it: &proto::RouteFailure| it.encoded_len() > DETAIL_BYTES_MAX;
    if too_long(&failure)
        && let Some(decision) = &mut failure.decision
    {
        decision.excluded.iter_mut().for_each(|it| it.prediction = None);
    }
    while too_long(&failure)
        && let Some(decision) = &mut failure.decision
    {
        let cut = decision.excluded.pop().is_some() || decision.ranking.pop().is_some();
        if !cut {
            break;
        }
    }
    failure
}

/// A fault of our own while choosing.
pub(super) fn broken(error: &PipelineError) -> Status {
    tracing::error!(%error, "a request could not be decided");
    match error {
        PipelineError::Encoder(_) => Status::internal("the prompt could not be encoded"),
        PipelineError::Worker(_) | PipelineError::Interrupted => {
            Status::internal("the request was interrupted by a fault")
        }
    }
}

/// A feedback that could not be stored.
pub(super) fn not_stored(error: &OutcomeError) -> Status {
    tracing::error!(%error, "a feedback could not be stored");
    Status::unavailable("the feedback could not be stored; send it again")
}

/// A feedback for a decision that is not in the log.
pub(super) fn unknown_decision() -> Status {
    Status::not_found("no decision of this id is in the log")
}

/// A handler that panicked: told to this caller alone.
pub(super) fn panicked() -> Status {
    Status::internal("a fault in the server ended this request; others are not touched by it")
}

fn any(type_url: &str, detail: &impl prost::Message) -> prost_types::Any {
    prost_types::Any { type_url: type_url.to_owned(), value: detail.encode_to_vec() }
}

fn status(code: Code, mut message: String, details: Vec<prost_types::Any>) -> Status {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX - 4));
        message.push_str(" ...");
    }
    // The message stands in the status itself; a second copy would only fill the headers.
    let whole = pb::Status { code: code.into(), message: String::new(), details };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

/// An answer that broke off after a part of it was passed on, or a fault of ours.
fn not_served(routed: &Routed) -> Row {
    let (end, attempts) = match &routed.dispatched {
        Some(it) => (&it.end, it.attempts.iter().map(in_words).collect::<Vec<_>>().join("; ")),
        None => return Row::new(Code::Internal, "NOT_DISPATCHED", "nothing was dispatched"),
    };
    match end {
        ChainEnd::Broken { deployment, class, .. } => {
            let (code, reason) = (caller_error(*class), class.as_str().to_uppercase());
            let what = "the answer broke off; what came of it is valid, but not all";
            Row::new(code, &reason, format!("{what} ({}); attempts: {attempts}", deployment.id))
        }
        ChainEnd::Served { .. } | ChainEnd::Failed(_) => {
            Row::new(Code::Internal, "NOT_TOLD", "how the request ended could not be told")
        }
    }
}

/// How much of a broken answer was passed on.
fn partial(routed: &Routed) -> Option<proto::PartialAnswer> {
    match &routed.dispatched.as_ref()?.end {
        ChainEnd::Broken { deployment, class, partial } => {
            Some(to_proto::partial(deployment, *class, partial))
        }
        ChainEnd::Served { .. } | ChainEnd::Failed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;
    use tonic_types::StatusExt as _;

    fn failure_of(status: &Status) -> proto::RouteFailure {
        let whole = pb::Status::decode(status.details()).unwrap();
        let found = whole.details.iter().find(|it| it.type_url == FAILURE_URL).unwrap();
        proto::RouteFailure::decode(found.value.as_slice()).unwrap()
    }

    #[test]
    fn violations_are_listed_for_people_and_programs() {
        let found = [Violation::new("messages", "none"), Violation::new("min_quality", "2 is bad")];
        let status = invalid(&found);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("messages: none; min_quality: 2 is bad"));
        let bad = status.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad.field_violations.iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["messages", "min_quality"]);
    }

    #[test]
    fn a_refusal_counts_its_limits() {
        let status = unanswered(&testing::routed(testing::refused(), None));
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("not_allowed excludes 2"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("NO_CANDIDATE", "pointsman"));
        assert_eq!(info.metadata["not_allowed"], "2");
        assert_eq!(failure_of(&status).decision.unwrap().excluded.len(), 2);
    }

    #[test]
    fn every_failed_chain_has_its_code_and_lists_its_attempts() {
        let check = |failure: ChainFailure, code: Code, reason: &str, retry: bool| {
            let routed = testing::routed(testing::decided(), Some(failure));
            let status = unanswered(&routed);
            assert_eq!(status.code(), code, "{failure:?}");
            let wanted = "small@one overloaded (503) at 2 ms for 30 ms, $0.000100";
            assert!(status.message().contains(wanted), "{}", status.message());
            assert_eq!(status.get_details_error_info().unwrap().reason, reason);
            assert_eq!(status.get_details_retry_info().is_some(), retry);
            let told = failure_of(&status);
            assert_eq!(told.attempts.len(), 1);
            assert_eq!(told.attempts[0].failure(), proto::FailureClass::Overloaded);
            assert_eq!(told.decision.unwrap().ranking.len(), 1);
        };
        check(ChainFailure::Exhausted, Code::Unavailable, "EXHAUSTED", true);
        check(ChainFailure::Deadline, Code::DeadlineExceeded, "DEADLINE", false);
        check(ChainFailure::OverBudget, Code::ResourceExhausted, "OVER_BUDGET", false);
        let class = FailureClass::InvalidRequest;
        let failure = ChainFailure::CallerError(class);
        check(failure, Code::InvalidArgument, "INVALID_REQUEST", false);
        let failure = ChainFailure::CallerError(FailureClass::ContentFiltered);
        check(failure, Code::FailedPrecondition, "CONTENT_FILTERED", false);
    }

    #[test]
    fn a_broken_answer_tells_how_much_of_it_is_valid() {
        let check = |class: FailureClass, code: Code, retry: bool| {
            let status = unanswered(&testing::broken(class, testing::answer()));
            assert_eq!(status.code(), code, "{class:?}");
            assert!(status.message().contains("broke off"), "{}", status.message());
            assert!(status.message().contains("small@one"), "{}", status.message());
            let reason = status.get_details_error_info().unwrap().reason;
            assert_eq!(reason, class.as_str().to_uppercase());
            assert_eq!(status.get_details_retry_info().is_some(), retry);
            let partial = failure_of(&status).partial.unwrap();
            assert_eq!((partial.text_bytes, partial.deployment.as_str()), (5, "small@one"));
        };
        check(FailureClass::StreamCut, Code::Unavailable, true);
        check(FailureClass::Malformed, Code::Unavailable, false);
        check(FailureClass::Deadline, Code::DeadlineExceeded, false);
    }

    #[test]
    fn everything_fits_into_headers() {
        let many: Vec<_> = (0..5_000)
            .map(|it| Violation::new(format!("messages[{it}]"), "the message is empty"))
            .collect();
        let status = invalid(&many);
        assert!(status.details().len() * 4 / 3 + status.message().len() < 8_000);
        let mut decision = testing::refused();
        if let Err(refusal) = &mut decision.verdict {
            refusal.excluded = vec![refusal.excluded.clone(); 500].concat();
        }
        let status = unanswered(&testing::routed(decision, None));
        assert!(status.details().len() * 4 / 3 + status.message().len() < 8_000);
        assert_eq!(status.get_details_error_info().unwrap().metadata["not_allowed"], "1000");
        assert!(!failure_of(&status).decision.unwrap().excluded.is_empty());
    }
}
