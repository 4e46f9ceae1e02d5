//! Any BERT-shaped sentence encoder, whole, in f32 by candle-transformers.
//!
//! In: a folder as sentence-transformers lays it out (`config.json`, `model.safetensors`,
//! `tokenizer.json`, and where they are there `1_Pooling/config.json` and `modules.json`). Out:
//! vectors at two exits: 0, the mean over the embedding layer's rows, as the shipped encoder has it;
//! and after the last layer, pooled and normalised as the model's own files say. Invariant: everything
//! that can be wrong with the files is told when they are opened; one sequence at a time, so nothing
//! is padded and a batch gives the bits that each would get alone. Not here: a prefix such as E5's
//! "query: ", which prompts to be ranked are not given, in training or in serving.

mod recipe;
pub mod sample;
#[cfg(test)]
mod tests;
mod weights;

use std::path::Path;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{LayerNorm, Module, VarBuilder};
use candle_transformers::models::bert::BertModel;

use super::embedding::Embedding;
use super::files::EncoderError;
use super::window::TOKENS_MAX;
use crate::domain::sha256_hex;
use recipe::{Pooling, Recipe};
use weights::Weights;

/// What says that a folder holds a model of this kind.
pub const CONFIG_FILE: &str = "config.json";
/// Its weights.
pub const MODEL_FILE: &str = "model.safetensors";

/// Tokens that are read when a model is opened, to see that it runs and how fast: a short prompt's.
/// Models and machines differ a hundredfold, so no figure can stand here.
const PROBE_TOKENS: usize = 32;
/// How often; the least time counts, since a busy machine only makes it longer.
const PROBES: usize = 3;

/// The model.
pub(super) struct Bert {
    model: BertModel,
    recipe: Recipe,
    /// `[vocabulary, width]`; shares its memory with the model.
    words: Tensor,
    /// `[positions, width]`, the first type row added.
    positions: Tensor,
    norm: LayerNorm,
    /// As measured when it was opened.
    ns_per_token: f64,
}

impl Bert {
    /// Reads a folder; gives a checksum over all that its vectors depend on, but for the tokenizer.
    pub(super) fn open(folder: &Path) -> std::result::Result<(Self, String), EncoderError> {
        let recipe = Recipe::read(folder)?;
        let path = folder.join(MODEL_FILE);
        let bytes = std::fs::read(&path)
            .map_err(|source| EncoderError::Read { path: path.clone(), source })?;
        let weights = Weights::read(&path, &bytes, &recipe.config)?;
        let checksum = sha256_hex(format!("{recipe} {}", sha256_hex(&bytes)).as_bytes());
        drop(bytes);
        let built = Self::build(recipe, weights).and_then(Self::probed);
        let bert =
            built.map_err(|source| EncoderError::Model { path, source: Box::new(source) })?;
        Ok((bert, checksum))
    }

    fn build(recipe: Recipe, weights: Weights) -> Result<Self> {
        let words = weights.get(weights::WORDS)?;
        let first_type = weights.get(weights::TYPES)?.narrow(0, 0, 1)?;
        let positions = weights.get(weights::POSITIONS)?.broadcast_add(&first_type)?;
        let (gain, bias) = (weights.get(weights::GAIN)?, weights.get(weights::BIAS)?);
        let norm = LayerNorm::new(gain, bias, recipe.config.layer_norm_eps);
        let tensors = VarBuilder::from_tensors(weights.into_tensors(), DType::F32, &Device::Cpu);
        let model = BertModel::load(tensors, &recipe.config)?;
        Ok(Self { model, recipe, words, positions, norm, ns_per_token: 0.0 })
    }

    /// The same, after it has read something.
    fn probed(mut self) -> Result<Self> {
        let ids = vec![0; PROBE_TOKENS.min(self.window())];
        let mut least = f64::INFINITY;
        for _ in 0..PROBES {
            let start = Instant::now();
            self.deep(&ids)?;
            least = least.min(start.elapsed().as_nanos() as f64);
        }
        self.ns_per_token = least / ids.len() as f64;
        Ok(self)
    }

    pub(super) fn depth(&self) -> usize {
        self.recipe.config.num_hidden_layers
    }

    pub(super) fn width(&self) -> usize {
        self.recipe.config.hidden_size
    }

    /// How many ids it has rows for.
    pub(super) fn vocabulary(&self) -> usize {
        self.recipe.config.vocab_size
    }

    pub(super) fn window(&self) -> usize {
        self.recipe.config.max_position_embeddings.min(TOKENS_MAX)
    }

    pub(super) fn ns_per_token(&self) -> f64 {
        self.ns_per_token
    }

    pub(super) fn shallow(&self, ids: &[u32]) -> Result<Embedding> {
        let Some(ids) = self.known(ids)? else { return Ok(self.nothing()) };
        let rows = self.words.index_select(&ids, 0)?;
        let rows = (rows + self.positions.narrow(0, 0, ids.dim(0)?)?)?;
        Ok(Embedding::new(self.norm.forward(&rows)?.mean(0)?.to_vec1()?))
    }

    pub(super) fn deep(&self, ids: &[u32]) -> Result<Embedding> {
        let Some(ids) = self.known(ids)? else { return Ok(self.nothing()) };
        let ids = ids.unsqueeze(0)?;
        let rows = self.model.forward(&ids, &ids.zeros_like()?, None)?.squeeze(0)?;
        let pooled = match self.recipe.pooling {
            Pooling::Mean => rows.mean(0)?,
            Pooling::Cls => rows.get(0)?,
        };
        let mut floats: Vec<f32> = pooled.to_vec1()?;
        if self.recipe.normalized {
            // The least norm that is divided by is PyTorch's.
            let norm = floats.iter().map(|it| it * it).sum::<f32>().sqrt().max(1e-12);
            floats.iter_mut().for_each(|it| *it /= norm);
        }
        Ok(Embedding::new(floats))
    }

    /// The ids that there are rows for, no more of them than there are positions; `None` if none.
    fn known(&self, ids: &[u32]) -> Result<Option<Tensor>> {
        let known = ids.iter().filter(|it| (**it as usize) < self.vocabulary());
        let known: Vec<u32> = known.take(self.window()).copied().collect();
        if known.is_empty() { Ok(None) } else { Tensor::new(known, &Device::Cpu).map(Some) }
    }

    fn nothing(&self) -> Embedding {
        Embedding::new(vec![0.0; self.width()])
    }
}
