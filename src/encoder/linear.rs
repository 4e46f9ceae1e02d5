//! A linear layer in int8: rows times weights, then scale, bias and what follows.
//!
//! In: [`IntRows`]. Out: floats, stored, passed through GELU, or added to what is there. Invariant:
//! a row's result depends on no other row. A weight is an int8 times its output's scale, an input
//! an int8 times its row's scale, found anew for every row.

use pulp::{Arch, Simd, WithSimd};

use super::kernels::{Kernel, PANEL, Packed, ROWS, Rows, Tile};
use super::lanes;

/// Rows of int8 with a scale each; room that is used again and again.
#[derive(Default)]
pub(super) struct IntRows {
    values: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl IntRows {
    /// Takes in rows of `depth` floats, in place of those before.
    pub(super) fn fill(&mut self, floats: &[f32], depth: usize) {
        let count = floats.len() / depth;
        self.values.resize(count * depth, 0);
        self.scales.resize(count, 0.0);
        self.sums.resize(count, 0);
        Arch::new().dispatch(Fill { rows: self, floats, depth });
    }
}

struct Fill<'a> {
    rows: &'a mut IntRows,
    floats: &'a [f32],
    depth: usize,
}

impl WithSimd for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let IntRows { values, scales, sums } = self.rows;
        let rows = self.floats.chunks_exact(self.depth).zip(values.chunks_exact_mut(self.depth));
        for ((row, out), (scale, sum)) in rows.zip(scales.iter_mut().zip(sums)) {
            (*scale, *sum) = lanes::quantize(simd, row, out);
        }
    }
}

/// What becomes of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finish {
    /// It is stored.
    Store,
    /// Its GELU is stored.
    Gelu,
    /// It is added to what is there.
    Add,
}

/// Weights, a scale per output, a bias per output.
pub(super) struct Linear {
    weights: Packed,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// `None` for sizes that do not fit together or that no kernel takes.
    pub(super) fn new(weights: &[i8], scales: Vec<f32>, bias: Vec<f32>) -> Option<Self> {
        let outputs = scales.len();
        let depth = weights.len().checked_div(outputs)?;
        let fits = bias.len() == outputs && weights.len() == outputs * depth;
        let weights = Packed::new(weights, depth).filter(|_| fits)?;
        Some(Self { weights, scales, bias })
    }

    /// Outputs.
    pub(super) fn width(&self) -> usize {
        self.scales.len()
    }

    /// Inputs.
    pub(super) fn depth(&self) -> usize {
        self.weights.depth()
    }

    /// Applies the layer to all rows; `out` is `[rows, width]`.
    pub(super) fn apply(&self, kernel: Kernel, rows: &IntRows, finish: Finish, out: &mut [f32]) {
        let (depth, width) = (self.depth(), self.width());
        let mut tile: Tile = [[0.0; PANEL]; ROWS];
        let arch = Arch::new();
        for (panel, weights) in self.weights.panels().enumerate() {
            let column = panel * PANEL;
            for (first, count) in blocks(rows.sums.len()) {
                let block = first..first + count;
                let values = &rows.values[first * depth..][..count * depth];
                kernel.tile(Rows { values, sums: &rows.sums[block.clone()] }, weights, &mut tile);
                arch.dispatch(Finished {
                    tile: &tile,
                    scales: &rows.scales[block],
                    weight_scales: &self.scales[column..][..PANEL],
                    bias: &self.bias[column..][..PANEL],
                    finish,
                    out: (&mut out[first * width..][..count * width], column),
                });
            }
        }
    }
}

/// Cuts rows into blocks of at most [`ROWS`]; the last two are about equal, since a block of one row
/// takes nearly as long as one of six.
fn blocks(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = rows - first;
        let count = if left > ROWS && left < 2 * ROWS { left.div_ceil(2) } else { left.min(ROWS) };
        let block = (first, count);
        first += count;
        (count > 0).then_some(block)
    })
}

/// A tile on its way out; `out` is the rows and the first column.
struct Finished<'a> {
    tile: &'a Tile,
    scales: &'a [f32],
    weight_scales: &'a [f32],
    bias: &'a [f32],
    finish: Finish,
    out: (&'a mut [f32], usize),
}

impl WithSimd for Finished<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (out, column) = self.out;
        let ((weight_scales, _), (bias, _)) =
            (S::as_simd_f32s(self.weight_scales), S::as_simd_f32s(self.bias));
        let stride = out.len() / self.scales.len().max(1);
        let rows = out.chunks_exact_mut(stride).zip(self.tile).zip(self.scales);
        for ((out, sums), scale) in rows {
            let ((out, _), (sums, _)) =
                (S::as_mut_simd_f32s(&mut out[column..][..PANEL]), S::as_simd_f32s(sums));
            let scale = simd.splat_f32s(*scale);
            let columns = out.iter_mut().zip(sums).zip(weight_scales.iter().zip(bias));
            for ((out, sum), (weight_scale, bias)) in columns {
                let scale = simd.mul_f32s(scale, *weight_scale);
                let value = simd.mul_add_f32s(*sum, scale, *bias);
                *out = match self.finish {
                    Finish::Store => value,
                    Finish::Gelu => lanes::gelu(simd, value),
                    Finish::Add => simd.add_f32s(*out, value),
                };
            }
        }
    }
}
