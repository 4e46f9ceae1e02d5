//! What keeping outcomes costs a request, at a steady rate.
//!
//! Run with `cargo bench --bench logging`; `LOGGING_RATE=500` asks for another rate. Where the machine
//! does not keep up, a quarter of the rate is tried, and so on. Two pipelines, one whose log keeps outcomes and one whose
//! log only says so, take turns of a second each, so that both meet the same noise; the provider is a
//! simulator in this process that answers at once. The first figures are of whole requests, made at
//! fixed times whatever became of the earlier ones; the last ones are of the waiting for the log alone,
//! at the same rate, with nothing beside it. Nothing is asserted: it prints.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench may stop on the first surprise")]

mod names;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pointsman::config::{self, Config};
use pointsman::dispatch::BreakerSettings;
use pointsman::domain::{ChatRequest, DecisionId};
use pointsman::encoder::Encoder;
use pointsman::outcome::{OutcomeLog, OutcomeReader, OutcomeRecord};
use pointsman::pipeline::{Artifacts, CacheUse, Call, Pipeline, PipelineParts};
use pointsman::providers::HttpCaller;
use pointsman::ranking::Policy;
use pointsman::simulator::Simulator;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Asked for in the issue, requests per second.
const RATE: f64 = 2_000.0;
/// Asked for in the issue: what keeping outcomes may add.
const ADDED_US_MAX: [f64; 2] = [20.0, 200.0];
/// The timer's own step: what is due by then begins together.
const STEP: Duration = Duration::from_millis(1);
const TURN: Duration = Duration::from_secs(1);
/// Turns of each, after one to warm up.
const TURNS: usize = 10;
/// Slower than this at the median: requests wait for each other, and nothing is told from them.
const KEEPS_UP_US_MAX: f64 = 50_000.0;
/// Quarterings of the rate at most.
const RATES_MAX: usize = 5;
/// As long as is typical of prompts in use.
const PROMPT_TOKENS: usize = 128;
/// The config wants an address, but nothing listens here: the pipelines are called directly.
const UNUSED: ([u8; 4], u16) = ([127, 0, 0, 1], 1);

#[tokio::main]
async fn main() {
    let asked = std::env::var("LOGGING_RATE").map_or(RATE, |it| it.parse().unwrap());
    let simulator = support::simulator(support::instant_models()).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let keeps = pipeline(&simulator, &at("kept.db"), |it| it);
    let forgets = pipeline(&simulator, &at("forgotten.db"), OutcomeLog::forgetful);
    let request = Arc::new(names::prompt(&Encoder::shipped().unwrap(), PROMPT_TOKENS));
    let rate = kept_up_with(&forgets, &request, asked).await;
    let (mut with, mut without, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        // Who comes first changes, too.
        let order = if turn % 2 == 0 { [&keeps, &forgets] } else { [&forgets, &keeps] };
        let first = turn_of(order[0], &request, rate).await;
        let second = turn_of(order[1], &request, rate).await;
        let (kept, forgot) = if turn % 2 == 0 { (first, second) } else { (second, first) };
        if turn > 0 {
            pairs.push([0.5, 0.99].map(|it| quantile(&kept, it) - quantile(&forgot, it)));
            with.extend(kept);
            without.extend(forgot);
        }
    }
    tell(rate, [&with, &without], &pairs);
    let record = any_record(&at("kept.db"));
    appends(keeps.log(), &record, asked).await;
    simulator.stop().await;
}

/// The rate, or the part of it that the machine keeps up with where nothing is logged.
async fn kept_up_with(pipeline: &Arc<Pipeline>, request: &Arc<ChatRequest>, rate: f64) -> f64 {
    let mut rate = rate;
    // Reads the prompt.
    turn_of(pipeline, request, 10.0).await;
    for _ in 0..RATES_MAX {
        let median = quantile(&turn_of(pipeline, request, rate).await, 0.5);
        if median <= KEEPS_UP_US_MAX {
            break;
        }
        println!("{rate:.0}/s is more than this machine and build keep up with: {median:.0} us");
        rate /= 4.0;
    }
    rate
}

fn pipeline(
    simulator: &Simulator,
    store: &Path,
    change: impl Fn(OutcomeLog) -> OutcomeLog,
) -> Arc<Pipeline> {
    let text = support::config_text(&simulator.base_url(), UNUSED.into(), store);
    let config = config::from_toml(&text, &|_| None).unwrap_or_else(|it| panic!("{it}"));
    let Config { fleet, availability, faults, learning, artifacts, providers, log, .. } = config;
    Arc::new(Pipeline::new(PipelineParts {
        fleet,
        availability,
        breakers: BreakerSettings::default(),
        artifacts: Artifacts::open(artifacts).unwrap(),
        caller: HttpCaller::new(providers).unwrap(),
        log: change(OutcomeLog::open(&log).unwrap()),
        faults,
        learning,
        cache: None,
    }))
}

fn call(request: &ChatRequest) -> Call {
    Call {
        request: request.clone(),
        policy: Policy::default(),
        arrived: Instant::now(),
        deadline: None,
        request_id: None,
        session_id: None,
        metadata: BTreeMap::new(),
        faults: Vec::new(),
        caller: None,
        cache: CacheUse::Off,
    }
}

/// The times of a turn's requests, microseconds, from when each was due.
async fn turn_of(pipeline: &Arc<Pipeline>, request: &Arc<ChatRequest>, rate: f64) -> Vec<f64> {
    at_rate(rate, |due| {
        let (pipeline, request) = (Arc::clone(pipeline), Arc::clone(request));
        async move {
            let routed = pipeline.route(call(&request)).await.unwrap();
            assert!(routed.recorded && routed.failure().is_none());
            due.elapsed().as_secs_f64() * 1e6
        }
    })
    .await
}

/// Begins so many a second for a turn, whatever became of the earlier ones, and waits for all.
async fn at_rate<F>(rate: f64, begin: impl Fn(Instant) -> F) -> Vec<f64>
where
    F: Future<Output = f64> + Send + 'static,
{
    let (start, mut under_way, mut begun) = (Instant::now(), JoinSet::new(), 0.0);
    let mut step = start;
    while step < start + TURN {
        step += STEP;
        sleep_until(step).await;
        let due = (step - start).as_secs_f64() * rate;
        while begun < due {
            begun += 1.0;
            under_way.spawn(begin(step));
        }
    }
    under_way.join_all().await
}

fn tell(rate: f64, [with, without]: [&[f64]; 2], pairs: &[[f64; 2]]) {
    println!("whole requests at {rate:.0}/s, {} of each kind, in turns of 1 s", with.len());
    for (at, name) in ["median", "p99"].into_iter().enumerate() {
        let of = |times: &[f64]| quantile(times, [0.5, 0.99][at]);
        let (kept, forgot) = (of(with), of(without));
        let each: Vec<f64> = pairs.iter().map(|it| it[at]).collect();
        let (low, high) = (quantile(&each, 0.1), quantile(&each, 0.9));
        let (added, most) = (quantile(&each, 0.5), ADDED_US_MAX[at]);
        println!(
            "  {name:6}: {kept:>9.0} us with the log, {forgot:>9.0} us without; added in a pair of \
             turns {added:+.0} us (half-way; a tenth below {low:+.0}, a tenth above {high:+.0}; limit \
             {most} us)"
        );
    }
    let spread = pairs
        .iter()
        .map(|it| it[0])
        .fold((f64::MAX, f64::MIN), |(low, high), it| (low.min(it), high.max(it)));
    if spread.1 - spread.0 > 2.0 * ADDED_US_MAX[0] {
        println!(
            "  medians of pairs differ by {:.0} us: this machine is too busy, or this build too slow, \
             to tell {} us from nothing; see the lines below",
            spread.1 - spread.0,
            ADDED_US_MAX[0]
        );
    }
}

/// One as a server writes it.
fn any_record(store: &Path) -> OutcomeRecord {
    let mut found = None;
    OutcomeReader::open(store).unwrap().for_each(|it| found = Some(it.unwrap().record)).unwrap();
    found.unwrap()
}

/// The waiting for the log alone.
async fn appends(log: &OutcomeLog, record: &OutcomeRecord, rate: f64) {
    let waiting = |decision: DecisionId| {
        let record = OutcomeRecord { decision, ..record.clone() };
        async move {
            let start = Instant::now();
            log.append(record).await.unwrap();
            start.elapsed().as_secs_f64() * 1e6
        }
    };
    let mut all = Vec::new();
    let mut step = Instant::now();
    for _ in 0..TURNS * TURN.as_millis() as usize {
        step += STEP;
        sleep_until(step).await;
        let due = (rate * STEP.as_secs_f64()).ceil() as usize;
        let together = (0..due).map(|_| waiting(DecisionId::fresh()));
        all.extend(futures_util::future::join_all(together).await);
    }
    let [median, p99] = [0.5, 0.99].map(|it| quantile(&all, it));
    println!("waiting for the log alone, {} appends at {rate:.0}/s, two at a time", all.len());
    println!("  median {median:.0} us (limit {} us), p99 {p99:.0} us", ADDED_US_MAX[0]);
}

fn quantile(times: &[f64], at: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * at).round() as usize]
}
