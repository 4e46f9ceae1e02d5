//! MiniLM's official tensors, by their official names, as int8 layers and as plain f32 ones.
//!
//! In: `model.safetensors` in bytes. Out: what the shipped encoder is made of, and the same layers in
//! floats to check it against. Invariant: a tensor that is missing or of another shape is named.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};
use pointsman::encoder::reference::{PlainLayer, PlainLinear, PlainNorm};
use pointsman::encoder::{
    EmbeddingLayer, LayerWeights, LinearWeights, NormWeights, QuantizedRows, TOKENS_MAX, WIDTH,
};

/// The official tensors.
pub(super) struct Official(HashMap<String, Tensor>);

impl Official {
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        Ok(Self(candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?))
    }

    fn tensor(&self, name: &str) -> Result<Tensor> {
        let found = self.0.get(name).with_context(|| format!("no tensor `{name}`"))?;
        Ok(found.to_dtype(DType::F32)?)
    }

    /// Word rows, position rows with the first type row added, LayerNorm.
    pub(super) fn embedding(&self) -> Result<(Tensor, Tensor, PlainNorm)> {
        let words = self.tensor("embeddings.word_embeddings.weight")?;
        let columns = words.dim(1)?;
        ensure!(columns == WIDTH, "the words have {columns} columns, {WIDTH} are wanted");
        let first_type = self.tensor("embeddings.token_type_embeddings.weight")?.narrow(0, 0, 1)?;
        let positions = self.tensor("embeddings.position_embeddings.weight")?;
        let shape = positions.dims();
        ensure!(shape == [TOKENS_MAX, WIDTH], "the positions are {shape:?}");
        Ok((words, positions.broadcast_add(&first_type)?, self.norm("embeddings.LayerNorm")?))
    }

    /// One layer in floats.
    pub(super) fn layer(&self, at: usize) -> Result<PlainLayer> {
        let linear = |name: &str| self.linear(&format!("encoder.layer.{at}.{name}"));
        let norm = |name: &str| self.norm(&format!("encoder.layer.{at}.{name}"));
        let [queries, keys, values] =
            ["query", "key", "value"].map(|it| linear(&format!("attention.self.{it}")));
        let (queries, keys, values) = (queries?, keys?, values?);
        let weights = [&queries.weight, &keys.weight, &values.weight];
        let biases = [&queries.bias, &keys.bias, &values.bias];
        let weight = Tensor::cat(&weights, 0)?;
        let qkv = PlainLinear { weight, bias: Tensor::cat(&biases, 0)? };
        Ok(PlainLayer {
            qkv,
            out: linear("attention.output.dense")?,
            attention_norm: norm("attention.output.LayerNorm")?,
            up: linear("intermediate.dense")?,
            down: linear("output.dense")?,
            norm: norm("output.LayerNorm")?,
        })
    }

    fn linear(&self, name: &str) -> Result<PlainLinear> {
        let weight = self.tensor(&format!("{name}.weight"))?;
        Ok(PlainLinear { weight, bias: self.tensor(&format!("{name}.bias"))? })
    }

    fn norm(&self, name: &str) -> Result<PlainNorm> {
        let gain = self.tensor(&format!("{name}.weight"))?;
        Ok(PlainNorm { gain, bias: self.tensor(&format!("{name}.bias"))? })
    }
}

/// The embedding layer with its words in int8.
pub(super) fn embedding(official: &Official) -> Result<EmbeddingLayer> {
    let (words, positions, norm) = official.embedding()?;
    Ok(EmbeddingLayer {
        words: QuantizedRows::quantize(&floats(&words)?, WIDTH),
        positions: floats(&positions)?,
        gain: floats(&norm.gain)?,
        bias: floats(&norm.bias)?,
    })
}

/// A layer in int8.
pub(super) fn int8(layer: &PlainLayer) -> Result<LayerWeights> {
    let linear = |it: &PlainLinear| -> Result<LinearWeights> {
        let inputs = it.weight.dim(1)?;
        Ok(LinearWeights::quantize(&floats(&it.weight)?, inputs, floats(&it.bias)?))
    };
    let norm = |it: &PlainNorm| -> Result<NormWeights> {
        Ok(NormWeights { gain: floats(&it.gain)?, bias: floats(&it.bias)? })
    };
    Ok(LayerWeights {
        qkv: linear(&layer.qkv)?,
        out: linear(&layer.out)?,
        attention_norm: norm(&layer.attention_norm)?,
        up: linear(&layer.up)?,
        down: linear(&layer.down)?,
        norm: norm(&layer.norm)?,
    })
}

pub(super) fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.flatten_all()?.to_vec1()?)
}
