//! Transformer layers, one after the other, and the mean over each sequence's tokens.
//!
//! In: the embedding layer's rows of several sequences, end to end. Out: one vector per sequence.
//! Invariant: no padding, one thread, and a sequence's vector has the same bits alone and in any
//! batch. Not here: files (see [`super::layers_file`]) and candle (see [`super::model`]).

use std::sync::{Mutex, PoisonError};

use pulp::{Arch, Simd, WithSimd};

use super::attention::{Attention, AttentionScratch};
use super::kernels::Kernel;
use super::lanes;
use super::linear::{Finish, IntRows, Linear};

/// Rows that go through the feed-forward part at a time: their wide middle, 1,536 floats each, then
/// stays in the core's own cache.
const CHUNK: usize = 128;

/// A LayerNorm's gain and bias.
pub(super) struct Norm {
    /// What the normalised row is multiplied by.
    pub(super) gain: Vec<f32>,
    /// What is added to it.
    pub(super) bias: Vec<f32>,
}

/// One layer of BERT's kind: attention, feed-forward, a LayerNorm after each.
pub(super) struct Layer {
    /// Queries, keys and values in one; the queries scaled as [`super::attention`] wants them.
    pub(super) qkv: Linear,
    /// After attention.
    pub(super) out: Linear,
    /// After attention's sum.
    pub(super) attention_norm: Norm,
    /// To the wide middle.
    pub(super) up: Linear,
    /// And back.
    pub(super) down: Linear,
    /// At the end.
    pub(super) norm: Norm,
}

/// Layers that fit together.
pub(super) struct Stack {
    layers: Vec<Layer>,
    head: usize,
    epsilon: f32,
    kernel: Kernel,
    /// Room for passes that are over; never more than there were at the same time.
    spare: Mutex<Vec<Scratch>>,
}

/// Room for one pass.
#[derive(Default)]
struct Scratch {
    states: Vec<f32>,
    qkv: Vec<f32>,
    context: Vec<f32>,
    middle: Vec<f32>,
    narrow: IntRows,
    wide: IntRows,
    attention: AttentionScratch,
}

impl Stack {
    /// `None` if a layer does not fit the next, or heads do not fill it.
    pub(super) fn new(layers: Vec<Layer>, head: usize, epsilon: f32) -> Option<Self> {
        let width = layers.first()?.out.width();
        let fits = |it: &Layer| {
            let norms = [&it.attention_norm.gain, &it.attention_norm.bias, &it.norm.gain];
            let norms = norms.into_iter().chain([&it.norm.bias]);
            (it.qkv.depth(), it.qkv.width()) == (width, 3 * width)
                && (it.out.depth(), it.out.width()) == (width, width)
                && (it.up.depth(), it.down.width()) == (width, width)
                && it.up.width() == it.down.depth()
                && norms.into_iter().all(|norm| norm.len() == width)
        };
        let heads = head > 0 && head.is_multiple_of(32) && width.is_multiple_of(head);
        let whole = heads && layers.iter().all(fits);
        let kernel = Kernel::best();
        whole.then(|| Self { layers, head, epsilon, kernel, spare: Mutex::default() })
    }

    /// How many layers.
    pub(super) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Floats of a token.
    pub(super) fn width(&self) -> usize {
        self.layers.first().map_or(0, |it| it.out.width())
    }

    /// The kernel in use.
    pub(super) fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// As it is, but with another kernel.
    #[cfg(test)]
    pub(super) fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// The mean over the tokens of each sequence, `[sequences, width]`; `rows` is `[tokens, width]`,
    /// and `lengths` add up to the tokens. An empty sequence gives zeros.
    pub(super) fn means(&self, rows: &[f32], lengths: &[usize]) -> Vec<f32> {
        let mut scratch = self.spare().pop().unwrap_or_default();
        scratch.states.clear();
        scratch.states.extend_from_slice(rows);
        for layer in &self.layers {
            self.run(layer, lengths, &mut scratch);
        }
        let means = means(&scratch.states, lengths, self.width());
        self.spare().push(scratch);
        means
    }

    /// Plain room, whole after every step: a thread that panicked while holding it did no harm.
    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, layer: &Layer, lengths: &[usize], scratch: &mut Scratch) {
        let width = self.width();
        let Scratch { states, qkv, context, middle, narrow, wide, attention } = scratch;
        let tokens = states.len() / width;
        qkv.resize(tokens * 3 * width, 0.0);
        context.resize(tokens * width, 0.0);
        narrow.fill(states, width);
        layer.qkv.apply(self.kernel, narrow, Finish::Store, qkv);
        let (mut qkv, mut rest) = (qkv.as_slice(), context.as_mut_slice());
        for length in lengths {
            let (own, after) = qkv.split_at(length * 3 * width);
            let (out, after_out) = rest.split_at_mut(length * width);
            let head = self.head;
            Arch::new().dispatch(Attention { qkv: own, out, width, head, scratch: attention });
            (qkv, rest) = (after, after_out);
        }
        let inner = layer.up.width();
        for (states, context) in states.chunks_mut(CHUNK * width).zip(context.chunks(CHUNK * width))
        {
            narrow.fill(context, width);
            layer.out.apply(self.kernel, narrow, Finish::Add, states);
            self.normalize(states, &layer.attention_norm);
            narrow.fill(states, width);
            middle.resize(states.len() / width * inner, 0.0);
            layer.up.apply(self.kernel, narrow, Finish::Gelu, middle);
            wide.fill(middle, inner);
            layer.down.apply(self.kernel, wide, Finish::Add, states);
            self.normalize(states, &layer.norm);
        }
    }

    fn normalize(&self, rows: &mut [f32], norm: &Norm) {
        Arch::new().dispatch(Normalized { rows, norm, epsilon: self.epsilon });
    }
}

struct Normalized<'a> {
    rows: &'a mut [f32],
    norm: &'a Norm,
    epsilon: f32,
}

impl WithSimd for Normalized<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Norm { gain, bias } = self.norm;
        for row in self.rows.chunks_exact_mut(gain.len()) {
            lanes::normalize(simd, row, (gain, bias), self.epsilon);
        }
    }
}

fn means(states: &[f32], lengths: &[usize], width: usize) -> Vec<f32> {
    let mut rest = states;
    let each = lengths.iter().flat_map(|length| {
        let (own, after) = rest.split_at(length * width);
        rest = after;
        let mut mean = vec![0.0; width];
        for row in own.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(sum, it)| *sum += it);
        }
        let share = 1.0 / (*length).max(1) as f32;
        mean.iter_mut().for_each(|it| *it *= share);
        mean
    });
    each.collect()
}
