//! A [`Fault`] as a gRPC status.
//!
//! In: what went wrong, by [`super::fault`]. Out: a [`Status`] with `google.rpc` details.
//! Invariant: whoever gets an error learns every attempt and every limit, in words and for
//! programs; the whole fits into the 8 KiB of headers that every client takes. Not here: which code
//! it is.

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::pb;

use super::fault::{self, Fault, Kind, Tried};
use super::{proto, to_proto};
use crate::domain::Violation;
use crate::outcome::OutcomeError;
use crate::pipeline::{PipelineError, Routed};

/// Longest message, in bytes. With the details below, in base64, it stays under 8 KiB.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// Most bytes of one detail: 3 KiB are 4 KiB in base64.
const DETAIL_BYTES_MAX: usize = 3_072;
pub(super) const DOMAIN: &str = "pointsman";
const FAILURE_URL: &str = "type.googleapis.com/pointsman.v1.RouteFailure";

/// A request that did not pass its checks.
pub(super) fn invalid(violations: &[Violation]) -> Status {
    fault::invalid(violations).into()
}

/// A request that was refused by every candidate's limits, whose every attempt failed, or whose
/// answer broke.
pub(super) fn unanswered(routed: &Routed) -> Status {
    fault::unanswered(routed).into()
}

/// A fault of our own while choosing.
pub(super) fn broken(error: &PipelineError) -> Status {
    fault::broken(error).into()
}

/// A feedback that could not be stored.
pub(super) fn not_stored(error: &OutcomeError) -> Status {
    fault::not_stored(error).into()
}

/// A feedback for a decision that is not in the log.
pub(super) fn unknown_decision() -> Status {
    fault::unknown_decision().into()
}

/// A handler that panicked: told to this caller alone.
pub(super) fn panicked() -> Status {
    fault::panicked().into()
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let (code, retry_after) = (fault.kind.codes().1, fault.retry_after());
        let mut details = Vec::new();
        if !fault.violations.is_empty() {
            let detail = bad_request(&fault.violations);
            details.push(any("type.googleapis.com/google.rpc.BadRequest", &detail));
        }
        let keyless = fault.kind == Kind::Unauthenticated;
        if fault.tried.is_some() || !fault.facts.is_empty() || keyless {
            let mut metadata: std::collections::HashMap<_, _> = fault.facts.into_iter().collect();
            if let Some(tried) = &fault.tried {
                metadata.insert("decision_id".into(), tried.decision.id.to_string());
                metadata.insert("attempts".into(), tried.attempts.len().to_string());
            }
            let reason = fault.reason.clone();
            let info = pb::ErrorInfo { reason, domain: DOMAIN.into(), metadata };
            details.push(any("type.googleapis.com/google.rpc.ErrorInfo", &info));
            if let Some(after) = retry_after {
                let retry_delay = prost_types::Duration::try_from(after).ok();
                let detail = pb::RetryInfo { retry_delay };
                details.push(any("type.googleapis.com/google.rpc.RetryInfo", &detail));
            }
        }
        if let Some(tried) = fault.tried {
            details.push(any(FAILURE_URL, &shortened(route_failure(fault.reason, &tried))));
        }
        status(code, fault.message, details)
    }
}

fn bad_request(violations: &[Violation]) -> pb::BadRequest {
    let mut field_violations = Vec::new();
    let mut bytes = 0;
    for it in violations {
        bytes += it.field.len() + it.message.len();
        if bytes > DETAIL_BYTES_MAX {
            break;
        }
        field_violations.push(pb::bad_request::FieldViolation {
            field: it.field.clone(),
            description: it.message.clone(),
            ..Default::default()
        });
    }
    pb::BadRequest { field_violations }
}

fn route_failure(reason: String, tried: &Tried) -> proto::RouteFailure {
    proto::RouteFailure {
        reason,
        attempts: tried.attempts.iter().map(to_proto::attempt).collect(),
        decision: Some(to_proto::decision(&tried.decision)),
        cost_usd: tried.cost_usd.get(),
        total_ms: tried.total_ms,
        outcome_recorded: tried.recorded,
        partial: tried
            .partial
            .as_ref()
            .map(|it| to_proto::partial(&it.deployment, it.class, &it.response)),
    }
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

fn any(type_url: &str, detail: &impl prost::Message) -> prost_types::Any {
    prost_types::Any { type_url: type_url.to_owned(), value: detail.encode_to_vec() }
}

fn status(code: Code, mut message: String, details: Vec<prost_types::Any>) -> Status {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX - 4));
        message.push_str(" ...");
    }
    if details.is_empty() {
        return Status::new(code, message);
    }
    // The message stands in the status itself; a second copy would only fill the headers.
    let whole = pb::Status { code: code.into(), message: String::new(), details };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing;
    use crate::dispatch::ChainFailure;
    use crate::domain::FailureClass;
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
        check(FailureClass::StreamCut, Code::Unavailable, false);
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
