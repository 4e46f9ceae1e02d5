//! The network that is trained: trunk and heads as candle variables.
//!
//! In: standardised inputs `[B, D]`. Out: quality logits and standardised log tokens, `[B, M]` each.
//! All draws come from one seeded generator, never from candle's own, so runs repeat.

use candle_core::{Device, Result, Tensor, Var};
use pointsman::prediction::LATENT;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::targets::INPUT;

/// Variables of trunk and heads.
pub(crate) struct Network {
    pub hidden_weight: Var,
    pub hidden_bias: Var,
    pub latent_weight: Var,
    pub latent_bias: Var,
    pub quality_weight: Var,
    pub quality_bias: Var,
    pub tokens_weight: Var,
    pub tokens_bias: Var,
}

/// What the heads say of a batch.
pub(crate) struct Said {
    pub quality: Tensor,
    pub tokens: Tensor,
}

impl Network {
    /// He's initialisation for the trunk; heads start near zero, quality at its models' log odds.
    pub(crate) fn new(hidden: usize, log_odds: &[f32], draws: &mut ChaCha8Rng) -> Result<Self> {
        let models = log_odds.len();
        let zeros = |size: usize| Var::from_vec(vec![0.0_f32; size], size, &Device::Cpu);
        Ok(Self {
            hidden_weight: uniform(INPUT, hidden, (6.0 / INPUT as f32).sqrt(), draws)?,
            hidden_bias: zeros(hidden)?,
            latent_weight: uniform(hidden, LATENT, (6.0 / hidden as f32).sqrt(), draws)?,
            latent_bias: zeros(LATENT)?,
            quality_weight: uniform(LATENT, models, 0.1, draws)?,
            quality_bias: Var::from_slice(log_odds, models, &Device::Cpu)?,
            tokens_weight: uniform(LATENT, models, 0.1, draws)?,
            tokens_bias: zeros(models)?,
        })
    }

    pub(crate) fn variables(&self) -> Vec<Var> {
        let all = [
            &self.hidden_weight,
            &self.hidden_bias,
            &self.latent_weight,
            &self.latent_bias,
            &self.quality_weight,
            &self.quality_bias,
            &self.tokens_weight,
            &self.tokens_bias,
        ];
        all.map(Var::clone).to_vec()
    }

    /// The latent vectors `[B, 32]`; `mask`, where given, drops hidden floats.
    pub(crate) fn latent(&self, inputs: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let hidden =
            inputs.matmul(&self.hidden_weight)?.broadcast_add(&self.hidden_bias)?.relu()?;
        let hidden = match mask {
            Some(mask) => (hidden * mask)?,
            None => hidden,
        };
        hidden.matmul(&self.latent_weight)?.broadcast_add(&self.latent_bias)
    }

    pub(crate) fn heads(&self, latent: &Tensor) -> Result<Said> {
        Ok(Said {
            quality: latent.matmul(&self.quality_weight)?.broadcast_add(&self.quality_bias)?,
            tokens: latent.matmul(&self.tokens_weight)?.broadcast_add(&self.tokens_bias)?,
        })
    }
}

fn uniform(rows: usize, columns: usize, bound: f32, draws: &mut ChaCha8Rng) -> Result<Var> {
    let floats: Vec<f32> = (0..rows * columns).map(|_| draws.random_range(-bound..bound)).collect();
    Var::from_vec(floats, (rows, columns), &Device::Cpu)
}
