//! Choosing: everything between a request and its ranking, and what is learned from calls and scores.
//!
//! In: a request and a policy. Out: [`Considered`]: the decision and what it was made from.
//! Invariant: [`Judge::consider`] changes nothing; only `learn`, `remember` and `study` do. Not here: the
//! network, the log.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::artifacts::{Artifacts, Brain, Draw, Lineup, Opinion, Pending};
use super::lessons::{self, Learning, LearningState};
use super::sessions::{Sessions, Turn};
use super::{Decision, PipelineError};
use crate::catalog::Fleet;
use crate::dispatch::{BreakerSettings, ChainEnd, Dispatched, Health, PerMinute, Used};
use crate::domain::{ChatRequest, DecisionId, DeploymentId, Shape};
use crate::encoder::Encoded;
use crate::features::{self, Features};
use crate::outcome::CanaryFacts;
use crate::prediction::{
    HeldPrompt, Known, Learned, LiveFigures, LiveStats, Manner, Predictor, Prompt, SpeedSample,
};
use crate::ranking::{Availability, Candidate, Need, Policy, Recent, Unavailable, rank};

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
    pub(super) artifacts: Arc<Artifacts>,
    live: Mutex<LiveStats>,
    sessions: Sessions,
    /// Whether scores are learned from.
    learning: Learning,
}

/// What is to be decided, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) request: &'a ChatRequest,
    pub(super) policy: &'a Policy,
    /// The conversation it belongs to, if any.
    pub(super) session: Option<&'a str>,
    /// When it arrived.
    pub(super) arrived: tokio::time::Instant,
    /// Taken when the request began.
    pub(super) lineup: &'a Lineup,
    pub(super) draw: Draw<'a>,
}

/// A decision, and what it was made from.
pub(super) struct Considered {
    pub(super) decision: Decision,
    pub(super) features: Features,
    pub(super) encoded: Encoded,
    pub(super) need: Need,
    /// Who could not be called then.
    pub(super) availability: Availability,
    /// What another artifact is shown of a conversation, too: who may hold the prompt's beginning.
    held: Option<HeldPrompt>,
    /// Who of two artifacts decided, where one is on trial.
    pub(super) canary: Option<CanaryFacts>,
    /// What another artifact makes of it, where one looks on.
    pub(super) shadow: Option<Pending>,
}

impl Judge {
    pub(super) fn new(
        fleet: Fleet,
        keyless: Availability,
        breakers: BreakerSettings,
        artifacts: Arc<Artifacts>,
        learning: Learning,
    ) -> Self {
        let ids = fleet.deployments().iter().map(|it| it.id.clone());
        let limits = fleet.deployments().iter().filter_map(|it| {
            let limits = PerMinute { calls: it.terms.rpm, tokens: it.terms.tpm };
            let any = limits.calls.is_some() || limits.tokens.is_some();
            any.then(|| (it.id.clone(), limits))
        });
        let health = Health::new(ids, breakers).metered(limits);
        let (live, sessions) = (Mutex::default(), Sessions::new());
        Self { fleet, health, keyless, artifacts, live, sessions, learning }
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
        self.recent(&mut availability, now);
        for (deployment, calls) in self.health.in_flight() {
            availability.count(deployment.clone(), calls);
        }
        availability
    }

    /// What each did of late, and who is full.
    fn recent(&self, availability: &mut Availability, now: Duration) {
        let conditions = self.health.conditions(now).into_iter();
        for it in conditions.filter(|it| it.class.is_some()) {
            let recent = availability.recent(&it.deployment);
            availability.note(it.deployment, Recent { failing: true, ..recent });
        }
        for Used { deployment, calls, tokens, full_until } in self.health.used(now) {
            if let Some(until) = full_until {
                let left = until.saturating_sub(now).as_micros().div_ceil(1_000);
                let for_ms = u64::try_from(left).unwrap_or(u64::MAX);
                availability.mark(deployment.clone(), Unavailable::Full { for_ms });
            }
            let recent = availability.recent(&deployment);
            availability.note(deployment, Recent { calls, tokens, ..recent });
        }
    }

    /// How many prompts wait for the encoder.
    pub(super) fn encoder_queue(&self) -> usize {
        self.artifacts.now().served.queue.waiting()
    }

    /// Reads a request deeply, if what is left until its deadline leaves time for it.
    pub(super) async fn read(&self, asked: &Asked<'_>, left: Duration) -> Option<Encoded> {
        asked.lineup.served.queue.deep(asked.request, reading_time(left)).await
    }

    /// As [`Self::read`], by blocking.
    pub(super) fn read_blocking(&self, asked: &Asked<'_>, left: Duration) -> Option<Encoded> {
        asked.lineup.served.queue.deep_blocking(asked.request, reading_time(left))
    }

    /// Predicts for everyone and ranks, from what was read since `start`; reads at the first exit
    /// where nothing was.
    pub(super) fn consider(
        &self,
        asked: &Asked<'_>,
        (start, deep): (Instant, Option<Encoded>),
    ) -> Result<Considered, PipelineError> {
        let Asked { request, policy, session, arrived, lineup, draw } = *asked;
        let id = DecisionId::fresh();
        let (brain, canary) = lineup.acting(draw, id.seed());
        let max_output_tokens = request.sampling.max_output_tokens;
        let (abilities, parameters) = (request.abilities_needed(), request.parameters());
        let need = Need { abilities, max_output_tokens, parameters };
        let features = features::extract(request);
        let encoded = match deep {
            Some(encoded) => encoded,
            None => brain.queue.shallow(request)?,
        };
        let held = session.and_then(|it| self.sessions.held(it, encoded.tokens as f64, arrived));
        // Those of this very artifact: another one's beliefs are about other abilities.
        let learned = brain.lessons.learned();
        let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens };
        let candidates = self.candidates(&brain.predictor, &prompt, (held.as_ref(), &learned));
        let availability = self.availability(request.shape());
        let verdict = rank(candidates, policy, &need, &availability, id.seed());
        let decision = Decision {
            id,
            artifact_version: brain.predictor.version().to_owned(),
            canary: canary.as_ref().is_some_and(|it| it.decided),
            learned_updates: learned.updates(),
            encoder_exit: encoded.exit,
            verdict,
            decide_us: start.elapsed().as_secs_f64() * 1e6,
        };
        let shadow = None;
        Ok(Considered { decision, features, encoded, need, availability, held, canary, shadow })
    }

    /// Has the artifact that looks on judge the same request, some time soon, on its own thread. What
    /// it would explore is not drawn: it is asked whom it holds for the best.
    pub(super) fn show(self: &Arc<Self>, asked: &Asked<'_>, considered: &mut Considered) {
        let Some(shadow) = &asked.lineup.shadow else { return };
        let (judge, policy) = (Arc::clone(self), asked.policy);
        let policy = Policy { exploration: policy.exploration.shown(), ..policy.clone() };
        let (features, encoded) = (considered.features.clone(), considered.encoded.clone());
        let (need, availability) = (considered.need, considered.availability.clone());
        let (held, seed) = (considered.held.clone(), considered.decision.id.seed());
        considered.shadow = shadow.ask(move |brain| -> Opinion {
            let max_output_tokens = need.max_output_tokens;
            let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens };
            let known = (held.as_ref(), &*brain.lessons.learned());
            let candidates = judge.candidates(&brain.predictor, &prompt, known);
            rank(candidates, &policy, &need, &availability, seed)
        });
    }

    /// The fleet, with what is expected of each. Holds the speeds for some tens of microseconds, which
    /// is less than a copy of them would take.
    fn candidates(
        &self,
        predictor: &Predictor,
        prompt: &Prompt<'_>,
        (held, learned): (Option<&HeldPrompt>, &Learned),
    ) -> Vec<Candidate> {
        let fleet = self.fleet.deployments();
        let predictions = {
            let (live, now) = (self.live(), self.health.now());
            let known = Known { live: &live, now, held, learned: Some(learned) };
            predictor.predict_with(prompt, fleet, known)
        };
        let pairs = fleet.iter().cloned().zip(predictions);
        pairs.map(|(deployment, prediction)| Candidate { deployment, prediction }).collect()
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
    pub(super) fn remember(
        &self,
        (session, arrived): (&str, tokio::time::Instant),
        of: &Considered,
        dispatched: &Dispatched,
    ) {
        let Ok(ranking) = &of.decision.verdict else { return };
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
        self.sessions.served(session, turn, arrived);
    }

    /// Learns from the newest scores of a log, where that is wanted, and so again for whoever serves
    /// from now on: what is believed belongs to one artifact. Blocks while it reads.
    pub(super) fn study_log(&self, log: &Path) {
        if !self.studies() {
            return;
        }
        let (fleet, log) = (self.fleet.clone(), log.to_owned());
        self.artifacts.on_serving(move |brain: &Brain| {
            lessons::tell(brain.lessons.study_log(&log, brain.pupils(&fleet)));
            let LearningState { updates, skipped } = brain.lessons.state();
            let version = brain.predictor.version();
            tracing::info!(version, updates, skipped, "learned from the scores in the log");
        });
    }

    /// Learns from what was said of a decision, where that is wanted. Blocks while it reads.
    pub(super) fn study(&self, log: &Path, decision: DecisionId) {
        if self.studies() {
            let served = Arc::clone(&self.artifacts.now().served);
            lessons::tell(served.lessons.study(log, decision, served.pupils(&self.fleet)));
        }
    }

    /// Whether scores are learned from.
    pub(super) fn studies(&self) -> bool {
        match self.learning {
            Learning::Off => false,
            Learning::Online => true,
        }
    }

    /// What the artifact that serves has learned from scores; `None` where nothing is.
    pub(super) fn learning_state(&self) -> Option<LearningState> {
        self.studies().then(|| self.artifacts.now().served.lessons.state())
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

/// How long a prompt may wait and be read, with so much left until its deadline.
fn reading_time(left: Duration) -> Duration {
    (left / READING_SHARE).min(READING_TIME_MAX)
}
