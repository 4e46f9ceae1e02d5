//! Attention of one sequence, head by head, in floats.
//!
//! In: queries, keys and values side by side, `[tokens, 3 * width]`, the queries already times
//! log2(e) over the root of the head's size. Out: `[tokens, width]`. Invariant: a sequence sees only
//! itself, and its result does not depend on what else is in the batch.

use pulp::{Simd, WithSimd};

use super::lanes::exp2;

/// Queries at a time; with two vectors of keys that is eight sums, as many as two multipliers with a
/// latency of four keep busy.
const QUERIES: usize = 4;
/// Floats of a cache line. Keys lie a line further apart than they would have to, so that the writes
/// of a transposed row do not all fall into the same sets of the cache.
const LINE: usize = 16;
/// The most keys that two vectors hold.
const ROUNDED_TO: usize = 32;

/// Room that is used again and again.
#[derive(Default)]
pub(super) struct AttentionScratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
}

/// The attention of one sequence.
pub(super) struct Attention<'a> {
    /// Queries, keys, values, `[tokens, 3 * width]`.
    pub(super) qkv: &'a [f32],
    /// Where the result goes, `[tokens, width]`.
    pub(super) out: &'a mut [f32],
    /// Floats of a token.
    pub(super) width: usize,
    /// Floats of a head.
    pub(super) head: usize,
    /// Room.
    pub(super) scratch: &'a mut AttentionScratch,
}

/// One head, its keys transposed and its values in a row. `padded` keys are computed, `stride` lie
/// between two floats of a key.
struct Head<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    tokens: usize,
    padded: usize,
    stride: usize,
    head: usize,
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { qkv, out, width, head, scratch } = self;
        let tokens = out.len() / width;
        let padded = tokens.next_multiple_of(ROUNDED_TO);
        let stride = padded + LINE;
        let AttentionScratch { keys, values, scores } = scratch;
        keys.resize(head * stride, 0.0);
        values.resize(tokens * head, 0.0);
        scores.resize(QUERIES * padded, 0.0);
        for first in (0..width).step_by(head) {
            let rows = qkv.chunks_exact(3 * width);
            for (at, (row, values)) in rows.zip(values.chunks_exact_mut(head)).enumerate() {
                let key = &row[width + first..][..head];
                for (keys, it) in keys.chunks_exact_mut(stride).zip(key) {
                    keys[at] = *it;
                }
                values.copy_from_slice(&row[2 * width + first..][..head]);
            }
            let of = Head { keys, values, tokens, padded, stride, head };
            for at in (0..tokens).step_by(QUERIES) {
                let queries = &qkv[at * 3 * width + first..];
                let out = &mut out[at * width + first..];
                match (tokens - at).min(QUERIES) {
                    1 => of.attend::<S, 1>(simd, (queries, out), width, scores),
                    2 => of.attend::<S, 2>(simd, (queries, out), width, scores),
                    3 => of.attend::<S, 3>(simd, (queries, out), width, scores),
                    _ => of.attend::<S, QUERIES>(simd, (queries, out), width, scores),
                }
            }
        }
    }
}

impl Head<'_> {
    /// `M` queries, from the start of `queries`, to the start of `out`.
    #[inline(always)]
    fn attend<S: Simd, const M: usize>(
        &self,
        simd: S,
        (queries, out): (&[f32], &mut [f32]),
        width: usize,
        scores: &mut [f32],
    ) {
        let mut inverse = [0.0; M];
        let mut rows: [&[f32]; M] = [&[]; M];
        for (at, row) in rows.iter_mut().enumerate() {
            *row = &queries[at * 3 * width..][..self.head];
        }
        self.score::<S, M>(simd, rows, scores);
        for (row, inverse) in scores.chunks_exact_mut(self.padded).zip(&mut inverse) {
            *inverse = soften(simd, row, self.tokens);
        }
        let pair = 2 * S::F32_LANES;
        for first in (0..self.head).step_by(pair) {
            let sums = self.mix::<S, M>(simd, scores, first);
            for (at, (sums, inverse)) in sums.into_iter().zip(inverse).enumerate() {
                let (out, _) = S::as_mut_simd_f32s(&mut out[at * width + first..][..pair]);
                for (out, sum) in out.iter_mut().zip(sums) {
                    *out = simd.mul_f32s(sum, simd.splat_f32s(inverse));
                }
            }
        }
    }

    /// Query times key, for every key.
    #[inline(always)]
    fn score<S: Simd, const M: usize>(&self, simd: S, queries: [&[f32]; M], scores: &mut [f32]) {
        let (keys, _) = S::as_simd_f32s(self.keys);
        let (scores, _) = S::as_mut_simd_f32s(scores);
        let (vectors, stride) = (self.padded / S::F32_LANES, self.stride / S::F32_LANES);
        for at in (0..vectors).step_by(2) {
            let mut sums = [[simd.splat_f32s(0.0); 2]; M];
            for (float, keys) in keys.chunks_exact(stride).enumerate() {
                let (left, right) = (keys[at], keys[at + 1]);
                for (sums, query) in sums.iter_mut().zip(queries) {
                    let query = simd.splat_f32s(query[float]);
                    sums[0] = simd.mul_add_f32s(query, left, sums[0]);
                    sums[1] = simd.mul_add_f32s(query, right, sums[1]);
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                scores[row * vectors + at] = sums[0];
                scores[row * vectors + at + 1] = sums[1];
            }
        }
    }

    /// Two vectors of every query's values, weighted with its scores.
    #[inline(always)]
    fn mix<S: Simd, const M: usize>(
        &self,
        simd: S,
        scores: &[f32],
        first: usize,
    ) -> [[S::f32s; 2]; M] {
        let mut sums = [[simd.splat_f32s(0.0); 2]; M];
        let mut rows: [&[f32]; M] = [&[]; M];
        for (at, row) in rows.iter_mut().enumerate() {
            *row = &scores[at * self.padded..][..self.tokens];
        }
        for (at, values) in self.values.chunks_exact(self.head).enumerate() {
            let (values, _) = S::as_simd_f32s(&values[first..][..2 * S::F32_LANES]);
            for (sums, row) in sums.iter_mut().zip(rows) {
                let weight = simd.splat_f32s(row[at]);
                sums[0] = simd.mul_add_f32s(weight, values[0], sums[0]);
                sums[1] = simd.mul_add_f32s(weight, values[1], sums[1]);
            }
        }
        sums
    }
}

/// Scores into weights, before they are divided by their sum; gives one over it.
#[inline(always)]
fn soften<S: Simd>(simd: S, row: &mut [f32], tokens: usize) -> f32 {
    // Far below any score, so what is no key weighs 2^-126.
    row[tokens..].fill(-1e30);
    let (row, _) = S::as_mut_simd_f32s(row);
    let mut largest = simd.splat_f32s(-1e30);
    for it in row.iter() {
        largest = simd.max_f32s(largest, *it);
    }
    let largest = simd.splat_f32s(simd.reduce_max_f32s(largest));
    let mut sum = simd.splat_f32s(0.0);
    for it in row.iter_mut() {
        *it = exp2(simd, simd.sub_f32s(*it, largest));
        sum = simd.add_f32s(sum, *it);
    }
    1.0 / simd.reduce_sum_f32s(sum)
}
