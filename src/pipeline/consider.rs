//! Choosing: everything between a request and its ranking, and what is learned from calls and scores.
//!
//! In: a request and a policy. Out: [`Considered`]: the decision and what it was made from.
//! Invariant: [`Judge::consider`] changes nothing; only `learn`, `remember` and `study` do. Not here: the
//! network, the log.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::lessons::{Learning, LearningState, Lessons, Pupils};
use super::sessions::{Sessions, Turn};
use super::{Decision, PipelineError};
use crate::catalog::Fleet;
use crate::dispatch::{BreakerSettings, ChainEnd, Dispatched, Health};
use crate::domain::{ChatRequest, DecisionId, DeploymentId, Shape};
use crate::encoder::{Encoded, Encoder, EncoderQueue};
use crate::features::{self, Features};
use crate::outcome::OutcomeError;
use crate::prediction::{
    HeldPrompt, Known, Learned, LiveFigures, LiveStats, Manner, Prediction, Predictor, Prompt,
    SpeedSample,
};
use crate::ranking::{Availability, Candidate, Need, Policy, Unavailable, rank};

/// The share of what is left until the deadline that reading may take; the answer needs the rest.
const READING_SHARE: u32 = 20;
/// What reading may take at most: a better choice is not worth a delay that a person would notice.
const READING_TIME_MAX: Duration = Duration::from_millis(100);

/// Everything that choosing needs, and the speeds and failures seen so far.
pub(super) struct Judge {
    pub(super) fleet: Fleet,
    /// Choosing only looks at it; calls change it.
    pub(super) health: Health,
    /// Who can never be called.
    keyless: Availability,
    encoder: EncoderQueue,
    predictor: Predictor,
    live: Mutex<LiveStats>,
    sessions: Sessions,
    /// `None` where nothing is learned from scores.
    lessons: Option<Lessons>,
}

/// What is to be decided.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a ChatRequest,
    pub(super) policy: &'a Policy,
    /// The conversation it belongs to, if any.
    pub(super) session: Option<&'a str>,
    /// When it arrived.
    pub(super) arrived: tokio::time::Instant,
}

/// A decision, and what it was made from.
pub(super) struct Considered {
    pub(super) decision: Decision,
    pub(super) features: Features,
    pub(super) encoded: Encoded,
    pub(super) need: Need,
    /// Who could not be called then.
    pub(super) availability: Availability,
}

impl Judge {
    pub(super) fn new(
        fleet: Fleet,
        keyless: Availability,
        breakers: BreakerSettings,
        (encoder, predictor): (Encoder, Predictor),
        learning: Learning,
    ) -> Self {
        let ids = fleet.deployments().iter().map(|it| it.id.clone());
        let health = Health::new(ids, breakers);
        let encoder = EncoderQueue::start(encoder, predictor.exits());
        let (live, sessions) = (Mutex::default(), Sessions::new());
        let lessons = match learning {
            Learning::Off => None,
            Learning::Online => Some(Lessons::default()),
        };
        Self { fleet, health, keyless, encoder, predictor, live, sessions, lessons }
    }

    /// Who cannot be called now, and why; and how busy each is.
    pub(super) fn availability(&self, shape: Shape) -> Availability {
        let (mut availability, now) = (self.keyless.clone(), self.health.now());
        let refusing = self.health.refusing(shape, now);
        for it in self.health.shut(now).into_iter().chain(refusing) {
            let left = it.until.saturating_sub(now).as_micros().div_ceil(1_000);
            let for_ms = u64::try_from(left).unwrap_or(u64::MAX);
            availability.mark(it.deployment, Unavailable::Shut { for_ms, class: it.class });
        }
        for (deployment, calls) in self.health.in_flight() {
            availability.count(deployment.clone(), calls);
        }
        availability
    }

    /// How many prompts wait for the encoder.
    pub(super) fn encoder_queue(&self) -> usize {
        self.encoder.waiting()
    }

    /// Reads a request deeply, if what is left until its deadline leaves time for it.
    pub(super) async fn read(&self, request: &ChatRequest, left: Duration) -> Option<Encoded> {
        self.encoder.deep(request, reading_time(left)).await
    }

    /// As [`Self::read`], by blocking.
    pub(super) fn read_blocking(&self, request: &ChatRequest, left: Duration) -> Option<Encoded> {
        self.encoder.deep_blocking(request, reading_time(left))
    }

    /// Predicts for everyone and ranks, from what was read since `start`; reads at the first exit
    /// where nothing was.
    pub(super) fn consider(
        &self,
        asked: Asked<'_>,
        (start, deep): (Instant, Option<Encoded>),
    ) -> Result<Considered, PipelineError> {
        let Asked { request, policy, session, arrived } = asked;
        let id = DecisionId::fresh();
        let max_output_tokens = request.sampling.max_output_tokens;
        let need = Need { abilities: request.abilities_needed(), max_output_tokens };
        let features = features::extract(request);
        let encoded = match deep {
            Some(encoded) => encoded,
            None => self.encoder.shallow(request)?,
        };
        let held = session.and_then(|it| self.sessions.held(it, encoded.tokens as f64, arrived));
        let learned = self.lessons.as_ref().map(Lessons::learned).unwrap_or_default();
        let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens };
        let predictions = self.predict(&prompt, held.as_ref(), &learned);
        let deployments = self.fleet.deployments().iter().cloned();
        let candidates = deployments
            .zip(predictions)
            .map(|(deployment, prediction)| Candidate { deployment, prediction })
            .collect();
        let availability = self.availability(request.shape());
        let verdict = rank(candidates, policy, &need, &availability, id.seed());
        let decision = Decision {
            id,
            artifact_version: self.predictor.version().to_owned(),
            learned_updates: learned.updates(),
            encoder_exit: encoded.exit,
            verdict,
            decide_us: start.elapsed().as_secs_f64() * 1e6,
        };
        Ok(Considered { decision, features, encoded, need, availability })
    }

    fn predict(
        &self,
        prompt: &Prompt<'_>,
        held: Option<&HeldPrompt>,
        learned: &Learned,
    ) -> Vec<Prediction> {
        let (live, now) = (self.live(), self.health.now());
        let known = Known { live: &live, now, held, learned: Some(learned) };
        self.predictor.predict_with(prompt, self.fleet.deployments(), known)
    }

    /// Takes in how fast the deployments that were called are.
    pub(super) fn learn(&self, considered: &Considered, dispatched: &Dispatched, manner: Manner) {
        let Ok(ranking) = &considered.decision.verdict else { return };
        // What follows a seam is only the rest of an answer.
        let whole = if dispatched.seams.is_empty() { usize::MAX } else { 1 };
        let now = self.health.now();
        for attempt in dispatched.attempts.iter().take(whole).filter(|it| !it.is_forced()) {
            let ranked = ranking.entries.iter().find(|it| it.deployment.id == attempt.deployment);
            let Some(ranked) = ranked else { continue };
            let speed = ranked.deployment.speed;
            let sample = SpeedSample::of(attempt, manner, speed, &ranked.prediction);
            self.live().observe(&attempt.deployment, &sample, now);
        }
    }

    /// Takes in who served a turn of a session.
    pub(super) fn remember(&self, asked: Asked<'_>, of: &Considered, dispatched: &Dispatched) {
        let (Some(session), Ok(ranking)) = (asked.session, &of.decision.verdict) else { return };
        let ChainEnd::Served { deployment, .. } = &dispatched.end else { return };
        let ranked = ranking.entries.iter().find(|it| it.deployment.id == deployment.id);
        let mut attempts = dispatched.attempts.iter().rev();
        let attempt = attempts.find(|it| it.failure.is_none() && it.deployment == deployment.id);
        let Some((ranked, attempt)) = ranked.zip(attempt) else { return };
        let turn = Turn {
            deployment: &deployment.id,
            input_tokens: ranked.prediction.input_tokens,
            expected: ranked.prediction.cached.tokens,
            told: (!attempt.usage_estimated).then_some(attempt.usage),
        };
        self.sessions.served(session, turn, asked.arrived);
    }

    /// Learns from the newest scores of a log, where that is wanted. Blocks while it reads.
    pub(super) fn study_log(&self, log: &Path) {
        let studied = self.lessons.as_ref().map(|it| it.study_log(log, self.pupils()));
        tell(studied);
        if let Some(LearningState { updates, skipped }) = self.learning_state() {
            tracing::info!(updates, skipped, "learned from the scores in the log");
        }
    }

    /// Learns from what was said of a decision, where that is wanted. Blocks while it reads.
    pub(super) fn study(&self, log: &Path, decision: DecisionId) {
        tell(self.lessons.as_ref().map(|it| it.study(log, decision, self.pupils())));
    }

    /// Whether scores are learned from.
    pub(super) fn studies(&self) -> bool {
        self.lessons.is_some()
    }

    /// What has been learned from scores; `None` where nothing is.
    pub(super) fn learning_state(&self) -> Option<LearningState> {
        self.lessons.as_ref().map(Lessons::state)
    }

    fn pupils(&self) -> Pupils<'_> {
        Pupils { fleet: &self.fleet, predictor: &self.predictor }
    }

    /// What was measured of a deployment's speed.
    pub(super) fn speed_figures(&self, deployment: &DeploymentId) -> LiveFigures {
        self.live().figures(deployment)
    }

    /// The speeds measured so far. They are plain numbers, whole after every step, so a thread
    /// that panicked while holding them did no harm.
    fn live(&self) -> MutexGuard<'_, LiveStats> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A score that was not learned from is in the log all the same.
fn tell(studied: Option<Result<(), OutcomeError>>) {
    if let Some(Err(error)) = studied {
        tracing::warn!(%error, "nothing could be learned from the log");
    }
}

/// How long a prompt may wait and be read, with so much left until its deadline.
fn reading_time(left: Duration) -> Duration {
    (left / READING_SHARE).min(READING_TIME_MAX)
}
