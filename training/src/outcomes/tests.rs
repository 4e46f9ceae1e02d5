//! A log and its export say the same, and what is neither is told.

use pointsman::encoder::Encoder;
use pointsman::outcome::{
    Destination, Exporter, Feedback, LogSettings, OutcomeLog, PromptPrivacy, StoreSettings,
};
use pointsman::prediction::Artifact;

use super::*;
use crate::drift::Drift;
use crate::offpolicy::records_tests::Bench;
use crate::relearn::{Lessons, Served, relearn};

/// Decisions of the log.
const DECISIONS: usize = 60;

/// Decisions in a log, some scored twice, and its export, made in two runs.
async fn written(folder: &Path) {
    let (store, bench) = (folder.join("outcomes.db"), Bench::new());
    let log = OutcomeLog::open(&LogSettings::sqlite(store.clone(), PromptPrivacy::None)).unwrap();
    let to = Destination::open(folder.join("export").to_str().unwrap()).unwrap();
    let exporter = Exporter::open(&StoreSettings::Sqlite(store), to).unwrap();
    for at in 0..DECISIONS {
        let mut logged = bench.logged(at);
        // Three days, so that files overlap.
        logged.record.at_unix_ms = 1_700_000_000_000 + (at as u64 % 3) * 86_400_000;
        let decision = logged.record.decision;
        log.append(logged.record).await.unwrap();
        for ((kind, score), key) in logged.scores.into_iter().zip([None, Some("again")]) {
            let idempotency_key = key.map(str::to_owned);
            let feedback = Feedback { decision, score, kind, comment: None, idempotency_key };
            log.feedback(feedback).await.unwrap();
        }
        if at == DECISIONS / 2 {
            exporter.run(|_| ()).await.unwrap();
        }
    }
    exporter.run(|_| ()).await.unwrap();
    log.close().await;
}

fn seen(source: &dyn OutcomeSource) -> Vec<Logged> {
    let mut found = Vec::new();
    source.each(&mut |it| found.push(it.unwrap())).unwrap();
    found
}

#[test]
fn a_log_and_its_export_teach_the_same() {
    let folder = tempfile::tempdir().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(written(folder.path()));
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let log = open(&place("outcomes.db")).unwrap();
    let served = Served::new(Artifact::shipped(&Encoder::shipped().unwrap()).unwrap());
    let learn = |from: &dyn OutcomeSource| {
        let found = relearn(from, &served, &Lessons::default()).unwrap();
        (found.artifact.weights().unwrap(), found.report, found.counts)
    };
    let (wanted, taught, drift) =
        (seen(log.as_ref()), learn(log.as_ref()), Drift::of(log.as_ref()).unwrap());
    assert_eq!((wanted.len(), taught.2.decisions), (DECISIONS, DECISIONS as u64));
    let (path, url) = (place("export"), format!("file://{}", place("export")));
    for export in [path, url] {
        let export = open(&export).unwrap();
        assert_eq!(seen(export.as_ref()), wanted);
        assert!(learn(export.as_ref()) == taught, "another artifact or another estimate");
        assert_eq!(Drift::of(export.as_ref()).unwrap(), drift);
    }
}

#[test]
fn what_holds_no_outcomes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let check = |place: &str, wanted: &str| {
        let error = open(place).err().map(|it| it.to_string()).unwrap_or_default();
        assert!(error.contains(wanted) && !error.contains("hunter2"), "{place}: {error}");
    };
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    check(&path("none.db"), "no outcome log and no export is here");
    std::fs::write(path("table.csv"), "prompt,score\n").unwrap();
    check(&path("table.csv"), "no outcome log in SQLite");
    std::fs::create_dir(path("empty")).unwrap();
    check(&path("empty"), "no export");
    assert!(std::fs::read_dir(path("empty")).unwrap().next().is_none(), "nothing is made there");
    std::fs::create_dir_all(path("begun/outcomes")).unwrap();
    check(&path("begun"), "nothing was exported here");
    check("postgres://me:hunter2@db/outcomes", "pointsman export --to");
    check("ftp://me:hunter2@there", "ftp://... holds no outcomes");
    check("s3://me:hunter2@bucket", "no key");
}
