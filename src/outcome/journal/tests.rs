//! The journal against what it promises: nothing acknowledged is lost, nothing comes back that was
//! committed, two small files.

use std::path::PathBuf;
use std::thread;

use super::*;
use crate::domain::DecisionId;
use crate::outcome::record::OutcomeRecord;
use crate::outcome::sqlite::SqliteStore;
use crate::outcome::{PromptPrivacy, RecordedPrompt, samples};

struct Desk {
    _folder: tempfile::TempDir,
    log: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("outcomes.db");
        Self { _folder: folder, log }
    }

    fn open(&self) -> (SqliteStore, Option<Journal>) {
        let mut store = SqliteStore::open(&self.log).unwrap();
        let journal = Journal::open(&self.log, &mut store).unwrap();
        (store, journal)
    }

    fn bytes(&self) -> [Vec<u8>; 2] {
        paths(&self.log).map(|it| std::fs::read(it).unwrap())
    }
}

fn append(journal: &Journal, record: &OutcomeRecord) -> Position {
    let mut at = None;
    journal.append(&encode(&mut record.clone()).unwrap(), |it| at = Some(it)).unwrap();
    at.unwrap()
}

fn records(count: usize) -> Vec<OutcomeRecord> {
    (0..count).map(|_| samples::record()).collect()
}

fn there(store: &SqliteStore, records: &[OutcomeRecord]) -> Vec<bool> {
    records.iter().map(|it| store.get(it.decision).unwrap().as_ref() == Some(it)).collect()
}

#[test]
fn a_record_comes_back_from_its_entry_bit_by_bit() {
    let mut secret = samples::record();
    secret.prompt = RecordedPrompt::Full("wörds".into());
    secret.features = vec![f32::MIN_POSITIVE, -0.0];
    let shut = samples::shut(3, Default::default(), Default::default(), &[0, 2]);
    for record in [samples::record(), secret, shut, samples::busy(5, &[1, 2, 3])] {
        let entry = encode(&mut record.clone()).unwrap();
        let (content, behind) = entry::first(&entry).unwrap();
        assert!(behind.is_empty());
        assert_eq!(entry::decode(content).unwrap(), record);
    }
    let mut nan = OutcomeRecord { total_ms: f64::NAN, ..samples::record() };
    assert!(matches!(encode(&mut nan), Err(OutcomeError::NotFinite { .. })));
}

#[test]
fn what_was_not_committed_is_in_the_log_after_the_next_start() {
    let desk = Desk::new();
    let (store, journal) = desk.open();
    let all = records(3);
    let journal = journal.unwrap();
    let first = append(&journal, &all[0]);
    append(&journal, &all[1]);
    journal.committed(first).unwrap();
    append(&journal, &all[2]);
    drop((store, journal));
    let (store, journal) = desk.open();
    // The first was committed, and deleted since for all the journal knows: it does not come back.
    assert_eq!(there(&store, &all), [false, true, true]);
    assert!(journal.is_some_and(|it| it.is_open()));
    assert_eq!(desk.bytes().map(|it| it.len() as u64), [HEADER_BYTES; 2]);
}

#[test]
fn what_was_cut_or_changed_is_not_read_and_what_stands_before_is() {
    let damage: [fn(&mut Vec<u8>); 3] = [
        |it| it.truncate(it.len() - 1),
        |it| *it.last_mut().unwrap() ^= 1,
        |it| it.extend([0; 40]),
    ];
    for (at, damage) in damage.into_iter().enumerate() {
        let (desk, all) = (Desk::new(), records(2));
        let journal = desk.open().1.unwrap();
        for record in &all {
            append(&journal, record);
        }
        drop(journal);
        let file = &paths(&desk.log)[0];
        let mut bytes = std::fs::read(file).unwrap();
        damage(&mut bytes);
        std::fs::write(file, bytes).unwrap();
        let store = desk.open().0;
        assert_eq!(there(&store, &all), [true, at == 2], "{at}");
    }
    let desk = Desk::new();
    for (path, content) in paths(&desk.log).iter().zip(["", "something else that lies here"]) {
        std::fs::write(path, content).unwrap();
    }
    assert!(desk.open().1.is_some_and(|it| it.is_open()));
}

#[test]
fn the_files_stay_small_and_a_full_one_waits_for_its_commits() {
    let desk = Desk::new();
    let journal = desk.open().1.unwrap();
    let record = OutcomeRecord { embedding: vec![0.5; 100_000], ..samples::record() };
    let mut late = None;
    for _ in 0..60 {
        let at = append(&journal, &record);
        if let Some(before) = late.replace(at) {
            journal.committed(before).unwrap();
        }
    }
    let most = SEGMENT_BYTES as usize + (1 << 20);
    assert!(desk.bytes().iter().all(|it| it.len() < most));
    let used: std::collections::BTreeSet<_> =
        (0..60).map(|_| append(&journal, &record).segment).collect();
    assert_eq!(used.len(), 2, "the other one takes over once, and then it waits");
    let last = append(&journal, &record);
    assert!(last.end > SEGMENT_BYTES);
    journal.committed(last).unwrap();
    assert_eq!(desk.bytes().map(|it| it.len() as u64), [HEADER_BYTES; 2]);
}

#[test]
fn one_process_has_it() {
    let desk = Desk::new();
    let (mut store, first) = desk.open();
    let record = samples::record();
    append(first.as_ref().unwrap(), &record);
    assert!(Journal::open(&desk.log, &mut store).unwrap().is_none());
    recover(&desk.log, &mut store).unwrap();
    assert_eq!(store.count().unwrap(), 0, "its server is at work");
    drop(first);
    recover(&desk.log, &mut store).unwrap();
    assert_eq!(there(&store, &[record]), [true]);
}

#[test]
fn what_is_deleted_is_not_found_in_it() {
    let desk = Desk::new();
    let journal = desk.open().1.unwrap();
    let secret = |word: &str| OutcomeRecord {
        decision: DecisionId::fresh(),
        prompt: RecordedPrompt::Full(word.into()),
        ..samples::record()
    };
    let found = |word: &str| {
        let holds = |it: &Vec<u8>| it.windows(word.len()).any(|it| it == word.as_bytes());
        desk.bytes().iter().any(holds)
    };
    let gone = append(&journal, &secret("Umbrella"));
    let stays = secret("Lantern");
    append(&journal, &stays);
    journal.committed(gone).unwrap();
    assert!(found("Umbrella") && found("Lantern"));
    journal.forget_committed();
    assert!(!found("Umbrella") && found("Lantern"));
    drop(journal);
    assert_eq!(there(&desk.open().0, &[stays]), [true]);
    assert!(!found("Lantern"));
}

#[test]
fn a_record_of_a_later_version_waits_for_that_version() {
    let desk = Desk::new();
    let journal = desk.open().1.unwrap();
    let version = crate::outcome::RECORD_VERSION + 1;
    append(&journal, &OutcomeRecord { version, ..samples::record() });
    drop(journal);
    let before = desk.bytes();
    let (store, journal) = desk.open();
    assert!(journal.is_some_and(|it| !it.is_open()), "answers wait for commits");
    assert_eq!((store.count().unwrap(), desk.bytes()), (0, before));
}

#[test]
fn a_reader_sees_everything_that_was_acknowledged() {
    let desk = Desk::new();
    let (mut store, journal) = desk.open();
    let (journal, record) = (journal.unwrap(), samples::record());
    let at = append(&journal, &record);
    thread::scope(|scope| {
        let reader = scope.spawn(|| crate::outcome::OutcomeReader::open(&desk.log).map(drop));
        store.write(vec![Write::Outcome(Box::new(record.clone()))]);
        assert!(!reader.is_finished(), "it waits for the commit to be noted");
        journal.committed(at).unwrap();
        reader.join().unwrap().unwrap();
    });
    let left = samples::record();
    append(&journal, &left);
    drop((journal, store));
    let reader = crate::outcome::OutcomeReader::open(&desk.log).unwrap();
    assert!(reader.one(left.decision).unwrap().is_some(), "its server is no more");
}

#[tokio::test]
async fn while_the_store_fails_answers_wait_for_it_and_what_waits_comes_later() {
    let desk = Desk::new();
    let settings = crate::outcome::LogSettings::sqlite(&desk.log, PromptPrivacy::Hash);
    let log = crate::outcome::OutcomeLog::open(&settings).unwrap();
    log.append(samples::record()).await.unwrap();
    assert_eq!(log.count().await.unwrap(), 1);
    // As if the disk were full.
    let other = rusqlite::Connection::open(&desk.log).unwrap();
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON outcome BEGIN SELECT raise(ABORT, 'no'); END";
    other.execute_batch(refuse).unwrap();
    let acknowledged = samples::record();
    log.append(acknowledged.clone()).await.unwrap();
    assert_eq!(log.count().await.unwrap(), 1);
    let refused = log.append(samples::record()).await;
    assert!(matches!(refused, Err(OutcomeError::Database { .. })), "{refused:?}");
    assert!(log.status().last_error.is_some());
    other.execute_batch("DROP TRIGGER refuse").unwrap();
    log.close().await;
    let reader = crate::outcome::OutcomeReader::open(&desk.log).unwrap();
    assert!(reader.one(acknowledged.decision).unwrap().is_some());
    assert_eq!(desk.bytes().map(|it| it.len() as u64), [HEADER_BYTES; 2]);
}
