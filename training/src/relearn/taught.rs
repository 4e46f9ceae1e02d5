//! What one decision teaches of the model that answered.
//!
//! In: a logged decision and the artifact whose trunk reads it. Out: [`Taught`], or why it teaches
//! nothing. Invariant: a score belongs to who answered, not to who was tried first; an answer that was
//! put together, cut or asked to fail is nobody's. Not here: what is made of it.

use pointsman::domain::{Attempt, Probability, Usage};
use pointsman::encoder::WIDTH;
use pointsman::features::{COUNT, FEATURE_SCHEMA};
use pointsman::outcome::{CandidateFacts, FeedbackKind, Logged, OutcomeRecord};
use pointsman::prediction::{HEAD, Predictor};
use serde::Serialize;

use crate::newcomer::Lesson;

/// What a decision teaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Taught {
    /// The model's name in training.
    pub name: String,
    /// What its mean quality was believed to be before anything was learned.
    pub quality_prior: Option<Probability>,
    /// What the prompt asks for.
    pub latent: [f32; HEAD],
    /// The score, and how much it counts.
    pub lesson: Option<(Lesson, f64)>,
    /// The logarithm of the output tokens, where the provider counted them and they were not cut.
    pub log_tokens: Option<f64>,
}

/// Why a decision teaches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mute {
    /// It does not parse, or is of a later version.
    Unreadable,
    /// It was learned from before, or is younger than is wanted.
    OtherTime,
    /// Its features or its embedding are not those of this program.
    OtherInputs,
    /// Nobody answered in one piece.
    Unanswered,
    /// A failure in it was asked for.
    Forced,
    /// It has no score, and its tokens are an estimate or were cut.
    Nothing,
}

impl Mute {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "they cannot be read",
            Self::OtherTime => "they were learned from before, or are too young",
            Self::OtherInputs => "their features or embeddings are of another program",
            Self::Unanswered => "nobody answered in one piece",
            Self::Forced => "a failure in them was asked for",
            Self::Nothing => "they have no score, and tokens that are not counted",
        }
    }
}

/// How much a score counts, in labels. What a person or a known answer says holds. A judge agrees with
/// people in some four of five cases (Zheng et al. 2023, arXiv 2306.05685), so it counts half; behaviour
/// is a hint.
pub fn weight_of(kind: FeedbackKind) -> f64 {
    match kind {
        FeedbackKind::Explicit | FeedbackKind::ExactMatch => 1.0,
        FeedbackKind::Judge => 0.5,
        FeedbackKind::Implicit => 0.2,
    }
}

/// What a decision teaches.
///
/// # Errors
/// [`Mute`].
pub fn taught(logged: &Logged, reader: &Predictor) -> Result<Taught, Mute> {
    let record = &logged.record;
    let exit = record.encoder_exit;
    let sound = record.feature_schema == FEATURE_SCHEMA
        && record.features.len() == COUNT
        && record.embedding.len() == WIDTH
        && reader.exits().contains(&exit);
    if !sound {
        return Err(Mute::OtherInputs);
    }
    if record.attempts.iter().any(Attempt::is_forced) {
        return Err(Mute::Forced);
    }
    let (facts, usage) = answered(record).ok_or(Mute::Unanswered)?;
    let inputs = [record.embedding.as_slice(), record.features.as_slice()].concat();
    let latent = reader.latent_of(exit, &inputs);
    let quality = logged.score().map(|it| it.get() as f32);
    let lesson = quality.map(|quality| (Lesson { latent, quality }, weight(logged)));
    let cap = record.need.max_output_tokens.unwrap_or(u64::MAX).min(facts.max_output_tokens);
    let whole = usage.filter(|it| (1..cap).contains(&it.output_tokens));
    let log_tokens = whole.map(|it| (it.output_tokens as f64).ln());
    if lesson.is_none() && log_tokens.is_none() {
        return Err(Mute::Nothing);
    }
    let name = facts.learned_as.as_deref().unwrap_or(facts.model.as_str()).to_owned();
    Ok(Taught { name, quality_prior: facts.quality_prior, latent, lesson, log_tokens })
}

/// Who gave the whole answer, and what it used, where its provider counted.
fn answered(record: &OutcomeRecord) -> Option<(&CandidateFacts, Option<Usage>)> {
    let served = record.served.as_ref().filter(|_| record.end == "served")?;
    if !record.seams.is_empty() {
        return None;
    }
    let facts = record.candidates.iter().find(|it| it.deployment == *served)?;
    let mut own = record.attempts.iter().rev().filter(|it| it.deployment == *served);
    let attempt = own.find(|it| it.failure.is_none())?;
    Some((facts, (!attempt.usage_estimated).then_some(attempt.usage)))
}

/// The weight of the surest kind, which is the one that [`Logged::score`] takes.
fn weight(logged: &Logged) -> f64 {
    logged.scores.iter().map(|(kind, _)| weight_of(*kind)).fold(0.0, f64::max)
}
