//! What is acknowledged before it is committed: entries in two small files beside the log.
//!
//! In: entries, from any thread. Out: the same entries after a crash. Invariant: what
//! [`Journal::append`] took is in the operating system's hands and survives `kill -9` of this process;
//! an entry is given up only once it is committed; entries stand in the order in which `then` was
//! called. A power loss may take the last of them, as it may take SQLite's. Not here: what an entry
//! holds (see `entry`), and who commits it.
//!
//! One file is written to until it is large enough; then the other, once all of it is committed. Each
//! begins with how far it was committed, so that what was deleted from the log since does not come back.
//! One process holds both, by a lock on the first.

mod entry;
mod recover;
mod segment;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) use self::entry::encode;
pub(super) use self::recover::{recover, settle};
use self::segment::{HEADER_BYTES, Segment};
use super::store::{OutcomeError, OutcomeStore, Write};

/// A file that is as long is not begun anew where the other can take over: some 400 records, so that
/// cutting it is seldom, and what is read after a crash takes milliseconds.
const SEGMENT_BYTES: u64 = 4 << 20;
/// A file of which all is committed is cut from this length on. Less would cut at every record of a
/// quiet server.
const CUT_BYTES: u64 = 256 << 10;

/// Records handed over at once, as many as in a batch of appends.
const BATCH: usize = 256;

/// Where an entry ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    segment: usize,
    end: u64,
}

/// The files, held by this process.
#[derive(Debug)]
pub(super) struct Journal {
    log: PathBuf,
    written: Mutex<Written>,
    /// Whether what is acknowledged may be put here; not while commits fail.
    open: AtomicBool,
}

#[derive(Debug)]
struct Written {
    segments: [Segment; 2],
    active: usize,
}

/// The two files that belong to a log.
pub(super) fn paths(log: &Path) -> [PathBuf; 2] {
    [0, 1].map(|at| {
        let mut path = log.as_os_str().to_owned();
        path.push(format!(".journal-{at}"));
        path.into()
    })
}

impl Journal {
    /// Takes files as they are. It is open if they hold nothing.
    fn of(log: &Path, files: [File; 2]) -> io::Result<Self> {
        let [first, second] = files;
        let segments = [Segment::resume(first)?, Segment::resume(second)?];
        let empty = segments.iter().all(Segment::is_empty);
        let written = Mutex::new(Written { segments, active: 0 });
        Ok(Self { log: log.to_owned(), written, open: AtomicBool::new(empty) })
    }

    /// Whether it takes entries now.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Says whether commits succeed, or something else is wrong with them or with the files.
    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }

    /// Writes an entry, and calls `then` before anybody else's is written. Blocks for as long as a
    /// write into the page cache takes.
    ///
    /// # Errors
    /// Whatever the file says, most often that the disk is full. Nothing of the entry stays, and `then`
    /// was not called.
    pub(super) fn append(&self, entry: &[u8], then: impl FnOnce(Position)) -> io::Result<()> {
        let mut written = self.written();
        let other = 1 - written.active;
        let full = written.segments[written.active].bytes() >= SEGMENT_BYTES;
        if full && written.segments[other].is_empty() {
            written.active = other;
        }
        let segment = written.active;
        let end = written.segments[segment].append(entry)?;
        then(Position { segment, end });
        Ok(())
    }

    /// Says that everything up to here is committed.
    ///
    /// # Errors
    /// Whatever the files say; what is in them is then handed over again.
    pub(super) fn committed(&self, to: Position) -> io::Result<()> {
        let mut written = self.written();
        if to.segment == written.active {
            // What stands in the other one came before.
            let other = &mut written.segments[1 - to.segment];
            other.committed(other.bytes())?;
        }
        written.segments[to.segment].committed(to.end)?;
        written.cut_from(CUT_BYTES)
    }

    /// Puts everything that is not committed into the store; what is there already stays as it is.
    ///
    /// # Errors
    /// What the store says of the first that it does not take, or the files; what is in them stays.
    pub(super) fn hand_over(&self, store: &mut impl OutcomeStore) -> Result<(), OutcomeError> {
        let failed = |source| OutcomeError::Journal { path: self.log.clone(), source };
        let failed = |source| failed(Arc::new(source));
        let (mut records, mut ends) = (Vec::new(), [0; 2]);
        for (segment, end) in self.written().segments.iter_mut().zip(&mut ends) {
            *end = segment.bytes();
            for entry in segment.uncommitted().map_err(failed)? {
                records.push(entry?);
            }
        }
        // As they were decided, whichever file came first.
        records.sort_by_key(|it| it.decision);
        while !records.is_empty() {
            let batch = records.drain(..records.len().min(BATCH));
            let batch = batch.map(|it| Write::Outcome(Box::new(it))).collect();
            for kept in store.write(batch) {
                match kept {
                    Ok(_) | Err(OutcomeError::Duplicate(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let mut written = self.written();
        for (segment, end) in written.segments.iter_mut().zip(ends) {
            segment.committed(end).map_err(failed)?;
        }
        written.cut_from(HEADER_BYTES).map_err(failed)
    }

    /// Drops the content of all that is committed: somebody wants it gone.
    pub(super) fn forget_committed(&self) {
        let mut written = self.written();
        for segment in &mut written.segments {
            if let Err(error) = segment.forget_committed() {
                tracing::warn!(%error, "the outcome journal still holds what was deleted");
            }
        }
    }

    /// Nothing panics while it holds the lock but `then`, and before that the file is whole.
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    /// Empties what is committed and at least as long as this.
    fn cut_from(&mut self, bytes: u64) -> io::Result<()> {
        self.segments.iter_mut().try_for_each(|it| it.cut_from(bytes))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // What stays is read at the next start.
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = written.cut_from(HEADER_BYTES);
    }
}
