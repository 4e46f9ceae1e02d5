//! A chat request as the body of Converse.
//!
//! In: what is asked of whom. Out: [`Encoded`]. Invariant: nothing is lost unnamed: what Converse
//! has no words for is refused or named. What only Claude models take goes into the fields that
//! Converse passes on unread. Not here: the turns (see [`super::turns`]).

use serde_json::{Map, Value, json};

use super::super::anthropic::{
    Choice, Claude, JsonBy, Plan, Thinking, around_budget, past_tools, takes_strict, unknown,
};
use super::super::{ANSWER_TOOL, Asking, Delivery, Dropped, Encoded, Unsupported};
use super::turns::conversation;
use crate::domain::{Effort, Message, ResponseFormat, Sampling, Tool};
use crate::providers::quirks::Parameter;

/// Room for an answer beside a budget for thinking, where the caller names no limit: as Anthropic's
/// protocol has it.
const OUTPUT_TOKENS: u64 = 8_192;

/// Whose models are asked: they differ in what Converse takes for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Anthropic,
    /// Caches system prompts and turns, but no tools.
    AmazonNova,
    Other,
}

/// The request that asks for an answer.
pub(in super::super) fn encode(asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    let model_id = asking.deployment.model_id.as_str();
    let (maker, claude) = (maker(model_id), Claude::of(model_id));
    let mut dropped = Dropped::default();
    let effort = effort(asking, maker, &mut dropped);
    let plan = Plan::new(asking, claude, effort, &mut dropped)?;
    let (mut system, mut messages) = conversation(asking, &mut dropped)?;
    let mut tools = tools(asking, claude, &plan, &mut dropped);
    cache(asking, maker, &mut dropped).into_iter().for_each(|place| match place {
        Place::Tools => mark(Some(&mut tools)),
        Place::System => mark(Some(&mut system)),
        Place::LastUserTurn => mark(last_user_content(&mut messages)),
    });
    let mut body = Map::new();
    body.insert("messages".into(), messages.into());
    if !system.is_empty() {
        body.insert("system".into(), system.into());
    }
    body.extend(tool_config(tools, &plan).map(|it| ("toolConfig".into(), it)));
    let (mut inference, mut more) = sampling(asking, maker, claude, &plan, &mut dropped);
    think(asking, &plan, &mut inference, &mut more);
    if let JsonBy::Native(schema) = plan.json {
        body.insert("outputConfig".into(), native(asking, schema));
    }
    for (name, fields) in [("inferenceConfig", inference), ("additionalModelRequestFields", more)] {
        if !fields.is_empty() {
            body.insert(name.into(), fields.into());
        }
    }
    note_unknown(asking, &mut dropped);
    let verb = match asking.delivery {
        Delivery::Whole => "converse",
        Delivery::Stream => "converse-stream",
    };
    let path = format!("/model/{}/{verb}", percent_encoded(model_id));
    let (headers, body) = (vec![], Value::Object(body));
    Ok(Encoded { path, headers, body, dropped: dropped.into_names() })
}

fn maker(model_id: &str) -> Maker {
    let id = model_id.to_ascii_lowercase();
    if id.contains("anthropic") || id.contains("claude-") {
        return Maker::Anthropic;
    }
    if id.contains("amazon.nova") { Maker::AmazonNova } else { Maker::Other }
}

/// Whether the model goes on with an answer that was begun: older Claudes, and Amazon's first Novas
/// (their guide to prompting, 2025). Of the others many refuse a conversation that a person's turn
/// does not end.
pub(in super::super) fn takes_prefix(model_id: &str) -> bool {
    match maker(model_id) {
        Maker::Anthropic => Claude::of(model_id).takes_prefill(),
        Maker::AmazonNova => !model_id.to_ascii_lowercase().contains("nova-2"),
        Maker::Other => false,
    }
}

/// One path segment: ids hold `:` and, as ARNs, `/`.
fn percent_encoded(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The effort, for those models whose words for it are known.
fn effort(asking: &Asking<'_>, maker: Maker, dropped: &mut Dropped) -> Option<Effort> {
    let effort = asking.request.effort;
    let effort = dropped.keep(Parameter::ReasoningEffort, effort, asking.quirks)?;
    if maker != Maker::Anthropic {
        dropped.parameter(Parameter::ReasoningEffort);
        return None;
    }
    Some(effort)
}

/// Where a cache point stands.
#[derive(Debug, Clone, Copy)]
enum Place {
    Tools,
    System,
    LastUserTurn,
}

fn cache(asking: &Asking<'_>, maker: Maker, dropped: &mut Dropped) -> Vec<Place> {
    let asked = asking.request.cache_prompt.then_some(());
    if dropped.keep(Parameter::PromptCache, asked, asking.quirks).is_none() {
        return vec![];
    }
    match maker {
        Maker::Anthropic => vec![Place::Tools, Place::System, Place::LastUserTurn],
        Maker::AmazonNova => vec![Place::System, Place::LastUserTurn],
        // Others refuse a request that has one.
        Maker::Other => {
            dropped.parameter(Parameter::PromptCache);
            vec![]
        }
    }
}

fn mark(blocks: Option<&mut Vec<Value>>) {
    if let Some(blocks) = blocks.filter(|it| !it.is_empty()) {
        blocks.push(json!({ "cachePoint": { "type": "default" } }));
    }
}

fn last_user_content(messages: &mut [Value]) -> Option<&mut Vec<Value>> {
    let last = messages.iter_mut().rev().find(|it| it["role"] == "user")?;
    last["content"].as_array_mut()
}

fn tools(
    asking: &Asking<'_>,
    claude: Claude,
    plan: &Plan<'_>,
    dropped: &mut Dropped,
) -> Vec<Value> {
    let request = asking.request;
    let past = past_tools(request);
    let has_past = request.messages.iter().any(|it| match it {
        Message::Assistant { tool_calls, .. } => !tool_calls.is_empty(),
        Message::System(_) | Message::User(_) | Message::ToolResult { .. } => false,
    });
    let mut tools = Vec::new();
    // Converse cannot forbid tools: they are left out, unless the conversation is about them.
    if plan.choice != Choice::None || has_past {
        tools.extend(request.tools.iter().map(|it| tool(it, asking, claude, dropped)));
        let open = json!({ "type": "object" });
        tools.extend(past.into_iter().map(|it| tool_spec(it, "", &open)));
    }
    if let JsonBy::Tool(schema) = &plan.json {
        tools.push(tool_spec(ANSWER_TOOL, "Gives the answer.", schema));
    }
    tools
}

fn tool(tool: &Tool, asking: &Asking<'_>, claude: Claude, dropped: &mut Dropped) -> Value {
    let mut body = tool_spec(&tool.name, tool.description.as_str(), tool.parameters.value());
    let strict = tool.strict.filter(|it| *it);
    if dropped.keep(Parameter::StrictTools, strict, asking.quirks).is_some() {
        if claude != Claude::Other && takes_strict(claude, tool) {
            body["toolSpec"]["strict"] = true.into();
        } else {
            dropped.parameter(Parameter::StrictTools);
        }
    }
    body
}

fn tool_spec(name: &str, description: &str, schema: &Value) -> Value {
    let mut spec = json!({ "name": name, "inputSchema": { "json": schema } });
    if !description.trim().is_empty() {
        spec["description"] = description.into();
    }
    json!({ "toolSpec": spec })
}

fn tool_config(tools: Vec<Value>, plan: &Plan<'_>) -> Option<Value> {
    if tools.is_empty() {
        return None;
    }
    let choice = match plan.choice {
        Choice::Auto | Choice::None => json!({ "auto": {} }),
        Choice::Any => json!({ "any": {} }),
        Choice::Tool(name) => json!({ "tool": { "name": name } }),
    };
    Some(json!({ "tools": tools, "toolChoice": choice }))
}

/// The schema is a string here, in JSON.
fn native(asking: &Asking<'_>, schema: &Value) -> Value {
    let mut inner = json!({ "schema": schema.to_string() });
    if let ResponseFormat::JsonSchema { name, .. } = &asking.request.response_format {
        inner["name"] = name.as_str().into();
    }
    json!({ "textFormat": { "type": "json_schema", "structure": { "jsonSchema": inner } } })
}

/// `inferenceConfig`, and what goes beside it.
fn sampling(
    asking: &Asking<'_>,
    maker: Maker,
    claude: Claude,
    plan: &Plan<'_>,
    dropped: &mut Dropped,
) -> (Map<String, Value>, Map<String, Value>) {
    let Sampling { temperature, top_p, top_k, max_output_tokens, stop, .. } =
        &asking.request.sampling;
    let taken = claude.takes_sampling() && !plan.thinks();
    let mut keep = |parameter, value: Option<Value>, fits: bool| {
        let value = dropped.keep(parameter, value, asking.quirks)?;
        if !fits {
            dropped.parameter(parameter);
        }
        fits.then_some(value)
    };
    // OpenAI's scale ends at 2, this one at 1.
    let temperature = temperature.map(|it| Value::from(it.clamp(0.0, 1.0)));
    let temperature = keep(Parameter::Temperature, temperature, taken);
    let alone = claude.takes_both() || temperature.is_none();
    let top_p = keep(Parameter::TopP, top_p.map(Value::from), taken && alone);
    let by_claude = taken && maker == Maker::Anthropic;
    let top_k = keep(Parameter::TopK, top_k.map(Value::from), by_claude);
    let stop: Vec<&str> =
        stop.iter().map(String::as_str).filter(|it| !it.trim().is_empty()).collect();
    let stop = keep(Parameter::Stop, (!stop.is_empty()).then(|| stop.into()), true);
    let limit = max_output_tokens.map(Value::from);
    let named = [
        ("maxTokens", limit),
        ("temperature", temperature),
        ("topP", top_p),
        ("stopSequences", stop),
    ];
    let inference = named.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it?)));
    let more = top_k.map(|it| ("top_k".to_owned(), it));
    (inference.collect(), more.into_iter().collect())
}

/// Thinking goes beside the rest, in Anthropic's own words; its budget needs a limit above it.
fn think(
    asking: &Asking<'_>,
    plan: &Plan<'_>,
    inference: &mut Map<String, Value>,
    more: &mut Map<String, Value>,
) {
    match plan.thinking {
        Thinking::Unsaid => {}
        Thinking::Off(name) => {
            more.insert("thinking".into(), json!({ "type": name }));
        }
        Thinking::Budget(wanted) => {
            let asked = asking.request.sampling.max_output_tokens.unwrap_or(OUTPUT_TOKENS);
            let most = asking.deployment.model.max_output_tokens;
            let (limit, budget) = around_budget(wanted, asked, most);
            inference.insert("maxTokens".into(), limit.into());
            let thinking = json!({ "type": "enabled", "budget_tokens": budget });
            more.insert("thinking".into(), thinking);
        }
        Thinking::Adaptive(level) => {
            let thinking = json!({ "type": "adaptive", "display": "summarized" });
            more.insert("thinking".into(), thinking);
            more.insert("output_config".into(), json!({ "effort": level }));
        }
        Thinking::Least => {
            more.insert("output_config".into(), json!({ "effort": "low" }));
        }
    }
}

fn note_unknown(asking: &Asking<'_>, dropped: &mut Dropped) {
    let request = asking.request;
    // Neither has a field: Converse's metadata is for the account's own logs.
    let own = [
        (Parameter::User, request.user.is_some()),
        (Parameter::ParallelToolCalls, request.parallel_tool_calls == Some(false)),
        (Parameter::Stop, request.sampling.stop.iter().any(|it| it.trim().is_empty())),
    ];
    let given = own.into_iter().chain(unknown(&request.sampling)).filter(|(_, given)| *given);
    given.for_each(|(parameter, _)| dropped.parameter(parameter));
    dropped.extra(request);
}
