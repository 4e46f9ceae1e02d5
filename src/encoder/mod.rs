//! A prompt's meaning as a vector: MiniLM's embedding layer, averaged (exit 0).
//!
//! In: a [`ChatRequest`]. Out: [`Encoded`]: 384 floats, the prompt's size in tokens, and which exit
//! was taken. Invariant: bounded work whatever the prompt's size (the text is cut before it is
//! tokenized), and the same vector in training and in serving. Not here: counts (see
//! [`crate::features`]) and what the vector means for any model (see [`crate::prediction`]).

mod embedding;
mod files;
mod tokens;
mod window;

use std::path::Path;

use crate::domain::ChatRequest;

pub use embedding::{Embedding, EmbeddingLayer, QuantizedRows, WIDTH};
pub use files::{EncoderError, LayerTensors, TOKENIZER_FILE, WEIGHTS_FILE, write_weights};
pub use tokens::{TokenizerError, WordPiece, canonical_tokenizer};
pub use window::TOKENS_MAX;

/// A prompt, encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The vector, 384 floats.
    pub embedding: Embedding,
    /// The whole request's size in tokens of this encoder, estimated from the part that was read.
    pub tokens: u64,
    /// Which exit was taken: 0, the embedding layer.
    pub exit: u8,
}

/// The encoder: a tokenizer and the embedding layer.
#[derive(Debug)]
pub struct Encoder {
    tokenizer: WordPiece,
    layer: EmbeddingLayer,
    checksum: String,
}

impl Encoder {
    /// The encoder in this binary.
    ///
    /// # Errors
    /// [`EncoderError`]; never for the files that were shipped, which a test reads.
    pub fn shipped() -> Result<Self, EncoderError> {
        let (tokenizer, layer, checksum) = files::shipped()?;
        Ok(Self { tokenizer, layer, checksum })
    }

    /// The encoder in a folder: [`WEIGHTS_FILE`] and [`TOKENIZER_FILE`].
    ///
    /// # Errors
    /// [`EncoderError`], which names the file and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, EncoderError> {
        let (tokenizer, layer, checksum) = files::open(folder)?;
        Ok(Self { tokenizer, layer, checksum })
    }

    /// SHA-256 of the weights, in hex; artifacts name the encoder that they were trained on.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Encodes the last user turn, with a share of the system prompt mixed in.
    ///
    /// # Errors
    /// [`TokenizerError`] if the tokenizer refuses the text; WordPiece takes any.
    pub fn encode(&self, request: &ChatRequest) -> Result<Encoded, TokenizerError> {
        let windows = window::read(&self.tokenizer, request)?;
        let user = self.layer.mean(&windows.user);
        let embedding = match windows.system.is_empty() {
            true => user,
            false => user.mixed(&self.layer.mean(&windows.system), window::SYSTEM_SHARE),
        };
        Ok(Encoded { embedding, tokens: windows.whole_tokens, exit: 0 })
    }

    /// The token ids that a text is read as, without the marks around it; for measuring.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let mut ids = Vec::new();
        self.tokenizer.append(text, &mut ids)?;
        Ok(ids)
    }
}
