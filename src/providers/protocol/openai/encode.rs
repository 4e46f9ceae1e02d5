//! A chat request as the body of `POST /chat/completions`.
//!
//! In: [`Asking`]. Out: JSON, and the names of what this provider does not take. Invariant: a field
//! that the caller left open is not in the body, so that the provider's default holds; a field that
//! we do not know never replaces one of ours. Not here: whether the model is able to do what is
//! asked (ranking saw to that).

use serde_json::{Map, Value, json};

use super::super::{Asking, Delivery, Dropped, Encoded, Unsupported};
use super::{messages, shape};
use crate::domain::{ChatRequest, Effort};
use crate::providers::quirks::{AssistantPrefix, MaxTokensField, Parameter};

/// Fields that decide how the answer comes back: they are ours, whatever the caller's dialect has.
const OURS: [&str; 4] = ["model", "messages", "stream", "stream_options"];

/// The body that asks for one answer.
///
/// # Errors
/// [`Unsupported`] for what would not be the same request without it.
pub(in super::super) fn encode(asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    let Asking { request, deployment, quirks, delivery } = *asking;
    let mut dropped = Dropped::default();
    let mut body = Map::new();
    body.insert("model".into(), deployment.model_id.as_str().into());
    body.insert("messages".into(), messages::encode(asking, &mut dropped)?);
    shape::encode(asking, &mut body, &mut dropped);
    let fields = sampling(asking, &mut dropped).into_iter().chain(steering(asking, &mut dropped));
    body.extend(fields.filter_map(|(name, value)| Some((name.to_owned(), value?))));
    if delivery == Delivery::Stream {
        body.insert("stream".into(), true.into());
        // Without it OpenAI's streams tell no usage; Mistral's always do, and refuse to be asked.
        if quirks.stream_options != Some(false) {
            body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
    }
    go_on(asking, &mut body);
    extra(request, &mut body, &mut dropped);
    let path = "/chat/completions".to_owned();
    Ok(Encoded { path, headers: vec![], body: Value::Object(body), dropped: dropped.into_names() })
}

/// Says that the last message is the beginning of the answer, where the server wants to be told.
fn go_on(asking: &Asking<'_>, body: &mut Map<String, Value>) {
    if asking.request.begun().is_none() {
        return;
    }
    match asking.quirks.assistant_prefix {
        AssistantPrefix::None | AssistantPrefix::Plain => {}
        AssistantPrefix::PrefixField => {
            let messages = body.get_mut("messages").and_then(Value::as_array_mut);
            if let Some(last) = messages.and_then(|it| it.last_mut()) {
                last["prefix"] = true.into();
            }
        }
        AssistantPrefix::ContinueFinalMessage => {
            body.insert("add_generation_prompt".into(), false.into());
            body.insert("continue_final_message".into(), true.into());
        }
    }
}

type Fields<const N: usize> = [(&'static str, Option<Value>); N];

/// How tokens are drawn.
fn sampling(asking: &Asking<'_>, dropped: &mut Dropped) -> Fields<10> {
    let sampling = &asking.request.sampling;
    let mut keep = |parameter, value: Option<Value>| dropped.keep(parameter, value, asking.quirks);
    let stop = (!sampling.stop.is_empty()).then(|| Value::from(sampling.stop.clone()));
    let logprobs = keep(Parameter::Logprobs, sampling.logprobs.map(Value::from));
    // None beside the token itself is what `logprobs` alone asks for.
    let top_logprobs = logprobs.clone().filter(|it| it.as_u64() != Some(0));
    [
        ("temperature", keep(Parameter::Temperature, sampling.temperature.map(Value::from))),
        ("top_p", keep(Parameter::TopP, sampling.top_p.map(Value::from))),
        ("top_k", keep(Parameter::TopK, sampling.top_k.map(Value::from))),
        ("stop", keep(Parameter::Stop, stop)),
        ("seed", keep(Parameter::Seed, sampling.seed.map(Value::from))),
        (
            "frequency_penalty",
            keep(Parameter::FrequencyPenalty, sampling.frequency_penalty.map(Value::from)),
        ),
        (
            "presence_penalty",
            keep(Parameter::PresencePenalty, sampling.presence_penalty.map(Value::from)),
        ),
        ("logprobs", logprobs.map(|_| true.into())),
        ("top_logprobs", top_logprobs),
        (max_tokens_field(asking), sampling.max_output_tokens.map(Value::from)),
    ]
}

/// How long and how hard it works, and for whom.
fn steering(asking: &Asking<'_>, dropped: &mut Dropped) -> Fields<2> {
    let Asking { request, quirks, .. } = *asking;
    let effort = request.effort.map(effort).map(Value::from);
    let user = request.user.as_ref().map(|it| Value::from(it.as_str()));
    [
        ("reasoning_effort", dropped.keep(Parameter::ReasoningEffort, effort, quirks)),
        ("user", dropped.keep(Parameter::User, user, quirks)),
    ]
}

fn max_tokens_field(asking: &Asking<'_>) -> &'static str {
    match asking.quirks.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    }
}

/// The level nearest to a number of thinking tokens. Google's OpenAI-compatible endpoint documents
/// what the levels stand for (2025): low 1,024, medium 8,192, high 24,576; the bounds lie halfway.
fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::Off | Effort::Tokens(0) => "none",
        Effort::Minimal | Effort::Tokens(1..=511) => "minimal",
        Effort::Low | Effort::Tokens(512..=4_607) => "low",
        Effort::Medium | Effort::Tokens(4_608..=16_383) => "medium",
        Effort::High | Effort::Tokens(16_384..) => "high",
    }
}

/// Fields of the caller's that this server does not know.
fn extra(request: &ChatRequest, body: &mut Map<String, Value>, dropped: &mut Dropped) {
    let fields = request.extra.value().as_object();
    for (name, value) in fields.into_iter().flatten() {
        // One answer is what is read: further ones would be paid for and lost.
        let several = name == "n" && value.as_u64() != Some(1);
        if several || OURS.contains(&name.as_str()) || body.contains_key(name) {
            dropped.name(name);
        } else if name != "n" {
            body.insert(name.clone(), value.clone());
        }
    }
}
