//! The heads of a served artifact, moved by what the log says.
//!
//! In: the served artifact, decisions one by one. Out: an artifact of its own version and lineage.
//! The served belief of a model is the prior, widened a little, since the world moves between two
//! times of learning; its maximum is found chunk by chunk, each chunk's posterior being the prior of
//! the next. Invariant: the trunk and the heads of models that nothing was said of stay bit by bit; memory
//! does not grow with the log. Not here: whether the result may serve (see [`crate::offpolicy`]).

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pointsman::domain::sha256_hex;
use pointsman::prediction::{
    Artifact, Belief, FORMAT_VERSION, HEAD, LearnedModel, Lineage, Predictor, packed_len,
};

use super::taught::Taught;
use super::tokens::TokenSums;
use crate::newcomer::{Lesson, posterior_weighted, starting_belief};

/// Scores of one model that are learned from at once: Newton's method on them takes milliseconds, and a
/// hundred models' worth of them is 10 MB.
const CHUNK: usize = 512;
/// How far a model is believed to have moved since it was learned last, in the variance with which
/// models differ from each other. A tenth lets some fifty scores of one kind of prompt outweigh any
/// number of old ones.
pub const DRIFT: f64 = 0.1;

/// An artifact, and what it predicts.
#[derive(Debug)]
pub struct Served {
    /// The artifact.
    pub artifact: Artifact,
    /// The same, ready to predict.
    pub predictor: Predictor,
}

impl Served {
    /// Makes it ready.
    pub fn new(artifact: Artifact) -> Self {
        let predictor = Predictor::new(artifact.clone());
        Self { artifact, predictor }
    }

    fn row(&self, name: &str) -> Option<usize> {
        self.artifact.manifest.models.iter().position(|it| it.name == name)
    }

    /// The newest decision that it has learned from, milliseconds since 1970 UTC.
    pub fn learned_until_unix_ms(&self) -> Option<u64> {
        self.artifact.manifest.lineage.as_ref().map(|it| it.outcomes_until_unix_ms)
    }
}

/// What is being learned.
pub struct Learner<'a> {
    served: &'a Served,
    drift: f64,
    students: BTreeMap<String, Student>,
    until_unix_ms: u64,
}

/// One model.
struct Student {
    belief: Belief,
    waiting: Vec<(Lesson, f64)>,
    scores: u64,
    quality: f64,
    tokens: TokenSums,
}

impl<'a> Learner<'a> {
    /// Begins; see [`DRIFT`].
    pub fn new(served: &'a Served, drift: f64) -> Self {
        Self { served, drift, students: BTreeMap::new(), until_unix_ms: 0 }
    }

    /// Takes in what one decision teaches.
    ///
    /// # Errors
    /// When a belief has no inverse, which would be a defect of the artifact.
    pub fn add(&mut self, taught: &Taught, at_unix_ms: u64) -> Result<()> {
        self.until_unix_ms = self.until_unix_ms.max(at_unix_ms);
        if !self.students.contains_key(&taught.name) {
            self.students.insert(taught.name.clone(), self.student(taught));
        }
        let Some(student) = self.students.get_mut(&taught.name) else { return Ok(()) };
        if let Some(log_tokens) = taught.log_tokens {
            let (_, head) = self.served.predictor.heads(Some(&taught.name));
            student.tokens.add(&head, &taught.latent, log_tokens);
        }
        if let Some(lesson) = taught.lesson {
            student.waiting.push(lesson);
            student.scores += 1;
            student.quality += f64::from(lesson.0.quality);
        }
        if student.waiting.len() >= CHUNK { student.learn() } else { Ok(()) }
    }

    /// A model that the artifact knows starts where it is served, widened; any other at the prior.
    fn student(&self, taught: &Taught) -> Student {
        let predictor = &self.served.predictor;
        let belief = match self.served.row(&taught.name) {
            None => starting_belief(predictor, taught.quality_prior),
            Some(_) => {
                let (head, _) = predictor.heads(Some(&taught.name));
                let between = &self.served.artifact.prior_quality_covariance;
                let widened = head.covariance.iter().zip(between);
                let widened = widened.map(|(own, it)| own + self.drift as f32 * it);
                Belief { mean: head.mean.to_vec(), covariance: widened.collect() }
            }
        };
        let (waiting, tokens) = (Vec::new(), TokenSums::default());
        Student { belief, waiting, scores: 0, quality: 0.0, tokens }
    }

    /// The artifact after all decisions.
    ///
    /// # Errors
    /// As for [`Learner::add`].
    pub fn finish(mut self) -> Result<Artifact> {
        let mut learned = self.served.artifact.clone();
        let lineage = self.lineage();
        for (name, student) in &mut self.students {
            student.learn()?;
            student.write(name, self.served, &mut learned);
        }
        learned.manifest.format_version = FORMAT_VERSION;
        learned.manifest.data.labels += lineage.scores;
        let digest = sha256_hex(&learned.weights().context("the weights do not fit together")?);
        learned.manifest.version =
            format!("{}.{}-{}", lineage.root, lineage.generation, &digest[..8]);
        learned.manifest.weights_sha256 = digest;
        learned.manifest.lineage = Some(lineage);
        Ok(learned)
    }

    fn lineage(&self) -> Lineage {
        let manifest = &self.served.artifact.manifest;
        let before = manifest.lineage.as_ref();
        let until = before.map_or(0, |it| it.outcomes_until_unix_ms);
        Lineage {
            root: before.map_or_else(|| manifest.version.clone(), |it| it.root.clone()),
            parent: manifest.version.clone(),
            generation: 1 + before.map_or(0, |it| it.generation),
            outcomes_until_unix_ms: self.until_unix_ms.max(until),
            scores: self.students.values().map(|it| it.scores).sum(),
            answers: self.students.values().map(|it| it.tokens.answers).sum(),
        }
    }
}

impl Student {
    fn learn(&mut self) -> Result<()> {
        self.belief = posterior_weighted(&self.belief, &self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// Puts what was learned into the model's row, a new one where it has none.
    fn write(&self, name: &str, served: &Served, into: &mut Artifact) {
        let (quality, tokens) = served.predictor.heads(Some(name));
        let (tokens_mean, tokens_sigma) = self.tokens.learned(&tokens);
        // Where nobody scored it, its quality is believed as before; the widening was for this time.
        let untouched =
            || Belief { mean: quality.mean.to_vec(), covariance: quality.covariance.to_vec() };
        let Some(row) = served.row(name) else {
            into.quality_mean.extend(&self.belief.mean);
            into.quality_covariance.extend(&self.belief.covariance);
            into.tokens_mean.extend(tokens_mean);
            into.tokens_sigma.push(tokens_sigma);
            let model =
                LearnedModel { name: name.to_owned(), labels: 0, quality: 0.0, token_labels: 0 };
            into.manifest.models.push(model);
            self.count(into.manifest.models.last_mut());
            return;
        };
        let belief = if self.scores > 0 { self.belief.clone() } else { untouched() };
        let packed = packed_len();
        into.quality_mean[row * HEAD..(row + 1) * HEAD].copy_from_slice(&belief.mean);
        into.quality_covariance[row * packed..(row + 1) * packed]
            .copy_from_slice(&belief.covariance);
        into.tokens_mean[row * HEAD..(row + 1) * HEAD].copy_from_slice(&tokens_mean);
        into.tokens_sigma[row] = tokens_sigma;
        self.count(into.manifest.models.get_mut(row));
    }

    fn count(&self, model: Option<&mut LearnedModel>) {
        let Some(model) = model else { return };
        let sum = model.quality * f64::from(model.labels) + self.quality;
        let count = |more: u64| u32::try_from(more).unwrap_or(u32::MAX);
        model.labels = model.labels.saturating_add(count(self.scores));
        model.token_labels = model.token_labels.saturating_add(count(self.tokens.answers));
        model.quality = sum / f64::from(model.labels.max(1));
    }
}
