//! Artifacts made by altering the shipped one, and folders that hold them.
//!
//! In: a version, and who is to be thought best. Out: files in a temporary folder. Invariant: nothing
//! is kept in the repository; what is put in place is put there by renaming.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use pointsman::domain::sha256_hex;
use pointsman::encoder::Encoder;
use pointsman::prediction::{Artifact, HEAD, MANIFEST_FILE, WEIGHTS_FILE, packed_len};
use tempfile::TempDir;

use super::support::ROWS;

/// The names in training of the house's models, in the order of [`ROWS`].
pub(super) const LEARNED_AS: [&str; 3] = ["gpt-4o-2024-05-13", "gpt-3.5-turbo-0125", "gemma-7b-it"];
/// Log odds of the model that an artifact thinks best, and of the others.
const LOGITS: [f32; 2] = [5.0, -5.0];

/// Makes artifacts.
pub(super) struct Mill {
    root: TempDir,
    shipped: Artifact,
}

impl Mill {
    pub(super) fn new() -> Self {
        let encoder = Encoder::shipped().unwrap();
        let shipped = Artifact::shipped(&encoder).unwrap();
        Self { root: tempfile::tempdir().unwrap(), shipped }
    }

    /// The folder that a server watches.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// An artifact that thinks one of the house's models far better than the others.
    pub(super) fn artifact(&self, version: &str, best: &str) -> Artifact {
        let mut artifact = self.shipped.clone();
        artifact.manifest.version = version.to_owned();
        for (row, learned_as) in ROWS.iter().zip(LEARNED_AS) {
            let models = &artifact.manifest.models;
            let place = models.iter().position(|it| it.name == learned_as).unwrap();
            let head = &mut artifact.quality_mean[place * HEAD..(place + 1) * HEAD];
            head.fill(0.0);
            head[HEAD - 1] = if row.name == best { LOGITS[0] } else { LOGITS[1] };
            let packed = packed_len();
            artifact.quality_covariance[place * packed..(place + 1) * packed].fill(0.0);
        }
        artifact
    }

    /// Puts an artifact into the place of whatever is there.
    pub(super) fn put(&self, place: &str, artifact: &Artifact) {
        let next = self.at(&format!("{place}.next"));
        write(&next, artifact);
        self.rename(&next, place);
    }

    /// As [`Self::put`], for one of [`Self::artifact`].
    pub(super) fn mint(&self, place: &str, version: &str, best: &str) {
        self.put(place, &self.artifact(version, best));
    }

    /// Renames a folder into a place; what was there is removed.
    pub(super) fn rename(&self, from: &Path, place: &str) {
        let (to, old) = (self.at(place), self.at(&format!("{place}.old")));
        if to.exists() {
            fs::rename(&to, &old).unwrap();
        }
        fs::rename(from, to).unwrap();
        if old.exists() {
            fs::remove_dir_all(old).unwrap();
        }
    }

    /// Makes a place a symbolic link to another, at one stroke.
    pub(super) fn link(&self, place: &str, to: &str) {
        let next = self.at("link.next");
        symlink(self.at(to), &next).unwrap();
        fs::rename(next, self.at(place)).unwrap();
    }

    /// Changes a file in a place; where it is the weights, the manifest still names them.
    pub(super) fn change(&self, place: &str, file: &str, change: &dyn Fn(&mut Vec<u8>)) {
        let path = self.at(place).join(file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, &bytes).unwrap();
        if file == WEIGHTS_FILE {
            self.set(place, "weights_sha256", sha256_hex(&bytes).into());
        }
    }

    /// Replaces the value of a key of the manifest.
    pub(super) fn set(&self, place: &str, key: &str, value: serde_json::Value) {
        let path = self.at(place).join(MANIFEST_FILE);
        let mut manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        manifest[key] = value;
        fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    /// Gives a place an encoder of its own: the shipped one with one weight changed.
    pub(super) fn own_encoder(&self, place: &str) {
        let folder = self.at(place);
        for name in ["encoder.safetensors", "tokenizer.json"] {
            fs::copy(Path::new("models/default").join(name), folder.join(name)).unwrap();
        }
        let path = folder.join("encoder.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
        let encoder = Encoder::open(&folder).unwrap();
        let own = encoder.checksum(&self.shipped.manifest.exits).unwrap();
        assert_ne!(own, self.shipped.manifest.encoder_sha256);
        self.set(place, "encoder_sha256", own.into());
    }
}

fn write(folder: &Path, artifact: &Artifact) {
    let weights = artifact.weights().unwrap();
    let mut manifest = artifact.manifest.clone();
    manifest.weights_sha256 = sha256_hex(&weights);
    fs::create_dir(folder).unwrap();
    fs::write(folder.join(WEIGHTS_FILE), weights).unwrap();
    fs::write(folder.join(MANIFEST_FILE), serde_json::to_vec(&manifest).unwrap()).unwrap();
}
