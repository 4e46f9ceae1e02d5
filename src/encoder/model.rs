//! The transformer layers as a candle operation: rows in, one vector per sequence out, in one go.
//!
//! In: the embedding layer's rows as a tensor `[tokens, width]`. Out: `[sequences, width]`. Why one
//! operation: between candle's own, every intermediate is a tensor of its own in memory; the stock
//! f32 layers took fourteen times as long (2026, issue 5). Candle's own f32 operations are the
//! reference in this file's tests. Invariant: the same rows give the same bits, alone or in a batch.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Shape, Tensor};

use super::stack::Stack;

/// Layers over the sequences of one batch.
struct Pass<'a> {
    stack: &'a Stack,
    /// Tokens of each sequence.
    lengths: &'a [usize],
}

impl CustomOp1 for Pass<'_> {
    fn name(&self) -> &'static str {
        "pointsman-layers"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (tokens, width) = layout.shape().dims2()?;
        let wanted: usize = self.lengths.iter().sum();
        if (tokens, width) != (wanted, self.stack.width()) {
            let (got, want) = (layout.shape().clone(), self.stack.width());
            candle_core::bail!("{}: rows are {got:?}, wanted {wanted} of {want}", self.name());
        }
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("{}: rows must lie one after the other", self.name());
        };
        let rows = &storage.as_slice::<f32>()?[start..end];
        let means = self.stack.means(rows, self.lengths);
        Ok((CpuStorage::F32(means), Shape::from((self.lengths.len(), width))))
    }
}

/// The mean of every sequence after the last layer, one after the other.
pub(super) fn means(
    stack: &Stack,
    rows: Vec<f32>,
    lengths: &[usize],
) -> candle_core::Result<Vec<f32>> {
    let tokens: usize = lengths.iter().sum();
    let rows = Tensor::from_vec(rows, (tokens, stack.width()), &Device::Cpu)?;
    rows.apply_op1_no_bwd(&Pass { stack, lengths })?.flatten_all()?.to_vec1()
}
