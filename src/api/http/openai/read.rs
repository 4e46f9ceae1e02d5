//! A chat completion's body, everything but its messages and tools.
//!
//! In: JSON. Out: [`Said`]. Invariant: a field that is not known here is kept in `extra`, so that
//! providers of the same dialect get it; a field that would change the answer and that nobody here
//! can honour is refused.

use serde_json::{Map, Value};

use super::{messages, tools};
use crate::api::http::alike::EFFORTS;
use crate::api::http::dialect::{Delivery, Said};
use crate::api::http::fields::{Fields, report};
use crate::api::http::{extension, provider};
use crate::domain::{ChatRequest, Effort, Json, Sampling, Violation};

/// Reads a body.
pub(super) fn read(body: Map<String, Value>, found: &mut Vec<Violation>) -> Said {
    let mut fields = Fields::body(body);
    let model = fields.text("model", found).unwrap_or_default();
    let models = fields.texts("models", found);
    let delivery = delivery(&mut fields, found);
    let extension = fields.take(extension::NAME);
    let provider = fields.take(provider::NAME);
    let (allowed, plugins) = provider::plugins(&mut fields, found);
    // OpenRouter's way to ask for the cost (until 2026), which is always told.
    let _ = fields.object("usage", found).and_then(|mut it| it.flag("include", found));
    let metadata = fields.named_texts("metadata", found);
    refused(&mut fields, found);
    let messages = fields.list("messages", found);
    let user = fields.text("user", found);
    let user = fields.text("safety_identifier", found).or(user);
    let mut chat = ChatRequest {
        messages: messages::read(messages, found),
        tools: tools::read(&mut fields, found),
        tool_choice: tools::choice(&mut fields, found),
        parallel_tool_calls: fields.flag("parallel_tool_calls", found),
        response_format: tools::format(&mut fields, found),
        sampling: sampling(&mut fields, found),
        effort: effort(&mut fields, found),
        user: user.map(Into::into),
        ..ChatRequest::default()
    };
    let mut rest = fields.rest();
    if !plugins.is_empty() {
        rest.insert("plugins".to_owned(), plugins.into());
    }
    if !rest.is_empty() {
        chat.extra = Json::from(Value::Object(rest));
    }
    Said { chat, model, models, delivery, extension, provider, allowed, metadata }
}

/// The caller's own path of a field that validation names.
pub(super) fn path(field: String) -> String {
    if let Some(own) = field.strip_prefix("sampling.") {
        return match own {
            "max_output_tokens" => "max_completion_tokens".to_owned(),
            "logprobs" => "top_logprobs".to_owned(),
            own => own.to_owned(),
        };
    }
    if field == "response_format.schema" {
        return "response_format.json_schema.schema".to_owned();
    }
    match field.strip_prefix("tools[").and_then(|it| it.split_once("].")) {
        Some((at, own)) => format!("tools[{at}].function.{own}"),
        None => field,
    }
}

fn delivery(fields: &mut Fields, found: &mut Vec<Violation>) -> Delivery {
    let stream = fields.flag("stream", found).unwrap_or(false);
    let mut options = fields.object("stream_options", found);
    let usage = options.as_mut().and_then(|it| it.flag("include_usage", found));
    match (stream, usage) {
        (false, _) => Delivery::Whole,
        (true, Some(true)) => Delivery::StreamWithUsage,
        (true, Some(false) | None) => Delivery::Stream,
    }
}

/// Fields that ask for what no answer of ours has.
fn refused(fields: &mut Fields, found: &mut Vec<Violation>) {
    let several = fields.count("n", found).filter(|it| *it != 1);
    if several.is_some() {
        report(found, "n", "one answer is given for a request; n must be 1");
    }
    for (name, instead) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.take(name).is_some() {
            let message = format!("functions gave way to tools in 2023; use `{instead}`");
            report(found, name, message);
        }
    }
    if fields.text("route", found).is_some_and(|it| it != "fallback") {
        report(found, "route", "the only route is `fallback`");
    }
}

fn sampling(fields: &mut Fields, found: &mut Vec<Violation>) -> Sampling {
    let older = fields.count("max_tokens", found);
    Sampling {
        temperature: fields.number("temperature", found),
        top_p: fields.number("top_p", found),
        max_output_tokens: fields.count("max_completion_tokens", found).or(older),
        stop: stop(fields, found),
        seed: fields.integer("seed", found),
        top_k: fields.count("top_k", found),
        frequency_penalty: fields.number("frequency_penalty", found),
        presence_penalty: fields.number("presence_penalty", found),
        logprobs: logprobs(fields, found),
    }
}

/// One string or a list of them.
fn stop(fields: &mut Fields, found: &mut Vec<Violation>) -> Vec<String> {
    let Some(place) = fields.place("stop") else { return Vec::new() };
    match place.value {
        Value::String(one) => vec![one],
        Value::Array(_) => place.texts(found),
        _ => {
            place.mismatch("a string or a list of strings", found);
            Vec::new()
        }
    }
}

fn logprobs(fields: &mut Fields, found: &mut Vec<Violation>) -> Option<u8> {
    let wanted = fields.flag("logprobs", found).unwrap_or(false);
    let alternatives = fields.count("top_logprobs", found);
    if alternatives.is_some_and(|it| it > 0) && !wanted {
        report(found, "top_logprobs", "this needs `logprobs: true`");
    }
    // More than 255 is out of range, too.
    wanted.then(|| u8::try_from(alternatives.unwrap_or(0)).unwrap_or(u8::MAX))
}

/// OpenAI's `reasoning_effort`, or OpenRouter's `reasoning` object.
fn effort(fields: &mut Fields, found: &mut Vec<Violation>) -> Option<Effort> {
    let named = fields.choice("reasoning_effort", &EFFORTS, found);
    let Some(mut inner) = fields.object("reasoning", found) else { return named };
    let level = inner.choice("effort", &EFFORTS, found);
    let tokens = inner.count("max_tokens", found).map(Effort::Tokens);
    let enabled = inner.flag("enabled", found);
    let enabled = enabled.map(|it| if it { Effort::Medium } else { Effort::Off });
    tokens.or(level).or(enabled).or(named)
}

#[cfg(test)]
mod tests;
