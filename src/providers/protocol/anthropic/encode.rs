//! A chat request as the body of Anthropic's Messages.
//!
//! In: what is asked of whom. Out: [`Encoded`]. Invariant: nothing is lost unnamed: what the model
//! does not take is refused or named. Not here: the turns (see [`super::turns`]) and what excludes
//! what (see [`super::plan`]).

use serde_json::{Map, Value, json};

use super::super::{ANSWER_TOOL, Asking, Delivery, Dropped, Encoded, Unsupported};
use super::claude::{BUDGET_TOKENS_MIN, Claude, level};
use super::plan::{Choice, JsonBy, Plan, Thinking, past_tools, takes_strict};
use super::turns::{USER, conversation};
use crate::domain::{Effort, Sampling, Tool};
use crate::providers::quirks::Parameter;

/// The version of the API, the only one since 2023.
const VERSION: &str = "2023-06-01";
/// The API wants a limit on output tokens. Long answers fit into this, and a model that cannot stop
/// costs cents, not dollars.
const OUTPUT_TOKENS: u64 = 8_192;
/// Room for thinking on top where the model itself says how much it needs: as much as the budget of
/// high effort.
const THINKING_TOKENS: u64 = 16_384;
/// The least top-p that is taken together with thinking.
const TOP_P_THINKING: f64 = 0.95;

/// The request that asks for an answer.
pub(in super::super) fn encode(asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
    let request = asking.request;
    let claude = Claude::of(&asking.deployment.model_id);
    let mut dropped = Dropped::default();
    let effort = dropped.keep(Parameter::ReasoningEffort, request.effort, asking.quirks);
    let plan = Plan::new(asking, claude, effort, &mut dropped)?;
    let (mut system, mut messages) = conversation(asking, &mut dropped)?;
    let mut tools = tools(asking, claude, &plan, &mut dropped);
    let cached = request.cache_prompt.then_some(());
    if dropped.keep(Parameter::PromptCache, cached, asking.quirks).is_some() {
        mark(tools.last_mut());
        mark(system.last_mut());
        mark(last_user_block(&mut messages));
    }
    let mut body = Map::new();
    body.insert("model".into(), asking.deployment.model_id.as_str().into());
    body.insert("messages".into(), messages.into());
    if !system.is_empty() {
        body.insert("system".into(), plain_or_blocks(system));
    }
    if !tools.is_empty() {
        let choice = tool_choice(asking, &plan, &mut dropped);
        body.insert("tools".into(), tools.into());
        body.insert("tool_choice".into(), choice);
    }
    body.extend(thinking(asking, claude, &plan));
    body.extend(sampling(asking, claude, &plan, &mut dropped));
    if let Some(user) = dropped.keep(Parameter::User, request.user.as_ref(), asking.quirks) {
        body.insert("metadata".into(), json!({ "user_id": user }));
    }
    if asking.delivery == Delivery::Stream {
        body.insert("stream".into(), true.into());
    }
    dropped.extra(request);
    let headers = vec![("anthropic-version", VERSION.to_owned())];
    let (path, body) = ("/messages".to_owned(), Value::Object(body));
    Ok(Encoded { path, headers, body, dropped: dropped.into_names() })
}

/// Everything up to a marked block is kept in the provider's cache.
fn mark(block: Option<&mut Value>) {
    if let Some(block) = block {
        block["cache_control"] = json!({ "type": "ephemeral" });
    }
}

fn last_user_block(messages: &mut [Value]) -> Option<&mut Value> {
    let last = messages.iter_mut().rev().find(|it| it["role"] == USER)?;
    last["content"].as_array_mut()?.last_mut()
}

/// One unmarked text is written as it is, which every server that copies this API reads.
fn plain_or_blocks(system: Vec<Value>) -> Value {
    match system.as_slice() {
        [only] if only.get("cache_control").is_none() => only["text"].clone(),
        _ => system.into(),
    }
}

fn tools(
    asking: &Asking<'_>,
    claude: Claude,
    plan: &Plan<'_>,
    dropped: &mut Dropped,
) -> Vec<Value> {
    let request = asking.request;
    let given = request.tools.iter().map(|it| tool(it, asking, claude, dropped));
    let mut tools: Vec<Value> = given.collect();
    let past = past_tools(request).into_iter();
    tools.extend(past.map(|it| json!({ "name": it, "input_schema": { "type": "object" } })));
    if let JsonBy::Tool(schema) = &plan.json {
        let description = "Gives the answer.";
        tools.push(
            json!({ "name": ANSWER_TOOL, "description": description, "input_schema": schema }),
        );
    }
    tools
}

fn tool(tool: &Tool, asking: &Asking<'_>, claude: Claude, dropped: &mut Dropped) -> Value {
    let mut body = json!({ "name": tool.name, "input_schema": tool.parameters });
    if !tool.description.is_empty() {
        body["description"] = tool.description.as_str().into();
    }
    let strict = tool.strict.filter(|it| *it);
    if dropped.keep(Parameter::StrictTools, strict, asking.quirks).is_some() {
        if takes_strict(claude, tool) {
            body["strict"] = true.into();
        } else {
            dropped.parameter(Parameter::StrictTools);
        }
    }
    body
}

fn tool_choice(asking: &Asking<'_>, plan: &Plan<'_>, dropped: &mut Dropped) -> Value {
    let mut choice = match plan.choice {
        Choice::Auto => json!({ "type": "auto" }),
        Choice::None => return json!({ "type": "none" }),
        Choice::Any => json!({ "type": "any" }),
        Choice::Tool(name) => json!({ "type": "tool", "name": name }),
    };
    let parallel = asking.request.parallel_tool_calls;
    let parallel = dropped.keep(Parameter::ParallelToolCalls, parallel, asking.quirks);
    // Two answers in JSON would be none.
    let alone = plan.choice == Choice::Tool(ANSWER_TOOL);
    if alone || parallel == Some(false) {
        choice["disable_parallel_tool_use"] = true.into();
    }
    choice
}

/// Thinking, the format of the answer, and the limit on both together.
fn thinking(asking: &Asking<'_>, claude: Claude, plan: &Plan<'_>) -> Vec<(String, Value)> {
    let mut fields = Vec::new();
    let mut output = Map::new();
    match plan.thinking {
        Thinking::Unsaid => {}
        Thinking::Off(name) => fields.push(("thinking".to_owned(), json!({ "type": name }))),
        Thinking::Budget(_) => {}
        Thinking::Adaptive(level) => {
            // Newer models leave the words out unless they are asked for.
            let thinking = json!({ "type": "adaptive", "display": "summarized" });
            fields.push(("thinking".to_owned(), thinking));
            output.insert("effort".into(), level.into());
        }
        Thinking::Least => {
            output.insert("effort".into(), level(Effort::Off).into());
        }
    }
    if let JsonBy::Native(schema) = plan.json {
        output.insert("format".into(), json!({ "type": "json_schema", "schema": schema }));
    }
    if !output.is_empty() {
        fields.push(("output_config".to_owned(), output.into()));
    }
    let (limit, budget) = limits(asking, claude, plan);
    if let Some(budget) = budget {
        let thinking = json!({ "type": "enabled", "budget_tokens": budget });
        fields.push(("thinking".to_owned(), thinking));
    }
    fields.push(("max_tokens".to_owned(), limit.into()));
    fields
}

/// The limit on output tokens, and the budget for thinking inside it. More than the model gives is
/// refused, so it is not asked for.
pub(super) fn limits(asking: &Asking<'_>, claude: Claude, plan: &Plan<'_>) -> (u64, Option<u64>) {
    let most = asking.deployment.model.max_output_tokens;
    let asked = asking.request.sampling.max_output_tokens;
    match plan.thinking {
        Thinking::Budget(wanted) => {
            let (limit, budget) = around_budget(wanted, asked.unwrap_or(OUTPUT_TOKENS), most);
            (limit, Some(budget))
        }
        Thinking::Unsaid | Thinking::Off(_) | Thinking::Adaptive(_) | Thinking::Least => {
            let thinks = plan.thinks() || (claude.thinks_by_default() && !is_off(plan));
            let room = if thinks { THINKING_TOKENS } else { 0 };
            (asked.unwrap_or(OUTPUT_TOKENS + room).min(most), None)
        }
    }
}

fn is_off(plan: &Plan<'_>) -> bool {
    matches!(plan.thinking, Thinking::Off(_))
}

/// The limit must exceed the budget: it is raised by it where it does not, up to what the model
/// gives; then the budget gives way, down to the least that is taken.
pub(in super::super) fn around_budget(wanted: u64, asked: u64, most: u64) -> (u64, u64) {
    let limit = if asked > wanted { asked } else { wanted.saturating_add(asked) }.min(most);
    let budget = wanted.min(limit.saturating_sub(1)).max(BUDGET_TOKENS_MIN);
    (limit.max(budget + 1), budget)
}

fn sampling(
    asking: &Asking<'_>,
    claude: Claude,
    plan: &Plan<'_>,
    dropped: &mut Dropped,
) -> Vec<(String, Value)> {
    let sampling = &asking.request.sampling;
    let taken = claude.takes_sampling();
    let mut keep = |parameter, value: Option<Value>, fits: bool| {
        let value = dropped.keep(parameter, value, asking.quirks)?;
        if !fits {
            dropped.parameter(parameter);
        }
        fits.then_some(value)
    };
    // OpenAI's scale ends at 2, this one at 1: what is above is as hot as it gets here.
    let temperature = sampling.temperature.map(|it| Value::from(it.clamp(0.0, 1.0)));
    let temperature = keep(Parameter::Temperature, temperature, taken && !plan.thinks());
    let alone = claude.takes_both() || temperature.is_none();
    // Thinking leaves only the top of the range to top-p.
    let near = !plan.thinks() || sampling.top_p.is_none_or(|it| it >= TOP_P_THINKING);
    let top_p = keep(Parameter::TopP, sampling.top_p.map(Value::from), taken && alone && near);
    let top_k = sampling.top_k.map(Value::from);
    let top_k = keep(Parameter::TopK, top_k, taken && !plan.thinks());
    // A stop sequence of white space alone is refused.
    let (stop, blank): (Vec<&str>, Vec<&str>) =
        sampling.stop.iter().map(String::as_str).partition(|it| !it.trim().is_empty());
    let stop = (!stop.is_empty()).then(|| Value::from(stop));
    let stop = keep(Parameter::Stop, stop, true);
    keep(Parameter::Stop, (!blank.is_empty()).then_some(Value::Null), false);
    for (parameter, given) in unknown(sampling) {
        keep(parameter, given.then_some(Value::Null), false);
    }
    let fields = [
        ("temperature", temperature),
        ("top_p", top_p),
        ("top_k", top_k),
        ("stop_sequences", stop),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What neither Anthropic nor Bedrock knows, and whether it is given.
pub(in super::super) fn unknown(sampling: &Sampling) -> [(Parameter, bool); 4] {
    [
        (Parameter::Seed, sampling.seed.is_some()),
        (Parameter::FrequencyPenalty, sampling.frequency_penalty.is_some()),
        (Parameter::PresencePenalty, sampling.presence_penalty.is_some()),
        (Parameter::Logprobs, sampling.logprobs.is_some()),
    ]
}
