//! The SQLite store against what it promises: rows, errors that fail alone, scores that count once.

use super::*;
use crate::domain::{Probability, Text};
use crate::outcome::{RecordedPrompt, differences, samples};

fn open() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("outcomes.db")).unwrap();
    (folder, store)
}

fn write(store: &mut SqliteStore, records: &[OutcomeRecord]) -> Vec<Written> {
    let batch = records.iter().map(|it| Write::Outcome(Box::new(it.clone())));
    store.write(batch.collect())
}

#[test]
fn a_record_comes_back_as_it_was_and_replays() {
    let (_folder, mut store) = open();
    let mut record = samples::record();
    record.features = vec![f32::NAN, f32::MIN_POSITIVE, -0.1];
    write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
    let mut read = store.get(record.decision).unwrap().unwrap();
    assert_eq!(differences(&read), []);
    let bits = |it: &[f32]| it.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read.features), bits(&record.features));
    read.features.clear();
    record.features.clear();
    assert_eq!(read, record);
    assert_eq!(store.get(DecisionId::fresh()).unwrap(), None);
}

#[test]
fn columns_say_what_the_record_says() {
    let (_folder, mut store) = open();
    let record = samples::record();
    write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
    let sql = "SELECT ended, served, cost_picousd, attempts, session_id, length(embedding), \
               json_extract(record, '$.embedding') FROM outcome WHERE request_id = 'r-1'";
    let row = store.connection.query_row(sql, [], |it| {
        Ok((
            it.get::<_, String>(0)?,
            it.get::<_, Option<String>>(1)?,
            it.get::<_, i64>(2)?,
            it.get::<_, i64>(3)?,
            it.get::<_, Option<String>>(4)?,
            it.get::<_, i64>(5)?,
            it.get::<_, Option<String>>(6)?,
        ))
    });
    let served = record.served.map(String::from);
    let wanted = ("served".into(), served, 502_500_000, 1, Some("s-1".into()), 8, None);
    assert_eq!(row.unwrap(), wanted);
}

#[test]
fn a_bad_record_does_not_take_the_others_with_it() {
    let (_folder, mut store) = open();
    let [good, other] = [samples::record(), samples::record()];
    let (mut nan, mut huge) = (samples::record(), samples::record());
    nan.total_ms = f64::NAN;
    huge.prompt = RecordedPrompt::Full(Text::from("x".repeat(8 << 20)));
    // So small a database that SQLite says "full" for the huge one, as a full disk would.
    store.connection.pragma_update(None, "max_page_count", 200).unwrap();
    let batch = [good.clone(), nan, good.clone(), other.clone()];
    let results = write(&mut store, &batch);
    assert!(
        matches!(
            results.as_slice(),
            [
                Ok(FeedbackReceipt::Stored),
                Err(OutcomeError::NotFinite { field: "total_ms", .. }),
                Err(OutcomeError::Duplicate(_)),
                Ok(FeedbackReceipt::Stored),
            ]
        ),
        "{results:?}"
    );
    let last = samples::record();
    let results = write(&mut store, &[huge, last.clone()]);
    let error = results[0].as_ref().unwrap_err();
    assert!(error.to_string().contains("outcomes.db"), "{error}");
    // Each `Ok` is there, whether or not SQLite gave up the whole transaction.
    let stored = store.get(last.decision).unwrap().is_some();
    assert_eq!(stored, results[1].is_ok());
    assert_eq!(write(&mut store, &[samples::record()]).iter().filter(|it| it.is_ok()).count(), 1);
}

#[test]
fn feedback_is_stored_once() {
    let (_folder, mut store) = open();
    let decision = samples::record().decision;
    let check = |store: &mut SqliteStore, kind, key: Option<&str>, wanted| {
        let feedback = Feedback {
            decision,
            score: Probability::ONE,
            kind,
            comment: Some("fine".into()),
            idempotency_key: key.map(str::to_owned),
        };
        let results = store.write(vec![Write::Feedback { feedback, at_unix_ms: 1 }]);
        assert_eq!(*results[0].as_ref().unwrap(), wanted, "{kind:?} {key:?}");
    };
    check(&mut store, FeedbackKind::Explicit, None, FeedbackReceipt::UnknownDecision);
    let record = OutcomeRecord { decision, ..samples::record() };
    store.write(vec![Write::Outcome(Box::new(record))]);
    let mut check = |kind, key, wanted| check(&mut store, kind, key, wanted);
    check(FeedbackKind::Explicit, None, FeedbackReceipt::Stored);
    check(FeedbackKind::Explicit, None, FeedbackReceipt::AlreadyStored);
    check(FeedbackKind::Explicit, Some("a"), FeedbackReceipt::Stored);
    check(FeedbackKind::Explicit, Some("a"), FeedbackReceipt::AlreadyStored);
    check(FeedbackKind::Explicit, Some("b"), FeedbackReceipt::Stored);
    check(FeedbackKind::Judge, None, FeedbackReceipt::Stored);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, wanted: &str| {
        let path = folder.path().join(name);
        let error = SqliteStore::open(&path).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains(wanted), "{error}");
    };
    std::fs::write(folder.path().join("torn.db"), "no database".repeat(1_000)).unwrap();
    check("torn.db", "damaged");
    check("torn.db/inside.db", "folder");
    std::fs::create_dir(folder.path().join("folder.db")).unwrap();
    check("folder.db", "failed");
    let newer = Connection::open(folder.path().join("newer.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    check("newer.db", "schema 99");
}

#[test]
fn seams_are_kept_and_records_from_before_them_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&folder.path().join("outcomes.db")).unwrap();
    let deployment = crate::domain::DeploymentId::new("m@p").unwrap();
    let seams = vec![crate::domain::Seam { at_bytes: 7, deployment }];
    let record = OutcomeRecord { seams, ..samples::record() };
    write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
    assert_eq!(store.get(record.decision).unwrap().unwrap().seams, record.seams);
    let mut older = serde_json::to_value(&record).unwrap();
    older.as_object_mut().unwrap().remove("seams");
    older["policy"]["fallback"].as_object_mut().unwrap().remove("on_stream_failure");
    let read: OutcomeRecord = serde_json::from_value(older).unwrap();
    assert_eq!((read.seams, read.policy), (vec![], record.policy));
}

#[test]
fn folders_are_made_and_records_of_another_version_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(&folder.path().join("a/b/outcomes.db")).unwrap();
    let later = OutcomeRecord { version: RECORD_VERSION + 1, ..samples::record() };
    write(&mut store, std::slice::from_ref(&later))[0].as_ref().unwrap();
    let read = store.get(later.decision);
    let Err(OutcomeError::RecordVersion { found, .. }) = read else { panic!("{read:?}") };
    assert_eq!(found, i64::from(later.version));
    let before = OutcomeRecord { version: 0, ..samples::record() };
    write(&mut store, std::slice::from_ref(&before))[0].as_ref().unwrap();
    assert!(matches!(store.get(before.decision), Err(OutcomeError::RecordVersion { .. })));
    let readable = RECORD_VERSION_MIN..=RECORD_VERSION;
    for version in readable.clone() {
        let record = OutcomeRecord { version, ..samples::record() };
        write(&mut store, std::slice::from_ref(&record))[0].as_ref().unwrap();
        assert_eq!(store.get(record.decision).unwrap(), Some(record));
    }
    assert_eq!(store.count().unwrap(), 2 + readable.count() as u64);
}
