//! A Portkey gateway config: a tree of targets.
//!
//! In: the config as JSON, and the model that requests name where targets leave it to them. Out: one route,
//! its models and providers. Invariant: the tree keeps its shape; a target without a model is named, not
//! guessed. Not here: conditions (see [`super::portkey_rules`]).

use serde_json::Value;
use toml::Table;

use super::draft::{Draft, Figures, Reached, is_name};
use super::fields::{Fields, KeyPlace, key_place, slug, variable};
use super::portkey_rules;

/// The route's name here; a config has none.
const ROUTE: &str = "portkey";
/// The deepest nesting that is read: beyond what our own routes may have.
const DEPTH_MAX: usize = 16;
/// Portkey's names of providers, and ours.
const PROVIDERS: [(&str, &str); 19] = [
    ("openai", "openai"),
    ("azure-openai", "azure"),
    ("azure", "azure"),
    ("anthropic", "anthropic"),
    ("google", "google"),
    ("gemini", "google"),
    ("bedrock", "bedrock"),
    ("openrouter", "openrouter"),
    ("groq", "groq"),
    ("mistral", "mistral"),
    ("deepseek", "deepseek"),
    ("x-ai", "xai"),
    ("together", "together"),
    ("fireworks", "fireworks"),
    ("cerebras", "cerebras"),
    ("perplexity", "perplexity"),
    ("cohere", "cohere"),
    ("ollama", "ollama"),
    ("open-ai", "openai"),
];
/// What Portkey's parameters are called here.
const OVERRIDES: [(&str, &str); 8] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("seed", "seed"),
    ("top_k", "top_k"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
];
const GUARDS: [&str; 5] = [
    "before_request_hooks",
    "after_request_hooks",
    "input_guardrails",
    "output_guardrails",
    "guardrails",
];

/// What is handed down to targets.
#[derive(Clone, Default)]
struct Above {
    /// The config's own provider, for targets that name none.
    provider: Option<Reached>,
    depth: usize,
}

pub(super) fn read(file: &Value, model: Option<&str>, draft: &mut Draft) {
    let root = Fields::of("", file);
    let mut reader = Reader { draft, model };
    if let Some(mut node) = reader.node(root, &Above::default()) {
        node.insert("name".into(), ROUTE.into());
        draft.routes.push(node);
        draft.policy.insert("route".into(), ROUTE.into());
    }
}

struct Reader<'d, 'm> {
    draft: &'d mut Draft,
    model: Option<&'m str>,
}

impl Reader<'_, '_> {
    /// A node as a table of ours; `None` where nothing of it could be used.
    fn node(&mut self, mut fields: Fields<'_>, above: &Above) -> Option<Table> {
        let mut table = Table::new();
        self.terms(&mut fields, &mut table);
        let own = self.provider(&mut fields).or_else(|| above.provider.clone());
        let (strategy, targets) = (fields.take("strategy"), fields.take("targets"));
        let params = fields.take("override_params");
        let path = fields.path.clone();
        let (mode, strategy) = mode(strategy, fields.at("strategy"));
        let wanted = self.overrides(params, fields.at("override_params"), &mut table);
        fields.done(&mut self.draft.notes);
        if above.depth >= DEPTH_MAX {
            self.draft.note(path, "nested too deeply");
            return None;
        }
        let below = Above { provider: own.clone(), depth: above.depth + 1 };
        let Some(targets) = targets.and_then(Value::as_array) else {
            strategy.done(&mut self.draft.notes);
            return self.leaf(table, own, wanted, &path);
        };
        self.branch(table, (mode, strategy), (targets, &path), &below)
    }

    /// One that leads on to others.
    fn branch(
        &mut self,
        mut table: Table,
        (mode, mut strategy): (&str, Fields<'_>),
        (targets, path): (&[Value], &str),
        below: &Above,
    ) -> Option<Table> {
        let each = targets.iter().enumerate().map(|(at, it)| {
            let dot = if path.is_empty() { "" } else { "." };
            let node = self.node(Fields::of(format!("{path}{dot}targets[{at}]"), it), below);
            (it, node)
        });
        let each: Vec<_> = each.collect();
        let all = match mode {
            "conditional" => portkey_rules::ordered(&mut strategy, &each, &mut self.draft.notes),
            _ => each.iter().filter_map(|(from, it)| weighted(from, it.clone()?, mode)).collect(),
        };
        let own = match mode {
            "loadbalance" => "loadbalance",
            "conditional" => "conditional",
            _ => "fallback",
        };
        table.insert("strategy".into(), own.into());
        if own == "fallback" {
            table.insert("on".into(), triggers(&mut strategy));
        }
        strategy.done(&mut self.draft.notes);
        // Of a single one the first is all there is.
        let all: Vec<_> = if mode == "single" { all.into_iter().take(1).collect() } else { all };
        if all.is_empty() {
            self.draft.note(path, "none of its targets could be used");
            return None;
        }
        let all = all.into_iter().map(toml::Value::Table).collect();
        table.insert("target".into(), toml::Value::Array(all));
        Some(table)
    }

    /// One that is asked.
    fn leaf(
        &mut self,
        mut table: Table,
        own: Option<Reached>,
        wanted: Option<String>,
        path: &str,
    ) -> Option<Table> {
        let Some(reached) = own else {
            self.draft.note(path, "names no provider that is known here");
            return None;
        };
        let Some(id) = wanted.or_else(|| self.model.map(str::to_owned)) else {
            let why = "names no model (`override_params.model`): say with --model which one requests name";
            self.draft.note(path, why);
            return None;
        };
        let like = reached.like.clone();
        let known = self.draft.known(&like, &id).map(|it| it.name.to_string());
        let name = known.unwrap_or_else(|| slug(&id));
        if !is_name(&name) {
            self.draft.note(path, "its model's name cannot be one here");
            return None;
        }
        let provider = self.draft.provider(reached, &[]);
        let at_provider = self.draft.known(&like, &name).and_then(|it| {
            it.served_by.iter().find(|(by, _)| by.as_str() == like).map(|it| it.1.clone())
        });
        let model = self.draft.model(&name, path, (&like, &id), &Figures::default());
        let there = model.get("deployment").and_then(|it| it.as_array()).is_some_and(|all| {
            all.iter().any(|it| it.get("provider").and_then(|it| it.as_str()) == Some(&provider))
        });
        if !there {
            let mut deployment = Table::new();
            deployment.insert("provider".into(), provider.as_str().into());
            deployment.insert("model_id".into(), at_provider.unwrap_or(id).into());
            Draft::deploy(model, deployment);
        }
        table.insert("deployment".into(), format!("{name}@{provider}").into());
        Some(table)
    }

    /// Who is asked, where a node says it.
    fn provider(&mut self, fields: &mut Fields<'_>) -> Option<Reached> {
        let (key, named) = (fields.text("virtual_key"), fields.text("provider"));
        let host = fields.text("custom_host").map(|it| it.trim_end_matches('/').to_owned());
        if host.as_ref().is_some_and(|it| it.contains(['@', '?'])) {
            let why = "a URL with user, password or query is not copied";
            self.draft.note(fields.at("custom_host"), why);
        }
        let host = host.filter(|it| !it.contains(['@', '?']));
        let plain = fields.text("api_key").map(key_place);
        let called = named.and_then(|it| it.strip_prefix('@')).or(key).map(slug);
        let word = named.map(|it| it.trim_start_matches('@')).or(key)?;
        let Some(like) = like(word) else {
            let why = "not a provider that is known here: write a [[provider]], a [[model.deployment]] \
                       and a target";
            self.draft.note(fields.at("provider"), why);
            return None;
        };
        let key_env = match (plain, &called) {
            (Some(KeyPlace::Variable(name)), _) => Some(variable(&name)),
            (Some(KeyPlace::Plain), _) => {
                let name = format!("{}_API_KEY", variable(called.as_deref().unwrap_or(like)));
                let why = format!("a key in plain text is not copied; put it into {name}");
                self.draft.note(fields.at("api_key"), why);
                Some(name)
            }
            (None, Some(called)) => {
                let name = format!("{}_API_KEY", variable(called));
                let why = format!("what Portkey keeps under this name belongs into {name} here");
                let key = if key.is_some() { "virtual_key" } else { "provider" };
                self.draft.note(fields.at(key), why);
                Some(name)
            }
            (None, None) => None,
        };
        let called = called.filter(|it| !self.draft.is_builtin(it));
        Some(Reached { like: like.to_owned(), base_url: host, key_env, called })
    }

    /// Retries and time, and what has no place here.
    fn terms(&mut self, fields: &mut Fields<'_>, table: &mut Table) {
        let path = fields.at("retry");
        if let Some(retry) = fields.take("retry") {
            let mut retry = Fields::of(path, retry);
            let mut own = Table::new();
            let attempts = retry.count("attempts").unwrap_or(0).min(10);
            own.insert("attempts".into(), attempts.into());
            let named = retry.take("on_status_codes").and_then(codes);
            let usual = || [429, 500, 502, 503, 504].map(toml::Value::Integer).to_vec().into();
            own.insert("on".into(), named.unwrap_or_else(usual));
            let why = "a pause that a provider asks for is kept up to 2 s";
            retry.refuse("use_retry_after_header", why, &mut self.draft.notes);
            retry.done(&mut self.draft.notes);
            table.insert("retry".into(), own.into());
            self.room(attempts);
        }
        let time = fields.number("request_timeout").map(|it| it / 1_000.0);
        if let Some(time) = time.and_then(super::litellm::duration) {
            table.insert("timeout".into(), time.into());
        }
        let notes = &mut self.draft.notes;
        fields.refuse("cache", "caching is not a matter of routes here", notes);
        for key in GUARDS {
            fields.refuse(key, "there are no guardrails here", notes);
        }
        // Read by whoever is above.
        for key in ["weight", "name", "index"] {
            let _ = fields.take(key);
        }
    }

    /// Calls beyond our own default of six.
    fn room(&mut self, attempts: i64) {
        let before = self.draft.policy.get("attempts_max").and_then(toml::Value::as_integer);
        let calls = (before.unwrap_or(6) + attempts).min(32);
        self.draft.policy.insert("attempts_max".into(), calls.into());
    }

    /// Parameters of a node; gives back the model among them.
    fn overrides(
        &mut self,
        params: Option<&Value>,
        path: String,
        table: &mut Table,
    ) -> Option<String> {
        let mut params = Fields::of(path, params?);
        let model = params.text("model").map(str::to_owned);
        let mut own = Table::new();
        for (key, ours) in OVERRIDES {
            let whole = params.count(key).map(toml::Value::Integer);
            let number = params.number(key).map(toml::Value::Float);
            let value = if ours.ends_with("_p") || ours.starts_with("temp") {
                number
            } else {
                whole.or(number)
            };
            own.extend(value.map(|it| (ours.to_owned(), it)));
        }
        let stop = params.take("stop").map(|it| match it {
            Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            other => other.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
        });
        own.extend(stop.filter(|it| !it.is_empty()).map(|it| ("stop".to_owned(), it.into())));
        params.done(&mut self.draft.notes);
        if !own.is_empty() {
            table.insert("override".into(), own.into());
        }
        model
    }
}

fn mode(strategy: Option<&Value>, path: String) -> (&'static str, Fields<'_>) {
    let mut strategy = Fields::of(path, strategy.unwrap_or(&Value::Null));
    let mode = match strategy.text("mode") {
        Some("loadbalance") => "loadbalance",
        Some("conditional") => "conditional",
        Some("fallback") => "fallback",
        _ => "single",
    };
    (mode, strategy)
}

/// Without codes Portkey goes on after everything that is no answer; its own faults, such as a
/// connection that was not made, lead on in any case (docs, 2026).
fn triggers(strategy: &mut Fields<'_>) -> toml::Value {
    let Some(mut all) = strategy.take("on_status_codes").and_then(codes) else {
        return "any".into();
    };
    if let Some(all) = all.as_array_mut() {
        all.push("connection".into());
    }
    all
}

/// Statuses that tell of a failure.
fn codes(value: &Value) -> Option<toml::Value> {
    let all = value.as_array()?.iter().filter_map(Value::as_i64);
    let all: Vec<_> = all.filter(|it| (400..600).contains(it)).map(toml::Value::Integer).collect();
    (!all.is_empty()).then_some(toml::Value::Array(all))
}

/// A branch with its weight, where weights draw.
fn weighted(from: &Value, mut table: Table, mode: &str) -> Option<Table> {
    if let Some(name) = from.get("name").and_then(Value::as_str) {
        table.insert("name".into(), name.into());
    }
    if mode == "loadbalance" {
        let weight = from.get("weight").and_then(Value::as_f64).unwrap_or(1.0);
        table.insert("weight".into(), weight.max(0.0).into());
    }
    Some(table)
}

/// Our provider whose name is in a word: `openai-prod`, `@anthropic-eu`.
fn like(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let exact = PROVIDERS.iter().find(|(it, _)| *it == word);
    let inside =
        || PROVIDERS.iter().filter(|(it, _)| word.contains(it)).max_by_key(|it| it.0.len());
    exact.or_else(inside).map(|it| it.1)
}
