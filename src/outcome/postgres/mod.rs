//! Outcomes in PostgreSQL, with a spool on this machine for when it is away.
//!
//! In: batches. Out: committed rows. Invariant: an `Ok` is in the database, or synced in the spool;
//! nothing goes to the database past what still waits in the spool; the same row sent twice is one
//! row. A batch waits [`COMMIT_WAIT`] for the database and then goes to the spool. Not here: sending
//! on what waits (see `shipper`), SQL (see `link`).
//!
//! There are two modes. *Direct*: nothing waits, and a batch is one round trip. *Away*: every batch
//! goes to the spool. Only the log's thread goes from direct to away, and only the shipper goes back,
//! both under one lock, so that no batch can slip past the spool.

mod fault;
mod link;
#[cfg(test)]
mod reading_tests;
mod schema;
mod session;
mod settings;
mod shipper;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::fault::Fault;
use self::link::Link;
pub(super) use self::session::{Session, Value};
pub use self::settings::{PostgresSettings, PostgresUrlError};
use super::feedback::FeedbackReceipt;
use super::record::OutcomeRecord;
use super::row::{Head, Row};
use super::spool::{Spool, Spooled};
use super::sqlite::{decoded, vector};
use super::status::Notes;
use super::store::{OutcomeError, OutcomeStore, Write, Written};
use super::upkeep::{Erased, Erasure, Retention, Swept};
use crate::domain::DecisionId;

/// The longest that a batch waits for the database: as long as a caller waits for a place in the
/// queue. A database that is slower than this for a moment costs a turn through the spool.
const COMMIT_WAIT: Duration = Duration::from_millis(250);
/// The longest that a read waits for the database; appends wait behind it.
const READ_WAIT: Duration = Duration::from_secs(2);
/// The longest to wait for the shipper to end: it may be in the middle of a commit of the spool.
const STOP_WAIT: Duration = Duration::from_secs(5);

/// A database and its spool.
pub(super) struct PostgresStore {
    shared: Arc<Shared>,
    /// Only ever `None` while it is dropped.
    runtime: Option<Runtime>,
    stop: CancellationToken,
    ended: mpsc::Receiver<()>,
}

/// What the log's thread and the shipper share.
struct Shared {
    settings: PostgresSettings,
    notes: Arc<Notes>,
    state: Mutex<State>,
    /// Told when the mode becomes `Away`.
    wake: Notify,
}

struct State {
    spool: Spool,
    mode: Mode,
}

enum Mode {
    /// Nothing waits: batches go to the database.
    Direct(Arc<Link>),
    /// Batches go to the spool, for this reason.
    Away(OutcomeError),
}

impl PostgresStore {
    /// Opens the spool, connects, and migrates. A database that is away is no error: outcomes wait
    /// for it.
    ///
    /// # Errors
    /// [`OutcomeError`]: the spool cannot be used, or the database says that it will not serve us.
    pub(super) fn open(
        settings: &PostgresSettings,
        notes: Arc<Notes>,
    ) -> Result<Self, OutcomeError> {
        let spool = Spool::open(settings.spool())?;
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("outcome-postgres").enable_all();
        let runtime = runtime.build().map_err(|it| OutcomeError::Thread(Arc::new(it)))?;
        let mode = match first_mode(&runtime, settings, &spool) {
            Ok(mode) => mode,
            Err(unusable) => {
                runtime.shutdown_background();
                return Err(unusable);
            }
        };
        if let Mode::Away(why) = &mode {
            notes.away(why);
            tracing::warn!(waiting = spool.held().records, %why, "outcomes go to the spool");
        }
        notes.held(spool.held());
        let state = Mutex::new(State { spool, mode });
        let settings = settings.clone();
        let shared = Arc::new(Shared { settings, notes, state, wake: Notify::new() });
        let (stop, for_shipper) = (CancellationToken::new(), Arc::clone(&shared));
        let (end, ended) = mpsc::sync_channel(1);
        runtime.spawn(shipper::run(for_shipper, stop.clone(), end));
        Ok(Self { shared, runtime: Some(runtime), stop, ended })
    }

    /// Keeps rows here or there; one result for each.
    fn keep(&self, rows: &[Row]) -> Vec<Written> {
        let mut state = self.shared.state();
        let Mode::Direct(link) = &state.mode else { return self.spool(&mut state, rows) };
        let link = Arc::clone(link);
        drop(state);
        let sent = self.within(COMMIT_WAIT, link.insert(rows));
        match sent {
            Ok(receipts) => rows.iter().zip(receipts).map(|(row, it)| written(row, it)).collect(),
            Err(Fault::Refused(_)) if rows.len() > 1 => {
                // One of them is bad: the halves find it, and the others are kept.
                let (left, right) = rows.split_at(rows.len() / 2);
                let mut all = self.keep(left);
                all.extend(self.keep(right));
                all
            }
            Err(Fault::Refused(code)) => {
                let refused = Fault::Refused(code).at(self.shared.settings.place());
                vec![Err(refused); rows.len()]
            }
            Err(fault) => {
                let why = fault.at(self.shared.settings.place());
                tracing::warn!(%why, "outcomes go to the spool");
                self.shared.notes.away(&why);
                let mut state = self.shared.state();
                state.mode = Mode::Away(why);
                self.spool(&mut state, rows)
            }
        }
    }

    fn spool(&self, state: &mut State, rows: &[Row]) -> Vec<Written> {
        let kept = state.spool.append(rows);
        self.shared.notes.held(state.spool.held());
        self.shared.wake.notify_one();
        let settings = self.shared.settings.spool();
        let written = |(row, kept): (&Row, Spooled)| match kept {
            Spooled::Kept => Ok(FeedbackReceipt::Stored),
            Spooled::Already => written(row, FeedbackReceipt::AlreadyStored),
            Spooled::Full => {
                let (path, bytes_max) = (settings.path.clone(), settings.bytes_max);
                Err(OutcomeError::SpoolFull { path, bytes_max })
            }
        };
        match kept {
            Ok(kept) => rows.iter().zip(kept).map(written).collect(),
            Err(error) => vec![Err(error); rows.len()],
        }
    }

    /// Runs something on the connection and waits for it. Never called on a runtime's own thread.
    fn within<T>(
        &self,
        wait: Duration,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let Some(runtime) = &self.runtime else { return Err(Fault::late(0)) };
        let done = runtime.block_on(async { tokio::time::timeout(wait, work).await });
        done.unwrap_or_else(|_| Err(Fault::late(wait.as_millis())))
    }

    fn read<T, W: Future<Output = Result<T, Fault>>>(
        &self,
        work: impl FnOnce(Arc<Link>) -> W,
    ) -> Result<T, OutcomeError> {
        let link = match &self.shared.state().mode {
            Mode::Direct(link) => Arc::clone(link),
            Mode::Away(why) => return Err(why.clone()),
        };
        let read = self.within(READ_WAIT, work(link));
        read.map_err(|it| it.at(self.shared.settings.place()))
    }
}

impl OutcomeStore for PostgresStore {
    fn write(&mut self, batch: Vec<Write>) -> Vec<Written> {
        let (mut rows, mut signals) = (Vec::with_capacity(batch.len()), Vec::new());
        let mut bad = Vec::new();
        for (at, write) in batch.into_iter().enumerate() {
            match Row::of(write) {
                Ok((row, more)) => {
                    rows.push(row);
                    signals.extend(more);
                }
                Err(error) => bad.push((at, error)),
            }
        }
        // Behind all outcomes, since a signal may be about any of them.
        let asked = rows.len();
        rows.extend(signals);
        let mut all = if rows.is_empty() { Vec::new() } else { self.keep(&rows) };
        all.truncate(asked);
        for (at, error) in bad {
            all.insert(at, Err(error));
        }
        all
    }

    fn get(&self, decision: DecisionId) -> Result<Option<OutcomeRecord>, OutcomeError> {
        let waiting = self.shared.state().spool.get(&decision.to_string())?;
        if let Some(Row { head: Head::Outcome(head), record, features, embedding }) = waiting {
            let vectors = [vector(&features), vector(&embedding)];
            return decoded(decision, head.record_version, &record, vectors).map(Some);
        }
        self.read(|link| async move { link.get(decision).await })?
    }

    /// Counts the database alone, not what waits.
    fn count(&self) -> Result<u64, OutcomeError> {
        self.read(|link| async move { link.count().await })
    }

    fn sweep(&mut self, retention: &Retention, now_unix_ms: u64) -> Result<Swept, OutcomeError> {
        self.read(|link| async move { upkeep::sweep(&link, retention, now_unix_ms).await })
    }

    /// Only while nothing waits: else what waits would come after what was deleted.
    fn erase(&mut self, erasure: &Erasure) -> Result<Erased, OutcomeError> {
        self.read(|link| async move { upkeep::erase(&link, erasure).await })
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ = self.ended.recv_timeout(STOP_WAIT);
        let waiting = self.shared.state().spool.held().records;
        if waiting > 0 {
            tracing::warn!(waiting, "outcomes wait in the spool for the next start");
        }
        if let Some(runtime) = self.runtime.take() {
            // Waits for nothing, so that it may be called from anywhere.
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// Nothing panics while it holds the lock, so what a poisoned one holds is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects for the first time, from whatever thread.
fn first_mode(
    runtime: &Runtime,
    settings: &PostgresSettings,
    spool: &Spool,
) -> Result<Mode, OutcomeError> {
    let (tell, told) = mpsc::sync_channel(1);
    let to_connect = settings.clone();
    runtime.spawn(async move { drop(tell.send(Link::open(&to_connect).await)) });
    let opened = told.recv().unwrap_or_else(|_| Err(Fault::Away("connecting panicked".to_owned())));
    let away = |why: String| Mode::Away(Fault::Away(why).at(settings.place()));
    match opened {
        Ok(link) if spool.is_drained() => Ok(Mode::Direct(Arc::new(link))),
        Ok(_) => Ok(away("what waited is sent first".to_owned())),
        Err(Fault::Away(why)) => Ok(away(why)),
        Err(fault @ (Fault::Unusable(_) | Fault::Refused(_) | Fault::Newer(_))) => {
            Err(fault.at(settings.place()))
        }
    }
}

/// What the caller is told: a second outcome for a decision is an error, a second score is not.
fn written(row: &Row, receipt: FeedbackReceipt) -> Written {
    match (&row.head, receipt) {
        (Head::Outcome(it), FeedbackReceipt::AlreadyStored) => {
            let decision = DecisionId::parse(&it.decision);
            Err(decision.map_or(OutcomeError::Closed, OutcomeError::Duplicate))
        }
        (Head::Outcome(_) | Head::Feedback(_), receipt) => Ok(receipt),
    }
}
