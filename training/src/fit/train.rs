//! The training loop: AdamW, half-cosine step size, a moving mean of the weights.
//!
//! In: standardised inputs of every exit, target rows. Out: the trained [`Network`], with the mean of
//! its weights over the last steps. Loss: the mean cross-entropy of quality over all labels, plus a
//! little of the squared error of standardised log tokens, at every exit alike.

use anyhow::Result;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use indicatif::{ProgressBar, ProgressStyle};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::FitSettings;
use super::network::Network;
use super::targets::TargetRow;

/// What is learned from: standardised inputs per prompt, and rows of labels.
pub(crate) struct Lessons<'a> {
    /// `[P, D]`, standardised, for each exit.
    pub inputs: &'a [Vec<f32>],
    pub train: &'a [TargetRow],
    pub validation: &'a [TargetRow],
    /// Per model: mean and standard deviation of log tokens over the training rows.
    pub token_scale: &'a [(f32, f32)],
    /// Weight of each source's labels.
    pub source_weight: &'a [f32],
}

/// Trains; returns the validation loss.
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
    let mut average = Average::new(network)?;
    let bar = bar(settings.epochs);
    let mut last = f64::NAN;
    for epoch in 0..settings.epochs {
        order.shuffle(draws);
        let steps = order.len().div_ceil(settings.batch);
        for (step, rows) in order.chunks(settings.batch).enumerate() {
            let done = (epoch * steps + step) as f64 / (settings.epochs * steps) as f64;
            let cosine = (1.0 + (std::f64::consts::PI * done).cos()) / 2.0;
            adam.set_learning_rate(settings.learning_rate * (0.05 + 0.95 * cosine));
            let masks = Masks::draw(&network.sizes()?, rows.len(), settings, draws)?;
            let loss = loss(network, lessons, rows, settings.tokens_weight, &masks)?;
            adam.backward_step(&loss)?;
            average.take(network)?;
        }
        if epoch + 1 == settings.epochs {
            average.put(network)?;
        }
        last = validation_loss(network, lessons, settings)?;
        tell(&bar, epoch, last);
    }
    bar.finish();
    Ok(last)
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

/// The moving mean of the weights: nearly as good as several networks' mean, for the price of one.
struct Average {
    steps: f64,
    variables: Vec<Tensor>,
}

impl Average {
    /// Share of the mean that stays at each step: the last 500 steps make up most of it.
    const STAYS: f64 = 0.998;

    fn new(network: &Network) -> Result<Self> {
        let each = network.variables().into_iter().map(|it| it.as_detached_tensor().copy());
        Ok(Self { steps: 0.0, variables: each.collect::<candle_core::Result<_>>()? })
    }

    /// Takes the weights in; early on, what the draws at the start were is soon forgotten.
    fn take(&mut self, network: &Network) -> Result<()> {
        self.steps += 1.0;
        let stays = Self::STAYS.min((1.0 + self.steps) / (10.0 + self.steps));
        for (mean, it) in self.variables.iter_mut().zip(network.variables()) {
            let new = it.as_detached_tensor();
            *mean = ((&*mean * stays)? + (new * (1.0 - stays))?)?;
        }
        Ok(())
    }

    fn put(&self, network: &Network) -> Result<()> {
        let mut pairs = network.variables().into_iter().zip(&self.variables);
        Ok(pairs.try_for_each(|(it, mean)| Var::set(&it, mean))?)
    }
}

/// What is dropped in a step: for each exit, inputs and hidden floats. None where nothing is.
#[derive(Default)]
struct Masks {
    inputs: Vec<Tensor>,
    hidden: Vec<Tensor>,
}

impl Masks {
    fn draw(
        sizes: &[usize],
        rows: usize,
        settings: &FitSettings,
        draws: &mut ChaCha8Rng,
    ) -> Result<Self> {
        let mut all = |widths: &[usize], dropped: f32| -> candle_core::Result<Vec<Tensor>> {
            widths.iter().map(|it| mask((rows, *it), 1.0 - dropped, draws)).collect()
        };
        let inputs = all(sizes, settings.input_dropout)?;
        Ok(Self { inputs, hidden: all(&vec![settings.hidden; sizes.len()], settings.dropout)? })
    }
}

/// What is kept is scaled up, so that the sum stays what it was on average.
fn mask(shape: (usize, usize), kept: f32, draws: &mut ChaCha8Rng) -> candle_core::Result<Tensor> {
    let draw = |_| if draws.random::<f32>() < kept { 1.0 / kept } else { 0.0 };
    let floats: Vec<f32> = (0..shape.0 * shape.1).map(draw).collect();
    Tensor::from_vec(floats, shape, &Device::Cpu)
}

fn validation_loss(
    network: &Network,
    lessons: &Lessons<'_>,
    settings: &FitSettings,
) -> Result<f64> {
    let rows: Vec<&TargetRow> = lessons.validation.iter().collect();
    let mut sum = 0.0;
    for chunk in rows.chunks(1_024) {
        let loss = loss(network, lessons, chunk, settings.tokens_weight, &Masks::default())?;
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

/// The mean over the exits: every prompt is learned from as it is read at each of them.
fn loss(
    network: &Network,
    lessons: &Lessons<'_>,
    rows: &[&TargetRow],
    tokens_share: f64,
    masks: &Masks,
) -> Result<Tensor> {
    let shape = (rows.len(), lessons.token_scale.len());
    let matrix = |floats: Vec<f32>| Tensor::from_vec(floats, shape, &Device::Cpu);
    let dense = dense(lessons, rows);
    let (quality_wanted, quality_weight) = (matrix(dense.quality)?, matrix(dense.quality_weight)?);
    let (tokens_wanted, tokens_weight) = (matrix(dense.tokens)?, matrix(dense.tokens_weight)?);
    let mut losses = Vec::new();
    for (at, (trunk, inputs)) in network.trunks.iter().zip(lessons.inputs).enumerate() {
        let size = trunk.hidden_weight.dim(0)?;
        let floats: Vec<f32> = rows
            .iter()
            .flat_map(|it| &inputs[it.prompt * size..(it.prompt + 1) * size])
            .copied()
            .collect();
        let inputs = Tensor::from_vec(floats, (rows.len(), size), &Device::Cpu)?;
        let inputs = match masks.inputs.get(at) {
            Some(mask) => (inputs * mask)?,
            None => inputs,
        };
        let said = network.heads(&trunk.latent(&inputs, masks.hidden.get(at))?)?;
        let quality = cross_entropy(&said.quality, &quality_wanted)?;
        let quality = weighted_mean(&quality, &quality_weight)?;
        let tokens = (said.tokens - &tokens_wanted)?.sqr()?;
        let tokens = weighted_mean(&tokens, &tokens_weight)?;
        losses.push((quality + (tokens * tokens_share)?)?);
    }
    Ok(Tensor::stack(&losses, 0)?.mean_all()?)
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
