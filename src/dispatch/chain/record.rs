//! What is written down of every call, told to the health, and paid.
//!
//! In: how a call ended. Out: an [`Attempt`]. Invariant: each call has one, with what its provider
//! bills by its rule. Not here: what follows from it (see `next`).

use std::time::Duration;

use super::super::billing::{Ended, Expected, Received, bill};
use super::super::health::{Pace, Told, Verdict};
use super::super::timing::{Awaited, p99};
use super::{Chain, UnderWay};
use crate::domain::{Attempt, FailureClass, Usage, Usd};
use crate::providers::CallFailure;
use crate::ranking::Ranked;

/// An answer that broke off after its first content.
pub(in crate::dispatch) struct Broke<'a> {
    /// Whose.
    pub(in crate::dispatch) ranked: &'a Ranked,
    /// When its call began, from the request's arrival.
    pub(in crate::dispatch) start: Duration,
    /// From its start to its first content.
    pub(in crate::dispatch) ttft: Duration,
    /// What was received of it.
    pub(in crate::dispatch) received: Received,
}

/// What is written down of a call.
#[derive(Debug, Clone, Copy)]
pub(in crate::dispatch) struct Facts {
    /// How it failed; `None` when it answered.
    pub(in crate::dispatch) failure: Option<FailureClass>,
    /// The HTTP status.
    pub(in crate::dispatch) status: Option<u16>,
    /// The pause it asks for.
    pub(in crate::dispatch) retry_after: Option<Duration>,
    /// From its start to its first content.
    pub(in crate::dispatch) ttft: Option<Duration>,
    /// What the provider told that it used; zeros where it did not.
    pub(in crate::dispatch) usage: Usage,
    /// What was seen of its answer.
    pub(in crate::dispatch) received: Received,
    /// Whether it never came to the provider.
    pub(in crate::dispatch) unsent: bool,
    /// What could not be sent.
    pub(in crate::dispatch) detail: Option<&'static str>,
}

/// Why a call was dropped that another one beside it made needless.
pub(super) const LOST: Option<&str> = Some(Attempt::LOST);
/// A call is dropped for no reason of its own when its caller leaves.
pub(super) const LEFT: Option<&str> = None;

impl Facts {
    /// An answer, of which so much was received.
    pub(in crate::dispatch) fn of(received: Received) -> Self {
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

    /// A failure, before which so much was received.
    fn of_failure(failure: &CallFailure, received: Received) -> Self {
        let CallFailure { class, status, usage, retry_after, detail, unsent } = *failure;
        let failure = Some(class);
        Self { failure, status, retry_after, ttft: None, usage, received, unsent, detail }
    }
}

impl Chain<'_> {
    /// Writes down a call that began at `start` and has just ended, and tells the health how it
    /// failed, if it did.
    pub(in crate::dispatch) fn record(&mut self, ranked: &Ranked, start: Duration, facts: Facts) {
        let deployment = &ranked.deployment;
        let total = self.plan.arrived.elapsed().saturating_sub(start);
        if let Some(class) = facts.failure {
            if class == FailureClass::Unsupported {
                let (health, shape) = (self.plan.health, self.plan.request.shape());
                health.refused(&deployment.id, shape, health.now());
            }
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
        let bill = bill(deployment.billing, &ended, self.expected(ranked));
        let cost_usd = deployment.price.cost(&bill.usage);
        self.settle(ranked, cost_usd);
        self.end_turn(ranked, &bill.usage);
        self.pay(cost_usd, facts.detail);
        self.attempts.push(Attempt {
            deployment: deployment.id.clone(),
            failure: facts.failure,
            status: facts.status,
            start_ms: millis(start),
            total_ms: millis(total),
            ttft_ms: facts.ttft.map(millis),
            usage: bill.usage,
            usage_estimated: bill.estimated,
            cost_usd,
            detail: facts.detail.map(str::to_owned),
        });
    }

    /// Counts what a call has cost: as what hedging may cost a share of, or as what it did cost.
    fn pay(&mut self, cost: Usd, detail: Option<&'static str>) {
        let (health, now) = (self.plan.health, self.plan.health.now());
        match self.set_aside.take_if(|_| detail == LOST) {
            Some(expected) => health.hedged(expected, cost, now),
            None => health.spent(cost, now),
        }
    }

    /// Tells the health of a call that began at `start`, from the request's arrival.
    pub(super) fn tell(&self, ranked: &Ranked, start: Duration, verdict: Verdict) {
        let health = self.plan.health;
        let began = health.at(self.plan.arrived + start);
        health.report(&ranked.deployment.id, Told { began, verdict }, health.now());
    }

    /// Writes down a call whose answer broke off: as a failure, which [`next_step`] goes by.
    pub(in crate::dispatch) fn broke(&mut self, of: &Broke<'_>, failure: &CallFailure) {
        let facts = Facts { ttft: Some(of.ttft), ..Facts::of_failure(failure, of.received) };
        self.record(of.ranked, of.start, facts);
        let at = self.walk.iter().position(|it| std::ptr::eq(*it, of.ranked));
        self.note(at.unwrap_or(usize::MAX), failure);
    }

    /// Writes down the attempts that were under way when they were dropped.
    pub(super) fn abandon(&mut self, detail: Option<&'static str>) {
        for UnderWay { at, start, counted } in std::mem::take(&mut self.under_way) {
            drop(counted);
            let failure = Some(FailureClass::Cancelled);
            self.record(
                self.walk[at],
                start,
                Facts { failure, detail, ..Facts::of(self.unseen()) },
            );
        }
    }

    pub(super) fn failed(&mut self, at: usize, start: Duration, failure: &CallFailure) {
        self.record(self.walk[at], start, Facts::of_failure(failure, self.unseen()));
        self.note(at, failure);
    }

    /// What is seen of an answer before it succeeds in anything.
    fn unseen(&self) -> Received {
        match self.awaited {
            Awaited::FirstToken => Received::Bytes(0),
            Awaited::WholeAnswer => Received::Unseen,
        }
    }

    /// What a whole answer of this candidate is expected to use; a begun one is input.
    pub(super) fn expected(&self, ranked: &Ranked) -> Expected {
        let expected = Expected::of(&ranked.prediction);
        Expected { input: expected.input + self.begun, ..expected }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
