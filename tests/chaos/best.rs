//! What the best schedule could answer, by the rules that hold for every schedule.
//!
//! In: how often each fault strikes. Out: the share of requests that three candidates and six calls
//! can answer, when no breaker is ever shut and no time ever runs out. Each call fails by itself.

use pointsman::simulator::Fault;

/// Candidates of a request, and its calls.
const CANDIDATES: u32 = 3;

/// What a fault leaves to do.
enum Left {
    /// The same candidate once more, or the next.
    Again,
    /// The next.
    Next,
    /// Nothing: the request is at fault.
    Nothing,
}

fn left(fault: Fault) -> Left {
    match fault {
        Fault::Status { code: 429, retry_after: None } => Left::Next,
        Fault::Status { .. } | Fault::Reset | Fault::ErrorInside200 => Left::Again,
        Fault::ErrorInStream { .. } => Left::Again,
        // Every window is as large as the first.
        Fault::ContextTooLong | Fault::ContentFilter => Left::Nothing,
        Fault::ResetInBody
        | Fault::Hang
        | Fault::Empty
        | Fault::Malformed
        | Fault::WrongModel
        | Fault::Auth
        | Fault::Quota
        | Fault::Unsupported
        | Fault::SlowFirstToken(_)
        | Fault::Stall { .. }
        | Fault::Drip
        | Fault::CutAfter { .. }
        | Fault::NoEndMark
        | Fault::MalformedChunk { .. } => Left::Next,
    }
}

/// The share of requests that can be answered.
pub(crate) fn share_answered(faults: &[(Fault, f64)]) -> f64 {
    let (mut well, mut again, mut next) = (1.0, 0.0, 0.0);
    for (fault, rate) in faults {
        well -= rate;
        match left(*fault) {
            Left::Again => again += rate,
            Left::Next => next += rate,
            Left::Nothing => {}
        }
    }
    // From the last candidate backwards: what is answered by it and those behind it.
    (0..CANDIDATES).fold(0.0, |behind, _| {
        let second = well + (again + next) * behind;
        well + next * behind + again * second
    })
}
