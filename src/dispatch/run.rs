//! The walk for answers in one piece.
//!
//! In: a [`Plan`] and a [`Caller`]. Out: [`Dispatched`]. Not here: the walk itself (see
//! [`super::chain`]).

use super::billing::Received;
use super::chain::{Chain, Facts, Success};
use super::timing::Awaited;
use super::worded::Worded;
use super::{ChainEnd, Dispatched, Plan};
use crate::providers::Caller;

/// Walks the ranking until someone answers, a limit is met or `gone` ends, since nobody waits any
/// more. `seed` draws the pauses.
pub async fn run<C: Caller>(
    plan: Plan<'_>,
    caller: &C,
    seed: u64,
    gone: impl Future<Output = ()>,
) -> Dispatched {
    let mut chain = Chain::new(plan, seed, Awaited::WholeAnswer);
    let worded = Worded::new(plan.request, plan.ranking);
    let called = chain.walk_unless(gone, |ranked, longest| {
        caller.call(&ranked.deployment, worded.of(ranked), longest)
    });
    match called.await {
        Err(failure) => chain.into_failed(failure),
        Ok(Success { ranked, start, value: reply, counted }) => {
            drop(counted);
            let usage = reply.response.usage;
            let status = Some(reply.status);
            let received = Received::Bytes(reply.response.written_bytes());
            let facts = Facts { status, ttft: reply.ttft, usage, ..Facts::of(received) };
            chain.record(ranked, start, facts);
            let deployment = ranked.deployment.clone();
            let (response, dropped) = (reply.response, reply.dropped);
            let end = ChainEnd::Served { deployment, response };
            let (attempts, seams) = (chain.attempts, Vec::new());
            Dispatched { end, attempts, dropped, seams, retry_in: None }
        }
    }
}
