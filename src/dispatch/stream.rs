//! The walk for answers in pieces: the commit gate, and what follows it.
//!
//! In: a [`Plan`], a [`Caller`], a channel to whoever reads. Out: [`ChainEvent`]s through the
//! channel, and [`Dispatched`] at the end. Invariant: nothing goes out before the first content of
//! an answer is there, so that every failure before it falls back unseen; after it nothing is taken
//! back, unless the caller wants restarts. Whoever goes on with a broken answer passes the same gate,
//! and is chosen by the same rules. When the reader leaves, the call under way is dropped at once.
//! Not here: who reads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::billing::Received;
use super::chain::{Broke, Chain, Facts, Success};
use super::passage::{Answering, ChainEvent, Passage, Place, Stopped};
use super::resume::{left, looks_whole, tokens, way_on};
use super::timing::{Awaited, first_token_limit, stall_limit};
use super::worded::Worded;
use super::{ChainEnd, ChainFailure, Dispatched, Plan};
use crate::catalog::Deployment;
use crate::domain::{ChatRequest, Delta, FailureClass, FinishReason, StreamEnd, Usage};
use crate::providers::{Begun, CallFailure, Caller, DeltaStream, StreamItem};

/// A stream that has shown its first content.
struct Opened<S> {
    stream: S,
    /// Everything up to and with the first content; or a whole answer without any.
    first: Vec<Delta>,
    ended: Option<StreamEnd>,
    ttft: Duration,
}

/// What a deployment is asked: an answer, or the rest of one whose text is not empty.
#[derive(Clone, Copy)]
struct Question<'a> {
    request: &'a ChatRequest,
    begun: Begun<'a>,
}

/// Walks the ranking until someone's answer begins, and passes it on; when it breaks off, walks on as
/// the policy says. `seed` draws the pauses.
pub async fn stream<C: Caller>(
    plan: Plan<'_>,
    caller: &C,
    seed: u64,
    events: &Sender<ChainEvent>,
) -> Dispatched {
    let mut chain = Chain::new(plan, seed, Awaited::FirstToken);
    let mut passage = Passage::new(events, chain.ends_at());
    let worded = Worded::new(plan.request, plan.ranking);
    let (request, timeouts) = (plan.request, plan.policy.fallback.timeouts);
    let mut broken: Option<(Arc<Deployment>, FailureClass)> = None;
    // Ends: each round adds to the chain's attempts, which are bounded, or returns.
    loop {
        let (text, used) = (passage.text(), passage.tokens);
        let walked = chain.walk_unless(events.closed(), |ranked, longest| {
            let late = first_token_limit(ranked, timeouts).min(longest);
            let request = worded.of(ranked);
            let limit = left(request.sampling.max_output_tokens, used);
            let begun = Begun { text, max_output_tokens: limit };
            open(caller, &ranked.deployment, Question { request, begun }, late)
        });
        let success = match (walked.await, broken.take()) {
            (Ok(success), _) => success,
            (Err(failure), Some((deployment, class))) if failure != ChainFailure::Cancelled => {
                return passage.broken_off(deployment, class, chain);
            }
            (Err(failure), _) => return chain.into_failed(failure),
        };
        let ranked = success.ranked;
        let failure = match pass_on(&mut chain, success, &mut passage).await {
            Ok(end) => return passage.ended(end, chain),
            Err(failure) => failure,
        };
        let (deployment, class) = (ranked.deployment.clone(), failure.class);
        let wish = plan.policy.fallback.on_stream_failure;
        let Some(way) = way_on(wish, class, request, &passage.assembly) else {
            return passage.broken_off(deployment, class, chain);
        };
        passage.broken = Some((class, way));
        // Where no text came yet, everyone can begin it.
        if !passage.text().is_empty() {
            chain.go_on(passage.text(), |it| caller.continues(&it.deployment, request));
        }
        broken = Some((deployment, class));
    }
}

/// Opens a stream and reads to its first content, within the limit for the first token.
async fn open<C: Caller>(
    caller: &C,
    deployment: &Deployment,
    question: Question<'_>,
    late: Duration,
) -> Result<Opened<C::Stream>, CallFailure> {
    let Question { request, begun } = question;
    let opened = async {
        let start = Instant::now();
        let (stream, place) = if begun.text.is_empty() {
            (caller.open(deployment, request).await?, Place::First)
        } else {
            (caller.resume(deployment, request, begun).await?, Place::BehindSeam)
        };
        let whole = place == Place::BehindSeam && looks_whole(begun.text);
        first_content(stream, start, place, whole).await
    };
    let in_time = tokio::time::timeout(late, opened).await;
    in_time.unwrap_or_else(|_| Err(CallFailure::of(FailureClass::FirstTokenLate)))
}

/// Reads to the first content. Nothing is an answer only at the caller's own token limit, or after a
/// text that may be whole.
async fn first_content<S: DeltaStream>(
    mut stream: S,
    start: Instant,
    place: Place,
    may_be_whole: bool,
) -> Result<Opened<S>, CallFailure> {
    let mut first = Vec::new();
    loop {
        let ended = match stream.next().await {
            Ok(StreamItem::Delta(delta)) => {
                let content = delta.is_content();
                let fits = place.takes(&delta);
                if fits {
                    first.push(delta);
                }
                if !(content && fits) {
                    continue;
                }
                None
            }
            Ok(StreamItem::End(end)) => {
                let adds_nothing = may_be_whole && end.finish == FinishReason::Stop;
                if end.finish != FinishReason::Length && !adds_nothing {
                    let (status, usage) = (Some(stream.status()), end.usage);
                    let empty = CallFailure::of(FailureClass::EmptyAnswer);
                    return Err(CallFailure { status, usage, ..empty });
                }
                Some(end)
            }
            Err(it) if may_be_whole && it.class == FailureClass::EmptyAnswer => {
                Some(StreamEnd { finish: FinishReason::Stop, usage: it.usage })
            }
            Err(failure) => return Err(failure),
        };
        return Ok(Opened { stream, first, ended, ttft: start.elapsed() });
    }
}

/// Sends what came and reads on until the end, a failure, or the reader's leave. A failure is written
/// down, and what its part used; how the answer goes on is for the caller to say.
async fn pass_on<'p, S: DeltaStream>(
    chain: &mut Chain<'p>,
    success: Success<'p, Opened<S>>,
    passage: &mut Passage<'_>,
) -> Result<ChainEnd, CallFailure> {
    let Success { ranked, start, value, counted } = success;
    let Opened { mut stream, first, ended, ttft } = value;
    let place = if passage.text().is_empty() { Place::First } else { Place::BehindSeam };
    let answering = Answering {
        deployment: ranked.deployment.clone(),
        attempts: chain.attempts.len() + 1,
        dropped: stream.dropped().to_vec(),
    };
    let mut bytes_before = passage.text().len();
    let passed = async {
        passage.begin(answering).await?;
        bytes_before = passage.assembly.text().len();
        for delta in first {
            passage.delta(delta).await?;
        }
        match ended {
            Some(end) => Ok(end),
            None => passage.rest(&mut stream, stall_limit(ranked, chain.timeouts()), place).await,
        }
    };
    let passed = passed.await;
    let status = Some(stream.status());
    let used = stream.usage();
    let received = Received::Bytes(stream.received_bytes());
    // The call is over before it is written down.
    drop((stream, counted));
    let mut record = |failure, usage| {
        let facts = Facts { failure, status, ttft: Some(ttft), usage, ..Facts::of(received) };
        chain.record(ranked, start, facts);
    };
    match passed {
        Ok(end) => {
            record(None, end.usage);
            let end = StreamEnd { usage: passage.usage.plus(end.usage), ..end };
            let response = std::mem::take(&mut passage.assembly).finish(end);
            Ok(ChainEnd::Served { deployment: ranked.deployment.clone(), response })
        }
        Err(Stopped::ReaderLeft) => {
            record(Some(FailureClass::Cancelled), used);
            Ok(ChainEnd::Failed(ChainFailure::Cancelled))
        }
        Err(Stopped::Failed(failure)) => {
            let failure = CallFailure { status, ..failure };
            chain.broke(&Broke { ranked, start, ttft, received }, &failure);
            let billed = chain.attempts.last().map(|it| it.usage).unwrap_or_default();
            passage.usage = passage.usage.plus(billed);
            let bytes = passage.assembly.text().len().saturating_sub(bytes_before);
            passage.tokens += tokens(failure.usage.output_tokens, bytes);
            Err(failure)
        }
    }
}

impl Passage<'_> {
    fn ended(self, end: ChainEnd, chain: Chain<'_>) -> Dispatched {
        let Self { dropped, seams, .. } = self;
        Dispatched { end, attempts: chain.attempts, dropped, seams, retry_in: None }
    }

    /// A part was passed on, and the rest does not come.
    fn broken_off(
        mut self,
        deployment: Arc<Deployment>,
        class: FailureClass,
        chain: Chain<'_>,
    ) -> Dispatched {
        let end = StreamEnd { finish: FinishReason::Stop, usage: Usage::default() };
        let partial = std::mem::take(&mut self.assembly).finish(end);
        self.ended(ChainEnd::Broken { deployment, class, partial }, chain)
    }
}
