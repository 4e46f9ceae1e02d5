//! The encoder's two files: weights (safetensors) and tokenizer (JSON).
//!
//! In: a folder, or what is compiled in. Out: a tokenizer, a layer and the weights' checksum.
//! Invariant: shapes and types are checked here, so that no later code can read past a row.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::embedding::{EmbeddingLayer, QuantizedRows, WIDTH};
use super::tokens::{TokenizerError, WordPiece};
use super::window::TOKENS_MAX;
use crate::domain::sha256_hex;

/// The weights' file name.
pub const WEIGHTS_FILE: &str = "encoder.safetensors";
/// The tokenizer's file name.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

const SHIPPED_WEIGHTS: &[u8] = include_bytes!("../../models/default/encoder.safetensors");
const SHIPPED_TOKENIZER: &str = include_str!("../../models/default/tokenizer.json");

/// Names of the tensors in the weights' file, with what they hold.
pub struct LayerTensors;

impl LayerTensors {
    /// int8 `[vocabulary, 384]`.
    pub const WORDS: &'static str = "embeddings.word.int8";
    /// f32 `[vocabulary]`.
    pub const WORD_SCALES: &'static str = "embeddings.word.scale";
    /// f32 `[512, 384]`, the first type row added.
    pub const POSITIONS: &'static str = "embeddings.position";
    /// f32 `[384]`.
    pub const GAIN: &'static str = "embeddings.norm.gain";
    /// f32 `[384]`.
    pub const BIAS: &'static str = "embeddings.norm.bias";
}

/// An encoder that cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// A file that cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Weights that are not safetensors.
    #[error("{}: not a safetensors file: {source}", path.display())]
    Weights {
        /// Which.
        path: PathBuf,
        /// Why.
        source: SafeTensorError,
    },
    /// A tensor that is missing or of another shape or type.
    #[error("{}: the tensor `{tensor}` must be {wanted}", path.display())]
    Tensor {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        tensor: &'static str,
        /// What it must be.
        wanted: String,
    },
    /// A tokenizer that cannot be read.
    #[error("{}: {source}", path.display())]
    Tokenizer {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: TokenizerError,
    },
}

type Parts = (WordPiece, EmbeddingLayer, String);

pub(super) fn shipped() -> Result<Parts, EncoderError> {
    let place = Path::new("shipped");
    parts(place, SHIPPED_WEIGHTS, SHIPPED_TOKENIZER)
}

pub(super) fn open(folder: &Path) -> Result<Parts, EncoderError> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|source| EncoderError::Read { path, source })
    };
    let tokenizer = read(TOKENIZER_FILE)?;
    parts(folder, &read(WEIGHTS_FILE)?, &String::from_utf8_lossy(&tokenizer))
}

fn parts(folder: &Path, weights: &[u8], tokenizer: &str) -> Result<Parts, EncoderError> {
    let path = folder.join(WEIGHTS_FILE);
    let checksum = sha256_hex(weights);
    let layer = layer(&path, weights)?;
    let tokenizer = WordPiece::parse(tokenizer)
        .map_err(|source| EncoderError::Tokenizer { path: folder.join(TOKENIZER_FILE), source })?;
    Ok((tokenizer, layer, checksum))
}

fn layer(path: &Path, weights: &[u8]) -> Result<EmbeddingLayer, EncoderError> {
    let tensors = SafeTensors::deserialize(weights)
        .map_err(|source| EncoderError::Weights { path: path.to_owned(), source })?;
    let wrong = |tensor: &'static str, wanted: String| EncoderError::Tensor {
        path: path.to_owned(),
        tensor,
        wanted,
    };
    let floats = |name: &'static str, shape: &[usize]| {
        let view = tensors.tensor(name).ok();
        let view = view.filter(|it| it.dtype() == Dtype::F32 && it.shape() == shape);
        view.map(|it| floats_of(&it)).ok_or_else(|| wrong(name, format!("f32 {shape:?}")))
    };
    let words = tensors.tensor(LayerTensors::WORDS).ok();
    let words = words.filter(|it| it.dtype() == Dtype::I8 && matches!(it.shape(), [_, WIDTH]));
    let words = words.ok_or_else(|| wrong(LayerTensors::WORDS, format!("int8 [_, {WIDTH}]")))?;
    let values: Vec<i8> = words.data().iter().map(|it| it.cast_signed()).collect();
    let rows = values.len() / WIDTH;
    Ok(EmbeddingLayer {
        words: QuantizedRows { values, scales: floats(LayerTensors::WORD_SCALES, &[rows])? },
        positions: floats(LayerTensors::POSITIONS, &[TOKENS_MAX, WIDTH])?,
        gain: floats(LayerTensors::GAIN, &[WIDTH])?,
        bias: floats(LayerTensors::BIAS, &[WIDTH])?,
    })
}

fn floats_of(view: &TensorView<'_>) -> Vec<f32> {
    let (chunks, _) = view.data().as_chunks::<4>();
    chunks.iter().map(|it| f32::from_le_bytes(*it)).collect()
}

/// Writes a layer as [`WEIGHTS_FILE`] holds it; the same layer gives the same bytes.
///
/// # Errors
/// [`SafeTensorError`] when the shapes do not fit together.
pub fn write_weights(layer: &EmbeddingLayer) -> Result<Vec<u8>, SafeTensorError> {
    let bytes =
        |floats: &[f32]| -> Vec<u8> { floats.iter().flat_map(|it| it.to_le_bytes()).collect() };
    let words: Vec<u8> = layer.words.values.iter().map(|it| it.cast_unsigned()).collect();
    let scales = bytes(&layer.words.scales);
    let positions = bytes(&layer.positions);
    let (gain, bias) = (bytes(&layer.gain), bytes(&layer.bias));
    let rows = layer.words.scales.len();
    let tensors = [
        (LayerTensors::WORDS, TensorView::new(Dtype::I8, vec![rows, WIDTH], &words)?),
        (LayerTensors::WORD_SCALES, TensorView::new(Dtype::F32, vec![rows], &scales)?),
        (
            LayerTensors::POSITIONS,
            TensorView::new(Dtype::F32, vec![TOKENS_MAX, WIDTH], &positions)?,
        ),
        (LayerTensors::GAIN, TensorView::new(Dtype::F32, vec![WIDTH], &gain)?),
        (LayerTensors::BIAS, TensorView::new(Dtype::F32, vec![WIDTH], &bias)?),
    ];
    safetensors::serialize(tensors, None)
}
