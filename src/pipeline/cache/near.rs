//! Questions that are nearly the same: all but the words of the last turn is, and those are close in the
//! encoder's space.
//!
//! In: embeddings with their frames. Out: the nearest that was kept. Invariant: bounded
//! ([`NEIGHBOURS_MAX`]), the oldest go first; embeddings of different exits are not compared. How often
//! the nearest means something else is in docs/cache.md.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key::{Frame, Key};
use crate::encoder::Encoded;

/// Most questions that are compared with: at 384 floats 6 MiB, and 0.5 ms to go through where all of
/// them have one frame.
const NEIGHBOURS_MAX: usize = 4_096;

/// A question's place among others.
#[derive(Debug, Clone)]
pub(super) struct Near {
    frame: Frame,
    exit: u8,
    /// Of length 1.
    vector: Arc<[f32]>,
}

impl Near {
    pub(super) fn new(frame: Frame, encoded: &Encoded) -> Self {
        let floats = encoded.embedding.as_slice();
        let norm = floats.iter().map(|it| it * it).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        let vector = floats.iter().map(|it| it / norm).collect();
        Self { frame, exit: encoded.exit, vector }
    }

    /// The cosine of the angle between two; `None` where they cannot be compared.
    fn similarity(&self, other: &Self) -> Option<f32> {
        let comparable = self.frame == other.frame && self.exit == other.exit;
        let same_width = self.vector.len() == other.vector.len();
        let product = || self.vector.iter().zip(&*other.vector).map(|(a, b)| a * b).sum();
        (comparable && same_width).then(product)
    }
}

/// The questions of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Neighbours(Mutex<VecDeque<(Near, Key)>>);

impl Neighbours {
    pub(super) fn add(&self, near: Near, key: Key) {
        let mut all = self.all();
        all.retain(|(_, it)| *it != key);
        if all.len() >= NEIGHBOURS_MAX {
            all.pop_front();
        }
        all.push_back((near, key));
    }

    /// The most similar question that is at least so similar.
    pub(super) fn nearest(&self, to: &Near, least: f32) -> Option<(Key, f32)> {
        let all = self.all();
        let similar = all.iter().filter_map(|(near, key)| Some((*key, near.similarity(to)?)));
        similar.filter(|it| it.1 >= least).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Plain values, whole after every step.
    fn all(&self) -> MutexGuard<'_, VecDeque<(Near, Key)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
