//! `pointsman-train fit`: a labelled table to an artifact.
//!
//! In: a [`crate::dataset::Dataset`] and [`FitSettings`]. Out: an artifact whose figures were measured on rows
//! held out by question text. Invariant: the same data, seed and program give the same bytes. Not
//! here: the metrics themselves (see [`crate::metrics`]) and the controls beside them.

mod assemble;
mod heads;
mod inputs;
mod network;
mod speed;
mod targets;
mod train;

pub use assemble::fit;
pub(crate) use heads::{inverse, packed};
pub use inputs::{ExitInputs, Inputs, encode_prompts, encode_prompts_kept};
pub(crate) use speed::{latency, speeds};

/// How a training run goes.
#[derive(Debug, Clone, PartialEq)]
pub struct FitSettings {
    /// Seeds every draw.
    pub seed: u64,
    /// Passes over the data.
    pub epochs: usize,
    /// Width of the hidden layer.
    pub hidden: usize,
    /// Prompts per step.
    pub batch: usize,
    /// Step size at the start; falls to a twentieth along a half cosine.
    pub learning_rate: f64,
    /// AdamW's decay.
    pub weight_decay: f64,
    /// Share of hidden floats dropped in training.
    pub dropout: f32,
    /// Share of inputs dropped in training.
    pub input_dropout: f32,
    /// Weight of the token loss beside the quality loss.
    pub tokens_weight: f64,
    /// The artifact's own name; made of seed and data when empty.
    pub version: String,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 10,
            hidden: 512,
            batch: 256,
            learning_rate: 2e-3,
            weight_decay: 0.1,
            dropout: 0.5,
            input_dropout: 0.2,
            tokens_weight: 0.1,
            version: String::new(),
        }
    }
}
