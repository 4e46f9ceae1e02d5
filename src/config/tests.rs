//! Whole files: good ones, bad ones, and ones made at random.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::{Ability, Probability, Usd};
use crate::outcome::{OutcomeAccess, PromptPrivacy};
use crate::pipeline::{ArtifactPlaces, FaultPolicy, Learning};
use crate::providers::ApiKey;
use crate::ranking::{Exploration, Preference, Unavailable, UtilityGivenUp};

const CATALOG: &str = r#"
[[model]]
name = "gpt-4o-mini"
vendor = "OpenAI"
context_window = 128000
max_output_tokens = 16384
abilities = ["tools", "json_schema"]
price = { input = 0.15, cached = 0.075, output = 0.6 }
released = "2024-07"
source = { page = "price list", as_of = "2025-01" }
served_by = { openai = "gpt-4o-mini", openrouter = "openai/gpt-4o-mini" }

[[model]]
name = "llama-3.3-70b"
vendor = "Meta"
context_window = 131072
max_output_tokens = 32768
price = { input = 0.59, output = 0.79 }
released = "2024-12"
source = { page = "price list", as_of = "2025-01" }
served_by = { groq = "llama-3.3-70b-versatile", ollama = "llama3.3:70b" }
"#;

fn keys(name: &str) -> Option<String> {
    match name {
        "OPENAI_API_KEY" => Some("sk-very-secret\n".to_owned()),
        "GROQ_API_KEY" => Some("  ".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Config, Problems> {
    let catalog = Catalog::parse(CATALOG).unwrap();
    resolve::resolve(text, &catalog, &builtin_rows().unwrap(), &keys)
}

fn good(text: &str) -> Config {
    read(text).unwrap_or_else(|it| panic!("{it}"))
}

fn bad(text: &str) -> String {
    read(text).err().expect("a problem").to_string()
}

/// One mistake, one line of complaint.
fn check(text: &str, complaint: &str) {
    assert_eq!(bad(text), complaint, "{text}");
}

const GOOD: &str = r#"
[server]
listen = "127.0.0.1:9000"

[policy]
preference = "cost"
cost_per_quality_usd = 0.02
max_latency = "30s"
max_ttft = "800ms"
max_cost_usd = 0.05
min_quality = 0.4
confidence = 0.8
candidates_max = 2
attempts_max = 4

[[provider]]
name = "openai"
protocol = "openai"
api_key_env = "OPENAI_API_KEY"

[[provider]]
name = "azure-eu"
base_url = "https://eu.example.com/openai/v1/"
api_key_env = "AZURE_KEY"

[[model]]
name = "gpt-4o-mini"
deployments = ["openai"]
[[model.deployment]]
provider = "azure-eu"
model_id = "mini-eu"
price = { input = 0.2, output = 1 }

[[model]]
name = "house-llama"
quality_prior = 0.72
context_window = 131072
abilities = ["tools", "json_schema"]
[[model.deployment]]
provider = "ollama"
model_id = "llama3.3:70b"
price = { input = 0, output = 0 }
speed = { ttft_ms = 90, tokens_per_s = 25.5 }
last_resort = true

[outcomes]
store = "sqlite:///var/lib/pointsman/outcomes.db"
prompts = "full"

[exploration]
utility_given_up = 0.005

[artifact]
path = "models/mine"

[encoder]
path = "encoders/other"

[shadow]
path = "models/next"

[canary]
path = "models/after"
share = 0.05
"#;

#[test]
fn a_good_file_is_resolved() {
    let config = good(GOOD);
    assert_eq!(config.listen.to_string(), "127.0.0.1:9000");
    let budget = config.policy.budget;
    assert_eq!(budget.max_latency, Duration::from_secs(30));
    assert_eq!(budget.max_ttft, Some(Duration::from_millis(800)));
    assert_eq!(budget.max_cost_usd, Usd::new(0.05).ok());
    assert_eq!(budget.confidence, Probability::clamped(0.8));
    let preference = Preference { cost_per_quality_usd: 0.02, ..Preference::COST };
    assert_eq!(config.policy.preference, preference);
    assert_eq!(config.policy.fallback.candidates_max, 2);
    let given_up = UtilityGivenUp::new(0.005).unwrap();
    assert_eq!(config.policy.exploration, Exploration::Drawn(given_up));
    assert_eq!(config.log.store.to_string(), "/var/lib/pointsman/outcomes.db");
    assert!(matches!(config.log.prompts, PromptPrivacy::Full));
    let canary = (PathBuf::from("models/after"), Probability::clamped(0.05));
    let places = ArtifactPlaces {
        served: Some(PathBuf::from("models/mine")),
        encoder: Some(PathBuf::from("encoders/other")),
        shadow: Some(PathBuf::from("models/next")),
        canary: Some(canary),
    };
    assert_eq!(config.artifacts, places);
}

#[test]
fn models_become_deployments() {
    let config = good(GOOD);
    let ids: Vec<_> = config.fleet.deployments().iter().map(|it| it.id.to_string()).collect();
    assert_eq!(ids, ["gpt-4o-mini@openai", "gpt-4o-mini@azure-eu", "house-llama@ollama"]);
    let [listed, azure, house] = config.fleet.deployments() else { panic!("three") };
    assert_eq!((listed.model_id.as_str(), listed.price), ("gpt-4o-mini", listed.model.price));
    assert_eq!(azure.model_id, "mini-eu");
    assert_eq!(azure.price.output.usd_per_million(), 1.0);
    assert!(house.last_resort && house.abilities().has(Ability::JsonSchema));
    assert_eq!(house.speed.tokens_per_s, 25.5);
    assert_eq!((house.model.context_window, house.model.max_output_tokens), (131_072, 131_072));
    assert_eq!(
        (house.model.source.page.as_str(), house.model.source.as_of.as_str()),
        ("config", "")
    );
    let prior = house.model.quality_prior.as_ref().map(|it| it.value);
    assert_eq!(prior, Some(Probability::clamped(0.72)));

    let why = Unavailable::NoKey("AZURE_KEY".to_owned());
    assert_eq!(config.availability.of(&azure.id), Some(&why));
    assert_eq!(config.availability.of(&listed.id), None);
    let found = "azure-eu: AZURE_KEY is not set, 1 model unavailable
ollama: no key needed, 1 model
openai: OPENAI_API_KEY is set, 1 model";
    assert_eq!(config.found.join("\n"), found);
    let azure = config.providers.iter().find(|it| it.name.as_str() == "azure-eu").unwrap();
    assert_eq!(azure.base_url, "https://eu.example.com/openai/v1");
}

#[test]
fn every_mistake_is_told_at_once() {
    let file = r#"
[server]
listn = "127.0.0.1:80"
[policy]
preference = "ballanced"
max_latency = "60 parsecs"
max_cost_usd = -1
[[provider]]
name = "openai"
api_key = "sk-very-secret"
[[provider]]
name = "openai"
[[model]]
name = "gpt4o-mini"
deployments = ["openai"]
[[model]]
name = "llama-3.3-70b"
deployments = ["grok", "openrouter"]
[[model]]
name = "house"
abilities = ["tool"]
[[model.deployment]]
provider = "olama"
model_id = "x"
[outcome]
store = "sqlite://x"
"#;
    let expected = "\
server.listn (line 3): unknown key; did you mean `listen`?
policy.preference (line 5): unknown preference `ballanced`; did you mean `balanced`? (there are quality, balanced, cost, latency)
policy.max_latency (line 6): `60 parsecs` is not a duration between 1ms and 24h, such as \"250ms\" or \"60s\"
policy.max_cost_usd (line 7): -1 is not an amount of money: it must be a number, zero or more
provider[0].api_key (line 10): keys do not belong in this file: name the environment variable that holds it with `api_key_env`, or a file with `api_key_file`
provider[1].name (line 12): the provider `openai` is given twice
model[0].name (line 14): unknown model `gpt4o-mini`; did you mean `gpt-4o-mini`?
model[1].deployments[0] (line 18): unknown provider `grok`; did you mean `groq`?
model[1].deployments[1] (line 18): the catalog has no id of `llama-3.3-70b` at `openrouter`: write a [[model.deployment]] with `provider` and `model_id`
model[2] (line 19): `context_window` is missing: the catalog does not know this model
model[2].abilities[0] (line 21): unknown ability `tool`; did you mean `tools`? (there are tools, images, json_object, json_schema, reasoning)
model[2].deployment[0] (line 22): `price` is missing: neither this deployment nor its model has one
model[2].deployment[0].provider (line 23): unknown provider `olama`; did you mean `ollama`?
outcome (line 25): unknown key; did you mean `outcomes`?";
    assert_eq!(bad(file), expected);
}

#[test]
fn single_mistakes() {
    check("policy = 3", "policy (line 1): expected a table, found integer");
    check(
        "[model]\nname = \"x\"",
        "model (line 1): expected tables in double brackets, [[...]], found table",
    );
    check(
        "[policy]\ncandidates_max = 0",
        "policy.candidates_max (line 2): must be a whole number from 1 to 32",
    );
    check(
        "[policy]\nlatency_per_quality_ms = nan",
        "policy.latency_per_quality_ms (line 2): must be a number above zero",
    );
    check(
        "[exploration]\nutility_given_up = 0",
        "exploration.utility_given_up (line 2): 0 is not above 0 and at most 1",
    );
    check(
        "[exploration]",
        "exploration (line 1): `utility_given_up` is missing: it is what a request gives up to learn; \
         leave [exploration] out to give up nothing",
    );
    check("[policy]\nmin_quality = 1.5", "policy.min_quality (line 2): 1.5 is not between 0 and 1");
    check(
        "[outcomes]\nstore = \"mysql://x\"",
        "outcomes.store (line 2): must be \"sqlite://path/of/file.db\" or \"postgres://user@host/database\"",
    );
    check(
        "[[model]]\nname = \"gpt-4o-mini\"",
        "model[0] (line 1): `deployments` is missing: for instance deployments = [\"openai\"], or a [[model.deployment]]",
    );
    check(
        "[[model]]\nname = \"gpt-4o-mini\"\ndeployments = [\"openai\", \"openai\"]",
        "model[0].deployments[1] (line 3): the deployment `gpt-4o-mini@openai` is given twice",
    );
    check(
        "[[provider]]\nname = \"mine\"",
        "provider[0] (line 1): `base_url` is missing: only the built-in providers have one from the start",
    );
    check(
        "[server]\nlisten = \"0.0.0.0:11434\"\n[[model]]\nname = \"llama-3.3-70b\"\ndeployments = [\"ollama\"]",
        "server.listen: `llama-3.3-70b@ollama` is this very server: change the provider's `base_url` or `server.listen`",
    );
}

#[test]
fn no_complaint_repeats_what_may_be_a_key() {
    for line in [
        "api_key = \"very-secret\"",
        "api_key = very-secret",
        "key = \"very-secret\"",
        "api_key_env = \"sk-very-secret\"",
        "api_key_env = \"gsk_very-secret\"",
        "api_key_file = \"very-secret\"",
        "base_url = \"https://me:very-secret@host/v1\"",
        "base_url = \"https://host/v1?key=very-secret\"",
        "api_key_env = \"very-secret",
    ] {
        let complaint = bad(&format!("[[provider]]\nname = \"openai\"\n{line}\n"));
        assert!(complaint.contains("(line 3)"), "{complaint}");
        assert!(!complaint.contains("very-secret"), "{complaint}");
    }
    let providers = format!("{:?}", good(GOOD).providers);
    assert!(!providers.contains("very-secret"), "{providers}");
}

#[test]
fn keys_come_from_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let file = format!(
        "[[provider]]\nname = \"openai\"\napi_key_file = {:?}\n[[model]]\nname = \"gpt-4o-mini\"\ndeployments = [\"openai\"]",
        path
    );
    let config = good(&file);
    assert!(matches!(config.providers[0].key, ApiKey::Missing { .. }));
    assert!(config.found.last().is_some_and(|it| it.starts_with("warning: no deployment")));
    std::fs::write(&path, "sk-from-file\n").unwrap();
    let config = good(&file);
    let ApiKey::Set(key) = &config.providers[0].key else { panic!("a key") };
    assert_eq!(secrecy::ExposeSecret::expose_secret(key), "sk-from-file");
}

#[test]
fn without_models_whatever_has_a_key_is_served() {
    let catalog = Catalog::parse(CATALOG).unwrap();
    let rows = builtin_rows().unwrap();
    let config = discover::discover(&catalog, &rows, &keys).expect("openai");
    assert_eq!(config.found, ["openai: OPENAI_API_KEY is set, 1 model"]);
    assert_eq!(good("").found, config.found);
    let nothing = discover::discover(&catalog, &rows, &|_| None).err().expect("nothing");
    let told = nothing.to_string();
    assert!(told.starts_with("config: there is nothing to serve"), "{told}");
    assert!(told.contains("OPENAI_API_KEY") && told.contains("GEMINI_API_KEY"), "{told}");
}

proptest! {
    #[test]
    fn numbers_come_back_as_written(
        window in 1u64..10_000_000,
        input in 0u64..1_000_000_000,
        output in 0u64..1_000_000_000,
        prior in 0.0f64..=1.0,
        speed in (1.0f64..1e5, 0.1f64..1e4),
        latency_ms in 1u64..86_400_000,
        cost in 0.000_001f64..1e3,
        chain in 1usize..=32,
    ) {
        let (input, output) = (input as f64 / 1e6, output as f64 / 1e6);
        let (ttft, rate) = speed;
        let config = good(&format!(
            "[policy]\nmax_latency = \"{latency_ms}ms\"\ncost_per_quality_usd = {cost:?}\n\
             attempts_max = {chain}\n[[model]]\nname = \"m\"\ncontext_window = {window}\n\
             quality_prior = {prior:?}\nspeed = {{ ttft_ms = {ttft:?}, tokens_per_s = {rate:?} }}\n\
             price = {{ input = {input:?}, output = {output:?} }}\n\
             [[model.deployment]]\nprovider = \"vllm\"\nmodel_id = \"m\"\n",
        ));
        let deployment = &config.fleet.deployments()[0];
        prop_assert_eq!(deployment.model.context_window, window);
        prop_assert_eq!(deployment.price.input.usd_per_million(), input);
        prop_assert_eq!(deployment.price.output.usd_per_million(), output);
        prop_assert_eq!(deployment.model.quality_prior.as_ref().map(|it| it.value.get()), Some(prior));
        prop_assert_eq!((deployment.speed.ttft_ms, deployment.speed.tokens_per_s), (ttft, rate));
        prop_assert_eq!(config.policy.budget.max_latency, Duration::from_millis(latency_ms));
        prop_assert_eq!(config.policy.preference.cost_per_quality_usd, cost);
        prop_assert_eq!(config.policy.fallback.attempts_max, chain);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z\\[\\]= .\"{}\n0-9]{0,200}") {
        let _ = read(&text);
    }
}

#[test]
fn failures_are_forced_only_where_the_file_says_so() {
    let warned = |it: &Config| it.found.iter().any(|line| line.contains("allow_faults"));
    let allowed = good(&format!("{GOOD}\n[testing]\nallow_faults = true\n"));
    assert!(allowed.faults == FaultPolicy::Allowed && warned(&allowed));
    for text in ["", "\n[testing]\n", "\n[testing]\nallow_faults = false\n"] {
        let config = good(&format!("{GOOD}{text}"));
        assert!(config.faults == FaultPolicy::Refused && !warned(&config), "{text}");
    }
    let complaint = bad(&format!("{GOOD}\n[testing]\nallow_fault = true\n"));
    assert!(complaint.contains("did you mean `allow_faults`"), "{complaint}");
}

#[test]
fn outcomes_are_kept_for_ever_here_and_by_nobody_else_unless_the_file_says_so() {
    let unsaid = good(GOOD);
    assert!(unsaid.keeping.retention.is_forever() && unsaid.keeping.export.is_none());
    assert_eq!(unsaid.log.admin, OutcomeAccess::Refused);
    let text = GOOD.replace(
        "[outcomes]",
        "[export]\nto = \"s3://b/p\"\nevery = \"10m\"\n[outcomes]\nkeep_days = 90\n\
         keep_bytes = 20_000_000_000\nkeep_unexported = false\nadmin_calls = true",
    );
    assert_ne!(text, GOOD);
    let said = good(&text);
    let retention = &said.keeping.retention;
    assert_eq!(retention.keep, Some(Duration::from_secs(90 * 24 * 60 * 60)));
    assert_eq!(retention.bytes_max, Some(20_000_000_000));
    assert_eq!(said.keeping.hold_unexported, HoldUnexported::Delete);
    let every = Some(Duration::from_secs(600));
    assert_eq!(said.keeping.export, Some(ExportPlan { to: "s3://b/p".into(), every }));
    assert_eq!(said.log.admin, OutcomeAccess::Allowed);
    assert!(said.found.iter().any(|it| it.contains("admin_calls")));
    let complain = |from: &str, to: &str, wanted: &str| {
        let complaint = bad(&text.replace(from, to));
        assert!(complaint.contains(wanted), "{complaint}");
    };
    complain("keep_days = 90", "keep_days = 0", "from 1 to 36500");
    complain("20_000_000_000", "1000", "from 1048576");
    complain("\"10m\"", "\"10ms\"", "10ms");
    complain("to = \"s3://b/p\"", "", "`to` is missing");
}

#[test]
fn scores_are_learned_from_only_where_the_file_says_so() {
    let learning = |text: &str| good(&format!("{GOOD}{text}")).learning;
    assert_eq!(learning("\n[learning]\nonline = true\n"), Learning::Online);
    for text in ["", "\n[learning]\n", "\n[learning]\nonline = false\n"] {
        assert_eq!(learning(text), Learning::Off, "{text}");
    }
    let complaint = bad("[learning]\nonlin = true\n[[provider]]\nname = \"openai\"\n");
    assert!(complaint.contains("learning.onlin") && complaint.contains("`online`"), "{complaint}");
}
