//! How long each stage of a choice takes, and all of them together, on one core.
//!
//! Run with `cargo bench --bench stages`. After criterion's figures it prints the share of each
//! stage in the whole.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a bench may stop on the first surprise")]

mod names;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use names::{CANDIDATES, ENCODER, FEATURES, PREDICTION, RANK, RANKING, TOKENS};
use pointsman::catalog::Deployment;
use pointsman::domain::ChatRequest;
use pointsman::encoder::{Encoded, Encoder, Exit};
use pointsman::features::{self, Features};
use pointsman::prediction::{LiveStats, Prediction, Predictor, Prompt};
use pointsman::ranking::{Availability, Candidate, Need, Policy, Ranking, rank};

/// The size with a target.
const TARGET_TOKENS: usize = 128;
const TARGET_CANDIDATES: usize = 8;
/// What it may take, in microseconds, median.
const TARGET_US: f64 = 100.0;
/// Rounds that the shares are medians of.
const ROUNDS: usize = 4_001;

/// Everything a choice is made with.
struct Stages {
    encoder: Encoder,
    predictor: Predictor,
    live: LiveStats,
    policy: Policy,
    availability: Availability,
}

impl Stages {
    fn new() -> Self {
        let encoder = Encoder::shipped().unwrap();
        let predictor = Predictor::shipped(&encoder).unwrap();
        Self {
            encoder,
            predictor,
            live: LiveStats::default(),
            policy: Policy::default(),
            availability: Availability::default(),
        }
    }

    fn encode(&self, request: &ChatRequest) -> Encoded {
        self.encoder.encode(request, Exit::First).unwrap()
    }

    fn predict(
        &self,
        features: &Features,
        encoded: &Encoded,
        fleet: &[Arc<Deployment>],
    ) -> Vec<Prediction> {
        let prompt = Prompt { features, encoded, max_output_tokens: None };
        self.predictor.predict(&prompt, fleet, &self.live, Duration::ZERO)
    }

    fn rank(&self, fleet: &[Arc<Deployment>], predictions: Vec<Prediction>) -> Ranking {
        let both = fleet.iter().cloned().zip(predictions);
        let candidates =
            both.map(|(deployment, prediction)| Candidate { deployment, prediction }).collect();
        rank(candidates, &self.policy, &Need::default(), &self.availability, 7).unwrap()
    }

    /// The whole choice, with the time at which each stage ended, in microseconds.
    fn choose(&self, request: &ChatRequest, fleet: &[Arc<Deployment>]) -> [f64; 4] {
        let start = Instant::now();
        let us = || start.elapsed().as_secs_f64() * 1e6;
        let features = features::extract(black_box(request));
        let counted = us();
        let encoded = self.encode(request);
        let read = us();
        let predictions = self.predict(&features, &encoded, fleet);
        let predicted = us();
        black_box(self.rank(fleet, predictions));
        [counted, read, predicted, us()]
    }
}

fn by_tokens(criterion: &mut Criterion) {
    let stages = Stages::new();
    let requests = TOKENS.map(|it| (it, names::prompt(&stages.encoder, it)));
    let mut group = criterion.benchmark_group(FEATURES);
    for (tokens, request) in &requests {
        group.bench_with_input(BenchmarkId::from_parameter(tokens), request, |bencher, it| {
            bencher.iter(|| features::extract(black_box(it)));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group(ENCODER);
    for (tokens, request) in &requests {
        group.bench_with_input(BenchmarkId::from_parameter(tokens), request, |bencher, it| {
            bencher.iter(|| stages.encode(black_box(it)));
        });
    }
    group.finish();
}

fn by_candidates(criterion: &mut Criterion) {
    let stages = Stages::new();
    let request = names::prompt(&stages.encoder, TARGET_TOKENS);
    let (features, encoded) = (features::extract(&request), stages.encode(&request));
    let mut group = criterion.benchmark_group(PREDICTION);
    for candidates in CANDIDATES {
        let fleet = names::deployments(candidates);
        group.bench_function(BenchmarkId::from_parameter(candidates), |bencher| {
            bencher.iter(|| stages.predict(black_box(&features), &encoded, &fleet));
        });
    }
    group.finish();
    let mut group = criterion.benchmark_group(RANKING);
    for candidates in CANDIDATES {
        let fleet = names::deployments(candidates);
        let predictions = stages.predict(&features, &encoded, &fleet);
        group.bench_function(BenchmarkId::from_parameter(candidates), |bencher| {
            bencher.iter_batched(
                || predictions.clone(),
                |it| stages.rank(&fleet, it),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn whole(criterion: &mut Criterion) {
    let stages = Stages::new();
    let request = names::prompt(&stages.encoder, TARGET_TOKENS);
    let fleet = names::deployments(TARGET_CANDIDATES);
    criterion.bench_function(RANK, |bencher| bencher.iter(|| stages.choose(&request, &fleet)));
}

/// Prints the median of each stage, its share, and whether the whole meets its target.
fn print_shares() {
    let stages = Stages::new();
    let request = names::prompt(&stages.encoder, TARGET_TOKENS);
    let fleet = names::deployments(TARGET_CANDIDATES);
    let text = request.last_user_texts().map(|it| it.as_str()).collect::<String>();
    let mut columns: [Vec<f64>; 6] = Default::default();
    for _ in 0..ROUNDS {
        let [counted, read, predicted, ranked] = stages.choose(&request, &fleet);
        let start = Instant::now();
        black_box(stages.encoder.tokenize(black_box(&text)).unwrap());
        let tokenized = start.elapsed().as_secs_f64() * 1e6;
        let row =
            [counted, read - counted, tokenized, predicted - read, ranked - predicted, ranked];
        columns.iter_mut().zip(row).for_each(|(column, it)| column.push(it));
    }
    let medians = columns.map(|mut column| {
        column.sort_by(f64::total_cmp);
        column[ROUNDS / 2]
    });
    let whole = medians[5];
    println!("\n{RANK}: median over {ROUNDS} rounds on one core");
    let stages = [FEATURES, ENCODER, "  of it the tokenizer", PREDICTION, RANKING, "whole"];
    for (stage, us) in stages.into_iter().zip(medians) {
        println!("  {stage:<22} {us:>8.2} us {:>5.1} %", us / whole * 100.0);
    }
    let verdict = if whole < TARGET_US { "met" } else { "MISSED" };
    println!("  target: under {TARGET_US} us: {verdict}");
}

criterion_group!(benches, by_tokens, by_candidates, whole);

fn main() {
    benches();
    print_shares();
    Criterion::default().configure_from_args().final_summary();
}
