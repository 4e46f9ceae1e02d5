//! Candidate against incumbent on a table that tells every model's answer.
//!
//! In: labels, what is seen of the prompts, both artifacts, what a right answer is worth. Out:
//! [`Compared`]. Invariant: both choose among the models that have a label on the prompt, and what they
//! choose is looked up, not estimated; nothing is judged that either was trained on. Latency is left
//! out: few tables tell it. Not here: the gate.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use pointsman::catalog::Catalog;
use pointsman::prediction::{LogNormal, Predictor};
use serde::{Deserialize, Serialize};

use super::estimators::{Cover, Estimate, interval};
use super::gate::{Evidence, Versus};
use super::records::Pair;
use crate::dataset::{Dataset, Label};
use crate::fit::Inputs;
use crate::metrics::ece;
use crate::split::{Cut, Split};

/// Prompts needed with two models to choose between; the gate asks for more.
const ROWS_MIN: usize = 2;
/// Longest answer that is counted on, in tokens.
const TOKENS_MAX: f64 = 1e6;

/// Two artifacts on one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// Prompts with at least two models to choose between.
    pub rows: usize,
    /// Whether only the part held out in training was judged on.
    pub held_out: bool,
    /// Candidate less incumbent in quality.
    pub quality: Estimate,
    /// Candidate less incumbent in cost, USD.
    pub cost_usd: Estimate,
    /// What the gate looks at.
    pub evidence: Evidence,
}

/// USD per token, in and out.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    input: f64,
    output: f64,
}

/// What one model did with one prompt, means over its labels.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    labels: f64,
    quality: f64,
    cost: f64,
    input_tokens: f64,
}

struct Table<'a> {
    data: &'a Dataset,
    inputs: &'a Inputs,
    rates: Vec<Rate>,
    worth: f64,
}

/// Compares; `worth` is what an answer going from wrong to right is worth, USD. On the table that
/// either was trained on, only the questions that `cut` holds out count.
///
/// # Errors
/// When fewer than two prompts have two models to choose between.
pub fn compare(
    (data, inputs): (&Dataset, &Inputs),
    pair: Pair<'_>,
    cut: &Cut,
    worth: f64,
) -> Result<Compared> {
    let known = [pair.candidate, pair.incumbent];
    let held_out = known.iter().any(|it| it.manifest().data.sha256 == data.digest);
    let split = Split::new(&data.prompts, cut);
    let kept = |it: &&Label| !held_out || split.is_held_out(it.prompt);
    let labels: Vec<Label> = data.labels.iter().filter(kept).copied().collect();
    let table = Table { data, inputs, rates: rates(data)?, worth };
    let mut groups = Vec::new();
    let mut gaps = [Vec::new(), Vec::new(), Vec::new()];
    for ((_, prompt), models) in table.prompts(&labels).iter().filter(|(_, it)| it.len() > 1) {
        let [of, against] = known.map(|it| table.choice(it, *prompt, models));
        let all = [
            of.quality - against.quality,
            of.cost - against.cost,
            table.utility(of.quality, of.cost) - table.utility(against.quality, against.cost),
        ];
        gaps.iter_mut().zip(all).for_each(|(gaps, it)| gaps.push(it));
        groups.push(u64::from(*prompt));
    }
    let rows = groups.len();
    ensure!(rows >= ROWS_MIN, "{rows} prompts have two models to choose between: too few");
    let [quality, cost_usd, utility] = gaps.map(|it| interval(&it, &groups));
    let none = Estimate { mean: f64::NAN, error: f64::NAN, low: f64::NAN, high: f64::NAN };
    let [candidate, incumbent] = known.map(|it| table.ece(it, &labels));
    let evidence = Evidence {
        difference: utility,
        cover: Cover { rows, effective: rows as f64, unsupported: 0.0 },
        ece: candidate.zip(incumbent).map(|(candidate, incumbent)| Versus { candidate, incumbent }),
        // A table states no limits, so none is broken.
        broken: Some(Versus { candidate: 0.0, incumbent: 0.0 }),
    };
    let (quality, cost_usd) = (quality.unwrap_or(none), cost_usd.unwrap_or(none));
    Ok(Compared { rows, held_out, quality, cost_usd, evidence })
}

/// The table's own mean cost of a token where it tells costs, else the catalog's list price, else
/// nothing.
fn rates(data: &Dataset) -> Result<Vec<Rate>> {
    let mut sums = vec![(0.0, 0.0); data.models.len()];
    for label in &data.labels {
        if let (Some(cost), Some(output)) = (label.cost_usd, label.output_tokens) {
            let (costs, tokens) = &mut sums[usize::from(label.model)];
            *costs += cost;
            *tokens += f64::from(output) + f64::from(label.input_tokens.unwrap_or_default());
        }
    }
    let catalog = Catalog::shipped()?;
    let rate = |(name, (costs, tokens)): (&String, &(f64, f64))| {
        if *tokens > 0.0 {
            return Rate { input: costs / tokens, output: costs / tokens };
        }
        let listed = catalog.models().find(|it| it.learned_as.as_ref() == Some(name));
        listed.map_or_else(Rate::default, |it| Rate {
            input: it.price.input.usd_per_token(),
            output: it.price.output.usd_per_token(),
        })
    };
    Ok(data.models.iter().zip(&sums).map(rate).collect())
}

type Prompts = BTreeMap<(u16, u32), BTreeMap<u16, Done>>;

impl Table<'_> {
    /// Who did what with every prompt of every source.
    fn prompts(&self, labels: &[Label]) -> Prompts {
        let mut prompts = Prompts::new();
        for label in labels {
            let rate = self.rates[usize::from(label.model)];
            let input_tokens = f64::from(label.input_tokens.unwrap_or_default());
            let listed = rate.input * input_tokens
                + rate.output * f64::from(label.output_tokens.unwrap_or_default());
            let models = prompts.entry((label.source, label.prompt)).or_default();
            let done = models.entry(label.model).or_default();
            // Some pairs were graded more than once: their mean.
            let before = done.labels;
            let mean = |old: f64, new: f64| (old * before + new) / (before + 1.0);
            *done = Done {
                labels: before + 1.0,
                quality: mean(done.quality, f64::from(label.quality)),
                cost: mean(done.cost, label.cost_usd.unwrap_or(listed)),
                input_tokens: mean(done.input_tokens, input_tokens),
            };
        }
        prompts
    }

    /// What came of the model that an artifact would choose.
    fn choice(&self, predictor: &Predictor, prompt: u32, models: &BTreeMap<u16, Done>) -> Done {
        let latent = self.inputs.latent(predictor, prompt as usize);
        let expected = |(model, done): (&u16, &Done)| {
            let place = usize::from(*model);
            let (quality, tokens) =
                predictor.heads(self.data.models.get(place).map(String::as_str));
            let rate = self.rates[place];
            let tokens = LogNormal { mu: tokens.mu(&latent), sigma: tokens.sigma, cap: TOKENS_MAX };
            let cost = rate.input * done.input_tokens + rate.output * tokens.mean();
            self.utility(quality.estimate(&latent, 0.0).mean.get(), cost)
        };
        let best = models.iter().max_by(|a, b| expected(*a).total_cmp(&expected(*b)));
        best.map(|it| *it.1).unwrap_or_default()
    }

    fn utility(&self, quality: f64, cost: f64) -> f64 {
        quality - cost / self.worth
    }

    fn ece(&self, predictor: &Predictor, labels: &[Label]) -> Option<f64> {
        let quality = |it: &Label| {
            let latent = self.inputs.latent(predictor, it.prompt as usize);
            let name = self.data.models.get(usize::from(it.model)).map(String::as_str);
            predictor.heads(name).0.estimate(&latent, 0.0).mean.get() as f32
        };
        let predicted: Vec<f32> = labels.iter().map(quality).collect();
        let truth: Vec<f32> = labels.iter().map(|it| it.quality).collect();
        ece(&truth, &predicted).ok()
    }
}
