//! What comes next: the whole policy of fallback as one pure function.
//!
//! In: the candidates in order, what was tried, who was found shut, what is left of time, money and
//! retries. Out: [`Step`]. Invariant: a candidate is called at most twice, or as often as its target on
//! a route says, again only where its failure and the retry budget allow; none is called that is expected to
//! need more time or money than is left; who is shut is waited for only when nobody else is left.
//! Not here: clock, network, randomness.

use std::time::Duration;

use super::ChainFailure;
use super::timing::{RETRY_AFTER_MAX, Turn, attempt_limit, median, share};
use super::way::{is_retried, may_repeat, way};
use crate::domain::{Again, FailureClass, Next, Probability, Usd};
use crate::ranking::{FallbackPolicy, Ranked, Stop};

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait for `pause`, then call the candidate at this place for at most `timeout`.
    Try {
        /// Its place among the candidates.
        at: usize,
        /// Zero, except before the second call of the same candidate, and for one that is shut.
        pause: Duration,
        /// The longest the call may take.
        timeout: Duration,
    },
    /// No other attempt helps, or none is possible.
    Stop(ChainFailure),
}

/// A call that failed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tried<'a> {
    /// The candidate's place.
    pub(super) at: usize,
    /// The target of a route that it stands for.
    pub(super) stop: Option<&'a Stop>,
    /// How it failed.
    pub(super) class: FailureClass,
    /// The HTTP status, where there was one.
    pub(super) status: Option<u16>,
    /// The pause before it may be called again, where its class allows that: drawn or asked for.
    pub(super) pause: Option<Duration>,
}

/// A candidate that was found shut, and may yet be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skipped {
    /// The candidate's place.
    pub(super) at: usize,
    /// How long until it may be asked for again; `None` when that is too long to wait.
    pub(super) wait: Option<Duration>,
}

/// Whether the process may call a deployment a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// As the class of its failure says.
    Allowed,
    /// The budget of retries is used up.
    Spent,
}

/// What is left for all attempts to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Left {
    /// Of the deadline.
    pub(super) time: Duration,
    /// Of the money; `None` when it is not limited.
    pub(super) money: Option<Usd>,
    /// How certain it must be that a call costs no more than is left.
    pub(super) confidence: Probability,
    /// Of the process's retries.
    pub(super) retry: Retry,
}

/// Decides what comes next.
pub(super) fn next_step(
    walk: &[&Ranked],
    tried: &[Tried<'_>],
    skipped: &[Skipped],
    left: Left,
    policy: &FallbackPolicy,
) -> Step {
    let way = match way(tried, policy) {
        Ok(way) => way,
        Err(failure) => return Step::Stop(failure),
    };
    if left.time.is_zero() {
        return Step::Stop(ChainFailure::Deadline);
    }
    if tried.len() >= policy.attempts_max {
        return Step::Stop(ChainFailure::Exhausted);
    }
    let turn = if tried.is_empty() { Turn::First } else { Turn::Later };
    let is_skipped = |at: usize| skipped.iter().any(|it| it.at == at);
    let untried = untried(walk, tried).into_iter().filter(|it| way.is_open(walk[*it]));
    let (shut, open): (Vec<_>, Vec<_>) = untried.partition(|it| is_skipped(*it));
    let attempt = |at: usize, pause: Duration| {
        let time = left.time.saturating_sub(pause);
        let after = open.iter().find(|it| **it != at).map(|it| median(walk[*it]));
        let longest = attempt_limit(walk[at], policy.timeouts, turn);
        Step::Try { at, pause, timeout: share(longest, time, median(walk[at]), after) }
    };
    // A second call of one candidate never takes the place of another's first.
    let spare = tried.len() + open.len() < policy.attempts_max;
    let beside = |at: usize| open.iter().any(|it| same_stop(walk[*it], walk[at]));
    let again = again(walk, tried, left, policy).filter(|(at, _)| spare && !is_skipped(*at));
    // Of a target with retries of its own, those not called yet come before those that failed.
    let again = again.filter(|(at, _)| !has_retries(walk[*at]) || !beside(*at));
    if let Some((at, pause)) = again {
        return attempt(at, pause);
    }
    if let Some(at) = open.iter().find(|it| shortfall(walk[**it], left).is_none()) {
        return attempt(*at, Duration::ZERO);
    }
    // Nobody is left who can be called now and was not: those who are shut, and second calls that were
    // passed over because the breaker had opened meanwhile.
    let later = may_be_repeated(walk, tried, left, policy);
    let waits = skipped.iter().filter(|it| shut.contains(&it.at) || later.contains(&it.at));
    let waits = waits.filter_map(|it| Some((it.at, it.wait?)));
    let passed_over = tried.iter().filter(|it| later.contains(&it.at) && !is_skipped(it.at));
    let passed_over = passed_over.filter_map(|it| Some((it.at, pause_before_again(it, policy)?)));
    let waits = waits.chain(passed_over);
    let soonest = waits.min_by_key(|(_, wait)| *wait);
    match soonest.filter(|(at, wait)| fits_after(walk[*at], *wait, left)) {
        Some((at, pause)) => attempt(at, pause),
        None => Step::Stop(nobody_left(walk, &open, tried, left)),
    }
}

/// Whether a call is expected to fit into what is left after a pause.
fn fits_after(ranked: &Ranked, pause: Duration, left: Left) -> bool {
    let time = left.time.checked_sub(pause).filter(|it| !it.is_zero());
    time.is_some_and(|time| shortfall(ranked, Left { time, ..left }).is_none())
}

/// The last candidate once more, if it failed in a way that may pass, and no more often than it may be
/// called; of a target with retries of its own, whoever was left alone for longest.
fn again(
    walk: &[&Ranked],
    tried: &[Tried<'_>],
    left: Left,
    policy: &FallbackPolicy,
) -> Option<(usize, Duration)> {
    let last = tried.last()?;
    let mut may = may_be_repeated(walk, tried, left, policy);
    if walk.get(last.at).is_none_or(|it| !has_retries(it)) {
        may.retain(|it| *it == last.at);
    }
    let last_call = |at: usize| tried.iter().rposition(|it| it.at == at);
    let at = may.into_iter().min_by_key(|it| last_call(*it))?;
    let pause = pause_before_again(tried.get(last_call(at)?)?, policy)?;
    fits_after(walk[at], pause, left).then_some((at, pause))
}

/// Those who failed in a way that may pass and may be called once more, in the order of their calls.
fn may_be_repeated(
    walk: &[&Ranked],
    tried: &[Tried<'_>],
    left: Left,
    policy: &FallbackPolicy,
) -> Vec<usize> {
    let may = |it: &&Tried<'_>| {
        let pause = pause_before_again(it, policy);
        it.at < walk.len() && pause.is_some() && may_repeat(tried, it, policy)
    };
    let allowed = left.retry == Retry::Allowed;
    tried.iter().filter(|_| allowed).filter(may).map(|it| it.at).collect()
}

fn has_retries(ranked: &Ranked) -> bool {
    ranked.stop.as_ref().is_some_and(|it| it.terms.retry.is_some())
}

/// Whether two stand for the same target of a route; without one, they do.
pub(super) fn same_stop(one: &Ranked, other: &Ranked) -> bool {
    let place = |it: &Ranked| it.stop.as_ref().map(|it| it.place);
    place(one) == place(other)
}

/// The pause before a deployment that failed may be called once more, where its target or else its
/// class allows that.
fn pause_before_again(failed: &Tried<'_>, policy: &FallbackPolicy) -> Option<Duration> {
    if is_retried(failed, policy) {
        return failed.pause.filter(|it| *it <= RETRY_AFTER_MAX);
    }
    match failed.class.handling().again {
        Again::Never => None,
        Again::AtOnce => Some(Duration::ZERO),
        Again::AfterBackoff => failed.pause,
        Again::AfterRetryAfter => failed.pause.filter(|it| *it <= RETRY_AFTER_MAX),
    }
}

/// Those never called, whose window is larger than every one that was too small; in order, except
/// that those of a provider that is at fault go behind the others, last resorts behind these, and those
/// that were shut when they were ranked stay last.
pub(super) fn untried(walk: &[&Ranked], tried: &[Tried<'_>]) -> Vec<usize> {
    let too_small = tried.iter().filter(|it| it.class.handling().next == Next::LargerWindow);
    let floor = too_small.filter_map(|it| walk.get(it.at)).map(|it| window(it)).max();
    let fresh = move |at: &usize| tried.iter().all(|it| it.at != *at);
    // Whom the operator named for it is believed to have room.
    let named = |at: &usize| walk[*at].stop.as_ref().is_some_and(|it| !it.is_for_all());
    let large = move |at: &usize| named(at) || floor.is_none_or(|it| window(walk[*at]) > it);
    let mut untried: Vec<usize> = (0..walk.len()).filter(fresh).filter(large).collect();
    // Stable: equals keep their order.
    let rank = |at: &usize| {
        let it = walk[*at];
        let place = it.stop.as_ref().map(|it| it.place);
        (it.shut.is_some(), place, it.deployment.last_resort, shares_fate(walk, tried, *at))
    };
    untried.sort_by_key(rank);
    untried
}

/// Whether a call to another deployment of the same provider failed in a way that speaks for both.
fn shares_fate(walk: &[&Ranked], tried: &[Tried<'_>], at: usize) -> bool {
    let ill = tried.iter().filter(|it| it.class.speaks_for_provider());
    let mut providers = ill.filter_map(|it| walk.get(it.at)).map(|it| &it.deployment.provider);
    providers.any(|it| *it == walk[at].deployment.provider)
}

fn window(ranked: &Ranked) -> u64 {
    ranked.deployment.model.context_window
}

/// What there is too little of for this candidate.
pub(super) fn shortfall(ranked: &Ranked, left: Left) -> Option<ChainFailure> {
    if median(ranked) > left.time {
        return Some(ChainFailure::Deadline);
    }
    let cost = &ranked.prediction.cost_usd;
    // As ranking had it of the whole budget; and the mean, for who cares for no certainty.
    let fits = |money: Usd| {
        let chance = Probability::clamped(cost.chance_within(money.get()));
        chance >= left.confidence && cost.mean() <= money.get()
    };
    left.money.filter(|it| !fits(*it)).map(|_| ChainFailure::OverBudget)
}

/// The name of the end: what the best one still open lacks; with nobody open, the caller's error
/// that everyone met alike, or else exhaustion.
fn nobody_left(walk: &[&Ranked], open: &[usize], tried: &[Tried<'_>], left: Left) -> ChainFailure {
    if let Some(lack) = open.first().and_then(|it| shortfall(walk[*it], left)) {
        return lack;
    }
    let alike = |class: FailureClass| tried.iter().all(|it| it.class == class);
    match tried.last().map(|it| it.class) {
        Some(
            class @ (FailureClass::ContextTooLong
            | FailureClass::ContentFiltered
            | FailureClass::Unsupported),
        ) if alike(class) => ChainFailure::CallerError(class),
        Some(_) | None => ChainFailure::Exhausted,
    }
}
