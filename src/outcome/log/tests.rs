//! The callers' side of the log: what is acknowledged, what waits, and what is told.

use futures_util::future::join_all;

use super::*;
use crate::domain::Probability;
use crate::outcome::upkeep::{Erased, Erasure, Retention, Swept};
use crate::outcome::{FeedbackKind, OutcomeReader, samples};

fn settings(folder: &tempfile::TempDir) -> LogSettings {
    LogSettings::sqlite(folder.path().join("outcomes.db"), PromptPrivacy::Hash)
}

/// Tells the size of each batch, then waits for leave to go on.
struct Gate {
    began: mpsc::UnboundedSender<usize>,
    leave: std::sync::mpsc::Receiver<Result<FeedbackReceipt, OutcomeError>>,
}

impl OutcomeStore for Gate {
    fn write(&mut self, batch: Vec<Write>) -> Vec<Result<FeedbackReceipt, OutcomeError>> {
        self.began.send(batch.len()).unwrap();
        vec![self.leave.recv().unwrap(); batch.len()]
    }

    fn get(&self, _: DecisionId) -> Result<Option<OutcomeRecord>, OutcomeError> {
        Ok(None)
    }

    fn count(&self) -> Result<u64, OutcomeError> {
        Ok(0)
    }

    fn sweep(&mut self, _: &Retention, _: u64) -> Result<Swept, OutcomeError> {
        Ok(Swept::default())
    }

    fn erase(&mut self, _: &Erasure) -> Result<Erased, OutcomeError> {
        Ok(Erased::default())
    }
}

struct Gated {
    log: Arc<OutcomeLog>,
    began: mpsc::UnboundedReceiver<usize>,
    leave: std::sync::mpsc::Sender<Result<FeedbackReceipt, OutcomeError>>,
}

fn gated(queue_max: usize) -> Gated {
    let (began_here, began) = mpsc::unbounded_channel();
    let (leave, leave_there) = std::sync::mpsc::channel();
    let store = Gate { began: began_here, leave: leave_there };
    let settings = LogSettings::sqlite("gate", PromptPrivacy::None);
    let limits = (queue_max, Arc::new(Notes::default()), None);
    let log = Arc::new(OutcomeLog::start(store, settings, limits).unwrap());
    Gated { log, began, leave }
}

impl Gated {
    fn append(&self) -> tokio::task::JoinHandle<Result<(), OutcomeError>> {
        let log = Arc::clone(&self.log);
        tokio::spawn(async move { log.append(samples::record()).await })
    }

    async fn until_waiting(&self, count: usize) {
        while self.log.queue.max_capacity() - self.log.queue.capacity() < count {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_seen_by_a_reader_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = OutcomeLog::open(&settings(&folder)).unwrap();
    let file = folder.path().join("outcomes.db");
    let appends = (0..64).map(|_| async {
        let record = samples::record();
        let decision = record.decision;
        log.append(record).await.unwrap();
        let seen = OutcomeReader::open(&file).unwrap().one(decision).unwrap();
        assert_eq!(seen.map(|it| it.record.decision), Some(decision));
        let read = log.get(decision).await.unwrap();
        assert_eq!(read.map(|it| it.decision), Some(decision));
    });
    join_all(appends).await;
    assert_eq!(log.count().await.unwrap(), 64);
    log.close().await;
    let log = OutcomeLog::open(&settings(&folder)).unwrap();
    assert_eq!(log.count().await.unwrap(), 64);
    log.close().await;
}

#[tokio::test]
async fn feedback_comes_late_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = OutcomeLog::open(&settings(&folder)).unwrap();
    let record = samples::record();
    let feedback = Feedback {
        decision: record.decision,
        score: Probability::ONE,
        kind: FeedbackKind::Explicit,
        comment: None,
        idempotency_key: None,
    };
    let unknown = log.feedback(feedback.clone()).await.unwrap();
    assert_eq!(unknown, FeedbackReceipt::UnknownDecision);
    log.append(record).await.unwrap();
    log.close().await;
    let log = OutcomeLog::open(&settings(&folder)).unwrap();
    assert_eq!(log.feedback(feedback.clone()).await.unwrap(), FeedbackReceipt::Stored);
    assert_eq!(log.feedback(feedback).await.unwrap(), FeedbackReceipt::AlreadyStored);
}

#[tokio::test]
async fn what_waits_is_committed_together() {
    let mut gated = gated(QUEUE_MAX);
    let first = gated.append();
    assert_eq!(gated.began.recv().await, Some(1));
    let others: Vec<_> = (0..64).map(|_| gated.append()).collect();
    gated.until_waiting(64).await;
    gated.leave.send(Ok(FeedbackReceipt::Stored)).unwrap();
    assert_eq!(gated.began.recv().await, Some(64));
    first.await.unwrap().unwrap();
    assert!(others.iter().all(|it| !it.is_finished()));
    gated.leave.send(Err(OutcomeError::Duplicate(DecisionId::fresh()))).unwrap();
    for failed in join_all(others).await {
        assert!(matches!(failed.unwrap(), Err(OutcomeError::Duplicate(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for_and_then_named() {
    let mut gated = gated(1);
    let under_way = gated.append();
    assert_eq!(gated.began.recv().await, Some(1));
    let waiting = gated.append();
    gated.until_waiting(1).await;
    let before = tokio::time::Instant::now();
    let refused = gated.append().await.unwrap();
    assert!(matches!(refused, Err(OutcomeError::Full { waited_ms: 250 })), "{refused:?}");
    assert_eq!(before.elapsed().as_millis(), FULL_WAIT.as_millis());
    let status = gated.log.status();
    assert_eq!((status.dropped, status.queued), (1, 1));
    gated.leave.send(Ok(FeedbackReceipt::Stored)).unwrap();
    gated.leave.send(Ok(FeedbackReceipt::Stored)).unwrap();
    under_way.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_thread_that_ended_is_named() {
    let mut gated = gated(8);
    let under_way = gated.append();
    assert_eq!(gated.began.recv().await, Some(1));
    // The store's `recv` fails, so its thread panics, as on a bug.
    drop(gated.leave);
    assert!(matches!(under_way.await.unwrap(), Err(OutcomeError::Closed)));
    while !gated.log.writer.is_finished() {
        tokio::task::yield_now().await;
    }
    let closed = gated.log.append(samples::record()).await;
    assert!(matches!(closed, Err(OutcomeError::Closed)), "{closed:?}");
}
