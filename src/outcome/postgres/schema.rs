//! The tables in PostgreSQL, and how an older database becomes a current one.
//!
//! In: a connection. Out: the same, at the version that SQLite files have too. Invariant: the n-th
//! migration here makes what the n-th of [`crate::outcome::schema`] makes there, so that one number
//! stands for both; one that shipped is never edited; two servers that start at once wait for each
//! other; a newer database is left as it is.

use tokio_postgres::{Client, Error};

use super::fault::Fault;
use crate::outcome::schema::SCHEMA_VERSION;

/// As in SQLite; the JSON is text, not `jsonb`, which would reorder it and refuse some strings.
const OUTCOMES: &str = "
    CREATE TABLE outcome (
        decision TEXT PRIMARY KEY,
        at_unix_ms BIGINT NOT NULL,
        record_version BIGINT NOT NULL,
        ended TEXT NOT NULL,
        served TEXT,
        cost_picousd BIGINT NOT NULL,
        total_ms DOUBLE PRECISION NOT NULL,
        attempts BIGINT NOT NULL,
        session_id TEXT,
        request_id TEXT,
        record TEXT NOT NULL,
        features BYTEA NOT NULL,
        embedding BYTEA NOT NULL
    );
    CREATE INDEX outcome_at ON outcome (at_unix_ms);
    CREATE INDEX outcome_served ON outcome (served, at_unix_ms);
    CREATE INDEX outcome_ended ON outcome (ended, at_unix_ms);
    CREATE INDEX outcome_session ON outcome (session_id) WHERE session_id IS NOT NULL;
    CREATE INDEX outcome_request ON outcome (request_id) WHERE request_id IS NOT NULL;
";

const FEEDBACK: &str = "
    CREATE TABLE feedback (
        decision TEXT NOT NULL REFERENCES outcome (decision),
        kind TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        score DOUBLE PRECISION NOT NULL,
        comment TEXT,
        at_unix_ms BIGINT NOT NULL,
        PRIMARY KEY (decision, kind, idempotency_key)
    );
";

/// As in SQLite, where `seq` is the key; here `decision` stays it. `seq` grows in the order of commits
/// (see `link`). The defaults are for servers of the version before, which go on writing meanwhile.
const SEQUENCES: &str = "
    ALTER TABLE feedback DROP CONSTRAINT feedback_pkey, DROP CONSTRAINT feedback_decision_fkey;
    ALTER TABLE outcome ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE;
    ALTER TABLE feedback
        ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        ADD COLUMN signal TEXT NOT NULL DEFAULT '',
        ADD COLUMN about TEXT NOT NULL DEFAULT '',
        ADD COLUMN weight DOUBLE PRECISION NOT NULL DEFAULT 1,
        ADD FOREIGN KEY (decision) REFERENCES outcome (decision) ON DELETE CASCADE,
        ADD UNIQUE (decision, kind, signal, about, idempotency_key);
    CREATE TABLE log (log_id TEXT NOT NULL);
    INSERT INTO log SELECT substr(replace(gen_random_uuid()::text, '-', ''), 1, 12);
    CREATE TABLE export (
        destination TEXT NOT NULL,
        what TEXT NOT NULL,
        done_seq BIGINT NOT NULL,
        pending_seq BIGINT,
        pending_days TEXT,
        PRIMARY KEY (destination, what)
    );
";

/// As in SQLite, where every index ends in `seq` by itself.
const BROWSING: &str = "
    DROP INDEX outcome_session;
    CREATE INDEX outcome_session ON outcome (session_id, at_unix_ms) WHERE session_id IS NOT NULL;
    CREATE INDEX outcome_failed ON outcome (at_unix_ms)
        WHERE attempts > 1 OR ended NOT IN ('served', 'cached');
";

/// As many as SQLite has; the compiler counts.
pub(super) const MIGRATIONS: [&str; SCHEMA_VERSION] = [OUTCOMES, FEEDBACK, SEQUENCES, BROWSING];

/// The lock under which a database is migrated: "pointsmn" in ASCII.
const MIGRATION_LOCK: i64 = 0x706f_696e_7473_6d6e;

/// Applies what is missing, in one transaction.
pub(super) async fn migrate(client: &mut Client) -> Result<(), Fault> {
    migrate_to(client, &MIGRATIONS).await
}

/// As [`migrate`], with migrations of one's own: how tests make an older database.
pub(super) async fn migrate_to(client: &mut Client, migrations: &[&str]) -> Result<(), Fault> {
    let failed = |error: Error| Fault::of(&error);
    let found = version(client).await.map_err(failed)?;
    if found == Some(migrations.len() as i64) {
        return Ok(());
    }
    let transaction = client.transaction().await.map_err(failed)?;
    // Both may take long: another server at the same work, millions of rows.
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await.map_err(failed)?;
    let lock = transaction.query("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]);
    lock.await.map_err(failed)?;
    let table = "CREATE TABLE IF NOT EXISTS pointsman_schema (version BIGINT NOT NULL)";
    transaction.batch_execute(table).await.map_err(failed)?;
    let row = transaction.query_opt("SELECT version FROM pointsman_schema", &[]);
    let found = row.await.map_err(failed)?.map_or(0, |it| it.get::<_, i64>(0));
    let missing = usize::try_from(found).ok().and_then(|it| migrations.get(it..));
    let missing = missing.ok_or(Fault::Newer(found))?;
    for migration in missing {
        transaction.batch_execute(migration).await.map_err(failed)?;
    }
    let new = migrations.len() as i64;
    transaction.execute("DELETE FROM pointsman_schema", &[]).await.map_err(failed)?;
    let insert = "INSERT INTO pointsman_schema VALUES ($1)";
    transaction.execute(insert, &[&new]).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// The version without a lock, so that a user without the right to make tables may go on using those
/// that are there; `None` where there is none yet.
async fn version(client: &Client) -> Result<Option<i64>, Error> {
    let there = "SELECT to_regclass('pointsman_schema') IS NOT NULL";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version FROM pointsman_schema", &[]).await?;
    Ok(row.map(|it| it.get(0)))
}
