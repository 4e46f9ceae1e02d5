//! What became of every decision, written down so that it can be recomputed and learned from.
//!
//! In: an [`OutcomeRecord`] per decision, [`Feedback`] for it, sooner or later. Out: an
//! acknowledgement once it is committed, records read back, and exports. Invariant: what was acknowledged
//! survives the end of the process, and [`replay()`] of a record gives the order it logged. Not
//! here: how a decision is made or carried out; this layer takes plain values.

mod behind;
mod export;
mod facts;
mod feedback;
mod journal;
mod log;
mod postgres;
mod privacy;
mod reader;
mod record;
mod replay;
mod retries;
mod row;
#[cfg(test)]
pub(crate) mod samples;
mod schema;
mod settings;
mod signals;
mod spool;
mod sqlite;
mod status;
mod store;
mod summary;
mod trials;
mod upkeep;
mod writer;

pub use export::{
    Cursor, CursorError, Destination, ExportError, ExportReader, Exported, Exporter,
    FEEDBACK_COLUMNS, OUTCOME_COLUMNS, Pulled, PulledFeedback, PulledOutcome, Puller,
};
pub use facts::{CachedFacts, CandidateFacts, Choice, ExcludedFacts, RankedFacts};
pub use feedback::{Feedback, FeedbackKind, FeedbackReceipt};
pub use log::OutcomeLog;
pub use postgres::{PostgresSettings, PostgresUrlError};
pub use privacy::{PromptPrivacy, RecordedPrompt};
pub use reader::{Logged, OutcomeReader};
pub use record::{CallerFacts, OutcomeRecord, RECORD_VERSION};
pub use replay::{Difference, differences, replay, replay_with};
pub use settings::{LogSettings, OutcomeAccess, StoreSettings};
pub use signals::{Signal, Signalled};
pub use spool::{SPOOL_BYTES_DEFAULT, SPOOL_PATH_DEFAULT, SpoolSettings};
pub use status::OutcomeStatus;
pub use store::OutcomeError;
pub use summary::{Dimension, Group, NoDimension, Summary};
pub use trials::{CanaryFacts, ExpectedFacts, ShadowFacts};
pub use upkeep::{Erased, Retention, Swept, Upkeep};
