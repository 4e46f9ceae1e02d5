//! WordPiece, by the `tokenizers` crate.
//!
//! In: text. Out: token ids, without the marks around them. Why 1.0.0-rc.3 and not 0.23.2: on 132
//! tokens of English it takes 23 us against 150 us (`cargo bench --bench stages` has the first
//! figure), and on all 25,647 prompts of the training table both give the same ids. Neither stops
//! early on long text, so [`super::window`] cuts first.

use std::collections::HashMap;

use tokenizers::pipeline::{EncodeOptions, Override, PipelineTokenizer};

/// The marks that open and close a sequence, `[CLS]` and `[SEP]`, in BERT's own vocabulary.
const MARKS: (u32, u32) = (101, 102);

/// A tokenizer file, or a text, that the library refuses.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed: {0}")]
pub struct TokenizerError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Turns a `tokenizer.json` of the older format into the one that is read here.
///
/// # Errors
/// [`TokenizerError`] when it is not such a file.
pub fn canonical_tokenizer(json: &str) -> Result<String, TokenizerError> {
    tokenizers::canonicalize_str(json).map_err(|it| TokenizerError(Box::new(it)))
}

/// The tokenizer.
pub struct WordPiece {
    inner: PipelineTokenizer,
    options: EncodeOptions,
    marks: (u32, u32),
    /// One more than the largest id, where the file was asked for it.
    ids: usize,
}

impl std::fmt::Debug for WordPiece {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("WordPiece").finish_non_exhaustive()
    }
}

impl WordPiece {
    /// Reads a `tokenizer.json` in its canonical form.
    ///
    /// # Errors
    /// [`TokenizerError`] when it cannot be read.
    pub fn parse(json: &str) -> Result<Self, TokenizerError> {
        let inner = tokenizers::from_json(json).map_err(TokenizerError)?;
        // The shipped file pads and cuts at 128 tokens; windows do their own cutting.
        let options = EncodeOptions {
            add_special_tokens: false,
            truncation: Override::Off,
            padding: Override::Off,
            ..EncodeOptions::default()
        };
        Ok(Self { inner, options, marks: MARKS, ids: 0 })
    }

    /// With the marks that a canonical `tokenizer.json` names, instead of those of BERT's own vocabulary;
    /// `None` where it lacks one.
    pub(super) fn with_marks_of(mut self, json: &str) -> Option<Self> {
        let file: serde_json::Value = serde_json::from_str(json).ok()?;
        let mut ids: HashMap<&str, u64> = HashMap::new();
        for (text, id) in file.pointer("/model/vocab")?.as_object()? {
            ids.insert(text, id.as_u64()?);
        }
        for token in file.get("added_tokens").and_then(|it| it.as_array()).into_iter().flatten() {
            ids.insert(token.get("content")?.as_str()?, token.get("id")?.as_u64()?);
        }
        let mark = |name: &str| ids.get(name).and_then(|it| u32::try_from(*it).ok());
        self.marks = (mark("[CLS]")?, mark("[SEP]")?);
        self.ids =
            ids.values().max().map_or(0, |it| usize::try_from(*it).unwrap_or(usize::MAX - 1) + 1);
        Some(self)
    }

    /// The ids of the marks that open and close a sequence.
    pub(super) fn marks(&self) -> (u32, u32) {
        self.marks
    }

    /// One more than the largest id; known only after [`Self::with_marks_of`].
    pub(super) fn ids(&self) -> usize {
        self.ids
    }

    /// Appends the ids of a text.
    pub(super) fn append(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), TokenizerError> {
        let mut tokens = Vec::with_capacity(text.len() / 3);
        self.inner.encode_into(text, &self.options, &mut tokens).map_err(TokenizerError)?;
        ids.extend(tokens.into_iter().map(u32::from));
        Ok(())
    }
}
