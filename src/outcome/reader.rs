//! The outcome log read from end to end, with what was said of every decision.
//!
//! In: the path of a log that a server may be writing at the same time. Out: every [`Logged`]
//! decision in the order of their ids, which is that of time, one in memory at a time. Invariant: reading
//! changes nothing but this: what a killed server left in its journal is put into the log. Not here: what is learned from it (the training
//! crate).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::feedback::FeedbackKind;
use super::journal;
use super::record::OutcomeRecord;
use super::schema::SCHEMA_VERSION;
use super::signals::{Signal, Signalled};
use super::sqlite::{SqliteStore, decoded, failure, vector};
use super::store::OutcomeError;
use crate::domain::{DecisionId, DeploymentId, Probability};

/// A decision, and the scores that came for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The decision.
    pub record: OutcomeRecord,
    /// Every score that a caller gave, in the order of kinds and then of keys.
    pub scores: Vec<(FeedbackKind, Probability)>,
    /// What the service itself saw, about whichever deployment; no part of [`Logged::score`].
    pub signals: Vec<Signalled>,
}

impl Logged {
    /// What its answer was worth: the mean of the scores of the surest kind that there is. A person
    /// who says so comes before a known answer, that before a judge, and behaviour last.
    pub fn score(&self) -> Option<Probability> {
        self.surest().map(|(_, score)| score)
    }

    /// As [`Logged::score`], with the kind.
    pub fn surest(&self) -> Option<(FeedbackKind, Probability)> {
        let surest = [
            FeedbackKind::Explicit,
            FeedbackKind::ExactMatch,
            FeedbackKind::Judge,
            FeedbackKind::Implicit,
        ];
        surest.into_iter().find_map(|kind| {
            let of: Vec<f64> =
                self.scores.iter().filter(|it| it.0 == kind).map(|it| it.1.get()).collect();
            let mean = of.iter().sum::<f64>() / of.len() as f64;
            (!of.is_empty()).then(|| (kind, Probability::clamped(mean)))
        })
    }
}

/// A log that is only read.
pub struct OutcomeReader {
    path: PathBuf,
    connection: Connection,
}

impl OutcomeReader {
    /// Opens a log. Everything that was acknowledged before is in it, after some milliseconds for
    /// which this blocks where a server is at work; what a killed one left in its journal is put into
    /// the log.
    ///
    /// # Errors
    /// [`OutcomeError`], which names the file, when there is none or it is not one of this version.
    pub fn open(path: &Path) -> Result<Self, OutcomeError> {
        let failed = |source| failure(path, source);
        journal::settle(path, || SqliteStore::open_existing(path).map(drop));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        let found: i64 =
            connection.pragma_query_value(None, "user_version", |it| it.get(0)).map_err(failed)?;
        if found > SCHEMA_VERSION as i64 {
            return Err(OutcomeError::NewerSchema { path: path.to_owned(), found });
        }
        Ok(Self { path: path.to_owned(), connection })
    }

    /// For whoever asks other things of the same log.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Hands every decision to `visit`; one that cannot be read as an error, after which the next
    /// ones follow.
    ///
    /// # Errors
    /// [`OutcomeError::Database`] and `Damaged` when the file itself cannot be read on.
    pub fn for_each(
        &self,
        mut visit: impl FnMut(Result<Logged, OutcomeError>),
    ) -> Result<(), OutcomeError> {
        let failed = |source| failure(&self.path, source);
        // One transaction, so that scores and decisions are of one moment.
        let moment = self.connection.unchecked_transaction().map_err(failed)?;
        let mut said = said(&moment).map_err(failed)?;
        let sql = format!("{SELECT} ORDER BY decision");
        let mut statement = moment.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            // Ids are written by this program alone; one that is none has no record of it either.
            let Some((decision, record)) = record(row).map_err(failed)? else { continue };
            let said = said.remove(&decision.to_string()).unwrap_or_default();
            visit(record.map(|record| said.of(record)));
        }
        Ok(())
    }

    /// Hands the newest decisions to `visit` of which anybody has said anything in so many words, at
    /// most `count`, oldest first; otherwise as [`Self::for_each`].
    ///
    /// # Errors
    /// As for [`Self::for_each`].
    pub fn newest_scored(
        &self,
        count: usize,
        visit: impl FnMut(Result<Logged, OutcomeError>),
    ) -> Result<(), OutcomeError> {
        let newest = "SELECT DISTINCT decision FROM feedback WHERE kind <> 'implicit' \
                      ORDER BY decision DESC LIMIT ?1";
        let sql = format!("{SELECT} WHERE decision IN ({newest}) ORDER BY decision");
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.some(&sql, [count], visit).map_err(|source| failure(&self.path, source))
    }

    /// One decision, if it is in the log.
    ///
    /// # Errors
    /// [`OutcomeError`] when it, or the file, cannot be read.
    pub fn one(&self, decision: DecisionId) -> Result<Option<Logged>, OutcomeError> {
        let (sql, mut found) = (format!("{SELECT} WHERE decision = ?1"), Ok(None));
        let some = self.some(&sql, [decision.to_string()], |it| found = it.map(Some));
        some.map_err(|source| failure(&self.path, source))?;
        found
    }

    fn some(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        mut visit: impl FnMut(Result<Logged, OutcomeError>),
    ) -> rusqlite::Result<()> {
        let moment = self.connection.unchecked_transaction()?;
        let mut statement = moment.prepare(sql)?;
        let mut rows = statement.query(values)?;
        while let Some(row) = rows.next()? {
            let Some((decision, record)) = record(row)? else { continue };
            let said = said_of(&moment, decision)?;
            visit(record.map(|record| said.of(record)));
        }
        Ok(())
    }
}

/// What [`record`] reads.
const SELECT: &str = "SELECT decision, record_version, record, features, embedding FROM outcome";
/// Scores of one decision that count, where it is not read with all others: anybody who knows its id
/// can add more, under ever new keys.
pub(super) const SCORES_MAX: i64 = 64;

type Read = (DecisionId, Result<OutcomeRecord, OutcomeError>);

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Read>> {
    let vectors = [vector(row.get_ref(3)?.as_blob()?), vector(row.get_ref(4)?.as_blob()?)];
    let (id, json) = (row.get::<_, String>(0)?, row.get::<_, String>(2)?);
    let version = row.get(1)?;
    Ok(DecisionId::parse(&id).map(|id| (id, decoded(id, version, &json, vectors))))
}

fn said_of(connection: &Connection, decision: DecisionId) -> rusqlite::Result<Said> {
    let Some(columns) = said_columns(connection)? else { return Ok(Said::default()) };
    let sql = format!(
        "SELECT decision, kind, score, {columns} FROM feedback WHERE decision = ?1 \
         ORDER BY kind, idempotency_key, at_unix_ms LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params![decision.to_string(), SCORES_MAX])?;
    let mut found = Said::default();
    while let Some(row) = rows.next()? {
        add(row, |_| &mut found)?;
    }
    Ok(found)
}

/// What was said of a decision.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Said {
    scores: Vec<(FeedbackKind, Probability)>,
    signals: Vec<Signalled>,
}

/// A row of feedback, as it is kept.
pub(super) struct SaidRow<'a> {
    pub(super) kind: &'a str,
    pub(super) signal: &'a str,
    pub(super) about: &'a str,
    pub(super) score: f64,
    pub(super) weight: f64,
}

impl Said {
    /// Takes a row. A kind or a signal of a later version says nothing here.
    pub(super) fn add(&mut self, row: &SaidRow<'_>) {
        let Ok(score) = Probability::new(row.score) else { return };
        let kind = FeedbackKind::ALL.into_iter().find(|it| it.as_str() == row.kind);
        if row.signal.is_empty() {
            self.scores.extend(kind.map(|it| (it, score)));
            return;
        }
        let signal = Signal::ALL.into_iter().find(|it| it.as_str() == row.signal);
        if let (Some(signal), Ok(about)) = (signal, DeploymentId::new(row.about)) {
            self.signals.push(Signalled { signal, about, score, weight: row.weight });
        }
    }

    /// The decision with what was said of it.
    pub(super) fn of(self, record: OutcomeRecord) -> Logged {
        Logged { record, scores: self.scores, signals: self.signals }
    }
}

/// What to ask of feedback beside kind and score. Files that are only read are not migrated: version 2
/// had no signals yet, version 1 no feedback.
fn said_columns(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |it| it.get(0))?;
    let columns = if version < 3 { "'', '', 1.0" } else { "signal, about, weight" };
    Ok((version >= 2).then_some(columns))
}

fn said(connection: &Connection) -> rusqlite::Result<HashMap<String, Said>> {
    let Some(columns) = said_columns(connection)? else { return Ok(HashMap::new()) };
    let sql = format!(
        "SELECT decision, kind, score, {columns} FROM feedback \
         ORDER BY decision, kind, idempotency_key, at_unix_ms"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut found = HashMap::<String, Said>::new();
    while let Some(row) = rows.next()? {
        add(row, |decision| found.entry(decision).or_default())?;
    }
    Ok(found)
}

/// Adds a row to what was said of its decision.
fn add<'a>(
    row: &rusqlite::Row<'_>,
    of: impl FnOnce(String) -> &'a mut Said,
) -> rusqlite::Result<()> {
    let text = |at: usize| row.get::<_, String>(at);
    let (decision, kind, signal, about) = (text(0)?, text(1)?, text(3)?, text(4)?);
    let (score, weight) = (row.get(2)?, row.get(5)?);
    of(decision).add(&SaidRow { kind: &kind, signal: &signal, about: &about, score, weight });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::feedback::Feedback;
    use super::super::samples;
    use super::super::store::{OutcomeStore, Write};
    use super::*;

    fn write(path: &Path, records: &[OutcomeRecord], scores: &[(FeedbackKind, f64)]) {
        let mut store = SqliteStore::open(path).unwrap();
        let outcomes = records.iter().map(|it| Write::Outcome(Box::new(it.clone())));
        let feedback = scores.iter().map(|(kind, score)| Write::Feedback {
            feedback: Feedback {
                decision: records[0].decision,
                score: Probability::clamped(*score),
                kind: *kind,
                comment: None,
                idempotency_key: Some(score.to_string()),
            },
            at_unix_ms: 1,
        });
        store.write(outcomes.chain(feedback).collect()).into_iter().for_each(|it| {
            it.unwrap();
        });
    }

    fn read(path: &Path) -> Vec<Result<Logged, OutcomeError>> {
        let mut found = Vec::new();
        OutcomeReader::open(path).unwrap().for_each(|it| found.push(it)).unwrap();
        found
    }

    #[test]
    fn decisions_come_back_in_order_with_their_scores() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes.db");
        let early = OutcomeRecord { at_unix_ms: 5, ..samples::record() };
        let later =
            OutcomeRecord { version: super::super::RECORD_VERSION + 1, ..samples::record() };
        let last = OutcomeRecord { at_unix_ms: u64::from(u32::MAX) << 20, ..samples::record() };
        let scores = [
            (FeedbackKind::Judge, 0.1),
            (FeedbackKind::Explicit, 1.0),
            (FeedbackKind::Explicit, 0.5),
        ];
        write(&path, &[early.clone(), later, last.clone()], &scores);
        let found = read(&path);
        let [Ok(first), Err(OutcomeError::RecordVersion { .. }), Ok(third)] = found.as_slice()
        else {
            unreachable!("{found:?}")
        };
        assert_eq!((&first.record, &third.record), (&early, &last));
        assert_eq!(first.score(), Probability::new(0.75).ok());
        assert_eq!((first.scores.len(), third.score()), (3, None));
    }

    #[test]
    fn the_newest_of_which_something_was_said_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outcomes.db");
        let records: Vec<_> = (0..6).map(|_| samples::record()).collect();
        write(&path, &records, &[]);
        let said = [(0, FeedbackKind::Explicit), (2, FeedbackKind::Implicit)];
        let said = said.into_iter().chain([(3, FeedbackKind::Judge), (5, FeedbackKind::Judge)]);
        for (at, kind) in said {
            let score = Write::Feedback {
                feedback: Feedback {
                    decision: records[at].decision,
                    score: Probability::clamped(0.25),
                    kind,
                    comment: None,
                    idempotency_key: None,
                },
                at_unix_ms: 1,
            };
            SqliteStore::open(&path).unwrap().write(vec![score])[0].as_ref().unwrap();
        }
        let reader = OutcomeReader::open(&path).unwrap();
        let check = |count: usize, wanted: &[usize]| {
            let mut found = Vec::new();
            reader.newest_scored(count, |it| found.push(it.unwrap())).unwrap();
            let ids: Vec<_> = found.iter().map(|it| it.record.decision).collect();
            let wanted: Vec<_> = wanted.iter().map(|at| records[*at].decision).collect();
            assert_eq!(ids, wanted, "{count}");
            assert!(found.iter().all(|it| it.score() == Probability::new(0.25).ok()));
        };
        check(9, &[0, 3, 5]);
        check(2, &[3, 5]);
        check(0, &[]);
        let one = reader.one(records[3].decision).unwrap().unwrap();
        assert_eq!((one.record, one.scores.len()), (records[3].clone(), 1));
        assert_eq!(reader.one(records[4].decision).unwrap().unwrap().scores, []);
        assert_eq!(reader.one(DecisionId::fresh()).unwrap(), None);
    }

    #[test]
    fn a_log_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.db");
        let error = OutcomeReader::open(&path).err().unwrap().to_string();
        assert!(error.contains("none.db") && !path.exists(), "{error}");
    }
}
