//! A BERT's tensors, each of the shape that its config asks for.
//!
//! In: `model.safetensors`, the model's sizes. Out: [`Weights`], in f32, under the names that
//! candle-transformers asks for. Invariant: a tensor that is missing, of another shape or type, or
//! holds NaN or infinity is named; nothing larger than the file is ever allocated. Names with `bert.` before
//! them, and LayerNorms with `gamma` and `beta` (checkpoints of 2019), are taken too.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor};
use candle_transformers::models::bert::Config;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::encoder::files::EncoderError;

pub(super) const WORDS: &str = "embeddings.word_embeddings.weight";
pub(super) const POSITIONS: &str = "embeddings.position_embeddings.weight";
pub(super) const TYPES: &str = "embeddings.token_type_embeddings.weight";
pub(super) const GAIN: &str = "embeddings.LayerNorm.weight";
pub(super) const BIAS: &str = "embeddings.LayerNorm.bias";

/// The tensors of a model, by name.
pub(super) struct Weights(HashMap<String, Tensor>);

impl Weights {
    pub(super) fn read(
        path: &Path,
        bytes: &[u8],
        config: &Config,
    ) -> std::result::Result<Self, EncoderError> {
        let file = SafeTensors::deserialize(bytes)
            .map_err(|source| EncoderError::Weights { path: path.to_owned(), source })?;
        let mut tensors = HashMap::new();
        for (name, shape) in wanted(config) {
            let found = find(&file, &name).filter(|it| it.shape() == shape);
            let tensor = found.and_then(|it| floats(&it).ok().flatten());
            let Some(tensor) = tensor else {
                let wanted = format!("f32, f16 or bf16 {shape:?}, and finite");
                return Err(EncoderError::Tensor { path: path.to_owned(), tensor: name, wanted });
            };
            tensors.insert(name, tensor);
        }
        Ok(Self(tensors))
    }

    pub(super) fn get(&self, name: &str) -> Result<Tensor> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| candle_core::Error::msg(format!("no tensor `{name}`")))
    }

    pub(super) fn into_tensors(self) -> HashMap<String, Tensor> {
        self.0
    }
}

/// Names and shapes of all that a model of these sizes has.
fn wanted(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let mut all = vec![
        (WORDS.to_owned(), vec![config.vocab_size, width]),
        (POSITIONS.to_owned(), vec![config.max_position_embeddings, width]),
        (TYPES.to_owned(), vec![config.type_vocab_size, width]),
        (GAIN.to_owned(), vec![width]),
        (BIAS.to_owned(), vec![width]),
    ];
    let linears = [
        ("attention.self.query", width, width),
        ("attention.self.key", width, width),
        ("attention.self.value", width, width),
        ("attention.output.dense", width, width),
        ("intermediate.dense", inner, width),
        ("output.dense", width, inner),
    ];
    for layer in 0..config.num_hidden_layers {
        let name = |part: &str, kind: &str| format!("encoder.layer.{layer}.{part}.{kind}");
        for (part, outputs, inputs) in linears {
            all.push((name(part, "weight"), vec![outputs, inputs]));
            all.push((name(part, "bias"), vec![outputs]));
        }
        for part in ["attention.output.LayerNorm", "output.LayerNorm"] {
            all.push((name(part, "weight"), vec![width]));
            all.push((name(part, "bias"), vec![width]));
        }
    }
    all
}

fn find<'a>(file: &SafeTensors<'a>, name: &str) -> Option<TensorView<'a>> {
    let old = name.replace("LayerNorm.weight", "LayerNorm.gamma");
    let old = old.replace("LayerNorm.bias", "LayerNorm.beta");
    let names = [name.to_owned(), format!("bert.{name}"), format!("bert.{old}"), old];
    names.iter().find_map(|it| file.tensor(it).ok())
}

/// A tensor in f32; `None` if it is of another type or holds what is no number.
fn floats(view: &TensorView<'_>) -> Result<Option<Tensor>> {
    let dtype = match view.dtype() {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return Ok(None),
    };
    let tensor = Tensor::from_raw_buffer(view.data(), dtype, view.shape(), &Device::Cpu)?;
    let tensor = tensor.to_dtype(DType::F32)?;
    let sum = tensor.abs()?.sum_all()?.to_scalar::<f32>()?;
    Ok(sum.is_finite().then_some(tensor))
}
