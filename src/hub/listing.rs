//! What a repository holds, and what of it an encoder needs.
//!
//! In: the hub's answer to `/api/models/{name}/revision/{revision}?blobs=true`. Out: [`Listing`], the
//! files that are needed with their sizes and, for those in LFS, their SHA-256. Invariant: only the
//! fixed paths below are ever asked for or written, whatever a listing says.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::error::HubError;
use crate::encoder::{BERT_CONFIG_FILE, BERT_WEIGHTS_FILE, TOKENIZER_FILE};

/// Files without which there is no encoder.
pub(super) const NEEDED: [&str; 3] = [BERT_CONFIG_FILE, TOKENIZER_FILE, BERT_WEIGHTS_FILE];
/// Files that say more of one.
pub(super) const WELCOME: [&str; 2] = ["modules.json", "1_Pooling/config.json"];

/// BERT-large in f32 has 1.3 GB.
const WEIGHTS_BYTES_MAX: u64 = 2 << 30;
/// Tokenizers of a hundred languages have 17 MB.
const OTHER_BYTES_MAX: u64 = 64 << 20;
/// Owner and name have at most 96 bytes each on the hub.
const NAME_BYTES_MAX: usize = 96;

/// The most bytes that a file may have.
pub(super) fn bytes_max(path: &str) -> u64 {
    if path == BERT_WEIGHTS_FILE { WEIGHTS_BYTES_MAX } else { OTHER_BYTES_MAX }
}

/// A repository's name: `owner/name`, or `name` alone for the hub's oldest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self, HubError> {
        let fine = text.split('/').count() <= 2 && text.split('/').all(is_word);
        if fine { Ok(Self(text.to_owned())) } else { Err(HubError::Name(text.to_owned())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Name {
    /// As a folder is called: the owner before two dashes, which no name has.
    pub(super) fn folder(&self) -> String {
        self.0.replace('/', "--")
    }
}

/// Whether it can stand in an address and name a folder.
pub(super) fn is_word(text: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"._-".contains(&it);
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
    fits && text.bytes().all(plain) && !text.starts_with('.') && !text.contains("..")
}

/// A file that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: &'static str,
    pub(super) size: u64,
    /// In hex; unknown outside of LFS.
    pub(super) sha256: Option<String>,
}

/// A repository at a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) commit: String,
    pub(super) files: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

impl Listing {
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let answer: Answer = serde_json::from_slice(json).map_err(|it| it.to_string())?;
        if answer.sha.len() < 7 || !answer.sha.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err("`sha` is no commit".to_owned());
        }
        let known = NEEDED.into_iter().chain(WELCOME);
        let found = known.filter_map(|path| {
            let sibling = answer.siblings.iter().find(|it| it.rfilename == path)?;
            Some(wanted(path, sibling))
        });
        Ok(Self { files: found.collect::<Result<_, _>>()?, commit: answer.sha })
    }

    /// The same, if nothing is missing or too large.
    pub(super) fn checked(self, name: &Name) -> Result<Self, HubError> {
        let has = |path: &&str| self.files.iter().any(|it| it.path == *path);
        if let Some(path) = NEEDED.into_iter().find(|it| !has(it)) {
            return Err(HubError::Lacks { name: name.to_string(), path });
        }
        for Wanted { path, size, .. } in &self.files {
            let most = bytes_max(path);
            if *size > most {
                return Err(HubError::TooLarge { path: (*path).to_owned(), size: *size, most });
            }
        }
        Ok(self)
    }
}

fn wanted(path: &'static str, sibling: &Sibling) -> Result<Wanted, String> {
    let size = sibling.size.ok_or_else(|| format!("no size is told of `{path}`"))?;
    let sha256 = sibling.lfs.as_ref().map(|it| it.sha256.to_ascii_lowercase());
    let odd = sha256.as_ref().is_some_and(|it| !is_sha256(it));
    if odd {
        Err(format!("the SHA-256 of `{path}` is none"))
    } else {
        Ok(Wanted { path, size, sha256 })
    }
}

/// Whether it is a SHA-256 in hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit())
}
