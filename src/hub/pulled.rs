//! The note beside an encoder's files: what was pulled, from where, with every checksum.
//!
//! In: what [`super::pull`] did. Out: `pulled.json`. Invariant: it is written last, so a folder that has
//! it was once whole and opened.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::HubError;

/// The note's file name.
pub const PULLED_FILE: &str = "pulled.json";
/// More than any note has; it names a handful of files.
const NOTE_BYTES_MAX: u64 = 64 << 10;

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pulled {
    /// The repository's name, or that of the folder it was copied from.
    pub name: String,
    /// The address of the hub; nothing when it came from a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// The commit; nothing when it came from a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its files.
    pub files: Vec<PulledFile>,
}

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PulledFile {
    /// Its path in the folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

impl Pulled {
    /// The note of a folder.
    ///
    /// # Errors
    /// [`HubError::NotPulled`] where there is none, [`HubError::Note`] where it is none.
    pub fn of(folder: &Path) -> Result<Self, HubError> {
        let path = folder.join(PULLED_FILE);
        let size = fs::metadata(&path).map_err(|_| HubError::NotPulled(folder.to_owned()))?.len();
        if size > NOTE_BYTES_MAX {
            let (path, most) = (path.display().to_string(), NOTE_BYTES_MAX);
            return Err(HubError::TooLarge { path, size, most });
        }
        let bytes = fs::read(&path).map_err(HubError::file(&path))?;
        serde_json::from_slice(&bytes).map_err(|source| HubError::Note { path, source })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), HubError> {
        let path = folder.join(PULLED_FILE);
        let json = serde_json::to_string_pretty(self);
        let json = json.map_err(|source| HubError::Note { path: path.clone(), source })?;
        fs::write(&path, json + "\n").map_err(HubError::file(&path))
    }
}
