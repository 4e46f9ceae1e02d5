//! The calls of the layers below, in order; the only place that knows them all.
//!
//! In: a checked request and its policy. Out: a [`Decision`], and with [`Pipeline::route`] what
//! became of it. Order: features, encoder, predictor, ranking, dispatch, log. Invariant: every
//! routed request ends in one record; [`Pipeline::rank`] calls, spends, logs and learns nothing.
//! Not here: the wire (see [`crate::api`]), and every decision itself (see the layers).

mod consider;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::catalog::Fleet;
use crate::dispatch::{self, ChainEnd, ChainFailure, Dispatched, Plan};
use crate::domain::{ChatRequest, DecisionId};
use crate::encoder::{Encoder, TokenizerError};
use crate::outcome::{Feedback, FeedbackReceipt, OutcomeError, OutcomeLog};
use crate::prediction::Predictor;
use crate::providers::HttpCaller;
use crate::ranking::{Availability, Policy, Ranking, Refusal};
use consider::{Considered, Judge};

/// What a pipeline is made of.
pub struct PipelineParts {
    /// Who may be asked.
    pub fleet: Fleet,
    /// Who of them cannot be called, and why.
    pub availability: Availability,
    /// Turns prompts into embeddings.
    pub encoder: Encoder,
    /// Turns features and embeddings into predictions.
    pub predictor: Predictor,
    /// Calls providers.
    pub caller: HttpCaller,
    /// Keeps what became of every decision.
    pub log: OutcomeLog,
}

/// From a request to its answer.
pub struct Pipeline {
    judge: Arc<Judge>,
    /// Who may compute at the same time: one per core, since more would only take turns.
    seats: Semaphore,
    caller: HttpCaller,
    log: OutcomeLog,
}

/// A request that passed its checks.
#[derive(Debug)]
pub struct Call {
    /// The prompt.
    pub request: ChatRequest,
    /// What is wanted of whoever answers.
    pub policy: Policy,
    /// When it arrived.
    pub arrived: Instant,
    /// The deadline of the transport, counted from `arrived`.
    pub deadline: Option<Duration>,
    /// The caller's own id of it.
    pub request_id: Option<String>,
    /// The conversation it belongs to.
    pub session_id: Option<String>,
    /// Kept in the log.
    pub metadata: BTreeMap<String, String>,
}

/// Who is to be tried, in which order, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its id; the seed of its ties comes from it.
    pub id: DecisionId,
    /// The router artifact that predicted.
    pub artifact_version: String,
    /// How deep the encoder read: 0 is the first exit.
    pub encoder_exit: u8,
    /// The order, or everyone's reasons.
    pub verdict: Result<Ranking, Refusal>,
    /// What choosing took, in microseconds.
    pub decide_us: f64,
}

/// What became of a request.
#[derive(Debug)]
pub struct Routed {
    /// Who was to be tried.
    pub decision: Decision,
    /// What was tried and how it ended; `None` when everyone was excluded.
    pub dispatched: Option<Dispatched>,
    /// From arrival to the end, in milliseconds.
    pub total_ms: f64,
    /// Whether the outcome is in the log, durably.
    pub recorded: bool,
}

/// A request that could not be decided, through a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The prompt could not be encoded.
    #[error("the prompt could not be encoded")]
    Encoder(#[from] TokenizerError),
    /// The thread that was choosing ended.
    #[error("choosing was interrupted")]
    Worker(#[from] tokio::task::JoinError),
}

impl Routed {
    /// How the chain of attempts failed, if it ran and failed.
    pub fn failure(&self) -> Option<ChainFailure> {
        match &self.dispatched.as_ref()?.end {
            ChainEnd::Served { .. } => None,
            ChainEnd::Failed(failure) => Some(*failure),
        }
    }
}

impl Pipeline {
    /// Puts the parts together.
    pub fn new(parts: PipelineParts) -> Self {
        let PipelineParts { fleet, availability, encoder, predictor, caller, log } = parts;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let judge = Arc::new(Judge::new(fleet, availability, encoder, predictor));
        Self { judge, seats: Semaphore::new(cores), caller, log }
    }

    /// Chooses, calls, falls back, records.
    ///
    /// # Errors
    /// [`PipelineError`] for faults of ours before anything was spent. Refusals and failed chains
    /// are no errors here: they are in [`Routed`], and recorded.
    pub async fn route(&self, call: Call) -> Result<Routed, PipelineError> {
        let at_unix_ms = unix_ms(SystemTime::now(), call.arrived.elapsed());
        let call = Arc::new(call);
        let considered = self.consider(&call).await?;
        let dispatched = match &considered.decision.verdict {
            Ok(ranking) => Some(self.dispatch(ranking, &call, &considered).await),
            Err(_) => None,
        };
        if let Some(dispatched) = &dispatched {
            self.judge.learn(&considered, dispatched);
        }
        let total_ms = call.arrived.elapsed().as_secs_f64() * 1_000.0;
        let ended =
            record::Ended { call: &call, dispatched: dispatched.as_ref(), at_unix_ms, total_ms };
        let record = ended.record(&self.judge, &considered, self.log.prompts());
        let recorded = self.append(record).await;
        Ok(Routed { decision: considered.decision, dispatched, total_ms, recorded })
    }

    /// Chooses only: spends, logs and learns nothing. Computes on the caller's thread, for
    /// milliseconds.
    ///
    /// # Errors
    /// [`PipelineError::Encoder`].
    pub fn rank(&self, request: &ChatRequest, policy: &Policy) -> Result<Decision, PipelineError> {
        Ok(self.judge.consider(request, policy)?.decision)
    }

    /// Keeps what a caller says of an answer.
    ///
    /// # Errors
    /// [`OutcomeError`] when the log does not take it.
    pub async fn feedback(&self, feedback: Feedback) -> Result<FeedbackReceipt, OutcomeError> {
        self.log.feedback(feedback).await
    }

    /// Writes what waits, and closes the log.
    pub async fn close(self) {
        self.log.close().await;
    }

    /// Who may be asked.
    pub fn fleet(&self) -> &Fleet {
        &self.judge.fleet
    }

    /// Who cannot be called, and why.
    pub fn availability(&self) -> &Availability {
        &self.judge.availability
    }

    /// Computes away from the threads that serve connections. Who leaves while waiting for a seat
    /// costs nothing.
    async fn consider(&self, call: &Arc<Call>) -> Result<Considered, PipelineError> {
        // The semaphore is never closed, so an error here would only mean no bound.
        let _seat = self.seats.acquire().await.ok();
        let (judge, call) = (Arc::clone(&self.judge), Arc::clone(call));
        tokio::task::spawn_blocking(move || judge.consider(&call.request, &call.policy)).await?
    }

    async fn dispatch(
        &self,
        ranking: &Ranking,
        call: &Call,
        considered: &Considered,
    ) -> Dispatched {
        let own = call.policy.budget.max_latency;
        let plan = Plan {
            ranking,
            policy: &call.policy,
            request: &call.request,
            arrived: call.arrived,
            max_latency: call.deadline.map_or(own, |it| it.min(own)),
        };
        dispatch::run(plan, &self.caller, considered.decision.id.seed()).await
    }

    /// Whether the log took it. An answer that was paid for is given even when it did not.
    async fn append(&self, record: crate::outcome::OutcomeRecord) -> bool {
        let decision = record.decision;
        let appended = self.log.append(record).await;
        if let Err(error) = &appended {
            tracing::error!(%decision, %error, "an outcome could not be recorded");
        }
        appended.is_ok()
    }
}

/// When a request arrived, in milliseconds since 1970 UTC.
fn unix_ms(now: SystemTime, ago: Duration) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.saturating_sub(ago).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrival_is_counted_back_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(unix_ms(now, Duration::from_millis(1)), 9_999);
        assert_eq!(unix_ms(SystemTime::UNIX_EPOCH, Duration::from_secs(1)), 0);
    }
}
