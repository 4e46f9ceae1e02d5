//! Whether what was pulled is still what it was.
//!
//! In: a folder with a note, or a folder of such. Out: what is there, file by file. Invariant: changes
//! nothing and asks nobody.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::HubError;
use super::fetch::sha256_of;
use super::listing::{NEEDED, WELCOME};
use super::pulled::{PULLED_FILE, Pulled};

/// Folders that are looked into at most; somebody with more keeps something else there, too.
const LISTED_MAX: usize = 1_000;

/// How a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As it was pulled.
    Sound,
    /// Not there.
    Missing,
    /// Of another checksum.
    Changed {
        /// What it is now.
        found: String,
    },
}

/// A file, and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its path in the folder.
    pub path: String,
    /// How it is.
    pub state: State,
}

/// Compares every file of a folder with its note.
///
/// # Errors
/// [`HubError`] where there is no note, or a file cannot be read.
pub fn verify(folder: &Path) -> Result<(Pulled, Vec<Finding>), HubError> {
    let pulled = Pulled::of(folder)?;
    let known = |path: &str| NEEDED.into_iter().chain(WELCOME).find(|it| *it == path);
    let each = pulled.files.iter().map(|file| {
        // A note is written by anybody: no other path is read than those that are pulled.
        let place = known(&file.path).map(|it| folder.join(it)).filter(|it| it.is_file());
        let state = match place {
            None => State::Missing,
            Some(place) => match sha256_of(&place)? {
                found if found == file.sha256 => State::Sound,
                found => State::Changed { found },
            },
        };
        Ok(Finding { path: file.path.clone(), state })
    });
    let findings = each.collect::<Result<Vec<_>, HubError>>()?;
    Ok((pulled, findings))
}

/// The folders in a folder that something was pulled into, by name; none where there is no such folder.
///
/// # Errors
/// [`HubError`] where a folder or a note cannot be read.
pub fn list(root: &Path) -> Result<Vec<(PathBuf, Pulled)>, HubError> {
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(root).map_err(HubError::file(root))?.take(LISTED_MAX);
    let folders = entries.filter_map(Result::ok).map(|it| it.path());
    let folders = folders.filter(|it| it.extension().is_none_or(|it| it != "part"));
    let mut folders: Vec<_> = folders.filter(|it| it.join(PULLED_FILE).is_file()).collect();
    folders.sort();
    folders.into_iter().map(|it| Pulled::of(&it).map(|pulled| (it, pulled))).collect()
}
