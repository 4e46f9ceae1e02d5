//! Learning from scores while serving.
//!
//! In: decisions of the log with what was said of them. Out: [`Learned`], which predictions are made
//! with. Invariant: what is believed is a function of the artifact and of the newest scored decisions
//! of the log, in their order, whatever the order in which scores came: so a score that comes again
//! changes nothing, one that adds to a decision's earlier scores counts as if all had come at once, and
//! a restart on the same log comes to the same bits. One decision is one lesson, however many scores
//! it has. Not here: which scores the log takes (the first of each kind and key: a later one with the
//! same is not stored, and so not learned from).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::catalog::{Fleet, Model};
use crate::domain::{DecisionId, ModelName, Probability};
use crate::features::FEATURE_SCHEMA;
use crate::outcome::{FeedbackKind, Logged, OutcomeError, OutcomeReader, OutcomeRecord};
use crate::prediction::{HEAD, Learned, Predictor, Taught};

/// Decisions that are learned from, the newest: at some 200 bytes each half a megabyte, and read from
/// the log in a fraction of a second at the start.
const LESSONS_MAX: usize = 2_048;
/// Of these for one model, the newest. In the prototype a newcomer's AUC rose to 0.73 with 300 labels
/// and no further, and learning so many again takes a few milliseconds.
const LESSONS_PER_MODEL_MAX: usize = 512;

/// Whether scores change the choice while serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Learning {
    /// No: they are kept for training. The default.
    #[default]
    Off,
    /// Yes, at once.
    Online,
}

/// What has been learned from scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LearningState {
    /// Scored decisions that the beliefs come from.
    pub updates: u64,
    /// Scored decisions that say nothing here: of another artifact, encoder or feature schema, of a
    /// model that is not served any more, without one answer of one model. One that was scored twice
    /// counts twice.
    pub skipped: u64,
}

/// How much a score of this kind counts beside a person's; `None` where nothing is learned from it.
/// People and known answers count whole. A judge counts half: it agrees with people about as often as
/// they do with each other (80 %), but its mistakes go one way, towards long answers and its own
/// (Zheng et al. 2023, "Judging LLM-as-a-judge"), so they do not cancel out. Behaviour has many reasons
/// besides the answer's quality.
fn weight(kind: FeedbackKind) -> Option<f64> {
    match kind {
        FeedbackKind::Explicit | FeedbackKind::ExactMatch => Some(1.0),
        FeedbackKind::Judge => Some(0.5),
        FeedbackKind::Implicit => None,
    }
}

/// What one decision teaches.
#[derive(Debug, Clone, PartialEq)]
struct Lesson {
    model: ModelName,
    latent: [f32; HEAD],
    quality: Probability,
    weight: f64,
}

/// All lessons of one artifact, and what they came to. Nothing is believed before its log was read.
#[derive(Default)]
pub(super) struct Lessons {
    taken: Mutex<Taken>,
    learned: RwLock<Arc<Learned>>,
}

#[derive(Default)]
struct Taken {
    /// Whether the log was read.
    whole: bool,
    /// In the order of their decisions' ids, which is that of time.
    all: BTreeMap<DecisionId, Lesson>,
    skipped: u64,
}

/// Who is learned about, and from what it starts.
#[derive(Clone, Copy)]
pub(super) struct Pupils<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) predictor: &'a Predictor,
}

impl Lessons {
    /// What scores have taught so far.
    pub(super) fn learned(&self) -> Arc<Learned> {
        Arc::clone(&self.learned.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn state(&self) -> LearningState {
        LearningState { updates: self.learned().updates(), skipped: self.taken().skipped }
    }

    /// Learns anew from the newest scores of a log. Blocks while it reads.
    pub(super) fn study_log(&self, log: &Path, of: Pupils<'_>) -> Result<(), OutcomeError> {
        self.study_into(&mut self.taken(), log, of)
    }

    fn study_into(
        &self,
        taken: &mut Taken,
        log: &Path,
        of: Pupils<'_>,
    ) -> Result<(), OutcomeError> {
        let mut fresh = Taken { whole: true, ..Taken::default() };
        OutcomeReader::open(log)?.newest_scored(LESSONS_MAX, |logged| match logged {
            Ok(logged) => drop(fresh.take(&logged, of)),
            Err(_) => fresh.skipped += 1,
        })?;
        let all = of.fleet.models().iter().map(|it| it.name.clone()).collect();
        self.publish(&fresh, all, of);
        *taken = fresh;
        Ok(())
    }

    /// Learns from what was said of one decision. Blocks while it reads.
    pub(super) fn study(
        &self,
        log: &Path,
        decision: DecisionId,
        of: Pupils<'_>,
    ) -> Result<(), OutcomeError> {
        // Before reading, so that of two scores for one decision the later reader has both.
        let mut taken = self.taken();
        if !taken.whole {
            return self.study_into(&mut taken, log, of);
        }
        let Some(logged) = OutcomeReader::open(log)?.one(decision)? else { return Ok(()) };
        let changed = taken.take(&logged, of);
        self.publish(&taken, changed, of);
        Ok(())
    }

    /// Learns anew about the models whose lessons changed.
    fn publish(&self, taken: &Taken, changed: BTreeSet<ModelName>, of: Pupils<'_>) {
        let models = of.fleet.models();
        let changed = models.iter().filter(|it| changed.contains(&it.name));
        let next = changed.fold(self.learned(), |learned, model| {
            Arc::new(learned.with(&model.name, taken.taught(model, of.predictor)))
        });
        *self.learned.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// A lesson is put in or taken out whole: a thread that panicked while holding them did no harm.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Takes in a decision; says about whom something else is to be believed now.
    fn take(&mut self, logged: &Logged, of: Pupils<'_>) -> BTreeSet<ModelName> {
        let mut changed = BTreeSet::new();
        let surest = logged.surest();
        let Some((weight, quality)) = surest.and_then(|(kind, it)| Some((weight(kind)?, it)))
        else {
            return changed;
        };
        let Some((model, latent)) = served(&logged.record, of) else {
            self.skipped += 1;
            return changed;
        };
        let lesson = Lesson { model: model.clone(), latent, quality, weight };
        if self.all.get(&logged.record.decision) != Some(&lesson) {
            self.all.insert(logged.record.decision, lesson);
            changed.insert(model);
        }
        while self.all.len() > LESSONS_MAX {
            changed.extend(self.all.pop_first().map(|(_, oldest)| oldest.model));
        }
        changed
    }

    /// What is believed of a model after its newest lessons; `None` without any.
    fn taught(&self, model: &Model, predictor: &Predictor) -> Option<Taught> {
        let newest = self.all.values().rev().filter(|it| it.model == model.name);
        let newest: Vec<_> = newest.take(LESSONS_PER_MODEL_MAX).collect();
        let oldest_first = newest.iter().rev();
        let belief = oldest_first.fold(predictor.start(model), |belief, it| {
            belief.head().updated_by(&it.latent, it.quality, it.weight)
        });
        let updates = newest.len() as u64;
        (updates > 0).then(|| Taught { belief: Arc::new(belief), updates })
    }
}

/// A score that was not learned from is in the log all the same.
pub(super) fn tell(studied: Result<(), OutcomeError>) {
    if let Err(error) = studied {
        tracing::warn!(%error, "nothing could be learned from the log");
    }
}

/// Which model gave the answer, and what its prompt asked for, by the trunk in use; `None` where the
/// record was made by another one, or says nothing of one model of the fleet.
fn served(record: &OutcomeRecord, of: Pupils<'_>) -> Option<(ModelName, [f32; HEAD])> {
    let Pupils { fleet, predictor } = of;
    let ours = record.artifact_version == predictor.version()
        && record.feature_schema == FEATURE_SCHEMA
        && predictor.exits().contains(&record.encoder_exit)
        && record.embedding.len() + record.features.len() == predictor.inputs();
    // An answer with a seam is the work of two.
    let served = record.served.as_ref().filter(|_| ours && record.seams.is_empty())?;
    let facts = record.candidates.iter().find(|it| it.deployment == *served)?;
    let row = [record.embedding.as_slice(), record.features.as_slice()].concat();
    let latent = predictor.latent_of(record.encoder_exit, &row);
    fleet.has_model(&facts.model).then(|| (facts.model.clone(), latent))
}
