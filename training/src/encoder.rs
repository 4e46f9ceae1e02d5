//! `pointsman-train encoder`: the shipped encoder's files, from the official MiniLM files.
//!
//! In: a folder with `model.safetensors` and `tokenizer.json` of sentence-transformers/
//! all-MiniLM-L6-v2 (Apache-2.0). Out: `encoder.safetensors` and `tokenizer.json` in the form that
//! the service reads. Invariant: the same input gives the same bytes, and only the official weights
//! are taken unless the caller says otherwise.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use pointsman::domain::sha256_hex;
use pointsman::encoder::{
    EmbeddingLayer, QuantizedRows, TOKENIZER_FILE, TOKENS_MAX, WEIGHTS_FILE, WIDTH,
    canonical_tokenizer, write_weights,
};

/// SHA-256 of the official `model.safetensors`.
const OFFICIAL_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

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
/// When a file is missing, is not the official one, or has another shape.
pub fn make(weights: &Path, out: &Path, origin: Origin) -> Result<()> {
    let path = weights.join("model.safetensors");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = sha256_hex(&bytes);
    if origin == Origin::Official && found != OFFICIAL_SHA256 {
        bail!("{}: SHA-256 is {found}, the official file has {OFFICIAL_SHA256}", path.display());
    }
    let layer = layer(&bytes).with_context(|| format!("{}", path.display()))?;
    let path = weights.join("tokenizer.json");
    let json = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let tokenizer = canonical_tokenizer(&json).with_context(|| path.display().to_string())?;
    std::fs::create_dir_all(out)?;
    let made = write_weights(&layer)?;
    std::fs::write(out.join(WEIGHTS_FILE), &made)?;
    std::fs::write(out.join(TOKENIZER_FILE), tokenizer)?;
    println!(
        "{}: {} bytes, SHA-256 {}",
        out.join(WEIGHTS_FILE).display(),
        made.len(),
        sha256_hex(&made)
    );
    Ok(())
}

fn layer(bytes: &[u8]) -> Result<EmbeddingLayer> {
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
    let tensor = |name: &str| -> Result<Tensor> {
        let name = format!("embeddings.{name}.weight");
        let found = tensors.get(&name).with_context(|| format!("no tensor `{name}`"))?;
        Ok(found.to_dtype(DType::F32)?)
    };
    let words = tensor("word_embeddings")?;
    ensure!(words.dim(1)? == WIDTH, "the words have {} columns, {WIDTH} are wanted", words.dim(1)?);
    let first_type = tensor("token_type_embeddings")?.narrow(0, 0, 1)?;
    let positions = tensor("position_embeddings")?;
    ensure!(positions.dims() == [TOKENS_MAX, WIDTH], "the positions are {:?}", positions.dims());
    let bias = tensors.get("embeddings.LayerNorm.bias").context("no LayerNorm bias")?;
    Ok(EmbeddingLayer {
        words: QuantizedRows::quantize(&words.flatten_all()?.to_vec1::<f32>()?),
        positions: positions.broadcast_add(&first_type)?.flatten_all()?.to_vec1()?,
        gain: tensor("LayerNorm")?.to_vec1()?,
        bias: bias.to_dtype(DType::F32)?.to_vec1()?,
    })
}
