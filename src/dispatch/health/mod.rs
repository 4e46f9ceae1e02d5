//! The health of every deployment, as the calls of this process find it.
//!
//! In: who wants to call, how calls ended. Out: [`Admission`]s, what is shut or full and until when,
//! whether a deployment may be called a second time, and how many calls are under way. Invariant: one entry per deployment of the
//! fleet and no other; every decision is one of `breaker`, `retries`, `hedges`, `refusals` or `meters`, under one lock that is
//! never held while waiting. Not here: what follows from it (see `chain`).

mod breaker;
mod hedges;
mod meters;
mod refusals;
mod retries;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{BreakerEffect, DeploymentId, FailureClass, Shape, Usd};
pub use breaker::{Admission, Breaker, BreakerSettings, Phase, Told, Verdict};
use hedges::HedgeBudget;
pub(super) use meters::Counted;
use meters::Meters;
pub use meters::{PerMinute, Used};
use refusals::Refusals;
use retries::RetryBudget;

/// How long to wait before asking again for a deployment whose probe is under way: nobody knows
/// when its verdict comes.
pub const PROBE_RECHECK: Duration = Duration::from_millis(100);

/// How a call that ran out of time compares with what was predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Its time was up before its predicted p99.
    AsPredicted,
    /// It took longer than its predicted p99.
    Slow,
}

/// The health of a fleet. Its times count from when it was made.
#[derive(Debug)]
pub struct Health {
    epoch: Instant,
    settings: BreakerSettings,
    /// Calls under way at each deployment; the map itself never changes.
    calls: BTreeMap<DeploymentId, AtomicU32>,
    inner: Mutex<Inner>,
}

/// A call that is counted as under way until this is dropped, however it ends.
#[derive(Debug)]
pub(super) struct InFlight<'a>(Option<&'a AtomicU32>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(calls) = self.0 {
            calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    breakers: BTreeMap<DeploymentId, Breaker>,
    retries: RetryBudget,
    hedges: HedgeBudget,
    refusals: Refusals,
    meters: Meters,
}

/// A deployment as its breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub deployment: DeploymentId,
    /// Where its breaker stands.
    pub phase: Phase,
    /// When that began.
    pub since: Duration,
    /// What opened it last, until all its traffic is back.
    pub class: Option<FailureClass>,
}

/// A deployment that nobody may call now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    /// Which.
    pub deployment: DeploymentId,
    /// Until when; for one whose probe is under way, when to ask again.
    pub until: Duration,
    /// What opened its breaker.
    pub class: FailureClass,
}

impl Health {
    /// Everyone healthy.
    pub fn new(fleet: impl IntoIterator<Item = DeploymentId>, settings: BreakerSettings) -> Self {
        let breakers: BTreeMap<_, _> =
            fleet.into_iter().map(|it| (it, Breaker::default())).collect();
        let calls = breakers.keys().map(|it| (it.clone(), AtomicU32::new(0))).collect();
        let (retries, hedges) = (RetryBudget::default(), HedgeBudget::default());
        let (refusals, meters) = (Refusals::default(), Meters::default());
        let inner = Inner { breakers, retries, hedges, refusals, meters };
        let inner = Mutex::new(inner);
        Self { epoch: Instant::now(), settings, calls, inner }
    }

    /// The same, with limits on what some deployments take in a minute.
    pub fn metered(self, limits: impl IntoIterator<Item = (DeploymentId, PerMinute)>) -> Self {
        self.inner().meters = Meters::new(limits);
        self
    }

    /// How much of its minute each deployment that has limits has used.
    pub fn used(&self, now: Duration) -> Vec<Used> {
        self.inner().meters.used(now)
    }

    /// Counts a call that is about to be made, with the tokens expected of it.
    ///
    /// # Errors
    /// When to come back, where the deployment's own minute is used up.
    pub(super) fn take_turn(
        &self,
        of: &DeploymentId,
        tokens: u64,
        now: Duration,
    ) -> Result<Option<Counted>, Duration> {
        self.inner().meters.take(of, tokens, now)
    }

    /// A call that was counted used so many tokens.
    pub(super) fn used_turn(&self, of: &DeploymentId, counted: Counted, tokens: u64) {
        self.inner().meters.settle(of, counted, tokens);
    }

    /// A call that was counted was not made.
    pub(super) fn give_back_turn(&self, of: &DeploymentId, counted: Counted) {
        self.inner().meters.give_back(of, counted);
    }

    /// Counts a call as under way. One of another fleet is not counted.
    pub(super) fn begin(&self, deployment: &DeploymentId) -> InFlight<'_> {
        let calls = self.calls.get(deployment);
        if let Some(calls) = calls {
            calls.fetch_add(1, Ordering::Relaxed);
        }
        InFlight(calls)
    }

    /// How many calls are under way now at each deployment that has any. The counts are of almost one
    /// moment: enough to choose among equals.
    pub fn in_flight(&self) -> impl Iterator<Item = (&DeploymentId, u32)> {
        let counts = self.calls.iter().map(|(id, calls)| (id, calls.load(Ordering::Relaxed)));
        counts.filter(|(_, calls)| *calls > 0)
    }

    /// The time since this was made: the `now` of every other function.
    pub fn now(&self) -> Duration {
        self.at(Instant::now())
    }

    /// An instant on this clock.
    pub(super) fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.epoch)
    }

    /// Whether a deployment may be called. `draw`, in 0..1, decides while its traffic comes back.
    /// Whoever is admitted reports how it ended. A deployment of another fleet always may.
    pub fn admit(&self, deployment: &DeploymentId, now: Duration, draw: f64) -> Admission {
        let mut inner = self.inner();
        let Some(breaker) = inner.breakers.get_mut(deployment) else { return Admission::Go };
        let (next, admission) = breaker.admit(draw, now, &self.settings);
        *breaker = next;
        admission
    }

    /// Takes in how a call ended.
    pub fn report(&self, deployment: &DeploymentId, told: Told, now: Duration) {
        let mut inner = self.inner();
        let Some(breaker) = inner.breakers.get_mut(deployment) else { return };
        let before = *breaker;
        *breaker = before.report(told, now, &self.settings);
        let after = *breaker;
        drop(inner);
        self.log(deployment, [before, after], now);
    }

    /// Who is shut now.
    pub fn shut(&self, now: Duration) -> Vec<Shut> {
        let shut = |it: Condition| {
            let until = match it.phase {
                Phase::Open(until) => until,
                Phase::Probing(until) => until.min(now + PROBE_RECHECK),
                Phase::Closed | Phase::Due | Phase::Ramping(_) => return None,
            };
            Some(Shut { deployment: it.deployment, until, class: it.class? })
        };
        self.conditions(now).into_iter().filter_map(shut).collect()
    }

    /// Who refuses requests of this shape.
    pub fn refusing(&self, shape: Shape, now: Duration) -> Vec<Shut> {
        let class = FailureClass::Unsupported;
        let shut = |(by, until): (&DeploymentId, _)| Shut { deployment: by.clone(), until, class };
        self.inner().refusals.of(shape, now).map(shut).collect()
    }

    /// A deployment lacks something that requests of this shape have.
    pub(super) fn refused(&self, by: &DeploymentId, shape: Shape, now: Duration) {
        self.inner().refusals.refused(by, shape, now);
    }

    /// How everyone stands, by id.
    pub fn conditions(&self, now: Duration) -> Vec<Condition> {
        let condition = |(deployment, breaker): (&DeploymentId, &Breaker)| Condition {
            deployment: deployment.clone(),
            phase: breaker.phase(now, &self.settings),
            since: breaker.since(now, &self.settings),
            class: breaker.why(now, &self.settings),
        };
        self.inner().breakers.iter().map(condition).collect()
    }

    /// Until when nobody may call a deployment, if so: it is shut, or its minute is used up.
    pub(super) fn shut_until(&self, deployment: &DeploymentId, now: Duration) -> Option<Duration> {
        let mut inner = self.inner();
        let full = inner.meters.full_until(deployment, now);
        let phase = inner.breakers.get(deployment)?.phase(now, &self.settings);
        let shut = match phase {
            Phase::Open(until) => Some(until),
            Phase::Closed | Phase::Due | Phase::Probing(_) | Phase::Ramping(_) => None,
        };
        shut.max(full)
    }

    /// A request begins to call.
    pub(super) fn requested(&self, now: Duration) {
        self.inner().retries.requested(now);
    }

    /// Second calls of a deployment that may still be made.
    pub fn retries_left(&self, now: Duration) -> u64 {
        self.inner().retries.left(now)
    }

    /// Takes one call of a deployment that has just failed, if there is one left.
    pub(super) fn take_retry(&self, now: Duration) -> bool {
        self.inner().retries.take(now)
    }

    /// A call that [`Health::take_retry`] granted was not made.
    pub(super) fn give_back_retry(&self, now: Duration) {
        self.inner().retries.give_back(now);
    }

    /// Takes a call beside one that is slow, of a deployment that is well, if its cost is left.
    pub(super) fn take_hedge(&self, of: &DeploymentId, expected: Usd, now: Duration) -> bool {
        let mut inner = self.inner();
        let phase = inner.breakers.get(of).map(|it| it.phase(now, &self.settings));
        let well = matches!(phase, None | Some(Phase::Closed));
        well && inner.hedges.take(expected, now)
    }

    /// A call that was wanted has cost so much.
    pub(super) fn spent(&self, cost: Usd, now: Duration) {
        self.inner().hedges.spent(cost, now);
    }

    /// A call that [`Health::take_hedge`] granted, or the one beside it, was not needed: it cost so
    /// much instead of what was expected.
    pub(super) fn hedged(&self, expected: Usd, actual: Usd, now: Duration) {
        self.inner().hedges.settle(expected, actual, now);
    }

    /// What a failure says of a deployment's health. `status` is there if it answered at all;
    /// `retry_after` is the pause it asks for.
    pub(super) fn verdict(
        &self,
        class: FailureClass,
        status: Option<u16>,
        retry_after: Option<Duration>,
        pace: Pace,
    ) -> Verdict {
        match class.handling().breaker {
            BreakerEffect::Counts => Verdict::Counts(class),
            BreakerEffect::CountsIfSlow => match pace {
                Pace::Slow => Verdict::Counts(class),
                Pace::AsPredicted => Verdict::Nothing,
            },
            BreakerEffect::OpensUntilRetryAfter => {
                Verdict::Opens(class, retry_after.unwrap_or(self.settings.limited))
            }
            BreakerEffect::OpensFor(seconds) => {
                Verdict::Lasts(class, Duration::from_secs(seconds.into()))
            }
            // A deployment that refuses a request for what is in it works.
            BreakerEffect::None if status.is_some() && class != FailureClass::Cancelled => {
                Verdict::Answered
            }
            BreakerEffect::None => Verdict::Nothing,
        }
    }

    /// Tells the operator. What waiting does not mend is a warning.
    fn log(&self, of: &DeploymentId, [before, after]: [Breaker; 2], now: Duration) {
        let class = after.why(now, &self.settings).map_or("", FailureClass::as_str);
        let phases = [before, after].map(|it| it.phase(now, &self.settings));
        match phases {
            [Phase::Open(_), Phase::Open(_)] => {}
            [_, Phase::Open(until)] => {
                let for_ms = until.saturating_sub(now).as_millis();
                if class == FailureClass::Auth.as_str()
                    || class == FailureClass::ModelMissing.as_str()
                {
                    tracing::warn!(deployment = %of, class, for_ms, "shut: its key or its model is wrong");
                } else {
                    tracing::info!(deployment = %of, class, for_ms, "shut");
                }
            }
            [Phase::Probing(_) | Phase::Due, Phase::Ramping(_)] => {
                tracing::info!(deployment = %of, "answers again");
            }
            _ => {}
        }
    }

    /// Breakers are plain values, whole after every step, so a thread that panicked while holding
    /// them did no harm.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
