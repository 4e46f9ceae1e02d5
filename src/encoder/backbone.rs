//! What turns token ids into vectors: our own int8 layers, or a whole BERT in floats.
//!
//! In: the ids of a sequence, marks included. Out: an [`Embedding`] at the first exit or at the last.
//! Invariant: a sequence's vector does not depend on what else is in its batch. Not here: which ids
//! are read, and how the parts of a request are mixed (see [`super::Encoder`]).

use super::bert::Bert;
use super::embedding::{Embedding, EmbeddingLayer, WIDTH};
use super::model;
use super::stack::Stack;
use super::window::TOKENS_MAX;

/// What a token takes in the int8 layers before any was measured, in nanoseconds: 128 tokens in 5 ms,
/// as on an AMD EPYC of 2022 with AVX-512 (2026).
const FUSED_NS_PER_TOKEN: f64 = 40_000.0;

/// A model of one kind or the other.
pub(super) enum Backbone {
    /// int8, early exit; what is shipped.
    Fused(Fused),
    /// f32 by candle, all of its layers; large beside the other, so boxed.
    Bert(Box<Bert>),
}

/// MiniLM's embedding layer, and the layers after it if there are any.
pub(super) struct Fused {
    pub(super) embedding: EmbeddingLayer,
    pub(super) layers: Option<Stack>,
}

impl Backbone {
    /// How many layers follow the embedding layer.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Fused(it) => it.layers.as_ref().map_or(0, Stack::depth),
            Self::Bert(it) => it.depth(),
        }
    }

    /// Floats of a vector.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Fused(_) => WIDTH,
            Self::Bert(it) => it.width(),
        }
    }

    /// The most tokens of a sequence, marks included.
    pub(super) fn window(&self) -> usize {
        match self {
            Self::Fused(_) => TOKENS_MAX,
            Self::Bert(it) => it.window(),
        }
    }

    /// What the layers are computed with.
    pub(super) fn kernel(&self) -> &'static str {
        match self {
            Self::Fused(it) => it.layers.as_ref().map_or("none", |it| it.kernel().name()),
            Self::Bert(_) => "candle f32",
        }
    }

    /// What a token is thought to take through all layers, in nanoseconds.
    pub(super) fn ns_per_token(&self) -> f64 {
        match self {
            Self::Fused(_) => FUSED_NS_PER_TOKEN,
            Self::Bert(it) => it.ns_per_token(),
        }
    }

    /// The mean over the embedding layer's rows.
    pub(super) fn shallow(&self, ids: &[u32]) -> candle_core::Result<Embedding> {
        match self {
            Self::Fused(it) => Ok(it.embedding.mean(ids)),
            Self::Bert(it) => it.shallow(ids),
        }
    }

    /// The vector of each sequence after the last layer, in their order.
    pub(super) fn deep(&self, sequences: &[&[u32]]) -> candle_core::Result<Vec<Embedding>> {
        match self {
            Self::Fused(Fused { embedding, layers: Some(layers) }) => {
                let mut rows = Vec::new();
                let lengths = sequences.iter().map(|it| embedding.append(it, &mut rows));
                let lengths: Vec<usize> = lengths.collect();
                let means = model::means(layers, rows, &lengths)?;
                Ok(means.chunks_exact(WIDTH).map(|it| Embedding::new(it.to_vec())).collect())
            }
            Self::Fused(Fused { layers: None, .. }) => {
                sequences.iter().map(|it| self.shallow(it)).collect()
            }
            Self::Bert(it) => sequences.iter().map(|ids| it.deep(ids)).collect(),
        }
    }
}
