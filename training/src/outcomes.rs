//! Where outcomes are read from.
//!
//! In: the path of a log that a server writes, or of an export of one; or an export's URL. Out: an
//! [`OutcomeSource`], which hands over one decision at a time, with its scores. Invariant: the whole is
//! never in memory; nothing is written; a log and its export hand over the same, in the same order.
//! Not here: what is made of the decisions.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pointsman::outcome::{ExportReader, Logged, OutcomeReader};

/// How every SQLite file begins (<https://sqlite.org/fileformat2.html>, "Magic Header String").
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What is done with one decision, or with one that cannot be read.
pub type Visit<'v> = dyn FnMut(Result<Logged>) + 'v;

/// Decisions in the order of their ids, which is that of time; may be read more than once.
pub trait OutcomeSource {
    /// Hands every decision to `visit`.
    ///
    /// # Errors
    /// When the source itself cannot be read on.
    fn each(&self, visit: &mut Visit<'_>) -> Result<()>;
}

/// The log that a server keeps in an SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteLog(PathBuf);

impl OutcomeSource for SqliteLog {
    fn each(&self, visit: &mut Visit<'_>) -> Result<()> {
        Ok(OutcomeReader::open(&self.0)?.for_each(|it| visit(it.map_err(Into::into)))?)
    }
}

/// What was exported to a folder or a bucket.
impl OutcomeSource for ExportReader {
    fn each(&self, visit: &mut Visit<'_>) -> Result<()> {
        Ok(self.for_each(|it| visit(it.map_err(Into::into)))?)
    }
}

/// Those in memory.
impl OutcomeSource for Vec<Logged> {
    fn each(&self, visit: &mut Visit<'_>) -> Result<()> {
        self.iter().cloned().for_each(|it| visit(Ok(it)));
        Ok(())
    }
}

/// The source at a place: an SQLite file (with or without `sqlite://`), the folder of an export, or its
/// URL. Not inside async code.
///
/// # Errors
/// When there is none, or something else.
pub fn open(place: &str) -> Result<Box<dyn OutcomeSource>> {
    match place.split_once("://") {
        None => open_path(Path::new(place)),
        Some(("sqlite" | "file", path)) => open_path(Path::new(path)),
        // Not its text: a password may stand in it.
        Some(("postgres" | "postgresql", _)) => bail!(
            "a PostgreSQL database is not read from here: export it (`pointsman export --to FOLDER`), \
             and give the folder"
        ),
        Some(("s3" | "gs" | "az", _)) => export(place),
        Some((scheme, _)) => bail!(
            "{scheme}://... holds no outcomes: give an SQLite file, the folder of an export, or its URL \
             (s3://, gs://, az://)"
        ),
    }
}

fn open_path(path: &Path) -> Result<Box<dyn OutcomeSource>> {
    let place = path.display();
    if path.is_dir() {
        // Opening a place to export to would make what is not there.
        ensure!(
            path.join("outcomes").is_dir(),
            "{place}: this folder is no export (it has no outcomes/ in it)"
        );
        return export(path.to_str().context("a path that is not UTF-8 cannot be read")?);
    }
    ensure!(
        path.is_file(),
        "{place}: no outcome log and no export is here (a server keeps its log at [outcomes] store, and \
         exports to [export] to)"
    );
    let mut begin = [0; SQLITE_MAGIC.len()];
    let read = File::open(path).and_then(|mut it| it.read_exact(&mut begin));
    ensure!(
        read.is_ok() && begin == *SQLITE_MAGIC,
        "{place}: this file is no outcome log in SQLite; of an export, give the folder that has \
         outcomes/ in it"
    );
    Ok(Box::new(SqliteLog(path.to_owned())))
}

fn export(place: &str) -> Result<Box<dyn OutcomeSource>> {
    let reader = ExportReader::open(place)?;
    ensure!(!reader.is_empty()?, "{place}: nothing was exported here");
    Ok(Box::new(reader))
}
