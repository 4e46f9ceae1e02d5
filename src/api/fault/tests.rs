//! Every way of going wrong, and what a caller is told of it.

use super::*;
use crate::api::testing;

#[test]
fn every_end_has_its_row() {
    let check = |failure: ChainFailure, status: u16, reason: &str, waits: bool| {
        let fault = unanswered(&testing::routed(testing::decided(), Some(failure)));
        assert_eq!((fault.kind.codes().0, fault.reason.as_str()), (status, reason));
        let wanted = waits.then_some(Duration::from_millis(1_700));
        assert_eq!(fault.retry_after(), wanted, "{failure:?}");
        assert_eq!(fault.tried.unwrap().attempts.len(), 1);
    };
    let caller = ChainFailure::CallerError;
    check(ChainFailure::Exhausted, 503, "EXHAUSTED", true);
    let retry_in = Duration::from_millis(1_700);
    check(ChainFailure::AllShut { retry_in }, 503, "ALL_SHUT", true);
    check(ChainFailure::Deadline, 504, "DEADLINE", false);
    check(ChainFailure::OverBudget, 402, "OVER_BUDGET", false);
    check(ChainFailure::Cancelled, 503, "STOPPING", true);
    check(caller(FailureClass::InvalidRequest), 400, "INVALID_REQUEST", false);
    check(caller(FailureClass::ContextTooLong), 400, "CONTEXT_TOO_LONG", false);
    check(caller(FailureClass::ContentFiltered), 400, "CONTENT_FILTERED", false);
    let refused = unanswered(&testing::routed(testing::refused(), None));
    assert_eq!((refused.kind, refused.kind.codes().0), (Kind::NoCandidate, 422));
    let for_good = failed(ChainFailure::Exhausted, &[]);
    assert_eq!((for_good.kind.codes().0, for_good.retry_after()), (502, None));
    // Who was silent for the time of an attempt may answer later, as one whose first token is
    // late may.
    let silent = passes_by_itself(Some(FailureClass::Deadline));
    assert_eq!(silent, passes_by_itself(Some(FailureClass::FirstTokenLate)));
}
