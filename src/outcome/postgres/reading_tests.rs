//! What is deleted from a database, and what is exported from it while servers write; as in `tests`,
//! where there is a server.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::tests::{database, open, outcome, score, settings};
use super::*;
use crate::domain::{Attempt, FailureClass};
use crate::outcome::{
    Destination, ExportReader, Exporter, FailedAs, OutcomeBrowser, OutcomeFilter, OutcomeRecord,
    Puller, Retention, StoreSettings, samples,
};

/// Batches of each server, and records in each.
const BATCHES: usize = 40;
const RECORDS: usize = 5;

fn exporter(store: &StoreSettings, to: &str) -> Exporter {
    Exporter::open(store, Destination::open(to).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn age_and_metadata_delete_from_the_database() {
    let Some(url) = database("deleted").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&url, &folder);
    let of = |at: u64| {
        // What PostgreSQL's own JSON would refuse.
        let user = if at.is_multiple_of(2) { "even\0" } else { "odd" };
        let metadata = [("user".to_owned(), user.to_owned())].into();
        OutcomeRecord { at_unix_ms: at * 1_000, metadata, ..samples::record() }
    };
    let records: Vec<_> = (0..10).map(of).collect();
    let (mut store, _) = open(&settings).unwrap();
    let to = folder.path().join("export").to_str().unwrap().to_owned();
    let exporter = exporter(&StoreSettings::Postgres(Box::new(settings)), &to);
    let (mut store, all) = tokio::task::spawn_blocking(move || {
        let first = records[..6].iter().map(outcome);
        store.write(first.chain([score(records[1].decision)]).collect());
        (store, records)
    })
    .await
    .unwrap();
    exporter.run(|_| ()).await.unwrap();
    let name = Destination::open(&to).unwrap().name().to_owned();
    let work = tokio::task::spawn_blocking(move || {
        // A new score for an exported record, and records that are not exported at all.
        let rest = all[6..].iter().map(outcome);
        store.write(rest.chain([score(all[2].decision)]).collect());
        let keep = Some(Duration::from_secs(2));
        let held = Retention { keep, exported_to: Some(name), bytes_max: None };
        // Of 0 to 7, 6 and 7 are not exported, and neither is the score for 2.
        let swept = store.sweep(&held, 10_000).unwrap();
        assert_eq!((swept.deleted, swept.held_back), (5, true));
        assert_eq!(store.get(all[2].decision).unwrap().as_ref(), Some(&all[2]));
        let swept = store.sweep(&Retention { exported_to: None, ..held }, 10_000).unwrap();
        assert_eq!((swept.deleted, swept.held_back, store.count().unwrap()), (3, false, 2));
        // 8 and 9 are left.
        let erasure = Erasure { key: "user".into(), value: "even\0".into(), after_seq: 0 };
        let erased = store.erase(&erasure).unwrap();
        assert_eq!((erased.outcomes, erased.exported), (1, 0));
        let after = Erasure { after_seq: erased.last_seq.unwrap(), ..erasure };
        assert_eq!(store.erase(&after).unwrap().last_seq, None);
        assert_eq!(store.get(all[9].decision).unwrap().as_ref(), Some(&all[9]));
        assert_eq!(store.count().unwrap(), 1);
    });
    work.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_looked_through_a_page_at_a_time() {
    let Some(url) = database("browsed").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&url, &folder);
    let of = |at: u64| {
        let mut record = OutcomeRecord { at_unix_ms: 1_000 + at / 2, ..samples::record() };
        record.session_id = Some(format!("s-{}", at % 2));
        record.metadata = [("user".to_owned(), format!("u{}", at % 3))].into();
        let failed =
            Attempt { failure: Some(FailureClass::Overloaded), ..record.attempts[0].clone() };
        if at.is_multiple_of(4) {
            record.attempts.insert(0, failed);
        }
        record
    };
    let records: Vec<_> = (0..12).map(of).collect();
    let (mut store, _) = open(&settings).unwrap();
    let browser = OutcomeBrowser::new(&StoreSettings::Postgres(Box::new(settings)));
    let written = records.clone();
    let store = tokio::task::spawn_blocking(move || {
        let scored = score(written[3].decision);
        store.write(written.iter().map(outcome).chain([scored]).collect());
        store
    });
    let store = store.await.unwrap();
    let all = OutcomeFilter::default;
    let check = async |filter: OutcomeFilter, wanted: &dyn Fn(u64) -> bool| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = browser.page(filter.clone(), after, 2).await.unwrap();
            found.extend(page.rows.into_iter().map(|it| it.decision));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let wanted = (0..12).rev().filter(|it| wanted(*it));
        let wanted: Vec<_> = wanted.map(|it| records[it as usize].decision.to_string()).collect();
        assert_eq!(found, wanted, "{filter:?}");
    };
    check(all(), &|_| true).await;
    let model = records[0].served.as_ref().unwrap().as_str().split('@').next().unwrap().to_owned();
    let model = Some(crate::domain::ModelName::new(&model).unwrap());
    check(OutcomeFilter { model, ..all() }, &|_| true).await;
    check(OutcomeFilter { session: Some("s-1".into()), ..all() }, &|it| it % 2 == 1).await;
    let failed = Some(FailedAs::Class(FailureClass::Overloaded));
    check(OutcomeFilter { failed, ..all() }, &|it| it % 4 == 0).await;
    let metadata = vec![("user".to_owned(), "u2".to_owned())];
    check(OutcomeFilter { metadata, ..all() }, &|it| it % 3 == 2).await;
    let found = browser.one(records[3].decision).await.unwrap().unwrap();
    assert_eq!((found.record, found.scores.len()), (records[3].clone(), 1));
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_and_pullers_beside_two_servers_meet_every_record_once() {
    let Some(url) = database("exported").await else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let both: Vec<_> = folders.iter().map(|it| settings(&url, it)).collect();
    let place = StoreSettings::Postgres(Box::new(both[0].clone()));
    let written = both.into_iter().map(|it| tokio::task::spawn_blocking(move || write_all(&it)));
    let written: Vec<_> = written.collect();
    let to = folders[0].path().join("export").to_str().unwrap().to_owned();
    let (done, log) = (Arc::new(AtomicBool::new(false)), place.clone());
    let told = Arc::clone(&done);
    let pulled = tokio::task::spawn_blocking(move || pull_until(&log, &told));
    let exporter = exporter(&place, &to);
    let mut wanted = HashSet::new();
    let mut exported = 0;
    for writer in written {
        // Runs in between, so that parts end in the middle of the writing.
        while !writer.is_finished() {
            exported += exporter.run(|_| ()).await.unwrap().outcomes;
        }
        wanted.extend(writer.await.unwrap());
    }
    exported += exporter.run(|_| ()).await.unwrap().outcomes;
    assert_eq!(exporter.run(|_| ()).await.unwrap().files, 0);
    done.store(true, Ordering::Release);
    let pulled = pulled.await.unwrap();
    let all = 2 * BATCHES * RECORDS;
    assert_eq!((wanted.len(), pulled.len(), exported), (all, all, all as u64));
    assert_eq!(pulled.into_iter().collect::<HashSet<_>>(), wanted);
    let read = tokio::task::spawn_blocking(move || {
        let (mut ids, mut signals) = (Vec::new(), 0);
        let reader = ExportReader::open(&to).unwrap();
        reader
            .for_each(|it| {
                let logged = it.unwrap();
                ids.push(logged.record.decision.to_string());
                signals += logged.signals.len();
                assert_eq!(logged.scores.len(), 1);
            })
            .unwrap();
        (ids, signals)
    });
    let (ids, signals) = read.await.unwrap();
    assert_eq!((ids.len(), signals), (all, all), "each once, each with its signal");
    assert_eq!(ids.into_iter().collect::<HashSet<_>>(), wanted);
}

/// Writes as a server does; gives what it wrote.
fn write_all(settings: &PostgresSettings) -> Vec<String> {
    let (mut store, _) = open(settings).unwrap();
    let mut all = Vec::new();
    for _ in 0..BATCHES {
        let records: Vec<_> = (0..RECORDS).map(|_| with_an_empty_answer()).collect();
        let scores = records.iter().map(|it| score(it.decision));
        let batch: Vec<_> = records.iter().map(outcome).chain(scores).collect();
        assert!(store.write(batch).iter().all(Result::is_ok));
        all.extend(records.iter().map(|it| it.decision.to_string()));
    }
    // What a slow moment put into the spool has to come through.
    while store.shared.state().spool.held().records > 0 {
        std::thread::yield_now();
    }
    all
}

fn with_an_empty_answer() -> OutcomeRecord {
    let mut record = samples::record();
    let first = Attempt { failure: Some(FailureClass::EmptyAnswer), ..record.attempts[0].clone() };
    record.attempts.insert(0, first);
    record
}

/// Follows the log by its cursor until it is told that nothing more comes, and then to the end.
fn pull_until(log: &StoreSettings, done: &AtomicBool) -> Vec<String> {
    let mut puller = Puller::open(log, None).unwrap().unwrap();
    let mut all = Vec::new();
    loop {
        let last = done.load(Ordering::Acquire);
        while let Some(batch) = puller.next_batch().unwrap() {
            all.extend(batch.outcomes.into_iter().map(|it| it.decision));
        }
        if last {
            return all;
        }
    }
}
