//! Where outcomes are kept, and how much of the prompts.
//!
//! In: the operator's wishes. Out: plain values. Invariant: printing them shows no password.

use std::fmt;
use std::path::PathBuf;

use super::postgres::PostgresSettings;
use super::privacy::PromptPrivacy;

/// Where outcomes are kept, and how much of the prompts.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Where.
    pub store: StoreSettings,
    /// How much of the prompts is kept.
    pub prompts: PromptPrivacy,
    /// Whether callers over the network may read all of it, and delete from it.
    pub admin: OutcomeAccess,
}

/// Whether callers over the network may read and delete outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutcomeAccess {
    /// No; the default, since nobody is asked yet who he is.
    #[default]
    Refused,
    /// Yes.
    Allowed,
}

impl LogSettings {
    /// Outcomes in a SQLite file, for nobody over the network.
    pub fn sqlite(path: impl Into<PathBuf>, prompts: PromptPrivacy) -> Self {
        let store = StoreSettings::Sqlite(path.into());
        Self { store, prompts, admin: OutcomeAccess::Refused }
    }
}

/// A place for outcomes. Its `Display` is what may be printed of it.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// This file; made, with its folder, where there is none.
    Sqlite(PathBuf),
    /// This database, with a spool before it.
    Postgres(Box<PostgresSettings>),
}

impl fmt::Display for StoreSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(out),
            Self::Postgres(it) => out.write_str(it.place()),
        }
    }
}
