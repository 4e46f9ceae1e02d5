//! What a panel would ask and what that would cost, before anything is spent.
//!
//! In: prompts, the panel, the artifact that serves. Out: the prompts drawn, and a [`Forecast`] per model.
//! Invariant: prompts are read by the very code that serves. Not here: the draw's rule (see
//! [`super::sample`]), and the bound that holds while money is spent (see [`super::money`]).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use pointsman::catalog::Deployment;
use pointsman::domain::Usd;
use pointsman::encoder::{Encoder, Exit};
use pointsman::features;
use pointsman::prediction::{LiveStats, Prediction, Predictor, Prompt};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::ask::Ask;
use super::candidates::Candidate;
use super::clusters::clusters;
use super::grade::Grader;
use super::money;
use super::sample::{Stratum, draw};
use super::work::{Draw, Sampled};
use crate::progress::Progress;

/// What reads and predicts.
pub struct Mind<'a> {
    /// Reads prompts.
    pub encoder: &'a Encoder,
    /// Says what models would make of them.
    pub predictor: &'a Predictor,
}

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    /// Seeds clusters and draws.
    pub seed: u64,
    /// Prompts wanted.
    pub wanted: usize,
    /// Clusters wanted.
    pub clusters: usize,
}

/// What one model's answers would cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The model's name in the table.
    pub model: String,
    /// Where it is called.
    pub deployment: Arc<Deployment>,
    /// By what is predicted of its answers, USD.
    pub expected: Usd,
    /// The most that one call each can cost, USD.
    pub at_most: Usd,
}

/// A prompt as it is read: its vector, and what each model would make of it.
struct Read {
    vector: Vec<f32>,
    predictions: Vec<Prediction>,
}

impl Mind<'_> {
    fn read(&self, ask: &Ask, fleet: &[Arc<Deployment>], max_output_tokens: u64) -> Result<Read> {
        let request = ask.request(max_output_tokens);
        let encoded = self.encoder.encode(&request, Exit::Last)?;
        let features = features::extract(&request);
        let max_output_tokens = Some(max_output_tokens);
        let prompt = Prompt { features: &features, encoded: &encoded, max_output_tokens };
        let live = LiveStats::default();
        let predictions = self.predictor.predict(&prompt, fleet, &live, Duration::ZERO);
        Ok(Read { vector: encoded.embedding.as_slice().to_vec(), predictions })
    }

    /// Draws prompts.
    ///
    /// # Errors
    /// When a prompt cannot be read.
    pub fn sample(
        &self,
        asks: &[Ask],
        panel: &[Candidate],
        drawing: Drawing,
        max_output_tokens: u64,
    ) -> Result<(Draw, Vec<Sampled>)> {
        let fleet: Vec<_> = panel.iter().map(|it| Arc::clone(&it.deployment)).collect();
        let progress = Progress::start("reading the prompts", asks.len() as u64);
        let read = asks.par_iter().map(|ask| {
            let Read { vector, predictions } = self.read(ask, &fleet, max_output_tokens)?;
            let spreads: f64 = predictions.iter().map(|it| it.quality.spread).sum();
            progress.advance(1);
            Ok((vector, spreads / predictions.len().max(1) as f64))
        });
        let (vectors, doubts): (Vec<_>, Vec<f64>) =
            read.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let mut random = ChaCha8Rng::seed_from_u64(drawing.seed);
        let width = self.encoder.width();
        let found = clusters(&vectors.concat(), width, drawing.clusters, &mut random);
        let strata = found.into_iter().zip(doubts);
        let strata: Vec<Stratum> =
            strata.map(|(cluster, doubt)| Stratum { cluster, doubt }).collect();
        let drawn = draw(&strata, drawing.wanted, &mut random).into_iter();
        let sampled = drawn.map(|it| Sampled {
            ask: asks[it.at].clone(),
            cluster: strata[it.at].cluster,
            why: it.why,
        });
        let told = Draw { seed: drawing.seed, wanted: drawing.wanted, of: asks.len() };
        Ok((told, sampled.collect()))
    }

    /// What each model's answers to these prompts would cost.
    ///
    /// # Errors
    /// When a prompt cannot be read.
    pub fn forecast(
        &self,
        sampled: &[Sampled],
        panel: &[Candidate],
        max_output_tokens: u64,
    ) -> Result<Vec<Forecast>> {
        let fleet: Vec<_> = panel.iter().map(|it| Arc::clone(&it.deployment)).collect();
        let read = sampled.par_iter().map(|it| {
            let read = self.read(&it.ask, &fleet, max_output_tokens)?;
            let of = |(prediction, deployment): (&Prediction, &Arc<Deployment>)| {
                let request = it.ask.request(money::limit(deployment, max_output_tokens));
                let most = money::at_most(deployment, &request);
                (Usd::clamped(prediction.expected_cost_usd()), most)
            };
            Ok(read.predictions.iter().zip(&fleet).map(of).collect::<Vec<_>>())
        });
        let read = read.collect::<Result<Vec<_>>>()?;
        let of = |(at, it): (usize, &Candidate)| Forecast {
            model: it.name.clone(),
            deployment: Arc::clone(&it.deployment),
            expected: read.iter().map(|row| row[at].0).sum(),
            at_most: read.iter().map(|row| row[at].1).sum(),
        };
        Ok(panel.iter().enumerate().map(of).collect())
    }
}

/// The most that grading can cost.
pub fn grading(grader: &Grader, sampled: &[Sampled], panel: usize, max_output_tokens: u64) -> Usd {
    let once: Usd = sampled.iter().map(|it| grader.set_aside(&it.ask, max_output_tokens)).sum();
    (0..panel).map(|_| once).sum()
}
