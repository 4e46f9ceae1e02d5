//! How the outcome log is doing, for consoles and metrics.
//!
//! In: what the log and its store note. Out: [`OutcomeStatus`] at any moment, without asking the
//! log's thread. Invariant: texts name places and reasons, and hold neither content nor secrets; a
//! log that loses outcomes says so loudly, and at most once a minute. Not here: exporting it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::store::OutcomeError;

/// How often a loss is told: a full disk under load would else write a thousand lines a second.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The state of an outcome log at one moment. Counts are since the process started, unless they say
/// what is there now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutcomeStatus {
    /// Commands that wait for the log's thread now.
    pub queued: usize,
    /// Whether the database took the last batch; for SQLite always true.
    pub connected: bool,
    /// Records and scores in the spool now.
    pub spooled_records: u64,
    /// Their bytes, without what the file needs beside them.
    pub spooled_bytes: u64,
    /// How many bytes the spool may hold; 0 where there is none.
    pub spool_bytes_max: u64,
    /// Those of `spooled_records` that the database itself refused; they are tried again at the
    /// next start.
    pub set_aside: u64,
    /// When the oldest of those that wait came about, milliseconds since 1970 UTC.
    pub oldest_unix_ms: Option<u64>,
    /// Records and scores that went from the spool to the database.
    pub replayed: u64,
    /// Records and scores that could not be kept: queue full, spool full, disk full, or a score for
    /// a decision that the database turned out not to have.
    pub dropped: u64,
    /// What failed last; `None` while all is well.
    pub last_error: Option<String>,
}

impl OutcomeStatus {
    /// How long the oldest record has waited for the database, at a moment in milliseconds since
    /// 1970 UTC; zero when none waits.
    pub fn lag(&self, now_unix_ms: u64) -> Duration {
        let since = self.oldest_unix_ms.map_or(0, |oldest| now_unix_ms.saturating_sub(oldest));
        Duration::from_millis(since)
    }
}

/// What a spool holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Held {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) bytes_max: u64,
    pub(super) set_aside: u64,
    pub(super) oldest_unix_ms: Option<u64>,
}

/// Where the log and its store note how it goes; shared between their threads.
#[derive(Debug, Default)]
pub(super) struct Notes {
    away: AtomicBool,
    replayed: AtomicU64,
    dropped: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    held: Held,
    last_error: Option<String>,
    complained: Option<Instant>,
    dropped_then: u64,
}

impl Notes {
    /// The state now.
    pub(super) fn status(&self, queued: usize) -> OutcomeStatus {
        let told = self.told();
        let Held { records, bytes, bytes_max, set_aside, oldest_unix_ms } = told.held;
        OutcomeStatus {
            queued,
            connected: !self.away.load(Ordering::Relaxed),
            spooled_records: records,
            spooled_bytes: bytes,
            spool_bytes_max: bytes_max,
            set_aside,
            oldest_unix_ms,
            replayed: self.replayed.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            last_error: told.last_error.clone(),
        }
    }

    /// What the spool holds has changed.
    pub(super) fn held(&self, held: Held) {
        self.told().held = held;
    }

    /// The database went away, or could not be reached again.
    pub(super) fn away(&self, why: &OutcomeError) {
        self.away.store(true, Ordering::Relaxed);
        self.told().last_error = Some(why.to_string());
    }

    /// The store does not take what is in the journal.
    pub(super) fn failed(&self, why: &OutcomeError) {
        self.told().last_error = Some(why.to_string());
    }

    /// The database takes outcomes again.
    pub(super) fn back(&self) {
        self.away.store(false, Ordering::Relaxed);
        self.told().last_error = None;
    }

    /// So many went from the spool to the database.
    pub(super) fn replayed(&self, count: u64) {
        self.replayed.fetch_add(count, Ordering::Relaxed);
    }

    /// So many could not be kept; told if that was not told in the last minute. Gives whether it was.
    pub(super) fn dropped(&self, count: u64, why: &OutcomeError, now: Instant) -> bool {
        let all = self.dropped.fetch_add(count, Ordering::Relaxed) + count;
        let mut told = self.told();
        told.last_error = Some(why.to_string());
        let quiet = told.complained.is_some_and(|it| now.duration_since(it) < COMPLAIN_EVERY);
        if !quiet {
            let lost = all - told.dropped_then;
            (told.complained, told.dropped_then) = (Some(now), all);
            tracing::error!(lost, error = %why, "outcomes are lost: they could not be recorded");
        }
        !quiet
    }

    /// Nothing panics while it holds the lock, so what a poisoned one holds is whole.
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_all_counted_and_told_once_a_minute() {
        let (notes, start) = (Notes::default(), Instant::now());
        let why = OutcomeError::Full { waited_ms: 250 };
        let at = |seconds| start + Duration::from_secs(seconds);
        let told = [0, 1, 59, 60, 61, 120].map(|it| notes.dropped(2, &why, at(it)));
        assert_eq!(told, [true, false, false, true, false, true]);
        let status = notes.status(3);
        assert_eq!((status.dropped, status.queued), (12, 3));
        assert!(status.last_error.is_some_and(|it| it.contains("250 ms")));
        notes.back();
        assert_eq!(notes.status(0).last_error, None);
    }

    #[test]
    fn the_lag_is_that_of_the_oldest() {
        let status = |oldest_unix_ms| OutcomeStatus { oldest_unix_ms, ..OutcomeStatus::default() };
        assert_eq!(status(Some(1_000)).lag(3_500), Duration::from_millis(2_500));
        assert_eq!(status(Some(1_000)).lag(0), Duration::ZERO);
        assert_eq!(status(None).lag(3_500), Duration::ZERO);
    }
}
