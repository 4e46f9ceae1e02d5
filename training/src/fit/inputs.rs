//! What the network sees of every prompt, at each of the encoder's exits; kept in a file if wanted.
//!
//! In: a [`Dataset`], the encoder, and where vectors may be kept. Out: [`Inputs`] `[P, D]` per exit.
//! Invariant: prompts are read just as the service reads them; a kept file of another table, encoder
//! or feature schema is never used.

use std::path::Path;

use anyhow::{Context, Result};
use pointsman::domain::sha256_hex;
use pointsman::encoder::{Encoder, Exit, WIDTH};
use pointsman::features::{self, COUNT, FEATURE_SCHEMA};
use rayon::prelude::*;

use crate::dataset::{Dataset, prompt::request};
use crate::progress::Progress;

/// Floats per prompt.
pub(crate) const INPUT: usize = WIDTH + COUNT;
/// Bytes of the stamp at the start of a kept file: a SHA-256 in hex.
const STAMP: usize = 64;

/// What the network sees of every prompt at one exit: vector, then features, not standardised;
/// `[P, D]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// The exit's number.
    pub exit: u8,
    /// Row-major floats.
    pub rows: Vec<f32>,
}

impl Inputs {
    /// One prompt's floats.
    pub fn row(&self, prompt: usize) -> &[f32] {
        &self.rows[prompt * INPUT..(prompt + 1) * INPUT]
    }

    /// The vectors alone, `[P, 384]`.
    pub fn embeddings(&self) -> Vec<f32> {
        self.rows.chunks_exact(INPUT).flat_map(|it| &it[..WIDTH]).copied().collect()
    }
}

/// Encodes every prompt at one exit, just as the service would.
///
/// # Errors
/// When the tokenizer refuses a text.
pub fn encode_prompts(dataset: &Dataset, encoder: &Encoder, exit: Exit) -> Result<Inputs> {
    let number = encoder.number(exit);
    let job =
        if number == 0 { "reading the prompts at exit 0" } else { "reading the prompts deeply" };
    let progress = Progress::start(job, dataset.prompts.len() as u64);
    let each = dataset.prompts.par_iter().map(|prompt| {
        let request = request(prompt.as_str());
        let encoded = encoder.encode(&request, exit)?;
        let features = features::extract(&request);
        progress.advance(1);
        Ok([encoded.embedding.as_slice(), features.as_slice()].concat())
    });
    let rows = each.collect::<Result<Vec<Vec<f32>>>>()?;
    Ok(Inputs { exit: number, rows: rows.concat() })
}

/// Encodes every prompt at every exit that the encoder has, the first one first. `kept`: a file to take
/// the vectors from, or to keep them in if they are not there or are of something else.
///
/// # Errors
/// When the tokenizer refuses a text, or the file cannot be written.
pub fn encode_exits(
    dataset: &Dataset,
    encoder: &Encoder,
    kept: Option<&Path>,
) -> Result<Vec<Inputs>> {
    let deep = (encoder.number(Exit::Last) > 0).then_some(Exit::Last);
    let exits: Vec<Exit> = [Exit::First].into_iter().chain(deep).collect();
    let numbers: Vec<u8> = exits.iter().map(|it| encoder.number(*it)).collect();
    let stamp = stamp(dataset, encoder, &numbers);
    if let Some(found) = kept.and_then(|it| read(it, &stamp, dataset.prompts.len(), &numbers)) {
        return Ok(found);
    }
    let all: Vec<Inputs> =
        exits.iter().map(|it| encode_prompts(dataset, encoder, *it)).collect::<Result<_>>()?;
    if let Some(path) = kept {
        let floats = all.iter().flat_map(|it| &it.rows).flat_map(|it| it.to_le_bytes());
        let bytes: Vec<u8> = stamp.bytes().chain(floats).collect();
        std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
    }
    Ok(all)
}

/// Tells vectors of one table, encoder and schema from all others.
fn stamp(dataset: &Dataset, encoder: &Encoder, exits: &[u8]) -> String {
    let encoder = encoder.checksum(exits).unwrap_or_default();
    sha256_hex(format!("{} {encoder} {FEATURE_SCHEMA} {exits:?}", dataset.digest).as_bytes())
}

fn read(path: &Path, stamp: &str, prompts: usize, exits: &[u8]) -> Option<Vec<Inputs>> {
    let bytes = std::fs::read(path).ok()?;
    let (found, floats) = bytes.split_at_checked(STAMP)?;
    let size = prompts * INPUT;
    if found != stamp.as_bytes() || floats.len() != 4 * size * exits.len() {
        return None;
    }
    let (floats, _) = floats.as_chunks::<4>();
    let of = |(at, exit): (usize, &u8)| {
        let rows = &floats[at * size..(at + 1) * size];
        Inputs { exit: *exit, rows: rows.iter().map(|it| f32::from_le_bytes(*it)).collect() }
    };
    Some(exits.iter().enumerate().map(of).collect())
}
