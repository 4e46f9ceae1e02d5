//! An artifact takes another one's place.
//!
//! In: two folders. Out: the candidate's files at the incumbent's path, the incumbent's beside it as
//! `NAME.previous`. Invariant: every file is on the disk, whole, before anything is renamed; files that
//! the candidate does not have (the encoder's) stay. The two change places in one step, so that the path
//! always leads to a whole artifact. A file system that cannot do that (NFS, for one) needs two, and a
//! crash between them is mended by [`recover`]. Not here: whether it may (see [`super::gate`]).

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

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
    match exchange(&next, &place)? {
        // What served until now stands where the next one was made.
        Exchange::Done => {
            remove(&previous)?;
            rename(&next, &previous)?;
        }
        Exchange::NotHere => in_two_steps(&next, &place, &previous)?,
    }
    if let Some(parent) = place.parent() {
        sync(parent)?;
    }
    Ok(previous)
}

/// Whether two folders could change places.
enum Exchange {
    Done,
    /// This file system, or this system, does not know how.
    NotHere,
}

fn exchange(one: &Path, other: &Path) -> Result<Exchange> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(Exchange::Done),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Ok(Exchange::NotHere),
        Err(error) => Err(std::io::Error::from(error))
            .with_context(|| format!("{} and {}", one.display(), other.display())),
    }
}

/// For a moment nothing is at the place.
fn in_two_steps(next: &Path, place: &Path, previous: &Path) -> Result<()> {
    remove(previous)?;
    rename(place, previous)?;
    if let Err(error) = rename(next, place) {
        rename(previous, place)?;
        return Err(error);
    }
    Ok(())
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
    use std::sync::atomic::{AtomicBool, Ordering};

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

    /// Two hundred swaps while somebody looks all the time.
    #[test]
    fn the_place_is_never_empty() {
        let root = tempfile::tempdir().unwrap();
        let live = folder(&root.path().join("live"), &[("manifest.json", "0")]);
        let new = ["one", "two"].map(|it| folder(&root.path().join(it), &[("manifest.json", it)]));
        let over = AtomicBool::new(false);
        let (looks, gone) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let (mut looks, mut gone) = (0_u64, 0_u64);
                while !over.load(Ordering::Relaxed) || looks == 0 {
                    looks += 1;
                    gone += u64::from(!live.exists());
                }
                (looks, gone)
            });
            for at in 0..200 {
                put_in_place(&new[at % 2], &live).unwrap();
            }
            over.store(true, Ordering::Relaxed);
            watcher.join().unwrap()
        });
        assert_eq!(gone, 0, "of {looks} looks");
        assert_eq!(text(&live.join("manifest.json")), "two");
        assert_eq!(text(&previous_of(&live).join("manifest.json")), "one");
    }

    #[test]
    fn two_steps_come_to_the_same() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for (name, text) in [("next", "new"), ("live", "old"), ("live.previous", "older")] {
            folder(&at(name), &[("manifest.json", text)]);
        }
        in_two_steps(&at("next"), &at("live"), &at("live.previous")).unwrap();
        assert_eq!(text(&at("live/manifest.json")), "new");
        assert_eq!(text(&at("live.previous/manifest.json")), "old");
        assert!(in_two_steps(&at("next"), &at("live"), &at("live.previous")).is_err());
        assert_eq!(text(&at("live/manifest.json")), "new", "put back");
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
