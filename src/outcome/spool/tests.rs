//! The spool against kills, torn and damaged files, and too much of everything.

use std::fs;

use super::*;
use crate::domain::{DecisionId, Probability};
use crate::outcome::store::Write;
use crate::outcome::{Feedback, FeedbackKind, OutcomeRecord, samples};

fn rows(count: u64) -> Vec<Row> {
    let record = |at_unix_ms| OutcomeRecord { at_unix_ms, ..samples::record() };
    (0..count).map(|it| Row::of(Write::Outcome(Box::new(record(it)))).unwrap().0).collect()
}

fn settings(folder: &Path) -> SpoolSettings {
    SpoolSettings { path: folder.join("a/spool"), bytes_max: SPOOL_BYTES_DEFAULT }
}

fn names(rows: &[Row]) -> Vec<String> {
    rows.iter().map(Row::name).collect()
}

fn waiting(spool: &Spool) -> Vec<String> {
    spool.first(1_000).unwrap().iter().map(|(_, row)| row.name()).collect()
}

/// The files as a kill would leave them: copied while they are open.
fn killed(from: &SpoolSettings, to: &Path) -> SpoolSettings {
    let path = to.join("spool");
    for end in ["", "-wal"] {
        let file = |it: &Path| format!("{}{end}", it.display());
        fs::copy(file(&from.path), file(&path)).unwrap();
    }
    SpoolSettings { path, ..from.clone() }
}

#[test]
fn rows_come_back_in_order_whole_and_once_whatever_happens() {
    let [folder, after] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut all = rows(6);
    let feedback = Feedback {
        decision: DecisionId::fresh(),
        score: Probability::clamped(0.1),
        kind: FeedbackKind::Judge,
        comment: Some("fine".into()),
        idempotency_key: Some("k".into()),
    };
    all.push(Row::of(Write::Feedback { feedback, at_unix_ms: 9 }).unwrap().0);
    let mut spool = Spool::open(&settings(folder.path())).unwrap();
    assert!(spool.is_drained());
    assert_eq!(spool.append(&all[..3]).unwrap(), [Spooled::Kept; 3]);
    let again = [Spooled::Already, Spooled::Kept, Spooled::Kept, Spooled::Kept, Spooled::Kept];
    assert_eq!(spool.append(&all[2..]).unwrap(), again);
    let copy = Spool::open(&killed(&settings(folder.path()), after.path())).unwrap();
    assert_eq!((waiting(&copy), copy.held()), (names(&all), spool.held()));
    for ((_, read), row) in copy.first(9).unwrap().iter().zip(&all) {
        assert!(read.record == row.record && read.features == row.features);
        assert!(read.embedding == row.embedding && read.at_unix_ms() == row.at_unix_ms());
        let json = |it: &Row| serde_json::to_string(&it.head).unwrap();
        assert_eq!(json(read), json(row));
    }
    assert_eq!(copy.get(&all[4].name()).unwrap().unwrap().record, all[4].record);
    assert!(copy.get("none").unwrap().is_none());
}

#[test]
fn a_torn_or_damaged_log_loses_its_end_and_nothing_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(8);
    let mut spool = Spool::open(&settings(folder.path())).unwrap();
    // Where the log ends after each commit: what was acknowledged then must be there from then on.
    let log = format!("{}-wal", settings(folder.path()).path.display());
    let mut ends = vec![fs::metadata(&log).unwrap().len()];
    for row in &all {
        spool.append(std::slice::from_ref(row)).unwrap();
        ends.push(fs::metadata(&log).unwrap().len());
    }
    let check = |what: &str, at: u64, damage: &dyn Fn(&mut Vec<u8>)| {
        let after = tempfile::tempdir().unwrap();
        let copy = killed(&settings(folder.path()), after.path());
        let log = format!("{}-wal", copy.path.display());
        let mut bytes = fs::read(&log).unwrap();
        damage(&mut bytes);
        fs::write(&log, bytes).unwrap();
        let mut reopened = Spool::open(&copy).unwrap();
        let (found, safe) = (waiting(&reopened), ends.iter().filter(|it| **it <= at).count() - 1);
        assert_eq!(found, names(&all)[..safe], "{what} at {at}");
        // And it goes on.
        assert_eq!(reopened.append(&rows(1)).unwrap(), [Spooled::Kept], "{what} at {at}");
    };
    let (first, last) = (ends[0], *ends.last().unwrap());
    for step in 0..24 {
        let at = first + (last - first) * step / 23;
        check("torn", at, &|it| it.truncate(at as usize));
    }
    for step in 0..12 {
        let at = first + (last - first - 1) * step / 11;
        check("flipped", at, &|it| it[at as usize] ^= 0x40);
    }
}

#[test]
fn a_replay_cut_at_any_step_sends_again_and_loses_nothing() {
    let all = rows(5);
    // Before the rows are read, after that, after they are removed; `sent` is the database.
    for cut in 0..3 {
        let [folder, after] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut spool = Spool::open(&settings(folder.path())).unwrap();
        spool.append(&all).unwrap();
        let mut sent = Vec::new();
        let first = spool.first(2).unwrap();
        if cut > 0 {
            sent.extend(first.iter().map(|(_, it)| it.name()));
        }
        if cut > 1 {
            spool.remove(&first.iter().map(|it| it.0).collect::<Vec<_>>()).unwrap();
        }
        let spool = Spool::open(&killed(&settings(folder.path()), after.path())).unwrap();
        for name in waiting(&spool) {
            if !sent.contains(&name) {
                sent.push(name);
            }
        }
        assert_eq!(sent, names(&all), "cut {cut}");
        assert_eq!(spool.held().records, if cut > 1 { 3 } else { 5 }, "cut {cut}");
    }
}

#[test]
fn a_full_spool_takes_no_more_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(5);
    let mut spool = Spool::open(&settings(folder.path())).unwrap();
    spool.append(&all[..2]).unwrap();
    let two = spool.held().bytes;
    drop(spool);
    let mut spool =
        Spool::open(&SpoolSettings { bytes_max: two * 5 / 4, ..settings(folder.path()) });
    let spool = spool.as_mut().ok().unwrap();
    assert_eq!(spool.append(&all[1..4]).unwrap(), [Spooled::Already, Spooled::Full, Spooled::Full]);
    assert_eq!((spool.held().records, spool.held().bytes), (2, two));
    let place = spool.first(1).unwrap()[0].0;
    spool.remove(&[place]).unwrap();
    assert_eq!(spool.append(&all[3..]).unwrap(), [Spooled::Kept, Spooled::Full]);
    assert_eq!(waiting(spool), [all[1].name(), all[3].name()]);
    assert_eq!(spool.held().oldest_unix_ms, Some(1));
}

#[test]
fn a_full_disk_fails_the_batch_and_keeps_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&settings(folder.path())).unwrap();
    let before = rows(2);
    spool.append(&before).unwrap();
    // So few pages that SQLite says "full", as on a full disk.
    let pages = spool.connection.pragma_query_value(None, "page_count", |it| it.get::<_, i64>(0));
    spool.connection.pragma_update(None, "max_page_count", pages.unwrap() + 2).unwrap();
    let held = spool.held();
    let error = spool.append(&rows(40)).unwrap_err().to_string();
    assert!(error.contains("spool") && error.contains("full"), "{error}");
    assert_eq!((spool.held(), waiting(&spool)), (held, names(&before)));
    spool.connection.pragma_update(None, "max_page_count", 1 << 20).unwrap();
    assert_eq!(spool.append(&rows(1)).unwrap(), [Spooled::Kept]);
}

#[test]
fn what_is_set_aside_waits_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&settings(folder.path())).unwrap();
    let all = rows(3);
    spool.append(&all).unwrap();
    let places: Vec<_> = spool.first(3).unwrap().iter().map(|it| it.0).collect();
    spool.set_aside(&places[..1]).unwrap();
    assert_eq!(waiting(&spool), names(&all)[1..]);
    spool.remove(&places[1..]).unwrap();
    assert!(spool.is_drained() && spool.held().set_aside == 1 && spool.held().records == 1);
    drop(spool);
    let spool = Spool::open(&settings(folder.path())).unwrap();
    assert!(!spool.is_drained() && waiting(&spool) == [all[0].name()]);
}

#[test]
fn files_that_cannot_be_a_spool_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| SpoolSettings { path: folder.path().join(name), bytes_max: 1 };
    let check = |name: &str, wanted: &str| {
        let error = Spool::open(&of(name)).err().unwrap().to_string();
        assert!(error.contains(name) && error.contains(wanted), "{error}");
    };
    fs::write(of("damaged").path, "no database".repeat(1_000)).unwrap();
    check("damaged", "damaged");
    let other = Connection::open(of("other").path).unwrap();
    other.execute_batch("CREATE TABLE outcome (a)").unwrap();
    drop(other);
    check("other", "no spool");
    let _open = Spool::open(&of("taken")).unwrap();
    check("taken", "another process");
}

#[test]
fn a_large_file_is_small_again_when_it_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(&settings(folder.path())).unwrap();
    let mut all = rows(2);
    all[0].record = "x".repeat(SHRINK_BYTES as usize * 3 / 2);
    spool.append(&all).unwrap();
    let places: Vec<_> = (0..2).map(|_| spool.first(1).unwrap()[0].0).collect();
    assert_eq!(places[0], places[1]);
    spool.remove(&places).unwrap();
    let places = [spool.first(1).unwrap()[0].0];
    spool.remove(&places).unwrap();
    let size = fs::metadata(settings(folder.path()).path).unwrap().len();
    assert!(size < 1 << 20, "{size}");
    assert_eq!(spool.append(&rows(1)).unwrap(), [Spooled::Kept]);
}
