//! How the artifacts stand, for people and programs.
//!
//! In: what is held. Out: plain values. Invariant: no path or reason comes from a request.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use super::brain::{Brain, SAME_VERSION, Unfit};
use crate::domain::Probability;

/// What artifacts are there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Decides.
    Served,
    /// Only looks on.
    Shadow,
    /// Decides a share.
    Canary,
}

impl Slot {
    /// Every one, the served first: the others have to fit beside it.
    pub const ALL: [Self; 3] = [Self::Served, Self::Shadow, Self::Canary];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Where artifacts are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArtifactPlaces {
    /// The folder of the one that serves; `None`: the one in this binary.
    pub served: Option<PathBuf>,
    /// The folder of the encoder that it was trained on; `None`: the artifact's own folder or `encoder/`
    /// inside it, where there is one, else the one in this binary.
    pub encoder: Option<PathBuf>,
    /// The folder of one that looks on.
    pub shadow: Option<PathBuf>,
    /// The folder of one that serves a share, and the share.
    pub canary: Option<(PathBuf, Probability)>,
}

/// An artifact that was not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the {slot} artifact{} is refused: {message}", .path.as_ref().map_or(String::new(), |it| format!(" in {}", it.display())))]
pub struct Refused {
    /// What it should have become.
    pub slot: Slot,
    /// Where it is.
    pub path: Option<PathBuf>,
    /// For programs, upper case: `CHECKSUM`.
    pub reason: &'static str,
    /// For people; it names the file.
    pub message: String,
    /// When it was refused.
    pub at: SystemTime,
}

impl Refused {
    pub(super) fn new(slot: Slot, path: Option<PathBuf>, why: &Unfit) -> Self {
        let (reason, message) = (why.reason(), why.to_string());
        Self { slot, path, reason, message, at: SystemTime::now() }
    }

    /// Nothing where it is on trial and is what serves already, as after a promotion: no error.
    pub(super) fn unless_promoted(self) -> Result<(), Self> {
        if self.reason == SAME_VERSION { Ok(()) } else { Err(self) }
    }
}

/// An artifact that was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its own name.
    pub version: String,
    /// The folder that it was read from; `None`: this binary.
    pub path: Option<PathBuf>,
    /// When.
    pub loaded_at: SystemTime,
    /// SHA-256, in hex, of the weights of the encoder that reads for it.
    pub encoder_sha256: String,
    /// The encoder's exits that it was trained for.
    pub exits: Vec<u8>,
}

impl Loaded {
    pub(super) fn of(brain: &Brain) -> Self {
        Self {
            version: brain.version().to_owned(),
            path: brain.path.clone(),
            loaded_at: brain.loaded_at,
            encoder_sha256: brain.encoder().whole_checksum().to_owned(),
            exits: brain.predictor.exits().to_vec(),
        }
    }
}

/// How one slot stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotStatus {
    /// What fills it now, if anything.
    pub now: Option<Loaded>,
    /// The folder that is watched.
    pub path: Option<PathBuf>,
    /// Why what is in that folder now was not taken; `None` once something was.
    pub refused: Option<Refused>,
}

/// How all artifacts stand.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactsStatus {
    /// Who decides.
    pub served: SlotStatus,
    /// Who looks on.
    pub shadow: SlotStatus,
    /// Requests that the one who looks on did not judge in time.
    pub shadow_missed: u64,
    /// Who decides a share.
    pub canary: SlotStatus,
    /// The share.
    pub canary_share: Option<Probability>,
    /// What a rollback would bring back.
    pub previous: Option<Loaded>,
    /// The version that was rolled back, until another is loaded.
    pub rolled_back: Option<String>,
}
