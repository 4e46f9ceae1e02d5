//! A folder of one's own that is gone afterwards.
//!
//! Invariant: its name is new, it is readable to its owner alone (on Unix), and dropping it
//! removes it with everything inside.

use std::path::PathBuf;

use crate::domain::DecisionId;
use crate::outcome::{LogSettings, OutcomeAccess, PromptPrivacy};

/// The folder.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the system's folder for such things.
    pub(super) fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("pointsman-{}", DecisionId::fresh()));
        let mut folder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[cfg(test)]
    pub(super) fn path(&self) -> &std::path::Path {
        &self.0
    }

    /// The file of the outcome log inside it.
    pub(super) fn log_path(&self) -> PathBuf {
        self.0.join("outcomes.db")
    }

    /// An outcome log inside it, which keeps no prompts and may be read by whoever asks.
    pub(super) fn log(&self) -> LogSettings {
        let log = LogSettings::sqlite(self.log_path(), PromptPrivacy::None);
        LogSettings { admin: OutcomeAccess::Allowed, ..log }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever cleans the system's folder will find what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_with_its_owner() {
        let scratch = Scratch::new().unwrap();
        let path = scratch.path().to_owned();
        std::fs::write(scratch.log_path(), "x").unwrap();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }
}
