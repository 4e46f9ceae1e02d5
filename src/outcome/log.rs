//! The callers' side of the outcome log: a bounded queue in front of one writing thread.
//!
//! In: records and feedback from any task. Out: an acknowledgement once a record is in the journal, where
//! there is one, and otherwise once it is committed. Invariant: an `Ok` is durable (see
//! [`super::journal`], [`super::sqlite`] and [`super::postgres`] for against what), a caller waits at
//! most [`FULL_WAIT`] for a place in the queue, what is in the journal has its place in the queue, and the
//! work of committing is done on the thread, not here.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use super::behind::Behind;
use super::feedback::{Feedback, FeedbackReceipt};
use super::journal::{self, Journal};
use super::postgres::PostgresStore;
use super::privacy::PromptPrivacy;
use super::record::OutcomeRecord;
use super::settings::{LogSettings, OutcomeAccess, StoreSettings};
use super::sqlite::SqliteStore;
use super::status::{Notes, OutcomeStatus};
use super::store::{OutcomeError, OutcomeStore, Write, Written};
use super::upkeep::Upkeep;
use super::writer::{self, Asker, Command, Read};
use crate::domain::DecisionId;

/// Most commands that wait: sixteen full batches, a second or less of writing. At some 20 KiB a
/// record in memory they hold 80 MiB at worst.
const QUEUE_MAX: usize = 4_096;

/// The longest to wait for a place in the queue: the answer is ready by then, and its caller should
/// not pay for a slow disk with more than this.
const FULL_WAIT: Duration = Duration::from_millis(250);

/// The log of outcomes. Shared by reference; its thread ends when it is closed or dropped.
pub struct OutcomeLog {
    settings: LogSettings,
    notes: Arc<Notes>,
    queue: mpsc::Sender<Command>,
    /// Where records are acknowledged; `None` where the store itself is asked.
    journal: Option<Arc<Journal>>,
    writer: JoinHandle<()>,
    /// Says that it took what it did not keep.
    forgets: bool,
}

impl OutcomeLog {
    /// Opens the store and starts the thread. Blocks for the time of opening (and migrating). A
    /// PostgreSQL database that is away is no error: outcomes wait for it in the spool.
    ///
    /// # Errors
    /// [`OutcomeError`], which names the place, when it cannot be made, is damaged, is of a newer
    /// version or cannot be used as it is set up.
    pub fn open(settings: &LogSettings) -> Result<Self, OutcomeError> {
        let notes = Arc::new(Notes::default());
        let settings = settings.clone();
        match &settings.store {
            StoreSettings::Sqlite(path) => {
                let mut store = SqliteStore::open(path)?;
                let journal = Journal::open(path, &mut store)?.map(Arc::new);
                Self::start(store, settings, (QUEUE_MAX, notes, journal))
            }
            StoreSettings::Postgres(database) => {
                let store = PostgresStore::open(database, Arc::clone(&notes))?;
                Self::start(store, settings, (QUEUE_MAX, notes, None))
            }
        }
    }

    fn start<S: OutcomeStore>(
        store: S,
        settings: LogSettings,
        (queue_max, notes, journal): (usize, Arc<Notes>, Option<Arc<Journal>>),
    ) -> Result<Self, OutcomeError> {
        let (queue, commands) = mpsc::channel(queue_max);
        let thread = thread::Builder::new().name("outcome-log".into());
        let behind = Behind::new(journal.clone(), Arc::clone(&notes));
        let writer = thread.spawn(move || writer::run(store, behind, commands));
        let writer = writer.map_err(|it| OutcomeError::Thread(Arc::new(it)))?;
        Ok(Self { settings, notes, queue, journal, writer, forgets: false })
    }

    /// The same, but it takes everything and keeps nothing: a bench holds a log against it.
    #[doc(hidden)]
    #[must_use]
    pub fn forgetful(self) -> Self {
        Self { forgets: true, ..self }
    }

    /// How it is doing now. Asks nobody, so it answers whatever the store is busy with.
    pub fn status(&self) -> OutcomeStatus {
        self.notes.status(self.queue.max_capacity() - self.queue.capacity())
    }

    /// Where it is kept.
    pub fn store(&self) -> &StoreSettings {
        &self.settings.store
    }

    /// The file, where it is kept in one.
    pub fn file(&self) -> Option<&std::path::Path> {
        match &self.settings.store {
            StoreSettings::Sqlite(path) => Some(path),
            StoreSettings::Postgres(_) => None,
        }
    }

    /// The file of a log that is one.
    #[cfg(test)]
    pub(super) fn path(&self) -> &std::path::Path {
        match &self.settings.store {
            StoreSettings::Sqlite(path) => path,
            StoreSettings::Postgres(it) => &it.spool().path,
        }
    }

    /// How much of the prompts may stand in a record.
    pub fn prompts(&self) -> PromptPrivacy {
        self.settings.prompts
    }

    /// Whether callers over the network may read all of it, and delete from it.
    pub fn admin(&self) -> OutcomeAccess {
        self.settings.admin
    }

    /// How many commands wait to be carried out, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        (self.queue.max_capacity() - self.queue.capacity(), self.queue.max_capacity())
    }

    /// Appends a record; returns once it is in the journal, or committed. When this is cancelled while
    /// it waits for the commit, the record is written all the same.
    ///
    /// # Errors
    /// [`OutcomeError::Full`] when the queue stays full for 250 ms, `NotFinite` for a record that could
    /// not be read back, `Closed` when the thread has ended; and where there is no journal, or it cannot
    /// be written to: `Duplicate` for a decision that is there already, `Database` and `Damaged` when the
    /// commit failed, `SpoolFull` when the database is away and no more may wait, `Refused` when the
    /// database will not take it. All but `Duplicate` are counted in [`OutcomeStatus::dropped`] and
    /// logged, at most once a minute.
    pub async fn append(&self, record: OutcomeRecord) -> Result<(), OutcomeError> {
        let record = Box::new(record);
        let appended = match self.journal.as_ref().filter(|it| it.is_open() && !self.forgets) {
            Some(journal) => self.append_to(journal, record).await,
            None => return self.write(Write::Outcome(record)).await.map(drop),
        };
        match appended {
            Ok(None) => Ok(()),
            // The journal's disk is full: the log may have room inside its file.
            Ok(Some(record)) => self.write(Write::Outcome(record)).await.map(drop),
            Err(lost) => {
                self.notes.dropped(1, &lost, Instant::now());
                Err(lost)
            }
        }
    }

    /// Puts a record into the journal and into the queue; gives it back where the journal does not take it.
    async fn append_to(
        &self,
        journal: &Journal,
        mut record: Box<OutcomeRecord>,
    ) -> Result<Option<Box<OutcomeRecord>>, OutcomeError> {
        let entry = journal::encode(&mut record)?;
        let place = place(&self.queue).await?;
        let mut waiting = Some(record);
        let appended = journal.append(&entry, |position| {
            if let Some(record) = waiting.take() {
                place.send(Command::Write(Write::Outcome(record), Asker::Journal(position)));
            }
        });
        if let Err(error) = appended {
            tracing::debug!(%error, "the outcome journal did not take a record");
        }
        Ok(waiting)
    }

    /// Appends a score; returns once it is committed.
    ///
    /// # Errors
    /// As for [`OutcomeLog::append`], without those about a record.
    pub async fn feedback(&self, feedback: Feedback) -> Result<FeedbackReceipt, OutcomeError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let write = Write::Feedback { feedback, at_unix_ms: since.as_millis() as u64 };
        self.write(write).await
    }

    async fn write(&self, write: Write) -> Written {
        if self.forgets {
            return Ok(FeedbackReceipt::Stored);
        }
        let written = self.ask(|answer| Command::Write(write, Asker::Waits(answer))).await;
        let written = written.and_then(|it| it);
        match &written {
            Ok(_) | Err(OutcomeError::Duplicate(_)) => {}
            Err(lost) => drop(self.notes.dropped(1, lost, Instant::now())),
        }
        written
    }

    /// Reads a record back.
    ///
    /// # Errors
    /// `RecordVersion` and `Unreadable` for one that this version cannot read; else as for
    /// [`OutcomeLog::append`].
    pub async fn get(&self, decision: DecisionId) -> Result<Option<OutcomeRecord>, OutcomeError> {
        self.ask(|answer| Command::Read(Read::Get(decision, answer))).await?
    }

    /// How many records there are. Reads the whole index, so for tests and consoles.
    ///
    /// # Errors
    /// As for [`OutcomeLog::append`].
    pub async fn count(&self) -> Result<u64, OutcomeError> {
        self.ask(|answer| Command::Read(Read::Count(answer))).await?
    }

    /// Writes what waits, and ends the thread.
    pub async fn close(self) {
        let Self { queue, journal, writer, settings, .. } = self;
        drop((queue, journal));
        let joined = tokio::task::spawn_blocking(move || writer.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!(place = %settings.store, "the outcome log's thread panicked");
        }
    }

    /// What keeps the log short; it does not keep it open.
    pub fn upkeep(&self) -> Upkeep {
        Upkeep::of(&self.queue)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, OutcomeError> {
        ask(&self.queue, command).await
    }
}

/// Waits for a place and then for the answer. The latter has no limit of its own: the thread
/// waits for nothing but the disk and, for five seconds at most, another process's lock.
pub(super) async fn ask<T>(
    queue: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, OutcomeError> {
    let place = place(queue).await?;
    let (answer, answered) = oneshot::channel();
    place.send(command(answer));
    answered.await.map_err(|_| OutcomeError::Closed)
}

async fn place(queue: &mpsc::Sender<Command>) -> Result<mpsc::Permit<'_, Command>, OutcomeError> {
    if let Ok(place) = queue.try_reserve() {
        return Ok(place);
    }
    let place = tokio::time::timeout(FULL_WAIT, queue.reserve()).await;
    let full = OutcomeError::Full { waited_ms: FULL_WAIT.as_millis() as u64 };
    place.map_err(|_| full)?.map_err(|_| OutcomeError::Closed)
}

impl fmt::Debug for OutcomeLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("OutcomeLog").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
