//! A labelled table: which model answered which prompt how well, with how many tokens.
//!
//! In: a Parquet, CSV or JSON-lines file (told by its extension) with the columns `prompt`, `model`
//! and `quality`, and optionally `source`, `task`, `input_tokens`, `output_tokens`, `cost_usd`,
//! `latency_s`, `tokens_est`; other columns (`prompt_id` too) are not read. A CSV file may also be
//! `prompt,model,score[,cost,latency]`, or wide as RouterBench's: `prompt`, and per model its score in
//! `NAME` and its cost in `NAME|total_cost`. Out: [`Dataset`].
//! Invariant: every id in a label is an index into its list, and every number is in its range.
//! Not here: what a prompt's text means (see [`prompt`]) and who learns from it ([`crate::split`]).

mod collect;
mod csv;
mod error;
mod jsonl;
mod parquet;
pub mod prompt;
mod wide;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use pointsman::domain::Text;
use sha2::{Digest, Sha256};

pub use error::{Column, DataError, Excess, Kind, Problem};

use collect::Collector;

/// A labelled table. Texts and names are held once, labels refer to them by index.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Every prompt once, in the order of its first row.
    pub prompts: Vec<Text>,
    /// Names of the sources; a row without one has the source `unnamed`.
    pub sources: Vec<String>,
    /// Names of the tasks; a row without one has the task `unnamed`.
    pub tasks: Vec<String>,
    /// Names of the models.
    pub models: Vec<String>,
    /// One per row, in the file's order.
    pub labels: Vec<Label>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
}

/// What one model did with one prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    /// Index into [`Dataset::prompts`].
    pub prompt: u32,
    /// Index into [`Dataset::models`].
    pub model: u16,
    /// Index into [`Dataset::sources`].
    pub source: u16,
    /// Index into [`Dataset::tasks`]; one name may stand in several sources.
    pub task: u16,
    /// How good the answer was, 0 to 1.
    pub quality: f32,
    /// Input tokens, where known.
    pub input_tokens: Option<u32>,
    /// Output tokens, reasoning included, where known.
    pub output_tokens: Option<u32>,
    /// What the call cost, in USD, where known.
    pub cost_usd: Option<f64>,
    /// How long the whole answer took, in seconds, where known.
    pub latency_s: Option<f32>,
    /// Whether the tokens are estimated from the text rather than counted by the provider.
    pub tokens_est: bool,
}

impl Dataset {
    /// Reads a table.
    ///
    /// # Errors
    /// [`DataError`], which names the file and, where there is one, the row and the column. Rows
    /// count from 1 without the header of a CSV; in JSON lines a row is a line.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let extension = path.extension().and_then(|it| it.to_str()).map(str::to_lowercase);
        let mut rows = Collector::new(path);
        match extension.as_deref() {
            Some("parquet" | "pq") => parquet::read(path, &mut rows)?,
            Some("csv") => csv::read(path, &mut rows)?,
            Some("jsonl" | "ndjson") => jsonl::read(path, &mut rows)?,
            Some(_) | None => return Err(DataError::UnknownFormat { file: rows.file() }),
        }
        rows.finish(digest(path)?)
    }
}

fn open(path: &Path) -> Result<File, DataError> {
    File::open(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: std::io::Error) -> DataError {
    DataError::Unreadable { file: path.display().to_string(), source }
}

fn digest(path: &Path) -> Result<String, DataError> {
    let mut file = open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block).map_err(|it| unreadable(path, it))?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
    }
    Ok(hash.finalize().iter().map(|it| format!("{it:02x}")).collect())
}

#[cfg(test)]
mod tests;
