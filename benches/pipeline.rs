//! What a whole request costs when the provider costs nothing: choosing, calling, recording.
//!
//! Run with `cargo bench --bench pipeline`. The provider is a simulator in this process that
//! answers at once; the outcome is written to a real file, and waited for.
#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may stop on the first surprise")]

mod names;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use pointsman::config;
use pointsman::domain::ChatRequest;
use pointsman::encoder::Encoder;
use pointsman::pipeline::Call;
use pointsman::ranking::Policy;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// A waiting caller at a time: latency, not throughput.
const MEASURED_FOR: Duration = Duration::from_secs(8);

/// The config wants an address, but nothing listens here: the pipeline is called directly.
const UNUSED: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

fn call(request: &ChatRequest, policy: &Policy) -> Call {
    Call {
        request: request.clone(),
        policy: policy.clone(),
        arrived: Instant::now(),
        deadline: None,
        request_id: None,
        session_id: None,
        metadata: BTreeMap::new(),
        faults: Vec::new(),
        caller: None,
        cache: Default::default(),
    }
}

fn pipeline(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let simulator = runtime.block_on(support::simulator(support::instant_models()));
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("outcomes.db");
    let text = support::config_text(&simulator.base_url(), UNUSED.into(), &store);
    let config = config::from_toml(&text, &|_| None).unwrap_or_else(|it| panic!("{it}"));
    let policy = config.policy.clone();
    let pipeline = support::pipeline_of(config);
    let request = names::prompt(&Encoder::shipped().unwrap(), 128);
    criterion.bench_function(names::PIPELINE_RANK, |bencher| {
        bencher.iter(|| pipeline.rank(black_box(&request), &policy).unwrap());
    });
    criterion.bench_function(names::PIPELINE, |bencher| {
        bencher.iter(|| {
            let routed = runtime.block_on(pipeline.route(call(&request, &policy))).unwrap();
            assert!(routed.recorded && routed.failure().is_none());
        });
    });
    runtime.block_on(simulator.stop());
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(MEASURED_FOR).sample_size(50);
    targets = pipeline
}
criterion_main!(benches);
