//! The training loop: AdamW, half-cosine step size, early stopping on rows held out inside.
//!
//! In: standardised inputs, target rows. Out: the trained [`Network`], at its best epoch. Loss: the
//! mean cross-entropy of quality over all labels, plus a little of the squared error of standardised
//! log tokens.

use anyhow::Result;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use indicatif::{ProgressBar, ProgressStyle};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::FitSettings;
use super::network::Network;
use super::targets::{INPUT, TargetRow};

/// What is learned from: standardised inputs per prompt, and rows of labels.
pub(crate) struct Lessons<'a> {
    /// `[P, D]`, standardised.
    pub inputs: &'a [f32],
    pub train: &'a [TargetRow],
    pub validation: &'a [TargetRow],
    /// Per model: mean and standard deviation of log tokens over the training rows.
    pub token_scale: &'a [(f32, f32)],
    /// Weight of each source's labels.
    pub source_weight: &'a [f32],
}

/// Trains until the validation loss stops falling.
pub(crate) fn train(
    network: &Network,
    lessons: &Lessons<'_>,
    settings: &FitSettings,
    draws: &mut ChaCha8Rng,
) -> Result<f64> {
    let mut adam = AdamW::new(
        network.variables(),
        ParamsAdamW { weight_decay: settings.weight_decay, ..ParamsAdamW::default() },
    )?;
    let mut order: Vec<&TargetRow> = lessons.train.iter().collect();
    let mut best = Best::new(network)?;
    let bar = bar(settings.epochs_max);
    for epoch in 0..settings.epochs_max {
        order.shuffle(draws);
        let steps = order.len().div_ceil(settings.batch);
        for (step, rows) in order.chunks(settings.batch).enumerate() {
            let done = (epoch * steps + step) as f64 / (settings.epochs_max * steps) as f64;
            let cosine = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
            adam.set_learning_rate(settings.learning_rate * (0.05 + 0.95 * cosine));
            let mask = drop_mask(rows.len(), settings, draws)?;
            let loss = loss(network, lessons, rows, settings.tokens_weight, Some(&mask))?;
            adam.backward_step(&loss)?;
        }
        let loss = validation_loss(network, lessons, settings)?;
        tell(&bar, epoch, loss);
        if best.is_stale(loss, network, settings.patience)? {
            break;
        }
    }
    bar.finish();
    best.restore(network)?;
    Ok(best.loss)
}

fn bar(epochs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("training {bar:30} epoch {pos}/{len} {msg} {elapsed}");
    ProgressBar::new(epochs as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Moves the bar on a terminal; elsewhere prints a line, since a bar that nobody sees says nothing.
fn tell(bar: &ProgressBar, epoch: usize, loss: f64) {
    bar.set_message(format!("validation loss {loss:.4}"));
    bar.inc(1);
    if bar.is_hidden() {
        eprintln!("training: epoch {}, validation loss {loss:.4}", epoch + 1);
    }
}

/// The best state so far, and how long ago it was.
struct Best {
    loss: f64,
    epochs_since: usize,
    variables: Vec<Tensor>,
}

impl Best {
    fn new(network: &Network) -> Result<Self> {
        Ok(Self { loss: f64::INFINITY, epochs_since: 0, variables: copies(network)? })
    }

    /// Takes an epoch's loss; whether it is time to stop.
    fn is_stale(&mut self, loss: f64, network: &Network, patience: usize) -> Result<bool> {
        self.epochs_since += 1;
        if loss < self.loss {
            *self = Self { loss, epochs_since: 0, variables: copies(network)? };
        }
        Ok(self.epochs_since >= patience)
    }

    fn restore(&self, network: &Network) -> Result<()> {
        let mut pairs = network.variables().into_iter().zip(&self.variables);
        Ok(pairs.try_for_each(|(it, best)| Var::set(&it, best))?)
    }
}

fn copies(network: &Network) -> Result<Vec<Tensor>> {
    let each = network.variables().into_iter().map(|it| it.as_detached_tensor().copy());
    Ok(each.collect::<candle_core::Result<_>>()?)
}

fn drop_mask(rows: usize, settings: &FitSettings, draws: &mut ChaCha8Rng) -> Result<Tensor> {
    let kept = 1.0 - settings.dropout;
    let mask: Vec<f32> = (0..rows * settings.hidden)
        .map(|_| if draws.random::<f32>() < kept { 1.0 / kept } else { 0.0 })
        .collect();
    Ok(Tensor::from_vec(mask, (rows, settings.hidden), &Device::Cpu)?)
}

fn validation_loss(
    network: &Network,
    lessons: &Lessons<'_>,
    settings: &FitSettings,
) -> Result<f64> {
    let rows: Vec<&TargetRow> = lessons.validation.iter().collect();
    let mut sum = 0.0;
    for chunk in rows.chunks(1_024) {
        let loss = loss(network, lessons, chunk, settings.tokens_weight, None)?;
        sum += f64::from(loss.to_scalar::<f32>()?) * chunk.len() as f64;
    }
    Ok(sum / rows.len().max(1) as f64)
}

/// Dense targets of a batch, `[B, M]` each.
struct Dense {
    quality: Vec<f32>,
    quality_weight: Vec<f32>,
    tokens: Vec<f32>,
    tokens_weight: Vec<f32>,
}

fn dense(lessons: &Lessons<'_>, rows: &[&TargetRow]) -> Dense {
    let models = lessons.token_scale.len();
    let zeros = || vec![0.0_f32; rows.len() * models];
    let mut dense = Dense {
        quality: zeros(),
        quality_weight: zeros(),
        tokens: zeros(),
        tokens_weight: zeros(),
    };
    for (at, row) in rows.iter().enumerate() {
        let weight = lessons.source_weight[row.source];
        for (model, quality, tokens) in &row.labels {
            let cell = at * models + model;
            // Some (model, prompt) pairs were graded more than once: their mean, at their weight.
            let before = dense.quality_weight[cell];
            dense.quality[cell] =
                (dense.quality[cell] * before + quality * weight) / (before + weight);
            dense.quality_weight[cell] = before + weight;
            if let Some(tokens) = tokens {
                let (mean, deviation) = lessons.token_scale[*model];
                dense.tokens[cell] = (tokens - mean) / deviation;
                dense.tokens_weight[cell] = weight;
            }
        }
    }
    dense
}

fn loss(
    network: &Network,
    lessons: &Lessons<'_>,
    rows: &[&TargetRow],
    tokens_share: f64,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let shape = (rows.len(), lessons.token_scale.len());
    let inputs: Vec<f32> = rows
        .iter()
        .flat_map(|it| &lessons.inputs[it.prompt * INPUT..(it.prompt + 1) * INPUT])
        .copied()
        .collect();
    let inputs = Tensor::from_vec(inputs, (rows.len(), INPUT), &Device::Cpu)?;
    let dense = dense(lessons, rows);
    let matrix = |floats: Vec<f32>| Tensor::from_vec(floats, shape, &Device::Cpu);
    let said = network.heads(&network.latent(&inputs, mask)?)?;
    let quality = cross_entropy(&said.quality, &matrix(dense.quality)?)?;
    let quality = weighted_mean(&quality, &matrix(dense.quality_weight)?)?;
    let tokens = (said.tokens - matrix(dense.tokens)?)?.sqr()?;
    let tokens = weighted_mean(&tokens, &matrix(dense.tokens_weight)?)?;
    Ok((quality + (tokens * tokens_share)?)?)
}

/// `max(x, 0) - x y + ln(1 + exp(-|x|))`: no overflow for any logit.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> candle_core::Result<Tensor> {
    let smooth = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    (logits.relu()? - (logits * targets)?)? + smooth
}

fn weighted_mean(values: &Tensor, weights: &Tensor) -> candle_core::Result<Tensor> {
    let total = (weights.sum_all()? + 1e-9)?;
    (values * weights)?.sum_all()? / total
}
