//! A transformer layer's weights as they lie in a file: int8 rows, scales, biases, norms.
//!
//! In: floats (when a file is made) or tensors (when one is read). Out: [`LayerWeights`], and from
//! them a layer that runs. Invariant: what is written is the model's own numbers; what only our
//! attention wants, the queries' factor, is put in when a layer is built and never stored.

use super::embedding::QuantizedRows;
use super::linear::Linear;
use super::stack::{Layer, Norm};

/// A linear layer: int8 rows, one per output, with a scale each, and a bias per output.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearWeights {
    /// `[outputs, inputs]`.
    pub rows: QuantizedRows,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

impl LinearWeights {
    /// Rounds rows of `inputs` floats to int8.
    pub fn quantize(rows: &[f32], inputs: usize, bias: Vec<f32>) -> Self {
        Self { rows: QuantizedRows::quantize(rows, inputs), bias }
    }
}

/// A LayerNorm.
#[derive(Debug, Clone, PartialEq)]
pub struct NormWeights {
    /// `[width]`.
    pub gain: Vec<f32>,
    /// `[width]`.
    pub bias: Vec<f32>,
}

/// One layer of BERT's kind.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerWeights {
    /// Queries, keys and values, one after the other, `[3 * width, width]`.
    pub qkv: LinearWeights,
    /// After attention, `[width, width]`.
    pub out: LinearWeights,
    /// After attention's sum.
    pub attention_norm: NormWeights,
    /// To the wide middle, `[inner, width]`.
    pub up: LinearWeights,
    /// And back, `[width, inner]`.
    pub down: LinearWeights,
    /// At the end.
    pub norm: NormWeights,
}

impl LayerWeights {
    /// Names of the linear parts in a file, in the order of [`Self::linears`].
    pub(super) const LINEARS: [&str; 4] = ["qkv", "out", "up", "down"];
    /// Names of the norms in a file, in the order of [`Self::norms`].
    pub(super) const NORMS: [&str; 2] = ["attention_norm", "norm"];

    pub(super) fn linears(&self) -> [&LinearWeights; 4] {
        [&self.qkv, &self.out, &self.up, &self.down]
    }

    pub(super) fn norms(&self) -> [&NormWeights; 2] {
        [&self.attention_norm, &self.norm]
    }

    /// A layer that runs, with heads of so many floats; `None` if its parts do not fit together.
    pub(super) fn build(self, head: usize) -> Option<Layer> {
        let linear = |it: LinearWeights| Linear::new(&it.rows.values, it.rows.scales, it.bias);
        let norm = |it: NormWeights| Norm { gain: it.gain, bias: it.bias };
        let mut qkv = self.qkv;
        // exp(x) is 2^(x log2 e), and every score is divided by the root of the head's size.
        let factor = (std::f64::consts::LOG2_E / (head.max(1) as f64).sqrt()) as f32;
        let width = self.out.bias.len();
        let queries = qkv.rows.scales.iter_mut().take(width);
        queries.chain(qkv.bias.iter_mut().take(width)).for_each(|it| *it *= factor);
        Some(Layer {
            qkv: linear(qkv)?,
            out: linear(self.out)?,
            attention_norm: norm(self.attention_norm),
            up: linear(self.up)?,
            down: linear(self.down)?,
            norm: norm(self.norm),
        })
    }
}
