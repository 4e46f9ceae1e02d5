//! OpenRouter's `provider` object, and what its auto router is told in `plugins`.
//!
//! In: JSON. Out: [`proto::ProviderPreferences`], and patterns of models. Invariant: a field that is not
//! known is told, with the one that was perhaps meant. Source of the names: OpenRouter, "Provider Routing"
//! and "Auto Router" (2026). Not here: what the values mean, which is one rule for both faces (see
//! [`crate::api::preferences`]).

use serde_json::Value;

use super::fields::{Fields, Placed, report};
use crate::api::proto;
use crate::catalog::{Fleet, Model};
use crate::domain::Violation;

type Found = Vec<Violation>;

/// The name of the object.
pub(super) const NAME: &str = "provider";
const KNOWN: [&str; 10] = [
    "order",
    "only",
    "ignore",
    "allow_fallbacks",
    "require_parameters",
    "data_collection",
    "zdr",
    "quantizations",
    "sort",
    "max_price",
];
const SORT: [&str; 2] = ["by", "partition"];
const MAX_PRICE: [&str; 4] = ["prompt", "completion", "request", "image"];
/// Wishes of OpenRouter's that are weaker than limits, with what is there instead.
const PREFERRED: [(&str, &str); 2] = [
    ("preferred_min_throughput", "pointsman.budget.min_throughput"),
    ("preferred_max_latency", "pointsman.budget.max_ttft_ms"),
];
/// The plugin that the auto router reads.
const AUTO_ROUTER: &str = "auto-router";
const PLUGIN: [&str; 2] = ["allowed_models", "enabled"];

/// Reads the object.
pub(super) fn read(value: Value, found: &mut Found) -> Option<proto::ProviderPreferences> {
    let mut fields = Fields::of(NAME, value, found)?;
    for (name, instead) in PREFERRED {
        if fields.take(name).is_some() {
            let message = format!("there is no such preference here; `{instead}` is a limit");
            report(found, fields.at(name), message);
        }
    }
    let wire = proto::ProviderPreferences {
        order: fields.texts("order", found),
        only: fields.texts("only", found),
        ignore: fields.texts("ignore", found),
        allow_fallbacks: fields.flag("allow_fallbacks", found),
        require_parameters: fields.flag("require_parameters", found),
        data_collection: fields.text("data_collection", found),
        zdr: fields.flag("zdr", found),
        quantizations: fields.texts("quantizations", found),
        sort: fields.place("sort").and_then(|it| sort(it, found)),
        max_price: fields.object("max_price", found).map(|it| max_price(it, found)),
    };
    fields.deny_rest(&KNOWN, found);
    Some(wire)
}

/// A figure's name, or an object.
fn sort(place: Placed, found: &mut Found) -> Option<proto::ProviderSort> {
    if let Value::String(by) = place.value {
        return Some(proto::ProviderSort { by, partition: String::new() });
    }
    let mut fields = place.object(found)?;
    let by = fields.needed("by", found).and_then(|it| it.text(found));
    let partition = fields.text("partition", found).unwrap_or_default();
    fields.deny_rest(&SORT, found);
    Some(proto::ProviderSort { by: by?, partition })
}

fn max_price(mut fields: Fields, found: &mut Found) -> proto::MaxPrice {
    let wire = proto::MaxPrice {
        prompt: amount(&mut fields, "prompt", found),
        completion: amount(&mut fields, "completion", found),
        request: amount(&mut fields, "request", found),
        image: amount(&mut fields, "image", found),
    };
    fields.deny_rest(&MAX_PRICE, found);
    wire
}

/// A number, which OpenRouter takes as a string, too.
fn amount(fields: &mut Fields, name: &str, found: &mut Found) -> Option<f64> {
    let place = fields.place(name)?;
    let read = match &place.value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    if read.is_none() {
        place.mismatch("a number", found);
    }
    read
}

/// Takes OpenRouter's plugins out of a body: the patterns of the auto router's allow list with their
/// paths, and the other plugins as they were.
pub(super) fn plugins(body: &mut Fields, found: &mut Found) -> (Vec<Placed>, Vec<Value>) {
    body.place("plugins").map(|it| allowed(it, found)).unwrap_or_default()
}

fn allowed(plugins: Placed, found: &mut Found) -> (Vec<Placed>, Vec<Value>) {
    let (mut patterns, mut others) = (Vec::new(), Vec::new());
    for plugin in plugins.elements(found) {
        if plugin.value.get("id").and_then(Value::as_str) != Some(AUTO_ROUTER) {
            others.push(plugin.value);
            continue;
        }
        let Some(mut fields) = plugin.object(found) else { continue };
        let _ = fields.take("id");
        let enabled = fields.flag("enabled", found) != Some(false);
        let list = fields.list("allowed_models", found);
        patterns.extend(list.into_iter().filter(|_| enabled));
        if fields.take("cost_quality_tradeoff").is_some() {
            let message = "there is no such scale here; say `pointsman.preference`";
            report(found, fields.at("cost_quality_tradeoff"), message);
        }
        fields.deny_rest(&PLUGIN, found);
    }
    (patterns, others)
}

/// The models that patterns mean, each once. `*` stands for anything; a pattern is held against the
/// model's name and against `vendor/name`.
pub(super) fn matching(patterns: Vec<Placed>, fleet: &Fleet, found: &mut Found) -> Vec<String> {
    let models = fleet.models();
    let mut allowed: Vec<String> = Vec::new();
    for place in patterns {
        let path = place.path.clone();
        let Some(pattern) = place.text(found) else { continue };
        let before = allowed.len();
        let mut hit = false;
        for model in models.iter().filter(|it| means(&pattern, it)) {
            hit = true;
            let name = model.name.to_string();
            if !allowed[..before].contains(&name) {
                allowed.push(name);
            }
        }
        if !hit {
            report(found, path, "no model that is served here is meant by this");
        }
    }
    allowed
}

fn means(pattern: &str, model: &Model) -> bool {
    let name = model.name.as_str();
    let slug = format!("{}/{name}", model.vendor.to_lowercase());
    is_like(name, pattern) || is_like(&slug, pattern)
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|it| text.strip_prefix(it)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_is_read() {
        let mut found = Vec::new();
        let value = json!({
            "order": ["anthropic", "openai"], "only": ["a"], "ignore": ["b"],
            "allow_fallbacks": false, "require_parameters": true, "data_collection": "deny",
            "zdr": true, "quantizations": ["fp8"], "sort": {"by": "price", "partition": "none"},
            "max_price": {"prompt": 1, "completion": "2.5", "request": 0, "image": 0.1},
        });
        let wire = read(value, &mut found).unwrap();
        assert_eq!(found, []);
        assert_eq!(wire.order, ["anthropic", "openai"]);
        assert_eq!((wire.allow_fallbacks, wire.require_parameters), (Some(false), Some(true)));
        let sort = wire.sort.unwrap();
        assert_eq!((sort.by.as_str(), sort.partition.as_str()), ("price", "none"));
        assert_eq!(wire.max_price.unwrap().completion, Some(2.5));
    }

    #[test]
    fn what_is_wrong_has_its_path() {
        let check = |value: Value, field: &str, part: &str| {
            let mut found = Vec::new();
            read(value, &mut found);
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].field, field);
            assert!(found[0].message.contains(part), "{found:?}");
        };
        check(json!(1), "provider", "an object is wanted");
        check(json!({"ordr": []}), "provider.ordr", "did you mean `order`");
        check(json!({"sort": 1}), "provider.sort", "an object is wanted");
        check(json!({"sort": {}}), "provider.sort.by", "needed");
        let value = json!({"max_price": {"prompt": "dear"}});
        check(value, "provider.max_price.prompt", "a number");
        let value = json!({"preferred_max_latency": 1});
        check(value, "provider.preferred_max_latency", "pointsman.budget.max_ttft_ms");
    }

    #[test]
    fn patterns_mean_what_they_say() {
        let check = |pattern: &str, text: &str, wanted: bool| {
            assert_eq!(is_like(text, pattern), wanted, "{pattern} {text}");
        };
        check("anthropic/*", "anthropic/claude", true);
        check("anthropic/*", "openai/gpt", false);
        check("*", "x", true);
        check("gpt-4o", "gpt-4o", true);
        check("gpt-4o", "gpt-4o-mini", false);
        check("gpt*mini", "gpt-4o-mini", true);
        check("g*4*i", "gpt-4o-mini", true);
        check("g*4*x", "gpt-4o-mini", false);
    }

    #[test]
    fn the_auto_routers_list_is_taken_out_of_the_plugins() {
        let mut found = Vec::new();
        let plugins = json!([{"id": "web"}, {"id": "auto-router", "allowed_models": ["a*", "b"]}]);
        let place = Placed { path: "plugins".into(), value: plugins };
        let (patterns, others) = allowed(place, &mut found);
        assert_eq!(found, []);
        assert_eq!(patterns[1].path, "plugins[1].allowed_models[1]");
        assert_eq!(others, [json!({"id": "web"})]);
    }
}
