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
const EXP2: [f32; 5] = [0.999_999_3, 0.693_121_83, 0.240_247_46, 0.055_917_72, 0.009_569_983];
/// (Phi(x) - 1/2) / x in powers of x^2 for |x| <= [`GELU_END`], where Phi is the normal
/// distribution; ours, as above. GELU's error is below 6e-5, where a step of int8 is about 0.03.
const GELU: [f32; 9] = [
    3.987_125_7e-1,
    -6.598_459e-2,
    9.585_163e-3,
    -1.037_579_8e-3,
    8.142_333e-5,
    -4.451_558e-6,
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
        // The low byte of the integer, as two's complement has it.
        *bytes = bits.map(|it| it as i8);
    }
    (step, simd.reduce_sum_f32s(sum) as i32)
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, Scalar, WithSimd};

    use super::*;

    /// Both curves over a row: exp2, then GELU.
    struct Curves<'a>(&'a mut [f32], &'a mut [f32]);

    impl WithSimd for Curves<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for it in S::as_mut_simd_f32s(self.0).0 {
                *it = exp2(simd, *it);
            }
            for it in S::as_mut_simd_f32s(self.1).0 {
                *it = gelu(simd, *it);
            }
        }
    }

    /// The normal distribution below `x`, by steps of the trapezoid rule.
    fn below(x: f64) -> f64 {
        let steps = 4_000;
        let height = |at: f64| (-at * at / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let width = (x + 10.0) / f64::from(steps);
        let at = |step: i32| height(-10.0 + f64::from(step) * width);
        width * ((1..steps).map(at).sum::<f64>() + (at(0) + at(steps)) / 2.0)
    }

    #[test]
    fn curves_are_close_to_the_true_ones() {
        let exponents: Vec<f32> = (0..640).map(|it| it as f32 * -0.2).collect();
        let inputs: Vec<f32> = (-320..320).map(|it| it as f32 * 0.025).collect();
        let (mut powers, mut gelus) = (exponents.clone(), inputs.clone());
        Arch::new().dispatch(Curves(&mut powers, &mut gelus));
        for (x, found) in exponents.iter().zip(powers) {
            let wanted = f64::from(x.max(-126.0)).exp2();
            assert!((f64::from(found) / wanted - 1.0).abs() < 4e-6, "2^{x}: {found}");
        }
        for (x, found) in inputs.iter().zip(gelus) {
            let wanted = f64::from(*x) * below(f64::from(*x));
            assert!((f64::from(found) - wanted).abs() < 1e-4, "gelu({x}): {found} {wanted}");
        }
    }

    #[test]
    fn integers_and_steps_give_the_row_back() {
        let check = |row: &[f32]| {
            let mut out = vec![0; row.len()];
            let (step, sum) = quantize(Scalar::new(), row, &mut out);
            assert_eq!(sum, out.iter().copied().map(i32::from).sum::<i32>());
            assert!(step.is_finite() && step > 0.0 && !out.contains(&i8::MIN));
            for (value, integer) in row.iter().zip(out) {
                assert!((value - f32::from(integer) * step).abs() <= 0.51 * step, "{value}");
            }
        };
        check(&(0..64).map(|it| (it as f32 * 0.7).sin()).collect::<Vec<_>>());
        check(&(0..128).map(|it| (it as f32).exp2() * 1e-12).collect::<Vec<_>>());
        check(&[0.0; 64]);
        check(&[-3e38; 64]);
    }

    #[test]
    fn a_normal_row_has_its_gain_and_bias() {
        let mut row: Vec<f32> = (0..64).map(|it| it as f32 * 3.0 + 100.0).collect();
        normalize(Scalar::new(), &mut row, (&[2.0; 64], &[0.5; 64]), 1e-12);
        let mean = row.iter().sum::<f32>() / 64.0;
        let variance = row.iter().map(|it| (it - mean).powi(2)).sum::<f32>() / 64.0;
        assert!((mean - 0.5).abs() < 1e-4 && (variance - 4.0).abs() < 1e-3, "{mean} {variance}");
    }
}
