//! What was expected of answers that may still be scored.
//!
//! In: decisions that were served, scores. Out: the expectation that a score is held against, for the
//! metrics. Invariant: bounded ([`EXPECTED_MAX`]); of each answer one score counts, the first. Not
//! here: what scores teach (see [`super::lessons`]), and the whole log's drift (`pointsman-train
//! evaluate`).

use quick_cache::sync::Cache;

use super::Decision;
use crate::dispatch::{ChainEnd, Dispatched};
use crate::domain::{Attempt, DecisionId, ModelName};

/// Answers remembered, the newest: some 4 MB when full. At ten requests per second that is an hour; a
/// later score is in the log, and not in the metrics.
const EXPECTED_MAX: usize = 32_768;

/// Whose answer, and how good it was expected to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expected {
    pub(super) model: ModelName,
    /// 0 to 1.
    pub(super) quality: f64,
}

/// Answers that nobody has scored yet.
pub(super) struct Expectations(Cache<DecisionId, Expected>);

impl Expectations {
    pub(super) fn new() -> Self {
        Self(Cache::new(EXPECTED_MAX))
    }

    /// Takes in a request that ended. What was put together, or failed on purpose, is nobody's.
    pub(super) fn note(&self, decision: &Decision, dispatched: &Dispatched) {
        let ChainEnd::Served { deployment, .. } = &dispatched.end else { return };
        let own =
            dispatched.seams.is_empty() && !dispatched.attempts.iter().any(Attempt::is_forced);
        let Some(ranking) = decision.verdict.as_ref().ok().filter(|_| own) else { return };
        let ranked = ranking.entries.iter().find(|it| it.deployment.id == deployment.id);
        if let Some(ranked) = ranked {
            let model = deployment.model.name.clone();
            let quality = ranked.prediction.quality.mean.get();
            self.0.insert(decision.id, Expected { model, quality });
        }
    }

    /// What was expected of an answer, the first time that somebody asks.
    pub(super) fn take(&self, decision: DecisionId) -> Option<Expected> {
        self.0.remove(&decision).map(|(_, expected)| expected)
    }
}
