//! LiteLLM's `config.yaml`: groups of deployments.
//!
//! In: the file as JSON. Out: models with their deployments. Invariant: a group of LiteLLM's is a model
//! here, and each of its entries a deployment at a provider of its own. Not here: how the router goes
//! on after failures (see [`super::litellm_settings`]).

use serde_json::Value;
use toml::Table;

use super::draft::{Draft, Figures, Reached, is_name};
use super::fields::{Fields, KeyPlace, key_place, slug, variable};
use super::{Note, litellm_settings};

/// LiteLLM's prefixes of models, and our names of those providers.
const PREFIXES: [(&str, &str); 26] = [
    ("openai", "openai"),
    ("text-completion-openai", "openai"),
    ("custom_openai", "openai"),
    ("openai_like", "openai"),
    ("azure", "azure"),
    ("azure_ai", "azure"),
    ("anthropic", "anthropic"),
    ("gemini", "google"),
    ("bedrock", "bedrock"),
    ("bedrock_converse", "bedrock"),
    ("openrouter", "openrouter"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("deepseek", "deepseek"),
    ("xai", "xai"),
    ("together_ai", "together"),
    ("fireworks_ai", "fireworks"),
    ("cerebras", "cerebras"),
    ("perplexity", "perplexity"),
    ("cohere", "cohere"),
    ("cohere_chat", "cohere"),
    ("ollama", "ollama"),
    ("ollama_chat", "ollama"),
    ("hosted_vllm", "vllm"),
    ("lm_studio", "lm-studio"),
    ("litellm_proxy", "litellm"),
];

/// Our name of a provider that LiteLLM names so.
pub(super) fn provider_of(prefix: &str) -> Option<&'static str> {
    PREFIXES.iter().find(|(it, _)| *it == prefix).map(|(_, own)| *own)
}

pub(super) fn read(file: &Value, draft: &mut Draft) {
    let mut root = Fields::of("", file);
    let list = root.take("model_list").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, entry) in list.iter().enumerate() {
        let fields = Fields::of(format!("model_list[{at}]"), entry);
        entry_of(fields, draft);
    }
    litellm_settings::read(&mut root, draft);
    root.done(&mut draft.notes);
}

/// One entry of the list: a deployment of a group.
fn entry_of(mut entry: Fields<'_>, draft: &mut Draft) {
    let group = entry.text("model_name").map(slug).unwrap_or_default();
    let (mut params, figures) = (params(&mut entry), info(&mut entry, draft));
    let Some(figures) = figures else { return };
    entry.done(&mut draft.notes);
    if group.contains('*') || !is_name(&group) {
        draft.note(entry_path(&params), "a group needs a name of its own here, without wildcards");
        return;
    }
    let written = params.text("model").unwrap_or_default().to_owned();
    let (prefix, id) = split(&written, draft);
    let Some(like) = prefix else {
        let why = "its provider is not known here: write a [[provider]] and a [[model.deployment]]";
        draft.note(params.at("model"), why);
        return;
    };
    let reached = reached(&mut params, &like, draft);
    let path = entry_path(&params);
    let taken = providers_of(draft, &group);
    let provider = draft.provider(reached, &taken);
    let mut deployment = Table::new();
    deployment.insert("provider".into(), provider.into());
    deployment.insert("model_id".into(), id.as_str().into());
    limits(&mut params, &mut deployment);
    if let (Some(input), Some(output)) = (figures.input_usd, figures.output_usd) {
        let price = [("input", input), ("output", output)];
        let price: Table = price.into_iter().map(|(key, it)| (key.to_owned(), it.into())).collect();
        deployment.insert("price".into(), price.into());
    }
    others(&mut params, &mut draft.notes);
    params.done(&mut draft.notes);
    Draft::deploy(draft.model(&group, &path, (&like, &id), &figures), deployment);
}

fn params<'a>(entry: &mut Fields<'a>) -> Fields<'a> {
    let path = entry.at("litellm_params");
    match entry.take("litellm_params") {
        Some(it) => Fields::of(path, it),
        None => Fields::of(path, &Value::Null),
    }
}

fn entry_path(params: &Fields<'_>) -> String {
    params.path.trim_end_matches(".litellm_params").to_owned()
}

/// The providers that serve a group already: an id is a model at a provider.
fn providers_of(draft: &Draft, group: &str) -> Vec<String> {
    let table = draft.models.iter().find(|(name, _)| name == group).map(|it| &it.1);
    let deployments = table.and_then(|it| it.get("deployment")?.as_array()).into_iter().flatten();
    let name = |it: &toml::Value| Some(it.get("provider")?.as_str()?.to_owned());
    deployments.filter_map(name).collect()
}

/// `provider/id`; without a provider, whoever the catalog knows to serve the model.
fn split(written: &str, draft: &Draft) -> (Option<String>, String) {
    if let Some((prefix, id)) = written.split_once('/')
        && let Some(own) = provider_of(prefix)
    {
        // Ways of Bedrock that make no difference here.
        let id = id.trim_start_matches("converse/").trim_start_matches("invoke/");
        return (Some(own.to_owned()), id.to_owned());
    }
    let known = draft.known("openai", written).or_else(|| draft.known("anthropic", written));
    let first = ["openai", "anthropic", "google"];
    let served = known.and_then(|it| {
        let own = |name: &&str| it.served_by.keys().any(|by| by.as_str() == *name);
        first.iter().copied().find(own)
    });
    let guessed = served.or_else(|| {
        let starts =
            [("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("claude-", "anthropic")];
        starts.into_iter().find(|(start, _)| written.starts_with(start)).map(|it| it.1)
    });
    (guessed.map(str::to_owned), written.to_owned())
}

fn reached(params: &mut Fields<'_>, like: &str, draft: &mut Draft) -> Reached {
    let base = params.text("api_base").or_else(|| params.text("base_url"));
    let base_url = base.and_then(|it| base_url(it, like, params, draft));
    let named = params.text("api_key").map(key_place);
    let key_env = match named {
        None => None,
        Some(KeyPlace::Variable(name)) => {
            let fine = variable(&name);
            if fine != name {
                let why = format!("variables are written in capitals here: {fine}");
                draft.note(params.at("api_key"), why);
            }
            Some(fine)
        }
        Some(KeyPlace::Plain) => {
            let host = base_url.as_deref().map_or(like, |it| host(it));
            let name = format!("{}_API_KEY", variable(host));
            let why = format!("a key in plain text is not copied; put it into {name}");
            draft.note(params.at("api_key"), why);
            Some(name)
        }
    };
    if key_env.is_none() && base_url.is_some() {
        draft.note(params.at("api_key"), "there is none, so that it is called without a key");
    }
    Reached { like: like.to_owned(), base_url, key_env, called: None }
}

/// The host of a URL, without what is the same in all.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |it| it.1);
    rest.split(['/', ':']).next().unwrap_or(rest).trim_start_matches("api.")
}

fn base_url(written: &str, like: &str, params: &Fields<'_>, draft: &mut Draft) -> Option<String> {
    let url = match key_place(written) {
        KeyPlace::Variable(name) => format!("${{{}}}", variable(&name)),
        // A URL may hold a password or a key.
        KeyPlace::Plain if written.contains(['@', '?']) => {
            draft.note(params.at("api_base"), "a URL with user, password or query is not copied");
            return None;
        }
        KeyPlace::Plain => written.trim_end_matches('/').to_owned(),
    };
    if like == "azure" {
        draft.note(params.at("api_base"), "Azure is spoken to by its v1 API, at /openai/v1");
        let root = url.split("/openai").next().unwrap_or(&url);
        return Some(format!("{root}/openai/v1"));
    }
    Some(url)
}

/// What a deployment may be asked, and how long it may take.
fn limits(params: &mut Fields<'_>, deployment: &mut Table) {
    for key in ["rpm", "tpm"] {
        if let Some(most) = params.count(key).filter(|it| *it > 0) {
            deployment.insert(key.to_owned(), most.into());
        }
    }
    if let Some(weight) = params.number("weight").filter(|it| *it > 0.0) {
        deployment.insert("weight".to_owned(), weight.into());
    }
    let mut timeouts = Table::new();
    if let Some(time) = params.number("timeout").and_then(duration) {
        timeouts.insert("first_attempt".into(), time.as_str().into());
        timeouts.insert("fallback".into(), time.into());
    }
    if let Some(time) = params.number("stream_timeout").and_then(duration) {
        timeouts.insert("first_token".into(), time.into());
    }
    if !timeouts.is_empty() {
        deployment.insert("timeouts".to_owned(), timeouts.into());
    }
}

/// Seconds as ours are written; `None` for what is no time.
pub(super) fn duration(seconds: f64) -> Option<String> {
    let ms = (seconds * 1_000.0).round();
    (1.0..=86_400_000.0).contains(&ms).then(|| format!("{ms:.0}ms"))
}

/// What LiteLLM knows and a deployment here does not have.
fn others(params: &mut Fields<'_>, notes: &mut Vec<Note>) {
    params.refuse("api_version", "Azure's v1 API needs no version", notes);
    params.refuse("max_retries", "retries are of the model or of a route's target: `retry`", notes);
    let why = "parameters of one deployment need a route: a target's `override`";
    for key in ["temperature", "top_p", "max_tokens", "seed", "stop", "presence_penalty"] {
        params.refuse(key, why, notes);
    }
    params.refuse("tags", "requests are told apart by metadata, in a `conditional` route", notes);
    params.refuse("order", "a `fallback` route orders deployments", notes);
    params.refuse("aws_region_name", "the region is AWS_REGION in the environment", notes);
    params.refuse("mock_response", "`pointsman simulate` stands in for providers", notes);
}

/// What is said of the model itself; `None` where it gives no text.
fn info(entry: &mut Fields<'_>, draft: &mut Draft) -> Option<Figures> {
    let path = entry.at("model_info");
    let Some(info) = entry.take("model_info") else { return Some(Figures::default()) };
    let mut info = Fields::of(path, info);
    let chats =
        info.text("mode").is_none_or(|it| ["chat", "completion", "responses"].contains(&it));
    if !chats {
        draft.note(info.at("mode"), "only chat models are served here; the entry is left out");
        return None;
    }
    let figures = figures(&mut info);
    info.refuse("id", "a deployment's id here is model@provider", &mut draft.notes);
    info.refuse("base_model", "the catalog is looked up by the model's own id", &mut draft.notes);
    info.done(&mut draft.notes);
    Some(figures)
}

/// Figures by LiteLLM's names; its prices are of one token.
pub(super) fn figures(info: &mut Fields<'_>) -> Figures {
    let flag = |it: Option<&Value>| it.and_then(Value::as_bool).unwrap_or(false);
    let output = info.count("max_output_tokens");
    let either = info.count("max_tokens");
    let per_million = |it: f64| (it * 1e15).round() / 1e9;
    Figures {
        window: info.count("max_input_tokens").or(either),
        output: output.or(either),
        input_usd: info.number("input_cost_per_token").map(per_million),
        output_usd: info.number("output_cost_per_token").map(per_million),
        tools: flag(info.take("supports_function_calling")),
        images: flag(info.take("supports_vision")),
    }
}
