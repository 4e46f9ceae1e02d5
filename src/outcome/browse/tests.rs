//! Pages against the whole: nothing twice, nothing left out, whatever is written meanwhile.

use super::*;
use crate::domain::{Attempt, FailureClass, ModelName};
use crate::outcome::record::OutcomeRecord;
use crate::outcome::sqlite::SqliteStore;
use crate::outcome::store::{OutcomeStore, Write};
use crate::outcome::{LogSettings, PromptPrivacy, samples};

struct Shelf {
    _folder: tempfile::TempDir,
    store: SqliteStore,
    browser: OutcomeBrowser,
}

fn shelf() -> Shelf {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outcomes.db");
    let store = SqliteStore::open(&path).unwrap();
    let browser = OutcomeBrowser::new(&LogSettings::sqlite(&path, PromptPrivacy::None).store);
    Shelf { _folder: folder, store, browser }
}

impl Shelf {
    fn write(&mut self, records: &[OutcomeRecord]) {
        let batch = records.iter().map(|it| Write::Outcome(Box::new(it.clone())));
        self.store.write(batch.collect()).into_iter().for_each(|it| {
            it.unwrap();
        });
    }

    async fn page(&self, filter: &OutcomeFilter, after: Option<OutcomePlace>) -> OutcomePage {
        self.browser.page(filter.clone(), after, 3).await.unwrap()
    }

    /// Every page, one after the other.
    async fn walk(&self, filter: &OutcomeFilter) -> Vec<String> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(filter, after).await;
            found.extend(page.rows.into_iter().map(|it| it.decision));
            match page.next {
                Some(next) => after = Some(next),
                None => return found,
            }
        }
    }
}

/// The `at`-th request: every second of `a`, every third fell back after a class, every fifth refused.
fn record(at: u64) -> OutcomeRecord {
    let mut record = OutcomeRecord { at_unix_ms: 1_000 + at / 2, ..samples::record() };
    record.session_id = Some(format!("s-{}", at % 4));
    record.metadata = [("user".to_owned(), format!("u{}", at % 7))].into();
    let own = record.attempts[0].clone();
    if at.is_multiple_of(3) {
        let class = if at.is_multiple_of(2) { "overloaded" } else { "malformed" };
        let class = FailureClass::ALL.into_iter().find(|it| it.as_str() == class);
        record.attempts.insert(0, Attempt { failure: class, ..own });
    }
    if at.is_multiple_of(11) {
        record.end = "cached".into();
        record.attempts.clear();
    }
    if at.is_multiple_of(5) {
        (record.end, record.served) = ("refused".into(), None);
        record.attempts.clear();
    }
    record
}

fn ids(records: &[OutcomeRecord], wanted: impl Fn(&OutcomeRecord) -> bool) -> Vec<String> {
    let mut own: Vec<_> = records.iter().enumerate().filter(|(_, it)| wanted(it)).collect();
    own.sort_by_key(|(at, it)| std::cmp::Reverse((it.at_unix_ms, *at)));
    own.into_iter().map(|(_, it)| it.decision.to_string()).collect()
}

#[tokio::test]
async fn pages_are_the_whole_newest_first_under_every_filter() {
    let mut shelf = shelf();
    let records: Vec<_> = (0..40).map(record).collect();
    shelf.write(&records);
    let all = OutcomeFilter::default;
    let check = async |filter: OutcomeFilter, wanted: &dyn Fn(&OutcomeRecord) -> bool| {
        let wanted = ids(&records, wanted);
        assert!(!wanted.is_empty() && shelf.walk(&filter).await == wanted, "{filter:?}");
    };
    check(all(), &|_| true).await;
    let model = records[1].served.as_ref().unwrap().as_str().split('@').next().unwrap().to_owned();
    let by_model = OutcomeFilter { model: Some(ModelName::new(&model).unwrap()), ..all() };
    check(by_model, &|it| it.served.is_some()).await;
    let session = OutcomeFilter { session: Some("s-2".into()), ..all() };
    check(session.clone(), &|it| it.session_id.as_deref() == Some("s-2")).await;
    let user = ("user".to_owned(), "u3".to_owned());
    let both = OutcomeFilter { metadata: vec![user], ..session };
    check(both, &|it| it.session_id.as_deref() == Some("s-2") && it.metadata["user"] == "u3").await;
    let failed = |failed| OutcomeFilter { failed: Some(failed), ..all() };
    let of = |it: &OutcomeRecord, class| it.attempts.iter().any(|it| it.failure == Some(class));
    let malformed = FailureClass::Malformed;
    check(failed(FailedAs::Class(malformed)), &|it| of(it, malformed)).await;
    check(failed(FailedAs::Any), &|it| it.attempts.len() > 1 || it.end == "refused").await;
    check(OutcomeFilter { end: Some("refused".into()), ..all() }, &|it| it.end == "refused").await;
    check(OutcomeFilter { end: Some("served".into()), ..all() }, &|it| it.end == "served").await;
    let times = OutcomeFilter { from_unix_ms: Some(1_003), until_unix_ms: Some(1_007), ..all() };
    check(times, &|it| (1_003..1_007).contains(&it.at_unix_ms)).await;
    let nobody = OutcomeFilter { model: Some(ModelName::new("nobody").unwrap()), ..all() };
    assert_eq!(shelf.walk(&nobody).await, [""; 0]);
}

#[tokio::test]
async fn what_is_written_meanwhile_neither_repeats_nor_hides_anything() {
    let mut shelf = shelf();
    let before: Vec<_> = (0..20).map(record).collect();
    shelf.write(&before);
    let (mut found, mut after) = (Vec::new(), None);
    for round in 0.. {
        let page = shelf.page(&OutcomeFilter::default(), after).await;
        found.extend(page.rows.into_iter().map(|it| it.decision));
        // Newer ones, and one that arrived long ago and took its time.
        shelf.write(&[record(100 + round), OutcomeRecord { at_unix_ms: 1, ..record(round) }]);
        match page.next {
            Some(next) if round < 30 => after = Some(next),
            _ => break,
        }
    }
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), found.len(), "nothing twice");
    let own = ids(&before, |_| true);
    let seen: Vec<_> = found.into_iter().filter(|it| own.contains(it)).collect();
    assert_eq!(seen, own, "nothing left out");
}

#[tokio::test]
async fn a_page_that_finds_little_says_where_to_go_on() {
    let mut shelf = shelf();
    let plain = |at: u64| OutcomeRecord { at_unix_ms: at, attempts: vec![], ..samples::record() };
    let mut records: Vec<_> = (0..LOOKED_MAX as u64 + 5).map(plain).collect();
    records[0].metadata = [("user".to_owned(), "rare".to_owned())].into();
    shelf.write(&records);
    let rare = ("user".to_owned(), "rare".to_owned());
    let filter = OutcomeFilter { metadata: vec![rare], ..OutcomeFilter::default() };
    let first = shelf.page(&filter, None).await;
    assert_eq!((first.rows.len(), first.looked_at), (0, LOOKED_MAX));
    assert_eq!(first.looked_back_to_unix_ms, Some(5));
    let second = shelf.page(&filter, first.next).await;
    assert_eq!((second.rows.len(), second.looked_at, second.next), (1, 5, None));
}

#[tokio::test]
async fn one_decision_and_none() {
    let mut shelf = shelf();
    let record = record(3);
    shelf.write(std::slice::from_ref(&record));
    let found = shelf.browser.one(record.decision).await.unwrap().unwrap();
    assert_eq!(found.record, record);
    assert!(shelf.browser.one(DecisionId::fresh()).await.unwrap().is_none());
    let empty = OutcomeFilter { session: Some("nobody".into()), ..OutcomeFilter::default() };
    assert_eq!(shelf.page(&empty, None).await.rows, []);
}

#[tokio::test]
async fn no_more_than_the_seats_read_at_a_time() {
    let shelf = shelf();
    let seats = Arc::clone(&shelf.browser.seats);
    let taken = seats.acquire_many_owned(READERS_MAX as u32).await.unwrap();
    tokio::time::pause();
    let busy = shelf.browser.page(OutcomeFilter::default(), None, 3).await;
    assert!(matches!(busy, Err(BrowseError::Busy)), "{busy:?}");
    drop(taken);
    tokio::time::resume();
    assert_eq!(shelf.page(&OutcomeFilter::default(), None).await.looked_at, 0);
}
