//! Who has the journal, and what a process left in it when it was killed.
//!
//! In: the two files, and the log. Out: a [`Journal`] of this process, and every entry in the log that
//! was acknowledged and not committed. Invariant: files that another process holds are not touched. Not
//! here: writing entries.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Journal, paths, segment};
use crate::outcome::store::{OutcomeError, OutcomeStore};

/// How long a start waits for whoever holds the files: one that just ends, or an export that puts into
/// the log what was left.
const HELD_WAIT: Duration = Duration::from_secs(1);
/// How long a reader waits for a server to commit what it had acknowledged before: many times a
/// commit, and no more than that server's own patience with a database that is locked.
const SETTLE_WAIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(1);

impl Journal {
    /// Takes the files of a log for this process, and puts what was left in them into the log; where
    /// that fails the journal is not open. `None` where another process has them, or the file system
    /// knows no locks: then nobody is told `Ok` before the commit.
    ///
    /// # Errors
    /// [`OutcomeError::Journal`] where the files cannot be used.
    pub(in crate::outcome) fn open(
        log: &Path,
        store: &mut impl OutcomeStore,
    ) -> Result<Option<Self>, OutcomeError> {
        let failed = |source| OutcomeError::Journal { path: log.to_owned(), source };
        let failed = |source| failed(Arc::new(source));
        let [first, second] = paths(log).map(|it| file(&it).map_err(failed));
        let files = [first?, second?];
        let (path, log) = (log, log.display());
        if !held(&files[0], HELD_WAIT) {
            tracing::warn!(%log, "another process has the outcome journal: answers wait for commits");
            return Ok(None);
        }
        let journal = Self::of(path, files).map_err(failed)?;
        if !journal.is_open() {
            match journal.hand_over(store) {
                Ok(()) => {
                    tracing::info!(%log, "what a killed server had acknowledged is in the log");
                    journal.set_open(true);
                }
                Err(error) => {
                    tracing::error!(%log, %error, "acknowledged outcomes wait in the journal");
                }
            }
        }
        Ok(Some(journal))
    }
}

/// Puts what a server that is no more left into the log; nothing where one is running.
///
/// # Errors
/// [`OutcomeError::Journal`], or what the log says of what was left, which stays in the files.
pub(in crate::outcome) fn recover(
    log: &Path,
    store: &mut impl OutcomeStore,
) -> Result<(), OutcomeError> {
    let waits = paths(log).iter().any(|it| committed(it).is_some_and(|done| done < length(it)));
    if !waits {
        return Ok(());
    }
    let failed = |source| OutcomeError::Journal { path: log.to_owned(), source };
    let failed = |source| failed(Arc::new(source));
    let [first, second] = paths(log).map(|it| file(&it).map_err(failed));
    let files = [first?, second?];
    if held(&files[0], Duration::ZERO) {
        Journal::of(log, files).map_err(failed)?.hand_over(store)?;
    }
    Ok(())
}

/// Waits until what is acknowledged by now is in the log: by the server that holds the journal, or by
/// `open`, which puts there what one left that is no more. Says so where that cannot be.
pub(in crate::outcome) fn settle(log: &Path, open: impl FnOnce() -> Result<(), OutcomeError>) {
    let [first, second] = paths(log);
    let lengths = [length(&first), length(&second)];
    let end = Instant::now() + SETTLE_WAIT;
    while still_waits(log, lengths) {
        let log = log.display();
        let Ok(first) = file(&first) else {
            tracing::warn!(%log, "the journal cannot be opened: the last outcomes are not read");
            return;
        };
        if held(&first, Duration::ZERO) {
            drop(first);
            if let Err(error) = open() {
                tracing::warn!(%log, %error, "the outcomes left in the journal are not read");
            }
            return;
        }
        if Instant::now() > end {
            tracing::warn!(%log, "its server commits nothing: the last outcomes are not read");
            return;
        }
        thread::sleep(POLL);
    }
}

/// Whether some of what was there at these lengths is not committed yet.
fn still_waits(log: &Path, lengths: [u64; 2]) -> bool {
    let both = paths(log).into_iter().zip(lengths);
    let mut waits = both.map(|(path, then)| {
        let now = length(&path);
        committed(&path).is_some_and(|done| done < then && done < now)
    });
    waits.any(|it| it)
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |it| it.len())
}

fn committed(path: &Path) -> Option<u64> {
    segment::committed(&File::open(path).ok()?).ok()?
}

fn file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Whether this process has the files now.
fn held(first: &File, wait: Duration) -> bool {
    let end = Instant::now() + wait;
    loop {
        match first.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(POLL),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return false,
        }
    }
}
