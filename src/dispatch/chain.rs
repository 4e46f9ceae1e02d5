//! The loop around [`next_step`]: asks it, waits, attempts, writes down; until one attempt succeeds.
//!
//! In: a [`Plan`], and what an attempt is (a whole answer, or a stream up to its first content).
//! Out: what the attempt that succeeded gave, or why nobody is left. Invariant: every attempt was
//! admitted by [`Health`](super::Health), is recorded once and told to it, and none outlives its
//! timeout. Dropping the future drops the call under way.

mod pay;
mod race;
mod record;
mod turn;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::billing::tokens_of;
use super::health::{Admission, InFlight, PROBE_RECHECK};
use super::next::{Left, Retry, Skipped, Step, Tried, next_step};
use super::timing::{Awaited, Backoff, SHUT_WAIT_MAX};
use super::way::is_retried;
use super::{COME_BACK_AFTER, ChainEnd, ChainFailure, Dispatched, Plan};
use crate::access::{Exceeded, Reservation};
use crate::domain::{Again, Attempt, Timeouts, Usd};
use crate::providers::CallFailure;
use crate::ranking::Ranked;
use record::LEFT;
pub(super) use record::{Broke, Facts};
use turn::TakenTurn;

/// A walk down the ranking that is under way.
pub(super) struct Chain<'a> {
    plan: Plan<'a>,
    walk: Vec<&'a Ranked>,
    backoff: Backoff,
    tried: Vec<Tried<'a>>,
    shut: Vec<FoundShut>,
    /// Whom the caller's purse did not pay when their turn came.
    unpaid: Vec<Unpaid>,
    /// What is set aside for the attempts under way.
    reserved: Vec<Reserved<'a>>,
    /// What was counted of the attempts under way.
    turns: Vec<TakenTurn<'a>>,
    /// How long nobody was called, for want of anyone who could be.
    waited: Duration,
    /// Who asked to be left alone, and until when, on the health's clock.
    asked: Vec<(usize, Duration)>,
    awaited: Awaited,
    /// Tokens of the text that whoever is asked goes on with.
    begun: u64,
    /// The attempts under way: one, or two where one is hedged.
    under_way: Vec<UnderWay<'a>>,
    /// What was set aside for the second of them, USD.
    set_aside: Option<Usd>,
    /// Every attempt so far, in order.
    pub(super) attempts: Vec<Attempt>,
}

/// An attempt that is under way.
struct UnderWay<'a> {
    at: usize,
    /// When it began, from the request's arrival.
    start: Duration,
    counted: InFlight<'a>,
}

/// An attempt that succeeded.
pub(super) struct Success<'a, T> {
    /// Whose.
    pub(super) ranked: &'a Ranked,
    /// When it began, from the request's arrival.
    pub(super) start: Duration,
    /// What it gave.
    pub(super) value: T,
    /// Its call is under way for as long as this is kept.
    pub(super) counted: Option<InFlight<'a>>,
}

/// A candidate that the caller's purse does not pay.
#[derive(Debug, Clone, Copy)]
struct Unpaid {
    at: usize,
    why: Exceeded,
}

/// Money set aside for an attempt.
struct Reserved<'a> {
    ranked: &'a Ranked,
    money: Reservation,
}

/// A candidate that was not admitted.
#[derive(Debug, Clone, Copy)]
struct FoundShut {
    at: usize,
    /// When to ask for it again, on the health's clock.
    again: Duration,
}

impl<'a> Chain<'a> {
    /// A walk that has not begun. `seed` draws the pauses.
    pub(super) fn new(plan: Plan<'a>, seed: u64, awaited: Awaited) -> Self {
        plan.health.requested(plan.health.now());
        let walk = plan.ranking.walk(plan.policy.fallback.candidates_max).collect();
        let backoff = Backoff::new(seed);
        let (tried, shut, asked, attempts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (under_way, unpaid, reserved, turns) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (set_aside, begun, waited) = (None, 0, Duration::ZERO);
        Self {
            plan,
            walk,
            backoff,
            tried,
            shut,
            unpaid,
            reserved,
            turns,
            asked,
            waited,
            awaited,
            begun,
            under_way,
            set_aside,
            attempts,
        }
    }

    /// As [`Chain::walk`], until `gone` ends: then the attempt under way is dropped, and recorded.
    pub(super) async fn walk_unless<T, F>(
        &mut self,
        gone: impl Future<Output = ()>,
        attempt: impl Fn(&'a Ranked, Duration) -> F,
    ) -> Result<Success<'a, T>, ChainFailure>
    where
        F: Future<Output = Result<T, CallFailure>>,
    {
        let walked = tokio::select! {
            biased;
            walked = self.walk(attempt) => Some(walked),
            () = gone => None,
        };
        walked.unwrap_or_else(|| {
            self.abandon(LEFT);
            Err(ChainFailure::Cancelled)
        })
    }

    /// Attempts until one succeeds; it is for the caller to [`Chain::record`] that one.
    async fn walk<T, F>(
        &mut self,
        attempt: impl Fn(&'a Ranked, Duration) -> F,
    ) -> Result<Success<'a, T>, ChainFailure>
    where
        F: Future<Output = Result<T, CallFailure>>,
    {
        // Ends: each round adds to `tried`, where nobody is more than twice; or finds someone shut, who is
        // asked for again after a pause, of which there is only so much; or finds someone whom the
        // purse does not pay, who is not asked for again; or finds the time gone.
        loop {
            let (at, pause, longest) = match self.step() {
                Step::Try { at, pause, timeout } => (at, pause, timeout),
                Step::Stop(failure) => return Err(failure),
            };
            if !pause.is_zero() {
                sleep(pause).await;
                if self.shut.iter().any(|it| it.at == at) {
                    self.waited += pause;
                }
            }
            let longest = longest.min(self.time_left());
            if longest.is_zero() || !self.is_paid(at) || !self.is_admitted(at) {
                self.give_back(at);
                if self.tried.iter().any(|it| it.at == at) {
                    self.plan.health.give_back_retry(self.plan.health.now());
                }
                continue;
            }
            if let Some(success) = self.attempt(at, longest, &attempt).await {
                return Ok(success);
            }
        }
    }

    /// What comes next. A second call of the same candidate takes from the process's budget; without
    /// budget the next candidate comes instead.
    fn step(&self) -> Step {
        let now = self.plan.health.now();
        let spare = SHUT_WAIT_MAX.saturating_sub(self.waited);
        let wait = |it: &FoundShut| Some(it.again.saturating_sub(now)).filter(|it| *it <= spare);
        let shut = self.shut.iter().map(|it| Skipped { at: it.at, wait: wait(it) });
        let unpaid = self.unpaid.iter().map(|it| Skipped { at: it.at, wait: None });
        let skipped: Vec<_> = shut.chain(unpaid).collect();
        let (left, fallback) = (self.left(), &self.plan.policy.fallback);
        let step = |left| next_step(&self.walk, &self.tried, &skipped, left, fallback);
        match step(left) {
            Step::Try { at, .. }
                if self.tried.iter().any(|it| it.at == at) && !self.plan.health.take_retry(now) =>
            {
                step(Left { retry: Retry::Spent, ..left })
            }
            Step::Stop(ChainFailure::Exhausted) => self.nobody_left(),
            step => step,
        }
    }

    /// Whether a candidate may be called now; who may not is remembered.
    fn is_admitted(&mut self, at: usize) -> bool {
        let now = self.plan.health.now();
        let again = match self.take_turn(at, now) {
            Err(until) => until,
            Ok(()) => match self.let_through(at, now) {
                None => {
                    self.shut.retain(|it| it.at != at);
                    return true;
                }
                Some(again) => {
                    self.give_back_turn(at);
                    again
                }
            },
        };
        self.shut.retain(|it| it.at != at);
        self.shut.push(FoundShut { at, again });
        false
    }

    /// When to ask again whether a candidate is well; `None`: it may be called.
    fn let_through(&mut self, at: usize, now: Duration) -> Option<Duration> {
        let before = self.shut.iter().position(|it| it.at == at);
        // Who comes back to one that ramps has nobody else.
        let draw = before.map_or_else(|| self.backoff.share(), |_| 0.0);
        match self.plan.health.admit(&self.walk[at].deployment.id, now, draw) {
            Admission::Go | Admission::Probe => None,
            Admission::Shut { until } => Some(until),
            Admission::Probed => Some(now + PROBE_RECHECK),
            Admission::Ramped => Some(now),
        }
    }

    /// The end of a chain: for want of money where that kept anyone from being called, or because
    /// nobody could be called at all.
    fn nobody_left(&self) -> Step {
        Step::Stop(match self.unpaid.first() {
            Some(it) => ChainFailure::SpendLimit(it.why),
            None if self.tried.is_empty() && !self.shut.is_empty() => {
                ChainFailure::AllShut { retry_in: self.retry_in() }
            }
            None => ChainFailure::Exhausted,
        })
    }

    /// When the first of those found ill may be asked again.
    fn retry_in(&self) -> Duration {
        let now = self.plan.health.now();
        let ends = (0..self.walk.len()).filter_map(|at| {
            let until = self.plan.health.shut_until(&self.walk[at].deployment.id, now);
            let asked = self.asked.iter().filter(|it| it.0 == at).map(|it| it.1).max();
            let known = until.max(asked).map(|it| it.saturating_sub(now));
            let tried = self.tried.iter().any(|it| it.at == at);
            known.or(tried.then_some(COME_BACK_AFTER))
        });
        ends.min().unwrap_or(COME_BACK_AFTER)
    }

    /// The end without an answer.
    pub(super) fn into_failed(self, failure: ChainFailure) -> Dispatched {
        let retry_in = Some(self.retry_in());
        let end = ChainEnd::Failed(failure);
        let (dropped, seams) = (Vec::new(), Vec::new());
        Dispatched { end, attempts: self.attempts, dropped, seams, retry_in }
    }

    /// Takes from the walk whoever may not go on with this text. What was tried stays counted.
    pub(super) fn go_on(&mut self, text: &str, may_go_on: impl Fn(&Ranked) -> bool) {
        self.begun = tokens_of(text.len() as u64);
        let kept: Vec<usize> =
            (0..self.walk.len()).filter(|at| may_go_on(self.walk[*at])).collect();
        let place = |at: usize| kept.iter().position(|it| *it == at);
        for it in &mut self.tried {
            it.at = place(it.at).unwrap_or(usize::MAX);
        }
        let shut = self.shut.iter();
        self.shut = shut.filter_map(|it| Some(FoundShut { at: place(it.at)?, ..*it })).collect();
        let unpaid = self.unpaid.iter();
        self.unpaid = unpaid.filter_map(|it| Some(Unpaid { at: place(it.at)?, ..*it })).collect();
        self.asked = self.asked.iter().filter_map(|it| Some((place(it.0)?, it.1))).collect();
        self.walk = kept.into_iter().map(|at| self.walk[at]).collect();
    }

    /// The limits on calls that the request named.
    pub(super) fn timeouts(&self) -> Timeouts {
        self.plan.policy.fallback.timeouts
    }

    /// When everything has to be over.
    pub(super) fn ends_at(&self) -> Instant {
        self.plan.arrived + self.plan.max_latency
    }

    fn note(&mut self, at: usize, failure: &CallFailure) {
        let CallFailure { class, retry_after, status, .. } = *failure;
        let stop = self.walk.get(at).and_then(|it| it.stop.as_deref());
        let tried = Tried { at, stop, class, status, pause: None };
        let named = is_retried(&tried, &self.plan.policy.fallback);
        let pause = match class.handling().again {
            Again::AfterRetryAfter if retry_after.is_some() || !named => retry_after,
            Again::AtOnce if named => Some(Duration::ZERO),
            Again::Never | Again::AtOnce if !named => None,
            Again::Never | Again::AtOnce | Again::AfterBackoff | Again::AfterRetryAfter => {
                Some(self.backoff.draw())
            }
        };
        self.tried.push(Tried { pause, ..tried });
        let now = self.plan.health.now();
        self.asked.extend(retry_after.map(|it| (at, now + it)));
    }

    fn time_left(&self) -> Duration {
        self.plan.max_latency.saturating_sub(self.plan.arrived.elapsed())
    }

    fn left(&self) -> Left {
        let spent: Usd = self.attempts.iter().map(|it| it.cost_usd).sum();
        let budget = &self.plan.policy.budget;
        let money = budget.max_cost_usd.map(|it| it.less(spent));
        let confidence = budget.confidence;
        Left { time: self.time_left(), money, confidence, retry: Retry::Allowed }
    }
}
