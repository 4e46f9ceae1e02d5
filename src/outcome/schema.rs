//! The tables, and how an older file becomes a current one.
//!
//! In: an open connection. Out: the same, at [`SCHEMA_VERSION`]. Invariant: `user_version` counts
//! the migrations applied; a migration that shipped is never edited, only followed by another; a
//! newer file is left as it is.

use rusqlite::{Connection, TransactionBehavior};

/// Columns beside `record` are there to be filtered and summed by; the JSON is the truth. Indexes
/// only for what is looked up: each one costs every append. `features` and `embedding` are f32,
/// little endian. Costs are picodollars, so that sums are exact.
const OUTCOMES: &str = "
    CREATE TABLE outcome (
        decision TEXT PRIMARY KEY NOT NULL,
        at_unix_ms INTEGER NOT NULL,
        record_version INTEGER NOT NULL,
        ended TEXT NOT NULL,
        served TEXT,
        cost_picousd INTEGER NOT NULL,
        total_ms REAL NOT NULL,
        attempts INTEGER NOT NULL,
        session_id TEXT,
        request_id TEXT,
        record TEXT NOT NULL,
        features BLOB NOT NULL,
        embedding BLOB NOT NULL
    ) STRICT;
    CREATE INDEX outcome_at ON outcome (at_unix_ms);
    CREATE INDEX outcome_served ON outcome (served, at_unix_ms);
    CREATE INDEX outcome_ended ON outcome (ended, at_unix_ms);
    CREATE INDEX outcome_session ON outcome (session_id) WHERE session_id IS NOT NULL;
    CREATE INDEX outcome_request ON outcome (request_id) WHERE request_id IS NOT NULL;
";

/// `idempotency_key` is empty where none was given, because SQL's NULLs are all different.
const FEEDBACK: &str = "
    CREATE TABLE feedback (
        decision TEXT NOT NULL REFERENCES outcome (decision),
        kind TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        score REAL NOT NULL,
        comment TEXT,
        at_unix_ms INTEGER NOT NULL,
        PRIMARY KEY (decision, kind, idempotency_key)
    ) STRICT, WITHOUT ROWID;
";

const MIGRATIONS: [&str; 2] = [OUTCOMES, FEEDBACK];

/// The `user_version` of a current file.
pub(super) const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// Why a file could not be brought up to date.
#[derive(Debug)]
pub(super) enum MigrateError {
    /// Its version is not one of ours.
    Newer(i64),
    /// SQLite complained.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Database(source)
    }
}

/// Applies what is missing, in one transaction, so that two processes may start at once and a
/// crash leaves the older version whole.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), MigrateError> {
    migrate_with(connection, &MIGRATIONS)
}

fn migrate_with(connection: &mut Connection, migrations: &[&str]) -> Result<(), MigrateError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = usize::try_from(found).ok().and_then(|it| migrations.get(it..));
    let missing = missing.ok_or(MigrateError::Newer(found))?;
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(connection: &Connection) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_older_version_becomes_current() {
        for older in 0..=SCHEMA_VERSION {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate_with(&mut connection, &MIGRATIONS[..older]).unwrap();
            migrate(&mut connection).unwrap();
            assert_eq!(tables(&connection), ["feedback", "outcome"], "from {older}");
            let version = connection.pragma_query_value(None, "user_version", |it| it.get(0));
            assert_eq!(version, Ok(SCHEMA_VERSION as i64));
        }
    }

    #[test]
    fn a_version_that_is_not_ours_is_left_alone() {
        for strange in [SCHEMA_VERSION as i64 + 1, -1] {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.pragma_update(None, "user_version", strange).unwrap();
            let refused = migrate(&mut connection);
            assert!(matches!(refused, Err(MigrateError::Newer(found)) if found == strange));
            assert!(tables(&connection).is_empty());
        }
    }
}
