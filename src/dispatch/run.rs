//! The loop around [`next_step`]: asks it, waits, calls, writes down.
//!
//! In: a [`Plan`] and a [`Caller`]. Out: [`Dispatched`]. Invariant: every call is recorded, and
//! none outlives its timeout. Dropping the future drops the call under way with it.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::next::{Left, Step, Tried, next_step};
use super::timing::Backoff;
use super::{ChainEnd, Dispatched, Plan};
use crate::domain::{Again, Attempt, FailureClass, Usd};
use crate::providers::{CallFailure, Caller, Reply};
use crate::ranking::Ranked;

/// Walks the ranking until someone answers or a limit is met. `seed` draws the pauses.
pub async fn run<C: Caller>(plan: Plan<'_>, caller: &C, seed: u64) -> Dispatched {
    let fallback = &plan.policy.fallback;
    let walk: Vec<&Ranked> = plan.ranking.walk(fallback.candidates_max).collect();
    let mut backoff = Backoff::new(seed);
    let mut tried: Vec<Tried> = Vec::new();
    let mut attempts: Vec<Attempt> = Vec::new();
    // Ends: each round adds to `tried`, where nobody is twice, or finds the time gone and stops.
    loop {
        let (at, pause, longest) = match next_step(&walk, &tried, left(&plan, &attempts), fallback)
        {
            Step::Try { at, pause, timeout } => (at, pause, timeout),
            Step::Stop(failure) => return Dispatched { end: ChainEnd::Failed(failure), attempts },
        };
        if !pause.is_zero() {
            sleep(pause).await;
        }
        let time_left = time_left(&plan);
        if time_left.is_zero() {
            continue;
        }
        let longest = longest.min(time_left);
        let ranked = walk[at];
        let (result, attempt) = attempt(&plan, ranked, caller, longest).await;
        attempts.push(attempt);
        match result {
            Ok(Reply { response, .. }) => {
                let deployment = ranked.deployment.clone();
                return Dispatched { end: ChainEnd::Served { deployment, response }, attempts };
            }
            Err(failure) => {
                let pause = pause_after(&failure, &mut backoff);
                tried.push(Tried { at, class: failure.class, pause });
            }
        }
    }
}

fn time_left(plan: &Plan<'_>) -> Duration {
    plan.max_latency.saturating_sub(plan.arrived.elapsed())
}

fn left(plan: &Plan<'_>, attempts: &[Attempt]) -> Left {
    let spent: Usd = attempts.iter().map(|it| it.cost_usd).sum();
    let money = plan.policy.budget.max_cost_usd.map(|it| it.less(spent));
    Left { time: time_left(plan), money }
}

fn pause_after(failure: &CallFailure, backoff: &mut Backoff) -> Option<Duration> {
    match failure.class.handling().again {
        Again::Never | Again::AtOnce => None,
        Again::AfterBackoff => Some(backoff.draw()),
        Again::AfterRetryAfter => failure.retry_after,
    }
}

/// One call, and its record. The limit is enforced here as well, whatever the caller does.
async fn attempt<C: Caller>(
    plan: &Plan<'_>,
    ranked: &Ranked,
    caller: &C,
    longest: Duration,
) -> (Result<Reply, CallFailure>, Attempt) {
    let deployment = &ranked.deployment;
    let start = plan.arrived.elapsed();
    let call = timeout(longest, caller.call(deployment, plan.request, longest));
    let result = call.await.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::Deadline)));
    let total = plan.arrived.elapsed().saturating_sub(start);
    let (failure, status, usage, ttft) = match &result {
        Ok(reply) => (None, Some(reply.status), reply.response.usage, reply.ttft),
        Err(failure) => (Some(failure.class), failure.status, failure.usage, None),
    };
    let attempt = Attempt {
        deployment: deployment.id.clone(),
        failure,
        status,
        start_ms: millis(start),
        total_ms: millis(total),
        ttft_ms: ttft.map(millis),
        usage,
        cost_usd: deployment.price.cost(&usage),
    };
    (result, attempt)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
