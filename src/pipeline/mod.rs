//! The calls of the layers below, in order; the only place that knows them all.
//!
//! In: a checked request and its policy. Out: a [`Decision`], and with [`Pipeline::route`] what
//! became of it. Order: features, encoder, predictor, ranking, dispatch, log. Invariant: every
//! routed request ends in one record; [`Pipeline::rank`] calls, spends, logs and learns nothing.
//! Not here: the wire (see [`crate::api`]), and every decision itself (see the layers).

mod artifacts;
mod cache;
mod consider;
mod drills;
mod expected;
mod lessons;
mod observe;
mod record;
mod route;
mod sessions;
#[cfg(test)]
mod speed_tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Caller;
use crate::catalog::Fleet;
use crate::dispatch::health::Condition;
use crate::dispatch::{self, BreakerSettings, ChainEnd, ChainFailure, Dispatched};
use crate::domain::{ChatRequest, DecisionId, DeploymentId, ForcedFault, Shape};
use crate::encoder::EncodeError;
use crate::outcome::{CallerFacts, Feedback, FeedbackReceipt, OutcomeError, OutcomeLog};
use crate::prediction::LiveFigures;
use crate::providers::HttpCaller;
use crate::ranking::{Availability, Policy, Ranking, Refusal};
use crate::telemetry::{Delivery, Metrics};
use artifacts::Draw;
pub use artifacts::{
    ArtifactPlaces, Artifacts, ArtifactsStatus, Loaded, NothingBefore, Refused, Slot, SlotStatus,
    Unfit, WATCH_EVERY,
};
use cache::AnswerCache;
pub use cache::{
    CACHE_BYTES_DEFAULT, CACHE_TTL_DEFAULT, CacheHit, CacheSettings, CacheUse, ToolAnswers,
};
use consider::{Asked, Judge};
use drills::Drills;
pub use drills::{FAULTS_TTL_DEFAULT, FAULTS_TTL_MAX, FaultPolicy, StandingFaults};
use expected::Expectations;
pub use lessons::{Learning, LearningState};
pub use route::{RouteEvent, RoutedStream};

/// What a pipeline is made of.
pub struct PipelineParts {
    /// Who may be asked.
    pub fleet: Fleet,
    /// Who of them can never be called, and why.
    pub availability: Availability,
    /// When those who fail are left alone, and for how long.
    pub breakers: BreakerSettings,
    /// Read prompts, and predict what everyone would do with them.
    pub artifacts: Artifacts,
    /// Calls providers.
    pub caller: HttpCaller,
    /// Keeps what became of every decision.
    pub log: OutcomeLog,
    /// Whether failures may be asked for.
    pub faults: FaultPolicy,
    /// Whether scores change the choice while serving.
    pub learning: Learning,
    /// Whether answers are given again; `None`: each is asked for anew.
    pub cache: Option<CacheSettings>,
}

/// From a request to its answer. Whoever waits may leave at any time: the work then ends early, and
/// is recorded all the same.
pub struct Pipeline {
    works: Arc<Works>,
    /// Requests under way.
    tasks: TaskTracker,
}

/// What requests under way share.
struct Works {
    judge: Arc<Judge>,
    /// Who may compute at the same time: one per core, since more would only take turns.
    seats: Semaphore,
    caller: HttpCaller,
    log: OutcomeLog,
    drills: Drills,
    metrics: Metrics,
    expected: Expectations,
    cache: Option<AnswerCache>,
    /// Cancelled when requests under way are to end at once.
    cut: CancellationToken,
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
    /// Failures that the caller asks for; none strike where that is not allowed.
    pub faults: Vec<ForcedFault>,
    /// Whose limits hold and who pays, where callers have keys.
    pub caller: Option<Caller>,
    /// What it wants of kept answers, where there are any.
    pub cache: CacheUse,
}

/// Who is to be tried, in which order, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Its id; the seed of its ties comes from it.
    pub id: DecisionId,
    /// The router artifact that predicted.
    pub artifact_version: String,
    /// Whether that is one on trial, which decides a share.
    pub canary: bool,
    /// How many scores had moved the predictions away from the artifact's own.
    pub learned_updates: u64,
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
    /// That the answer was given before: nobody was called for this request.
    pub cached: Option<CacheHit>,
}

/// A request that could not be decided, through a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The prompt could not be encoded.
    #[error("the prompt could not be encoded")]
    Encoder(#[from] EncodeError),
    /// The thread that was choosing ended.
    #[error("choosing was interrupted")]
    Worker(#[from] tokio::task::JoinError),
    /// The task that was calling providers ended without a result.
    #[error("the request was interrupted")]
    Interrupted,
}

impl Routed {
    /// How the chain of attempts failed, if it ran and failed.
    pub fn failure(&self) -> Option<ChainFailure> {
        match &self.dispatched.as_ref()?.end {
            ChainEnd::Served { .. } | ChainEnd::Broken { .. } => None,
            ChainEnd::Failed(failure) => Some(*failure),
        }
    }
}

impl Pipeline {
    /// Puts the parts together. Blocks while the newest scores are read, where they are learned from.
    pub fn new(parts: PipelineParts) -> Self {
        let PipelineParts { fleet, availability, breakers, artifacts, .. } = parts;
        let PipelineParts { caller, log, faults, learning, cache, .. } = parts;
        let (drills, artifacts) = (Drills::new(faults), Arc::new(artifacts));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let judge = Judge::new(fleet.clone(), availability, breakers, artifacts, learning);
        match log.file() {
            Some(file) => judge.study_log(file),
            None if judge.studies() => {
                tracing::warn!("scores are not learned from online: that needs outcomes in SQLite");
            }
            None => {}
        }
        let (metrics, cut) = (Metrics::new(&fleet), CancellationToken::new());
        let (judge, seats) = (Arc::new(judge), Semaphore::new(cores));
        let expected = Expectations::new();
        let cache = cache.map(AnswerCache::new);
        let works = Works { judge, seats, caller, log, drills, metrics, expected, cache, cut };
        Self { works: Arc::new(works), tasks: TaskTracker::new() }
    }

    /// Chooses, calls, falls back, records; answers in one piece. Dropping the future ends the call
    /// under way; what it came to is recorded.
    ///
    /// # Errors
    /// [`PipelineError`] for faults of ours. Refusals and failed chains are no errors here: they
    /// are in [`Routed`], and recorded.
    pub async fn route(&self, call: Call) -> Result<Routed, PipelineError> {
        let under_way = self.works.begin(call, Delivery::Whole).await?;
        let (mut told, telling) = oneshot::channel();
        let works = Arc::clone(&self.works);
        self.tasks.spawn(async move {
            let gone = async {
                tokio::select! { () = told.closed() => {}, () = works.cut.cancelled() => {} }
            };
            let routed = works.whole(under_way, gone).await;
            // An error says that nobody waits any more; the record is kept.
            let _ = told.send(routed);
        });
        telling.await.map_err(|_| PipelineError::Interrupted)
    }

    /// As [`Pipeline::route`], in pieces. Dropping the stream ends the call under way.
    ///
    /// # Errors
    /// [`PipelineError`] for faults of ours before anything was spent.
    pub async fn route_stream(&self, call: Call) -> Result<RoutedStream, PipelineError> {
        let under_way = self.works.begin(call, Delivery::Stream).await?;
        let (decision, cached) = (under_way.decision().clone(), under_way.cached());
        let (events, pieces) = mpsc::channel(dispatch::EVENTS_MAX);
        let (told, telling) = oneshot::channel();
        let works = Arc::clone(&self.works);
        self.tasks.spawn(async move {
            let routed = works.pieces(under_way, events).await;
            // As above.
            let _ = told.send(routed);
        });
        Ok(RoutedStream { decision, cached, pieces, telling, cut: self.works.cut.clone() })
    }

    /// Chooses only, always with the artifact that serves: spends, logs and learns nothing. Where the
    /// policy explores, everyone's chance of being first is told and nobody is drawn: to look twice is
    /// to see the same. Computes on the caller's thread, and
    /// may wait there for the encoder; milliseconds.
    ///
    /// # Errors
    /// [`PipelineError::Encoder`].
    pub fn rank(&self, request: &ChatRequest, policy: &Policy) -> Result<Decision, PipelineError> {
        self.rank_in(None, request, policy)
    }

    /// As [`Pipeline::rank`], as the next turn of a session.
    ///
    /// # Errors
    /// [`PipelineError::Encoder`].
    pub fn rank_in(
        &self,
        session: Option<&str>,
        request: &ChatRequest,
        policy: &Policy,
    ) -> Result<Decision, PipelineError> {
        let judge = &self.works.judge;
        let (start, arrived) = (std::time::Instant::now(), Instant::now());
        let policy = &Policy { exploration: policy.exploration.shown(), ..policy.clone() };
        let (lineup, draw) = (judge.artifacts.now(), Draw::Served);
        let asked = Asked { request, policy, session, arrived, lineup: &lineup, draw };
        let deep = judge.read_blocking(&asked, policy.budget.max_latency);
        Ok(judge.consider(&asked, (start, deep))?.decision)
    }

    /// Keeps what a caller says of an answer, and learns from it where that is wanted. Whoever leaves
    /// in the meantime changes nothing.
    ///
    /// # Errors
    /// [`OutcomeError`] when the log does not take it.
    pub async fn feedback(&self, feedback: Feedback) -> Result<FeedbackReceipt, OutcomeError> {
        let works = Arc::clone(&self.works);
        let kept = self.tasks.spawn(async move { works.feedback(feedback).await });
        kept.await.unwrap_or(Err(OutcomeError::Closed))
    }

    /// Whose key asked for a decision; `None` where that was without one, or it is not in the log.
    ///
    /// # Errors
    /// [`OutcomeError`] when the log cannot be read.
    pub async fn asked_by(
        &self,
        decision: DecisionId,
    ) -> Result<Option<CallerFacts>, OutcomeError> {
        Ok(self.works.log.get(decision).await?.and_then(|it| it.caller))
    }

    /// What has been learned from scores; `None` where nothing is.
    pub fn learning_state(&self) -> Option<LearningState> {
        self.works.judge.learning_state()
    }

    /// Where outcomes are kept.
    pub fn log(&self) -> &OutcomeLog {
        &self.works.log
    }

    /// Waits for requests under way, writes what waits, and closes the log.
    pub async fn close(self) {
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(works) = Arc::into_inner(self.works) {
            works.log.close().await;
        }
    }

    /// Who may be asked.
    pub fn fleet(&self) -> &Fleet {
        &self.works.judge.fleet
    }

    /// What decides, to be looked at and changed.
    pub fn artifacts(&self) -> &Arc<Artifacts> {
        &self.works.judge.artifacts
    }

    /// Who cannot be called now, and why.
    pub fn availability(&self) -> Availability {
        self.works.judge.availability(Shape::default())
    }

    /// What was measured of a deployment's speed.
    pub fn speed_figures(&self, deployment: &DeploymentId) -> LiveFigures {
        self.works.judge.speed_figures(deployment)
    }

    /// Whether failures may be asked for.
    pub fn fault_policy(&self) -> FaultPolicy {
        self.works.drills.policy
    }

    /// Makes calls of every request fail so, instead of those that were set before, for `ttl`, at most
    /// [`FAULTS_TTL_MAX`]. Does nothing under [`FaultPolicy::Refused`].
    pub fn set_faults(&self, faults: Vec<ForcedFault>, ttl: Duration) {
        self.works.drills.set(faults, ttl, Instant::now());
    }

    /// The failures that hold for every request now.
    pub fn standing_faults(&self) -> StandingFaults {
        self.works.drills.standing_at(Instant::now())
    }

    /// How every deployment stands, by id, and the time on the clock of it.
    pub fn conditions(&self) -> (Vec<Condition>, Duration) {
        let health = &self.works.judge.health;
        let now = health.now();
        (health.conditions(now), now)
    }
}
