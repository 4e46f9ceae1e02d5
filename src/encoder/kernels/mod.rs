//! Sums of int8 products, the one hot loop of the encoder, in three makes.
//!
//! In: up to [`ROWS`] rows of int8 and a panel of [`PANEL`] packed weight columns. Out: a [`Tile`] of
//! sums. Invariant: every make gives the same bits, because all of it is integer arithmetic that
//! cannot overflow (see [`DEPTH_MAX`]). The only `unsafe` of the crate is here: intrinsics that read
//! through pointers, behind length checks and behind the CPU's own word of what it can do. Not here:
//! scales, biases and everything else in floats (see [`super::linear`]).
#![allow(unsafe_code, reason = "vector intrinsics; nowhere else in the crate")]

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vnni512;

/// Weight columns in a panel: four 512-bit registers of sums per row.
pub(super) const PANEL: usize = 64;
/// Rows of a tile. 6 x 4 registers of sums, 4 of weights and a spare one fill the 32 of AVX-512.
pub(super) const ROWS: usize = 6;
/// Products that are summed at a time by the CPU's instruction for it.
const STEP: usize = 4;
/// What is added to a weight so that it fits the unsigned operand of that instruction.
const SHIFT: i32 = 128;
/// The longest row. 255 * 127 * 4,096 is 1.3e8, far from where an i32 ends; BERT-large has 4,096.
pub(super) const DEPTH_MAX: usize = 4_096;

/// Sums of products: row, column. Floats because scales come next; sums above 2^24 round alike in
/// every make.
pub(super) type Tile = [[f32; PANEL]; ROWS];

/// Weights as the kernels read them: per panel, per four inputs, per column, four weights plus 128.
#[derive(Clone)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    depth: usize,
}

impl Packed {
    /// Packs int8 rows, one per output, of `depth` inputs. `None` for sizes that no kernel takes:
    /// outputs and inputs come in multiples of [`PANEL`], inputs at most [`DEPTH_MAX`].
    pub(super) fn new(weights: &[i8], depth: usize) -> Option<Self> {
        let sized = depth > 0 && depth.is_multiple_of(PANEL) && depth <= DEPTH_MAX;
        if !sized || weights.is_empty() || !weights.len().is_multiple_of(depth * PANEL) {
            return None;
        }
        let mut bytes = Vec::with_capacity(weights.len());
        for columns in weights.chunks_exact(depth * PANEL) {
            for at in (0..depth).step_by(STEP) {
                let fours = columns.chunks_exact(depth).flat_map(|it| &it[at..at + STEP]);
                bytes.extend(fours.map(|it| it.cast_unsigned() ^ 0x80));
            }
        }
        Some(Self { bytes, depth })
    }

    /// Inputs per output.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The panels, in the order of the columns.
    pub(super) fn panels(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks_exact(self.depth * PANEL)
    }
}

/// Up to [`ROWS`] rows of int8 from -127 to 127, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// The values, `[rows, depth]`.
    pub(super) values: &'a [i8],
    /// The sum of each row.
    pub(super) sums: &'a [i32],
}

/// A make that this CPU can run; there is no other way to get one than to ask the CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel(Make);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Make {
    #[cfg(target_arch = "x86_64")]
    Vnni512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Kernel {
    /// The fastest one here.
    pub(super) fn best() -> Self {
        Self::all().next().unwrap_or(Self(Make::Portable))
    }

    /// All that run here, fastest first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = {
            let vnni =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
            let avx2 = is_x86_feature_detected!("avx2");
            [vnni.then_some(Self(Make::Vnni512)), avx2.then_some(Self(Make::Avx2))]
        };
        #[cfg(not(target_arch = "x86_64"))]
        let wide = [None, None];
        wide.into_iter().flatten().chain([Self(Make::Portable)])
    }

    /// What it is called, for people who measure.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Make::Vnni512 => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Make::Avx2 => "avx2",
            Make::Portable => "portable",
        }
    }

    /// Sums the products of every row with every column of a panel; rows beyond those given are left
    /// as they are. Rows or panels of odd sizes give nothing.
    pub(super) fn tile(self, rows: Rows<'_>, panel: &[u8], tile: &mut Tile) {
        let (depth, count) = (panel.len() / PANEL, rows.sums.len());
        let whole = panel.len() == depth * PANEL && depth.is_multiple_of(STEP);
        if !whole || count > ROWS || rows.values.len() != count * depth {
            debug_assert!(false, "{count} rows of {} against {depth}", rows.values.len());
            return;
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Make::Vnni512 => {
                // SAFETY: `Make::Vnni512` is made only in `all`, after the CPU said that it has
                // AVX-512 F and VNNI; the lengths were checked above.
                unsafe { vnni512::tile(rows, panel, tile) }
            }
            #[cfg(target_arch = "x86_64")]
            Make::Avx2 => {
                // SAFETY: `Make::Avx2` is made only in `all`, after the CPU said that it has AVX2;
                // the lengths were checked above.
                unsafe { avx2::tile(rows, panel, tile) }
            }
            Make::Portable => portable::tile(rows, panel, tile),
        }
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}
