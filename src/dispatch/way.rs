//! Where a route leads after failures: who of the walk may be called next.
//!
//! In: what was tried. Out: [`Way`], or the end that the last failure makes. Invariant: pure; without
//! a route everyone is open, until a failure that no other candidate would mend. Not here: time, money,
//! and who of the open ones comes first (see [`super::next`]).

use super::ChainFailure;
use super::next::Tried;
use crate::domain::{FailureClass, Next};
use crate::ranking::route::{Exit, Failed, Stop};
use crate::ranking::{FallbackPolicy, Ranked};

/// Where the walk may go on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'a> {
    /// There is no route.
    Free,
    /// Nobody on the route was tried yet.
    Beginning,
    /// Somebody was, and failed.
    After {
        /// Where.
        stop: &'a Stop,
        /// Whether others of the same stop may be called, or the same once more.
        stays: bool,
        /// Where the failure leads else.
        exit: Option<&'a Exit>,
    },
}

/// The way on after these calls.
pub(super) fn way<'a>(
    tried: &[Tried<'a>],
    policy: &FallbackPolicy,
) -> Result<Way<'a>, ChainFailure> {
    let Some(last) = tried.last() else { return Ok(Way::Beginning) };
    let ends = ends_chain(last.class, policy);
    let Some(stop) = last.stop else { return ends.map_or(Ok(Way::Free), Err) };
    let failed = failed(last, policy);
    let stays = match &stop.terms.retry {
        None => ends.is_none(),
        Some(retry) => calls(tried, stop) <= retry.attempts(failed),
    };
    let exit = stop.exit(failed);
    if stays || exit.is_some() {
        return Ok(Way::After { stop, stays, exit });
    }
    Err(ends.unwrap_or(ChainFailure::RouteEnds(last.class)))
}

impl Way<'_> {
    /// Whether a candidate may be called, that was not yet.
    pub(super) fn is_open(&self, ranked: &Ranked) -> bool {
        let Some(own) = &ranked.stop else { return true };
        match self {
            Self::Free => true,
            Self::Beginning => own.is_for_all(),
            Self::After { stop, stays, exit } => {
                (*stays && own.place == stop.place) || exit.is_some_and(|it| it.leads_to(own))
            }
        }
    }
}

/// Whether a call may be made a second time or more, that failed so: as its target says, where it does.
pub(super) fn may_repeat(tried: &[Tried<'_>], of: &Tried<'_>, policy: &FallbackPolicy) -> bool {
    let times = tried.iter().filter(|it| it.at == of.at).count();
    let Some(stop) = of.stop else { return times == 1 };
    // Whoever is behind on a route is not gone back to.
    let same = tried.last().and_then(|it| it.stop).is_some_and(|it| it.place == stop.place);
    let allowed = match &stop.terms.retry {
        None => times == 1,
        Some(retry) => calls(tried, stop) <= retry.attempts(failed(of, policy)),
    };
    same && allowed
}

/// Whether its target says that a call is made again after such a failure.
pub(super) fn is_retried(of: &Tried<'_>, policy: &FallbackPolicy) -> bool {
    let retry = of.stop.and_then(|it| it.terms.retry.as_ref());
    retry.is_some_and(|it| it.attempts(failed(of, policy)) > 0)
}

/// A failed call, as routes see it.
fn failed(of: &Tried<'_>, policy: &FallbackPolicy) -> Failed {
    let goes_on = ends_chain(of.class, policy).is_none();
    Failed { class: of.class, status: of.status, goes_on }
}

fn calls(tried: &[Tried<'_>], stop: &Stop) -> usize {
    tried.iter().filter(|it| it.stop.is_some_and(|own| own.place == stop.place)).count()
}

/// Whether this failure ends the chain whoever is left.
///
/// A deadline that was only the attempt's own does not: its class says "no next" because nothing
/// is left of the chain's time, and that is checked against the clock.
fn ends_chain(class: FailureClass, policy: &FallbackPolicy) -> Option<ChainFailure> {
    match class.handling().next {
        Next::Any | Next::LargerWindow | Next::CheapEnough => None,
        Next::IfPolicyAllows if policy.on_content_filter => None,
        Next::No if class == FailureClass::Deadline => None,
        Next::IfPolicyAllows | Next::No => Some(ChainFailure::CallerError(class)),
    }
}
