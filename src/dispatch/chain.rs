//! The loop around [`next_step`]: asks it, waits, attempts, writes down; until one attempt succeeds.
//!
//! In: a [`Plan`], and what an attempt is (a whole answer, or a stream up to its first content).
//! Out: what the attempt that succeeded gave, or why nobody is left. Invariant: every attempt was
//! admitted by [`Health`](super::Health), is recorded once and told to it, and none outlives its
//! timeout. Dropping the future drops the call under way.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::billing::{Ended, Expected, Received, bill};
use super::health::{Admission, PROBE_RECHECK, Pace, Told, Verdict};
use super::next::{Left, Retry, Skipped, Step, Tried, next_step};
use super::timing::{Backoff, p99};
use super::{COME_BACK_AFTER, ChainEnd, ChainFailure, Dispatched, Plan};
use crate::domain::{Again, Attempt, FailureClass, Usage, Usd};
use crate::providers::CallFailure;
use crate::ranking::Ranked;

/// A walk down the ranking that is under way.
pub(super) struct Chain<'a> {
    plan: Plan<'a>,
    walk: Vec<&'a Ranked>,
    backoff: Backoff,
    tried: Vec<Tried>,
    shut: Vec<FoundShut>,
    /// Who asked to be left alone, and until when, on the health's clock.
    asked: Vec<(usize, Duration)>,
    /// What is seen of an attempt that fails before it succeeds in anything.
    received: Received,
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

/// A candidate that was not admitted.
#[derive(Debug, Clone, Copy)]
struct FoundShut {
    at: usize,
    /// When to ask for it again, on the health's clock; `None` when that was done, in vain.
    again: Option<Duration>,
}

/// What is written down of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// How it failed; `None` when it answered.
    pub(super) failure: Option<FailureClass>,
    /// The HTTP status.
    pub(super) status: Option<u16>,
    /// The pause it asks for.
    pub(super) retry_after: Option<Duration>,
    /// From its start to its first content.
    pub(super) ttft: Option<Duration>,
    /// What the provider told that it used; zeros where it did not.
    pub(super) usage: Usage,
    /// What was seen of its answer.
    pub(super) received: Received,
    /// Whether it never came to the provider.
    pub(super) unsent: bool,
    /// What could not be sent.
    pub(super) detail: Option<&'static str>,
}

impl Facts {
    /// An answer, of which so much was received.
    pub(super) fn of(received: Received) -> Self {
        Self {
            failure: None,
            status: None,
            retry_after: None,
            ttft: None,
            usage: Usage::default(),
            received,
            unsent: false,
            detail: None,
        }
    }
}

impl<'a> Chain<'a> {
    /// A walk that has not begun. `seed` draws the pauses.
    pub(super) fn new(plan: Plan<'a>, seed: u64) -> Self {
        let walk = plan.ranking.walk(plan.policy.fallback.candidates_max).collect();
        let backoff = Backoff::new(seed);
        let (tried, shut, asked, attempts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (received, under_way) = (Received::Unseen, None);
        Self { plan, walk, backoff, tried, shut, asked, received, under_way, attempts }
    }

    /// The same, for answers in pieces, which are seen from their first piece on.
    pub(super) fn in_pieces(self) -> Self {
        Self { received: Received::Bytes(0), ..self }
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
        self.plan.health.requested(self.plan.health.now());
        // Ends: each round adds to `tried`, where nobody is more than twice, finds someone shut, who
        // is asked for once more, waits for a probe, or finds the time gone and stops.
        loop {
            let (at, pause, longest) = match self.step() {
                Step::Try { at, pause, timeout } => (at, pause, timeout),
                Step::Stop(failure) => return Err(failure),
            };
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let longest = longest.min(self.time_left());
            if longest.is_zero() || !self.is_admitted(at) {
                continue;
            }
            let ranked = self.walk[at];
            let start = self.plan.arrived.elapsed();
            self.under_way = Some((at, start));
            // The limit holds whatever the attempt does.
            let result = timeout(longest, attempt(ranked, longest)).await;
            self.under_way = None;
            match result.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::Deadline))) {
                Ok(value) => {
                    self.tell(ranked, start, Verdict::Answered);
                    return Ok(Success { ranked, start, value });
                }
                Err(failure) => self.failed(at, start, &failure),
            }
        }
    }

    /// What comes next. A second call of the same candidate takes from the process's budget; without
    /// budget the next candidate comes instead.
    fn step(&self) -> Step {
        let now = self.plan.health.now();
        let wait = |it: &FoundShut| it.again.map(|again| again.saturating_sub(now));
        let skipped: Vec<_> =
            self.shut.iter().map(|it| Skipped { at: it.at, wait: wait(it) }).collect();
        let (left, fallback) = (self.left(), &self.plan.policy.fallback);
        let step = |left| next_step(&self.walk, &self.tried, &skipped, left, fallback);
        match step(left) {
            Step::Try { at, .. }
                if self.tried.iter().any(|it| it.at == at) && !self.plan.health.take_retry(now) =>
            {
                step(Left { retry: Retry::Spent, ..left })
            }
            Step::Stop(ChainFailure::Exhausted) if self.tried.is_empty() => self.all_shut(),
            step => step,
        }
    }

    /// Whether a candidate may be called now; who may not is remembered.
    fn is_admitted(&mut self, at: usize) -> bool {
        let (health, now) = (self.plan.health, self.plan.health.now());
        let before = self.shut.iter().position(|it| it.at == at);
        // Who comes back to one that ramps has nobody else.
        let draw = before.map_or_else(|| self.backoff.share(), |_| 0.0);
        let again = match health.admit(&self.walk[at].deployment.id, now, draw) {
            Admission::Go | Admission::Probe => {
                self.shut.retain(|it| it.at != at);
                return true;
            }
            Admission::Shut { until } => before.is_none().then_some(until),
            Admission::Probed => Some(now + PROBE_RECHECK),
            Admission::Ramped => Some(now),
        };
        self.shut.retain(|it| it.at != at);
        self.shut.push(FoundShut { at, again });
        false
    }

    /// The end of a chain that called nobody.
    fn all_shut(&self) -> Step {
        if self.shut.is_empty() {
            return Step::Stop(ChainFailure::Exhausted);
        }
        Step::Stop(ChainFailure::AllShut { retry_in: self.retry_in() })
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
        Dispatched { end, attempts: self.attempts, dropped: Vec::new(), retry_in }
    }

    /// Writes down a call that began at `start` and has just ended, and tells the health how it
    /// failed, if it did.
    pub(super) fn record(&mut self, ranked: &Ranked, start: Duration, facts: Facts) {
        let deployment = &ranked.deployment;
        let total = self.plan.arrived.elapsed().saturating_sub(start);
        if let Some(class) = facts.failure {
            let pace = if total > p99(ranked) { Pace::Slow } else { Pace::AsPredicted };
            let health = self.plan.health;
            let verdict = health.verdict(class, facts.status, facts.retry_after, pace);
            self.tell(ranked, start, verdict);
        }
        let ended = Ended {
            failure: facts.failure,
            status: facts.status,
            unsent: facts.unsent,
            told: facts.usage,
            received: facts.received,
        };
        let bill = bill(deployment.billing, &ended, Expected::of(&ranked.prediction));
        self.attempts.push(Attempt {
            deployment: deployment.id.clone(),
            failure: facts.failure,
            status: facts.status,
            start_ms: millis(start),
            total_ms: millis(total),
            ttft_ms: facts.ttft.map(millis),
            usage: bill.usage,
            usage_estimated: bill.estimated,
            cost_usd: deployment.price.cost(&bill.usage),
            detail: facts.detail.map(str::to_owned),
        });
    }

    /// Tells the health of a call that began at `start`, from the request's arrival.
    fn tell(&self, ranked: &Ranked, start: Duration, verdict: Verdict) {
        let health = self.plan.health;
        let began = health.at(self.plan.arrived + start);
        health.report(&ranked.deployment.id, Told { began, verdict }, health.now());
    }

    /// Writes down the attempt that was under way when the walk was dropped.
    fn abandon(&mut self) {
        if let Some((at, start)) = self.under_way.take() {
            let failure = Some(FailureClass::Cancelled);
            self.record(self.walk[at], start, Facts { failure, ..Facts::of(self.received) });
        }
    }

    /// When everything has to be over.
    pub(super) fn ends_at(&self) -> Instant {
        self.plan.arrived + self.plan.max_latency
    }

    fn failed(&mut self, at: usize, start: Duration, failure: &CallFailure) {
        let CallFailure { class, status, usage, retry_after, detail, unsent } = *failure;
        let (failure, received) = (Some(class), self.received);
        let facts =
            Facts { failure, status, retry_after, ttft: None, usage, received, unsent, detail };
        self.record(self.walk[at], start, facts);
        let pause = match class.handling().again {
            Again::Never | Again::AtOnce => None,
            Again::AfterBackoff => Some(self.backoff.draw()),
            Again::AfterRetryAfter => retry_after,
        };
        self.tried.push(Tried { at, class, pause });
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

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
