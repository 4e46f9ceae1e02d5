//! Commits, and those that failed although what was in them is acknowledged.
//!
//! In: batches, with who asked for each write. Out: answers, and how far the journal is committed.
//! Invariant: an outcome that is in the journal leaves it only once it is in the store, or the store has
//! refused that one alone; while commits fail nothing more goes into the journal, and what is in it is
//! tried again. Not here: the queue, the files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::journal::{Journal, Position};
use super::status::Notes;
use super::store::{OutcomeError, OutcomeStore, Write, Written};
use super::writer::Asker;

/// From one try to commit what is behind to the next: a full disk is not filled again at once.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// How the store stands to the journal.
pub(super) struct Behind {
    journal: Option<Arc<Journal>>,
    notes: Arc<Notes>,
    /// When the store last failed to take what is in the journal; `None` while it does not.
    failed: Option<Instant>,
}

impl Behind {
    /// Where the journal still holds something, it is tried at once.
    pub(super) fn new(journal: Option<Arc<Journal>>, notes: Arc<Notes>) -> Self {
        let mut behind = Self { journal, notes, failed: None };
        let waits = behind.journal.as_ref().is_some_and(|it| !it.is_open());
        behind.failed = waits.then(Instant::now);
        behind
    }

    /// Commits a batch, and signals after it, and tells everybody who asked. What came of the signals
    /// nobody is told: an answer that is not in the log cannot be signalled about.
    pub(super) fn write<S: OutcomeStore>(
        &mut self,
        store: &mut S,
        (mut batch, signals): (Vec<Write>, Vec<Write>),
        askers: Vec<Asker>,
    ) {
        batch.extend(signals);
        let mut last = None;
        for (asker, written) in askers.into_iter().zip(store.write(batch)) {
            match asker {
                // Nobody listens any more: the caller was cancelled. The record is kept all the same.
                Asker::Waits(answer) => drop(answer.send(written)),
                Asker::Journal(position) => {
                    self.told(written);
                    last = Some(position);
                }
            }
        }
        if let Some(position) = last {
            self.committed(position);
        }
    }

    /// Looks at what became of an outcome that was acknowledged.
    fn told(&mut self, written: Written) {
        match written {
            Ok(_) | Err(OutcomeError::Duplicate(_)) => {}
            Err(error) => self.fell_behind(&error),
        }
    }

    fn committed(&mut self, position: Position) {
        let Some(journal) = self.journal.as_ref().filter(|_| self.failed.is_none()) else { return };
        if let Err(error) = journal.committed(position) {
            tracing::warn!(%error, "the outcome journal fails: answers wait for commits");
            journal.set_open(false);
            self.failed = Some(Instant::now());
        }
    }

    fn fell_behind(&mut self, error: &OutcomeError) {
        let Some(journal) = &self.journal else { return };
        if self.failed.is_none() {
            tracing::error!(%error, "outcomes that were acknowledged wait in the journal: the log fails");
            self.notes.failed(error);
        }
        journal.set_open(false);
        self.failed = Some(Instant::now());
    }

    /// Tries to commit what is in the journal, if that failed, and not too often.
    pub(super) fn catch_up<S: OutcomeStore>(&mut self, store: &mut S) {
        if self.failed.is_some_and(|it| it.elapsed() >= TRY_EVERY) {
            self.try_again(store);
        }
    }

    /// The last try before the thread ends; the next start goes on.
    pub(super) fn end<S: OutcomeStore>(&mut self, store: &mut S) {
        if self.failed.is_some() {
            self.try_again(store);
        }
        if self.failed.is_some() {
            tracing::warn!("outcomes wait in the journal for the next start");
        }
    }

    fn try_again<S: OutcomeStore>(&mut self, store: &mut S) {
        let Some(journal) = self.journal.clone() else { return };
        match journal.hand_over(store) {
            Ok(()) => {
                tracing::info!("what waited in the outcome journal is in the log");
                self.notes.back();
                self.failed = None;
                journal.set_open(true);
            }
            Err(error) => self.fell_behind(&error),
        }
    }

    /// Somebody wants gone what is in the log: it is not to be found in the journal either.
    pub(super) fn forget_committed(&self) {
        if let Some(journal) = &self.journal {
            journal.forget_committed();
        }
    }
}
