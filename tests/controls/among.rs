//! How deployments of one model share the load, over many decisions.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman::outcome::differences;
use pointsman::simulator::{FaultRates, SimulatedModel, parse_fault};
use std::time::Duration;

use crate::support;
use crate::town::{LLAMA, Plan, Table, chat, house, id, model_id, ranked, simulated, snippet};

/// How often each comes first in 10,000 decisions.
fn shares(table: &Table) -> BTreeMap<String, f64> {
    let mut first = BTreeMap::new();
    for _ in 0..10_000 {
        *first.entry(table.first()).or_default() += 1e-4;
    }
    first
}

async fn draws(plan: Plan, wanted: [(&str, f64); 3]) {
    let table = Table::with(simulated(), &plan).await;
    let found = shares(&table);
    for (name, share) in wanted {
        let got = found.get(name).copied().unwrap_or_default();
        assert!((got - share).abs() < 0.02, "{name}: {share} wanted of {found:?}");
    }
    let told = table.rank().verdict.unwrap().entries;
    for it in told {
        let share = wanted.iter().find(|(name, _)| it.deployment.provider.as_str() == *name);
        assert!((it.propensity.get() - share.unwrap().1).abs() < 1e-9);
    }
    table.records().await;
}

/// $1, $2 and $3: OpenRouter's own example.
#[tokio::test(flavor = "multi_thread")]
async fn a_spread_follows_the_inverse_square_of_the_price() {
    let wanted = [36.0, 9.0, 4.0].map(|it| it / 49.0);
    let wanted = [("together", wanted[0]), ("deepinfra", wanted[1]), ("fireworks", wanted[2])];
    draws(Plan::of_model("strategy = \"spread\"\n"), wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shuffle_follows_the_weights() {
    let wanted = [("together", 0.7), ("deepinfra", 0.2), ("fireworks", 0.1)];
    draws(Plan::of_model("strategy = \"shuffle\"\n"), wanted).await;
}

/// The page's own config: a default for all models, and another for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_is_the_servers_or_the_models_and_auto_has_none() {
    let text = snippet("strategy");
    assert!(text.contains("strategy = \"shuffle\"") && text.contains(LLAMA));
    let plan =
        Plan { policy: "strategy = \"spread\"\n", model: "strategy = \"price\"\n", ..Plan::PLAIN };
    let table = Table::with(simulated(), &plan).await;
    assert!((0..50).all(|_| table.first() == "together"));
    table.records().await;
    let house = house(&Plan { policy: "strategy = \"throughput\"\n", ..Plan::PLAIN }).await;
    assert_eq!(ranked(&house, &chat(LLAMA)).await.0[0], id(LLAMA, "deepinfra"));
    let (auto, _) = ranked(&house, &chat("auto")).await;
    assert_eq!(auto.len(), 5);
    house.stop().await;
}

fn slow(table: &Table, provider: &str, fault: Option<&str>) {
    let rates = fault.map(|it| FaultRates::always(parse_fault(it).unwrap()));
    let model = model_id(LLAMA, provider);
    table.simulator.set_faults(&model, rates.unwrap_or_else(FaultRates::none)).unwrap();
}

/// Calls until another one comes first, at most so often; every call teaches.
async fn until_first(table: &Table, wanted: &str) -> usize {
    for calls in 0..100 {
        if table.first() == wanted {
            return calls;
        }
        table.route().await;
    }
    panic!("{wanted} never came first")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_faster_one_comes_first_after_speeds_change() {
    let table = Table::with(simulated(), &Plan::of_model("strategy = \"latency\"\n")).await;
    assert_eq!(table.first(), "deepinfra");
    slow(&table, "deepinfra", Some("slow_first_token:400ms"));
    assert!(until_first(&table, "fireworks").await > 0);
    slow(&table, "deepinfra", None);
    slow(&table, "fireworks", Some("slow_first_token:700ms"));
    assert!(until_first(&table, "deepinfra").await > 0);
    let records = table.records().await;
    assert!(records.len() > 2 && records.iter().all(|it| differences(it).is_empty()));
}

/// Answers never come while the test lasts.
#[tokio::test(flavor = "multi_thread")]
async fn the_least_busy_comes_first_whatever_it_costs() {
    let endless = |it: SimulatedModel| SimulatedModel {
        ttft: Duration::from_secs(500),
        time_scale: 1.0,
        ..it
    };
    let models = simulated().into_iter().map(endless).collect();
    let table = Table::with(models, &Plan::of_model("strategy = \"least_busy\"\n")).await;
    let busy = |table: &Table| {
        let availability = table.pipeline.availability();
        let own = table.pipeline.fleet().deployments().iter();
        let own = own.filter(|it| it.model.name.as_str() == LLAMA);
        own.map(|it| availability.in_flight(&it.id)).collect::<Vec<_>>()
    };
    let mut tasks = Vec::new();
    for at in 1..=12 {
        let (pipeline, call) = (Arc::clone(&table.pipeline), table.call());
        tasks.push(tokio::spawn(async move { drop(pipeline.route(call).await) }));
        let began = std::time::Instant::now();
        while busy(&table).iter().sum::<u32>() < at {
            assert!(began.elapsed() < support::PATIENCE);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let all = busy(&table);
        assert!(all.iter().max().unwrap() - all.iter().min().unwrap() <= 1, "{all:?}");
    }
    assert_eq!(busy(&table), [4, 4, 4]);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let began = std::time::Instant::now();
    while Arc::strong_count(&table.pipeline) > 1 || busy(&table) != [0; 3] {
        assert!(began.elapsed() < support::PATIENCE);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let records = table.records().await;
    assert_eq!(records.len(), 12);
    assert!(records.iter().all(|it| differences(it).is_empty()));
}
