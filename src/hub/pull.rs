//! A whole encoder into its folder.
//!
//! In: an [`Order`]. Out: [`Done`], and steps on the way for whoever shows them. Invariant: the folder
//! is made beside its place (`.part`), opened once as the service would, and then moved; what was
//! pulled there before is there until then. A folder that holds anything else is never touched.

use std::fs;
use std::path::{Path, PathBuf};

use super::check::{State, verify};
use super::client::Hub;
use super::error::HubError;
use super::fetch::{Fetch, sha256_of};
use super::listing::{Listing, NEEDED, Name, WELCOME, Wanted, bytes_max, is_word};
use super::pulled::{Pulled, PulledFile};
use crate::encoder::{BERT_WEIGHTS_FILE, Encoder};

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Order {
    /// The repository.
    pub name: Name,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// The folder to make.
    pub into: PathBuf,
    /// What the weights' SHA-256 must be, whatever the hub says.
    pub sha256: Option<String>,
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// So much of a file is there.
    At {
        /// Its path.
        path: &'a str,
        /// Bytes that are there.
        got: u64,
        /// Bytes that there are.
        size: u64,
    },
    /// A file is whole and checked.
    Whole {
        /// Its path.
        path: &'a str,
        /// SHA-256 in hex.
        sha256: &'a str,
    },
}

/// What was made.
#[derive(Debug)]
pub struct Done {
    /// What was pulled.
    pub pulled: Pulled,
    /// The encoder, opened.
    pub encoder: Encoder,
}

/// The folder that is made for a repository where none is named.
pub fn folder_of(root: &Path, name: &Name) -> PathBuf {
    root.join(name.folder())
}

/// Pulls an encoder from a hub.
///
/// # Errors
/// [`HubError`]; what came so far is kept beside the folder, for the next run.
pub async fn pull(
    hub: &Hub,
    order: &Order,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Done, HubError> {
    if !is_word(&order.revision) {
        return Err(HubError::Revision(order.revision.clone()));
    }
    let place = Place::new(&order.into)?;
    let listing = hub.listing(&order.name, &order.revision).await?.checked(&order.name)?;
    let Listing { commit, files } = expecting(listing, order.sha256.as_deref())?;
    if let Some(done) = there_already(&order.into, &commit, &files)? {
        return place.leave().map(|()| done);
    }
    let mut pulled = Vec::new();
    for file in &files {
        let (path, size) = (file.path, file.size);
        let url = hub.file(&order.name, &commit, path);
        let fetch = Fetch { hub, url, file, place: place.beside.join(path) };
        let sha256 = fetch.run(&mut |got| tell(Step::At { path, got, size })).await?;
        tell(Step::Whole { path, sha256: &sha256 });
        pulled.push(PulledFile { path: path.to_owned(), size, sha256 });
    }
    let name = order.name.to_string();
    place.finish(Pulled {
        name,
        hub: Some(hub.address().to_owned()),
        commit: Some(commit),
        files: pulled,
    })
}

/// What is in a folder, if it is all of this commit and as it was.
fn there_already(folder: &Path, commit: &str, files: &[Wanted]) -> Result<Option<Done>, HubError> {
    let Ok((pulled, findings)) = verify(folder) else { return Ok(None) };
    let sound = findings.iter().all(|it| it.state == State::Sound);
    let same = |it: &Wanted| {
        pulled.files.iter().any(|its| {
            its.path == it.path && it.sha256.as_ref().is_none_or(|sha256| *sha256 == its.sha256)
        })
    };
    if !sound || pulled.commit.as_deref() != Some(commit) || !files.iter().all(same) {
        return Ok(None);
    }
    let encoder = Encoder::open(folder).map_err(HubError::Encoder)?;
    Ok(Some(Done { pulled, encoder }))
}

/// The same files, with the caller's checksum for the weights; one that the hub contradicts is told before
/// a byte is fetched.
fn expecting(mut listing: Listing, sha256: Option<&str>) -> Result<Listing, HubError> {
    let Some(wanted) = sha256 else { return Ok(listing) };
    for file in listing.files.iter_mut().filter(|it| it.path == BERT_WEIGHTS_FILE) {
        let told = file.sha256.replace(wanted.to_owned());
        if let Some(found) = told.filter(|it| it != wanted) {
            let (path, wanted) = (file.path.to_owned(), wanted.to_owned());
            return Err(HubError::Checksum { path, found, wanted });
        }
    }
    Ok(listing)
}

/// Copies an encoder from a folder of this machine; `sha256` is what its weights' must be.
///
/// # Errors
/// [`HubError`].
pub fn copy(
    from: &Path,
    (name, into): (&Name, &Path),
    sha256: Option<&str>,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Done, HubError> {
    let place = Place::new(into)?;
    let mut files = Vec::new();
    for path in NEEDED.into_iter().chain(WELCOME) {
        let source = from.join(path);
        if !source.is_file() && WELCOME.contains(&path) {
            continue;
        }
        let size = fs::metadata(&source).map_err(HubError::file(&source))?.len();
        let most = bytes_max(path);
        if size > most {
            return Err(HubError::TooLarge { path: path.to_owned(), size, most });
        }
        let target = place.beside.join(path);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(HubError::file(folder))?;
        }
        fs::copy(&source, &target).map_err(HubError::file(&source))?;
        let found = sha256_of(&target)?;
        let expected = sha256.filter(|_| path == BERT_WEIGHTS_FILE);
        if let Some(wanted) = expected.filter(|it| **it != found) {
            place.abandon()?;
            let (path, wanted) = (path.to_owned(), wanted.to_owned());
            return Err(HubError::Checksum { path, found, wanted });
        }
        tell(Step::Whole { path, sha256: &found });
        files.push(PulledFile { path: path.to_owned(), size, sha256: found });
    }
    place.finish(Pulled { name: name.to_string(), hub: None, commit: None, files })
}

/// Where a folder will be, and where it is made.
struct Place {
    into: PathBuf,
    beside: PathBuf,
}

impl Place {
    /// A place that is free, or that something was pulled into before.
    fn new(into: &Path) -> Result<Self, HubError> {
        let mut entries = match fs::read_dir(into) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Self::at(into);
            }
            Err(error) => return Err(HubError::file(into)(error)),
        };
        if entries.next().is_some() && Pulled::of(into).is_err() {
            return Err(HubError::Occupied(into.to_owned()));
        }
        Self::at(into)
    }

    fn at(into: &Path) -> Result<Self, HubError> {
        let place = Self { into: into.to_owned(), beside: into.with_added_extension("part") };
        fs::create_dir_all(&place.beside).map_err(HubError::file(&place.beside))?;
        Ok(place)
    }

    /// Opens what was made, and moves it where it belongs.
    fn finish(self, pulled: Pulled) -> Result<Done, HubError> {
        self.sweep(&pulled)?;
        Encoder::open(&self.beside).map_err(HubError::Encoder)?;
        pulled.write(&self.beside)?;
        if self.into.is_dir() {
            fs::remove_dir_all(&self.into).map_err(HubError::file(&self.into))?;
        }
        fs::rename(&self.beside, &self.into).map_err(HubError::file(&self.into))?;
        let encoder = Encoder::open(&self.into).map_err(HubError::Encoder)?;
        Ok(Done { pulled, encoder })
    }

    /// Removes what an earlier run left that does not belong to this one.
    fn sweep(&self, pulled: &Pulled) -> Result<(), HubError> {
        for path in WELCOME.into_iter().filter(|it| pulled.files.iter().all(|its| its.path != *it))
        {
            let left = self.beside.join(path);
            if left.exists() {
                fs::remove_file(&left).map_err(HubError::file(&left))?;
            }
        }
        Ok(())
    }

    /// Removes the folder beside, if nothing came into it.
    fn leave(&self) -> Result<(), HubError> {
        match fs::remove_dir(&self.beside) {
            Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
                Err(HubError::file(&self.beside)(error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn abandon(&self) -> Result<(), HubError> {
        fs::remove_dir_all(&self.beside).map_err(HubError::file(&self.beside))
    }
}
