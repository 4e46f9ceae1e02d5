//! Where outcomes are read from.
//!
//! In: the path of a log that a server writes. Out: an [`OutcomeSource`], which hands over one decision
//! at a time, with its scores. Invariant: the whole is never in memory; nothing is written. Not here:
//! what is made of the decisions.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use pointsman::outcome::{Logged, OutcomeError, OutcomeReader};

/// What is done with one decision, or with one that cannot be read.
pub type Visit<'v> = dyn FnMut(Result<Logged, OutcomeError>) + 'v;

/// Decisions in the order of arrival; may be read more than once.
pub trait OutcomeSource {
    /// Hands every decision to `visit`.
    ///
    /// # Errors
    /// When the source itself cannot be read on.
    fn each(&self, visit: &mut Visit<'_>) -> Result<()>;
}

/// The log that a server keeps in an SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteLog(PathBuf);

impl OutcomeSource for SqliteLog {
    fn each(&self, visit: &mut Visit<'_>) -> Result<()> {
        Ok(OutcomeReader::open(&self.0)?.for_each(visit)?)
    }
}

/// Those in memory.
impl OutcomeSource for Vec<Logged> {
    fn each(&self, visit: &mut Visit<'_>) -> Result<()> {
        self.iter().cloned().for_each(|it| visit(Ok(it)));
        Ok(())
    }
}

/// The source at a path.
///
/// # Errors
/// When there is none.
pub fn open(path: &Path) -> Result<Box<dyn OutcomeSource>> {
    ensure!(
        path.is_file(),
        "{}: no outcome log is here (the server writes one at [outcomes] store)",
        path.display()
    );
    Ok(Box::new(SqliteLog(path.to_owned())))
}
