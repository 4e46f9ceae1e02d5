//! The log batch by batch, for whoever pulls.
//!
//! In: a [`Cursor`]. Out: [`Pulled`] batches, each item with the cursor after it. Invariant: a batch is of
//! bounded size and read only when it is asked for; beginning at a cursor gives what came after it,
//! each record once. Nothing is noted here: the puller keeps its cursor.

use std::fmt;
use std::str::FromStr;

use super::postgres_source::PostgresSource;
use super::source::{ExportSource, FeedbackRow, OutcomeRow, Span};
use super::sqlite_source::SqliteSource;
use crate::domain::Text;
use crate::outcome::settings::StoreSettings;
use crate::outcome::store::OutcomeError;

/// How far a puller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    log_id: String,
    outcomes: i64,
    feedback: i64,
}

/// Not a cursor of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this log: take the one of an earlier answer as it is, or none to begin")]
pub struct CursorError;

/// Some of what is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// Outcomes, in the order of the log; then none, and feedback instead.
    pub outcomes: Vec<PulledOutcome>,
    /// Scores and signals, in the order of the log.
    pub feedback: Vec<PulledFeedback>,
}

/// An outcome, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledOutcome {
    /// Which decision.
    pub decision: String,
    /// When the request arrived, milliseconds since 1970 UTC.
    pub at_unix_ms: u64,
    /// The version of `record`.
    pub version: u32,
    /// The record as JSON, without its two vectors.
    pub record: Text,
    /// The prompt's features.
    pub features: Vec<f32>,
    /// The prompt's embedding.
    pub embedding: Vec<f32>,
    /// Where to go on after it.
    pub cursor: Cursor,
}

/// A score or a signal, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledFeedback {
    /// Which decision.
    pub decision: String,
    /// When it came, milliseconds since 1970 UTC.
    pub at_unix_ms: u64,
    /// Who scored.
    pub kind: String,
    /// What the service saw; empty for what callers say.
    pub signal: String,
    /// The deployment that a signal is about; else empty.
    pub about: String,
    /// 0 useless, 1 right.
    pub score: f64,
    /// How much it says beside a person's word.
    pub weight: f64,
    /// The caller's key.
    pub idempotency_key: String,
    /// In words.
    pub comment: Option<Text>,
    /// Where to go on after it.
    pub cursor: Cursor,
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.log_id, self.outcomes, self.feedback)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let parts: Vec<_> = text.split('.').collect();
        let [log_id, outcomes, feedback] = parts.as_slice() else { return Err(CursorError) };
        let number = |it: &str| it.parse::<i64>().ok().filter(|it| *it >= 0).ok_or(CursorError);
        let (outcomes, feedback) = (number(outcomes)?, number(feedback)?);
        Ok(Self { log_id: (*log_id).to_owned(), outcomes, feedback })
    }
}

/// Reads a log from a cursor on.
pub struct Puller {
    source: Box<dyn ExportSource>,
    cursor: Cursor,
}

impl Puller {
    /// Opens a log that is there; with no cursor it begins at the beginning. Blocks.
    ///
    /// # Errors
    /// [`OutcomeError`], which names the place; inside, [`CursorError`] for another log's cursor.
    pub fn open(
        log: &StoreSettings,
        cursor: Option<Cursor>,
    ) -> Result<Result<Self, CursorError>, OutcomeError> {
        let source: Box<dyn ExportSource> = match log {
            StoreSettings::Sqlite(path) => Box::new(SqliteSource::open(path)?),
            StoreSettings::Postgres(database) => Box::new(PostgresSource::open(database)?),
        };
        let log_id = source.log_id()?;
        let start = Cursor { log_id, outcomes: 0, feedback: 0 };
        let cursor = cursor.unwrap_or_else(|| start.clone());
        if cursor.log_id != start.log_id {
            return Ok(Err(CursorError));
        }
        Ok(Ok(Self { source, cursor }))
    }

    /// The next batch: outcomes while there are any, then feedback; `None` at the end of the log as it
    /// is now. Blocks.
    ///
    /// # Errors
    /// [`OutcomeError`].
    pub fn next_batch(&mut self) -> Result<Option<Pulled>, OutcomeError> {
        let after = |after| Span { after, last: i64::MAX, day: None };
        let outcomes = self.source.outcomes(after(self.cursor.outcomes))?;
        let outcomes: Vec<_> = outcomes.into_iter().map(|it| self.outcome(it)).collect();
        if !outcomes.is_empty() {
            return Ok(Some(Pulled { outcomes, feedback: vec![] }));
        }
        let feedback = self.source.feedback(after(self.cursor.feedback))?;
        let feedback: Vec<_> = feedback.into_iter().map(|it| self.said(it)).collect();
        Ok((!feedback.is_empty()).then_some(Pulled { outcomes: vec![], feedback }))
    }

    fn outcome(&mut self, row: OutcomeRow) -> PulledOutcome {
        self.cursor.outcomes = row.seq;
        PulledOutcome {
            decision: row.decision,
            at_unix_ms: row.at_unix_ms.cast_unsigned(),
            version: u32::try_from(row.version).unwrap_or_default(),
            record: row.json.into(),
            features: row.features,
            embedding: row.embedding,
            cursor: self.cursor.clone(),
        }
    }

    fn said(&mut self, row: FeedbackRow) -> PulledFeedback {
        self.cursor.feedback = row.seq;
        PulledFeedback {
            decision: row.decision,
            at_unix_ms: row.at_unix_ms.cast_unsigned(),
            kind: row.kind,
            signal: row.signal,
            about: row.about,
            score: row.score,
            weight: row.weight,
            idempotency_key: row.idempotency_key,
            comment: row.comment.map(Into::into),
            cursor: self.cursor.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back_and_others_refused() {
        let check = |text: &str, good: bool| {
            let read = text.parse::<Cursor>();
            assert_eq!(read.map(|it| it.to_string()).ok(), good.then(|| text.to_owned()), "{text}");
        };
        check("ab12.7.0", true);
        check("ab12.7", false);
        check("ab12.7.-1", false);
        check("ab12.7.x", false);
        check("", false);
    }
}
