//! `[outcomes]` and `[export]`: where outcomes are kept, how long, and where they go.
//!
//! In: the two sections. Out: [`LogSettings`] and [`Keeping`]. Invariant: without either section,
//! everything is kept in `data/outcomes.db`, prompts as hashes, and nothing is exported.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::values;
use crate::outcome::{LogSettings, OutcomeAccess, PromptPrivacy, Retention};

/// How long outcomes are kept, and where they are exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// How long; [`Retention::exported_to`] is filled in by whoever opens the export.
    pub retention: Retention,
    /// Whether what the export does not have yet outlives that.
    pub hold_unexported: HoldUnexported,
    /// Where outcomes are exported to.
    pub export: Option<ExportPlan>,
}

/// Whether records wait for their export before they are deleted for their age or for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HoldUnexported {
    /// They do; an export that fails for long lets the log grow.
    #[default]
    Hold,
    /// They do not.
    Delete,
}

/// An export that goes on by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPlan {
    /// A folder, or `s3://...`, `gs://...`, `az://...`.
    pub to: String,
    /// How often the server exports; `None`: somebody else does, with `pointsman export`.
    pub every: Option<Duration>,
}

/// What holds when nothing is said.
pub(super) fn log_default() -> LogSettings {
    LogSettings {
        path: PathBuf::from("data/outcomes.db"),
        prompts: PromptPrivacy::Hash,
        admin: OutcomeAccess::Refused,
    }
}

/// What holds when nothing is said.
pub(super) fn keeping_default() -> Keeping {
    Keeping { retention: Retention::default(), hold_unexported: HoldUnexported::Hold, export: None }
}

/// Reads both sections.
pub(super) fn read(
    outcomes: Option<Section<'_>>,
    export: Option<Section<'_>>,
) -> (LogSettings, Keeping) {
    let (mut log, mut keeping) = (log_default(), keeping_default());
    if let Some(mut section) = outcomes {
        section.field("store", values::store).fill(&mut log.path);
        section.field("prompts", values::prompts).fill(&mut log.prompts);
        let retention = &mut keeping.retention;
        section.field("keep_days", values::days).fill_some(&mut retention.keep);
        section.field("keep_bytes", values::log_bytes).fill_some(&mut retention.bytes_max);
        if section.field("keep_unexported", values::flag).given() == Some(false) {
            keeping.hold_unexported = HoldUnexported::Delete;
        }
        if section.field("admin_calls", values::flag).given() == Some(true) {
            log.admin = OutcomeAccess::Allowed;
        }
        section.done();
    }
    if let Some(mut section) = export {
        let to = section.required("to", "an export goes somewhere", values::string);
        let every = section.field("every", values::export_every).given();
        keeping.export = to.given().map(|to| ExportPlan { to, every });
        section.done();
    }
    (log, keeping)
}
