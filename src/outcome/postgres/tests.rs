//! The store without a database, and with one where `POINTSMAN_TEST_POSTGRES` names it: a URL without
//! a database's name (tests/postgres/run.sh starts such a server).

use std::io::{Read, Write as _};
use std::net::TcpListener;

use tokio_postgres::NoTls;

use super::schema::{migrate, migrate_to};
use super::*;
use crate::domain::Probability;
use crate::outcome::samples;
use crate::outcome::schema::SCHEMA_VERSION;
use crate::outcome::spool::{SPOOL_BYTES_DEFAULT, SpoolSettings};
use crate::outcome::{Feedback, FeedbackKind, OutcomeStatus};

const SERVER: &str = "POINTSMAN_TEST_POSTGRES";
const PASSWORD: &str = "POINTSMAN_TEST_POSTGRES_PASSWORD";

pub(super) fn settings(url: &str, folder: &tempfile::TempDir) -> PostgresSettings {
    let path = folder.path().join("spool");
    let spool = SpoolSettings { path, bytes_max: SPOOL_BYTES_DEFAULT };
    let password = std::env::var(PASSWORD).ok().map(Into::into);
    PostgresSettings::new(url, password, spool).unwrap()
}

pub(super) fn open(
    settings: &PostgresSettings,
) -> Result<(PostgresStore, Arc<Notes>), OutcomeError> {
    let notes = Arc::new(Notes::default());
    Ok((PostgresStore::open(settings, Arc::clone(&notes))?, notes))
}

pub(super) fn outcome(record: &OutcomeRecord) -> Write {
    Write::Outcome(Box::new(record.clone()))
}

pub(super) fn score(decision: DecisionId) -> Write {
    let (score, kind) = (Probability::ONE, FeedbackKind::Judge);
    let feedback = Feedback { decision, score, kind, comment: None, idempotency_key: None };
    Write::Feedback { feedback, at_unix_ms: 5 }
}

/// A port of this machine at which nobody listens.
fn nowhere() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("postgres://u@127.0.0.1:{port}/log")
}

/// A database of this test's own; `None`, and a note, where there is no server.
pub(super) async fn database(name: &str) -> Option<String> {
    let Ok(server) = std::env::var(SERVER) else {
        eprintln!("skipped: {SERVER} names no server (see tests/postgres/run.sh)");
        return None;
    };
    let client = client(&format!("{server}/postgres")).await;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    Some(format!("{server}/{name}"))
}

pub(super) async fn client(url: &str) -> tokio_postgres::Client {
    let folder = tempfile::tempdir().unwrap();
    let (client, connection) = settings(url, &folder).config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[test]
fn while_it_is_away_outcomes_are_kept_and_found_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&nowhere(), &folder);
    let (mut store, notes) = open(&settings).unwrap();
    let (record, mut bad) = (samples::record(), samples::record());
    bad.total_ms = f64::NAN;
    let batch = vec![outcome(&bad), outcome(&record), outcome(&record), score(record.decision)];
    let results = store.write(batch);
    let [first, Ok(second), third, Ok(fourth)] = results.as_slice() else { panic!("{results:?}") };
    assert!(matches!(first, Err(OutcomeError::NotFinite { .. })), "{first:?}");
    assert!(matches!(third, Err(OutcomeError::Duplicate(it)) if *it == record.decision));
    assert_eq!([second, fourth], [&FeedbackReceipt::Stored; 2]);
    assert_eq!(
        *store.write(vec![score(record.decision)])[0].as_ref().unwrap(),
        FeedbackReceipt::AlreadyStored
    );
    drop(store);
    let status = notes.status(0);
    assert_eq!((status.spooled_records, status.connected), (2, false));
    assert!(status.last_error.is_some_and(|it| it.contains("postgres://u@127.0.0.1")));
    let (store, notes) = open(&settings).unwrap();
    assert_eq!(store.get(record.decision).unwrap(), Some(record));
    assert!(matches!(store.get(DecisionId::fresh()), Err(OutcomeError::Away { .. })));
    assert!(matches!(store.count(), Err(OutcomeError::Away { .. })));
    assert_eq!(notes.status(0).spooled_records, 2);
}

#[test]
fn a_full_spool_is_named_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let spool = SpoolSettings { path: folder.path().join("spool"), bytes_max: 1 };
    let settings = PostgresSettings::new(&nowhere(), None, spool).unwrap();
    let (mut store, notes) = open(&settings).unwrap();
    let result = store.write(vec![outcome(&samples::record())]).remove(0);
    assert!(matches!(result, Err(OutcomeError::SpoolFull { bytes_max: 1, .. })), "{result:?}");
    let OutcomeStatus { spooled_records, spool_bytes_max, .. } = notes.status(0);
    assert_eq!((spooled_records, spool_bytes_max), (0, 1));
}

#[test]
fn a_server_without_the_tls_that_is_wanted_stops_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // A request for TLS has eight bytes; "N" is no (manual, 55.2.10, version 15).
        stream.read_exact(&mut [0; 8]).unwrap();
        stream.write_all(b"N").unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://u@{address}/log?sslmode=require");
    let error = open(&settings(&url, &folder)).err().unwrap();
    assert!(matches!(error, OutcomeError::Unusable { .. }), "{error}");
    server.join().unwrap();
}

#[tokio::test]
async fn every_older_version_becomes_current_and_keeps_what_it_holds() {
    for older in 0..=SCHEMA_VERSION {
        let Some(url) = database(&format!("older_{older}")).await else { return };
        let record = samples::record();
        let mut before = client(&url).await;
        migrate_to(&mut before, &super::schema::MIGRATIONS[..older]).await.unwrap();
        if older > 0 {
            let sql = "INSERT INTO outcome (decision, at_unix_ms, record_version, ended, \
                       cost_picousd, total_ms, attempts, record, features, embedding) \
                       VALUES ($1, 1, 2, 'served', 3, 0.5, 1, $2, '', '')";
            let without = OutcomeRecord { features: vec![], embedding: vec![], ..record.clone() };
            let json = serde_json::to_string(&without).unwrap();
            before.execute(sql, &[&record.decision.to_string(), &json]).await.unwrap();
        }
        let mut other = client(&url).await;
        let (one, two) = tokio::join!(migrate(&mut before), migrate(&mut other));
        assert_eq!((one, two), (Ok(()), Ok(())), "from {older}");
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(&settings(&url, &folder)).unwrap();
        let found = tokio::task::spawn_blocking(move || {
            store.write(vec![score(record.decision)]).remove(0).unwrap();
            store.get(record.decision).unwrap().map(|it| it.candidates)
        });
        let wanted = (older > 0).then(|| samples::record().candidates);
        assert_eq!(found.await.unwrap(), wanted, "from {older}");
    }
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let Some(url) = database("newer").await else { return };
    let sql = "CREATE TABLE pointsman_schema (version BIGINT); \
               INSERT INTO pointsman_schema VALUES (99)";
    client(&url).await.batch_execute(sql).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = open(&settings(&url, &folder)).err().unwrap();
    assert!(matches!(error, OutcomeError::NewerSchema { found: 99, .. }), "{error}");
    let wrong = url.replace("/newer", "/no_such_database");
    let error = open(&settings(&wrong, &folder)).err().unwrap();
    assert!(matches!(error, OutcomeError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("no_such_database"), "{error}");
}

#[tokio::test]
async fn a_row_that_the_database_refuses_fails_alone() {
    let Some(url) = database("refuses").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&url, &folder);
    let good: Vec<_> = (0..5).map(|_| samples::record()).collect();
    let mut batch: Vec<_> = good.iter().map(|it| Row::of(outcome(it)).unwrap().0).collect();
    let mut poison = Row::of(outcome(&samples::record())).unwrap().0;
    let Head::Outcome(head) = &mut poison.head else { panic!("an outcome") };
    head.ended = "no\0text".into();
    batch.insert(3, poison);
    let work = tokio::task::spawn_blocking(move || {
        let (store, notes) = open(&settings).unwrap();
        let results = store.keep(&batch);
        let refused = results.iter().position(Result::is_err);
        assert!(matches!(&results[3], Err(OutcomeError::Refused { code, .. }) if code == "22021"));
        assert_eq!((refused, results.len(), store.count().unwrap()), (Some(3), 6, 5));
        // From the spool: it is set aside, and the others pass it.
        let more = samples::record();
        batch.push(Row::of(outcome(&more)).unwrap().0);
        let mut state = store.shared.state();
        state.mode = Mode::Away(OutcomeError::Closed);
        store.spool(&mut state, &batch);
        drop(state);
        until_direct(&store);
        assert_eq!((notes.status(0).set_aside, store.count().unwrap()), (1, 6));
        assert_eq!(store.get(more.decision).unwrap(), Some(more));
    });
    work.await.unwrap();
}

/// Until the spool is drained and rows go straight to the database again.
fn until_direct(store: &PostgresStore) {
    while !matches!(store.shared.state().mode, Mode::Direct(_)) {
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_score_whose_decision_turns_out_unknown_is_counted() {
    let Some(url) = database("strays").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&url, &folder);
    let work = tokio::task::spawn_blocking(move || {
        let (mut store, notes) = open(&settings).unwrap();
        let unknown = store.write(vec![score(DecisionId::fresh())]).remove(0).unwrap();
        assert_eq!(unknown, FeedbackReceipt::UnknownDecision);
        let record = samples::record();
        let batch = vec![outcome(&record), outcome(&record), score(record.decision)];
        let told = store.write(batch);
        assert!(matches!(told[1], Err(OutcomeError::Duplicate(_))), "{told:?}");
        assert_eq!(*told[2].as_ref().unwrap(), FeedbackReceipt::Stored);
        let again = store.write(vec![score(record.decision)]).remove(0).unwrap();
        assert_eq!(again, FeedbackReceipt::AlreadyStored);
        store.shared.state().mode = Mode::Away(OutcomeError::Closed);
        store.write(vec![score(DecisionId::fresh()), score(record.decision)]);
        until_direct(&store);
        assert_eq!((notes.status(0).dropped, notes.status(0).spooled_records), (1, 0));
    });
    work.await.unwrap();
}
