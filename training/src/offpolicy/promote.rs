//! An artifact takes another one's place.
//!
//! In: two folders. Out: the candidate's files at the incumbent's path, the incumbent's beside it as
//! `NAME.previous`. Invariant: every file is on the disk, whole, before anything is renamed; files that
//! the candidate does not have (the encoder's) stay; a crash between the two renames is mended by
//! [`recover`]. Not here: whether it may (see [`super::gate`]).

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where the artifact before the last promotion is.
pub fn previous_of(folder: &Path) -> PathBuf {
    beside(folder, ".previous")
}

pub(crate) fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().map(OsString::from).unwrap_or_default();
    name.push(suffix);
    folder.with_file_name(name)
}

/// Puts the incumbent back where a crash came between the two renames; whether it had to.
///
/// # Errors
/// When the folder cannot be renamed.
pub fn recover(incumbent: &Path) -> Result<bool> {
    let previous = previous_of(incumbent);
    if incumbent.exists() || !previous.exists() {
        return Ok(false);
    }
    rename(&previous, incumbent)?;
    Ok(true)
}

/// Copies the candidate to the incumbent's place; where the incumbent is now.
///
/// # Errors
/// When a file cannot be read or written; the incumbent is then where it was.
pub fn put_in_place(candidate: &Path, incumbent: &Path) -> Result<PathBuf> {
    // Behind a symbolic link it is the folder that moves, not the link.
    let place = fs::canonicalize(incumbent).with_context(|| incumbent.display().to_string())?;
    let (next, previous) = (beside(&place, ".next"), previous_of(&place));
    remove(&next)?;
    fs::create_dir(&next).with_context(|| next.display().to_string())?;
    copy(&place, &next)?;
    copy(candidate, &next)?;
    sync(&next)?;
    remove(&previous)?;
    rename(&place, &previous)?;
    if let Err(error) = rename(&next, &place) {
        rename(&previous, &place)?;
        return Err(error);
    }
    if let Some(parent) = place.parent() {
        sync(parent)?;
    }
    Ok(previous)
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))
}

/// Copies the files of a folder over those of another, each on the disk when this returns. Folders
/// inside and names that begin with a dot (half-written files) are no part of an artifact.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry.with_context(|| from.display().to_string())?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_file() && !name.to_string_lossy().starts_with('.') {
            let copied = to.join(name);
            fs::copy(&path, &copied).with_context(|| path.display().to_string())?;
            sync(&copied)?;
        }
    }
    Ok(())
}

fn sync(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|it| it.sync_all());
    synced.with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(at: &Path, files: &[(&str, &str)]) -> PathBuf {
        fs::create_dir_all(at).unwrap();
        files.iter().for_each(|(name, text)| fs::write(at.join(name), text).unwrap());
        at.to_owned()
    }

    fn text(at: &Path) -> String {
        fs::read_to_string(at).unwrap()
    }

    #[test]
    fn the_candidate_is_in_place_and_the_incumbent_beside() {
        let root = tempfile::tempdir().unwrap();
        let old = [("manifest.json", "old"), ("encoder.safetensors", "shared")];
        let incumbent = folder(&root.path().join("live"), &old);
        folder(&root.path().join("live.next"), &[("rubbish", "")]);
        for new in ["one", "two"] {
            let candidate =
                folder(&root.path().join(new), &[("manifest.json", new), (".x.part", "half")]);
            let previous = put_in_place(&candidate, &incumbent).unwrap();
            assert_eq!(previous.file_name().unwrap(), "live.previous");
            assert_eq!(text(&incumbent.join("manifest.json")), new);
            assert_eq!(text(&incumbent.join("encoder.safetensors")), "shared");
            assert!(!incumbent.join(".x.part").exists() && !incumbent.join("rubbish").exists());
        }
        let previous = previous_of(&incumbent);
        assert_eq!(text(&previous.join("manifest.json")), "one");
        assert!(!root.path().join("live.next").exists());
    }

    #[test]
    fn a_crash_between_the_renames_is_mended() {
        let root = tempfile::tempdir().unwrap();
        let live = root.path().join("live");
        folder(&root.path().join("live.previous"), &[("manifest.json", "old")]);
        assert!(recover(&live).unwrap());
        assert_eq!(text(&live.join("manifest.json")), "old");
        assert!(!recover(&live).unwrap());
    }

    #[test]
    fn a_candidate_that_is_not_there_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let live = folder(&root.path().join("live"), &[("manifest.json", "old")]);
        assert!(put_in_place(&root.path().join("none"), &live).is_err());
        assert_eq!(text(&live.join("manifest.json")), "old");
    }
}
