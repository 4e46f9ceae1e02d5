//! The PostgreSQL log as a source of exports.
//!
//! In: the database, by a connection of its own beside the servers'. Out: parts and rows. Invariant:
//! every step is one statement and one commit; numbers grow in the order of commits (the store sees to
//! that). What waits in a server's spool is exported once it has come to the database. The plan is
//! made while reading and taken only if nobody else took one meanwhile.

use std::cell::RefCell;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::source::{
    ExportSource, FeedbackRow, OutcomeRow, PART_ROWS_MAX, Part, Planned, READ_BYTES_MAX,
    READ_ROWS_MAX, Span, Table,
};
use crate::outcome::postgres::{PostgresSettings, Session, Value};
use crate::outcome::sqlite::vector;
use crate::outcome::store::OutcomeError;

/// Rows of one day: the same arithmetic as [`super::source::day_of`].
const OF_DAY: &str =
    "($4::bigint IS NULL OR greatest(0, least(2932896, at_unix_ms / 86400000)) = $4)";

/// The database.
pub(super) struct PostgresSource {
    session: RefCell<Session>,
}

impl PostgresSource {
    /// Connects; an older database is migrated.
    pub(super) fn open(settings: &PostgresSettings) -> Result<Self, OutcomeError> {
        Ok(Self { session: RefCell::new(Session::open(settings)?) })
    }

    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, OutcomeError> {
        self.session.borrow_mut().query(sql, values)
    }

    /// The next part after a number, by the sizes of rows alone.
    fn plan(&self, table: Table, done: i64) -> Result<Option<Part>, OutcomeError> {
        let sql = match table {
            Table::Outcomes => {
                "SELECT seq, at_unix_ms, (octet_length(record) + octet_length(features) \
                 + octet_length(embedding))::bigint FROM outcome WHERE seq > $1 ORDER BY seq LIMIT $2"
            }
            Table::Feedback => {
                "SELECT seq, at_unix_ms, (200 + coalesce(octet_length(comment), 0))::bigint \
                 FROM feedback WHERE seq > $1 ORDER BY seq LIMIT $2"
            }
        };
        let most = PART_ROWS_MAX as i64;
        let rows = self.query(sql, &[(&done, Type::INT8), (&most, Type::INT8)])?;
        let rows = rows.iter();
        let rows =
            rows.map(|row| Ok((row.get(0), row.get(1), row.get::<_, i64>(2).cast_unsigned())));
        Part::plan(table, done, rows)
    }

    /// The first rows of a span, as many as are enough and at least one: the database cuts them.
    fn read(&self, table: &str, size: &str, span: Span) -> Result<Vec<Row>, OutcomeError> {
        let sql = format!(
            "SELECT * FROM (SELECT *, sum({size}) OVER (ORDER BY seq) - {size} AS before FROM \
             (SELECT * FROM {table} WHERE seq > $1 AND seq <= $2 AND {OF_DAY} ORDER BY seq LIMIT $3) \
             AS next) AS it WHERE before < $5 ORDER BY seq"
        );
        let (rows, bytes) = (READ_ROWS_MAX as i64, READ_BYTES_MAX.cast_signed());
        let values: [Value<'_>; 5] = [
            (&span.after, Type::INT8),
            (&span.last, Type::INT8),
            (&rows, Type::INT8),
            (&span.day, Type::INT8),
            (&bytes, Type::INT8),
        ];
        self.query(&sql, &values)
    }
}

impl ExportSource for PostgresSource {
    fn log_id(&self) -> Result<String, OutcomeError> {
        Ok(self.session.borrow().log_id().to_owned())
    }

    fn knows(&self, destination: &str) -> Result<bool, OutcomeError> {
        let sql = "SELECT 1 FROM export WHERE destination = $1 \
                   AND (done_seq > 0 OR pending_seq IS NOT NULL)";
        Ok(!self.query(sql, &[(&destination, Type::TEXT)])?.is_empty())
    }

    fn try_part(&mut self, destination: &str, table: Table) -> Result<Planned, OutcomeError> {
        let what = table.as_str();
        let place: [Value<'_>; 2] = [(&destination, Type::TEXT), (&what, Type::TEXT)];
        let sql = "INSERT INTO export VALUES ($1, $2, 0, NULL, NULL) ON CONFLICT DO NOTHING";
        self.query(sql, &place)?;
        let sql = "SELECT done_seq, pending_seq, pending_days FROM export \
                   WHERE destination = $1 AND what = $2";
        let rows = self.query(sql, &place)?;
        let Some(row) = rows.first() else { return Ok(Planned::Again) };
        let (done, pending): (i64, Option<i64>) = (row.get(0), row.get(1));
        if let Some(last) = pending {
            let days = row.get::<_, Option<&str>>(2).unwrap_or_default();
            return Ok(Planned::Part(Part::pending(table, (done, last), days)));
        }
        let Some(part) = self.plan(table, done)? else { return Ok(Planned::Nothing) };
        let days = part.days_text();
        let sql = "UPDATE export SET pending_seq = $3, pending_days = $4 WHERE destination = $1 \
                   AND what = $2 AND done_seq = $5 AND pending_seq IS NULL RETURNING 1";
        let values: [Value<'_>; 5] = [
            (&destination, Type::TEXT),
            (&what, Type::TEXT),
            (&part.last, Type::INT8),
            (&days, Type::TEXT),
            (&done, Type::INT8),
        ];
        let taken = self.query(sql, &values)?.len();
        Ok(if taken == 1 { Planned::Part(part) } else { Planned::Again })
    }

    fn is_under_way(&self, destination: &str, part: &Part) -> Result<bool, OutcomeError> {
        let sql = "SELECT 1 FROM export WHERE destination = $1 AND what = $2 AND done_seq = $3 \
                   AND pending_seq = $4";
        let (what, done) = (part.table.as_str(), part.first - 1);
        let values: [Value<'_>; 4] = [
            (&destination, Type::TEXT),
            (&what, Type::TEXT),
            (&done, Type::INT8),
            (&part.last, Type::INT8),
        ];
        Ok(!self.query(sql, &values)?.is_empty())
    }

    fn finish(&mut self, destination: &str, part: &Part) -> Result<(), OutcomeError> {
        let sql = "UPDATE export SET done_seq = $4, pending_seq = NULL, pending_days = NULL \
                   WHERE destination = $1 AND what = $2 AND done_seq = $3 AND pending_seq = $4";
        let (what, done) = (part.table.as_str(), part.first - 1);
        let values: [Value<'_>; 4] = [
            (&destination, Type::TEXT),
            (&what, Type::TEXT),
            (&done, Type::INT8),
            (&part.last, Type::INT8),
        ];
        self.query(sql, &values).map(drop)
    }

    fn outcomes(&self, span: Span) -> Result<Vec<OutcomeRow>, OutcomeError> {
        let size = "(octet_length(record) + octet_length(features) + octet_length(embedding))";
        let rows = self.read("outcome", size, span)?;
        let row = |it: &Row| OutcomeRow {
            seq: it.get("seq"),
            decision: it.get("decision"),
            at_unix_ms: it.get("at_unix_ms"),
            version: it.get("record_version"),
            json: it.get("record"),
            features: vector(it.get("features")),
            embedding: vector(it.get("embedding")),
        };
        Ok(rows.iter().map(row).collect())
    }

    fn feedback(&self, span: Span) -> Result<Vec<FeedbackRow>, OutcomeError> {
        let rows = self.read("feedback", "(200 + coalesce(octet_length(comment), 0))", span)?;
        let row = |it: &Row| FeedbackRow {
            seq: it.get("seq"),
            decision: it.get("decision"),
            at_unix_ms: it.get("at_unix_ms"),
            kind: it.get("kind"),
            signal: it.get("signal"),
            about: it.get("about"),
            idempotency_key: it.get("idempotency_key"),
            score: it.get("score"),
            weight: it.get("weight"),
            comment: it.get("comment"),
        };
        Ok(rows.iter().map(row).collect())
    }
}
