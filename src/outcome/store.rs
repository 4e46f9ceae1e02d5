//! The seam between the log's thread and the place where outcomes are kept, and how that fails.
//!
//! In: batches of [`Write`]s. Out: one result for each. Invariant: a result of `Ok` is committed; a
//! write that is bad in itself fails alone. Error texts hold no content of records. Not here: the
//! queue (see [`super::log`]) and SQL (see [`super::sqlite`]).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::feedback::{Feedback, FeedbackReceipt};
use super::record::{OutcomeRecord, RECORD_VERSION};
use super::schema::SCHEMA_VERSION;
use super::signals::Signal;
use super::upkeep::{Erased, Erasure, Retention, Swept};
use crate::domain::{DecisionId, DeploymentId};

/// Why an outcome could not be written or read. Cheap to clone: a failed commit is told to every
/// member of its batch.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OutcomeError {
    /// The folder of the log cannot be made.
    #[error("the folder of the outcome log `{path}` cannot be made: {source}")]
    Folder {
        /// The log.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The file is no SQLite database, or one that is broken.
    #[error("the outcome log `{path}` is damaged or no SQLite database; move it away: {source}")]
    Damaged {
        /// The log.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<rusqlite::Error>,
    },
    /// Any other complaint of SQLite: no such path, disk full, locked for too long.
    #[error("the outcome log `{path}` failed: {source}")]
    Database {
        /// The log.
        path: PathBuf,
        /// What SQLite says.
        source: Arc<rusqlite::Error>,
    },
    /// The files of the journal cannot be used.
    #[error("the journal of the outcome log `{path}` failed: {source}")]
    Journal {
        /// The log.
        path: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// A later version of this program made the file.
    #[error(
        "the outcome log `{path}` has schema {found}, this version knows up to {SCHEMA_VERSION}: \
         use the newer pointsman, or another place"
    )]
    NewerSchema {
        /// The log.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
    },
    /// The file is a database, but none that holds a spool.
    #[error("`{path}` is no spool of outcomes; name another file")]
    NotASpool {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the spool open.
    #[error("the spool `{path}` is used by another process; give each server its own")]
    SpoolTaken {
        /// The file.
        path: PathBuf,
    },
    /// The database is away, and what may wait for it is full.
    #[error("the spool `{path}` is full: {bytes_max} bytes of outcomes wait for the database")]
    SpoolFull {
        /// The file.
        path: PathBuf,
        /// [`SpoolSettings::bytes_max`](super::SpoolSettings::bytes_max).
        bytes_max: u64,
    },
    /// PostgreSQL cannot be reached, or answers that it cannot serve now.
    #[error("the outcome database {place} is away: {why}")]
    Away {
        /// Which: its URL, without a password.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// PostgreSQL will not serve as it is set up: no such database, wrong password, no right.
    #[error("the outcome database {place} cannot be used: {why}")]
    Unusable {
        /// As for `Away`.
        place: String,
        /// As for `Away`.
        why: String,
    },
    /// PostgreSQL refused this row and would again. Without its own text, which may quote content.
    #[error("the outcome database {place} refused a row with SQLSTATE {code}")]
    Refused {
        /// As for `Away`.
        place: String,
        /// PostgreSQL's code.
        code: String,
    },
    /// A score came while the database was away, and the database does not know its decision.
    #[error("a score that waited is for a decision that the outcome database does not have")]
    Stray,
    /// The thread that writes could not be started.
    #[error("the outcome log's thread cannot be started: {0}")]
    Thread(Arc<io::Error>),
    /// The queue stayed full for as long as an append may wait.
    #[error("the outcome log's queue stayed full for {waited_ms} ms")]
    Full {
        /// How long, milliseconds.
        waited_ms: u64,
    },
    /// The thread that writes has ended.
    #[error("the outcome log is closed")]
    Closed,
    /// This decision was appended before; the earlier record stays.
    #[error("the decision {0} is in the outcome log already")]
    Duplicate(DecisionId),
    /// A number that JSON cannot hold.
    #[error("the outcome of {decision} cannot be written: {field} is no finite, plausible number")]
    NotFinite {
        /// Which decision.
        decision: DecisionId,
        /// Where.
        field: &'static str,
    },
    /// The record cannot be put into JSON.
    #[error("the outcome of {0} cannot be written as JSON")]
    Unwritable(DecisionId),
    /// The record's JSON does not parse. Without serde's own text, which may quote content.
    #[error("the outcome of {decision} does not parse, column {column} of its JSON")]
    Unreadable {
        /// Which decision.
        decision: DecisionId,
        /// Where in the JSON, in bytes.
        column: usize,
    },
    /// A version of the record that is not known here, most often a later one.
    #[error(
        "the outcome of {decision} has version {found}, this version reads up to {RECORD_VERSION}"
    )]
    RecordVersion {
        /// Which decision.
        decision: DecisionId,
        /// Its version.
        found: i64,
    },
}

/// One thing to be kept.
#[derive(Debug)]
pub(super) enum Write {
    /// A decision's outcome.
    Outcome(Box<OutcomeRecord>),
    /// What the service itself saw of an answer.
    Signal {
        /// Which decision.
        decision: DecisionId,
        /// What was seen.
        signal: Signal,
        /// Whose answer.
        about: DeploymentId,
        /// When, milliseconds since 1970 UTC.
        at_unix_ms: u64,
    },
    /// A score for one.
    Feedback {
        /// The score.
        feedback: Feedback,
        /// When it came, milliseconds since 1970 UTC.
        at_unix_ms: u64,
    },
}

/// What became of a [`Write`]; for an outcome always `Stored` or an error.
pub(super) type Written = Result<FeedbackReceipt, OutcomeError>;

/// Where outcomes are kept. Owned by one thread, which it may block.
pub(super) trait OutcomeStore: Send + 'static {
    /// Commits a batch at once; one result for each write, in order.
    fn write(&mut self, batch: Vec<Write>) -> Vec<Written>;

    /// Reads one record back.
    fn get(&self, decision: DecisionId) -> Result<Option<OutcomeRecord>, OutcomeError>;

    /// How many records there are.
    fn count(&self) -> Result<u64, OutcomeError>;

    /// Deletes some of the oldest records that need not be kept: a piece of work of a few
    /// milliseconds, since appends wait behind it.
    fn sweep(&mut self, retention: &Retention, now_unix_ms: u64) -> Result<Swept, OutcomeError>;

    /// Looks through some records after `erasure.after_seq`, and deletes those that it means.
    fn erase(&mut self, erasure: &Erasure) -> Result<Erased, OutcomeError>;
}
