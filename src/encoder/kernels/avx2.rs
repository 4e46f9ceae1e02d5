//! Sums of int8 products by AVX2: both sides widened to 16 bits, 16 products in one instruction.
//!
//! In: rows and a panel. Out: a tile. Why not `vpmaddubsw` on the bytes as they are: it adds two
//! products into 16 bits and cuts what does not fit, and 2 * 255 * 127 does not.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_set1_epi32, _mm256_add_epi32, _mm256_cvtepi8_epi16,
    _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16, _mm256_hadd_epi32, _mm256_madd_epi16,
    _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_ps,
    _mm256_sub_epi32,
};

use super::{PANEL, ROWS, Rows, SHIFT, STEP, Tile};

/// Columns whose sums fit two registers, two halves of a sum per column.
const COLUMNS: usize = 8;
/// Puts the columns in order after the halves were added: 0 1 4 5, 2 3 6 7.
const IN_ORDER: i32 = 0b11_01_10_00;

/// # Safety
/// The CPU has AVX2; `rows.values` holds `rows.sums.len()` rows, at most [`ROWS`], of
/// `panel.len() / PANEL` values, a multiple of [`STEP`].
#[target_feature(enable = "avx2")]
pub(super) unsafe fn tile(rows: Rows<'_>, panel: &[u8], tile: &mut Tile) {
    for first in (0..PANEL).step_by(COLUMNS) {
        // SAFETY: as the caller promises; the number of rows is the one that is named.
        unsafe {
            match rows.sums.len() {
                1 => few::<1>(rows, panel, first, tile),
                2 => few::<2>(rows, panel, first, tile),
                3 => few::<3>(rows, panel, first, tile),
                4 => few::<4>(rows, panel, first, tile),
                5 => few::<5>(rows, panel, first, tile),
                ROWS => few::<ROWS>(rows, panel, first, tile),
                _ => {}
            }
        }
    }
}

/// The columns from `first` on.
///
/// # Safety
/// As [`tile`], with exactly `M` rows, and `first` a multiple of [`COLUMNS`] below [`PANEL`].
#[target_feature(enable = "avx2")]
unsafe fn few<const M: usize>(rows: Rows<'_>, panel: &[u8], first: usize, tile: &mut Tile) {
    let depth = panel.len() / PANEL;
    let (inputs, weights) = (rows.values.as_ptr(), panel.as_ptr());
    let mut sums: [[__m256i; 2]; M] = [[_mm256_setzero_si256(); 2]; M];
    let starts: [_; M] = std::array::from_fn(|row| inputs.wrapping_add(row * depth));
    for at in (0..depth).step_by(STEP) {
        let place = at * PANEL + first * STEP;
        // SAFETY: the panel holds `depth / STEP` groups of `PANEL` columns of four bytes, and eight
        // columns from `first` on are 32 bytes of one group.
        let (low, high) = unsafe {
            let place = weights.add(place).cast::<__m128i>();
            (_mm_loadu_si128(place), _mm_loadu_si128(place.add(1)))
        };
        let (low, high) = (_mm256_cvtepu8_epi16(low), _mm256_cvtepu8_epi16(high));
        for (input, sums) in starts.iter().zip(&mut sums) {
            // SAFETY: there are `M` rows of `depth` bytes, and `at` is where a group of four begins.
            let four = unsafe { input.add(at).cast::<i32>().read_unaligned() };
            let four = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
            sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, four));
            sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, four));
        }
    }
    for ((out, halves), sum) in tile.iter_mut().zip(sums).zip(rows.sums) {
        let both = _mm256_hadd_epi32(halves[0], halves[1]);
        let both = _mm256_permute4x64_epi64::<IN_ORDER>(both);
        let whole = _mm256_sub_epi32(both, _mm256_set1_epi32(SHIFT * sum));
        let out = &mut out[first..first + COLUMNS];
        // SAFETY: `out` is eight floats.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtepi32_ps(whole)) };
    }
}
