//! Choosing: everything between a request and its ranking, and what is learned from speeds.
//!
//! In: a request and a policy. Out: [`Considered`]: the decision and what it was made from.
//! Invariant: [`Judge::consider`] changes nothing; only [`Judge::learn`] does. Not here: the
//! network, the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Decision, PipelineError};
use crate::catalog::Fleet;
use crate::dispatch::{BreakerSettings, Dispatched, Health};
use crate::domain::{Attempt, ChatRequest, DecisionId, Shape};
use crate::encoder::{Encoded, Encoder, EncoderQueue};
use crate::features::{self, Features};
use crate::prediction::{LiveStats, Prediction, Predictor, Prompt, SpeedSample};
use crate::ranking::{Availability, Candidate, Need, Policy, Ranking, Unavailable, rank};

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
}

/// A decision, and what it was made from.
pub(super) struct Considered {
    pub(super) decision: Decision,
    pub(super) features: Features,
    pub(super) encoded: Encoded,
    pub(super) need: Need,
    /// Who could not be called then.
    pub(super) availability: Availability,
    /// The latency factors that the predictions hold, in the fleet's order.
    factors: Vec<f64>,
}

impl Judge {
    pub(super) fn new(
        fleet: Fleet,
        keyless: Availability,
        breakers: BreakerSettings,
        (encoder, predictor): (Encoder, Predictor),
    ) -> Self {
        let ids = fleet.deployments().iter().map(|it| it.id.clone());
        let health = Health::new(ids, breakers);
        let encoder = EncoderQueue::start(encoder, predictor.exits());
        Self { fleet, health, keyless, encoder, predictor, live: Mutex::default() }
    }

    /// Who cannot be called now, and why.
    pub(super) fn availability(&self, shape: Shape) -> Availability {
        let (mut availability, now) = (self.keyless.clone(), self.health.now());
        let refusing = self.health.refusing(shape, now);
        for it in self.health.shut(now).into_iter().chain(refusing) {
            let left = it.until.saturating_sub(now).as_micros().div_ceil(1_000);
            let for_ms = u64::try_from(left).unwrap_or(u64::MAX);
            availability.mark(it.deployment, Unavailable::Shut { for_ms, class: it.class });
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
        request: &ChatRequest,
        policy: &Policy,
        (start, deep): (Instant, Option<Encoded>),
    ) -> Result<Considered, PipelineError> {
        let id = DecisionId::fresh();
        let max_output_tokens = request.sampling.max_output_tokens;
        let need = Need { abilities: request.abilities_needed(), max_output_tokens };
        let features = features::extract(request);
        let encoded = match deep {
            Some(encoded) => encoded,
            None => self.encoder.shallow(request)?,
        };
        let (predictions, factors) = self.predict(&features, &encoded, max_output_tokens);
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
            encoder_exit: encoded.exit,
            verdict,
            decide_us: start.elapsed().as_secs_f64() * 1e6,
        };
        Ok(Considered { decision, features, encoded, need, availability, factors })
    }

    fn predict(
        &self,
        features: &Features,
        encoded: &Encoded,
        max_output_tokens: Option<u64>,
    ) -> (Vec<Prediction>, Vec<f64>) {
        let fleet = self.fleet.deployments();
        let prompt = Prompt { features, encoded, max_output_tokens };
        let live = self.live();
        let predictions = self.predictor.predict(&prompt, fleet, &live);
        let factors = fleet.iter().map(|it| live.latency_factor(&it.id)).collect();
        (predictions, factors)
    }

    /// Takes in how fast the deployment that answered was.
    pub(super) fn learn(&self, considered: &Considered, dispatched: &Dispatched) {
        let Ok(ranking) = &considered.decision.verdict else { return };
        let real = dispatched.attempts.iter().filter(|it| !it.is_forced());
        for attempt in real.filter(|it| it.failure.is_none()) {
            let fleet = self.fleet.deployments().iter();
            let place = fleet.zip(&considered.factors).find(|(it, _)| it.id == attempt.deployment);
            let sample = place.and_then(|(_, factor)| speed_sample(attempt, ranking, *factor));
            if let Some(sample) = sample {
                self.live().observe(&attempt.deployment, sample);
            }
        }
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

/// What was measured, beside what was predicted for as many tokens before the live factor.
fn speed_sample(attempt: &Attempt, ranking: &Ranking, factor: f64) -> Option<SpeedSample> {
    let ranked = ranking.entries.iter().find(|it| it.deployment.id == attempt.deployment)?;
    let forecast = &ranked.prediction.latency_s;
    let tokens = attempt.usage.output_tokens as f64;
    let predicted_s = (forecast.fixed + forecast.per_token * tokens) / factor;
    Some(SpeedSample { measured_s: attempt.total_ms / 1_000.0, predicted_s })
}
