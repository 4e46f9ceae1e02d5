//! The protocols that the simulator speaks, as each provider's server would.
//!
//! In: a request's body and path. Out: a [`Reading`] of it; whole answers, stream events and errors
//! as bytes. Invariant: one file per protocol, and all of them say the same [`Content`]. Not here:
//! what is answered, and when.

mod anthropic;
mod bedrock;
mod gemini;
mod ollama;
mod openai;

#[cfg(test)]
mod tests;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::{
    answer::{Block, Content},
    refusal::{ErrorBody, Refusal},
    request::{ChatAsk, Reading, Rejection},
};

/// What every seal of the simulator begins with, before base64.
const SEAL_MARK: &str = "simulated";

/// How a client talks to the simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// OpenAI's chat completions.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
    /// Ollama's own `/api/chat`.
    Ollama,
    /// Amazon Bedrock's Converse.
    Bedrock,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Ollama, Self::Bedrock];

    /// The name in lower case: `openai`, `anthropic`, `gemini`, `ollama`, `bedrock`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
            Self::Bedrock => "bedrock",
        }
    }

    /// The protocol of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What follows the address in a client's base URL.
    pub fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Anthropic => "/v1",
            Self::Gemini => "/v1beta",
            Self::Ollama | Self::Bedrock => "",
        }
    }

    pub(super) fn voice(self) -> &'static dyn Voice {
        match self {
            Self::OpenAi => &openai::OpenAi,
            Self::Anthropic => &anthropic::Anthropic,
            Self::Gemini => &gemini::Gemini,
            Self::Ollama => &ollama::Ollama,
            Self::Bedrock => &bedrock::Bedrock,
        }
    }

    /// What is asked by a body.
    pub(super) fn ask(self, body: &[u8], target: &Target) -> Result<ChatAsk, Rejection> {
        let body: Value = serde_json::from_slice(body).map_err(|_| Rejection::NotAChatRequest)?;
        self.voice().read(&body, target)?.ask()
    }

    /// A seal on thoughts that only this protocol takes back.
    fn seal(self, number: u64) -> String {
        BASE64.encode(format!("{SEAL_MARK} {} {number}", self.as_str()))
    }

    /// Refuses a seal that [`Self::seal`] did not make, as providers do.
    fn check_seal(self, seal: &Value) -> Result<(), Rejection> {
        let Some(seal) = seal.as_str() else { return Ok(()) };
        let wanted = format!("{SEAL_MARK} {} ", self.as_str());
        match BASE64.decode(seal) {
            Ok(bytes) if bytes.starts_with(wanted.as_bytes()) => Ok(()),
            _ => Err(Rejection::ForeignSeal),
        }
    }
}

/// What the path says, where it says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Target {
    pub(super) model_id: String,
    pub(super) streamed: bool,
}

/// An answer with what stands around it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) model_id: String,
    /// The call's number, counted for the model.
    pub(super) number: u64,
    pub(super) prompt_tokens: u64,
    pub(super) usage_in_stream: bool,
    pub(super) thinks: bool,
    pub(super) content: Content,
}

impl Reply {
    /// Of the answer.
    pub(super) fn tokens(&self) -> u64 {
        self.content.tokens()
    }
}

/// A block of the answer, and its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a> {
    /// Among all blocks.
    pub(super) at: usize,
    /// Among the tool calls.
    pub(super) call: usize,
    pub(super) block: &'a Block,
}

/// What happens in a stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    /// It begins; nothing is said yet.
    Start,
    /// A block begins.
    Open(Spot<'a>),
    /// Some of its text.
    Part(Spot<'a>, &'a str),
    /// The block is complete.
    Close(Spot<'a>),
    /// All is said: why it ends, the usage, the end mark.
    End,
    /// The provider is overloaded and gives up.
    Overloaded,
    /// A frame that does not parse.
    Broken,
}

/// One protocol.
pub(super) trait Voice: Sync {
    /// The stream's `content-type`.
    fn stream_type(&self) -> &'static str;
    /// What a request says.
    fn read<'a>(&self, body: &'a Value, target: &'a Target) -> Result<Reading<'a>, Rejection>;
    /// The body of a whole answer.
    fn whole(&self, reply: &Reply) -> Value;
    /// Appends what an event looks like; for some events that is nothing.
    fn event(&self, reply: &Reply, event: Event<'_>, out: &mut Vec<u8>);
    /// An error as it is sent instead of an answer.
    fn error(&self, refusal: &Refusal) -> ErrorBody;
    /// An error that comes with status 200.
    fn inside_200(&self) -> Value {
        self.error(&Refusal::of_status(503, None)).body
    }
}

/// A server-sent event.
fn sse(out: &mut Vec<u8>, name: Option<&str>, data: &Value) {
    if let Some(name) = name {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    out.extend_from_slice(format!("data: {data}\n\n").as_bytes());
}

/// The items of an array, none where there is no array.
fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The text of a string, or of the parts that have a `text`.
fn texts(content: &Value) -> Vec<&str> {
    let parts = items(content).iter().filter_map(|it| it["text"].as_str());
    content.as_str().into_iter().chain(parts).collect()
}
