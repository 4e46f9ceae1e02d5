//! The pooled trunk: a prompt's vector and features to the abilities it asks for.
//!
//! In: as many floats as the encoder gives, and [`crate::features::COUNT`]. Out: z, [`LATENT`] floats. Shapes: standardise `[D]`,
//! hidden `[D, H]` with ReLU, latent `[H, 32]`. Weights are stored input-major, so that each input
//! adds its row to the outputs: that loop vectorises.

use pulp::{Arch, Simd, WithSimd};

use super::manifest::ArtifactError;
use super::tensors::{Reader, Writer};

/// Floats of the latent vector.
pub const LATENT: usize = 32;

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
    /// Reads the trunk of an artifact whose tensors' names begin so, for this many inputs.
    pub(super) fn read(
        reader: &Reader<'_>,
        prefix: &str,
        inputs: usize,
    ) -> Result<Self, ArtifactError> {
        let hidden = reader.axis(&format!("{prefix}.hidden.weight"), 1);
        let floats =
            |name: &str, shape: &[usize]| reader.floats(&format!("{prefix}.{name}"), shape);
        Ok(Self {
            input_mean: floats("input.mean", &[inputs])?,
            input_scale: floats("input.scale", &[inputs])?,
            hidden_weight: floats("hidden.weight", &[inputs, hidden])?,
            hidden_bias: floats("hidden.bias", &[hidden])?,
            latent_weight: floats("latent.weight", &[hidden, LATENT])?,
            latent_bias: floats("latent.bias", &[LATENT])?,
        })
    }

    pub(super) fn write(&self, writer: &mut Writer, prefix: &str) {
        let (inputs, hidden) = (self.input_mean.len(), self.hidden_bias.len());
        let mut add = |name: &str, shape: &[usize], floats: &[f32]| {
            writer.add(format!("{prefix}.{name}"), shape, floats);
        };
        add("input.mean", &[inputs], &self.input_mean);
        add("input.scale", &[inputs], &self.input_scale);
        add("hidden.weight", &[inputs, hidden], &self.hidden_weight);
        add("hidden.bias", &[hidden], &self.hidden_bias);
        add("latent.weight", &[hidden, LATENT], &self.latent_weight);
        add("latent.bias", &[LATENT], &self.latent_bias);
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
