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

/// Numbers that only grow, so that an export knows what it has: `seq` is given at the commit and,
/// by AUTOINCREMENT, never a second time, whatever is deleted. A rowid alone would be: SQLite gives
/// the highest one again once its row is gone, and VACUUM counts anew. `signal` and `about` tell
/// what the service saw itself (see `super::signals`); both are empty for what callers say.
/// `log_id` tells this file from others that export to the same place.
const SEQUENCES: &str = "
    ALTER TABLE feedback RENAME TO feedback_before;
    ALTER TABLE outcome RENAME TO outcome_before;
    CREATE TABLE outcome (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        decision TEXT UNIQUE NOT NULL,
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
    INSERT INTO outcome (decision, at_unix_ms, record_version, ended, served, cost_picousd,
        total_ms, attempts, session_id, request_id, record, features, embedding)
    SELECT decision, at_unix_ms, record_version, ended, served, cost_picousd,
        total_ms, attempts, session_id, request_id, record, features, embedding
    FROM outcome_before ORDER BY rowid;
    CREATE TABLE feedback (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        decision TEXT NOT NULL REFERENCES outcome (decision) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        signal TEXT NOT NULL,
        about TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        score REAL NOT NULL,
        weight REAL NOT NULL,
        comment TEXT,
        at_unix_ms INTEGER NOT NULL,
        UNIQUE (decision, kind, signal, about, idempotency_key)
    ) STRICT;
    INSERT INTO feedback (decision, kind, signal, about, idempotency_key, score, weight, comment,
        at_unix_ms)
    SELECT decision, kind, '', '', idempotency_key, score, 1.0, comment, at_unix_ms
    FROM feedback_before ORDER BY at_unix_ms, decision, kind, idempotency_key;
    DROP TABLE feedback_before;
    DROP TABLE outcome_before;
    CREATE INDEX outcome_at ON outcome (at_unix_ms);
    CREATE INDEX outcome_served ON outcome (served, at_unix_ms);
    CREATE INDEX outcome_ended ON outcome (ended, at_unix_ms);
    CREATE INDEX outcome_session ON outcome (session_id) WHERE session_id IS NOT NULL;
    CREATE INDEX outcome_request ON outcome (request_id) WHERE request_id IS NOT NULL;
    CREATE TABLE log (log_id TEXT NOT NULL) STRICT;
    INSERT INTO log VALUES (lower(hex(randomblob(6))));
    CREATE TABLE export (
        destination TEXT NOT NULL,
        what TEXT NOT NULL,
        done_seq INTEGER NOT NULL,
        pending_seq INTEGER,
        pending_days TEXT,
        PRIMARY KEY (destination, what)
    ) STRICT, WITHOUT ROWID;
";

/// For those who look through the log newest first: a conversation in its order, and the few requests
/// that did not go well at once, which are looked at one by one (see `super::browse`).
const BROWSING: &str = "
    DROP INDEX outcome_session;
    CREATE INDEX outcome_session ON outcome (session_id, at_unix_ms) WHERE session_id IS NOT NULL;
    CREATE INDEX outcome_failed ON outcome (at_unix_ms)
        WHERE attempts > 1 OR ended NOT IN ('served', 'cached');
";

const MIGRATIONS: [&str; 4] = [OUTCOMES, FEEDBACK, SEQUENCES, BROWSING];

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
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
                   ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn every_older_version_becomes_current() {
        for older in 0..=SCHEMA_VERSION {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate_with(&mut connection, &MIGRATIONS[..older]).unwrap();
            migrate(&mut connection).unwrap();
            let wanted = ["export", "feedback", "log", "outcome"];
            assert_eq!(tables(&connection), wanted, "from {older}");
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

    /// Files as earlier versions made them, with a record of version 1 in it.
    #[test]
    fn what_an_older_file_holds_is_there_afterwards() {
        // From the third on rows have a number.
        for older in 1..3 {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.pragma_update(None, "foreign_keys", "on").unwrap();
            migrate_with(&mut connection, &MIGRATIONS[..older]).unwrap();
            let record = crate::outcome::samples::record();
            for (at, decision) in [(9, "b"), (5, record.decision.to_string().as_str())] {
                let json = serde_json::to_string(&record).unwrap();
                let sql = "INSERT INTO outcome VALUES (?1, ?2, 1, 'served', 'm@p', 3, 0.5, 1, 's', \
                           'r', ?3, x'0000803f', x'')";
                connection.execute(sql, rusqlite::params![decision, at, json]).unwrap();
            }
            let rated = older > 1;
            if rated {
                let sql = "INSERT INTO feedback VALUES ('b', 'judge', 'k', 0.25, 'fine', 11)";
                connection.execute(sql, []).unwrap();
            }
            migrate(&mut connection).unwrap();
            let sql = "SELECT decision, at_unix_ms, session_id, record FROM outcome ORDER BY seq";
            let mut statement = connection.prepare(sql).unwrap();
            let rows = statement
                .query_map([], |it| Ok((it.get(0)?, it.get(1)?, it.get(2)?, it.get(3)?)))
                .unwrap();
            let rows: Vec<(String, i64, String, String)> = rows.map(Result::unwrap).collect();
            let kept: Vec<_> = rows.iter().map(|it| (it.0.as_str(), it.1, it.2.as_str())).collect();
            let decision = record.decision.to_string();
            assert_eq!(kept, [("b", 9, "s"), (decision.as_str(), 5, "s")], "from {older}");
            let read: crate::outcome::OutcomeRecord = serde_json::from_str(&rows[1].3).unwrap();
            assert_eq!(read.decision, record.decision);
            let sql = "SELECT count(*), coalesce(max(weight), 1.0) FROM feedback";
            let kept = connection.query_row(sql, [], |it| Ok((it.get(0)?, it.get(1)?)));
            assert_eq!(kept, Ok((i64::from(rated), 1.0)), "from {older}");
            // Scores go with their decision from now on.
            connection.execute("DELETE FROM outcome", []).unwrap();
            let left = connection.query_row("SELECT count(*) FROM feedback", [], |it| it.get(0));
            assert_eq!(left, Ok(0), "from {older}");
        }
    }
}
