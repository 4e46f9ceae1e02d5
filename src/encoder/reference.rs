//! The same layers in f32 by candle's own operations: slow, plain, and what ours is checked against.
//!
//! In: weights in floats, one sequence's rows. Out: its rows after the layers. Invariant: written as
//! BERT's paper has it, one operation after the other; nothing here is shared with the fast path. Not
//! here: anything that serves requests.

use candle_core::{D, Device, Result, Tensor};

use super::{LayerWeights, LinearWeights, NormWeights};

/// A linear layer: `[outputs, inputs]` and `[outputs]`.
#[derive(Debug, Clone)]
pub struct PlainLinear {
    /// Weights.
    pub weight: Tensor,
    /// Bias.
    pub bias: Tensor,
}

/// A LayerNorm: gain and bias, `[width]` each.
#[derive(Debug, Clone)]
pub struct PlainNorm {
    /// What the normalised row is multiplied by.
    pub gain: Tensor,
    /// What is added to it.
    pub bias: Tensor,
}

/// One layer of BERT's kind.
#[derive(Debug, Clone)]
pub struct PlainLayer {
    /// Queries, keys and values, one after the other.
    pub qkv: PlainLinear,
    /// After attention.
    pub out: PlainLinear,
    /// After attention's sum.
    pub attention_norm: PlainNorm,
    /// To the wide middle.
    pub up: PlainLinear,
    /// And back.
    pub down: PlainLinear,
    /// At the end.
    pub norm: PlainNorm,
}

impl PlainLinear {
    fn of(weights: &LinearWeights) -> Result<Self> {
        let rows = &weights.rows;
        let inputs = rows.values.len() / rows.scales.len().max(1);
        let floats = rows.values.chunks(inputs.max(1)).zip(&rows.scales);
        let floats: Vec<f32> = floats
            .flat_map(|(row, scale)| row.iter().map(move |it| f32::from(*it) * scale))
            .collect();
        let weight = Tensor::from_vec(floats, (rows.scales.len(), inputs), &Device::Cpu)?;
        Ok(Self { weight, bias: Tensor::new(weights.bias.as_slice(), &Device::Cpu)? })
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

impl PlainNorm {
    fn of(weights: &NormWeights) -> Result<Self> {
        let tensor = |it: &[f32]| Tensor::new(it, &Device::Cpu);
        Ok(Self { gain: tensor(&weights.gain)?, bias: tensor(&weights.bias)? })
    }

    /// Every row normalised.
    ///
    /// # Errors
    /// When shapes do not fit together.
    pub fn apply(&self, x: &Tensor, epsilon: f64) -> Result<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
        let x = x.broadcast_div(&(variance + epsilon)?.sqrt()?)?;
        x.broadcast_mul(&self.gain)?.broadcast_add(&self.bias)
    }
}

impl PlainLayer {
    /// From int8 weights, as they are after rounding.
    ///
    /// # Errors
    /// When shapes do not fit together.
    pub fn of(weights: &LayerWeights) -> Result<Self> {
        Ok(Self {
            qkv: PlainLinear::of(&weights.qkv)?,
            out: PlainLinear::of(&weights.out)?,
            attention_norm: PlainNorm::of(&weights.attention_norm)?,
            up: PlainLinear::of(&weights.up)?,
            down: PlainLinear::of(&weights.down)?,
            norm: PlainNorm::of(&weights.norm)?,
        })
    }

    /// One sequence's rows, `[tokens, width]`, after this layer, with heads of `head` floats.
    ///
    /// # Errors
    /// When shapes do not fit together.
    pub fn apply(&self, x: &Tensor, head: usize, epsilon: f64) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let qkv = self.qkv.apply(x)?.reshape((tokens, 3, width / head, head))?;
        let part = |at| qkv.narrow(1, at, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
        let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
        let scores = (queries.matmul(&keys.t()?)? / (head as f64).sqrt())?;
        let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
        let mixed = weights.matmul(&values)?.transpose(0, 1)?.reshape((tokens, width))?;
        let x = self.attention_norm.apply(&(self.out.apply(&mixed)? + x)?, epsilon)?;
        let wide = self.up.apply(&x)?.gelu_erf()?;
        self.norm.apply(&(self.down.apply(&wide)? + &x)?, epsilon)
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
