//! The float loops of a transformer layer, for whatever vectors the machine has.
//!
//! In: rows of floats, their length a multiple of [`super::kernels::PANEL`]. Out: rows changed in
//! place, or as int8. Invariant: no branch and no order of sums depends on anything but the row
//! itself, so a row gives the same bits alone and in a batch.

use pulp::Simd;

/// Added to a float below 2^22 in magnitude, this leaves its nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;
/// Floats that are narrowed to bytes at a time; a multiple of every vector's length.
const NARROWED: usize = 32;
/// 2^x for |x| <= 1/2, coefficients by a minimax fit (ours, 2026); relative error below 3e-6.
const EXP2: [f32; 5] = [0.999_999_26, 0.693_121_83, 0.240_247_46, 0.055_917_72, 0.009_569_983];
/// (Phi(x) - 1/2) / x in powers of x^2 for |x| <= [`GELU_END`], where Phi is the normal
/// distribution; ours, as above. GELU's error is below 6e-5, where a step of int8 is about 0.03.
const GELU: [f32; 9] = [
    3.987_125_7e-1,
    -6.598_459e-2,
    9.585_163e-3,
    -1.037_579_8e-3,
    8.142_333e-5,
    -4.451_558_3e-6,
    1.590_905e-7,
    -3.314_395_2e-9,
    3.036_102_3e-11,
];
const GELU_END: f32 = 4.5;

#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    coefficients
        .iter()
        .rev()
        .fold(zero, |sum, next| simd.mul_add_f32s(sum, x, simd.splat_f32s(*next)))
}

/// 2 to the power of `x`, for `x` up to 0; below -126 it stays at 2^-126.
#[inline(always)]
pub(super) fn exp2<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(x, simd.splat_f32s(-126.0));
    let rounded = simd.add_f32s(x, simd.splat_f32s(ROUND));
    let rest = simd.sub_f32s(x, simd.sub_f32s(rounded, simd.splat_f32s(ROUND)));
    let power = simd.transmute_u32s_f32s(rounded);
    // The integer, moved to where a float has its exponent.
    let power = simd.wrapping_dyn_shl_u32s(power, simd.splat_u32s(23));
    let power = simd.add_u32s(power, simd.splat_u32s(1.0_f32.to_bits()));
    simd.mul_f32s(polynomial(simd, rest, &EXP2), simd.transmute_f32s_u32s(power))
}

/// x times the share of a normal distribution below x.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let inner = simd.max_f32s(x, simd.splat_f32s(-GELU_END));
    let inner = simd.min_f32s(inner, simd.splat_f32s(GELU_END));
    let slope = polynomial(simd, simd.mul_f32s(inner, inner), &GELU);
    simd.mul_f32s(x, simd.mul_add_f32s(inner, slope, simd.splat_f32s(0.5)))
}

/// LayerNorm in place.
#[inline(always)]
pub(super) fn normalize<S: Simd>(
    simd: S,
    row: &mut [f32],
    (gain, bias): (&[f32], &[f32]),
    epsilon: f32,
) {
    let share = 1.0 / row.len() as f32;
    let (row, _) = S::as_mut_simd_f32s(row);
    let mut sums = [simd.splat_f32s(0.0); 4];
    for four in row.chunks_exact(4) {
        for (sum, it) in sums.iter_mut().zip(four) {
            *sum = simd.add_f32s(*sum, *it);
        }
    }
    let mean = simd.splat_f32s(total(simd, sums) * share);
    let mut squares = [simd.splat_f32s(0.0); 4];
    for four in row.chunks_exact_mut(4) {
        for (square, it) in squares.iter_mut().zip(four) {
            *it = simd.sub_f32s(*it, mean);
            *square = simd.mul_add_f32s(*it, *it, *square);
        }
    }
    let inverse = simd.splat_f32s(1.0 / (total(simd, squares) * share + epsilon).sqrt());
    let ((gain, _), (bias, _)) = (S::as_simd_f32s(gain), S::as_simd_f32s(bias));
    for (it, (gain, bias)) in row.iter_mut().zip(gain.iter().zip(bias)) {
        *it = simd.mul_add_f32s(simd.mul_f32s(*it, inverse), *gain, *bias);
    }
}

#[inline(always)]
fn total<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> f32 {
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

/// Rounds a row to 255 steps of its largest magnitude; gives the step and the sum of the integers.
/// A row of zeros has steps of some size, too; one that is not finite comes out as anything.
#[inline(always)]
pub(super) fn quantize<S: Simd>(simd: S, row: &[f32], out: &mut [i8]) -> (f32, i32) {
    let (vectors, _) = S::as_simd_f32s(row);
    let mut largest = [simd.splat_f32s(f32::MIN_POSITIVE); 4];
    for four in vectors.chunks_exact(4) {
        for (largest, it) in largest.iter_mut().zip(four) {
            *largest = simd.max_f32s(*largest, simd.abs_f32s(*it));
        }
    }
    let [a, b, c, d] = largest;
    let largest = simd.reduce_max_f32s(simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d)));
    // Not smaller than what has a finite inverse.
    let step = (largest / 127.0).max(1e-30);
    let (inverse, round) = (simd.splat_f32s(1.0 / step), simd.splat_f32s(ROUND));
    let mut sum = simd.splat_f32s(0.0);
    let (wholes, _) = row.as_chunks::<NARROWED>();
    let (bytes, _) = out.as_chunks_mut::<NARROWED>();
    for (floats, bytes) in wholes.iter().zip(bytes) {
        let mut bits = [0_u32; NARROWED];
        let ((floats, _), (wide, _)) = (S::as_simd_f32s(floats), S::as_mut_simd_u32s(&mut bits));
        for (it, wide) in floats.iter().zip(wide) {
            let rounded = simd.mul_add_f32s(*it, inverse, round);
            sum = simd.add_f32s(sum, simd.sub_f32s(rounded, round));
            *wide = simd.transmute_u32s_f32s(rounded);
        }
        for (byte, bits) in bytes.iter_mut().zip(bits) {
            // The low byte of the integer, as two's complement has it.
            *byte = bits as i8;
        }
    }
    (step, simd.reduce_sum_f32s(sum) as i32)
}
