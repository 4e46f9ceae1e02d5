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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Message, Text};

    fn encoder() -> Encoder {
        Encoder::shipped().expect("the shipped encoder")
    }

    fn vector(encoder: &Encoder, request: &ChatRequest) -> Vec<f32> {
        encoder.encode(request).expect("encoded").embedding.as_slice().to_vec()
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn near_meanings_are_near() {
        let encoder = encoder();
        let of = |text: &str| vector(&encoder, &ChatRequest::from_prompt(text));
        let sum = of("Write a Rust function that sums a list of integers.");
        let product = of("Write a Python function that multiplies a list of numbers.");
        let poem = of("Compose a short poem about the autumn sea.");
        assert!(cosine(&sum, &product) > cosine(&sum, &poem) + 0.1);
    }

    #[test]
    fn the_known_ids_of_a_sentence_are_found() {
        // The ids that the reference tokenizer of BERT gives for this sentence.
        let ids = encoder().tokenize("Hello, world!").expect("ids");
        assert_eq!(ids, [7592, 1010, 2088, 999]);
    }

    #[test]
    fn long_texts_are_read_at_both_ends_in_bounded_time() {
        let encoder = encoder();
        let filler = "lorem ipsum dolor sit amet ".repeat(40_000);
        let of = |text: String| vector(&encoder, &ChatRequest::from_prompt(text));
        let plain = of(filler.clone());
        assert_ne!(plain, of(format!("Translate: {filler}")));
        assert_ne!(plain, of(format!("{filler} Translate this.")));
        let encoded = encoder.encode(&ChatRequest::from_prompt(filler)).expect("encoded");
        assert!((150_000..400_000).contains(&encoded.tokens), "{}", encoded.tokens);
    }

    #[test]
    fn the_system_prompt_has_a_share_and_no_more() {
        let encoder = encoder();
        let user = ChatRequest::from_prompt("What is the capital of Norway?");
        let mut both = user.clone();
        both.messages.insert(0, Message::System(Text::from("You write SQL for accountants.")));
        let (alone, mixed) = (vector(&encoder, &user), vector(&encoder, &both));
        assert_ne!(alone, mixed);
        assert!(cosine(&alone, &mixed) > 0.9);
    }

    #[test]
    fn anything_can_be_encoded() {
        let encoder = encoder();
        for text in ["", " ", "\u{0}", "🦀🦀🦀", "[CLS] [SEP]", &"é".repeat(5_000)] {
            let found = vector(&encoder, &ChatRequest::from_prompt(text));
            assert!(found.iter().all(|it| it.is_finite()), "{text:?}");
        }
    }
}
