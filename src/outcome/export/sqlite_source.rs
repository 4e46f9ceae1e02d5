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
    ExportSource, FeedbackRow, OutcomeRow, PART_BYTES_MAX, PART_DAYS_MAX, PART_ROWS_MAX, Part,
    READ_BYTES_MAX, READ_ROWS_MAX, Span, Table, day_of,
};
use crate::outcome::sqlite::{SqliteStore, failure, vector};
use crate::outcome::store::OutcomeError;

/// How often a plan is made again because another export was faster; two on one log are many.
const PLANS_MAX: usize = 16;

/// Rows of one day: the same arithmetic as [`day_of`].
const OF_DAY: &str = "(?4 IS NULL OR max(0, min(2932896, at_unix_ms / 86400000)) = ?4)";

/// The log's file.
pub(super) struct SqliteSource {
    path: PathBuf,
    connection: Connection,
}

impl SqliteSource {
    /// Opens a log that is there; an older one is migrated.
    pub(super) fn open(path: &Path) -> Result<Self, OutcomeError> {
        let connection = SqliteStore::open_existing(path)?;
        let full = connection.pragma_update(None, "synchronous", "full");
        full.map_err(|source| failure(path, source))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    fn failed(&self, source: rusqlite::Error) -> OutcomeError {
        failure(&self.path, source)
    }

    fn try_part(&mut self, to: &str, table: Table) -> rusqlite::Result<Planned> {
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
            let days = days.split(',').filter_map(|it| it.parse().ok()).collect();
            return Ok(Planned::Part(Part { table, first: done + 1, last, days }));
        }
        let Some(part) = self.plan(table, done)? else { return Ok(Planned::Nothing) };
        let days: Vec<_> = part.days.iter().map(ToString::to_string).collect();
        let sql = "UPDATE export SET pending_seq = ?3, pending_days = ?4 \
                   WHERE destination = ?1 AND what = ?2 AND done_seq = ?5 AND pending_seq IS NULL";
        let values = params![to, what, part.last, days.join(","), done];
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
        let mut rows = statement.query(params![done, PART_ROWS_MAX as i64])?;
        let (mut last, mut bytes, mut days) = (None, 0, Vec::new());
        while let Some(row) = rows.next()? {
            let day = day_of(row.get(1)?);
            bytes += row.get::<_, i64>(2)?.cast_unsigned();
            let new_day = !days.contains(&day);
            let full = bytes > PART_BYTES_MAX || new_day && days.len() == PART_DAYS_MAX;
            if full && last.is_some() {
                break;
            }
            if new_day {
                days.push(day);
            }
            last = Some(row.get(0)?);
        }
        days.sort_unstable();
        Ok(last.map(|last| Part { table, first: done + 1, last, days }))
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

/// What a try to plan came to.
enum Planned {
    Part(Part),
    Nothing,
    /// Another export took a part in between.
    Again,
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

    fn part(&mut self, destination: &str, table: Table) -> Result<Option<Part>, OutcomeError> {
        for _ in 0..PLANS_MAX {
            match self.try_part(destination, table).map_err(|source| self.failed(source))? {
                Planned::Part(part) => return Ok(Some(part)),
                Planned::Nothing => return Ok(None),
                Planned::Again => {}
            }
        }
        // Whoever was faster so often exports all there is; nothing is left to do here.
        Ok(None)
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
