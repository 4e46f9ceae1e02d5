//! Deployments under their own limits per minute, and what the config says of them.

use std::sync::Arc;

use pointsman::catalog::{DataCollection, Quantization};
use pointsman::config;
use pointsman::outcome::differences;

use crate::town::{CHAT, LLAMA, Plan, Table, chat, house, model_id, post, simulated, snippet};

const LIMITED: Plan = Plan {
    policy: "",
    model: "strategy = \"usage\"\n",
    deployments: ["rpm = 12\n", "rpm = 6\n", "rpm = 3\n"],
};

/// Calls that the simulator saw of each.
fn called(calls: &[pointsman::simulator::CallLog]) -> [usize; 3] {
    let count = |name: &str| {
        let model = model_id(LLAMA, name);
        calls.iter().filter(|it| it.model_id == model).count()
    };
    ["together", "deepinfra", "fireworks"].map(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_follow_the_shares_and_stop_at_the_limit() {
    let table = Table::with(simulated(), &LIMITED).await;
    for _ in 0..14 {
        table.route().await;
    }
    // After two thirds of all that is allowed, each has had two thirds of its own.
    let [one, two, three] = called(&table.simulator.calls());
    assert!(
        one.abs_diff(8) <= 1 && two.abs_diff(4) <= 1 && three.abs_diff(2) <= 1,
        "{one} {two} {three}"
    );
    for _ in 0..20 {
        table.route().await;
    }
    assert_eq!(called(&table.simulator.calls()), [12, 6, 3]);
    let full = table.rank().verdict.unwrap();
    assert!(
        full.entries
            .iter()
            .all(|it| it.shut.as_ref().is_some_and(|it| it.to_string().contains("rpm")))
    );
    let records = table.records().await;
    assert_eq!(records.len(), 34);
    assert_eq!(records.iter().filter(|it| it.end == "all_shut").count(), 13);
    assert!(records.iter().all(|it| differences(it).is_empty()));
    assert!(records.iter().any(|it| it.candidates.iter().any(|it| it.recent.calls == 5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_do_not_pass_the_limit_together() {
    let table = Table::with(simulated(), &LIMITED).await;
    let tasks = (0..100).map(|_| {
        let (pipeline, call) = (Arc::clone(&table.pipeline), table.call());
        tokio::spawn(async move { pipeline.route(call).await.unwrap() })
    });
    let mut served = 0;
    for task in tasks.collect::<Vec<_>>() {
        let routed = task.await.unwrap();
        served += usize::from(routed.failure().is_none());
    }
    assert_eq!(called(&table.simulator.calls()), [12, 6, 3]);
    assert_eq!(served, 21);
    table.records().await;
}

/// Limits hold under any strategy, and fallbacks count.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_whatever_the_order() {
    let plan =
        Plan { deployments: ["rpm = 2\n", "", ""], ..Plan::of_model("strategy = \"price\"\n") };
    let house = house(&plan).await;
    house.simulator.set_down(&model_id(LLAMA, "together")).unwrap();
    for _ in 0..6 {
        let (status, told) = post(&house, CHAT, &chat(LLAMA)).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(told["pointsman"]["provider"], "deepinfra");
    }
    let [first, second, _] = called(&house.simulator.calls());
    assert!(first <= 2 && second == 6, "{first} {second}");
    house.stop().await;
}

#[test]
fn the_pages_config_says_what_it_seems_to_say() {
    let (provider, deployment) = {
        let text = snippet("terms");
        let (provider, deployment) = text.split_once("[[model.deployment]]").unwrap();
        (provider.to_owned(), deployment.to_owned())
    };
    let text = format!(
        "{provider}api_key_env = \"A_KEY\"\n[[model]]\nname = \"m\"\ncontext_window = 1000\n\
         data_collection = \"allow\"\n[[model.deployment]]\nprovider = \"together\"\nmodel_id = \"m\"\n\
         price = {{ input = 1, output = 1 }}\n{deployment}\n"
    );
    let read = config::from_toml(&text, &|_| Some("key".to_owned())).map_err(|it| it.to_string());
    let config = read.unwrap();
    let terms = config.fleet.deployments()[0].terms;
    assert_eq!(terms.data_collection, Some(DataCollection::Allow), "the nearer holds");
    assert_eq!((terms.zdr, terms.quantization), (Some(true), Some(Quantization::Fp8)));
    assert_eq!((terms.weight, terms.rpm, terms.tpm), (2.0, Some(60), Some(100_000)));
    // What its provider lacks besides stands in the built-in row.
    assert_eq!(terms.lacks.to_string(), "seed, logprobs");
}

#[test]
fn mistakes_in_a_config_are_told_with_their_place() {
    let check = |policy: &str, model: &str, wanted: &str| {
        let text = format!(
            "[policy]\n{policy}\n[[model]]\nname = \"m\"\ncontext_window = 1000\n{model}\n\
             [[model.deployment]]\nprovider = \"ollama\"\nmodel_id = \"m\"\n\
             price = {{ input = 1, output = 1 }}\n"
        );
        let told = config::from_toml(&text, &|_| None).map(|_| ()).unwrap_err().to_string();
        assert!(told.contains(wanted), "{told}");
    };
    check("strategy = \"shufle\"", "", "`shuffle`");
    check("", "strategy = \"cheap\"", "model[0].strategy");
    check("[policy.provider]\nonly = [\"olama\"]", "", "did you mean `ollama`");
    check("[policy.provider]\nsort = \"speed\"", "", "policy.provider.sort");
    check("[policy.provider]\ndata_colection = \"deny\"", "", "`data_collection`");
    check("", "quantization = \"fp7\"", "model[0].quantization");
    check("[policy.provider]\npartition = \"none\"", "", "`sort` is missing");
}
