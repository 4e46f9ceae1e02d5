//! The walk for answers in pieces: the commit gate, and what follows it.
//!
//! In: a [`Plan`], a [`Caller`], a channel to whoever reads. Out: [`ChainEvent`]s through the
//! channel, and [`Dispatched`] at the end. Invariant: nothing goes out before the first content of
//! an answer is there, so that every failure before it falls back unseen; after it nothing is taken
//! back. The channel is small and the provider is read no faster than it empties. When the reader
//! leaves, the call under way is dropped at once. Not here: who reads.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout_at};

use super::billing::Received;
use super::chain::{Chain, Facts, Success};
use super::timing::{first_token_limit, stall_limit};
use super::{ChainEnd, ChainFailure, Dispatched, Plan};
use crate::catalog::Deployment;
use crate::domain::{Assembly, ChatRequest, Delta, FailureClass, FinishReason, StreamEnd, Usage};
use crate::providers::{CallFailure, Caller, DeltaStream, StreamItem};

/// Events that wait for a slow reader; more of them wait at the provider.
pub const EVENTS_MAX: usize = 16;

/// What a reader is told while an answer comes.
#[derive(Debug, Clone, PartialEq)]
pub enum ChainEvent {
    /// From here on this deployment answers; its first content follows.
    Committed {
        /// Which.
        deployment: std::sync::Arc<Deployment>,
        /// Calls made so far, this one included.
        attempts: usize,
        /// Parameters that it lacks and was not sent.
        dropped: Vec<String>,
    },
    /// A piece of the answer.
    Delta(Delta),
}

/// A stream that has shown its first content.
struct Begun<S> {
    stream: S,
    /// Everything up to and with the first content; or a whole answer without any.
    first: Vec<Delta>,
    ended: Option<StreamEnd>,
    ttft: Duration,
}

/// Walks the ranking until someone's answer begins, and passes it on. `seed` draws the pauses.
pub async fn stream<C: Caller>(
    plan: Plan<'_>,
    caller: &C,
    seed: u64,
    events: &Sender<ChainEvent>,
) -> Dispatched {
    let mut chain = Chain::new(plan, seed).in_pieces();
    let request = plan.request;
    let begun = chain.walk_unless(events.closed(), |ranked, longest| {
        begin(caller, &ranked.deployment, request, first_token_limit(ranked).min(longest))
    });
    match begun.await {
        Err(failure) => chain.into_failed(failure),
        Ok(success) => pass_on(chain, success, events).await,
    }
}

/// Opens a stream and reads to its first content, within the limit for the first token.
async fn begin<C: Caller>(
    caller: &C,
    deployment: &Deployment,
    request: &ChatRequest,
    late: Duration,
) -> Result<Begun<C::Stream>, CallFailure> {
    let start = Instant::now();
    let opened = async {
        let mut stream = caller.open(deployment, request).await?;
        let mut first = Vec::new();
        loop {
            match stream.next().await? {
                StreamItem::Delta(delta) => {
                    let content = delta.is_content();
                    first.push(delta);
                    if content {
                        return Ok(Begun { stream, first, ended: None, ttft: start.elapsed() });
                    }
                }
                // Cut at the caller's own token limit before anything was said.
                StreamItem::End(end) if end.finish == FinishReason::Length => {
                    return Ok(Begun { stream, first, ended: Some(end), ttft: start.elapsed() });
                }
                StreamItem::End(end) => {
                    let class = FailureClass::EmptyAnswer;
                    let status = Some(stream.status());
                    let usage = end.usage;
                    return Err(CallFailure { status, usage, ..CallFailure::of(class) });
                }
            }
        }
    };
    let in_time = tokio::time::timeout(late, opened).await;
    in_time.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::FirstTokenLate)))
}

/// Sends what came and reads on until the end, a failure, or the reader's leave.
async fn pass_on<S: DeltaStream>(
    mut chain: Chain<'_>,
    success: Success<'_, Begun<S>>,
    events: &Sender<ChainEvent>,
) -> Dispatched {
    let Success { ranked, start, value: begun } = success;
    let Begun { mut stream, first, ended, ttft } = begun;
    let dropped = stream.dropped().to_vec();
    let committed = ChainEvent::Committed {
        deployment: ranked.deployment.clone(),
        attempts: chain.attempts.len() + 1,
        dropped: dropped.clone(),
    };
    let mut passage = Passage {
        events,
        assembly: Assembly::default(),
        ends_at: chain.ends_at(),
        stall: stall_limit(ranked),
    };
    let passed = async {
        passage.send(committed).await?;
        for delta in first {
            passage.delta(delta).await?;
        }
        match ended {
            Some(end) => Ok(end),
            None => passage.rest(&mut stream).await,
        }
    };
    let passed = passed.await;
    let status = Some(stream.status());
    let (failure, usage) = match &passed {
        Ok(end) => (None, end.usage),
        Err(Stopped::Failed(failure)) => (Some(failure.class), failure.usage),
        Err(Stopped::ReaderLeft) => (Some(FailureClass::Cancelled), stream.usage()),
    };
    let received = Received::Bytes(stream.received_bytes());
    // The call is over before it is written down.
    drop(stream);
    let facts = Facts { failure, status, ttft: Some(ttft), usage, ..Facts::of(received) };
    chain.record(ranked, start, facts);
    let deployment = ranked.deployment.clone();
    let end = match passed {
        Ok(end) => ChainEnd::Served { deployment, response: passage.assembly.finish(end) },
        Err(Stopped::Failed(failure)) => {
            let partial = StreamEnd { finish: FinishReason::Stop, usage: Usage::default() };
            let response = passage.assembly.finish(partial);
            ChainEnd::Broken { deployment, class: failure.class, partial: response }
        }
        Err(Stopped::ReaderLeft) => ChainEnd::Failed(ChainFailure::Cancelled),
    };
    Dispatched { end, attempts: chain.attempts, dropped, retry_in: None }
}

/// Why an answer was not passed on to its end.
enum Stopped {
    Failed(CallFailure),
    ReaderLeft,
}

/// An answer on its way from a provider to a reader.
struct Passage<'a> {
    events: &'a Sender<ChainEvent>,
    /// What was passed on so far.
    assembly: Assembly,
    ends_at: Instant,
    stall: Duration,
}

impl Passage<'_> {
    async fn send(&self, event: ChainEvent) -> Result<(), Stopped> {
        // A reader that does not read is bounded by the deadline, as a provider is.
        match timeout_at(self.ends_at, self.events.send(event)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Stopped::ReaderLeft),
            Err(_) => Err(Stopped::Failed(CallFailure::of(FailureClass::Deadline))),
        }
    }

    async fn delta(&mut self, delta: Delta) -> Result<(), Stopped> {
        self.assembly.push(&delta);
        self.send(ChainEvent::Delta(delta)).await
    }

    async fn rest<S: DeltaStream>(&mut self, stream: &mut S) -> Result<StreamEnd, Stopped> {
        loop {
            let stalled = Instant::now() + self.stall;
            let (until, class) = if stalled < self.ends_at {
                (stalled, FailureClass::Stalled)
            } else {
                (self.ends_at, FailureClass::Deadline)
            };
            let next = tokio::select! {
                biased;
                () = self.events.closed() => return Err(Stopped::ReaderLeft),
                next = timeout_at(until, stream.next()) => next,
            };
            let status = Some(stream.status());
            let late = || CallFailure { status, usage: stream.usage(), ..CallFailure::of(class) };
            match next.unwrap_or_else(|_| Err(late())).map_err(Stopped::Failed)? {
                StreamItem::Delta(delta) => self.delta(delta).await?,
                StreamItem::End(end) => return Ok(end),
            }
        }
    }
}
