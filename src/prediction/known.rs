//! What is known at the moment of a prediction, beside the artifact: plain values.
//!
//! In: speeds measured, what a provider's prompt cache may hold, beliefs that scores have moved. Out:
//! [`Known`], with which [`super::Predictor::predict_with`] predicts. Invariant: a prediction depends
//! on the prompt, the artifact and these values alone. Not here: where they come from and when they
//! are forgotten (see the pipeline).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::belief::Belief;
use super::forecast::Prediction;
use super::live::LiveStats;
use super::predictor::Digest;
use crate::catalog::Deployment;
use crate::domain::{DeploymentId, ModelName};

/// What is known beside the artifact.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// How fast everyone lately was.
    pub live: &'a LiveStats,
    /// The moment, on the clock of `live`.
    pub now: Duration,
    /// Who may hold the beginning of this prompt.
    pub held: Option<&'a HeldPrompt>,
    /// What scores have taught.
    pub learned: Option<&'a Learned>,
}

/// The beginning of a prompt, in a provider's cache.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldPrompt {
    /// Whose.
    pub deployment: DeploymentId,
    /// How many input tokens of this prompt it is expected to hold, by our count.
    pub tokens: f64,
}

/// Beliefs about models that scores have moved away from the artifact's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Learned(BTreeMap<ModelName, Taught>);

/// What scores came to, for one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Taught {
    /// What is believed of it now.
    pub belief: Arc<Belief>,
    /// How many scores made it so.
    pub updates: u64,
}

impl<'a> Known<'a> {
    /// Speeds and nothing else.
    pub fn of(live: &'a LiveStats, now: Duration) -> Self {
        Self { live, now, held: None, learned: None }
    }

    /// The artifact's prediction, with what scores and the session add to it.
    pub(super) fn refine(&self, of: &Deployment, digest: &Digest, it: Prediction) -> Prediction {
        let belief = self.learned.and_then(|it| it.of(&of.model.name));
        let quality = belief.map_or(it.quality, |it| it.head().estimate(&digest.latent, 0.0));
        let held = self.held.filter(|it| it.deployment == of.id);
        let cached_tokens = held.map_or(0.0, |it| it.tokens);
        Prediction { quality, ..it }.reusing(cached_tokens, &of.price)
    }
}

impl Learned {
    /// A copy with another belief about one model; `None` goes back to the artifact's.
    pub fn with(&self, model: &ModelName, taught: Option<Taught>) -> Self {
        let mut copy = self.0.clone();
        match taught {
            Some(taught) => copy.insert(model.clone(), taught),
            None => copy.remove(model),
        };
        Self(copy)
    }

    /// How many scores are in it.
    pub fn updates(&self) -> u64 {
        self.0.values().map(|it| it.updates).sum()
    }

    fn of(&self, model: &ModelName) -> Option<&Belief> {
        self.0.get(model).map(|it| &*it.belief)
    }
}
