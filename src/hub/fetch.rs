//! One file into its place, taken up again where it broke off.
//!
//! In: an address, a size, where it goes. Out: the file under its name, of that size and checksum.
//! Invariant: until then it is called `.part`; beside it stands the ETag of the bytes that are there,
//! and only bytes of that same ETag are ever added (RFC 9110, 13.1.5). More bytes than the size are
//! refused as they come, and a file of another checksum is removed.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::Response;
use sha2::{Digest, Sha256};

use super::client::Hub;
use super::error::HubError;
use super::listing::Wanted;

/// How often a file is asked for in one run. A line that breaks more often is told about, and the next
/// run goes on where this one ended.
const TRIES_MAX: usize = 5;
/// Bytes of a file that are hashed at a time.
const HASHED_AT_A_TIME: usize = 1 << 20;

/// A file on its way.
pub(super) struct Fetch<'a> {
    pub(super) hub: &'a Hub,
    pub(super) url: String,
    pub(super) file: &'a Wanted,
    /// Where it will be.
    pub(super) place: PathBuf,
}

impl Fetch<'_> {
    /// Fetches what is missing of it; `told` hears how many bytes are there. Gives its SHA-256.
    pub(super) async fn run(&self, told: &mut dyn FnMut(u64)) -> Result<String, HubError> {
        if let Some(folder) = self.place.parent() {
            fs::create_dir_all(folder).map_err(HubError::file(folder))?;
        }
        if let Some(known) = self.already()? {
            told(self.file.size);
            return Ok(known);
        }
        // A part of a former run that nothing is known of.
        if self.file.sha256.is_none() || self.etag().is_none() {
            self.forget()?;
        }
        for _ in 0..TRIES_MAX {
            let before = self.part_len();
            if before == self.file.size {
                break;
            }
            self.take_up(before, told).await?;
        }
        let got = self.part_len();
        if got != self.file.size {
            let (path, size) = (self.file.path.to_owned(), self.file.size);
            return Err(HubError::Cut { path, got, size });
        }
        self.finish()
    }

    /// The checksum of what is in its place already, if it is what is wanted.
    fn already(&self) -> Result<Option<String>, HubError> {
        let Some(wanted) = &self.file.sha256 else { return Ok(None) };
        if !self.place.is_file() {
            return Ok(None);
        }
        Ok(Some(sha256_of(&self.place)?).filter(|it| it == wanted))
    }

    /// Asks once; a line that breaks is no error, since what came of it is kept.
    async fn take_up(&self, have: u64, told: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let etag = self.etag();
        let mut headers = HeaderMap::new();
        if let (1.., Some(etag)) = (have, &etag) {
            let range = HeaderValue::try_from(format!("bytes={have}-"));
            headers.extend(range.ok().map(|it| (header::RANGE, it)));
            headers.insert(header::IF_RANGE, etag.clone());
        }
        let response = self.hub.get(&self.url, headers).await?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT if goes_on(&response, have) && same(&response, &etag) => {
                self.append(response, have, told).await
            }
            // Bytes of another file, or from elsewhere in it: from the start, next time.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => self.forget(),
            _ => {
                self.forget()?;
                if let Some(etag) = strong(&response) {
                    let path = self.etag_place();
                    fs::write(&path, etag.as_bytes()).map_err(HubError::file(&path))?;
                }
                self.append(response, 0, told).await
            }
        }
    }

    async fn append(
        &self,
        mut response: Response,
        mut have: u64,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), HubError> {
        let path = self.part();
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let mut part = opened.map_err(HubError::file(&path))?;
        told(have);
        // An error is a line that broke.
        while let Ok(Some(chunk)) = response.chunk().await {
            have += chunk.len() as u64;
            if have > self.file.size {
                self.forget()?;
                let (path, size) = (self.file.path.to_owned(), self.file.size);
                return Err(HubError::TooLong { path, size });
            }
            part.write_all(&chunk).map_err(HubError::file(&path))?;
            told(have);
        }
        part.sync_all().map_err(HubError::file(&path))
    }

    /// Puts the whole file in its place, if it is the right one.
    fn finish(&self) -> Result<String, HubError> {
        let found = sha256_of(&self.part())?;
        if let Some(wanted) = self.file.sha256.as_ref().filter(|it| **it != found) {
            self.forget()?;
            let (path, wanted) = (self.file.path.to_owned(), wanted.clone());
            return Err(HubError::Checksum { path, found, wanted });
        }
        fs::rename(self.part(), &self.place).map_err(HubError::file(&self.place))?;
        self.forget()?;
        Ok(found)
    }

    fn part(&self) -> PathBuf {
        self.place.with_added_extension("part")
    }

    fn etag_place(&self) -> PathBuf {
        self.place.with_added_extension("part.etag")
    }

    fn part_len(&self) -> u64 {
        fs::metadata(self.part()).map_or(0, |it| it.len())
    }

    /// The ETag of what is there.
    fn etag(&self) -> Option<HeaderValue> {
        let bytes = fs::read(self.etag_place()).ok()?;
        HeaderValue::from_bytes(&bytes).ok().filter(|it| !it.is_empty())
    }

    fn forget(&self) -> Result<(), HubError> {
        remove(&self.part())?;
        remove(&self.etag_place())
    }
}

/// Whether an answer goes on where the part ends.
fn goes_on(response: &Response, have: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|it| it.to_str().ok());
    range.is_some_and(|it| it.starts_with(&format!("bytes {have}-")))
}

/// Whether an answer is of the file that the part is of. A 206 need not repeat the ETag to one who sent
/// it in `If-Range` (RFC 9110, 15.3.7), but one that differs is told.
fn same(response: &Response, etag: &Option<HeaderValue>) -> bool {
    etag.is_some()
        && response.headers().get(header::ETAG).is_none_or(|it| Some(it) == etag.as_ref())
}

/// The ETag, unless it is weak: such a one says nothing about bytes.
fn strong(response: &Response) -> Option<&HeaderValue> {
    let etag = response.headers().get(header::ETAG);
    etag.filter(|it| !it.as_bytes().starts_with(b"W/"))
}

fn remove(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HubError::file(path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// SHA-256 of a file, in hex.
pub(super) fn sha256_of(path: &Path) -> Result<String, HubError> {
    let mut file = File::open(path).map_err(HubError::file(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; HASHED_AT_A_TIME]);
    loop {
        let read = file.read(&mut buffer).map_err(HubError::file(path))?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    Ok(hash.finalize().iter().map(|it| format!("{it:02x}")).collect())
}
