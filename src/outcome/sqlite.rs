//! Outcomes in one SQLite file.
//!
//! In: batches. Out: rows; one transaction for each batch. Invariant: what was committed survives
//! `kill -9` of this process, because it is in the operating system's hands (WAL, `synchronous =
//! NORMAL`); a power loss may take the last milliseconds before the next checkpoint, and never
//! damages the file. Other processes may read, and briefly write, at the same time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::feedback::{Feedback, FeedbackReceipt};
use super::record::{OutcomeRecord, RECORD_VERSION, RECORD_VERSION_MIN};
use super::schema::{self, MigrateError};
use super::store::{OutcomeError, OutcomeStore, Write, Written};
use crate::domain::{DecisionId, Usd};

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
        picousd(record.cost_usd),
        record.total_ms,
        record.attempts.len() as i64,
        record.session_id,
        record.request_id,
        json,
        features,
        embedding,
    ];
    let inserted = connection.prepare_cached(sql).and_then(|mut it| it.execute(values));
    match inserted.map_err(|source| failure(path, source))? {
        0 => Err(OutcomeError::Duplicate(decision)),
        _ => Ok(FeedbackReceipt::Stored),
    }
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
    let sql = "INSERT INTO feedback (decision, kind, idempotency_key, score, comment, at_unix_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
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

/// Whole picodollars; a float holds those of any amount below 9,000 USD exactly.
fn picousd(amount: Usd) -> i64 {
    (amount.get() * 1e12).round() as i64
}

fn blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|it| it.to_le_bytes()).collect()
}

pub(super) fn vector(blob: &[u8]) -> Vec<f32> {
    blob.as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Probability, Text};
    use crate::outcome::{FeedbackKind, RecordedPrompt, differences, samples};

    fn open() -> (tempfile::TempDir, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("outcomes.db")).unwrap();
        (folder, store)
    }

    fn write(store: &mut SqliteStore, records: &[OutcomeRecord]) -> Vec<Written> {
        let batch = records.iter().map(|it| Write::Outcome(Box::new(it.clone())));
        store.write(batch.collect())
    }

    #[test]
    fn a_record_comes_back_as_it_was_and_replays() {
        let (_folder, mut store) = open();
        let mut record = samples::record();
        record.features = vec![f32::NAN, f32::MIN_POSITIVE, -0.1];
        write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
        let mut read = store.get(record.decision).unwrap().unwrap();
        assert_eq!(differences(&read), []);
        let bits = |it: &[f32]| it.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read.features), bits(&record.features));
        read.features.clear();
        record.features.clear();
        assert_eq!(read, record);
        assert_eq!(store.get(DecisionId::fresh()).unwrap(), None);
    }

    #[test]
    fn columns_say_what_the_record_says() {
        let (_folder, mut store) = open();
        let record = samples::record();
        write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
        let sql = "SELECT ended, served, cost_picousd, attempts, session_id, length(embedding), \
                   json_extract(record, '$.embedding') FROM outcome WHERE request_id = 'r-1'";
        let row = store.connection.query_row(sql, [], |it| {
            Ok((
                it.get::<_, String>(0)?,
                it.get::<_, Option<String>>(1)?,
                it.get::<_, i64>(2)?,
                it.get::<_, i64>(3)?,
                it.get::<_, Option<String>>(4)?,
                it.get::<_, i64>(5)?,
                it.get::<_, Option<String>>(6)?,
            ))
        });
        let served = record.served.map(String::from);
        let wanted = ("served".into(), served, 502_500_000, 1, Some("s-1".into()), 8, None);
        assert_eq!(row.unwrap(), wanted);
    }

    #[test]
    fn a_bad_record_does_not_take_the_others_with_it() {
        let (_folder, mut store) = open();
        let [good, other] = [samples::record(), samples::record()];
        let (mut nan, mut huge) = (samples::record(), samples::record());
        nan.total_ms = f64::NAN;
        huge.prompt = RecordedPrompt::Full(Text::from("x".repeat(8 << 20)));
        // So small a database that SQLite says "full" for the huge one, as a full disk would.
        store.connection.pragma_update(None, "max_page_count", 200).unwrap();
        let batch = [good.clone(), nan, good.clone(), other.clone()];
        let results = write(&mut store, &batch);
        assert!(
            matches!(
                results.as_slice(),
                [
                    Ok(FeedbackReceipt::Stored),
                    Err(OutcomeError::NotFinite { field: "total_ms", .. }),
                    Err(OutcomeError::Duplicate(_)),
                    Ok(FeedbackReceipt::Stored),
                ]
            ),
            "{results:?}"
        );
        let last = samples::record();
        let results = write(&mut store, &[huge, last.clone()]);
        let error = results[0].as_ref().unwrap_err();
        assert!(error.to_string().contains("outcomes.db"), "{error}");
        // Each `Ok` is there, whether or not SQLite gave up the whole transaction.
        let stored = store.get(last.decision).unwrap().is_some();
        assert_eq!(stored, results[1].is_ok());
        assert_eq!(
            write(&mut store, &[samples::record()]).iter().filter(|it| it.is_ok()).count(),
            1
        );
    }

    #[test]
    fn feedback_is_stored_once() {
        let (_folder, mut store) = open();
        let decision = samples::record().decision;
        let check = |store: &mut SqliteStore, kind, key: Option<&str>, wanted| {
            let feedback = Feedback {
                decision,
                score: Probability::ONE,
                kind,
                comment: Some("fine".into()),
                idempotency_key: key.map(str::to_owned),
            };
            let results = store.write(vec![Write::Feedback { feedback, at_unix_ms: 1 }]);
            assert_eq!(*results[0].as_ref().unwrap(), wanted, "{kind:?} {key:?}");
        };
        check(&mut store, FeedbackKind::Explicit, None, FeedbackReceipt::UnknownDecision);
        let record = OutcomeRecord { decision, ..samples::record() };
        store.write(vec![Write::Outcome(Box::new(record))]);
        let mut check = |kind, key, wanted| check(&mut store, kind, key, wanted);
        check(FeedbackKind::Explicit, None, FeedbackReceipt::Stored);
        check(FeedbackKind::Explicit, None, FeedbackReceipt::AlreadyStored);
        check(FeedbackKind::Explicit, Some("a"), FeedbackReceipt::Stored);
        check(FeedbackKind::Explicit, Some("a"), FeedbackReceipt::AlreadyStored);
        check(FeedbackKind::Explicit, Some("b"), FeedbackReceipt::Stored);
        check(FeedbackKind::Judge, None, FeedbackReceipt::Stored);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, wanted: &str| {
            let path = folder.path().join(name);
            let error = SqliteStore::open(&path).err().unwrap().to_string();
            assert!(error.contains(path.to_str().unwrap()) && error.contains(wanted), "{error}");
        };
        std::fs::write(folder.path().join("torn.db"), "no database".repeat(1_000)).unwrap();
        check("torn.db", "damaged");
        check("torn.db/inside.db", "folder");
        std::fs::create_dir(folder.path().join("folder.db")).unwrap();
        check("folder.db", "failed");
        let newer = Connection::open(folder.path().join("newer.db")).unwrap();
        newer.pragma_update(None, "user_version", 99).unwrap();
        check("newer.db", "schema 99");
    }

    #[test]
    fn seams_are_kept_and_records_from_before_them_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("outcomes.db")).unwrap();
        let deployment = crate::domain::DeploymentId::new("m@p").unwrap();
        let seams = vec![crate::domain::Seam { at_bytes: 7, deployment }];
        let record = OutcomeRecord { seams, ..samples::record() };
        write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
        assert_eq!(store.get(record.decision).unwrap().unwrap().seams, record.seams);
        let mut older = serde_json::to_value(&record).unwrap();
        older.as_object_mut().unwrap().remove("seams");
        older["policy"]["fallback"].as_object_mut().unwrap().remove("on_stream_failure");
        let read: OutcomeRecord = serde_json::from_value(older).unwrap();
        assert_eq!((read.seams, read.policy), (vec![], record.policy));
    }

    #[test]
    fn folders_are_made_and_records_of_another_version_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::open(&folder.path().join("a/b/outcomes.db")).unwrap();
        let later = OutcomeRecord { version: RECORD_VERSION + 1, ..samples::record() };
        write(&mut store, std::slice::from_ref(&later))[0].as_ref().unwrap();
        let read = store.get(later.decision);
        assert!(matches!(read, Err(OutcomeError::RecordVersion { found: 4, .. })), "{read:?}");
        let before = OutcomeRecord { version: 0, ..samples::record() };
        write(&mut store, std::slice::from_ref(&before))[0].as_ref().unwrap();
        assert!(matches!(store.get(before.decision), Err(OutcomeError::RecordVersion { .. })));
        for version in RECORD_VERSION_MIN..=RECORD_VERSION {
            let record = OutcomeRecord { version, ..samples::record() };
            write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
            assert_eq!(store.get(record.decision).unwrap(), Some(record));
        }
        assert_eq!(store.count().unwrap(), 5);
    }
}
