//! What waits for a database that is away: a bounded local queue on disk.
//!
//! In: rows. Out: the same rows in the same order, until they are removed. Invariant: what
//! [`Spool::append`] took survives `kill -9` and a power loss (`synchronous = FULL`: synced before it
//! returns); the same row is there once; never more than [`SpoolSettings::bytes_max`] bytes of rows.
//! It is a SQLite file, because SQLite's log is checksummed, cut back to the last whole commit after
//! a crash, and tested for it; a format of our own would have to earn that trust again. Not here: the
//! database.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, params};

use super::row::{Head, Row};
use super::sqlite::failure;
use super::status::Held;
use super::store::OutcomeError;

/// Where a spool is unless the operator says otherwise.
pub const SPOOL_PATH_DEFAULT: &str = "data/outcomes.spool";
/// How much a spool holds unless the operator says otherwise: at 15 KiB a record some 70,000, which
/// is twelve minutes of a hundred requests a second.
pub const SPOOL_BYTES_DEFAULT: u64 = 1 << 30;

/// Marks the file as ours ("PMSP"), so that no other database is taken for a spool.
const APPLICATION_ID: i64 = 0x504d_5350;
/// `user_version` of the tables below.
const VERSION: i64 = 1;
/// How long to wait for a process that holds the file: one that is just ending. Any other is a
/// second server with the same spool, which is refused.
const TAKEN_WAIT: Duration = Duration::from_millis(500);
/// Most bytes taken at once: a few large records, or a few hundred ordinary ones.
const TAKE_BYTES_MAX: u64 = 4 << 20;
/// A file that is empty and larger than this is made small again.
const SHRINK_BYTES: i64 = 16 << 20;

const TABLES: &str = "
    CREATE TABLE waiting (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        at_unix_ms INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        set_aside INTEGER NOT NULL,
        head TEXT NOT NULL,
        record TEXT NOT NULL,
        features BLOB NOT NULL,
        embedding BLOB NOT NULL
    ) STRICT;
    CREATE INDEX waiting_next ON waiting (set_aside, seq);
";

/// Where outcomes wait, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolSettings {
    /// The file; made, with its folder, where there is none. One process at a time.
    pub path: PathBuf,
    /// The most bytes of records in it. The file is some 5 % larger, and its log up to 5 MiB.
    pub bytes_max: u64,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spooled {
    /// It is on the disk.
    Kept,
    /// It was there already.
    Already,
    /// It would not fit. Later and smaller ones may.
    Full,
}

/// An open spool.
pub(super) struct Spool {
    settings: SpoolSettings,
    connection: Connection,
    held: Held,
}

impl Spool {
    /// Opens a spool, or makes one. What the database refused before is tried again.
    ///
    /// # Errors
    /// [`OutcomeError`], which names the file: damaged, no spool, or used by another process.
    pub(super) fn open(settings: &SpoolSettings) -> Result<Self, OutcomeError> {
        let path = &settings.path;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| OutcomeError::Folder {
                path: path.clone(),
                source: Arc::new(source),
            })?;
        }
        let failed = |source| taken_or_failed(path, source);
        let mut connection = Connection::open(path).map_err(failed)?;
        if !prepare(&mut connection).map_err(failed)? {
            return Err(OutcomeError::NotASpool { path: path.clone() });
        }
        let held = Held { bytes_max: settings.bytes_max, ..Held::default() };
        let mut spool = Self { settings: settings.clone(), connection, held };
        spool.count().map_err(failed)?;
        spool.look_for_oldest()?;
        Ok(spool)
    }

    /// What is in it.
    pub(super) fn held(&self) -> Held {
        self.held
    }

    /// Whether nothing waits that the database might take.
    pub(super) fn is_drained(&self) -> bool {
        self.held.records == self.held.set_aside
    }

    /// Takes rows, all in one synced commit; one answer for each. Rows that do not fit are left out.
    ///
    /// # Errors
    /// The commit failed, for instance because the disk is full: none of them is kept.
    pub(super) fn append(&mut self, rows: &[Row]) -> Result<Vec<Spooled>, OutcomeError> {
        let (path, mut held) = (&self.settings.path, self.held);
        let failed = |source| failure(path, source);
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(insert(&transaction, row, &mut held).map_err(failed)?);
        }
        transaction.commit().map_err(failed)?;
        self.held = held;
        Ok(all)
    }

    /// The first rows that wait, with their places: at most `rows_max`, and at least one if there is
    /// any. They stay until they are removed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn first(&self, rows_max: usize) -> Result<Vec<(i64, Row)>, OutcomeError> {
        let failed = |source| failure(&self.settings.path, source);
        let sql = "SELECT seq, bytes, head, record, features, embedding FROM waiting \
                   WHERE set_aside = 0 ORDER BY seq LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([rows_max as i64]).map_err(failed)?;
        let (mut first, mut bytes) = (Vec::new(), 0_u64);
        while let Some(row) = rows.next().map_err(failed)? {
            bytes += unsigned(row, 1).map_err(failed)?;
            if bytes > TAKE_BYTES_MAX && !first.is_empty() {
                break;
            }
            first.push((row.get(0).map_err(failed)?, read(row, 2).map_err(failed)?));
        }
        Ok(first)
    }

    /// Takes rows out for good, once they are safe elsewhere.
    ///
    /// # Errors
    /// The commit failed: all of them are still there.
    pub(super) fn remove(&mut self, places: &[i64]) -> Result<(), OutcomeError> {
        let gone = self.each(places, "DELETE FROM waiting WHERE seq = ?1 RETURNING bytes")?;
        self.held.records -= gone.len() as u64;
        self.held.bytes -= gone.iter().sum::<u64>();
        self.look_for_oldest()?;
        if self.held.records == 0 {
            self.shrink();
        }
        Ok(())
    }

    /// Leaves rows where they are and passes them over until the next start.
    ///
    /// # Errors
    /// As for [`Spool::remove`].
    pub(super) fn set_aside(&mut self, places: &[i64]) -> Result<(), OutcomeError> {
        let sql = "UPDATE waiting SET set_aside = 1 WHERE seq = ?1 RETURNING bytes";
        self.held.set_aside += self.each(places, sql)?.len() as u64;
        self.look_for_oldest()
    }

    /// A row by its name.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn get(&self, name: &str) -> Result<Option<Row>, OutcomeError> {
        let sql = "SELECT head, record, features, embedding FROM waiting WHERE name = ?1";
        let row = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([name], |row| read(row, 0)).optional());
        row.map_err(|source| failure(&self.settings.path, source))
    }

    /// Runs a statement for each place in one commit; gives the bytes of each row that was there.
    fn each(&mut self, places: &[i64], sql: &str) -> Result<Vec<u64>, OutcomeError> {
        let path = &self.settings.path;
        let mut run = || {
            let transaction = self.connection.transaction()?;
            let mut bytes = Vec::with_capacity(places.len());
            for place in places {
                let mut statement = transaction.prepare_cached(sql)?;
                bytes.extend(statement.query_row([place], |row| unsigned(row, 0)).optional()?);
            }
            transaction.commit()?;
            Ok(bytes)
        };
        run().map_err(|source| failure(path, source))
    }

    /// Reads every row, so at the start alone.
    fn count(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM waiting";
        let counted =
            self.connection.query_row(sql, [], |it| Ok((unsigned(it, 0)?, unsigned(it, 1)?)));
        (self.held.records, self.held.bytes) = counted?;
        Ok(())
    }

    fn look_for_oldest(&mut self) -> Result<(), OutcomeError> {
        let sql = "SELECT at_unix_ms FROM waiting WHERE set_aside = 0 ORDER BY seq LIMIT 1";
        let oldest = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([], |row| unsigned(row, 0)).optional());
        self.held.oldest_unix_ms = oldest.map_err(|it| failure(&self.settings.path, it))?;
        Ok(())
    }

    /// Gives the disk its space back. Best effort: an empty file that stays large does no harm.
    fn shrink(&self) {
        let pages =
            self.connection.pragma_query_value(None, "page_count", |it| it.get::<_, i64>(0));
        let size = self.connection.pragma_query_value(None, "page_size", |it| it.get::<_, i64>(0));
        if pages.unwrap_or_default() * size.unwrap_or_default() > SHRINK_BYTES {
            let _ = self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);");
        }
    }
}

/// Makes an empty file a spool and takes the lock; false when it is another database.
fn prepare(connection: &mut Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(TAKEN_WAIT)?;
    // With a lock that is held for good there is no file of shared memory, and none can be stale.
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    let number = |it: &Connection, name| it.pragma_query_value(None, name, |row| row.get(0));
    let id: i64 = number(connection, "application_id")?;
    let version: i64 = number(connection, "user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |it| it.get(0))?;
    if (id, version) != (APPLICATION_ID, VERSION) && (id, version, tables) != (0, 0, 0) {
        return Ok(false);
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // What was sent on is not to be found in the file.
    connection.pragma_update(None, "secure_delete", "on")?;
    let transaction = connection.transaction()?;
    if tables == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.execute("UPDATE waiting SET set_aside = 0 WHERE set_aside = 1", [])?;
    transaction.commit()?;
    Ok(true)
}

fn unsigned(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(at).map(i64::cast_unsigned)
}

fn taken_or_failed(path: &Path, source: rusqlite::Error) -> OutcomeError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            OutcomeError::SpoolTaken { path: path.to_owned() }
        }
        _ => failure(path, source),
    }
}

fn insert(transaction: &Transaction<'_>, row: &Row, held: &mut Held) -> rusqlite::Result<Spooled> {
    let (name, head) = (row.name(), head_json(&row.head)?);
    let parts = [name.len(), head.len(), row.record.len(), row.features.len(), row.embedding.len()];
    let bytes = parts.iter().sum::<usize>() as u64;
    let known = "SELECT 1 FROM waiting WHERE name = ?1";
    if transaction.prepare_cached(known)?.exists([&name])? {
        return Ok(Spooled::Already);
    }
    if held.bytes + bytes > held.bytes_max {
        return Ok(Spooled::Full);
    }
    let sql = "INSERT INTO waiting (name, at_unix_ms, bytes, set_aside, head, record, features, \
               embedding) VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7)";
    transaction.prepare_cached(sql)?.execute(params![
        name,
        row.at_unix_ms(),
        bytes.cast_signed(),
        head,
        row.record,
        row.features,
        row.embedding,
    ])?;
    held.records += 1;
    held.bytes += bytes;
    held.oldest_unix_ms = held.oldest_unix_ms.or(Some(row.at_unix_ms().cast_unsigned()));
    Ok(Spooled::Kept)
}

fn head_json(head: &Head) -> rusqlite::Result<String> {
    serde_json::to_string(head).map_err(|it| rusqlite::Error::ToSqlConversionFailure(it.into()))
}

/// A row from its four columns, the first at `at`.
fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Row> {
    // Without serde's own text, which may quote a comment.
    let unreadable = |_| rusqlite::Error::InvalidColumnName("head".to_owned());
    let head = serde_json::from_str(row.get_ref(at)?.as_str()?).map_err(unreadable)?;
    let (record, features, embedding) = (row.get(at + 1)?, row.get(at + 2)?, row.get(at + 3)?);
    Ok(Row { head, record, features, embedding })
}
