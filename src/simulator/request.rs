//! What of a chat request the simulator heeds, whichever protocol it came in.
//!
//! In: a [`Reading`] by one of the protocols. Out: a [`ChatAsk`], or the [`Rejection`] that a
//! provider would answer. Invariant: of the prompt only sizes, a digest, a bounded part of tool
//! results and an unfinished answer are kept. Which kind of answer is wanted:
//! a tool that must be called is; tools that may be called are when the last turn is the user's
//! (those whose names it says, else the first; two calls when it says "in parallel"), unless JSON
//! is wanted and no tool is named; else JSON where wanted; else text.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Largest request body, in bytes: some images, as providers take them; more is refused with 413.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What an image counts for, in tokens: OpenAI's price of a low-detail image.
const IMAGE_TOKENS: u64 = 85;
/// Most of the tools' results that the answer repeats, in bytes.
const SEEN_BYTES_MAX: usize = 400;
/// Says that two calls are wanted.
const PARALLEL: &str = "in parallel";

/// A request that never reaches a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Larger than [`BODY_BYTES_MAX`].
    TooLarge,
    /// The body ended too early.
    Unreadable,
    /// Not JSON, or not the JSON of a chat request.
    NotAChatRequest,
    /// No messages.
    NoMessages,
    /// A limit on the answer of less than one token, or none where one is required.
    NoRoomToAnswer,
    /// The tool that must be called is not among the tools.
    UnknownTool,
    /// A tool result for a call that was never made.
    UnknownCall,
    /// A sealed thought that is not from here.
    ForeignSeal,
    /// Gemini's stream without `alt=sse`, which the simulator does not speak.
    NotServerSentEvents,
    /// No `Authorization` where the protocol needs one.
    Unsigned,
    /// No such model.
    UnknownModel(String),
    /// No such path or method.
    NoSuchPath,
}

/// The kind of answer wanted.
#[derive(Clone, PartialEq)]
pub(super) enum Wanted {
    /// Prose, which repeats what tools gave back.
    Text { seen: Option<String> },
    /// JSON that satisfies this schema.
    Json(Value),
    /// Calls of these tools, with arguments that satisfy these schemas.
    ToolCalls(Vec<(String, Value)>),
}

/// What a request held, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Heard {
    pub(super) images: usize,
    pub(super) tools: usize,
    pub(super) system_bytes: usize,
    pub(super) messages: usize,
}

/// What is asked of a model.
#[derive(Clone, PartialEq)]
pub(super) struct ChatAsk {
    pub(super) model_id: String,
    pub(super) prompt_tokens: u64,
    /// Longest answer, in tokens.
    pub(super) limit: Option<usize>,
    pub(super) wanted: Wanted,
    /// The begun answer that the request ends with.
    pub(super) prefix: Option<String>,
    pub(super) thinks: bool,
    pub(super) streamed: bool,
    /// Whether the stream is to tell its usage (OpenAI tells it only then).
    pub(super) usage_in_stream: bool,
    pub(super) heard: Heard,
    /// Of the conversation, a begun answer left out: the same in every protocol.
    pub(super) conversation: [u8; 32],
}

/// Whose turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The operator.
    System,
    /// The person, or the tools.
    User,
    /// The model.
    Assistant,
}

/// What a tool gave back.
pub(super) struct ToolResult<'a> {
    /// The call, where the protocol names it by an id.
    pub(super) call_id: Option<&'a str>,
    pub(super) texts: Vec<&'a str>,
}

/// One turn, borrowed from the request.
pub(super) struct Turn<'a> {
    pub(super) who: Who,
    pub(super) texts: Vec<&'a str>,
    pub(super) images: usize,
    pub(super) call_ids: Vec<&'a str>,
    pub(super) results: Vec<ToolResult<'a>>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(who: Who) -> Self {
        Self { who, texts: vec![], images: 0, call_ids: vec![], results: vec![] }
    }

    pub(super) fn of(who: Who, texts: Vec<&'a str>) -> Self {
        Self { texts, ..Self::new(who) }
    }
}

/// A tool on offer.
pub(super) struct Tool<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Value,
}

/// Whether tools may, must or must not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    Auto,
    Never,
    Any,
    Named(&'a str),
}

/// A request as its protocol read it.
pub(super) struct Reading<'a> {
    pub(super) model_id: &'a str,
    /// System turns too, wherever the protocol keeps them.
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Choice<'a>,
    /// Whether one answer may hold several calls.
    pub(super) parallel: bool,
    /// The schema of the JSON wanted, if JSON is.
    pub(super) schema: Option<Value>,
    pub(super) limit: Option<i64>,
    pub(super) thinks: bool,
    pub(super) streamed: bool,
    pub(super) usage_in_stream: bool,
}

/// The schema of JSON of any kind.
pub(super) fn any_object() -> Value {
    json!({"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]})
}

impl<'a> Reading<'a> {
    /// A request for text, whole, that says nothing yet.
    pub(super) fn of(model_id: &'a str) -> Self {
        Self {
            model_id,
            turns: vec![],
            tools: vec![],
            choice: Choice::Auto,
            parallel: true,
            schema: None,
            limit: None,
            thinks: false,
            streamed: false,
            usage_in_stream: true,
        }
    }

    /// What is asked for.
    pub(super) fn ask(self) -> Result<ChatAsk, Rejection> {
        if self.said().next().is_none() {
            return Err(Rejection::NoMessages);
        }
        let limit = match self.limit {
            Some(limit) if limit < 1 => return Err(Rejection::NoRoomToAnswer),
            limit => limit.and_then(|it| usize::try_from(it).ok()),
        };
        self.check_results()?;
        let prefix = self.begun().map(|it| it.texts.concat()).filter(|it| !it.is_empty());
        Ok(ChatAsk {
            wanted: self.wanted()?,
            prompt_tokens: self.prompt_tokens(),
            thinks: self.thinks && prefix.is_none(),
            heard: self.heard(),
            conversation: self.digest(),
            model_id: self.model_id.to_owned(),
            streamed: self.streamed,
            usage_in_stream: self.usage_in_stream,
            limit,
            prefix,
        })
    }

    /// The turns without the operator's.
    fn said(&self) -> impl DoubleEndedIterator<Item = &Turn<'a>> {
        self.turns.iter().filter(|it| it.who != Who::System)
    }

    /// The begun answer at the end; a turn that called tools is not one.
    fn begun(&self) -> Option<&Turn<'a>> {
        let last = self.turns.last()?;
        (last.who == Who::Assistant && last.call_ids.is_empty()).then_some(last)
    }

    fn check_results(&self) -> Result<(), Rejection> {
        let mut made: Vec<&str> = Vec::new();
        for turn in &self.turns {
            if !turn.results.iter().filter_map(|it| it.call_id).all(|id| made.contains(&id)) {
                return Err(Rejection::UnknownCall);
            }
            made.extend(&turn.call_ids);
        }
        Ok(())
    }

    fn wanted(&self) -> Result<Wanted, Rejection> {
        let asked = match self.choice {
            Choice::Never => vec![],
            Choice::Any => self.asked_for(),
            Choice::Named(name) => {
                let named = self.tools.iter().find(|it| it.name == name);
                vec![named.ok_or(Rejection::UnknownTool)?]
            }
            Choice::Auto => match self.said().next_back() {
                Some(last) if last.who == Who::User && last.results.is_empty() => {
                    if self.schema.is_some() { self.named() } else { self.asked_for() }
                }
                Some(_) | None => vec![],
            },
        };
        if !asked.is_empty() {
            let call = |it: &Tool<'_>| (it.name.to_owned(), it.parameters.clone());
            return Ok(Wanted::ToolCalls(asked.into_iter().map(call).collect()));
        }
        Ok(match &self.schema {
            Some(schema) => Wanted::Json(schema.clone()),
            None => Wanted::Text { seen: self.seen() },
        })
    }

    /// The tools to call: one, or two where that is wanted and allowed.
    fn asked_for(&self) -> Vec<&Tool<'a>> {
        let named = self.named();
        let first = named.first().copied().or(self.tools.first());
        if !(self.parallel && self.last_text().contains(PARALLEL)) {
            return first.into_iter().collect();
        }
        let other = |it: &&Tool<'_>| first.is_some_and(|first| it.name != first.name);
        let second = named.get(1).copied().or_else(|| self.tools.iter().find(other)).or(first);
        first.into_iter().chain(second).collect()
    }

    /// The tools whose names stand in the user's last turn.
    fn named(&self) -> Vec<&Tool<'a>> {
        let text = self.last_text();
        let stands = |it: &&Tool<'_>| {
            let name = it.name.to_lowercase();
            !name.is_empty() && text.contains(&name)
        };
        self.tools.iter().filter(stands).collect()
    }

    /// What the user said last, in lower case.
    fn last_text(&self) -> String {
        let said = self.said().rfind(|it| it.who == Who::User && !it.texts.is_empty());
        said.map(|it| it.texts.join(" ").to_lowercase()).unwrap_or_default()
    }

    /// What tools gave back last, in part.
    fn seen(&self) -> Option<String> {
        let mut texts: Vec<String> = Vec::new();
        for turn in self.said().rev().filter(|it| it.who == Who::User) {
            if turn.results.is_empty() {
                break;
            }
            let turn_texts = turn.results.iter().map(|it| it.texts.concat());
            texts.splice(0..0, turn_texts);
        }
        let mut seen = texts.join("; ");
        seen.truncate(seen.floor_char_boundary(SEEN_BYTES_MAX));
        (!texts.is_empty()).then_some(seen)
    }

    fn prompt_tokens(&self) -> u64 {
        let turn_bytes = |it: &Turn<'_>| {
            let results = it.results.iter().flat_map(|it| &it.texts);
            it.texts.iter().chain(results).map(|it| it.len()).sum::<usize>()
        };
        let bytes: usize = self.turns.iter().map(turn_bytes).sum();
        let tool_bytes = |it: &Tool<'_>| it.name.len() + it.parameters.to_string().len();
        let tools: usize = self.tools.iter().map(tool_bytes).sum();
        ((bytes + tools) as u64).div_ceil(4) + self.heard().images as u64 * IMAGE_TOKENS
    }

    fn heard(&self) -> Heard {
        let system = self.turns.iter().filter(|it| it.who == Who::System);
        Heard {
            images: self.turns.iter().map(|it| it.images).sum(),
            tools: self.tools.len(),
            system_bytes: system.flat_map(|it| &it.texts).map(|it| it.len()).sum(),
            messages: self.said().count(),
        }
    }

    /// The turns without a begun answer. Texts and results only, neighbours joined, so that
    /// protocols which cut a turn into parts or merge turns agree.
    fn digest(&self) -> [u8; 32] {
        let turns = &self.turns[..self.turns.len() - usize::from(self.begun().is_some())];
        let (mut hash, mut before) = (Sha256::new(), None);
        for turn in turns {
            if before != Some(turn.who) {
                hash.update([b'\0', turn.who as u8]);
            }
            before = Some(turn.who);
            let results = turn.results.iter().flat_map(|it| &it.texts);
            turn.texts.iter().chain(results).for_each(|it| hash.update(it));
        }
        hash.finalize().into()
    }
}
