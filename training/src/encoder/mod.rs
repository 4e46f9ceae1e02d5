//! `pointsman-train encoder`: the shipped encoder's files, from the official MiniLM files.
//!
//! In: a folder with `model.safetensors` and `tokenizer.json` of sentence-transformers/
//! all-MiniLM-L6-v2 (Apache-2.0). Out: `encoder.safetensors` and `tokenizer.json` in the form that
//! the service reads. Invariant: the same input gives the same bytes, only the official weights are
//! taken unless the caller says otherwise, and nothing is left that is further from f32 than it may.

mod check;
mod official;

use std::path::Path;

use anyhow::{Context, Result, bail};
use pointsman::domain::sha256_hex;
use pointsman::encoder::{
    Encoder, Exit, TOKENIZER_FILE, WEIGHTS_FILE, canonical_tokenizer, write_weights,
};

use official::Official;

/// SHA-256 of the official `model.safetensors`.
const OFFICIAL_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
/// Layers that are kept: for routing, the vector after the third is better than after all six.
const LAYERS: usize = 3;

/// Which weights are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Only the official ones, by checksum.
    Official,
    /// Any of the same shape.
    Any,
}

/// Makes the encoder's files in `out` from the folder `weights`.
///
/// # Errors
/// When a file is missing, is not the official one, has another shape, or its int8 form is too far
/// from f32.
pub fn make(weights: &Path, out: &Path, origin: Origin) -> Result<()> {
    let path = weights.join("model.safetensors");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = sha256_hex(&bytes);
    if origin == Origin::Official && found != OFFICIAL_SHA256 {
        bail!("{}: SHA-256 is {found}, the official file has {OFFICIAL_SHA256}", path.display());
    }
    let place = || path.display().to_string();
    let official = Official::read(&bytes).with_context(place)?;
    let made = int8(&official).with_context(place)?;
    let path = weights.join("tokenizer.json");
    let json = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let tokenizer = canonical_tokenizer(&json).with_context(|| path.display().to_string())?;
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join(WEIGHTS_FILE), &made)?;
    std::fs::write(out.join(TOKENIZER_FILE), tokenizer)?;
    let encoder = Encoder::open(out)?;
    let least = check::check(&official, &encoder)?;
    println!(
        "{}: {} bytes, SHA-256 {}\nexit 0 alone: SHA-256 {}\nexit {}: cosine to f32 at least {least:.4} \
         ({})",
        out.join(WEIGHTS_FILE).display(),
        made.len(),
        sha256_hex(&made),
        encoder.checksum(&[0]).unwrap_or_default(),
        encoder.number(Exit::Last),
        encoder.kernel()
    );
    Ok(())
}

fn int8(official: &Official) -> Result<Vec<u8>> {
    let layers = (0..LAYERS).map(|it| official::int8(&official.layer(it)?));
    let layers = layers.collect::<Result<Vec<_>>>()?;
    Ok(write_weights(&official::embedding(official)?, &layers)?)
}
