//! The log as Parquet files, in a folder or an object store, for whoever learns or counts.
//!
//! In: the log's file, where to. Out: `outcomes/date=.../part-*.parquet` and
//! `feedback/date=.../part-*.parquet`, zstd, and a checkpoint in the log. Invariant: every record and
//! every score is in exactly one file, whenever a run is killed: what a part holds is written down
//! before its files, its files before the checkpoint; names follow from what a part holds, so that
//! doing it again puts the same under the same name. Bounded memory. Not here: what is learned.

mod columns;
mod destination;
mod feedback_columns;
mod parquet_file;
mod postgres_source;
mod pull;
mod read;
mod run;
mod source;
mod sqlite_source;
#[cfg(test)]
mod tests;

pub use columns::OUTCOME_COLUMNS;
pub use destination::Destination;
pub use feedback_columns::FEEDBACK_COLUMNS;
pub use pull::{Cursor, CursorError, Pulled, PulledFeedback, PulledOutcome, Puller};
pub use read::ExportReader;
pub use run::{Exported, Exporter};

use super::store::OutcomeError;

/// Why an export did not go on. What was exported until then stays, and is not exported again.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Where to is no place.
    #[error("`{to}` is no place to export to: {why}")]
    Destination {
        /// As given, without what might be a secret.
        to: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The folder cannot be made.
    #[error("the folder `{folder}` cannot be made or read")]
    Folder {
        /// Which.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// The place refused, or was not there.
    #[error("`{file}` cannot be reached")]
    Place {
        /// Which object, or the place itself.
        file: String,
        /// What the store says.
        source: object_store::Error,
    },
    /// Files of this log are there that its checkpoint knows nothing of.
    #[error(
        "`{to}` holds files of this log already (`{file}`), but the log does not know of them: \
         choose an empty place, or empty this one"
    )]
    AlreadyThere {
        /// The place.
        to: String,
        /// One of them.
        file: String,
    },
    /// The log.
    #[error(transparent)]
    Log(#[from] OutcomeError),
    /// A file cannot be put together or read.
    #[error("`{file}` is no export of ours, or damaged")]
    Parquet {
        /// Which.
        file: String,
        /// What the format says.
        source: parquet::errors::ParquetError,
    },
    /// A file lacks a column, or has it of another kind.
    #[error("`{file}` has no column `{column}` of the right kind")]
    Column {
        /// Which file.
        file: String,
        /// Which column.
        column: &'static str,
    },
    /// One row cannot be read.
    #[error("row {row} of `{file}` cannot be read")]
    Row {
        /// Which file.
        file: String,
        /// Which row, from 0.
        row: usize,
        /// Why; `None` when its id is none.
        source: Option<OutcomeError>,
    },
    /// The thread that worked ended.
    #[error("the export was interrupted")]
    Interrupted,
}
