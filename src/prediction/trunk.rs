//! The pooled trunk: a prompt's vector and features to the abilities it asks for.
//!
//! In: 384 + [`crate::features::COUNT`] floats. Out: z, [`LATENT`] floats. Shapes: standardise `[D]`,
//! hidden `[D, H]` with ReLU, latent `[H, 32]`. Weights are stored input-major, so that each input
//! adds its row to the outputs: that loop vectorises.

use pulp::{Arch, Simd, WithSimd};

use super::manifest::ArtifactError;
use super::tensors::{Reader, Writer};
use crate::encoder::WIDTH;
use crate::features::COUNT;

/// Floats of the latent vector.
pub const LATENT: usize = 32;
/// Floats that go in.
const INPUT: usize = WIDTH + COUNT;

/// The trunk's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Trunk {
    /// Mean of each input over the training prompts, `[D]`.
    pub input_mean: Vec<f32>,
    /// One over the standard deviation of each input, `[D]`.
    pub input_scale: Vec<f32>,
    /// `[D, H]`, row-major.
    pub hidden_weight: Vec<f32>,
    /// `[H]`.
    pub hidden_bias: Vec<f32>,
    /// `[H, 32]`, row-major.
    pub latent_weight: Vec<f32>,
    /// `[32]`.
    pub latent_bias: Vec<f32>,
}

/// Standardised inputs are kept inside this many deviations: a prompt unlike any in training
/// must not be thrown far outside of where anything was learned.
const DEVIATIONS_MAX: f32 = 6.0;

impl Trunk {
    /// Reads the trunk of an artifact.
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, ArtifactError> {
        let hidden = reader.axis("trunk.hidden.weight", 1);
        Ok(Self {
            input_mean: reader.floats("trunk.input.mean", &[INPUT])?,
            input_scale: reader.floats("trunk.input.scale", &[INPUT])?,
            hidden_weight: reader.floats("trunk.hidden.weight", &[INPUT, hidden])?,
            hidden_bias: reader.floats("trunk.hidden.bias", &[hidden])?,
            latent_weight: reader.floats("trunk.latent.weight", &[hidden, LATENT])?,
            latent_bias: reader.floats("trunk.latent.bias", &[LATENT])?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let hidden = self.hidden_bias.len();
        writer.add("trunk.input.mean", &[INPUT], &self.input_mean);
        writer.add("trunk.input.scale", &[INPUT], &self.input_scale);
        writer.add("trunk.hidden.weight", &[INPUT, hidden], &self.hidden_weight);
        writer.add("trunk.hidden.bias", &[hidden], &self.hidden_bias);
        writer.add("trunk.latent.weight", &[hidden, LATENT], &self.latent_weight);
        writer.add("trunk.latent.bias", &[LATENT], &self.latent_bias);
    }

    /// Standardised inputs, from a vector and features.
    pub fn standardise(&self, embedding: &[f32], features: &[f32]) -> Vec<f32> {
        let inputs = embedding.iter().chain(features);
        let scales = self.input_mean.iter().zip(&self.input_scale);
        let standard = inputs.zip(scales).map(|(input, (mean, scale))| (input - mean) * scale);
        standard.map(|it| it.clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX)).collect()
    }

    /// The latent vector of standardised inputs.
    pub fn latent(&self, inputs: &[f32]) -> [f32; LATENT] {
        let mut hidden = self.hidden_bias.clone();
        let mut latent = [0.0; LATENT];
        latent.copy_from_slice(&self.latent_bias);
        let arch = Arch::new();
        let weights = &self.hidden_weight;
        arch.dispatch(AddRows { inputs, weights, outputs: &mut hidden });
        for value in &mut hidden {
            *value = value.max(0.0);
        }
        let weights = &self.latent_weight;
        arch.dispatch(AddRows { inputs: &hidden, weights, outputs: &mut latent });
        latent
    }
}

/// `outputs += inputs * weights`, weights being `[inputs, outputs]`. A value and not a closure, so
/// that its loops are compiled for AVX2 too, where the machine has it.
struct AddRows<'a> {
    inputs: &'a [f32],
    weights: &'a [f32],
    outputs: &'a mut [f32],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let rows = self.weights.chunks_exact(self.outputs.len());
        for (input, row) in self.inputs.iter().zip(rows) {
            for (output, weight) in self.outputs.iter_mut().zip(row) {
                *output += input * weight;
            }
        }
    }
}
