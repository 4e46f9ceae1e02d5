//! Sums of int8 products in plain Rust: what the other makes are checked against.
//!
//! In: rows and a panel. Out: a tile. Invariant: the sum of row times weight, nothing else; the
//! shift in the packed weights is taken off one by one.

use super::{PANEL, Rows, SHIFT, STEP, Tile};

pub(super) fn tile(rows: Rows<'_>, panel: &[u8], tile: &mut Tile) {
    let depth = panel.len() / PANEL;
    for (row, out) in rows.values.chunks_exact(depth).zip(tile) {
        let mut sums = [0_i32; PANEL];
        for (inputs, fours) in row.chunks_exact(STEP).zip(panel.chunks_exact(PANEL * STEP)) {
            for (sum, weights) in sums.iter_mut().zip(fours.as_chunks::<STEP>().0) {
                for (input, weight) in inputs.iter().zip(weights) {
                    *sum += i32::from(*input) * (i32::from(*weight) - SHIFT);
                }
            }
        }
        *out = sums.map(|it| it as f32);
    }
}
