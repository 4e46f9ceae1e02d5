//! Exports read back: round trips, more scores than fit, and what is wrong with a file.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{ArrayRef, Int32Array, ListArray, StringArray};
use arrow::datatypes::Float32Type;
use parquet::arrow::ArrowWriter;

use super::super::Exporter;
use super::*;
use crate::domain::DecisionId;
use crate::outcome::feedback::Feedback;
use crate::outcome::sqlite::SqliteStore;
use crate::outcome::store::{OutcomeStore, Write};
use crate::outcome::{FeedbackKind, OutcomeReader, OutcomeRecord, samples};

/// A log of so many decisions, two of three with scores, that were written last one first and fall on
/// other days in turn; and its export, whose files overlap.
fn exported(folder: &Path, count: u64) -> String {
    let log = folder.join("outcomes.db");
    let mut store = SqliteStore::open(&log).unwrap();
    let record = |at: u64| {
        let decided = samples::decided(at, Default::default(), Default::default());
        let at_unix_ms = 1_700_000_000_000 + at % 4 * 40_000_000;
        let features = vec![at as f32, f32::NAN];
        OutcomeRecord { at_unix_ms, features, ..decided }
    };
    let records: Vec<_> = (0..count).map(record).collect();
    let mut batch = Vec::new();
    for (at, record) in records.into_iter().enumerate().rev() {
        let (decision, at_unix_ms) = (record.decision, record.at_unix_ms + 1);
        batch.push(Write::Outcome(Box::new(record)));
        batch.extend(FeedbackKind::ALL.into_iter().take(at % 3).map(|kind| Write::Feedback {
            feedback: Feedback {
                decision,
                score: crate::domain::Probability::clamped(at as f64 / count as f64),
                kind,
                comment: Some("fine".into()),
                idempotency_key: None,
            },
            at_unix_ms,
        }));
    }
    store.write(batch).into_iter().for_each(|it| assert!(it.is_ok(), "{it:?}"));
    let to = folder.join("export").to_str().unwrap().to_owned();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let exporter = Exporter::open(
        &crate::outcome::StoreSettings::Sqlite(log.clone()),
        Destination::open(&to).unwrap(),
    )
    .unwrap();
    runtime.block_on(exporter.run(|_| ())).unwrap();
    to
}

fn by_id(all: Vec<Logged>) -> BTreeMap<DecisionId, String> {
    // NaN is not equal to itself, so they are compared as they are printed.
    all.into_iter().map(|it| (it.record.decision, format!("{it:?}"))).collect()
}

#[test]
fn an_export_reads_back_as_the_log_does() {
    let folder = tempfile::tempdir().unwrap();
    let to = exported(folder.path(), 40);
    let mut logged = Vec::new();
    let reader = OutcomeReader::open(&folder.path().join("outcomes.db")).unwrap();
    reader.for_each(|it| logged.push(it.unwrap())).unwrap();
    let wanted = by_id(logged);
    for said_max in [SAID_MAX, 7, 1] {
        let reader = ExportReader { said_max, ..ExportReader::open(&to).unwrap() };
        let mut read = Vec::new();
        reader.for_each(|it| read.push(it.unwrap())).unwrap();
        assert_eq!(read.len(), 40, "each once");
        assert!(read.is_sorted_by_key(|it| it.record.decision), "in order, {said_max} in memory");
        assert_eq!(by_id(read), wanted, "{said_max} in memory");
        let shares = reader.shares(&reader.files("feedback").unwrap()).unwrap();
        assert_eq!(shares.len() > 1, said_max < SAID_MAX, "{shares:?}");
    }
    let mut empty = 0;
    let nothing = folder.path().join("nothing");
    ExportReader::open(nothing.to_str().unwrap()).unwrap().for_each(|_| empty += 1).unwrap();
    assert_eq!(empty, 0);
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn what_is_wrong_is_told_with_its_file_and_row() {
    let check = |spoil: &dyn Fn(&Path), wanted: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let to = exported(folder.path(), 3);
        let day = Path::new(&to).join("outcomes/date=2023-11-14");
        let file = std::fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
        spoil(&file);
        let reader = ExportReader::open(&to).unwrap();
        let (mut errors, mut good) = (Vec::new(), 0);
        let ended = reader.for_each(|it| match it {
            Ok(_) => good += 1,
            Err(error) => errors.push(error.to_string()),
        });
        errors.extend(ended.err().map(|it| it.to_string()));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(wanted.iter().all(|it| errors[0].contains(it)), "{errors:?}");
        good
    };
    check(
        &|file| std::fs::write(file, "PAR1 nothing PAR1").unwrap(),
        &["damaged", "date=2023-11-14"],
    );
    let ids: ArrayRef = std::sync::Arc::new(StringArray::from(vec!["x"]));
    let versions: ArrayRef = std::sync::Arc::new(Int32Array::from(vec![2]));
    let without = |file: &Path| {
        write(file, vec![("decision_id", ids.clone()), ("record_version", versions.clone())]);
    };
    check(&without, &["`record`", "date=2023-11-14"]);
    let strange = |file: &Path| {
        let lists = || {
            let values = vec![Some(vec![Some(1.0)])];
            std::sync::Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(values))
                as ArrayRef
        };
        let columns = vec![
            ("decision_id", ids.clone()),
            ("record_version", versions.clone()),
            ("record", ids.clone()),
            ("features", lists()),
            ("embedding", lists()),
        ];
        write(file, columns);
    };
    let good = check(&strange, &["row 0 of", "date=2023-11-14"]);
    assert_eq!(good, 2, "the other files follow");
}
