//! Exactly once, whatever happens in between: over a store and a place that fail at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::destination::Place;
use super::source::{ExportSource, FeedbackRow, OutcomeRow, Part, Planned, Span, Table};
use super::sqlite_source::SqliteSource;
use super::*;
use crate::domain::{DecisionId, Probability};
use crate::outcome::feedback::{Feedback, FeedbackKind};
use crate::outcome::sqlite::SqliteStore;
use crate::outcome::store::{OutcomeStore, Write};
use crate::outcome::upkeep::{Erasure, Retention};
use crate::outcome::{OutcomeRecord, StoreSettings, samples};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Counts steps, and fails at one of them: before it is done, or just after.
#[derive(Clone)]
struct Fate {
    step: Arc<AtomicUsize>,
    fails_at: usize,
    before: bool,
}

impl Fate {
    fn of(fails_at: usize, before: bool) -> Self {
        Self { step: Arc::default(), fails_at, before }
    }

    fn spared() -> Self {
        Self::of(usize::MAX, true)
    }

    fn step<T>(&self, work: impl FnOnce() -> Result<T, OutcomeError>) -> Result<T, OutcomeError> {
        let strikes = self.step.fetch_add(1, Ordering::SeqCst) == self.fails_at;
        if strikes && self.before {
            return Err(OutcomeError::Closed);
        }
        let done = work();
        if strikes { Err(OutcomeError::Closed) } else { done }
    }
}

struct Failing<T>(T, Fate);

impl ExportSource for Failing<SqliteSource> {
    fn log_id(&self) -> Result<String, OutcomeError> {
        self.0.log_id()
    }

    fn knows(&self, destination: &str) -> Result<bool, OutcomeError> {
        self.1.step(|| self.0.knows(destination))
    }

    fn try_part(&mut self, destination: &str, table: Table) -> Result<Planned, OutcomeError> {
        self.1.step(|| self.0.try_part(destination, table))
    }

    fn is_under_way(&self, destination: &str, part: &Part) -> Result<bool, OutcomeError> {
        self.1.step(|| self.0.is_under_way(destination, part))
    }

    fn finish(&mut self, destination: &str, part: &Part) -> Result<(), OutcomeError> {
        self.1.step(|| self.0.finish(destination, part))
    }

    fn outcomes(&self, span: Span) -> Result<Vec<OutcomeRow>, OutcomeError> {
        self.1.step(|| self.0.outcomes(span))
    }

    fn feedback(&self, span: Span) -> Result<Vec<FeedbackRow>, OutcomeError> {
        self.1.step(|| self.0.feedback(span))
    }
}

/// Files in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Place for Failing<Memory> {
    fn name(&self) -> &str {
        "memory://"
    }

    fn put<'a>(&'a self, file: &'a str, bytes: Bytes) -> BoxFuture<'a, Result<(), ExportError>> {
        let put = || {
            self.0.0.lock().unwrap().insert(file.to_owned(), bytes);
            Ok(())
        };
        let put = self.1.step(put).map_err(Into::into);
        Box::pin(async { put })
    }

    fn remove<'a>(&'a self, file: &'a str) -> BoxFuture<'a, Result<(), ExportError>> {
        let remove = || {
            self.0.0.lock().unwrap().remove(file);
            Ok(())
        };
        let removed = self.1.step(remove).map_err(Into::into);
        Box::pin(async { removed })
    }

    fn any_of<'a>(&'a self, log_id: &'a str) -> BoxFuture<'a, Result<Option<String>, ExportError>> {
        let files = self.0.0.lock().unwrap();
        let found = files.keys().find(|it| super::source::is_of_log(it, log_id)).cloned();
        let found = self.1.step(|| Ok(found)).map_err(Into::into);
        Box::pin(async { found })
    }
}

/// A log, and where it is exported to.
struct World {
    folder: tempfile::TempDir,
    store: SqliteStore,
    files: Memory,
    written: u64,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("outcomes.db")).unwrap();
        Self { folder, store, files: Memory::default(), written: 0 }
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("outcomes.db")
    }

    /// Outcomes of three days, in turn.
    fn write(&mut self, count: u64) -> Vec<DecisionId> {
        let records: Vec<_> = (0..count)
            .map(|at| {
                let at_unix_ms = (20_000 + (self.written + at) % 3) * DAY_MS;
                OutcomeRecord { at_unix_ms, ..samples::record() }
            })
            .collect();
        self.written += count;
        let ids = records.iter().map(|it| it.decision).collect();
        let batch = records.into_iter().map(|it| Write::Outcome(Box::new(it))).collect();
        self.store.write(batch).into_iter().for_each(|it| assert!(it.is_ok(), "{it:?}"));
        ids
    }

    fn rate(&mut self, decision: DecisionId) {
        let feedback = Feedback {
            decision,
            score: Probability::ONE,
            kind: FeedbackKind::Judge,
            comment: None,
            idempotency_key: None,
        };
        let written = self.store.write(vec![Write::Feedback { feedback, at_unix_ms: DAY_MS }]);
        written.into_iter().for_each(|it| assert!(it.is_ok(), "{it:?}"));
    }

    fn export(&self, fate: &Fate) -> Result<Exported, ExportError> {
        let source = Failing(SqliteSource::open(&self.log()).unwrap(), fate.clone());
        let exporter = Exporter::of(source, Failing(self.files.clone(), fate.clone()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(exporter.run(|_| ()))
    }

    /// Ids in all files of a table, sorted.
    fn exported(&self, table: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for (name, bytes) in self.files.0.lock().unwrap().iter() {
            if !name.starts_with(table) {
                continue;
            }
            use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Reader;
            for batch in Reader::try_new(bytes.clone()).unwrap().build().unwrap() {
                use arrow::array::AsArray as _;
                let batch = batch.unwrap();
                let column = batch.column_by_name("decision_id").unwrap();
                let values = column.as_string::<i32>().iter().map(|it| it.unwrap().to_owned());
                ids.extend(values);
            }
        }
        ids.sort();
        ids
    }
}

fn sorted(ids: &[DecisionId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect()
}

#[test]
fn twice_is_once_and_late_scores_arrive() {
    let mut world = World::new();
    let mut ids = world.write(10);
    world.rate(ids[0]);
    let first = world.export(&Fate::spared()).unwrap();
    assert_eq!((first.outcomes, first.feedback, first.files), (10, 1, 4));
    assert_eq!(world.export(&Fate::spared()).unwrap(), Exported::default());
    world.rate(ids[1]);
    ids.extend(world.write(1));
    let second = world.export(&Fate::spared()).unwrap();
    assert_eq!((second.outcomes, second.feedback, second.files), (1, 1, 2));
    assert_eq!(world.exported("outcomes"), sorted(&ids));
    assert_eq!(world.exported("feedback"), sorted(&ids[..2]));
    let names: Vec<_> = world.files.0.lock().unwrap().keys().cloned().collect();
    assert!(names[0].starts_with("feedback/date=1970-01-02/part-"), "{names:?}");
    assert!(names[2].starts_with("outcomes/date=2024-10-04/part-"), "{names:?}");
}

/// Killed at one step; meanwhile more is written; then it runs again, and may be killed once more.
#[test]
fn killed_at_any_step_everything_is_there_once() {
    for before in [true, false] {
        let mut killed = 0;
        for fails_at in 0.. {
            let mut world = World::new();
            let mut ids = world.write(7);
            world.rate(ids[3]);
            if world.export(&Fate::of(fails_at, before)).is_ok() {
                break;
            }
            killed += 1;
            ids.extend(world.write(5));
            world.rate(ids[8]);
            let again = world.export(&Fate::of(fails_at / 2, !before));
            assert!(again.is_err(), "step {fails_at}");
            ids.extend(world.write(2));
            world.export(&Fate::spared()).unwrap();
            let place = format!("step {fails_at}, before: {before}");
            assert_eq!(world.exported("outcomes"), sorted(&ids), "{place}");
            assert_eq!(world.exported("feedback"), sorted(&[ids[3], ids[8]]), "{place}");
        }
        assert!(killed > 20, "only {killed} steps");
    }
}

#[test]
fn two_at_once_write_the_same() {
    let mut world = World::new();
    let ids = world.write(9);
    let source = || SqliteSource::open(&world.log()).unwrap();
    let (mut one, mut other) = (source(), source());
    let part = one.part("memory://", Table::Outcomes).unwrap().unwrap();
    assert_eq!(other.part("memory://", Table::Outcomes).unwrap().as_ref(), Some(&part));
    world.export(&Fate::spared()).unwrap();
    // Both come too late, and see it.
    assert!(!one.is_under_way("memory://", &part).unwrap());
    other.finish("memory://", &part).unwrap();
    assert_eq!(one.part("memory://", Table::Outcomes).unwrap(), None);
    assert_eq!(world.exported("outcomes"), sorted(&ids));
}

#[test]
fn what_is_erased_while_a_part_is_under_way_is_in_no_file() {
    // From the first reading of the part to just before it is noted as done.
    for fails_at in 3..12 {
        let mut world = World::new();
        world.write(6);
        assert!(world.export(&Fate::of(fails_at, false)).is_err());
        let (key, value) = ("team".to_owned(), "blue".to_owned());
        let erased = world.store.erase(&Erasure { key, value, after_seq: 0 }).unwrap();
        assert_eq!((erased.outcomes, erased.exported), (6, 6), "step {fails_at}");
        world.export(&Fate::spared()).unwrap();
        assert_eq!(world.exported("outcomes"), [""; 0], "step {fails_at}");
    }
}

#[test]
fn retention_between_runs_takes_nothing_that_is_not_there() {
    let keep = Some(std::time::Duration::ZERO);
    let retention = Retention { keep, bytes_max: None, exported_to: Some("memory://".into()) };
    for fails_at in 0..20 {
        let mut world = World::new();
        let mut ids = world.write(8);
        let _ = world.export(&Fate::of(fails_at, false));
        let swept = world.store.sweep(&retention, u64::MAX >> 2).unwrap();
        ids.extend(world.write(3));
        world.export(&Fate::spared()).unwrap();
        assert_eq!(world.exported("outcomes"), sorted(&ids), "step {fails_at}: {swept:?}");
        let swept = world.store.sweep(&retention, u64::MAX >> 2).unwrap();
        assert!(!swept.held_back, "all is there: {swept:?}");
        // Numbers are never given again.
        ids.extend(world.write(2));
        world.export(&Fate::spared()).unwrap();
        assert_eq!(world.exported("outcomes"), sorted(&ids), "step {fails_at}");
    }
}

#[test]
fn files_that_the_log_does_not_know_of_stop_it() {
    let mut world = World::new();
    world.write(2);
    world.export(&Fate::spared()).unwrap();
    let forget = rusqlite::Connection::open(world.log()).unwrap();
    forget.execute("DELETE FROM export", []).unwrap();
    let refused = world.export(&Fate::spared());
    assert!(matches!(refused, Err(ExportError::AlreadyThere { .. })), "{refused:?}");
    // Another log may export to the same place.
    let mut other = World::new();
    other.files = world.files.clone();
    let ids = other.write(2);
    other.export(&Fate::spared()).unwrap();
    assert_eq!(other.exported("outcomes").len(), 4);
    assert!(sorted(&ids).iter().all(|it| other.exported("outcomes").contains(it)));
}

#[test]
fn parts_are_bounded_in_rows_and_days() {
    let mut world = World::new();
    let records =
        (0..100).map(|day| OutcomeRecord { at_unix_ms: day * DAY_MS, ..samples::record() });
    let batch = records.map(|it| Write::Outcome(Box::new(it))).collect();
    world.store.write(batch).into_iter().for_each(|it| assert!(it.is_ok(), "{it:?}"));
    let mut source = SqliteSource::open(&world.log()).unwrap();
    let first = source.part("x", Table::Outcomes).unwrap().unwrap();
    assert_eq!((first.first, first.last, first.days.len()), (1, 32, 32));
    let exported = world.export(&Fate::spared()).unwrap();
    assert_eq!((exported.outcomes, exported.files), (100, 100));
}

#[test]
fn what_this_version_cannot_read_is_exported_whole() {
    let mut world = World::new();
    let later = OutcomeRecord { version: 99, ..samples::record() };
    let batch = vec![Write::Outcome(Box::new(later.clone()))];
    world.store.write(batch).into_iter().for_each(|it| assert!(it.is_ok(), "{it:?}"));
    world.export(&Fate::spared()).unwrap();
    assert_eq!(world.exported("outcomes"), [later.decision.to_string()]);
}

#[test]
fn the_page_tells_every_column() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/outcomes.md");
    let page = std::fs::read_to_string(page).unwrap();
    for column in OUTCOME_COLUMNS.iter().chain(&FEEDBACK_COLUMNS) {
        assert!(page.contains(&format!("| `{column}` |")), "{column}");
    }
}

#[test]
fn a_puller_goes_on_where_it_was() {
    let mut world = World::new();
    let mut ids = world.write(600);
    world.rate(ids[0]);
    let pull = |cursor: Option<Cursor>| {
        let mut puller =
            Puller::open(&StoreSettings::Sqlite(world.log()), cursor).unwrap().unwrap();
        let (mut outcomes, mut feedback, mut last) = (Vec::new(), Vec::new(), None);
        while let Some(batch) = puller.next_batch().unwrap() {
            last = batch.outcomes.last().map(|it| it.cursor.to_string());
            last = batch.feedback.last().map(|it| it.cursor.to_string()).or(last);
            outcomes.extend(batch.outcomes.into_iter().map(|it| it.decision));
            feedback.extend(batch.feedback.into_iter().map(|it| it.decision));
        }
        outcomes.sort();
        (outcomes, feedback, last)
    };
    let (outcomes, feedback, cursor) = pull(None);
    assert_eq!((outcomes, feedback.len()), (sorted(&ids), 1));
    let cursor: Cursor = cursor.unwrap().parse().unwrap();
    assert_eq!(pull(Some(cursor.clone())), (vec![], vec![], None));
    ids = world.write(1);
    assert_eq!(
        Puller::open(&StoreSettings::Sqlite(world.log()), Some(cursor))
            .unwrap()
            .unwrap()
            .next_batch()
            .unwrap()
            .map(|it| it.outcomes[0].decision.clone()),
        Some(ids[0].to_string())
    );
    let strange = Some("ffff.0.0".parse().unwrap());
    assert!(Puller::open(&StoreSettings::Sqlite(world.log()), strange).unwrap().is_err());
}
