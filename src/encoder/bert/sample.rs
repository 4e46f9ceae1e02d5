//! A made-up BERT of two layers, in a folder: for tests, and to try out how the files must lie.
//!
//! In: a folder, a seed. Out: `config.json`, `model.safetensors`, `tokenizer.json`, pooling and modules,
//! some 120 kB. Invariant: the same seed gives the same bytes. It knows single letters and nothing of
//! any language. Not here: anything that serves requests.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::recipe::{MODULES_FILE, POOLING_FILE};
use super::{CONFIG_FILE, MODEL_FILE};
use crate::encoder::TOKENIZER_FILE;

/// Floats of a vector, of the middle, layers, heads, positions.
pub const WIDTH: usize = 32;
pub(super) const INNER: usize = 48;
pub(super) const LAYERS: usize = 2;
pub(super) const HEADS: usize = 4;
pub(super) const POSITIONS: usize = 40;

/// A tensor: its name, its shape, its floats.
pub(super) type Named = (String, Vec<usize>, Vec<f32>);

/// Writes the files of a made-up BERT to a folder that is there.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, seed: u32) -> std::io::Result<()> {
    let words = words();
    put(folder, CONFIG_FILE, &config(words.len()))?;
    put(folder, TOKENIZER_FILE, &tokenizer(&words))?;
    put(folder, MODULES_FILE, &modules())?;
    put(
        folder,
        POOLING_FILE,
        &json!({
            "word_embedding_dimension": WIDTH,
            "pooling_mode_cls_token": false,
            "pooling_mode_mean_tokens": true,
        }),
    )?;
    std::fs::write(folder.join(MODEL_FILE), weights(&tensors(words.len(), seed))?)
}

/// Writes a JSON file, with the folder that it stands in.
pub(super) fn put(folder: &Path, name: &str, value: &Value) -> std::io::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, value.to_string())
}

/// The vocabulary: letters and digits, alone and inside a word.
pub(super) fn words() -> Vec<String> {
    let marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(str::to_owned);
    let signs = ('a'..='z').chain('0'..='9');
    let each = signs.flat_map(|it| [it.to_string(), format!("##{it}")]);
    let stops = ". , ? ! + *".split(' ').map(str::to_owned);
    marks.into_iter().chain(each).chain(stops).collect()
}

fn config(words: usize) -> Value {
    json!({
        "model_type": "bert",
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "vocab_size": words,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    })
}

fn modules() -> Value {
    let kinds = ["Transformer", "Pooling", "Normalize"];
    let each = kinds.map(|it| json!({ "type": format!("sentence_transformers.models.{it}") }));
    Value::from(each.to_vec())
}

fn tokenizer(words: &[String]) -> Value {
    let vocabulary: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, it)| (it.clone(), id.into())).collect();
    let added = words.iter().take(4).enumerate().map(|(id, it)| {
        json!({ "id": id, "content": it, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false })
    });
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": { "type": "BertNormalizer", "clean_text": true,
                        "handle_chinese_chars": true, "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": null,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocabulary },
    })
}

/// Numbers between -1 and 1 that look random and are the same in every run.
pub(in crate::encoder) fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    (0..count).map(|_| next() as f32).collect()
}

/// Everything that a model has; gains near one, all else near zero.
pub(super) fn tensors(words: usize, seed: u32) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let spread = (3.0 / shape.last().copied().unwrap_or(1) as f32).sqrt();
        let centre = if name.ends_with("LayerNorm.weight") { 1.0 } else { 0.0 };
        let at = u32::try_from(all.len()).unwrap_or(0);
        let floats = noise(shape.iter().product(), seed.wrapping_mul(1_000).wrapping_add(at));
        let floats = floats.iter().map(|it| centre + it * spread).collect();
        all.push((name, shape.to_vec(), floats));
    };
    for (name, rows) in [("word", words), ("position", POSITIONS), ("token_type", 2)] {
        add(format!("embeddings.{name}_embeddings.weight"), &[rows, WIDTH]);
    }
    add("embeddings.LayerNorm.weight".to_owned(), &[WIDTH]);
    add("embeddings.LayerNorm.bias".to_owned(), &[WIDTH]);
    for layer in 0..LAYERS {
        let linears = [
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ];
        for (part, outputs, inputs) in linears {
            add(format!("encoder.layer.{layer}.{part}.weight"), &[outputs, inputs]);
            add(format!("encoder.layer.{layer}.{part}.bias"), &[outputs]);
        }
        for part in ["attention.output", "output"] {
            add(format!("encoder.layer.{layer}.{part}.LayerNorm.weight"), &[WIDTH]);
            add(format!("encoder.layer.{layer}.{part}.LayerNorm.bias"), &[WIDTH]);
        }
    }
    all
}

/// Tensors as a safetensors file holds them.
pub(super) fn weights(tensors: &[Named]) -> std::io::Result<Vec<u8>> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, floats)| floats.iter().flat_map(|it| it.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?))
    });
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let file = views.and_then(|it| safetensors::serialize(it, None));
    file.map_err(std::io::Error::other)
}
