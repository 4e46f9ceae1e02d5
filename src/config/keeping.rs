//! `[export]` and the part of `[outcomes]` that says how long outcomes are kept.
//!
//! In: the sections. Out: [`Keeping`]. Invariant: without either, everything is kept and nothing is
//! exported. Not here: where outcomes are kept (see [`super::outcomes`]).

use std::time::Duration;

use super::section::Section;
use super::values;
use crate::outcome::Retention;

/// How long outcomes are kept, and where they are exported to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

/// Reads what `[outcomes]` says of it.
pub(super) fn read_outcomes(section: &mut Section<'_>) -> Keeping {
    let mut keeping = Keeping::default();
    let retention = &mut keeping.retention;
    section.field("keep_days", values::days).fill_some(&mut retention.keep);
    section.field("keep_bytes", values::log_bytes).fill_some(&mut retention.bytes_max);
    if section.field("keep_unexported", values::flag).given() == Some(false) {
        keeping.hold_unexported = HoldUnexported::Delete;
    }
    keeping
}

/// Reads `[export]`.
pub(super) fn read_export(section: Option<Section<'_>>) -> Option<ExportPlan> {
    let mut section = section?;
    let to = section.required("to", "an export goes somewhere", values::string);
    let every = section.field("every", values::export_every).given();
    section.done();
    to.given().map(|to| ExportPlan { to, every })
}
