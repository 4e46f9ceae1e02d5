//! Yesterday's outcomes into tomorrow's artifact: `pointsman-train fit --outcomes` and `retrain`.
//!
//! In: an [`OutcomeSource`] and the served artifact. Out: [`Relearned`]: a candidate, what was learned
//! from, and what the promotion gate has to say. Invariant: the log is read twice and never held; no
//! decision is judged by an artifact that learned from it or from its conversation (five folds, each
//! judged by what was learned on the other four; the candidate itself learns from all); what the served
//! artifact learned from before is not learned again. Not here: putting it in place.

mod cli;
mod learner;
mod taught;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use pointsman::outcome::Logged;
use pointsman::prediction::{Artifact, Lineage, Predictor};
use serde::Serialize;

use crate::offpolicy::{Known, Log, Pair, Report, group};
use crate::outcomes::OutcomeSource;

pub use cli::{Refused, RelearnArgs, RetrainArgs, fit};
pub use learner::{DRIFT, Learner, Served};
pub use taught::{Mute, Taught, taught, weight_of};

/// Folds of the judging: each part is judged by what was learned on 80 % of the log.
const FOLDS: u64 = 5;

/// What is learned from.
#[derive(Debug, Clone)]
pub struct Lessons {
    /// See [`DRIFT`].
    pub drift: f64,
    /// No decision younger than this, milliseconds since 1970 UTC: its scores may be still to come.
    pub until_unix_ms: u64,
    /// What is known of models beside the log.
    pub known: Known,
}

impl Default for Lessons {
    fn default() -> Self {
        Self { drift: DRIFT, until_unix_ms: u64::MAX, known: Known::default() }
    }
}

/// How much was learned from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Decisions that taught something.
    pub decisions: u64,
    /// Decisions that taught nothing, and why.
    pub mute: BTreeMap<Mute, u64>,
}

/// A candidate, and what speaks for and against it.
#[derive(Debug)]
pub struct Relearned {
    /// The candidate.
    pub artifact: Artifact,
    /// What it learned from.
    pub counts: Counts,
    /// What the log says of it, by folds.
    pub report: Report,
}

/// Learns from the log, without judging.
///
/// # Errors
/// When the source cannot be read on, or a belief has no inverse.
pub fn learn(
    source: &dyn OutcomeSource,
    served: &Served,
    lessons: &Lessons,
) -> Result<(Artifact, Counts)> {
    let mut class = Class::new(served, lessons, 0);
    class.attend(source)?;
    let (artifact, _, counts) = class.finish()?;
    Ok((artifact, counts))
}

/// Learns from the log, and judges by it.
///
/// # Errors
/// As for [`learn`].
pub fn relearn(
    source: &dyn OutcomeSource,
    served: &Served,
    lessons: &Lessons,
) -> Result<Relearned> {
    let mut class = Class::new(served, lessons, FOLDS);
    class.attend(source)?;
    let (artifact, folds, counts) = class.finish()?;
    let folds: Vec<Predictor> = folds.into_iter().map(Predictor::new).collect();
    let mut log = Log::default();
    source.each(&mut |logged| judge(logged, (&mut log, &folds), served, lessons))?;
    let candidate = Predictor::new(artifact.clone());
    let pair = Pair { candidate: &candidate, incumbent: &served.predictor };
    Ok(Relearned { artifact, counts, report: Report::new(&log, pair) })
}

fn judge(
    logged: Result<Logged>,
    (log, folds): (&mut Log, &[Predictor]),
    served: &Served,
    lessons: &Lessons,
) {
    let fold = match &logged {
        Err(_) => Some(&served.predictor),
        Ok(it) if !in_time(it, served, lessons) => return,
        Ok(it) => folds.get((group(&it.record) % FOLDS) as usize),
    };
    let candidate = fold.unwrap_or(&served.predictor);
    log.take(logged, Pair { candidate, incumbent: &served.predictor }, &lessons.known);
}

fn in_time(logged: &Logged, served: &Served, lessons: &Lessons) -> bool {
    let at = logged.record.at_unix_ms;
    let known = served.learned_until_unix_ms().is_some_and(|until| at <= until);
    !known && at <= lessons.until_unix_ms
}

/// One learner for all, and one for each fold that learns from all others.
struct Class<'a> {
    served: &'a Served,
    lessons: &'a Lessons,
    whole: Learner<'a>,
    folds: Vec<Learner<'a>>,
    counts: Counts,
}

impl<'a> Class<'a> {
    fn new(served: &'a Served, lessons: &'a Lessons, folds: u64) -> Self {
        let learner = || Learner::new(served, lessons.drift);
        let folds = (0..folds).map(|_| learner()).collect();
        Self { served, lessons, whole: learner(), folds, counts: Counts::default() }
    }

    fn attend(&mut self, source: &dyn OutcomeSource) -> Result<()> {
        let mut failed = None;
        source.each(&mut |logged| match self.hear(logged) {
            Ok(Ok(())) => self.counts.decisions += 1,
            Ok(Err(mute)) => *self.counts.mute.entry(mute).or_default() += 1,
            Err(error) => failed = Some(error),
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn hear(&mut self, logged: Result<Logged>) -> Result<Result<(), Mute>> {
        let Ok(mut logged) = logged else { return Ok(Err(Mute::Unreadable)) };
        if !in_time(&logged, self.served, self.lessons) {
            return Ok(Err(Mute::OtherTime));
        }
        logged.record.candidates.iter_mut().for_each(|it| self.lessons.known.complete(it));
        let taught = match taught(&logged, &self.served.predictor) {
            Ok(taught) => taught,
            Err(mute) => return Ok(Err(mute)),
        };
        let at = logged.record.at_unix_ms;
        self.whole.add(&taught, at)?;
        let own = (group(&logged.record) % FOLDS) as usize;
        for (fold, learner) in self.folds.iter_mut().enumerate() {
            if fold != own {
                learner.add(&taught, at)?;
            }
        }
        Ok(Ok(()))
    }

    fn finish(self) -> Result<(Artifact, Vec<Artifact>, Counts)> {
        let folds = self.folds.into_iter().map(Learner::finish).collect::<Result<_>>()?;
        Ok((self.whole.finish()?, folds, self.counts))
    }
}

impl Relearned {
    /// Every reason not to let it serve; none is a yes.
    pub fn reasons(&self) -> &[String] {
        &self.report.shortfalls
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} decisions teach something", self.decisions)?;
        self.mute.iter().try_for_each(|(why, it)| writeln!(out, "{it} do not: {}", why.as_str()))
    }
}

/// What a lineage says, for a model card.
fn told(lineage: &Lineage) -> String {
    format!(
        "From {} scores and the tokens of {} answers, by MAP from `{}` (generation {} of `{}`). The \
         figures above are those of `{}`.",
        lineage.scores,
        lineage.answers,
        lineage.parent,
        lineage.generation,
        lineage.root,
        lineage.root
    )
}
