//! The SQLite log as a source of exports.
//!
//! In: the log's file, by a connection of its own beside the server's. Out: parts and rows.
//! Invariant: reading never keeps the server from writing, and a checkpoint is a commit of one row;
//! commits here wait for the disk (`synchronous = FULL`), so that no file is ever ahead of its plan,
//! not even after a loss of power. The plan is made while reading and taken only if nobody else took
//! one meanwhile.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::source::{
    ExportSource, FeedbackRow, OutcomeRow, PART_ROWS_MAX, Part, Planned, READ_BYTES_MAX,
    READ_ROWS_MAX, Span, Table,
};
use crate::outcome::journal;
use crate::outcome::sqlite::{SqliteStore, failure, vector};
use crate::outcome::store::OutcomeError;

/// Rows of one day: the same arithmetic as [`super::source::day_of`].
const OF_DAY: &str = "(?4 IS NULL OR max(0, min(2932896, at_unix_ms / 86400000)) = ?4)";

/// The log's file.
pub(super) struct SqliteSource {
    path: PathBuf,
    connection: Connection,
}

impl SqliteSource {
    /// Opens a log that is there, once what was acknowledged is in it; an older one is migrated.
    pub(super) fn open(path: &Path) -> Result<Self, OutcomeError> {
        journal::settle(path, || SqliteStore::open_existing(path).map(drop));
        let connection = SqliteStore::open_existing(path)?;
        let full = connection.pragma_update(None, "synchronous", "full");
        full.map_err(|source| failure(path, source))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    fn failed(&self, source: rusqlite::Error) -> OutcomeError {
        failure(&self.path, source)
    }

    fn try_part_of(&self, to: &str, table: Table) -> rusqlite::Result<Planned> {
        let what = table.as_str();
        let sql = "INSERT INTO export VALUES (?1, ?2, 0, NULL, NULL) ON CONFLICT DO NOTHING";
        self.connection.prepare_cached(sql)?.execute([to, what])?;
        let sql = "SELECT done_seq, pending_seq, pending_days FROM export \
                   WHERE destination = ?1 AND what = ?2";
        let (done, pending, days): (i64, Option<i64>, Option<String>) = self
            .connection
            .prepare_cached(sql)?
            .query_row([to, what], |it| Ok((it.get(0)?, it.get(1)?, it.get(2)?)))?;
        if let Some(last) = pending {
            let days = days.unwrap_or_default();
            return Ok(Planned::Part(Part::pending(table, (done, last), &days)));
        }
        let Some(part) = self.plan(table, done)? else { return Ok(Planned::Nothing) };
        let sql = "UPDATE export SET pending_seq = ?3, pending_days = ?4 \
                   WHERE destination = ?1 AND what = ?2 AND done_seq = ?5 AND pending_seq IS NULL";
        let values = params![to, what, part.last, part.days_text(), done];
        let taken = self.connection.prepare_cached(sql)?.execute(values)?;
        Ok(if taken == 1 { Planned::Part(part) } else { Planned::Again })
    }

    /// The next part after a number, by the sizes of rows alone.
    fn plan(&self, table: Table, done: i64) -> rusqlite::Result<Option<Part>> {
        let sql = match table {
            Table::Outcomes => {
                "SELECT seq, at_unix_ms, octet_length(record) + octet_length(features) \
                 + octet_length(embedding) FROM outcome WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            }
            Table::Feedback => {
                "SELECT seq, at_unix_ms, 200 + coalesce(octet_length(comment), 0) FROM feedback \
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            }
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![done, PART_ROWS_MAX as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned()))
        })?;
        Part::plan(table, done, rows)
    }

    /// Reads rows until they are enough, at least one.
    fn read<T>(
        &self,
        sql: &str,
        span: Span,
        mut row_of: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<(T, u64)>,
    ) -> Result<Vec<T>, OutcomeError> {
        let mut read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let values = params![span.after, span.last, READ_ROWS_MAX as i64, span.day];
            let mut rows = statement.query(values)?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while bytes < READ_BYTES_MAX {
                let Some(row) = rows.next()? else { break };
                let (row, size) = row_of(row)?;
                bytes += size;
                found.push(row);
            }
            Ok(found)
        };
        read().map_err(|source| self.failed(source))
    }
}

impl ExportSource for SqliteSource {
    fn log_id(&self) -> Result<String, OutcomeError> {
        let id = self.connection.query_row("SELECT log_id FROM log", [], |it| it.get(0));
        id.map_err(|source| self.failed(source))
    }

    fn knows(&self, destination: &str) -> Result<bool, OutcomeError> {
        let sql = "SELECT 1 FROM export WHERE destination = ?1 \
                   AND (done_seq > 0 OR pending_seq IS NOT NULL)";
        let found = self.connection.query_row(sql, [destination], |_| Ok(())).optional();
        found.map(|it| it.is_some()).map_err(|source| self.failed(source))
    }

    fn try_part(&mut self, destination: &str, table: Table) -> Result<Planned, OutcomeError> {
        self.try_part_of(destination, table).map_err(|source| self.failed(source))
    }

    fn is_under_way(&self, destination: &str, part: &Part) -> Result<bool, OutcomeError> {
        let sql = "SELECT 1 FROM export WHERE destination = ?1 AND what = ?2 AND done_seq = ?3 \
                   AND pending_seq = ?4";
        let values = params![destination, part.table.as_str(), part.first - 1, part.last];
        let found = self.connection.query_row(sql, values, |_| Ok(())).optional();
        found.map(|it| it.is_some()).map_err(|source| self.failed(source))
    }

    fn finish(&mut self, destination: &str, part: &Part) -> Result<(), OutcomeError> {
        let sql = "UPDATE export SET done_seq = ?4, pending_seq = NULL, pending_days = NULL \
                   WHERE destination = ?1 AND what = ?2 AND done_seq = ?3 AND pending_seq = ?4";
        let values = params![destination, part.table.as_str(), part.first - 1, part.last];
        let done = self.connection.execute(sql, values);
        done.map(drop).map_err(|source| self.failed(source))
    }

    fn outcomes(&self, span: Span) -> Result<Vec<OutcomeRow>, OutcomeError> {
        let sql = format!(
            "SELECT seq, decision, at_unix_ms, record_version, record, features, embedding \
             FROM outcome WHERE seq > ?1 AND seq <= ?2 AND {OF_DAY} ORDER BY seq LIMIT ?3"
        );
        self.read(&sql, span, |row| {
            let (features, embedding) = (row.get_ref(5)?.as_blob()?, row.get_ref(6)?.as_blob()?);
            let bytes = features.len() + embedding.len();
            let row = OutcomeRow {
                seq: row.get(0)?,
                decision: row.get(1)?,
                at_unix_ms: row.get(2)?,
                version: row.get(3)?,
                json: row.get(4)?,
                features: vector(features),
                embedding: vector(embedding),
            };
            let bytes = (bytes + row.json.len()) as u64;
            Ok((row, bytes))
        })
    }

    fn feedback(&self, span: Span) -> Result<Vec<FeedbackRow>, OutcomeError> {
        let sql = format!(
            "SELECT seq, decision, at_unix_ms, kind, signal, about, idempotency_key, score, weight, \
             comment FROM feedback WHERE seq > ?1 AND seq <= ?2 AND {OF_DAY} \
             ORDER BY seq LIMIT ?3"
        );
        self.read(&sql, span, |row| {
            let row = FeedbackRow {
                seq: row.get(0)?,
                decision: row.get(1)?,
                at_unix_ms: row.get(2)?,
                kind: row.get(3)?,
                signal: row.get(4)?,
                about: row.get(5)?,
                idempotency_key: row.get(6)?,
                score: row.get(7)?,
                weight: row.get(8)?,
                comment: row.get(9)?,
            };
            let bytes = 200 + row.comment.as_ref().map_or(0, String::len);
            Ok((row, bytes as u64))
        })
    }
}
