//! How long outcomes are kept, and how those of somebody are deleted.
//!
//! In: the operator's [`Retention`], or metadata that marks what is to go. Out: what was deleted.
//! Invariant: the work is done in pieces on the log's thread, with appends in between; what is held
//! for an export is not deleted by age or size, but is when somebody wants it gone. Not here: SQL.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::log::ask;
use super::store::OutcomeError;
use super::writer::Command;

/// Most pieces of one run: some 16,000 records, so that a log that is far too long is brought down
/// over minutes and not in one go.
const PIECES_MAX: usize = 64;

/// How long outcomes are kept; all is kept without any of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retention {
    /// How old a record may become.
    pub keep: Option<Duration>,
    /// How many bytes of the file may be in use; the oldest records make room.
    pub bytes_max: Option<u64>,
    /// Where a record has to have been exported to, with every score for it, before it is deleted.
    pub exported_to: Option<String>,
}

/// What a sweep came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Records deleted.
    pub deleted: u64,
    /// Whether there is more to delete at once.
    pub more: bool,
    /// Whether records that are due wait for their export.
    pub held_back: bool,
}

/// Which records are to go, and from where on they are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Erasure {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) after_seq: i64,
}

/// What an erasure came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// Records deleted.
    pub outcomes: u64,
    /// Scores deleted with them.
    pub feedback: u64,
    /// How many of the records are in exports, or in one that is under way: those files are not
    /// changed.
    pub exported: u64,
    /// The last record that was looked at; `None` at the end of the log.
    pub(super) last_seq: Option<i64>,
}

impl Retention {
    /// Whether nothing is ever deleted.
    pub fn is_forever(&self) -> bool {
        self.keep.is_none() && self.bytes_max.is_none()
    }
}

/// Keeps a log short, for as long as it is open.
#[derive(Debug, Clone)]
pub struct Upkeep {
    queue: mpsc::WeakSender<Command>,
}

impl Upkeep {
    pub(super) fn of(queue: &mpsc::Sender<Command>) -> Self {
        Self { queue: queue.downgrade() }
    }

    /// Deletes what need not be kept at this time, as far as one run goes.
    ///
    /// # Errors
    /// As for [`super::OutcomeLog::append`]; `Closed` once the log is.
    pub async fn sweep(
        &self,
        retention: &Retention,
        now_unix_ms: u64,
    ) -> Result<Swept, OutcomeError> {
        let mut all = Swept::default();
        for _ in 0..PIECES_MAX {
            let retention = retention.clone();
            let command = |answer| Command::Sweep(retention, now_unix_ms, answer);
            let swept = self.ask(command).await??;
            let deleted = all.deleted + swept.deleted;
            all = Swept { deleted, ..swept };
            if !swept.more {
                break;
            }
        }
        Ok(all)
    }

    /// Deletes every record with this metadata, however long that takes.
    ///
    /// # Errors
    /// As for [`Upkeep::sweep`]; what was deleted before it stays deleted.
    pub async fn erase(&self, key: &str, value: &str) -> Result<Erased, OutcomeError> {
        let mut all = Erased::default();
        // Ends with the log: every piece begins after the last, and those written meanwhile are few.
        loop {
            let after_seq = all.last_seq.unwrap_or_default();
            let what = Erasure { key: key.to_owned(), value: value.to_owned(), after_seq };
            let erased = self.ask(|answer| Command::Erase(what, answer)).await??;
            if erased.last_seq.is_none() {
                return Ok(all);
            }
            all.outcomes += erased.outcomes;
            all.feedback += erased.feedback;
            all.exported += erased.exported;
            all.last_seq = erased.last_seq;
        }
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, OutcomeError> {
        let queue = self.queue.upgrade().ok_or(OutcomeError::Closed)?;
        ask(&queue, command).await
    }
}

#[cfg(test)]
mod tests;
