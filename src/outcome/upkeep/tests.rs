//! Retention and erasure against a real file, through the log's thread.

use super::*;
use crate::domain::Probability;
use crate::outcome::{
    Feedback, FeedbackKind, LogSettings, OutcomeLog, OutcomeRecord, PromptPrivacy, samples,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

async fn log_of(records: &[OutcomeRecord]) -> (tempfile::TempDir, OutcomeLog) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outcomes.db");
    let log = OutcomeLog::open(&LogSettings::sqlite(path, PromptPrivacy::Hash)).unwrap();
    for record in records {
        log.append(record.clone()).await.unwrap();
    }
    // Everything before it is committed then.
    assert_eq!(log.count().await.unwrap(), records.len() as u64);
    (folder, log)
}

fn of_day(day: u64, user: &str) -> OutcomeRecord {
    let metadata = [("user".to_owned(), user.to_owned())].into();
    OutcomeRecord { at_unix_ms: day * DAY_MS, metadata, ..samples::record() }
}

fn feedback(of: &OutcomeRecord) -> Feedback {
    Feedback {
        decision: of.decision,
        score: Probability::ONE,
        kind: FeedbackKind::Explicit,
        comment: None,
        idempotency_key: None,
    }
}

#[tokio::test]
async fn the_old_go_with_their_scores_and_the_rest_stays() {
    let records: Vec<_> = (0..700).map(|day| of_day(day, "a")).collect();
    let (_folder, log) = log_of(&records).await;
    log.feedback(feedback(&records[0])).await.unwrap();
    let keep = Some(Duration::from_millis(100 * DAY_MS));
    let retention = Retention { keep, ..Retention::default() };
    let upkeep = log.upkeep();
    let swept = upkeep.sweep(&retention, 700 * DAY_MS).await.unwrap();
    assert_eq!((swept.deleted, swept.more, swept.held_back), (600, false, false));
    assert_eq!(log.count().await.unwrap(), 100);
    assert!(log.get(records[599].decision).await.unwrap().is_none());
    assert!(log.get(records[600].decision).await.unwrap().is_some());
    let sql = "SELECT count(*) FROM feedback";
    let other = rusqlite::Connection::open(log.path()).unwrap();
    assert_eq!(other.query_row(sql, [], |it| it.get(0)), Ok(0));
    let again = upkeep.sweep(&retention, 700 * DAY_MS).await.unwrap();
    assert_eq!(again, Swept::default());
    assert!(Retention::default().is_forever() && !retention.is_forever());
}

#[tokio::test]
async fn the_file_is_brought_down_to_its_size() {
    let records: Vec<_> = (0..600).map(|day| of_day(day, "a")).collect();
    let (_folder, log) = log_of(&records).await;
    let pages = |name: &str| {
        let other = rusqlite::Connection::open(log.path()).unwrap();
        other.pragma_query_value(None, name, |it| it.get::<_, i64>(0)).unwrap() as u64
    };
    let before = pages("page_count");
    let retention = Retention { bytes_max: Some(before * 4_096 * 6 / 10), ..Retention::default() };
    let swept = log.upkeep().sweep(&retention, 0).await.unwrap();
    assert!((200..600).contains(&swept.deleted), "{swept:?} of 600");
    assert!(pages("page_count") < before * 7 / 10, "{} of {before}", pages("page_count"));
    assert!(log.get(records[599].decision).await.unwrap().is_some(), "the newest stays");
    let again = log.upkeep().sweep(&retention, 0).await.unwrap();
    assert_eq!(again.deleted, 0);
}

#[tokio::test]
async fn what_waits_for_its_export_is_held_back() {
    let records: Vec<_> = (0..4).map(|day| of_day(day, "a")).collect();
    let (_folder, log) = log_of(&records).await;
    log.feedback(feedback(&records[0])).await.unwrap();
    let exported_to = Some("file:///there".to_owned());
    let retention = Retention { keep: Some(Duration::ZERO), exported_to, ..Retention::default() };
    let other = rusqlite::Connection::open(log.path()).unwrap();
    let done = |what: &str, seq: u32| {
        let sql = "INSERT OR REPLACE INTO export VALUES ('file:///there', ?1, ?2, NULL, NULL)";
        other.execute(sql, rusqlite::params![what, seq]).unwrap();
    };
    let check = async |wanted: (u64, bool), why: &str| {
        let swept = log.upkeep().sweep(&retention, 100 * DAY_MS).await.unwrap();
        assert_eq!((swept.deleted, swept.held_back), wanted, "{why}");
    };
    check((0, true), "never exported").await;
    done("outcomes", 2);
    check((1, true), "the score of the first is not there").await;
    done("feedback", 1);
    check((1, true), "two are not there").await;
    done("outcomes", 4);
    check((2, false), "all are there").await;
}

#[tokio::test]
async fn somebody_is_erased() {
    let records: Vec<_> =
        (0..600).map(|at| of_day(at, if at % 3 == 0 { "42" } else { "4'2" })).collect();
    let (_folder, log) = log_of(&records).await;
    log.feedback(feedback(&records[0])).await.unwrap();
    let other = rusqlite::Connection::open(log.path()).unwrap();
    other.execute("INSERT INTO export VALUES ('x', 'outcomes', 5, 7, '0')", []).unwrap();
    let erased = log.upkeep().erase("user", "42").await.unwrap();
    assert_eq!((erased.outcomes, erased.feedback, erased.exported), (200, 1, 3));
    assert_eq!(log.count().await.unwrap(), 400);
    let check = async |key: &str, value: &str, wanted: u64| {
        let erased = log.upkeep().erase(key, value).await.unwrap();
        assert_eq!(erased.outcomes, wanted, "{key}={value}");
    };
    check("user", "42", 0).await;
    check("team", "4'2", 0).await;
    check("user", "4'2", 400).await;
}

#[tokio::test]
async fn upkeep_does_not_keep_a_log_open() {
    let (_folder, log) = log_of(&[]).await;
    let upkeep = log.upkeep();
    log.close().await;
    let closed = upkeep.erase("a", "b").await;
    assert!(matches!(closed, Err(OutcomeError::Closed)), "{closed:?}");
}

#[tokio::test]
async fn what_the_service_saw_stands_beside_what_callers_say() {
    let mut first = OutcomeRecord {
        prompt: crate::outcome::RecordedPrompt::Hash("p".into()),
        request_id: None,
        ..samples::record()
    };
    let mut empty = first.attempts[0].clone();
    empty.failure = Some(crate::domain::FailureClass::EmptyAnswer);
    first.attempts.insert(0, empty);
    let later = OutcomeRecord {
        decision: crate::domain::DecisionId::fresh(),
        at_unix_ms: first.at_unix_ms + 2_000,
        attempts: vec![],
        ..first.clone()
    };
    let (_folder, log) = log_of(&[first.clone(), later]).await;
    let implicit = Feedback { kind: FeedbackKind::Implicit, ..feedback(&first) };
    log.feedback(implicit).await.unwrap();
    let mut read = Vec::new();
    crate::outcome::OutcomeReader::open(log.path())
        .unwrap()
        .for_each(|it| read.push(it.unwrap()))
        .unwrap();
    assert_eq!(read[0].score(), Some(Probability::ONE), "signals are no scores");
    let signals: Vec<_> = read[0].signals.iter().map(|it| (it.signal, it.weight)).collect();
    use crate::outcome::Signal::{EmptyAnswer, RetriedAtOnce};
    assert_eq!(signals, [(EmptyAnswer, 1.0), (RetriedAtOnce, 0.25)]);
    assert_eq!(Some(&read[0].signals[1].about), first.served.as_ref());
    assert_eq!((read[1].signals.len(), read[1].scores.len()), (0, 0));
}
