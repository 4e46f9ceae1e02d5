//! MiniLM's embedding layer from int8 rows, and the mean over tokens.
//!
//! In: token ids. Out: [`Embedding`], or every token's row for the layers that follow. `LayerNorm(word + position + type)`, averaged. The normalised
//! sum is linear in the row once its mean and deviation are known, so the gain and the bias are
//! applied once per text and not once per token. Shapes: word table `[vocabulary, 384]` int8 with a
//! scale per row, positions `[512, 384]` f32 with the type row added in.

use pulp::{Arch, Simd, WithSimd};

use super::window::TOKENS_MAX;

/// Floats of an embedding.
pub const WIDTH: usize = 384;
/// LayerNorm's epsilon, as in the model's own config.
pub(super) const EPSILON: f32 = 1e-12;

/// A text's vector, 384 floats with the shipped encoder. `Debug` prints only its norm: vectors can be turned back to words.
#[derive(Clone, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// A vector that layers made.
    pub(super) fn new(floats: Vec<f32>) -> Self {
        Self(floats)
    }

    /// The floats.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// This vector and `share` of another in place of as much of this.
    pub(super) fn mixed(mut self, other: &Self, share: f32) -> Self {
        for (own, its) in self.0.iter_mut().zip(&other.0) {
            *own += share * (its - *own);
        }
        self
    }
}

impl std::fmt::Debug for Embedding {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let norm = self.0.iter().map(|it| it * it).sum::<f32>().sqrt();
        write!(out, "<{} floats, norm {norm:.3}>", self.0.len())
    }
}

/// A matrix as int8 rows with a scale each.
#[derive(Clone, PartialEq)]
pub struct QuantizedRows {
    /// The values, row after row.
    pub values: Vec<i8>,
    /// What to multiply each row by.
    pub scales: Vec<f32>,
}

impl QuantizedRows {
    /// Rounds each row of `width` floats to 255 steps of its largest magnitude.
    pub fn quantize(rows: &[f32], width: usize) -> Self {
        let mut quantized = Self { values: Vec::with_capacity(rows.len()), scales: Vec::new() };
        for row in rows.chunks_exact(width.max(1)) {
            let largest = row.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
            let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            quantized.scales.push(scale);
            quantized.values.extend(row.iter().map(|it| (it / scale).round() as i8));
        }
        quantized
    }
}

impl std::fmt::Debug for QuantizedRows {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "<{} int8 rows>", self.scales.len())
    }
}

/// The embedding layer.
pub struct EmbeddingLayer {
    /// Word rows.
    pub words: QuantizedRows,
    /// Position rows with the first type row added, `[512, 384]`.
    pub positions: Vec<f32>,
    /// LayerNorm's gain, `[384]`.
    pub gain: Vec<f32>,
    /// LayerNorm's bias, `[384]`.
    pub bias: Vec<f32>,
}

impl std::fmt::Debug for EmbeddingLayer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "EmbeddingLayer({:?})", self.words)
    }
}

impl EmbeddingLayer {
    /// Appends every token's row, normalised, to `rows`; the same tokens as [`Self::mean`] reads.
    /// Gives back how many there were.
    pub(super) fn append(&self, ids: &[u32], rows: &mut Vec<f32>) -> usize {
        Arch::new().dispatch(AppendTokens { layer: self, ids, rows })
    }

    /// The mean over tokens; ids beyond the vocabulary and tokens beyond [`TOKENS_MAX`] are left
    /// out. No token gives zeros.
    pub fn mean(&self, ids: &[u32]) -> Embedding {
        let mut sum = [0.0_f32; WIDTH];
        let tokens = Arch::new().dispatch(AddTokens { layer: self, ids, sum: &mut sum });
        let share = 1.0 / tokens.max(1) as f32;
        let bias_share = if tokens == 0 { 0.0 } else { 1.0 };
        let scaled = sum.iter().zip(self.gain.iter().zip(&self.bias));
        Embedding(
            scaled.map(|(sum, (gain, bias))| sum * share * gain + bias * bias_share).collect(),
        )
    }
}

/// Appends each token's normalised row; gives back how many there were.
struct AppendTokens<'a> {
    layer: &'a EmbeddingLayer,
    ids: &'a [u32],
    rows: &'a mut Vec<f32>,
}

impl WithSimd for AppendTokens<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        let EmbeddingLayer { words, positions, gain, bias } = self.layer;
        let (rows, _) = words.values.as_chunks::<WIDTH>();
        let (positions, _) = positions.as_chunks::<WIDTH>();
        let mut tokens = 0;
        let mut row = [0.0_f32; WIDTH];
        for (id, position) in self.ids.iter().zip(positions).take(TOKENS_MAX) {
            let at = *id as usize;
            let (Some(word), Some(scale)) = (rows.get(at), words.scales.get(at)) else { continue };
            let (mean, inverse) = read_row(word, *scale, position, &mut row);
            for (row, (gain, bias)) in row.iter_mut().zip(gain.iter().zip(bias)) {
                *row = (*row - mean) * inverse * gain + bias;
            }
            self.rows.extend_from_slice(&row);
            tokens += 1;
        }
        tokens
    }
}

/// Adds each token's normalised row, before gain and bias; gives back how many there were. A value
/// and not a closure, so that its loops are compiled for AVX2 too, where the machine has it.
struct AddTokens<'a> {
    layer: &'a EmbeddingLayer,
    ids: &'a [u32],
    sum: &'a mut [f32; WIDTH],
}

impl WithSimd for AddTokens<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> usize {
        let QuantizedRows { values, scales } = &self.layer.words;
        let (words, _) = values.as_chunks::<WIDTH>();
        let (positions, _) = self.layer.positions.as_chunks::<WIDTH>();
        let mut tokens = 0;
        let mut row = [0.0_f32; WIDTH];
        // What the rows' means add up to, to be taken off every float at the end.
        let mut means = 0.0;
        for (id, position) in self.ids.iter().zip(positions).take(TOKENS_MAX) {
            let at = *id as usize;
            let (Some(word), Some(scale)) = (words.get(at), scales.get(at)) else { continue };
            let (mean, inverse) = read_row(word, *scale, position, &mut row);
            for (sum, row) in self.sum.iter_mut().zip(&row) {
                *sum += row * inverse;
            }
            means += mean * inverse;
            tokens += 1;
        }
        self.sum.iter_mut().for_each(|it| *it -= means);
        tokens
    }
}

/// Floats that are summed side by side, so that the sums vectorise; 32 took 19 us for 128 tokens
/// where 16 took 32 us.
const LANES: usize = 32;

/// Writes `word * scale + position` to `row`; gives its mean and one over its standard deviation.
#[inline(always)]
fn read_row(
    word: &[i8; WIDTH],
    scale: f32,
    position: &[f32; WIDTH],
    row: &mut [f32; WIDTH],
) -> (f32, f32) {
    let (mut sums, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (words, _) = word.as_chunks::<LANES>();
    let (positions, _) = position.as_chunks::<LANES>();
    let (rows, _) = row.as_chunks_mut::<LANES>();
    for ((row, word), position) in rows.iter_mut().zip(words).zip(positions) {
        for lane in 0..LANES {
            let value = f32::from(word[lane]) * scale + position[lane];
            row[lane] = value;
            sums[lane] += value;
            squares[lane] += value * value;
        }
    }
    let mean = sums.iter().sum::<f32>() / WIDTH as f32;
    let variance = (squares.iter().sum::<f32>() / WIDTH as f32 - mean * mean).max(0.0);
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer() -> EmbeddingLayer {
        let wave = |count: usize, step: f32| -> Vec<f32> {
            (0..count * WIDTH).map(|it| (it as f32 * step).sin() * 0.05).collect()
        };
        EmbeddingLayer {
            words: QuantizedRows::quantize(&wave(100, 0.37), WIDTH),
            positions: wave(TOKENS_MAX, 0.11),
            gain: wave(1, 0.7).iter().map(|it| 1.0 + it).collect(),
            bias: wave(1, 0.3),
        }
    }

    /// Word, position, LayerNorm, mean, one after the other in f64.
    fn naive(layer: &EmbeddingLayer, ids: &[u32]) -> Vec<f64> {
        let mut mean = vec![0.0; WIDTH];
        for (position, id) in ids.iter().enumerate() {
            let id = *id as usize;
            let row: Vec<f64> = (0..WIDTH)
                .map(|at| {
                    let word = f64::from(layer.words.values[id * WIDTH + at]);
                    word * f64::from(layer.words.scales[id])
                        + f64::from(layer.positions[position * WIDTH + at])
                })
                .collect();
            let centre = row.iter().sum::<f64>() / WIDTH as f64;
            let variance = row.iter().map(|it| (it - centre).powi(2)).sum::<f64>() / WIDTH as f64;
            for (at, value) in row.iter().enumerate() {
                let normal = (value - centre) / (variance + 1e-12).sqrt();
                mean[at] += (normal * f64::from(layer.gain[at]) + f64::from(layer.bias[at]))
                    / ids.len() as f64;
            }
        }
        mean
    }

    #[test]
    fn the_mean_matches_a_naive_reference() {
        let layer = layer();
        for ids in [vec![7], vec![1, 99, 1, 4], (0..512).map(|it| it % 100).collect::<Vec<u32>>()] {
            let found = layer.mean(&ids);
            for (found, wanted) in found.as_slice().iter().zip(naive(&layer, &ids)) {
                assert!((f64::from(*found) - wanted).abs() < 1e-4, "{found} {wanted}");
            }
        }
    }

    #[test]
    fn the_mean_is_the_mean_of_the_rows() {
        let (layer, ids) = (layer(), [7, u32::MAX, 1, 99, 4]);
        let mut rows = Vec::new();
        assert_eq!(layer.append(&ids, &mut rows), 4);
        let mean = layer.mean(&ids);
        for (at, mean) in mean.as_slice().iter().enumerate() {
            let wanted = rows.iter().skip(at).step_by(WIDTH).sum::<f32>() / 4.0;
            assert!((mean - wanted).abs() < 1e-4, "{mean} {wanted}");
        }
    }

    #[test]
    fn odd_ids_do_no_harm() {
        let layer = layer();
        assert!(layer.mean(&[]).as_slice().iter().all(|it| *it == 0.0));
        assert_eq!(layer.mean(&[u32::MAX]), layer.mean(&[]));
        assert!(layer.mean(&vec![3; 2_000]).as_slice().iter().all(|it| it.is_finite()));
    }
}
