//! What somebody thought of an answer, however much later.
//!
//! In: a decision's id and a score. Out: [`FeedbackReceipt`]. Invariant: one score per decision,
//! kind and idempotency key; the first one counts. Not here: what is learned from it.

use serde::{Deserialize, Serialize};

use crate::domain::{DecisionId, Probability, Text};

/// A score for a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Feedback {
    /// Which decision.
    pub decision: DecisionId,
    /// How good the answer was: 0 useless, 1 right.
    pub score: Probability,
    /// Who says so.
    pub kind: FeedbackKind,
    /// In words, if any; kept as given whatever the setting for prompts.
    pub comment: Option<Text>,
    /// Tells a repetition from a second opinion. Without one (or with an empty one), each kind may
    /// score a decision once.
    pub idempotency_key: Option<String>,
}

/// Who scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// A person who was asked, or pressed a button.
    Explicit,
    /// A model that judged.
    Judge,
    /// A comparison with a known answer.
    ExactMatch,
    /// Behaviour, for instance a retry or a copy.
    Implicit,
}

impl FeedbackKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Explicit, Self::Judge, Self::ExactMatch, Self::Implicit];

    /// Its name in the log and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Judge => "judge",
            Self::ExactMatch => "exact_match",
            Self::Implicit => "implicit",
        }
    }
}

/// What became of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedbackReceipt {
    /// It is committed.
    Stored,
    /// One with this key (or of this kind, without a key) was there before; that one stays.
    AlreadyStored,
    /// No decision of this id is in the log.
    UnknownDecision,
}
