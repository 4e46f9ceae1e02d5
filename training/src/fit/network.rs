//! The network that is trained: a trunk for each exit, and heads that all of them share.
//!
//! In: standardised inputs `[B, D]` of one exit. Out: quality logits and standardised log tokens,
//! `[B, M]` each. All draws come from one seeded generator, never from candle's own, so runs repeat.
//! Why shared heads: a model has one place in ability space, whichever exit a prompt was read at; new
//! models and updates then need one head too.

use candle_core::{Device, Result, Tensor, Var};
use pointsman::prediction::LATENT;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Variables of one exit's trunk.
pub(crate) struct TrunkVars {
    pub hidden_weight: Var,
    pub hidden_bias: Var,
    pub latent_weight: Var,
    pub latent_bias: Var,
}

/// Variables of trunks and heads.
pub(crate) struct Network {
    /// In the order of the exits.
    pub trunks: Vec<TrunkVars>,
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

impl TrunkVars {
    /// He's initialisation.
    fn new(inputs: usize, hidden: usize, draws: &mut ChaCha8Rng) -> Result<Self> {
        Ok(Self {
            hidden_weight: uniform(inputs, hidden, (6.0 / inputs as f32).sqrt(), draws)?,
            hidden_bias: zeros(hidden)?,
            latent_weight: uniform(hidden, LATENT, (6.0 / hidden as f32).sqrt(), draws)?,
            latent_bias: zeros(LATENT)?,
        })
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
}

impl Network {
    /// A trunk for each exit, by how many inputs it has. Heads start near zero, quality at its models' log
    /// odds.
    pub(crate) fn new(
        exits: &[usize],
        hidden: usize,
        log_odds: &[f32],
        draws: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let models = log_odds.len();
        Ok(Self {
            trunks: exits
                .iter()
                .map(|it| TrunkVars::new(*it, hidden, draws))
                .collect::<Result<_>>()?,
            quality_weight: uniform(LATENT, models, 0.1, draws)?,
            quality_bias: Var::from_slice(log_odds, models, &Device::Cpu)?,
            tokens_weight: uniform(LATENT, models, 0.1, draws)?,
            tokens_bias: zeros(models)?,
        })
    }

    /// How many inputs each exit has.
    pub(crate) fn sizes(&self) -> Result<Vec<usize>> {
        self.trunks.iter().map(|it| it.hidden_weight.dim(0)).collect()
    }

    pub(crate) fn variables(&self) -> Vec<Var> {
        let trunks = self.trunks.iter().flat_map(|it| {
            [&it.hidden_weight, &it.hidden_bias, &it.latent_weight, &it.latent_bias]
        });
        let heads =
            [&self.quality_weight, &self.quality_bias, &self.tokens_weight, &self.tokens_bias];
        trunks.chain(heads).cloned().collect()
    }

    pub(crate) fn heads(&self, latent: &Tensor) -> Result<Said> {
        Ok(Said {
            quality: latent.matmul(&self.quality_weight)?.broadcast_add(&self.quality_bias)?,
            tokens: latent.matmul(&self.tokens_weight)?.broadcast_add(&self.tokens_bias)?,
        })
    }
}

fn zeros(size: usize) -> Result<Var> {
    Var::from_vec(vec![0.0_f32; size], size, &Device::Cpu)
}

fn uniform(rows: usize, columns: usize, bound: f32, draws: &mut ChaCha8Rng) -> Result<Var> {
    let floats: Vec<f32> = (0..rows * columns).map(|_| draws.random_range(-bound..bound)).collect();
    Var::from_vec(floats, (rows, columns), &Device::Cpu)
}
