//! One prompt through the encoder on one core: both exits, and when it was read before.
//!
//! Run with `cargo bench --bench encoder`; `benches/onnx.sh` runs it beside onnxruntime. After
//! criterion's figures it prints one line per figure in microseconds, for scripts. Not here: the
//! other stages of a choice (see `benches/stages.rs`).
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a bench may stop on the first surprise")]

mod names;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use names::{ENCODER_CACHED, ENCODER_EXIT, RANK_DEEP, TOKENS};
use pointsman::catalog::Deployment;
use pointsman::domain::ChatRequest;
use pointsman::encoder::{Encoded, Encoder, EncoderQueue, Exit};
use pointsman::features;
use pointsman::prediction::{LiveStats, Predictor, Prompt};
use pointsman::ranking::{Availability, Candidate, Need, Policy, rank};

/// The size with a target.
const TARGET_TOKENS: usize = 128;
const TARGET_CANDIDATES: usize = 8;
/// Rounds that the printed figures are medians of.
const ROUNDS: usize = 401;
/// Longer than any prompt takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn exits(criterion: &mut Criterion) {
    let encoder = Encoder::shipped().unwrap();
    for (exit, number) in [(Exit::First, 0), (Exit::Last, encoder.number(Exit::Last))] {
        let mut group = criterion.benchmark_group(format!("{ENCODER_EXIT} {number}"));
        for tokens in TOKENS {
            let request = names::prompt(&encoder, tokens);
            group.bench_with_input(BenchmarkId::from_parameter(tokens), &request, |bencher, it| {
                bencher.iter(|| encoder.encode(black_box(it), exit).unwrap());
            });
        }
        group.finish();
    }
}

fn cached(criterion: &mut Criterion) {
    let request = names::prompt(&Encoder::shipped().unwrap(), TARGET_TOKENS);
    let queue = EncoderQueue::start(Encoder::shipped().unwrap(), &[0, 3]);
    queue.deep_blocking(&request, PATIENCE).unwrap();
    criterion.bench_function(ENCODER_CACHED, |bencher| {
        bencher.iter(|| queue.deep_blocking(black_box(&request), PATIENCE).unwrap());
    });
}

/// The choice after the prompt was read, as `Rank` makes it.
fn choose(
    request: &ChatRequest,
    encoded: &Encoded,
    predictor: &Predictor,
    fleet: &[Arc<Deployment>],
) {
    let features = features::extract(request);
    let prompt = Prompt { features: &features, encoded, max_output_tokens: None };
    let predictions = predictor.predict(&prompt, fleet, &LiveStats::default(), Duration::ZERO);
    let both = fleet.iter().cloned().zip(predictions);
    let candidates =
        both.map(|(deployment, prediction)| Candidate { deployment, prediction }).collect();
    let (policy, available) = (Policy::default(), Availability::default());
    black_box(rank(candidates, &policy, &Need::default(), &available, 7).unwrap());
}

fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

/// Prints medians, one a line: what, and microseconds.
fn print_medians() {
    let encoder = Encoder::shipped().unwrap();
    let predictor = Predictor::shipped(&encoder).unwrap();
    let (request, fleet) =
        (names::prompt(&encoder, TARGET_TOKENS), names::deployments(TARGET_CANDIDATES));
    println!("\n{TARGET_TOKENS} tokens, one core, {}: medians in us", encoder.kernel());
    let exit = |exit| median(|| drop(black_box(encoder.encode(black_box(&request), exit))));
    println!("exit_0 {:.1}", exit(Exit::First));
    println!("exit_3 {:.1}", exit(Exit::Last));
    let queue = EncoderQueue::start(Encoder::shipped().unwrap(), &[0, 3]);
    let read = || queue.deep_blocking(black_box(&request), PATIENCE).unwrap();
    let mut number = 0;
    let fresh = median(|| {
        // Another text of the same length every time, so that none is known.
        number += 1;
        let text = request.last_user_texts().map(|it| it.as_str()).collect::<String>();
        let other = ChatRequest::from_prompt(format!("{text}{number:04}"));
        let encoded = queue.deep_blocking(&other, PATIENCE).unwrap();
        choose(&other, &encoded, &predictor, &fleet);
    });
    println!("{RANK_DEEP} {fresh:.1}");
    read();
    println!("cached {:.1}", median(|| drop(black_box(read()))));
    println!("rank_cached {:.1}", median(|| choose(&request, &read(), &predictor, &fleet)));
}

criterion_group!(benches, exits, cached);

fn main() {
    // With an argument of its own name only the figures for scripts.
    if !std::env::args().any(|it| it == "medians") {
        benches();
    }
    print_medians();
    Criterion::default().configure_from_args().final_summary();
}
