//! How an answer of the wanted shape is got out of a Claude: thinking, forced tools and schemas
//! exclude each other in ways that differ by model.
//!
//! In: what is asked of whom. Out: [`Plan`]. Invariant: a shape or a forced call that was asked for
//! is kept or refused, never lost; thinking gives way to it, and the caller is told. Not here: how
//! the plan is written, which differs between Anthropic and Bedrock.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{ANSWER_TOOL, Asking, Dropped, Unsupported};
use super::claude::{Claude, Off, budget, level};
use super::schema;
use crate::domain::{ChatRequest, Effort, Message, ResponseFormat, Tool, ToolChoice};
use crate::providers::quirks::{Parameter, SchemaBy};

/// How it is asked.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Plan<'a> {
    /// How the wanted shape is asked for.
    pub(in super::super) json: JsonBy<'a>,
    /// Which tool must be called; means something only where there are tools.
    pub(in super::super) choice: Choice<'a>,
    /// What is said of thinking.
    pub(in super::super) thinking: Thinking,
}

/// How a shape is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum JsonBy<'a> {
    /// None is.
    Nothing,
    /// By the protocol's own field.
    Native(&'a Value),
    /// By [`ANSWER_TOOL`], with these arguments.
    Tool(Cow<'a, Value>),
}

/// Which tool must be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Choice<'a> {
    /// The model decides.
    Auto,
    /// None may.
    None,
    /// Some tool.
    Any,
    /// This one.
    Tool(&'a str),
}

/// What is said of thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Thinking {
    /// Nothing.
    Unsaid,
    /// Off, by a type of this name.
    Off(&'static str),
    /// On, for at most so many tokens.
    Budget(u64),
    /// On, as the model sees fit at this level of effort.
    Adaptive(&'static str),
    /// It cannot be off, so as little as can be.
    Least,
}

impl<'a> Plan<'a> {
    /// Makes the plan; `effort` is what the provider is to be told of it.
    pub(in super::super) fn new(
        asking: &Asking<'a>,
        claude: Claude,
        effort: Option<Effort>,
        dropped: &mut Dropped,
    ) -> Result<Self, Unsupported> {
        let request = asking.request;
        let begun = is_begun(request);
        if begun && !claude.takes_prefill() {
            return Err(Unsupported("an answer that was begun"));
        }
        let wants = effort.is_some_and(|it| it != Effort::Off);
        let thinks = wants || (claude.thinks_by_default() && effort.is_none());
        let json = json_by(asking, claude, thinks)?;
        let demanded = is_demanded(request);
        let forced = demanded || matches!(json, JsonBy::Tool(_));
        if forced && !claude.takes_forced_tools() {
            let what = if demanded { "a tool call that must be" } else { "JSON of this shape" };
            return Err(Unsupported(what));
        }
        // Those that always think take forced tools with it, or not at all.
        let gives_way = forced && claude.off() != Off::Never;
        let barred = gives_way || begun || (claude.takes_budgets() && !has_thought(asking));
        let thinking = match effort {
            Some(effort) if wants && !barred => on(claude, effort),
            Some(_) if wants => {
                dropped.parameter(Parameter::ReasoningEffort);
                off(claude)
            }
            Some(_) => off(claude),
            None if gives_way => off(claude),
            None => Thinking::Unsaid,
        };
        Ok(Self { choice: choice(request, &json), json, thinking })
    }

    /// Whether the model was asked to think.
    pub(in super::super) fn thinks(&self) -> bool {
        match self.thinking {
            Thinking::Budget(_) | Thinking::Adaptive(_) => true,
            Thinking::Unsaid | Thinking::Off(_) | Thinking::Least => false,
        }
    }
}

/// Whether the arguments can be held to the schema, where that is asked.
pub(in super::super) fn takes_strict(claude: Claude, tool: &Tool) -> bool {
    claude.takes_schemas() && schema::is_taken(tool.parameters.value())
}

/// The tools called in earlier turns, where none are given now: the API refuses calls of tools that
/// it was not told of.
pub(in super::super) fn past_tools(request: &ChatRequest) -> BTreeSet<&str> {
    if !request.tools.is_empty() {
        return BTreeSet::new();
    }
    let calls = request.messages.iter().flat_map(|it| match it {
        Message::Assistant { tool_calls, .. } => tool_calls.as_slice(),
        Message::System(_) | Message::User(_) | Message::ToolResult { .. } => &[],
    });
    calls.map(|it| it.name.as_str()).collect()
}

/// Whether the caller itself demands a tool call; its answer has no shape then.
fn is_demanded(request: &ChatRequest) -> bool {
    match request.tool_choice {
        ToolChoice::Required | ToolChoice::Tool(_) => !request.tools.is_empty(),
        ToolChoice::Auto | ToolChoice::None => false,
    }
}

/// Whether the last turn is an answer that the model is to go on with.
fn is_begun(request: &ChatRequest) -> bool {
    let last = request.messages.iter().rev().find(|it| !matches!(it, Message::System(_)));
    matches!(last, Some(Message::Assistant { tool_calls, .. }) if tool_calls.is_empty())
}

/// Whether an answer between tool calls may think: with a budget, the API wants the thinking that
/// the calls began with, and another provider's is not that.
fn has_thought(asking: &Asking<'_>) -> bool {
    let provider = &asking.deployment.provider;
    for message in asking.request.messages.iter().rev() {
        match message {
            Message::ToolResult { .. } | Message::System(_) => {}
            Message::User(_) => return true,
            Message::Assistant { reasoning, tool_calls, .. } => {
                let seals = reasoning.iter().filter_map(|it| it.seal.as_ref());
                let own = seals.filter_map(|it| it.for_provider(provider)).next().is_some();
                return own || tool_calls.is_empty();
            }
        }
    }
    true
}

fn json_by<'a>(
    asking: &Asking<'a>,
    claude: Claude,
    thinks: bool,
) -> Result<JsonBy<'a>, Unsupported> {
    let request = asking.request;
    if is_demanded(request) {
        return Ok(JsonBy::Nothing);
    }
    let by_tool = match &request.response_format {
        ResponseFormat::Text => return Ok(JsonBy::Nothing),
        ResponseFormat::JsonObject => JsonBy::Tool(Cow::Owned(json!({ "type": "object" }))),
        ResponseFormat::JsonSchema { schema, .. } => {
            let schema = schema.value();
            // A forced tool takes any schema, but no thinking; the field is the other way round.
            let better = (thinks || !claude.takes_forced_tools())
                && claude.takes_schemas()
                && schema::is_taken(schema);
            match asking.quirks.json_schema {
                Some(SchemaBy::Native) => return Ok(JsonBy::Native(schema)),
                None if better => return Ok(JsonBy::Native(schema)),
                None | Some(SchemaBy::Tool) => JsonBy::Tool(Cow::Borrowed(schema)),
            }
        }
    };
    if request.tools.iter().any(|it| it.name == ANSWER_TOOL) {
        return Err(Unsupported("a tool with the name of our own"));
    }
    Ok(by_tool)
}

fn choice<'a>(request: &'a ChatRequest, json: &JsonBy<'_>) -> Choice<'a> {
    let by_tool = matches!(json, JsonBy::Tool(_));
    match &request.tool_choice {
        ToolChoice::Auto if by_tool && !request.tools.is_empty() => Choice::Any,
        _ if by_tool => Choice::Tool(ANSWER_TOOL),
        // Tools of earlier turns are named only to be known.
        _ if request.tools.is_empty() => Choice::None,
        ToolChoice::Auto => Choice::Auto,
        ToolChoice::None => Choice::None,
        ToolChoice::Required => Choice::Any,
        ToolChoice::Tool(name) => Choice::Tool(name),
    }
}

fn on(claude: Claude, effort: Effort) -> Thinking {
    match budget(effort) {
        Some(tokens) if claude.takes_budgets() => Thinking::Budget(tokens),
        Some(_) => Thinking::Adaptive(level(effort)),
        None => off(claude),
    }
}

fn off(claude: Claude) -> Thinking {
    match claude.off() {
        Off::ByDefault => Thinking::Unsaid,
        Off::Disabled => Thinking::Off("disabled"),
        Off::BetweenTools => Thinking::Off("between_tools"),
        Off::Never => Thinking::Least,
    }
}
