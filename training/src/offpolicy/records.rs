//! Logged decisions as rows for the estimators.
//!
//! In: the outcome log, a candidate and an incumbent artifact. Out: [`Log`]. A choice is who was
//! tried first; what came of it is what the caller got: the score of the answer, all that was paid, and
//! the time until the end, whoever answered at last. Invariant: every record is a row or is counted in
//! `left_out`; both artifacts are asked just as the service would ask them, with the speeds, shut
//! deployments and policy of that moment. Not here: what is made of the rows.

use anyhow::Result;
use pointsman::catalog::Catalog;
use pointsman::domain::{Attempt, DeploymentId, ModelName, Probability};
use pointsman::features::FEATURE_SCHEMA;
use pointsman::outcome::{CandidateFacts, Logged, OutcomeRecord, replay_with};
use pointsman::prediction::{Digest, HEAD, Prediction, Predictor};
use pointsman::ranking::Policy;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::estimators::{Arm, Measure, Measures, Row, Target};
use super::versions::Versions;
use crate::outcomes::OutcomeSource;

/// Why a record is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// It does not parse, or is of a later version.
    Unreadable,
    /// Its features or its embedding are not those of this program.
    OtherInputs,
    /// Nobody passed the limits.
    Refused,
    /// A failure in it was asked for.
    Forced,
    /// The first choice was overtaken by a call beside it: its answer is unknown.
    HedgeLost,
    /// The first choice was not called, for want of time or money.
    NotCalled,
    /// Nobody scored it.
    Unscored,
}

/// What is known of models beside the records: older records lack their names in training.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<ModelName, (Option<String>, Option<Probability>)>);

/// Both artifacts.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// Who would like to serve.
    pub candidate: &'a Predictor,
    /// Who serves.
    pub incumbent: &'a Predictor,
}

/// What one artifact makes of every row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    /// Its chances of choosing each arm.
    pub target: Target,
    /// The quality that it predicts for who answered.
    pub predicted: Vec<f32>,
}

/// A log, ready for the estimators.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// One per record that counts.
    pub rows: Vec<Row>,
    /// Their scores.
    pub scores: Vec<f32>,
    /// What the candidate makes of them.
    pub candidate: Side,
    /// What the incumbent makes of them.
    pub incumbent: Side,
    /// How many records do not count, and why.
    pub left_out: BTreeMap<LeftOut, usize>,
    /// What came of every record, by the artifact that decided it; those that do not count, too.
    pub versions: Versions,
    /// Deployments by their id in the rows.
    ids: HashMap<DeploymentId, usize>,
}

impl Known {
    /// The models of a catalog.
    pub fn of(catalog: &Catalog) -> Self {
        let entry = |it: &std::sync::Arc<pointsman::catalog::Model>| {
            let prior = it.quality_prior.as_ref().map(|it| it.value);
            (it.name.clone(), (it.learned_as.clone(), prior))
        };
        Self(catalog.models().map(entry).collect())
    }

    /// Says what a model's name in training is, whatever else is known of it.
    pub fn set(&mut self, model: ModelName, learned_as: String) {
        self.0.insert(model, (Some(learned_as), None));
    }

    /// Fills in what a record does not say itself.
    pub fn complete(&self, facts: &mut CandidateFacts) {
        if facts.learned_as.is_none() && facts.quality_prior.is_none() {
            let known = self.0.get(&facts.model).cloned();
            (facts.learned_as, facts.quality_prior) = known.unwrap_or_default();
        }
    }
}

impl Log {
    /// Reads a log.
    ///
    /// # Errors
    /// When the source cannot be read on.
    pub fn read(source: &dyn OutcomeSource, pair: Pair<'_>, known: &Known) -> Result<Self> {
        let mut log = Self::default();
        source.each(&mut |logged| log.take(logged, pair, known))?;
        Ok(log)
    }

    /// Takes in one decision, or counts why it does not count.
    pub fn take(&mut self, logged: Result<Logged>, pair: Pair<'_>, known: &Known) {
        let logged = logged.map_err(|_| LeftOut::Unreadable);
        if let Ok(logged) = &logged {
            self.versions.add(logged);
        }
        if let Err(why) = logged.and_then(|it| self.add(it, pair, known)) {
            *self.left_out.entry(why).or_default() += 1;
        }
    }

    /// Takes in one decision.
    ///
    /// # Errors
    /// [`LeftOut`] where it does not count.
    pub fn add(&mut self, logged: Logged, pair: Pair<'_>, known: &Known) -> Result<(), LeftOut> {
        let chosen = chosen(&logged.record)?;
        let (exit, inputs) = (logged.record.encoder_exit, inputs(&logged.record));
        let fits = |it: &&Predictor| it.exits().contains(&exit) && it.inputs() == inputs.len();
        if ![pair.candidate, pair.incumbent].iter().all(fits) {
            return Err(LeftOut::OtherInputs);
        }
        let score = logged.score().ok_or(LeftOut::Unscored)?;
        let mut record = logged.record;
        record.candidates.iter_mut().for_each(|it| known.complete(it));
        let latent = pair.incumbent.latent_of(record.encoder_exit, &inputs);
        let ids = &mut self.ids;
        let arms = record.candidates.iter().map(|facts| {
            let next = ids.len();
            let id = *ids.entry(facts.deployment.clone()).or_insert(next);
            let ranked = record.ranked.iter().find(|it| it.deployment == facts.deployment);
            let logged = ranked.map_or(0.0, |it| it.propensity.get());
            Arm { id, logged, guess: guess(&facts.prediction, &record.policy) }
        });
        let mut row = Row {
            group: group(&record),
            context: latent.iter().map(|it| f64::from(*it)).collect(),
            arms: arms.collect(),
            chosen,
            reward: reward(&record, score),
        };
        let others = pair.candidate.latent_of(record.encoder_exit, &inputs);
        self.candidate.ask(pair.candidate, &record, others);
        self.incumbent.ask(pair.incumbent, &record, latent);
        if let Some((other, share)) = self.other_side(&record, pair) {
            mix(&mut row, other, share);
        }
        self.scores.push(score.get() as f32);
        self.rows.push(row);
        Ok(())
    }
}

impl Log {
    /// The chances of the artifact that a canary's draw did not let decide, and how likely it was to
    /// decide; where both artifacts of the draw are the two that are judged.
    fn other_side(&self, record: &OutcomeRecord, pair: Pair<'_>) -> Option<(&[f64], f64)> {
        let drawn = record.canary.as_ref()?;
        let (other, share) = match drawn.decided {
            true => (&drawn.incumbent, 1.0 - drawn.share.get()),
            false => (&drawn.canary, drawn.share.get()),
        };
        let known = [(pair.candidate, &self.candidate), (pair.incumbent, &self.incumbent)];
        let (_, side) = known.into_iter().find(|(it, _)| it.version() == other)?;
        side.target.last().map(|it| (it.as_slice(), share))
    }
}

/// Makes a row's chances those of the draw and what followed: who decided was drawn before anybody
/// looked at the prompt, so a choice that either artifact would make had its chance (the balance
/// heuristic: Agarwal, Basu, Schnabel and Joachims 2017, "Effective evaluation using logged bandit
/// feedback from multiple loggers").
fn mix(row: &mut Row, other: &[f64], share: f64) {
    for (arm, other) in row.arms.iter_mut().zip(other) {
        arm.logged = (1.0 - share) * arm.logged + share * other;
    }
}

impl Side {
    fn ask(&mut self, predictor: &Predictor, record: &OutcomeRecord, latent: [f32; HEAD]) {
        let predict = |deployment: &pointsman::catalog::Deployment, facts: &CandidateFacts| {
            let digest = Digest {
                latent,
                input_tokens: facts.prediction.input_tokens,
                max_output_tokens: record.need.max_output_tokens.unwrap_or(u64::MAX),
            };
            // How slow it was at that moment, beside what was believed before.
            let pace = predictor.logged_pace(&facts.prediction, facts.speed);
            let cached = facts.prediction.cached.tokens;
            predictor.predict_one(deployment, &digest, &pace).reusing(cached, &deployment.price)
        };
        let verdict = replay_with(record, predict);
        let (entries, excluded) = match &verdict {
            Ok(ranking) => (ranking.entries.as_slice(), ranking.excluded.as_slice()),
            Err(refusal) => (&[][..], refusal.excluded.as_slice()),
        };
        let chance = |facts: &CandidateFacts| {
            let entry = entries.iter().find(|it| it.deployment.id == facts.deployment);
            entry.map_or(0.0, |it| it.propensity.get())
        };
        self.target.push(record.candidates.iter().map(chance).collect());
        let ranked = entries.iter().map(|it| &it.prediction);
        let mut all = ranked.chain(excluded.iter().map(|it| &it.prediction));
        let served = all.find(|it| Some(&it.deployment) == record.served.as_ref());
        self.predicted.push(served.map_or(f32::NAN, |it| it.quality.mean.get() as f32));
    }
}

/// What the trunk sees of a prompt.
fn inputs(record: &OutcomeRecord) -> Vec<f32> {
    [record.embedding.as_slice(), record.features.as_slice()].concat()
}

/// Who was tried first, as an index into the candidates.
fn chosen(record: &OutcomeRecord) -> Result<usize, LeftOut> {
    if record.feature_schema != FEATURE_SCHEMA {
        return Err(LeftOut::OtherInputs);
    }
    let first = &record.ranked.first().ok_or(LeftOut::Refused)?.deployment;
    if record.attempts.iter().any(Attempt::is_forced) {
        return Err(LeftOut::Forced);
    }
    let mut own = record.attempts.iter().filter(|it| it.deployment == *first).peekable();
    own.peek().ok_or(LeftOut::NotCalled)?;
    if own.any(Attempt::is_hedge_loser) {
        return Err(LeftOut::HedgeLost);
    }
    if record.served.is_none() {
        return Err(LeftOut::Unscored);
    }
    let place = record.candidates.iter().position(|it| it.deployment == *first);
    place.ok_or(LeftOut::Unreadable)
}

/// What came of it, by one measure.
pub(crate) fn worth(record: &OutcomeRecord, score: Probability, measure: Measure) -> f64 {
    reward(record, score)[measure as usize]
}

/// What came of it. A call that only raced beside the one that answered is not paid here: another
/// policy would race others.
fn reward(record: &OutcomeRecord, score: Probability) -> Measures {
    let own = record.attempts.iter().filter(|it| !it.is_hedge_loser());
    let cost: f64 = own.map(|it| it.cost_usd.get()).sum();
    let budget = &record.policy.budget;
    let latency = record.total_ms / 1_000.0;
    let dear = budget.max_cost_usd.is_some_and(|it| cost > it.get());
    let broken = dear || latency > budget.max_latency.as_secs_f64();
    let utility = utility(&record.policy, score.get(), cost, latency);
    [score.get(), cost, latency, utility, f64::from(u8::from(broken))]
}

/// What was expected; of broken limits, none.
fn guess(prediction: &Prediction, policy: &Policy) -> Measures {
    let quality = prediction.quality.mean.get();
    let (cost, latency) = (prediction.expected_cost_usd(), prediction.latency_s.mean());
    [quality, cost, latency, utility(policy, quality, cost, latency), 0.0]
}

fn utility(policy: &Policy, quality: f64, cost_usd: f64, latency_s: f64) -> f64 {
    let worth = &policy.preference;
    quality
        - cost_usd / worth.cost_per_quality_usd
        - latency_s * 1_000.0 / worth.latency_per_quality_ms
}

/// One conversation is one group; else one prompt.
pub(crate) fn group(record: &OutcomeRecord) -> u64 {
    let mut hash = DefaultHasher::new();
    match &record.session_id {
        Some(session) => session.hash(&mut hash),
        None => {
            let inputs = record.embedding.iter().chain(&record.features);
            inputs.for_each(|it| it.to_bits().hash(&mut hash));
        }
    }
    hash.finish()
}
