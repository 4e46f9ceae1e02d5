//! Sums of int8 products by AVX-512 VNNI: 64 products in one instruction.
//!
//! In: rows and a panel. Out: a tile. `vpdpbusd` multiplies unsigned by signed, so the weights come
//! with 128 added, and 128 times the row's sum is where each sum starts from, below zero.

use std::arch::x86_64::{
    __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_storeu_ps,
};

use super::{PANEL, ROWS, Rows, SHIFT, STEP, Tile};

/// Registers of sums per row, of 16 columns each.
const WIDE: usize = PANEL / LANES;
const LANES: usize = 16;

/// # Safety
/// The CPU has AVX-512 F and VNNI; `rows.values` holds `rows.sums.len()` rows, at most [`ROWS`], of
/// `panel.len() / PANEL` values, a multiple of [`STEP`].
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn tile(rows: Rows<'_>, panel: &[u8], tile: &mut Tile) {
    // SAFETY: as the caller promises; the number of rows is the one that is named.
    unsafe {
        match rows.sums.len() {
            1 => few::<1>(rows, panel, tile),
            2 => few::<2>(rows, panel, tile),
            3 => few::<3>(rows, panel, tile),
            4 => few::<4>(rows, panel, tile),
            5 => few::<5>(rows, panel, tile),
            ROWS => few::<ROWS>(rows, panel, tile),
            _ => {}
        }
    }
}

/// # Safety
/// As [`tile`], with exactly `M` rows.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn few<const M: usize>(rows: Rows<'_>, panel: &[u8], tile: &mut Tile) {
    let depth = panel.len() / PANEL;
    let (inputs, weights) = (rows.values.as_ptr(), panel.as_ptr());
    let mut sums: [[__m512i; WIDE]; M] = [[_mm512_setzero_si512(); WIDE]; M];
    for (row, sum) in sums.iter_mut().zip(rows.sums) {
        *row = [_mm512_set1_epi32(-SHIFT * sum); WIDE];
    }
    let starts: [_; M] = std::array::from_fn(|row| inputs.wrapping_add(row * depth));
    for at in (0..depth).step_by(STEP) {
        let mut fours = [_mm512_setzero_si512(); WIDE];
        for (wide, four) in fours.iter_mut().enumerate() {
            // SAFETY: the panel holds `depth / STEP` groups of `PANEL * STEP` bytes, and a group
            // holds `WIDE` of 64.
            *four = unsafe {
                _mm512_loadu_si512(weights.add(at * PANEL + wide * PANEL).cast::<__m512i>())
            };
        }
        for (input, sums) in starts.iter().zip(&mut sums) {
            // SAFETY: there are `M` rows of `depth` bytes, and `at` is where a group of four begins.
            let four = unsafe { input.add(at).cast::<i32>().read_unaligned() };
            let four = _mm512_set1_epi32(four);
            for (sum, weights) in sums.iter_mut().zip(fours) {
                *sum = _mm512_dpbusd_epi32(*sum, weights, four);
            }
        }
    }
    for (out, sums) in tile.iter_mut().zip(sums) {
        for (out, sum) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(sums) {
            // SAFETY: `out` is 16 floats.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), _mm512_cvtepi32_ps(sum)) };
        }
    }
}
