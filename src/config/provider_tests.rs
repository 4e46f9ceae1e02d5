//! `[[provider]]` sections and the built-in rows: URLs, keys, headers, quirks.

use std::collections::BTreeMap;

use super::*;
use crate::domain::{Billing, FailureClass, TokenPrice};
use crate::providers::{
    ApiKey, AssistantPrefix, AuthScheme, MaxTokensField, Parameter, Protocol, Provider, SchemaBy,
};

const MODEL: &str = r#"
[[model]]
name = "m"
context_window = 1000
price = { input = 1, output = 1 }
[[model.deployment]]
model_id = "m"
"#;

fn resolved(text: &str, env: &[(&str, &str)]) -> Result<Config, Problems> {
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    from_toml(text, &|name| env.get(name).map(|it| (*it).to_owned()))
}

/// The provider `name`, after the file's `[[provider]]` and the environment.
fn provider(name: &str, section: &str, env: &[(&str, &str)]) -> Provider {
    let text = format!("{section}\n{MODEL}provider = \"{name}\"\n");
    let config = resolved(&text, env).unwrap_or_else(|it| panic!("{it}"));
    config.providers.into_iter().find(|it| it.name.as_str() == name).unwrap()
}

fn missing(provider: &Provider) -> Option<&str> {
    match &provider.key {
        ApiKey::Missing { place } => Some(place),
        ApiKey::NotNeeded | ApiKey::Set(_) | ApiKey::Aws(_) => None,
    }
}

#[test]
fn a_new_provider_is_ten_lines_at_most() {
    let section = r#"[[provider]]
name = "house"
base_url = "https://llm.example.com/v1"
api_key_env = "HOUSE_KEY"
auth_header = "X-Api-Key"
[provider.quirks]
max_tokens_field = "max_completion_tokens"
lacks = ["seed", "top_k"]
json_schema = "tool"
assistant_prefix = "plain"
errors = { "Quota exceeded" = "auth" }"#;
    assert!(section.lines().count() <= 11);
    let house = provider("house", section, &[("HOUSE_KEY", "k")]);
    assert_eq!(house.protocol, Protocol::OpenAi);
    assert_eq!(house.auth, AuthScheme::Header("x-api-key".to_owned()));
    assert!(matches!(house.key, ApiKey::Set(_)));
    assert_eq!(house.quirks.max_tokens_field, MaxTokensField::MaxCompletionTokens);
    assert_eq!(house.quirks.lacks, [Parameter::Seed, Parameter::TopK].into());
    assert_eq!(house.quirks.json_schema, Some(SchemaBy::Tool));
    assert_eq!(house.quirks.assistant_prefix, AssistantPrefix::Plain);
    assert_eq!(house.quirks.errors, [("quota exceeded".to_owned(), FailureClass::Auth)].into());
}

#[test]
fn a_section_goes_over_the_built_in_row() {
    let section =
        "[[provider]]\nname = \"mistral\"\nquirks = { lacks = [\"seed\"], image_urls = false }";
    let mistral = provider("mistral", section, &[]);
    assert_eq!(mistral.quirks.lacks, [Parameter::Seed].into());
    assert_eq!(
        (mistral.quirks.image_urls, mistral.quirks.stream_options),
        (Some(false), Some(false))
    );
    assert_eq!(missing(&mistral), Some("MISTRAL_API_KEY"));
    let section = "[[provider]]\nname = \"anthropic\"\nprotocol = \"openai\"";
    let other = provider("anthropic", section, &[("ANTHROPIC_API_KEY", "k")]);
    assert_eq!((other.protocol, other.auth), (Protocol::OpenAi, AuthScheme::Bearer));
    let section = "[[provider]]\nname = \"anthropic\"\nauth_header = \"Authorization\"";
    assert_eq!(provider("anthropic", section, &[]).auth, AuthScheme::Bearer);
}

#[test]
fn failed_calls_are_billed_as_the_row_or_the_section_says() {
    let billing = |name: &str, section: &str, env: &[(&str, &str)]| {
        let text = format!("{section}\n{MODEL}provider = \"{name}\"\n");
        let config = resolved(&text, env).unwrap_or_else(|it| panic!("{it}"));
        config.fleet.deployments()[0].billing
    };
    assert_eq!(billing("groq", "", &[("GROQ_API_KEY", "k")]), Billing::WholeAnswer);
    assert_eq!(billing("ollama", "", &[]), Billing::Nothing);
    let own = "[[provider]]\nname = \"own\"\nbase_url = \"http://gpu:8000/v1\"";
    assert_eq!(billing("own", own, &[]), Billing::WhatWasGenerated, "nobody knows: be careful");
    for rule in Billing::ALL {
        let section = format!("{own}\nbilling = \"{}\"", rule.as_str());
        assert_eq!(billing("own", &section, &[]), rule);
    }
    let other = "[[provider]]\nname = \"groq\"\nprotocol = \"anthropic\"";
    assert_eq!(billing("groq", other, &[]), Billing::WholeAnswer, "whose bill it is stays");
    let wrong = format!("{own}\nbilling = \"whole_anwser\"\n{MODEL}provider = \"own\"\n");
    let problems = resolved(&wrong, &[]).err().unwrap().to_string();
    assert!(problems.contains("whole_answer"), "{problems}");
    // Without a file.
    let config = discover(&|name| (name == "GROQ_API_KEY").then(|| "k".to_owned())).unwrap();
    let all = config.fleet.deployments();
    assert!(all.iter().all(|it| it.billing == Billing::WholeAnswer), "{all:?}");
}

#[test]
fn a_deployment_has_its_own_price_of_every_kind() {
    let text = format!(
        "{MODEL}provider = \"ollama\"\nprice = {{ input = 3, cached = 0.3, cache_written = 3.75, \
         output = 15, reasoning = 9 }}\n"
    );
    let config = resolved(&text, &[]).unwrap_or_else(|it| panic!("{it}"));
    let deployment = &config.fleet.deployments()[0];
    assert_eq!(deployment.model.price.output.usd_per_million(), 1.0);
    let price = deployment.price;
    let all = [Some(price.input), price.cached, price.cache_written, Some(price.output)];
    let all = all.into_iter().chain([price.reasoning]).flatten();
    assert!(all.map(TokenPrice::usd_per_million).eq([3.0, 0.3, 3.75, 15.0, 9.0]), "{price:?}");
}

#[test]
fn urls_are_filled_in_from_the_environment() {
    let key = ("AZURE_OPENAI_API_KEY", "k");
    let azure = provider("azure", "", &[key]);
    assert_eq!(missing(&azure), Some("AZURE_OPENAI_ENDPOINT"));
    let azure = provider("azure", "", &[key, ("AZURE_OPENAI_ENDPOINT", "https://a.example.com/")]);
    assert_eq!(azure.base_url, "https://a.example.com/openai/v1");
    assert_eq!(azure.auth, AuthScheme::Header("api-key".to_owned()));
    assert!(matches!(azure.key, ApiKey::Set(_)));
    let azure = provider("azure", "", &[key, ("AZURE_OPENAI_ENDPOINT", "not a url")]);
    assert_eq!(missing(&azure), Some("AZURE_OPENAI_ENDPOINT as part of a URL"));
    let section = "[[provider]]\nname = \"own\"\nbase_url = \"http://${HOST}:8000/v1/\"";
    assert_eq!(provider("own", section, &[("HOST", "gpu")]).base_url, "http://gpu:8000/v1");
    assert_eq!(missing(&provider("own", section, &[])), Some("HOST"));
}

#[test]
fn bedrock_takes_a_bearer_or_signs() {
    let region = |provider: &Provider| match &provider.key {
        ApiKey::Aws(key) => key.region.clone(),
        ApiKey::NotNeeded | ApiKey::Set(_) | ApiKey::Missing { .. } => String::new(),
    };
    let (id, secret) = (("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"));
    let bedrock = provider("bedrock", "", &[("AWS_BEARER_TOKEN_BEDROCK", "k"), id, secret]);
    assert!(matches!(bedrock.key, ApiKey::Set(_)));
    assert_eq!(bedrock.base_url, "https://bedrock-runtime.us-east-1.amazonaws.com");
    let bedrock = provider("bedrock", "", &[id, secret, ("AWS_DEFAULT_REGION", "eu-west-1")]);
    assert_eq!(bedrock.base_url, "https://bedrock-runtime.eu-west-1.amazonaws.com");
    assert_eq!(region(&bedrock), "eu-west-1");
    assert_eq!(missing(&provider("bedrock", "", &[])), Some("AWS_BEARER_TOKEN_BEDROCK"));
    assert_eq!(missing(&provider("bedrock", "", &[id])), Some("AWS_SECRET_ACCESS_KEY"));
    let section = "[[provider]]\nname = \"asia\"\nprotocol = \"bedrock\"\n\
        base_url = \"https://bedrock-runtime.ap-south-1.amazonaws.com\"";
    assert_eq!(region(&provider("asia", section, &[id, secret])), "ap-south-1");
    assert_eq!(missing(&provider("asia", section, &[])), Some("AWS_ACCESS_KEY_ID"));
}

#[test]
fn a_key_is_optional_for_servers_of_ones_own() {
    assert!(matches!(provider("litellm", "", &[]).key, ApiKey::NotNeeded));
    let env = [("LITELLM_API_KEY", "k")];
    assert!(matches!(provider("litellm", "", &env).key, ApiKey::Set(_)));
    let section = "[[provider]]\nname = \"litellm\"\napi_key_env = \"MY_KEY\"";
    assert_eq!(missing(&provider("litellm", section, &[])), Some("MY_KEY"));
}

#[test]
fn every_mistake_in_a_provider_is_told() {
    let file = r#"
[[provider]]
name = "house"
base_url = "https://host/${KEY"
auth_header = "sk_very secret"
[provider.quirks]
lacks = ["sed"]
max_tokens_field = "max_token"
json_schema = "tools"
image_url = false
errors = { quota = "aut", slow = "deadline" }
"#;
    let told = resolved(file, &[("OPENAI_API_KEY", "k")]).err().expect("problems").to_string();
    let lines: Vec<_> = told.lines().map(|it| it.split(" (there are").next().unwrap()).collect();
    let wanted = [
        "provider[0].base_url (line 4): must be a URL such as \"https://host/v1\", without user, password or query",
        "provider[0].auth_header (line 5): must be the name of a header, such as \"api-key\"",
        "provider[0].quirks.lacks[0] (line 7): unknown parameter `sed`; did you mean `seed`?",
        "provider[0].quirks.max_tokens_field (line 8): unknown field `max_token`; did you mean `max_tokens`?",
        "provider[0].quirks.json_schema (line 9): unknown way `tools`; did you mean `tool`?",
        "provider[0].quirks.image_url (line 10): unknown key; did you mean `image_urls`?",
        "provider[0].quirks.errors.quota (line 11): unknown failure class `aut`; did you mean `auth`?",
        "provider[0].quirks.errors.slow (line 11): unknown failure class `deadline`",
    ];
    assert_eq!(lines, wanted);
}
