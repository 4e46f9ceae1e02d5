//! The loop around [`next_step`]: asks it, waits, attempts, writes down; until one attempt succeeds.
//!
//! In: a [`Plan`], and what an attempt is (a whole answer, or a stream up to its first content).
//! Out: what the attempt that succeeded gave, or why nobody is left. Invariant: every attempt is
//! recorded once, and none outlives its timeout. Dropping the future drops the call under way.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::next::{Left, Step, Tried, next_step};
use super::timing::Backoff;
use super::{ChainFailure, Plan};
use crate::domain::{Again, Attempt, FailureClass, Usage, Usd};
use crate::providers::CallFailure;
use crate::ranking::Ranked;

/// A walk down the ranking that is under way.
pub(super) struct Chain<'a> {
    plan: Plan<'a>,
    walk: Vec<&'a Ranked>,
    backoff: Backoff,
    tried: Vec<Tried>,
    /// The attempt under way, and when it began.
    under_way: Option<(usize, Duration)>,
    /// Every attempt so far, in order.
    pub(super) attempts: Vec<Attempt>,
}

/// An attempt that succeeded.
pub(super) struct Success<'a, T> {
    /// Whose.
    pub(super) ranked: &'a Ranked,
    /// When it began, from the request's arrival.
    pub(super) start: Duration,
    /// What it gave.
    pub(super) value: T,
}

/// An answer that broke off after its first content.
pub(super) struct Broke<'a> {
    /// Whose.
    pub(super) ranked: &'a Ranked,
    /// When its call began, from the request's arrival.
    pub(super) start: Duration,
    /// From its start to its first content.
    pub(super) ttft: Duration,
}

/// What is written down of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// How it failed; `None` when it answered.
    pub(super) failure: Option<FailureClass>,
    /// The HTTP status.
    pub(super) status: Option<u16>,
    /// From its start to its first content.
    pub(super) ttft: Option<Duration>,
    /// What it used.
    pub(super) usage: Usage,
}

impl<'a> Chain<'a> {
    /// A walk that has not begun. `seed` draws the pauses.
    pub(super) fn new(plan: Plan<'a>, seed: u64) -> Self {
        let walk = plan.ranking.walk(plan.policy.fallback.candidates_max).collect();
        let backoff = Backoff::new(seed);
        Self { plan, walk, backoff, tried: Vec::new(), under_way: None, attempts: Vec::new() }
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
            self.abandon();
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
        // Ends: each round adds to `tried`, where nobody is more than twice, or finds the time gone
        // and stops.
        loop {
            let fallback = &self.plan.policy.fallback;
            let (at, longest) = match next_step(&self.walk, &self.tried, self.left(), fallback) {
                Step::Try { at, pause, timeout } => {
                    if !pause.is_zero() {
                        sleep(pause).await;
                    }
                    (at, timeout)
                }
                Step::Stop(failure) => return Err(failure),
            };
            let longest = longest.min(self.time_left());
            if longest.is_zero() {
                continue;
            }
            let ranked = self.walk[at];
            let start = self.plan.arrived.elapsed();
            self.under_way = Some((at, start));
            // The limit holds whatever the attempt does.
            let result = timeout(longest, attempt(ranked, longest)).await;
            self.under_way = None;
            match result.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::Deadline))) {
                Ok(value) => return Ok(Success { ranked, start, value }),
                Err(failure) => self.failed(at, start, &failure),
            }
        }
    }

    /// Writes down a call that began at `start` and has just ended.
    pub(super) fn record(&mut self, ranked: &Ranked, start: Duration, facts: Facts) {
        let deployment = &ranked.deployment;
        let total = self.plan.arrived.elapsed().saturating_sub(start);
        self.attempts.push(Attempt {
            deployment: deployment.id.clone(),
            failure: facts.failure,
            status: facts.status,
            start_ms: millis(start),
            total_ms: millis(total),
            ttft_ms: facts.ttft.map(millis),
            usage: facts.usage,
            cost_usd: deployment.price.cost(&facts.usage),
        });
    }

    /// Writes down a call whose answer broke off: as a failure, which [`next_step`] goes by.
    pub(super) fn broke(&mut self, of: &Broke<'_>, failure: &CallFailure) {
        let CallFailure { class, status, usage, .. } = *failure;
        let facts = Facts { failure: Some(class), status, ttft: Some(of.ttft), usage };
        self.record(of.ranked, of.start, facts);
        let at = self.walk.iter().position(|it| std::ptr::eq(*it, of.ranked));
        self.note(at.unwrap_or(usize::MAX), failure);
    }

    /// Takes from the walk whoever may not go on. What was tried stays counted.
    pub(super) fn keep(&mut self, may_go_on: impl Fn(&Ranked) -> bool) {
        let kept: Vec<usize> =
            (0..self.walk.len()).filter(|at| may_go_on(self.walk[*at])).collect();
        for it in &mut self.tried {
            it.at = kept.iter().position(|at| *at == it.at).unwrap_or(usize::MAX);
        }
        self.walk = kept.into_iter().map(|at| self.walk[at]).collect();
    }

    /// Writes down the attempt that was under way when the walk was dropped.
    fn abandon(&mut self) {
        if let Some((at, start)) = self.under_way.take() {
            let failure = Some(FailureClass::Cancelled);
            self.record(self.walk[at], start, Facts { failure, ..Facts::default() });
        }
    }

    /// When everything has to be over.
    pub(super) fn ends_at(&self) -> Instant {
        self.plan.arrived + self.plan.max_latency
    }

    fn failed(&mut self, at: usize, start: Duration, failure: &CallFailure) {
        let CallFailure { class, status, usage, .. } = *failure;
        let facts = Facts { failure: Some(class), status, ttft: None, usage };
        self.record(self.walk[at], start, facts);
        self.note(at, failure);
    }

    fn note(&mut self, at: usize, failure: &CallFailure) {
        let class = failure.class;
        let pause = match class.handling().again {
            Again::Never | Again::AtOnce => None,
            Again::AfterBackoff => Some(self.backoff.draw()),
            Again::AfterRetryAfter => failure.retry_after,
        };
        self.tried.push(Tried { at, class, pause });
    }

    fn time_left(&self) -> Duration {
        self.plan.max_latency.saturating_sub(self.plan.arrived.elapsed())
    }

    fn left(&self) -> Left {
        let spent: Usd = self.attempts.iter().map(|it| it.cost_usd).sum();
        let money = self.plan.policy.budget.max_cost_usd.map(|it| it.less(spent));
        Left { time: self.time_left(), money }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
