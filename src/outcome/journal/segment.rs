//! One file of the journal.
//!
//! In: entries. Out: the file: a magic word, how far it was committed, then entries end to end.
//! Invariant: an entry is in it wholly or not at all, as far as anybody reads; whoever is told of an
//! error finds the file as it was. Not here: which of the two files is written to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::entry;
use crate::outcome::record::OutcomeRecord;
use crate::outcome::store::OutcomeError;

/// The first bytes of a file, with the version of its form.
pub(super) const MAGIC: [u8; 8] = *b"PMJRNL01";
/// The magic word, and an offset in 8 bytes, little endian.
pub(super) const HEADER_BYTES: u64 = 16;
/// The most that is read of a file: what a full queue of the largest records takes is below it, and a
/// file that is longer was written by nobody here.
const READ_BYTES_MAX: u64 = 1 << 30;
/// Zeros written at once over what is to be forgotten.
const WIPE_BYTES: usize = 64 << 10;

/// A file that this process writes.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    bytes: u64,
    committed: u64,
}

impl Segment {
    /// Takes a file as it was left; one that says nothing is begun anew, and what is cut at its end is
    /// dropped.
    pub(super) fn resume(file: File) -> io::Result<Self> {
        let committed = committed(&file)?;
        let mut segment = Self { file, bytes: HEADER_BYTES, committed: HEADER_BYTES };
        let length = segment.file.metadata()?.len();
        let Some(committed) = committed.filter(|it| *it < length) else {
            segment.cut()?;
            return Ok(segment);
        };
        segment.committed = committed;
        let left = segment.read_from(committed)?;
        segment.bytes = committed + entry::whole_bytes(&left) as u64;
        segment.file.set_len(segment.bytes)?;
        segment.cut_from(HEADER_BYTES)?;
        Ok(segment)
    }

    /// Every entry that was not committed.
    pub(super) fn uncommitted(&mut self) -> io::Result<Vec<Result<OutcomeRecord, OutcomeError>>> {
        let bytes = self.read_from(self.committed)?;
        let (mut rest, mut found) = (bytes.as_slice(), Vec::new());
        while let Some((content, behind)) = entry::first(rest) {
            found.push(entry::decode(content));
            rest = behind;
        }
        Ok(found)
    }

    fn read_from(&mut self, at: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(at))?;
        Read::by_ref(&mut self.file).take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether there is no entry in it.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == HEADER_BYTES
    }

    /// Writes at the end, in one call; gives where it ends then.
    pub(super) fn append(&mut self, entry: &[u8]) -> io::Result<u64> {
        if let Err(error) = self.write_at(entry, self.bytes) {
            // What is behind the end is written over by the next; cut, so that nobody reads it.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += entry.len() as u64;
        Ok(self.bytes)
    }

    /// Everything up to here is committed.
    pub(super) fn committed(&mut self, end: u64) -> io::Result<()> {
        if end <= self.committed {
            return Ok(());
        }
        self.committed = end;
        self.write_at(&end.to_le_bytes(), MAGIC.len() as u64)
    }

    /// Empties it if all of it is committed and it is as long as this.
    pub(super) fn cut_from(&mut self, bytes: u64) -> io::Result<()> {
        if self.committed < self.bytes || self.bytes < bytes || self.is_empty() {
            return Ok(());
        }
        self.cut()
    }

    /// In this order: a file that is shorter than it was committed holds nothing, whenever this ends.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(HEADER_BYTES)?;
        let mut header = [0; HEADER_BYTES as usize];
        header[..MAGIC.len()].copy_from_slice(&MAGIC);
        header[MAGIC.len()..].copy_from_slice(&HEADER_BYTES.to_le_bytes());
        self.write_at(&header, 0)?;
        (self.bytes, self.committed) = (HEADER_BYTES, HEADER_BYTES);
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)
    }

    /// Drops the content of what is committed; what is not stays where it is.
    pub(super) fn forget_committed(&mut self) -> io::Result<()> {
        if self.committed == self.bytes {
            return if self.is_empty() { Ok(()) } else { self.cut() };
        }
        let mut at = HEADER_BYTES;
        while at < self.committed {
            let count = (self.committed - at).min(WIPE_BYTES as u64);
            self.write_at(&[0; WIPE_BYTES][..count as usize], at)?;
            at += count;
        }
        Ok(())
    }
}

/// How far a file says that it is committed; `None` where it is none of ours.
pub(super) fn committed(mut file: &File) -> io::Result<Option<u64>> {
    let mut header = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HEADER_BYTES).read_to_end(&mut header)?;
    let done = header.strip_prefix(&MAGIC).and_then(|it| it.first_chunk::<8>());
    Ok(done.map(|it| u64::from_le_bytes(*it)).filter(|it| *it >= HEADER_BYTES))
}
