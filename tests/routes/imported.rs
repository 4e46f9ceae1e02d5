//! Configs of fallbacks and load balancing in the terms of LiteLLM's and Portkey's documentation, imported
//! and played: they behave as those documents say.

use pointsman::config;
use pointsman::import::{Order, import};
use pointsman::simulator::{SimulatedModel, parse_script};
use serde_json::{Value, json};

use crate::station::{MODELS, Station};
use crate::support::{House, http_client};

/// A server under an imported config; `URL` in it stands for the simulator.
async fn imported(text: &str) -> Station {
    let models = MODELS.map(|it| SimulatedModel::instant(it.0)).to_vec();
    let house = House::with(models, |simulator, listen, store| {
        let text = text.replace("URL", &simulator.base_url());
        let imported = import(&text, Order::default()).unwrap();
        format!(
            "{}\n[server]\nlisten = \"{listen}\"\n[outcomes]\nstore = \"sqlite://{}\"\n",
            known(&imported.toml),
            store.display()
        )
    });
    Station { house: house.await, client: http_client() }
}

/// Whether this server knows ways to choose among the deployments of a model.
fn knows_strategies() -> bool {
    let probe = config::from_toml("[policy]\nstrategy = \"shuffle\"\n", &|_| None);
    let told = probe.err().map(|it| it.to_string()).unwrap_or_default();
    !told.contains("policy.strategy")
}

/// Without the keys of strategies, while this server does not know them.
fn known(toml: &str) -> String {
    let known = knows_strategies();
    let lines = toml.lines().filter(|it| known || !it.starts_with("strategy = \"shuffle\""));
    lines.map(|it| format!("{it}\n")).collect()
}

const GROUP: &str = r#"
model_list:
  - model_name: zephyr
    litellm_params: {model: openai/a, api_base: "URL", api_key: os.environ/GROUP_KEY}
  - model_name: zephyr
    litellm_params: {model: openai/b, api_base: "URL", api_key: os.environ/GROUP_KEY}
  - model_name: spare
    litellm_params: {model: openai/c, api_base: "URL", api_key: os.environ/GROUP_KEY}
  - model_name: wide
    litellm_params: {model: openai/d, api_base: "URL", api_key: os.environ/GROUP_KEY}
router_settings:
  num_retries: 2
  fallbacks: [{"zephyr": ["spare"]}]
  context_window_fallbacks: [{"zephyr": ["wide"]}]
"#;

async fn group(station: &Station) -> (u16, Vec<String>) {
    let came = station.ask(json!({ "model": "zephyr" }), &[]).await;
    let attempts = came.body["pointsman"]["attempts"].as_array().cloned().unwrap_or_default();
    let name = |it: &Value| it["deployment"].as_str().unwrap_or("?").to_owned();
    (came.status, attempts.iter().map(name).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_two_shares_the_load() {
    let station = imported(GROUP).await;
    for _ in 0..40 {
        let (status, calls) = group(&station).await;
        assert_eq!((status, calls.len()), (200, 1));
    }
    let called = station.called();
    let of = |model: &str| called.get(model).copied().unwrap_or(0);
    assert_eq!(of("a") + of("b"), 40, "{called:?}");
    // Without a strategy the faster one may get all.
    if knows_strategies() {
        assert!(of("a") > 5 && of("b") > 5, "{called:?}");
    }
    station.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_retried_twice_and_then_left_for_its_fallback() {
    let station = imported(GROUP).await;
    for model in ["a", "b"] {
        station.script(model, "status:500*2");
    }
    let (status, calls) = group(&station).await;
    assert_eq!((status, calls.len()), (200, 4), "{calls:?}");
    assert!(calls[..3].iter().all(|it| it.starts_with("zephyr@")), "{calls:?}");
    assert_ne!(calls[0], calls[1], "the other one of the group comes first");
    assert!(calls[3].starts_with("spare@"), "{calls:?}");
    station.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_too_long_goes_to_the_larger_window_at_once() {
    let station = imported(GROUP).await;
    for model in ["a", "b"] {
        let script = parse_script("context_too_long").unwrap();
        station.house.simulator.push_script(model, script).unwrap();
    }
    let (status, calls) = group(&station).await;
    assert_eq!((status, calls.len()), (200, 2), "{calls:?}");
    assert!(calls[1].starts_with("wide@"), "{calls:?}");
    station.house.stop().await;
}

const FALLBACK: &str = r#"{
  "strategy": { "mode": "fallback", "on_status_codes": [429] },
  "targets": [
    { "provider": "openai", "custom_host": "URL", "api_key": "env.ONE_KEY",
      "override_params": { "model": "a" } },
    { "provider": "openai", "custom_host": "URL", "api_key": "env.TWO_KEY",
      "override_params": { "model": "b" } }
  ]
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_of_two_targets_goes_by_its_status_codes() {
    let check = async |text: &str, fault: &str, status: u16, calls: usize| {
        let station = imported(text).await;
        station.script("a", fault);
        let came = station.ask(json!({}), &[]).await;
        let own = came.body.get("pointsman").unwrap_or(&came.body["error"]["pointsman"]);
        let attempts = own["attempts"].as_array().map_or(0, Vec::len);
        assert_eq!((came.status, attempts), (status, calls), "{fault}: {}", came.body);
        station.house.stop().await;
    };
    check(FALLBACK, "", 200, 1).await;
    check(FALLBACK, "status:429", 200, 2).await;
    check(FALLBACK, "status:400", 400, 1).await;
    let any = FALLBACK.replace(", \"on_status_codes\": [429]", "");
    check(&any, "status:400", 200, 2).await;
    check(&any, "status:503*3", 200, 3).await;
}
