//! What LiteLLM's router and server are told beside their models.
//!
//! In: `router_settings`, `litellm_settings`, `general_settings`. Out: strategies, retries, fallbacks,
//! timeouts, aliases; notes for the rest. Not here: the models (see [`super::litellm`]).

use serde_json::Value;
use toml::Table;

use super::draft::Draft;
use super::fields::{Fields, slug};
use super::litellm::duration;

/// LiteLLM's ways to pick a deployment of a group, and ours.
const STRATEGIES: [(&str, &str); 7] = [
    ("simple-shuffle", "shuffle"),
    ("least-busy", "least_busy"),
    ("latency-based-routing", "latency"),
    ("usage-based-routing", "usage"),
    ("usage-based-routing-v2", "usage"),
    ("cost-based-routing", "price"),
    ("lowest-cost", "price"),
];
/// LiteLLM's errors in its retry policies, and our failures.
const ERRORS: [(&str, &str); 6] = [
    ("BadRequestErrorRetries", "invalid_request"),
    ("AuthenticationErrorRetries", "auth"),
    ("TimeoutErrorRetries", "408"),
    ("RateLimitErrorRetries", "rate_limited"),
    ("ContentPolicyViolationErrorRetries", "content_filtered"),
    ("InternalServerErrorRetries", "5xx"),
];
/// The most calls of one request, and retries of one target, that ours takes.
const ATTEMPTS_MAX: i64 = 32;
const RETRIES_MAX: i64 = 10;
/// What both sections may say; the first has the last word.
const SECTIONS: [&str; 2] = ["router_settings", "litellm_settings"];
const BREAKERS: &str = "breakers have fixed settings here: they open by failures in a row, wait longer \
                        each time, and close by one probe (docs/failures.md)";

/// What comes after a failure, for all groups.
#[derive(Default)]
struct After {
    retries: Option<i64>,
    usual: Vec<(String, Vec<String>)>,
    default: Vec<String>,
    context: Vec<(String, Vec<String>)>,
    content: Vec<(String, Vec<String>)>,
    policy: Option<Table>,
}

pub(super) fn read(root: &mut Fields<'_>, draft: &mut Draft) {
    let mut after = After::default();
    let mut aliases = Vec::new();
    for name in SECTIONS {
        let path = root.at(name);
        let Some(section) = root.take(name) else { continue };
        let mut section = Fields::of(path, section);
        strategy(&mut section, draft);
        failures(&mut section, draft, &mut after);
        timeouts(&mut section, draft);
        aliases.extend(alias(&mut section, draft));
        others(&mut section, draft);
        section.done(&mut draft.notes);
    }
    if !draft.models.iter().any(|it| it.1.contains_key("strategy")) {
        // LiteLLM's own default.
        spread(draft, "shuffle");
    }
    apply(&after, draft);
    for (name, group) in aliases {
        let Some((_, table)) = draft.models.iter().find(|(it, _)| *it == group) else {
            draft.note(format!("router_settings.model_group_alias.{name}"), "no such group");
            continue;
        };
        let mut table = table.clone();
        table.insert("name".into(), name.as_str().into());
        figures_of(&group, &mut table, draft);
        draft.models.push((name, table));
    }
    general(root, draft);
}

/// An alias of a model that the catalog knows by the other name needs that one's figures.
fn figures_of(group: &str, table: &mut Table, draft: &mut Draft) {
    if table.contains_key("context_window") {
        return;
    }
    let mut apart = draft.figures_as(group);
    for (key, value) in std::mem::take(&mut apart) {
        table.entry(key).or_insert(value);
    }
}

fn strategy(section: &mut Fields<'_>, draft: &mut Draft) {
    let Some(written) = section.text("routing_strategy") else { return };
    match STRATEGIES.iter().find(|(it, _)| *it == written) {
        Some((_, own)) => spread(draft, own),
        None => draft.note(section.at("routing_strategy"), "no strategy here is like it"),
    }
}

/// Groups of one deployment leave nothing to choose.
fn spread(draft: &mut Draft, strategy: &str) {
    for (_, table) in &mut draft.models {
        let several = table.get("deployment").and_then(|it| it.as_array()).map_or(0, Vec::len) > 1;
        if several {
            table.insert("strategy".into(), strategy.into());
        }
    }
}

fn failures(section: &mut Fields<'_>, draft: &mut Draft, after: &mut After) {
    after.retries = after.retries.or(section.count("num_retries"));
    let lists = [
        ("fallbacks", &mut after.usual),
        ("context_window_fallbacks", &mut after.context),
        ("content_policy_fallbacks", &mut after.content),
    ];
    for (key, into) in lists {
        let path = section.at(key);
        into.extend(section.take(key).map(|it| groups(it, &path, draft)).unwrap_or_default());
    }
    let default = section.take("default_fallbacks").and_then(Value::as_array);
    after.default.extend(default.into_iter().flatten().filter_map(Value::as_str).map(slug));
    let path = section.at("retry_policy");
    if let Some(policy) = section.take("retry_policy") {
        after.policy = Some(retry_policy(Fields::of(path, policy), draft));
    }
    let path = section.at("model_group_retry_policy");
    for (group, policy) in section.take("model_group_retry_policy").into_iter().flat_map(pairs) {
        let own = retry_policy(Fields::of(format!("{path}.{group}"), policy), draft);
        match draft.models.iter_mut().find(|(it, _)| it == group) {
            Some((_, table)) => {
                table.insert("retry".into(), own.into());
            }
            None => draft.note(format!("{path}.{group}"), "no such group"),
        }
    }
    for key in ["allowed_fails", "cooldown_time", "allowed_fails_policy", "disable_cooldowns"] {
        section.refuse(key, BREAKERS, &mut draft.notes);
    }
    section.refuse("retry_after", "pauses are drawn here, 50 to 500 ms", &mut draft.notes);
}

fn pairs(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// `[{group: [groups]}]`.
fn groups(value: &Value, path: &str, draft: &mut Draft) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for (at, entry) in value.as_array().into_iter().flatten().enumerate() {
        for (group, to) in pairs(entry) {
            let mut names = Vec::new();
            for it in to.as_array().into_iter().flatten() {
                match it.as_str() {
                    Some(name) => names.push(slug(name)),
                    None => draft.note(
                        format!("{path}[{at}].{group}"),
                        "fallbacks with parameters of their own need a route",
                    ),
                }
            }
            all.push((slug(group), names));
        }
    }
    all
}

fn retry_policy(mut policy: Fields<'_>, draft: &mut Draft) -> Table {
    let mut own = Table::new();
    for (error, failure) in ERRORS {
        if let Some(times) = policy.count(error) {
            own.insert(failure.to_owned(), times.min(RETRIES_MAX).into());
        }
    }
    policy.done(&mut draft.notes);
    own
}

fn timeouts(section: &mut Fields<'_>, draft: &mut Draft) {
    let whole = section.number("timeout");
    let whole = whole.or_else(|| section.number("request_timeout")).and_then(duration);
    let first = section.number("stream_timeout").and_then(duration);
    let mut own = Table::new();
    if let Some(time) = whole {
        own.insert("first_attempt".into(), time.as_str().into());
        own.insert("fallback".into(), time.into());
    }
    own.extend(first.map(|it| ("first_token".to_owned(), it.into())));
    if !own.is_empty() && !draft.policy.contains_key("timeouts") {
        draft.policy.insert("timeouts".into(), own.into());
    }
}

fn alias(section: &mut Fields<'_>, draft: &mut Draft) -> Vec<(String, String)> {
    let path = section.at("model_group_alias");
    let mut all = Vec::new();
    for (name, to) in section.take("model_group_alias").into_iter().flat_map(pairs) {
        let group = to.as_str().or_else(|| to.get("model")?.as_str());
        match group {
            Some(group) => all.push((slug(name), slug(group))),
            None => draft.note(format!("{path}.{name}"), "names no group"),
        }
        if to.get("hidden").is_some() {
            draft.note(format!("{path}.{name}.hidden"), "every model is listed here");
        }
    }
    all
}

fn others(section: &mut Fields<'_>, draft: &mut Draft) {
    let notes = &mut draft.notes;
    section.refuse("enable_pre_call_checks", "windows are always looked at here", notes);
    section.refuse("drop_params", "what a provider lacks is always left out, and told", notes);
    let why = "one server keeps these for itself here";
    for key in ["redis_host", "redis_port", "redis_password", "redis_url"] {
        section.refuse(key, why, notes);
    }
    section.refuse("set_verbose", "logs are set by RUST_LOG", notes);
    for key in ["success_callback", "failure_callback", "callbacks"] {
        section.refuse(key, "outcomes are kept in a log and exported: docs/outcomes.md", notes);
    }
}

/// Puts what comes after a failure into the models.
fn apply(after: &After, draft: &mut Draft) {
    let names: Vec<String> = draft.models.iter().map(|it| it.0.clone()).collect();
    let mut most = 0;
    for at in 0..names.len() {
        let name = &names[at];
        let of = |all: &[(String, Vec<String>)]| {
            let own = all.iter().find(|it| it.0 == *name).or(all.iter().find(|it| it.0 == "*"));
            own.map(|it| it.1.clone()).unwrap_or_default()
        };
        let usual = of(&after.usual);
        let usual = if usual.is_empty() { after.default.clone() } else { usual };
        let lists = [
            ("fallbacks", usual),
            ("context_window_fallbacks", of(&after.context)),
            ("content_policy_fallbacks", of(&after.content)),
        ];
        let mut count = 1;
        for (key, list) in lists {
            let (known, lost): (Vec<_>, Vec<_>) =
                list.into_iter().filter(|it| it != name).partition(|it| names.contains(it));
            for it in lost {
                draft.note(format!("{key}.{name}"), format!("there is no group `{it}`"));
            }
            if !known.is_empty() {
                count += known.len() as i64;
                draft.models[at].1.insert(key.into(), known.into());
            }
        }
        let retries = after.retries.unwrap_or(0).min(RETRIES_MAX);
        if let Some(retry) = retry(after, retries) {
            draft.models[at].1.entry("retry").or_insert(retry);
        }
        let several = draft.models[at].1.get("deployment").and_then(|it| it.as_array());
        let several = several.map_or(1, Vec::len) as i64;
        most = most.max((1 + retries).max(several) * count);
    }
    room(most, draft);
}

/// LiteLLM retries what its own client does: timeouts, conflicts, limits and faults of servers.
fn retry(after: &After, retries: i64) -> Option<toml::Value> {
    if let Some(policy) = &after.policy {
        return Some(policy.clone().into());
    }
    after.retries?;
    let on: Vec<toml::Value> = vec![408.into(), 409.into(), 429.into(), "5xx".into()];
    let mut own = Table::new();
    own.insert("attempts".into(), retries.into());
    own.insert("on".into(), on.into());
    Some(own.into())
}

/// Calls and candidates beyond our own defaults of six and three.
fn room(calls: i64, draft: &mut Draft) {
    if calls > 6 {
        draft.policy.insert("attempts_max".into(), calls.min(ATTEMPTS_MAX).into());
    }
    let deployments = |table: &Table| table.get("deployment")?.as_array().map(Vec::len);
    let most = draft.models.iter().filter_map(|it| deployments(&it.1)).max().unwrap_or(0);
    if most > 3 {
        let most = i64::try_from(most).unwrap_or(ATTEMPTS_MAX).min(ATTEMPTS_MAX);
        draft.policy.insert("candidates_max".into(), most.into());
    }
}

fn general(root: &mut Fields<'_>, draft: &mut Draft) {
    let path = root.at("general_settings");
    if let Some(section) = root.take("general_settings") {
        let mut section = Fields::of(path, section);
        let why = "callers' keys are made here by `pointsman keys create` (docs/keys.md)";
        section.refuse("master_key", why, &mut draft.notes);
        section.refuse("database_url", "keys and outcomes are in SQLite here", &mut draft.notes);
        section.done(&mut draft.notes);
    }
    let why = "the environment is set outside of the config";
    root.refuse("environment_variables", why, &mut draft.notes);
}
