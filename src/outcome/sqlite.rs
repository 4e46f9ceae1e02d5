//! Outcomes in one SQLite file.
//!
//! In: batches. Out: rows; one transaction for each batch. Invariant: what was committed survives
//! `kill -9` of this process, because it is in the operating system's hands (WAL, `synchronous =
//! NORMAL`); a power loss may take the last milliseconds before the next checkpoint, and never
//! damages the file. Other processes may read, and briefly write, at the same time. Not here: what is
//! deleted (see `upkeep`) and what is exported (see `super::export`).

mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::feedback::{Feedback, FeedbackKind, FeedbackReceipt};
use super::journal;
use super::record::{OutcomeRecord, RECORD_VERSION, RECORD_VERSION_MIN};
use super::schema::{self, MigrateError};
use super::signals::{self, Signal};
use super::store::{OutcomeError, OutcomeStore, Write, Written};
use super::upkeep::{Erased, Erasure, Retention, Swept};
use crate::domain::{DecisionId, DeploymentId};

/// How long to wait for another process that holds the lock. Writers hold it for milliseconds, so
/// five seconds mean that something is wrong.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// An open file.
pub(super) struct SqliteStore {
    path: PathBuf,
    connection: Connection,
}

impl SqliteStore {
    /// Opens a file; makes it, and its folder, where there is none, and migrates an older one.
    pub(super) fn open(path: &Path) -> Result<Self, OutcomeError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| OutcomeError::Folder {
                path: path.to_owned(),
                source: Arc::new(source),
            })?;
        }
        let failed = |source| failure(path, source);
        let mut connection = Connection::open(path).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        schema::migrate(&mut connection).map_err(|it| match it {
            MigrateError::Newer(found) => OutcomeError::NewerSchema { path: path.into(), found },
            MigrateError::Database(source) => failure(path, source),
        })?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// A connection to a log that is there, for whoever reads or notes something beside the server.
    pub(super) fn open_existing(path: &Path) -> Result<Connection, OutcomeError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let there = Connection::open_with_flags(path, flags);
        drop(there.map_err(|source| failure(path, source))?);
        let mut store = Self::open(path)?;
        journal::recover(path, &mut store)?;
        Ok(store.connection)
    }

    /// One transaction. A write that fails alone leaves the others; where SQLite gave the whole
    /// transaction up (disk full, input or output error), all of it failed.
    fn transact(&mut self, batch: Vec<Write>) -> Result<Vec<Written>, OutcomeError> {
        let path = self.path.as_path();
        let failed = |source| failure(path, source);
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(failed)?;
        let mut results = Vec::with_capacity(batch.len());
        for write in batch {
            let result = match write {
                Write::Outcome(record) => append(&transaction, path, *record),
                Write::Feedback { feedback, at_unix_ms } => {
                    rate(&transaction, &feedback, at_unix_ms).map_err(failed)
                }
                Write::Signal { decision, signal, about, at_unix_ms } => {
                    signalled(&transaction, decision, (signal, &about), at_unix_ms).map_err(failed)
                }
            };
            if transaction.is_autocommit() {
                return Err(result.err().unwrap_or(OutcomeError::Closed));
            }
            results.push(result);
        }
        transaction.commit().map_err(failed)?;
        Ok(results)
    }
}

impl OutcomeStore for SqliteStore {
    fn write(&mut self, batch: Vec<Write>) -> Vec<Written> {
        let count = batch.len();
        self.transact(batch).unwrap_or_else(|error| vec![Err(error); count])
    }

    fn get(&self, decision: DecisionId) -> Result<Option<OutcomeRecord>, OutcomeError> {
        let sql = "SELECT record_version, record, features, embedding FROM outcome \
                   WHERE decision = ?1";
        let row = self.connection.prepare_cached(sql).and_then(|mut statement| {
            let row = statement.query_row([decision.to_string()], |row| {
                let vectors =
                    [vector(row.get_ref(2)?.as_blob()?), vector(row.get_ref(3)?.as_blob()?)];
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, vectors))
            });
            row.optional()
        });
        let row = row.map_err(|source| failure(&self.path, source))?;
        let Some((found, json, [features, embedding])) = row else { return Ok(None) };
        decoded(decision, found, &json, [features, embedding]).map(Some)
    }

    fn count(&self) -> Result<u64, OutcomeError> {
        let count = self.connection.query_row("SELECT count(*) FROM outcome", [], |it| it.get(0));
        count.map(i64::cast_unsigned).map_err(|source| failure(&self.path, source))
    }

    fn sweep(&mut self, retention: &Retention, now_unix_ms: u64) -> Result<Swept, OutcomeError> {
        let swept = upkeep::sweep(&mut self.connection, retention, now_unix_ms);
        swept.map_err(|source| failure(&self.path, source))
    }

    fn erase(&mut self, erasure: &Erasure) -> Result<Erased, OutcomeError> {
        let erased = upkeep::erase(&mut self.connection, erasure);
        erased.map_err(|source| failure(&self.path, source))
    }
}

/// A record from its row: the version, the JSON, features and embedding.
pub(super) fn decoded(
    decision: DecisionId,
    version: i64,
    json: &str,
    [features, embedding]: [Vec<f32>; 2],
) -> Result<OutcomeRecord, OutcomeError> {
    if !(i64::from(RECORD_VERSION_MIN)..=i64::from(RECORD_VERSION)).contains(&version) {
        return Err(OutcomeError::RecordVersion { decision, found: version });
    }
    let parsed = serde_json::from_str::<OutcomeRecord>(json);
    let parsed =
        parsed.map_err(|error| OutcomeError::Unreadable { decision, column: error.column() });
    Ok(OutcomeRecord { features, embedding, ..parsed? })
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    // Only a new file takes it; with an older one, pages that fall empty are used again.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    // What was deleted is not to be found in the file.
    connection.pragma_update(None, "secure_delete", "on")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", "on")
}

pub(super) fn failure(path: &Path, source: rusqlite::Error) -> OutcomeError {
    let code = source.sqlite_error_code();
    let (path, source) = (path.to_owned(), Arc::new(source));
    match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OutcomeError::Damaged { path, source }
        }
        _ => OutcomeError::Database { path, source },
    }
}

/// Puts one record into its row; the vectors go into blobs, a fifth of their size in JSON.
fn append(connection: &Connection, path: &Path, mut record: OutcomeRecord) -> Written {
    let decision = record.decision;
    if let Some(field) = record.unwritable() {
        return Err(OutcomeError::NotFinite { decision, field });
    }
    let features = blob(&std::mem::take(&mut record.features));
    let embedding = blob(&std::mem::take(&mut record.embedding));
    let json = serde_json::to_string(&record).map_err(|_| OutcomeError::Unwritable(decision))?;
    let sql = "INSERT INTO outcome (decision, at_unix_ms, record_version, ended, served, \
               cost_picousd, total_ms, attempts, session_id, request_id, record, features, \
               embedding) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
               ON CONFLICT (decision) DO NOTHING";
    let values = params![
        decision.to_string(),
        record.at_unix_ms.cast_signed(),
        record.version,
        record.end,
        record.served.as_ref().map(|it| it.as_str()),
        record.cost_usd.signed_picousd(),
        record.total_ms,
        record.attempts.len() as i64,
        record.session_id,
        record.request_id,
        json,
        features,
        embedding,
    ];
    let inserted = connection.prepare_cached(sql).and_then(|mut it| it.execute(values));
    if inserted.map_err(|source| failure(path, source))? == 0 {
        return Err(OutcomeError::Duplicate(decision));
    }
    let ended = record.at_unix_ms.saturating_add(record.total_ms.max(0.0) as u64);
    for (signal, about) in signals::of(&record) {
        signalled(connection, decision, (signal, &about), ended)
            .map_err(|source| failure(path, source))?;
    }
    Ok(FeedbackReceipt::Stored)
}

/// Keeps what was seen; once for each decision, signal and deployment.
fn signalled(
    connection: &Connection,
    decision: DecisionId,
    (signal, about): (Signal, &DeploymentId),
    at_unix_ms: u64,
) -> rusqlite::Result<FeedbackReceipt> {
    let sql = "INSERT INTO feedback (decision, kind, signal, about, idempotency_key, score, weight, \
               at_unix_ms) SELECT decision, ?2, ?3, ?4, '', ?5, ?6, ?7 FROM outcome \
               WHERE decision = ?1 ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![
        decision.to_string(),
        FeedbackKind::Implicit.as_str(),
        signal.as_str(),
        about.as_str(),
        signal.score().get(),
        signal.weight(),
        at_unix_ms.cast_signed(),
    ])?;
    Ok(FeedbackReceipt::Stored)
}

fn rate(
    connection: &Connection,
    feedback: &Feedback,
    at_unix_ms: u64,
) -> rusqlite::Result<FeedbackReceipt> {
    let decision = feedback.decision.to_string();
    let known = "SELECT 1 FROM outcome WHERE decision = ?1";
    if !connection.prepare_cached(known)?.exists([&decision])? {
        return Ok(FeedbackReceipt::UnknownDecision);
    }
    let sql = "INSERT INTO feedback (decision, kind, signal, about, idempotency_key, score, weight, \
               comment, at_unix_ms) VALUES (?1, ?2, '', '', ?3, ?4, 1.0, ?5, ?6) \
               ON CONFLICT DO NOTHING";
    let inserted = connection.prepare_cached(sql)?.execute(params![
        decision,
        feedback.kind.as_str(),
        feedback.idempotency_key.as_deref().unwrap_or_default(),
        feedback.score.get(),
        feedback.comment.as_ref().map(|it| it.as_str()),
        at_unix_ms.cast_signed(),
    ])?;
    Ok(if inserted == 0 { FeedbackReceipt::AlreadyStored } else { FeedbackReceipt::Stored })
}

pub(super) fn blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|it| it.to_le_bytes()).collect()
}

pub(super) fn vector(blob: &[u8]) -> Vec<f32> {
    blob.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect()
}

#[cfg(test)]
mod tests;
