//! What the network sees of every prompt, at each of the encoder's exits; kept in a file if wanted.
//!
//! In: a [`Dataset`], the encoder, and where vectors may be kept. Out: [`Inputs`] `[P, D]` per exit.
//! Invariant: prompts are read just as the service reads them; a kept file of another table, encoder
//! or feature schema is never used.

use std::path::Path;

use anyhow::{Context, Result};
use pointsman::domain::sha256_hex;
use pointsman::encoder::{Encoder, Exit};
use pointsman::features::{self, COUNT, FEATURE_SCHEMA};
use pointsman::prediction::{HEAD, LATENT, Predictor, with_one};
use rayon::prelude::*;

use crate::dataset::{Dataset, prompt::request};
use crate::progress::Progress;

/// Bytes of the stamp at the start of a kept file: a SHA-256 in hex.
const STAMP: usize = 64;

/// What the network sees of every prompt at one exit: vector, then features, not standardised;
/// `[P, D]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitInputs {
    /// The exit's number.
    pub exit: u8,
    /// D: floats of a prompt, vector and features.
    pub size: usize,
    /// Row-major floats.
    pub rows: Vec<f32>,
}

impl ExitInputs {
    /// One prompt's floats.
    pub fn row(&self, prompt: usize) -> &[f32] {
        &self.rows[prompt * self.size..(prompt + 1) * self.size]
    }

    /// Floats of a vector.
    pub fn width(&self) -> usize {
        self.size - COUNT
    }

    /// The vectors alone, `[P, width]`.
    pub fn embeddings(&self) -> Vec<f32> {
        let rows = self.rows.chunks_exact(self.size);
        rows.flat_map(|it| &it[..self.width()]).copied().collect()
    }

    /// A prompt as an artifact sees it that was trained for this exit.
    pub fn latent(&self, predictor: &Predictor, prompt: usize) -> [f32; HEAD] {
        predictor.latent_of(self.exit, self.row(prompt))
    }
}

/// The same at every exit of the encoder, the first one first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// One for each exit, ascending.
    pub exits: Vec<ExitInputs>,
}

impl Inputs {
    /// A prompt as an artifact sees it that has time: at the deepest exit that it was trained for.
    pub fn latent(&self, predictor: &Predictor, prompt: usize) -> [f32; HEAD] {
        let known = self.of(predictor).last();
        known.map_or_else(|| with_one(&[0.0; LATENT]), |it| it.latent(predictor, prompt))
    }

    /// Those that an artifact was trained for.
    pub fn of(&self, predictor: &Predictor) -> impl Iterator<Item = &ExitInputs> {
        self.exits.iter().filter(|it| predictor.exits().contains(&it.exit))
    }

    /// The vectors of the deepest exit, `[P, width]`.
    pub fn embeddings(&self) -> Vec<f32> {
        self.exits.last().map(ExitInputs::embeddings).unwrap_or_default()
    }
}

/// Encodes every prompt at every exit of the encoder, just as the service would.
///
/// # Errors
/// When the tokenizer refuses a text.
pub fn encode_prompts(dataset: &Dataset, encoder: &Encoder) -> Result<Inputs> {
    let deep = (encoder.number(Exit::Last) > 0).then_some(Exit::Last);
    let exits = [Exit::First].into_iter().chain(deep);
    let exits = exits.map(|it| encode(dataset, encoder, it)).collect::<Result<_>>()?;
    Ok(Inputs { exits })
}

/// As [`encode_prompts`]; `kept` is a file to take the vectors from, or to keep them in if they are not
/// there or are of something else.
///
/// # Errors
/// When the tokenizer refuses a text, or the file cannot be written.
pub fn encode_prompts_kept(
    dataset: &Dataset,
    encoder: &Encoder,
    kept: Option<&Path>,
) -> Result<Inputs> {
    let Some(path) = kept else { return encode_prompts(dataset, encoder) };
    let last = encoder.number(Exit::Last);
    let exits: Vec<u8> = if last > 0 { vec![0, last] } else { vec![0] };
    let stamp = stamp(dataset, encoder, &exits);
    let shape = (dataset.prompts.len(), encoder.width() + COUNT);
    if let Some(found) = read(path, &stamp, shape, &exits) {
        return Ok(found);
    }
    let all = encode_prompts(dataset, encoder)?;
    let floats = all.exits.iter().flat_map(|it| &it.rows).flat_map(|it| it.to_le_bytes());
    let bytes: Vec<u8> = stamp.bytes().chain(floats).collect();
    std::fs::write(path, bytes).with_context(|| path.display().to_string())?;
    Ok(all)
}

fn encode(dataset: &Dataset, encoder: &Encoder, exit: Exit) -> Result<ExitInputs> {
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
    Ok(ExitInputs { exit: number, size: encoder.width() + COUNT, rows: rows.concat() })
}

/// Tells vectors of one table, encoder and schema from all others.
fn stamp(dataset: &Dataset, encoder: &Encoder, exits: &[u8]) -> String {
    let encoder = encoder.checksum(exits).unwrap_or_default();
    sha256_hex(format!("{} {encoder} {FEATURE_SCHEMA} {exits:?}", dataset.digest).as_bytes())
}

fn read(path: &Path, stamp: &str, shape: (usize, usize), exits: &[u8]) -> Option<Inputs> {
    let bytes = std::fs::read(path).ok()?;
    let (found, floats) = bytes.split_at_checked(STAMP)?;
    let all = shape.0 * shape.1;
    if found != stamp.as_bytes() || floats.len() != 4 * all * exits.len() {
        return None;
    }
    let (floats, _) = floats.as_chunks::<4>();
    let of = |(at, exit): (usize, &u8)| {
        let rows = &floats[at * all..(at + 1) * all];
        let rows = rows.iter().map(|it| f32::from_le_bytes(*it)).collect();
        ExitInputs { exit: *exit, size: shape.1, rows }
    };
    Some(Inputs { exits: exits.iter().enumerate().map(of).collect() })
}
