//! An outcome or a score as the row that is kept of it, ready to be put away or sent on.
//!
//! In: a [`Write`]. Out: a [`Row`]. Invariant: whatever makes a row can be read back; a row's name is
//! the same whenever the same thing is written again, so that twice is once. No `Debug`: rows hold
//! comments, and prompts where the operator keeps them. Not here: where rows go.

use serde::{Deserialize, Serialize};

use super::feedback::{Feedback, FeedbackKind};
use super::record::OutcomeRecord;
use super::signals::{self, Signal};
use super::sqlite::blob;
use super::store::{OutcomeError, Write};
use crate::domain::{DecisionId, DeploymentId, Text};

/// What is kept of a [`Write`].
pub(super) struct Row {
    /// Everything but the large parts.
    pub(super) head: Head,
    /// The record's JSON; empty for a score.
    pub(super) record: String,
    /// f32, little endian; empty for a score.
    pub(super) features: Vec<u8>,
    /// As `features`.
    pub(super) embedding: Vec<u8>,
}

/// The small columns. Written to the spool as JSON: fields may be added with a default, and are never
/// renamed, since a spool is read by the version after the one that wrote it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Head {
    /// Of a decision's outcome.
    Outcome(OutcomeHead),
    /// Of a score.
    Feedback(FeedbackHead),
}

/// Columns to filter and to sum by; the JSON is the truth.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OutcomeHead {
    pub(super) decision: String,
    pub(super) at_unix_ms: i64,
    pub(super) record_version: i64,
    pub(super) ended: String,
    pub(super) served: Option<String>,
    pub(super) cost_picousd: i64,
    pub(super) total_ms: f64,
    pub(super) attempts: i64,
    pub(super) session_id: Option<String>,
    pub(super) request_id: Option<String>,
}

/// A score of a caller, or a signal of the service itself.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct FeedbackHead {
    pub(super) decision: String,
    pub(super) kind: String,
    /// Empty for what callers say, as is `about`.
    pub(super) signal: String,
    pub(super) about: String,
    pub(super) idempotency_key: String,
    pub(super) score: f64,
    pub(super) weight: f64,
    pub(super) comment: Option<Text>,
    pub(super) at_unix_ms: i64,
}

impl Row {
    /// The row of something to be written, and those of the signals that it gives by itself.
    ///
    /// # Errors
    /// [`OutcomeError::NotFinite`] and `Unwritable` for a record that could not be read back.
    pub(super) fn of(write: Write) -> Result<(Self, Vec<Self>), OutcomeError> {
        let head = match write {
            Write::Outcome(record) => return Self::of_record(*record),
            Write::Feedback { feedback, at_unix_ms } => FeedbackHead::of(&feedback, at_unix_ms),
            Write::Signal { decision, signal, about, at_unix_ms } => {
                FeedbackHead::of_signal(decision, (signal, &about), at_unix_ms)
            }
        };
        Ok((Self::small(Head::Feedback(head)), Vec::new()))
    }

    fn small(head: Head) -> Self {
        Self { head, record: String::new(), features: Vec::new(), embedding: Vec::new() }
    }

    fn of_record(mut record: OutcomeRecord) -> Result<(Self, Vec<Self>), OutcomeError> {
        let decision = record.decision;
        if let Some(field) = record.unwritable() {
            return Err(OutcomeError::NotFinite { decision, field });
        }
        let ended = record.at_unix_ms.saturating_add(record.total_ms.max(0.0) as u64);
        let signals = signals::of(&record).into_iter().map(|(signal, about)| {
            let head = FeedbackHead::of_signal(decision, (signal, &about), ended);
            Self::small(Head::Feedback(head))
        });
        let signals = signals.collect();
        let features = blob(&std::mem::take(&mut record.features));
        let embedding = blob(&std::mem::take(&mut record.embedding));
        let json = serde_json::to_string(&record);
        let json = json.map_err(|_| OutcomeError::Unwritable(decision))?;
        let head = OutcomeHead {
            decision: decision.to_string(),
            at_unix_ms: record.at_unix_ms.cast_signed(),
            record_version: i64::from(record.version),
            ended: record.end,
            served: record.served.map(String::from),
            cost_picousd: record.cost_usd.signed_picousd(),
            total_ms: record.total_ms,
            attempts: record.attempts.len() as i64,
            session_id: record.session_id.as_deref().map(without_nul),
            request_id: record.request_id.as_deref().map(without_nul),
        };
        Ok((Self { head: Head::Outcome(head), record: json, features, embedding }, signals))
    }

    /// What tells it from every other row.
    pub(super) fn name(&self) -> String {
        match &self.head {
            Head::Outcome(it) => it.decision.clone(),
            Head::Feedback(it) => {
                let FeedbackHead { decision, kind, signal, about, idempotency_key, .. } = it;
                format!("{decision}/{kind}/{signal}/{about}/{idempotency_key}")
            }
        }
    }

    /// When it came about, milliseconds since 1970 UTC.
    pub(super) fn at_unix_ms(&self) -> i64 {
        match &self.head {
            Head::Outcome(it) => it.at_unix_ms,
            Head::Feedback(it) => it.at_unix_ms,
        }
    }
}

impl FeedbackHead {
    fn of(feedback: &Feedback, at_unix_ms: u64) -> Self {
        let key = feedback.idempotency_key.as_deref().unwrap_or_default();
        Self {
            decision: feedback.decision.to_string(),
            kind: feedback.kind.as_str().to_owned(),
            signal: String::new(),
            about: String::new(),
            idempotency_key: without_nul(key),
            score: feedback.score.get(),
            weight: 1.0,
            comment: feedback.comment.as_ref().map(|it| without_nul(it.as_str()).into()),
            at_unix_ms: at_unix_ms.cast_signed(),
        }
    }

    fn of_signal(
        decision: DecisionId,
        (signal, about): (Signal, &DeploymentId),
        at_unix_ms: u64,
    ) -> Self {
        Self {
            decision: decision.to_string(),
            kind: FeedbackKind::Implicit.as_str().to_owned(),
            signal: signal.as_str().to_owned(),
            about: about.as_str().to_owned(),
            idempotency_key: String::new(),
            score: signal.score().get(),
            weight: signal.weight(),
            comment: None,
            at_unix_ms: at_unix_ms.cast_signed(),
        }
    }
}

/// PostgreSQL's text holds every character but this one (its manual, 8.3, of version 15). In the
/// record's JSON it stands as an escape, so nothing is lost there.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DecisionId, Probability};
    use crate::outcome::{FeedbackKind, samples};

    #[test]
    fn names_tell_scores_apart_and_repetitions_not() {
        let decision = DecisionId::fresh();
        let name = |kind, key: Option<&str>| {
            let idempotency_key = key.map(str::to_owned);
            let score = Probability::ONE;
            let feedback = Feedback { decision, score, kind, comment: None, idempotency_key };
            Row::of(Write::Feedback { feedback, at_unix_ms: 7 }).unwrap().0.name()
        };
        assert_eq!(name(FeedbackKind::Judge, None), name(FeedbackKind::Judge, Some("")));
        assert_ne!(name(FeedbackKind::Judge, None), name(FeedbackKind::Explicit, None));
        assert_ne!(name(FeedbackKind::Judge, None), name(FeedbackKind::Judge, Some("a")));
        let record = OutcomeRecord { decision, ..samples::record() };
        let (row, _) = Row::of(Write::Outcome(Box::new(record))).unwrap();
        assert_eq!(row.name(), decision.to_string());
    }

    #[test]
    fn what_the_database_cannot_hold_is_kept_out_of_its_columns() {
        let record = OutcomeRecord { session_id: Some("a\0b".into()), ..samples::record() };
        let (row, _) = Row::of(Write::Outcome(Box::new(record))).unwrap();
        let Head::Outcome(head) = &row.head else { panic!("an outcome") };
        assert_eq!(head.session_id.as_deref(), Some("a\u{fffd}b"));
        assert!(row.record.contains("a\\u0000b") && !row.record.contains('\0'));
        let nan = OutcomeRecord { total_ms: f64::NAN, ..samples::record() };
        let refused = Row::of(Write::Outcome(Box::new(nan)));
        assert!(matches!(refused, Err(OutcomeError::NotFinite { field: "total_ms", .. })));
    }
}
