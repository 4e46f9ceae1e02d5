//! Whether an artifact's folder has changed, and stands still again.
//!
//! In: a path, looked at every few seconds. Out: yes or no. Invariant: looking costs a few calls of
//! `stat` and the reading of a small file; a folder that is being written is left alone until two looks
//! in a row find the same. Polling, and not the system's notices: those tell of files, and what comes
//! here are symbolic links and whole folders renamed into place, and shares that send no notice.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::brain::ENCODER_FOLDER;
use crate::domain::sha256_hex;
use crate::encoder::{self, BERT_CONFIG_FILE, BERT_WEIGHTS_FILE, TOKENIZER_FILE};
use crate::prediction::{MANIFEST_FILE, WEIGHTS_FILE};

/// As much of a manifest as is read to tell it from another; the shipped one has 24 KB.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;

const ARTIFACT_FILES: [&str; 2] = [MANIFEST_FILE, WEIGHTS_FILE];
/// Of either kind of encoder.
const ENCODER_FILES: [&str; 4] =
    [encoder::WEIGHTS_FILE, TOKENIZER_FILE, BERT_CONFIG_FILE, BERT_WEIGHTS_FILE];

/// What a folder looks like from outside. The manifest names its weights by their checksum, so its own
/// tells whole artifacts apart, whatever their times are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    manifest: Option<String>,
    files: Vec<Option<(u64, Option<SystemTime>)>>,
}

impl Look {
    /// Looks at a folder, through symbolic links.
    pub(super) fn at(folder: &Path) -> Self {
        let file = |it: PathBuf| {
            let it = fs::metadata(it).ok()?;
            Some((it.len(), it.modified().ok()))
        };
        let inside = folder.join(ENCODER_FOLDER);
        let own = ARTIFACT_FILES.map(|it| folder.join(it)).into_iter();
        let encoders = [folder, &inside].map(|at| ENCODER_FILES.map(|it| at.join(it)));
        let files = own.chain(encoders.into_iter().flatten()).map(file).collect();
        Self { manifest: manifest(folder), files }
    }
}

fn manifest(folder: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(folder.join(MANIFEST_FILE)).ok()?;
    file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(sha256_hex(&bytes))
}

/// A folder, as it was when it was last loaded, and as it was at the last look.
#[derive(Debug)]
pub(super) struct Watched {
    loaded: Look,
    last: Look,
}

impl Watched {
    /// A folder that was loaded when it looked so.
    pub(super) fn new(loaded: Look) -> Self {
        Self { last: loaded.clone(), loaded }
    }

    /// Takes a look in; whether it is time to load.
    pub(super) fn look(&mut self, now: Look) -> bool {
        let settled = now == self.last;
        let due = settled && now != self.loaded;
        self.last = now;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(manifest: &str) -> Look {
        Look { manifest: Some(manifest.to_owned()), files: vec![] }
    }

    #[test]
    fn a_change_is_taken_once_it_stands_still() {
        let check = |looks: &[&str], wanted: &[bool]| {
            let mut watched = Watched::new(seen("a"));
            let mut found = Vec::new();
            for look in looks {
                let due = watched.look(seen(look));
                if due {
                    watched = Watched::new(seen(look));
                }
                found.push(due);
            }
            assert_eq!(found, wanted, "{looks:?}");
        };
        check(&["a", "a", "a"], &[false, false, false]);
        check(&["b", "b", "b", "b"], &[false, true, false, false]);
        check(&["b", "c", "d", "d"], &[false, false, false, true]);
        // There and back again: nothing to load.
        check(&["b", "a", "a"], &[false, false, false]);
        check(&["b", "b", "a", "a"], &[false, true, false, true]);
    }

    #[test]
    fn files_links_and_renames_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("one"), root.path().join("two"));
        for (folder, text) in [(&one, "1"), (&two, "2")] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(MANIFEST_FILE), text).unwrap();
        }
        let (first, second) = (Look::at(&one), Look::at(&two));
        assert!(first == Look::at(&one) && first.manifest != second.manifest);
        fs::write(one.join(WEIGHTS_FILE), "weights").unwrap();
        assert_ne!(first, Look::at(&one));
        fs::remove_file(one.join(WEIGHTS_FILE)).unwrap();
        assert_eq!(first, Look::at(&one));
        fs::rename(&one, root.path().join("old")).unwrap();
        assert_eq!(Look::at(&one).manifest, None);
        fs::rename(&two, &one).unwrap();
        assert_eq!(second, Look::at(&one));
    }
}
