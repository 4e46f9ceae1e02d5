//! Configs in other gateways' terms, and what ours take of them.

use super::*;
use crate::config::{Config, from_toml};
use crate::ranking::route::{Node, Who};

fn read(text: &str) -> Imported {
    import(text, Order { from: None, model: Some("gpt-4o") }).unwrap_or_else(|it| panic!("{it}"))
}

/// Keys that another part of the house reads: whether they are known yet.
fn without_strategies(toml: &str) -> String {
    let probe = "[policy]\nstrategy = \"shuffle\"\n";
    let told = from_toml(probe, &|_| None).err().map(|it| it.to_string()).unwrap_or_default();
    if !told.contains("policy.strategy") {
        return toml.to_owned();
    }
    let mut of_model = false;
    let early = |it: &&str| {
        if it.starts_with('[') {
            of_model = it.starts_with("[[model");
        }
        let key = ["strategy =", "rpm =", "tpm =", "weight ="];
        !of_model || !key.iter().any(|key| it.starts_with(key))
    };
    toml.lines().filter(early).map(|it| format!("{it}\n")).collect()
}

fn config(imported: &Imported) -> Config {
    let text = without_strategies(&imported.toml);
    let env = |name: &str| name.ends_with("ENDPOINT").then(|| "https://example.org".to_owned());
    from_toml(&text, &env).unwrap_or_else(|it| panic!("{it}\n{text}"))
}

fn noted(imported: &Imported, path: &str, part: &str) {
    let found = imported.notes.iter().any(|it| it.path == path && it.why.contains(part));
    assert!(found, "{path}: {part}\n{:#?}", imported.notes);
}

const LITELLM: &str = r#"
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: https://eu.example.org/
      api_key: os.environ/AZURE_API_KEY_EU
      api_version: "2024-06-01"
      rpm: 6
      weight: 2
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-plain-secret
      tpm: 9000
      timeout: 30
  - model_name: house
    litellm_params:
      model: openai/llama-house
      api_base: http://127.0.0.1:8001/v1
    model_info:
      max_input_tokens: 8192
      max_output_tokens: 1024
      input_cost_per_token: 0.0000002
      output_cost_per_token: 0.0000004
      supports_function_calling: true
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small}
    model_info: {mode: embedding}
  - model_name: "*"
    litellm_params: {model: "openai/*"}
  - model_name: odd
    litellm_params: {model: replicate/odd, api_key: os.environ/REPLICATE_KEY}
router_settings:
  routing_strategy: least-busy
  num_retries: 2
  timeout: 20
  allowed_fails: 3
  cooldown_time: 30
  fallbacks: [{"gpt-4o": ["house", "gone"]}]
  model_group_alias: {"gpt-4": "gpt-4o"}
  redis_host: os.environ/REDIS_HOST
litellm_settings:
  drop_params: true
  content_policy_fallbacks: [{"gpt-4o": ["house"]}]
  context_window_fallbacks:
    - house: [gpt-4o]
  some_new_setting: 1
general_settings:
  master_key: sk-master-secret
"#;

#[test]
fn a_litellm_config_becomes_one_of_ours() {
    let imported = read(LITELLM);
    assert_eq!(imported.from, Origin::LiteLlm);
    let config = config(&imported);
    let ids: Vec<_> = config.fleet.deployments().iter().map(|it| it.id.as_str()).collect();
    assert_eq!(
        ids,
        ["gpt-4o@azure-2", "gpt-4o@openai-2", "house@openai-3", "gpt-4@azure-2", "gpt-4@openai-2"]
    );
    let house = config.fleet.models().into_iter().find(|it| it.name.as_str() == "house").unwrap();
    assert_eq!((house.context_window, house.max_output_tokens), (8_192, 1_024));
    assert!((house.price.input.usd_per_million() - 0.2).abs() < 1e-9);
    let alias = config.fleet.models().into_iter().find(|it| it.name.as_str() == "gpt-4").unwrap();
    assert!(alias.learned_as.as_deref().is_some_and(|it| it.starts_with("gpt-4o")));
    let Node::Fallback(steps) = &config.routes.of_model["gpt-4o"].root else { panic!() };
    assert_eq!(steps.len(), 3, "itself, what is filtered, the rest");
    for text in ["strategy = \"least_busy\"", "rpm = 6", "tpm = 9000", "weight = 2.0"] {
        assert!(imported.toml.contains(text), "{text}\n{}", imported.toml);
    }
    assert_eq!(config.policy.fallback.attempts_max, 9);
}

#[test]
fn whatever_did_not_map_is_named_and_no_key_is_copied() {
    let imported = read(LITELLM);
    let whole = format!("{}{:?}", imported.toml, imported.notes);
    assert!(!whole.contains("secret"), "{whole}");
    noted(&imported, "model_list[1].litellm_params.api_key", "put it into OPENAI_API_KEY");
    noted(&imported, "model_list[0].litellm_params.api_version", "no version");
    noted(&imported, "model_list[3].model_info.mode", "left out");
    noted(&imported, "model_list[4]", "wildcards");
    noted(&imported, "model_list[5].litellm_params.model", "not known here");
    noted(&imported, "router_settings.allowed_fails", "breakers");
    noted(&imported, "router_settings.cooldown_time", "breakers");
    noted(&imported, "router_settings.redis_host", "keeps these for itself");
    noted(&imported, "fallbacks.gpt-4o", "no group `gone`");
    noted(&imported, "litellm_settings.drop_params", "always left out");
    noted(&imported, "litellm_settings.some_new_setting", "has no place here");
    noted(&imported, "general_settings.master_key", "pointsman keys create");
}

#[test]
fn retry_policies_keep_their_errors_apart() {
    let imported = read(
        "model_list:\n- {model_name: gpt-4o, litellm_params: {model: gpt-4o}}\nrouter_settings:\n  \
         retry_policy: {RateLimitErrorRetries: 3, AuthenticationErrorRetries: 0, \
         TimeoutErrorRetries: 2, OddRetries: 1}\n",
    );
    let config = config(&imported);
    let Node::Fallback(steps) = &config.routes.of_model["gpt-4o"].root else { panic!() };
    let Node::Target(target) = &steps[0].leg.node else { panic!() };
    let rules = &target.terms.retry.as_ref().unwrap().0;
    let mut rules: Vec<_> = rules.iter().map(|it| (it.on.to_string(), it.attempts)).collect();
    rules.sort();
    let wanted = [("408", 2), ("auth", 0), ("rate_limited", 3)];
    assert_eq!(rules, wanted.map(|it| (it.0.to_owned(), it.1)));
    noted(&imported, "router_settings.retry_policy.OddRetries", "no place");
}

const PORTKEY: &str = r#"{
  "strategy": {
    "mode": "conditional",
    "conditions": [
      { "query": { "metadata.plan": { "$in": ["paid", "pro"] } }, "then": "good" },
      { "query": { "$and": [{ "params.max_tokens": { "$gt": 1000 } },
                            { "params.model": { "$regex": "^fast" } }] }, "then": "cheap" },
      { "query": { "url.pathname": { "$eq": "/x" } }, "then": "cheap" }
    ],
    "default": "cheap"
  },
  "cache": { "mode": "simple" },
  "targets": [
    { "name": "good",
      "strategy": { "mode": "fallback", "on_status_codes": [429, 503] },
      "targets": [
        { "virtual_key": "openai-prod", "retry": { "attempts": 3, "on_status_codes": [429] },
          "override_params": { "model": "gpt-4o", "temperature": 0.2, "max_tokens": 500,
                               "logit_bias": {} } },
        { "provider": "anthropic", "api_key": "sk-ant-secret", "request_timeout": 9000,
          "override_params": { "model": "claude-of-the-house" } }
      ] },
    { "name": "cheap",
      "strategy": { "mode": "loadbalance" },
      "targets": [
        { "provider": "@openai-prod", "weight": 0.7, "input_guardrails": [] },
        { "provider": "openai", "weight": 0.3, "override_params": { "model": "gpt-4o-mini" } }
      ] }
  ]
}"#;

#[test]
fn a_portkey_config_becomes_a_route() {
    let imported = read(PORTKEY);
    assert_eq!(imported.from, Origin::Portkey);
    let config = config(&imported);
    let route = config.routes.default.clone().unwrap();
    let Node::Conditional { rules, otherwise } = &route.root else { panic!("{route:?}") };
    assert_eq!((rules.len(), otherwise.label.as_str()), (2, "cheap"));
    let Node::Fallback(steps) = &rules[0].leg.node else { panic!("{route:?}") };
    let Node::Target(first) = &steps[0].leg.node else { panic!("{route:?}") };
    assert!(matches!(&first.who, Who::Deployment(it) if it.as_str() == "gpt-4o@openai-prod"));
    assert_eq!(first.terms.overrides.temperature, Some(0.2));
    assert_eq!(first.terms.overrides.max_output_tokens, Some(500));
    assert_eq!(first.terms.retry.as_ref().unwrap().0[0].attempts, 3);
    let Node::Target(second) = &steps[1].leg.node else { panic!("{route:?}") };
    assert_eq!(second.terms.timeout.unwrap().as_secs(), 9);
    let Node::Loadbalance(shares) = &otherwise.node else { panic!("{route:?}") };
    assert_eq!(shares.iter().map(|it| it.weight).collect::<Vec<_>>(), [0.7, 0.3]);
    let whole = format!("{}{:?}", imported.toml, imported.notes);
    assert!(!whole.contains("secret"), "{whole}");
    noted(&imported, "cache", "caching");
    noted(&imported, "strategy.conditions[2]", "no name here");
    noted(&imported, "targets[0].targets[0].virtual_key", "OPENAI_PROD_API_KEY");
    noted(&imported, "targets[0].targets[0].override_params.logit_bias", "no place");
    noted(&imported, "targets[0].targets[1].api_key", "plain text");
    noted(&imported, "targets[0].targets[1]", "does not know this model");
    noted(&imported, "targets[1].targets[0].input_guardrails", "no guardrails");
}

#[test]
fn a_target_without_a_model_is_named() {
    let text = r#"{"strategy": {"mode": "fallback"}, "targets": [{"provider": "openai"},
        {"provider": "openai", "override_params": {"model": "gpt-4o"}}]}"#;
    let imported = import(text, Order::default()).unwrap();
    noted(&imported, "targets[0]", "--model");
    assert!(config(&imported).routes.default.is_some());
    let nothing = import(r#"{"targets": [{"provider": "openai"}]}"#, Order::default());
    assert!(matches!(nothing, Err(ImportError::Nothing(_))));
}

#[test]
fn the_price_list_becomes_models_with_their_prices() {
    let text = r#"{
      "sample_spec": { "mode": "one of: chat, embedding", "litellm_provider": "?" },
      "gpt-4o": { "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128000,
        "max_output_tokens": 16384, "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06 },
      "azure/gpt-4o": { "litellm_provider": "azure", "mode": "chat", "max_tokens": 16384,
        "input_cost_per_token": 2.75e-06, "output_cost_per_token": 1.1e-05 },
      "groq/new-llama": { "litellm_provider": "groq", "mode": "chat", "max_tokens": 8192,
        "input_cost_per_token": 5.9e-07, "output_cost_per_token": 7.9e-07,
        "supports_function_calling": true },
      "text-embedding-3-small": { "litellm_provider": "openai", "mode": "embedding" },
      "odd/one": { "litellm_provider": "odd", "mode": "chat" }
    }"#;
    let imported = read(text);
    assert_eq!(imported.from, Origin::LiteLlmPrices);
    let config = config(&imported);
    let found: Vec<_> = config
        .fleet
        .deployments()
        .iter()
        .map(|it| (it.id.to_string(), it.price.input.usd_per_million(), it.price.cached.is_some()))
        .collect();
    let wanted = [
        ("gpt-4o@azure", 2.75, false),
        ("gpt-4o@openai", 2.5, true),
        ("new-llama@groq", 0.59, false),
    ];
    assert_eq!(found, wanted.map(|it| (it.0.to_owned(), it.1, it.2)));
    noted(&imported, "1 rows (text-embedding-3-small)", "not a chat model");
    noted(&imported, "1 rows (odd/one)", "not known here");
}

#[test]
fn what_is_no_config_is_told() {
    let check = |text: &str, wanted: &str| {
        let error = import(text, Order::default()).unwrap_err().to_string();
        assert!(error.contains(wanted) && !error.contains("sk-"), "{text}: {error}");
    };
    check("{\"api_key\": \"sk-secret\"", "neither YAML nor JSON (line 1)");
    check("a: [\nsk-secret", "neither YAML nor JSON");
    check("{}", "--from");
    check("just words", "--from");
    check("model_list: []", "nothing of it could be used");
}
