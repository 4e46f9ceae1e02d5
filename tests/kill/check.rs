//! What has to be true after the last kill.
//!
//! In: the files, and the ledger. Out: [`Found`], or a failed test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use pointsman::outcome::{ExportReader, Logged, OutcomeReader};

use crate::yard::Yard;

/// What it came to.
pub(crate) struct Found {
    pub(crate) acknowledged: usize,
    scored: usize,
    logged: usize,
    files: usize,
    artifacts: usize,
    reloads: usize,
    exports: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, scored, logged, files, .. } = self;
        write!(out, "{acknowledged} answers and {scored} scores acknowledged, none lost; ")?;
        write!(out, "{logged} records in the log, each exported once, in {files} files ")?;
        write!(out, "({} exports by another process); ", self.exports)?;
        let (artifacts, reloads) = (self.artifacts, self.reloads);
        write!(out, "{artifacts} artifacts, {reloads} reloads, every answer decided by a whole one")
    }
}

/// How often each decision is there, and with how many scores.
type Counts = BTreeMap<String, (usize, usize)>;

fn count(all: &mut Counts, logged: &Logged) {
    let own = all.entry(logged.record.decision.to_string()).or_default();
    *own = (own.0 + 1, own.1 + logged.scores.len());
}

/// Checks everything.
pub(crate) async fn all(yard: &Yard) -> Found {
    let ended = yard.export().wait().await.unwrap();
    assert!(ended.success(), "the last export failed: {ended}");
    let (store, export) = (yard.store(), yard.exported());
    let read = tokio::task::spawn_blocking(move || (log(&store), exported(&export)));
    let (log, (exported, files)) = read.await.unwrap();
    let ledger = yard.ledger();
    assert!(ledger.strange.is_empty(), "{:?}", ledger.strange);
    let lost: Vec<_> = ledger.acknowledged.iter().filter(|it| !log.contains_key(*it)).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), ledger.acknowledged.len());
    let scored: BTreeSet<_> = ledger.scored.iter().collect();
    let lost: Vec<_> =
        scored.iter().filter(|it| log.get(**it).is_none_or(|it| it.1 != 1)).collect();
    assert!(lost.is_empty(), "scores of {} are lost: {lost:?}", lost.len());
    let other: Vec<_> = log.iter().filter(|it| exported.get(it.0) != Some(it.1)).collect();
    assert!(other.is_empty(), "not exported once: {other:?}");
    assert_eq!(exported.len(), log.len(), "more was exported than is in the log");
    Found {
        acknowledged: ledger.acknowledged.len(),
        scored: scored.len(),
        logged: log.len(),
        files,
        artifacts: ledger.artifacts.len(),
        reloads: ledger.reloads,
        exports: ledger.exports,
    }
}

fn log(store: &Path) -> Counts {
    let file = rusqlite::Connection::open(store).unwrap();
    let sound = file.query_row("PRAGMA integrity_check", [], |it| it.get::<_, String>(0));
    assert_eq!(sound.unwrap(), "ok");
    let mut found = Counts::new();
    let read = |it: Result<Logged, _>| count(&mut found, &it.unwrap());
    OutcomeReader::open(store).unwrap().for_each(read).unwrap();
    assert!(found.values().all(|it| it.0 == 1));
    found
}

fn exported(to: &Path) -> (Counts, usize) {
    let mut found = Counts::new();
    let read = |it: Result<Logged, _>| count(&mut found, &it.unwrap());
    ExportReader::open(to.to_str().unwrap()).unwrap().for_each(read).unwrap();
    (found, files(to))
}

fn files(under: &Path) -> usize {
    let each = std::fs::read_dir(under).unwrap().map(|it| it.unwrap().path());
    let of = |it: std::path::PathBuf| match it.is_dir() {
        true => files(&it),
        false => usize::from(it.extension().is_some_and(|it| it == "parquet")),
    };
    each.map(of).sum()
}
