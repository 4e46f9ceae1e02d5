//! The files of an encoder: weights (safetensors) and tokenizer (JSON).
//!
//! In: a folder, or what is compiled in. Out: [`Parts`]: a tokenizer, a backbone, and a checksum for
//! every exit. Invariant: shapes and types are checked here, so that no later code can read past a
//! row; the same weights give the same bytes.
//!
//! An exit's checksum covers what that exit reads. The file of the embedding layer alone is exit 0's,
//! whatever layers stand beside it, so an artifact that knows only exit 0 outlives a deeper encoder. A
//! whole BERT (see [`super::bert`]) has one checksum, over all that its vectors depend on.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};

use super::backbone::{Backbone, Fused};
use super::bert::{self, Bert};
use super::embedding::{EPSILON, EmbeddingLayer, QuantizedRows, WIDTH};
use super::layer_weights::{LayerWeights, LinearWeights, NormWeights};
use super::stack::Stack;
use super::tokens::{TokenizerError, WordPiece, canonical_tokenizer};
use super::window::TOKENS_MAX;
use crate::domain::sha256_hex;

/// The weights' file name.
pub const WEIGHTS_FILE: &str = "encoder.safetensors";
/// The tokenizer's file name.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// What the int8 encoder is called, in this binary or in a folder.
const SHIPPED_NAME: &str = "all-MiniLM-L6-v2, first layers in int8";
/// Floats of an attention head of MiniLM.
const HEAD: usize = 32;
/// More layers than any file of this kind has: BERT-large has 24.
const LAYERS_MAX: usize = 24;

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
        tensor: String,
        /// What it must be.
        wanted: String,
    },
    /// Layers that do not fit together, or of sizes that no kernel takes.
    #[error("{}: the layers' sizes do not fit: all must be multiples of 64, heads of 32", path.display())]
    Layers {
        /// Which file.
        path: PathBuf,
    },
    /// A JSON file that is none.
    #[error("{}: not JSON: {source}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// What and where.
        source: serde_json::Error,
    },
    /// A field that is missing, or says what this program does not compute.
    #[error("{}: `{field}` must be {wanted}", path.display())]
    Field {
        /// Which file.
        path: PathBuf,
        /// Which field.
        field: String,
        /// What it must be.
        wanted: String,
    },
    /// Weights of the right shapes that still make no model.
    #[error("{}: no model can be made of it", path.display())]
    Model {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<candle_core::Error>,
    },
    /// A tokenizer without the marks that a sequence stands between, or of more tokens than there are
    /// rows.
    #[error("{}: the tokenizer must have {wanted}", path.display())]
    Marks {
        /// Which file.
        path: PathBuf,
        /// What it must have.
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

/// What an encoder is made of.
pub(super) struct Parts {
    /// What people know it by.
    pub(super) name: String,
    pub(super) tokenizer: WordPiece,
    pub(super) backbone: Backbone,
    /// The weights' checksum for every exit, the first first.
    pub(super) checksums: Vec<String>,
}

pub(super) fn shipped() -> Result<Parts, EncoderError> {
    let place = Path::new("shipped");
    parts(place, SHIPPED_WEIGHTS, SHIPPED_TOKENIZER)
}

/// Whether a folder holds an encoder of either kind.
pub(super) fn are_in(folder: &Path) -> bool {
    folder.join(WEIGHTS_FILE).is_file() || is_bert(folder)
}

fn is_bert(folder: &Path) -> bool {
    let there = |name: &str| folder.join(name).is_file();
    !there(WEIGHTS_FILE) && (there(bert::CONFIG_FILE) || there(bert::MODEL_FILE))
}

pub(super) fn open(folder: &Path) -> Result<Parts, EncoderError> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).map_err(|source| EncoderError::Read { path, source })
    };
    if is_bert(folder) {
        let (bert, weights) = Bert::open(folder)?;
        return bert_parts(folder, (bert, weights), &read(TOKENIZER_FILE)?);
    }
    let tokenizer = read(TOKENIZER_FILE)?;
    parts(folder, &read(WEIGHTS_FILE)?, &String::from_utf8_lossy(&tokenizer))
}

fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned()
}

/// Its tokenizer is of the older format, so it is turned into the one that is read here.
fn bert_parts(
    folder: &Path,
    (bert, weights): (Bert, String),
    tokenizer: &[u8],
) -> Result<Parts, EncoderError> {
    let path = folder.join(TOKENIZER_FILE);
    let unreadable = |source| EncoderError::Tokenizer { path: path.clone(), source };
    let json = canonical_tokenizer(&String::from_utf8_lossy(tokenizer)).map_err(unreadable)?;
    let read = WordPiece::parse(&json).map_err(unreadable)?;
    let marks = |wanted: String| EncoderError::Marks { path: path.clone(), wanted };
    let read = read.with_marks_of(&json).ok_or_else(|| marks("[CLS] and [SEP]".to_owned()))?;
    if read.ids() > bert.vocabulary() {
        let rows = bert.vocabulary();
        return Err(marks(format!("no more tokens than the {rows} rows of the words' table")));
    }
    let checksum = sha256_hex(format!("{weights} {}", sha256_hex(tokenizer)).as_bytes());
    Ok(Parts {
        name: name_of(folder),
        tokenizer: read,
        backbone: Backbone::Bert(Box::new(bert)),
        checksums: vec![checksum.clone(), checksum],
    })
}

fn parts(folder: &Path, weights: &[u8], tokenizer: &str) -> Result<Parts, EncoderError> {
    let path = folder.join(WEIGHTS_FILE);
    let unreadable = |source| EncoderError::Weights { path: path.clone(), source };
    let file =
        File { path: &path, tensors: SafeTensors::deserialize(weights).map_err(unreadable)? };
    let (embedding, layers) = (file.embedding()?, file.layers()?);
    let mut checksums = vec![sha256_hex(weights)];
    if !layers.is_empty() {
        let alone = write_weights(&embedding, &[]).map_err(unreadable)?;
        checksums.insert(0, sha256_hex(&alone));
    }
    let layers = file.build(layers)?;
    let tokenizer = WordPiece::parse(tokenizer)
        .map_err(|source| EncoderError::Tokenizer { path: folder.join(TOKENIZER_FILE), source })?;
    let name = SHIPPED_NAME.to_owned();
    Ok(Parts { name, tokenizer, backbone: Backbone::Fused(Fused { embedding, layers }), checksums })
}

/// The layers in this binary, as they are kept.
#[cfg(test)]
pub(super) fn shipped_layers() -> Result<Vec<LayerWeights>, EncoderError> {
    Ok(read_weights(SHIPPED_WEIGHTS)?.1)
}

/// What a weights' file holds, if it would be taken.
#[cfg(test)]
pub(super) fn read_weights(
    bytes: &[u8],
) -> Result<(EmbeddingLayer, Vec<LayerWeights>), EncoderError> {
    let path = Path::new("test");
    let unreadable = |source| EncoderError::Weights { path: path.to_owned(), source };
    let file = File { path, tensors: SafeTensors::deserialize(bytes).map_err(unreadable)? };
    file.build(file.layers()?)?;
    Ok((file.embedding()?, file.layers()?))
}

/// A weights' file, being read.
struct File<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl File<'_> {
    fn wrong(&self, tensor: &str, wanted: String) -> EncoderError {
        EncoderError::Tensor { path: self.path.to_owned(), tensor: tensor.to_owned(), wanted }
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EncoderError> {
        let view = self.tensors.tensor(name).ok();
        let view = view.filter(|it| it.dtype() == Dtype::F32 && it.shape() == shape);
        view.map(|it| floats_of(&it)).ok_or_else(|| self.wrong(name, format!("f32 {shape:?}")))
    }

    /// An int8 matrix of so many columns, with its scales.
    fn rows(
        &self,
        name: &str,
        scales: &str,
        columns: usize,
    ) -> Result<QuantizedRows, EncoderError> {
        let view = self.tensors.tensor(name).ok();
        let view = view.filter(|it| it.dtype() == Dtype::I8 && it.shape().len() == 2);
        let view = view.filter(|it| it.shape().get(1) == Some(&columns));
        let view = view.ok_or_else(|| self.wrong(name, format!("int8 [_, {columns}]")))?;
        let values: Vec<i8> = view.data().iter().map(|it| it.cast_signed()).collect();
        let rows = values.len() / columns;
        Ok(QuantizedRows { values, scales: self.floats(scales, &[rows])? })
    }

    fn embedding(&self) -> Result<EmbeddingLayer, EncoderError> {
        Ok(EmbeddingLayer {
            words: self.rows(LayerTensors::WORDS, LayerTensors::WORD_SCALES, WIDTH)?,
            positions: self.floats(LayerTensors::POSITIONS, &[TOKENS_MAX, WIDTH])?,
            gain: self.floats(LayerTensors::GAIN, &[WIDTH])?,
            bias: self.floats(LayerTensors::BIAS, &[WIDTH])?,
        })
    }

    /// Every layer whose first tensor is there.
    fn layers(&self) -> Result<Vec<LayerWeights>, EncoderError> {
        let there = |at: &usize| self.tensors.tensor(&linear_name(*at, "qkv", "int8")).is_ok();
        (0..LAYERS_MAX).take_while(there).map(|at| self.layer(at)).collect()
    }

    fn layer(&self, at: usize) -> Result<LayerWeights, EncoderError> {
        let linear = |name: &str, inputs: usize| {
            let (values, scales) = (linear_name(at, name, "int8"), linear_name(at, name, "scale"));
            let rows = self.rows(&values, &scales, inputs)?;
            let bias = self.floats(&linear_name(at, name, "bias"), &[rows.scales.len()])?;
            Ok(LinearWeights { rows, bias })
        };
        let norm = |name: &str| {
            let gain = self.floats(&linear_name(at, name, "gain"), &[WIDTH])?;
            Ok(NormWeights { gain, bias: self.floats(&linear_name(at, name, "bias"), &[WIDTH])? })
        };
        let [qkv, out, up, down] = LayerWeights::LINEARS;
        let [attention_norm, last_norm] = LayerWeights::NORMS;
        let up = linear(up, WIDTH)?;
        Ok(LayerWeights {
            qkv: linear(qkv, WIDTH)?,
            out: linear(out, WIDTH)?,
            attention_norm: norm(attention_norm)?,
            down: linear(down, up.bias.len())?,
            up,
            norm: norm(last_norm)?,
        })
    }

    fn build(&self, layers: Vec<LayerWeights>) -> Result<Option<Stack>, EncoderError> {
        if layers.is_empty() {
            return Ok(None);
        }
        let built: Option<Vec<_>> = layers.into_iter().map(|it| it.build(HEAD)).collect();
        let stack = built.and_then(|it| Stack::new(it, HEAD, EPSILON));
        stack.map(Some).ok_or_else(|| EncoderError::Layers { path: self.path.to_owned() })
    }
}

fn linear_name(layer: usize, part: &str, tensor: &str) -> String {
    format!("layers.{layer}.{part}.{tensor}")
}

fn floats_of(view: &TensorView<'_>) -> Vec<f32> {
    let (chunks, _) = view.data().as_chunks::<4>();
    chunks.iter().map(|it| f32::from_le_bytes(*it)).collect()
}

/// Tensors of one file, to be written.
#[derive(Default)]
struct Written(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl Written {
    fn floats(&mut self, name: impl Into<String>, shape: &[usize], floats: &[f32]) {
        let bytes = floats.iter().flat_map(|it| it.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::F32, shape.to_vec(), bytes));
    }

    fn rows(&mut self, name: impl Into<String>, scales: impl Into<String>, rows: &QuantizedRows) {
        let outputs = rows.scales.len();
        let shape = vec![outputs, rows.values.len() / outputs.max(1)];
        let bytes = rows.values.iter().map(|it| it.cast_unsigned()).collect();
        self.0.push((name.into(), Dtype::I8, shape, bytes));
        self.floats(scales, &[outputs], &rows.scales);
    }
}

/// Writes an encoder as [`WEIGHTS_FILE`] holds it; the same weights give the same bytes.
///
/// # Errors
/// [`SafeTensorError`] when the shapes do not fit together.
pub fn write_weights(
    embedding: &EmbeddingLayer,
    layers: &[LayerWeights],
) -> Result<Vec<u8>, SafeTensorError> {
    let mut all = Written::default();
    all.rows(LayerTensors::WORDS, LayerTensors::WORD_SCALES, &embedding.words);
    all.floats(LayerTensors::POSITIONS, &[TOKENS_MAX, WIDTH], &embedding.positions);
    all.floats(LayerTensors::GAIN, &[WIDTH], &embedding.gain);
    all.floats(LayerTensors::BIAS, &[WIDTH], &embedding.bias);
    for (at, layer) in layers.iter().enumerate() {
        for (name, linear) in LayerWeights::LINEARS.into_iter().zip(layer.linears()) {
            let of = |tensor| linear_name(at, name, tensor);
            all.rows(of("int8"), of("scale"), &linear.rows);
            all.floats(of("bias"), &[linear.bias.len()], &linear.bias);
        }
        for (name, norm) in LayerWeights::NORMS.into_iter().zip(layer.norms()) {
            all.floats(linear_name(at, name, "gain"), &[norm.gain.len()], &norm.gain);
            all.floats(linear_name(at, name, "bias"), &[norm.bias.len()], &norm.bias);
        }
    }
    let views = all.0.iter().map(|(name, dtype, shape, bytes)| {
        Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?))
    });
    safetensors::serialize(views.collect::<Result<Vec<_>, SafeTensorError>>()?, None)
}
