//! LiteLLM's public list of prices and windows.
//!
//! In: a JSON object, a row for each model at a provider. Out: models with their deployments and prices.
//! Invariant: rows that are left out are counted by their reason, and the first of each named.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Table;

use super::draft::{Draft, Figures, Reached, is_name};
use super::fields::Fields;
use super::litellm::{figures, provider_of};

/// Rows that are named of each reason to leave rows out.
const NAMED_MAX: usize = 5;
/// The row that explains the others.
const SAMPLE: &str = "sample_spec";

pub(super) fn read(file: &Value, draft: &mut Draft) {
    let mut left_out: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for (key, row) in file.as_object().into_iter().flatten().filter(|it| it.0 != SAMPLE) {
        if let Err(why) = one(key, row, draft) {
            left_out.entry(why).or_default().push(key);
        }
    }
    for (why, keys) in left_out {
        let named = keys.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = if keys.len() > NAMED_MAX { ", ..." } else { "" };
        draft.note(format!("{} rows ({named}{more})", keys.len()), why);
    }
}

fn one(key: &str, row: &Value, draft: &mut Draft) -> Result<(), &'static str> {
    let mut row = Fields::of(key, row);
    if row.text("mode").is_some_and(|it| it != "chat" && it != "responses") {
        return Err("not a chat model");
    }
    let by = row.text("litellm_provider").unwrap_or_default();
    let like = provider_of(by).ok_or("at a provider that is not known here")?;
    let own = figures(&mut row);
    let cached = row.number("cache_read_input_token_cost");
    let written = row.number("cache_creation_input_token_cost");
    let (Some(input), Some(output)) = (own.input_usd, own.output_usd) else {
        return Err("without prices of tokens");
    };
    let id = key.split_once('/').filter(|(it, _)| provider_of(it).is_some()).map_or(key, |it| it.1);
    let name = draft.known(like, id).map(|it| it.name.to_string());
    let name = name.unwrap_or_else(|| id.rsplit('/').next().unwrap_or(id).to_owned());
    if !is_name(&name) || name.contains('@') {
        return Err("its name cannot be one here");
    }
    let provider = draft.provider(Reached { like: like.into(), ..Reached::default() }, &[]);
    let mut price = Table::new();
    let million = |it: f64| toml::Value::Float((it * 1e15).round() / 1e9);
    price.insert("input".into(), input.into());
    price.insert("output".into(), output.into());
    price.extend(cached.map(|it| ("cached".to_owned(), million(it))));
    price.extend(written.map(|it| ("cache_written".to_owned(), million(it))));
    if price.values().any(|it| it.as_float().is_some_and(|it| !(0.0..1e6).contains(&it))) {
        return Err("with prices that cannot be");
    }
    let own = Figures { window: own.window.or(own.output), ..own };
    if own.window.is_none() {
        return Err("without a context window");
    }
    let model = draft.model(&name, key, (like, id), &own);
    let deployments = model.get("deployment").and_then(toml::Value::as_array);
    let twice = deployments
        .into_iter()
        .flatten()
        .any(|it| it.get("provider").and_then(toml::Value::as_str) == Some(provider.as_str()));
    if twice {
        return Err("a second row of one model at one provider");
    }
    let mut deployment = Table::new();
    deployment.insert("provider".into(), provider.into());
    deployment.insert("model_id".into(), id.into());
    deployment.insert("price".into(), price.into());
    Draft::deploy(model, deployment);
    Ok(())
}
