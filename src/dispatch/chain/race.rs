//! One step of the walk: a candidate's call, and where hedging is wanted a second one beside it.
//!
//! In: a candidate and what an attempt is. Out: the first success, or nothing when all have failed.
//! Invariant: at most two calls at a time; whoever loses is dropped, recorded, and paid out of what
//! hedging may cost. Not here: when a call is slow (see `timing`), and that cost (see
//! [`Health`](super::super::Health)).

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::super::health::{InFlight, Verdict};
use super::super::next::Left;
use super::super::next::{same_stop, shortfall, untried};
use super::super::timing::{Turn, attempt_limit, hedge_delay};
use super::record::LOST;
use super::{Chain, Success, UnderWay};
use crate::domain::{FailureClass, Usd};
use crate::providers::CallFailure;
use crate::ranking::Ranked;

/// An attempt, ended at its limit whatever it does.
async fn limited<T>(
    at: usize,
    longest: Duration,
    attempt: impl Future<Output = Result<T, CallFailure>>,
) -> (usize, Result<T, CallFailure>) {
    let result = timeout(longest, attempt).await;
    (at, result.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::Deadline))))
}

impl<'a> Chain<'a> {
    /// Calls one candidate, and a second beside it where that is wanted and the first is slow. What
    /// answers first counts; the other is dropped. `None` when all that were called have failed.
    pub(super) async fn attempt<T, F>(
        &mut self,
        at: usize,
        longest: Duration,
        attempt: &impl Fn(&'a Ranked, Duration) -> F,
    ) -> Option<Success<'a, T>>
    where
        F: Future<Output = Result<T, CallFailure>>,
    {
        let mut running = FuturesUnordered::new();
        running.push(limited(at, longest, attempt(self.begin(at), longest)));
        let mut beside = self.hedge_delay(at).map(|it| Instant::now() + it);
        loop {
            let ended = tokio::select! {
                biased;
                ended = running.next() => ended,
                () = sleep_until(beside.unwrap_or_else(Instant::now)), if beside.is_some() => {
                    beside = None;
                    if let Some((at, longest)) = self.hedge(at) {
                        running.push(limited(at, longest, attempt(self.begin(at), longest)));
                    }
                    continue;
                }
            };
            let (at, result) = ended?;
            let (start, counted) = self.ended(at);
            let ranked = self.walk[at];
            match result {
                Ok(value) => {
                    self.tell(ranked, start, Verdict::Answered);
                    // The loser's call is over before it is written down.
                    drop(running);
                    self.abandon(LOST);
                    return Some(Success { ranked, start, value, counted });
                }
                Err(failure) => {
                    beside = None;
                    self.failed(at, start, &failure);
                }
            }
        }
    }

    fn begin(&mut self, at: usize) -> &'a Ranked {
        let counted = self.plan.health.begin(&self.walk[at].deployment.id);
        self.under_way.push(UnderWay { at, start: self.plan.arrived.elapsed(), counted });
        self.walk[at]
    }

    /// When an attempt began that has just ended, or whose answer has; it still counts as under way.
    fn ended(&mut self, at: usize) -> (Duration, Option<InFlight<'a>>) {
        let place = self.under_way.iter().position(|it| it.at == at);
        let ended = place.map(|it| self.under_way.remove(it));
        ended.map_or((Duration::ZERO, None), |it| (it.start, Some(it.counted)))
    }

    /// How long to wait before a second candidate may start; `None` where that is not wanted.
    fn hedge_delay(&self, at: usize) -> Option<Duration> {
        let wanted = self.plan.policy.fallback.hedge;
        wanted.then(|| hedge_delay(self.walk[at], self.awaited))
    }

    /// Who starts beside a candidate that is slow, and for how long at most: the next who is well,
    /// within every cap, both being paid.
    fn hedge(&mut self, beside: usize) -> Option<(usize, Duration)> {
        let fallback = self.plan.policy.fallback;
        let calls = self.tried.len() + self.under_way.len();
        let (left, now) = (self.left(), self.plan.health.now());
        let expected = |at: usize| Usd::clamped(self.walk[at].prediction.cost_usd.mean());
        let money = left.money.map(|it| it.less(expected(beside)));
        let left = Left { money, ..left };
        let fits = |at: &usize| {
            let it = self.walk[*at];
            let fresh = *at != beside && self.shut.iter().all(|it| it.at != *at);
            // On a route, only its failures lead on to another target.
            let here = same_stop(it, self.walk[beside]);
            fresh && here && !it.deployment.last_resort && shortfall(it, left).is_none()
        };
        let next = untried(&self.walk, &self.tried).into_iter().find(fits);
        let at = next.filter(|_| calls < fallback.attempts_max)?;
        let (deployment, cost) = (&self.walk[at].deployment.id, expected(at));
        if self.reserve(at).is_err() {
            return None;
        }
        if !self.plan.health.take_hedge(deployment, cost, now) {
            self.give_back(at);
            return None;
        }
        self.set_aside = Some(cost);
        let longest = attempt_limit(self.walk[at], fallback.timeouts, Turn::Later);
        if !self.is_admitted(at) {
            self.give_back(at);
            return None;
        }
        Some((at, longest.min(self.time_left())))
    }
}
