//! A prompt's meaning as a vector: an embedding layer's mean, or what the layers on top make of it.
//!
//! In: a [`ChatRequest`]. Out: [`Encoded`]: 384 floats with the shipped encoder (MiniLM's first layers),
//! [`Encoder::width`] with any other BERT; the prompt's size in tokens, and which exit was taken. Invariant: bounded work whatever the prompt's size (the text is cut before it is
//! tokenized), and the same vector in training and in serving, alone and in a batch. [`Encoder`]
//! computes, one core per pass; [`EncoderQueue`] decides who waits for it. Not here: counts (see
//! [`crate::features`]) and what the vector means for any model (see [`crate::prediction`]).

mod attention;
mod backbone;
mod bert;
mod cache;
mod embedding;
mod files;
mod kernels;
mod lanes;
mod layer_weights;
mod linear;
mod load;
mod model;
mod queue;
pub mod reference;
mod stack;
mod tokens;
mod window;

use std::path::Path;

use crate::domain::ChatRequest;
use backbone::Backbone;
use window::{Texts, Windows};

pub use bert::sample;
pub use bert::{CONFIG_FILE as BERT_CONFIG_FILE, MODEL_FILE as BERT_WEIGHTS_FILE};
pub use embedding::{Embedding, EmbeddingLayer, QuantizedRows, WIDTH};
pub use files::{EncoderError, LayerTensors, TOKENIZER_FILE, WEIGHTS_FILE, write_weights};
pub use layer_weights::{LayerWeights, LinearWeights, NormWeights};
pub use queue::EncoderQueue;
pub use tokens::{TokenizerError, WordPiece, canonical_tokenizer};
pub use window::TOKENS_MAX;

/// How deep a prompt is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The embedding layer: tens of microseconds.
    First,
    /// Every layer that the encoder has: milliseconds. With an encoder of no layers, as `First`.
    Last,
}

/// A prompt, encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The vector, [`Encoder::width`] floats.
    pub embedding: Embedding,
    /// The whole request's size in tokens of this encoder, estimated from the part that was read.
    pub tokens: u64,
    /// Which exit was taken: after how many layers; 0 is the embedding layer.
    pub exit: u8,
}

/// A prompt that could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The tokenizer refuses the text; WordPiece takes any.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The layers could not run; shapes were checked when they were loaded.
    #[error("the layers failed")]
    Layers(#[from] candle_core::Error),
}

/// What was read of a prompt; the same for every request of the same parts.
#[derive(Debug, Clone, PartialEq)]
struct Reading {
    embedding: Embedding,
    tokens_per_byte: f64,
    exit: u8,
}

impl Windows {
    /// What was read of these windows: the user's vector, with a share of the system prompt's.
    fn reading(&self, user: Embedding, system: Option<Embedding>, exit: u8) -> Reading {
        let embedding = match system {
            Some(system) => user.mixed(&system, window::SYSTEM_SHARE),
            None => user,
        };
        Reading { embedding, tokens_per_byte: self.tokens_per_byte, exit }
    }
}

impl Reading {
    fn of(self, request: &ChatRequest) -> Encoded {
        let tokens = window::whole_tokens(request, self.tokens_per_byte);
        Encoded { embedding: self.embedding, tokens, exit: self.exit }
    }
}

/// The encoder: a tokenizer, an embedding layer, and the layers after it.
pub struct Encoder {
    name: String,
    tokenizer: WordPiece,
    backbone: Backbone,
    checksums: Vec<String>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Encoder({}, {} layers)", self.name, self.number(Exit::Last))
    }
}

impl Encoder {
    /// The encoder in this binary.
    ///
    /// # Errors
    /// [`EncoderError`]; never for the files that were shipped, which a test reads.
    pub fn shipped() -> Result<Self, EncoderError> {
        files::shipped().map(Self::new)
    }

    /// The encoder in a folder: [`WEIGHTS_FILE`] and [`TOKENIZER_FILE`] as they are shipped, or a
    /// BERT-shaped sentence encoder with `config.json`, `model.safetensors` and `tokenizer.json`.
    ///
    /// # Errors
    /// [`EncoderError`], which names the file and what is wrong with it.
    pub fn open(folder: &Path) -> Result<Self, EncoderError> {
        files::open(folder).map(Self::new)
    }

    /// Whether a folder holds the weights of an encoder, of whichever kind.
    pub fn is_in(folder: &Path) -> bool {
        files::are_in(folder)
    }

    fn new(parts: files::Parts) -> Self {
        let files::Parts { name, tokenizer, backbone, checksums } = parts;
        Self { name, tokenizer, backbone, checksums }
    }

    /// What people know it by: the name of its folder, or of what is shipped.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is of the kind that is shipped, and not a whole BERT.
    pub fn is_early_exit(&self) -> bool {
        matches!(self.backbone, Backbone::Fused(_))
    }

    /// Floats of a vector.
    pub fn width(&self) -> usize {
        self.backbone.width()
    }

    /// The number of an exit: after how many layers it is.
    pub fn number(&self, exit: Exit) -> u8 {
        match exit {
            Exit::First => 0,
            Exit::Last => u8::try_from(self.backbone.depth()).unwrap_or(u8::MAX),
        }
    }

    /// SHA-256, in hex, of the weights that these exits read: artifacts name the encoder that they
    /// were trained on. `None` if there is an exit among them that this encoder does not have.
    pub fn checksum(&self, exits: &[u8]) -> Option<&str> {
        let last = self.number(Exit::Last);
        let deepest = exits.iter().max().copied().unwrap_or(0);
        let known = exits.iter().all(|it| *it == 0 || *it == last);
        let at = usize::from(deepest > 0);
        self.checksums.get(at).filter(|_| known).map(String::as_str)
    }

    /// SHA-256, in hex, of all its weights.
    pub fn whole_checksum(&self) -> &str {
        self.checksums.last().map_or("", String::as_str)
    }

    /// What the layers are computed with on this machine.
    pub fn kernel(&self) -> &'static str {
        self.backbone.kernel()
    }

    /// Encodes the last user turn, with a share of the system prompt mixed in. Computes here, on the
    /// caller's thread, and waits for nobody.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn encode(&self, request: &ChatRequest, exit: Exit) -> Result<Encoded, EncodeError> {
        let texts = Texts::of(request);
        Ok(self.read(&texts, exit)?.of(request))
    }

    fn windows(&self, texts: &Texts<'_>) -> Result<Windows, TokenizerError> {
        texts.read(&self.tokenizer, self.backbone.window())
    }

    fn read(&self, texts: &Texts<'_>, exit: Exit) -> Result<Reading, EncodeError> {
        let windows = self.windows(texts)?;
        if self.number(exit) > 0
            && let Some(only) = self.through(std::slice::from_ref(&windows))?.pop()
        {
            return Ok(only);
        }
        let vector = |ids: &[u32]| self.backbone.shallow(ids);
        let system = match windows.system.is_empty() {
            true => None,
            false => Some(vector(&windows.system)?),
        };
        Ok(windows.reading(vector(&windows.user)?, system, 0))
    }

    /// Several prompts in one pass through the layers, end to end, in their order.
    fn through(&self, all: &[Windows]) -> Result<Vec<Reading>, EncodeError> {
        let parts = all.iter().flat_map(|it| [it.user.as_slice(), it.system.as_slice()]);
        let sequences: Vec<&[u32]> = parts.filter(|it| !it.is_empty()).collect();
        let mut vectors = self.backbone.deep(&sequences)?.into_iter();
        let nothing = || Embedding::new(vec![0.0; self.width()]);
        let mut next = || vectors.next().unwrap_or_else(nothing);
        let each = all.iter().map(|windows| {
            let user = next();
            let system = (!windows.system.is_empty()).then(&mut next);
            windows.reading(user, system, self.number(Exit::Last))
        });
        Ok(each.collect())
    }

    /// The token ids that a text is read as, without the marks around it; for measuring.
    ///
    /// # Errors
    /// [`TokenizerError`] if the tokenizer refuses the text; WordPiece takes any.
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
        encoder.encode(request, Exit::First).expect("encoded").embedding.as_slice().to_vec()
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
        let encoded =
            encoder.encode(&ChatRequest::from_prompt(filler), Exit::First).expect("encoded");
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
