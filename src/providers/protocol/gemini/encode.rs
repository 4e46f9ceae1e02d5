//! A chat request as the body of `POST /models/{id}:generateContent`.
//!
//! In: [`Asking`]. Out: [`Encoded`]. Invariant: a field that the caller left open is not in the
//! body, so that the provider's default holds. Not here: the turns (see [`super::contents`]).

use serde_json::{Map, Value, json};

use super::super::{ANSWER_TOOL, Asking, Delivery, Dropped, Encoded, Unsupported};
use super::answers_by_tool;
use super::contents::Contents;
use crate::domain::{Effort, ResponseFormat, Sampling, Tool, ToolChoice};
use crate::providers::quirks::{Parameter, Quirks};

/// The API takes no more.
const STOP_SEQUENCES_MAX: usize = 5;
/// What lies before a model's name in Google's resource names; other words are part of the name.
const COLLECTIONS: [&str; 2] = ["models", "tunedModels"];

/// The request that asks for one answer.
///
/// # Errors
/// [`Unsupported`] for what the API has no words for.
pub(in super::super) fn encode(asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    let Asking { request, quirks, .. } = *asking;
    let mut dropped = Dropped::default();
    let Contents { system, turns } = Contents::of(asking, &mut dropped)?;
    let mut body = Map::new();
    body.insert("contents".into(), turns.into());
    if !system.is_empty() {
        body.insert("systemInstruction".into(), json!({ "parts": system }));
    }
    let functions = functions(asking);
    if !functions.is_empty() {
        body.insert("tools".into(), json!([{ "functionDeclarations": functions }]));
        let config = calling_config(asking);
        body.extend(config.map(|it| ("toolConfig".into(), json!({ "functionCallingConfig": it }))));
    }
    let mut config = sampling(&request.sampling, quirks, &mut dropped);
    config.extend(response_format(asking));
    let effort = dropped.keep(Parameter::ReasoningEffort, request.effort, quirks);
    config.extend(effort.map(|it| ("thinkingConfig".to_owned(), thinking(it))));
    if !config.is_empty() {
        body.insert("generationConfig".into(), Value::Object(config));
    }
    dropped.beyond_sampling(request);
    let (path, body, dropped) = (path(asking), Value::Object(body), dropped.into_names());
    Ok(Encoded { path, headers: vec![], body, dropped })
}

fn path(asking: &Asking<'_>) -> String {
    let id = asking.deployment.model_id.as_str();
    let named = id.split_once('/').filter(|(collection, _)| COLLECTIONS.contains(collection));
    let (collection, name) = named.unwrap_or((COLLECTIONS[0], id));
    let method = match asking.delivery {
        Delivery::Whole => "generateContent",
        Delivery::Stream => "streamGenerateContent?alt=sse",
    };
    format!("/{collection}/{}:{method}", percent_encoded(name))
}

/// As a segment of a path: RFC 3986's unreserved characters stay.
fn percent_encoded(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn functions(asking: &Asking<'_>) -> Vec<Value> {
    let mut functions: Vec<_> = asking.request.tools.iter().map(function).collect();
    if let (ResponseFormat::JsonSchema { schema, .. }, true) =
        (&asking.request.response_format, answers_by_tool(asking))
    {
        functions.push(json!({
            "name": ANSWER_TOOL,
            "description": "Gives the answer.",
            "parametersJsonSchema": schema,
        }));
    }
    functions
}

fn function(tool: &Tool) -> Value {
    let mut function = json!({ "name": tool.name, "parametersJsonSchema": tool.parameters });
    if !tool.description.is_empty() {
        function["description"] = tool.description.as_str().into();
    }
    function
}

/// Whether functions may, must or must not be called; `None` leaves it to the model.
fn calling_config(asking: &Asking<'_>) -> Option<Value> {
    let any = |names: Vec<&str>| json!({ "mode": "ANY", "allowedFunctionNames": names });
    let request = asking.request;
    match (&request.tool_choice, answers_by_tool(asking)) {
        (ToolChoice::Auto, false) => None,
        (ToolChoice::None, false) => Some(json!({ "mode": "NONE" })),
        (ToolChoice::Required, false) => Some(json!({ "mode": "ANY" })),
        (ToolChoice::Tool(name), _) => Some(any(vec![name])),
        // The model either calls the caller's tools or gives the answer by ours.
        (ToolChoice::Auto, true) => Some(json!({ "mode": "ANY" })),
        (ToolChoice::None, true) => Some(any(vec![ANSWER_TOOL])),
        (ToolChoice::Required, true) => {
            Some(any(request.tools.iter().map(|it| it.name.as_str()).collect()))
        }
    }
}

fn sampling(sampling: &Sampling, quirks: &Quirks, dropped: &mut Dropped) -> Map<String, Value> {
    use Parameter as P;
    let penalties = (sampling.presence_penalty, sampling.frequency_penalty);
    let mut keep = |parameter, value: Option<Value>| dropped.keep(parameter, value, quirks);
    let mut fields = vec![
        ("temperature", keep(P::Temperature, sampling.temperature.map(Value::from))),
        ("topP", keep(P::TopP, sampling.top_p.map(Value::from))),
        ("topK", keep(P::TopK, sampling.top_k.map(Value::from))),
        ("maxOutputTokens", sampling.max_output_tokens.map(Value::from)),
        ("presencePenalty", keep(P::PresencePenalty, penalties.0.map(Value::from))),
        ("frequencyPenalty", keep(P::FrequencyPenalty, penalties.1.map(Value::from))),
    ];
    if let Some(alternatives) = dropped.keep(P::Logprobs, sampling.logprobs, quirks) {
        fields.push(("responseLogprobs", Some(true.into())));
        fields.push(("logprobs", (alternatives > 0).then(|| alternatives.into())));
    }
    // The API's seed is an int32: a larger one is left out, rather than come back as a 400.
    let seed = dropped.keep(P::Seed, sampling.seed, quirks);
    let small = seed.and_then(|it| i32::try_from(it).ok());
    if seed.is_some() && small.is_none() {
        dropped.parameter(P::Seed);
    }
    fields.push(("seed", small.map(Value::from)));
    let stop = (!sampling.stop.is_empty()).then_some(sampling.stop.as_slice());
    let stop = dropped.keep(P::Stop, stop, quirks);
    if stop.is_some_and(|it| it.len() > STOP_SEQUENCES_MAX) {
        dropped.parameter(P::Stop);
    }
    let stop: Option<Value> =
        stop.map(|it| it.iter().take(STOP_SEQUENCES_MAX).cloned().map(Value::from).collect());
    fields.push(("stopSequences", stop));
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn response_format(asking: &Asking<'_>) -> Map<String, Value> {
    let mut fields = Map::new();
    match &asking.request.response_format {
        ResponseFormat::JsonObject => {
            fields.insert("responseMimeType".into(), "application/json".into());
        }
        ResponseFormat::JsonSchema { schema, .. } if !answers_by_tool(asking) => {
            fields.insert("responseMimeType".into(), "application/json".into());
            fields.insert("responseJsonSchema".into(), schema.value().clone());
        }
        ResponseFormat::JsonSchema { .. } | ResponseFormat::Text => {}
    }
    fields
}

/// The budgets are those that Google's own OpenAI-compatible endpoint takes for the levels (2025).
/// Models that know only levels (Gemini 3) still take a budget.
fn thinking(effort: Effort) -> Value {
    let budget = match effort {
        Effort::Off => return json!({ "thinkingBudget": 0 }),
        Effort::Minimal => 512,
        Effort::Low => 1024,
        Effort::Medium => 8192,
        Effort::High => 24576,
        Effort::Tokens(tokens) => tokens,
    };
    json!({ "thinkingBudget": budget, "includeThoughts": true })
}
