//! Wire formats, pure: a request becomes a body, a status and a body become an answer or a failure,
//! frames of a stream become pieces of an answer.
//!
//! In: [`Asking`], the bytes of [`Answered`], [`Frame`]s. Out: [`Encoded`], [`ChatResponse`],
//! [`Delta`]s or [`CallFailure`]. Invariant: no IO and no clock. Not here: URLs' hosts, keys, time
//! limits, how bytes become frames (see [`super::framing`]), and whether an answer satisfies the
//! schema that was asked for (see [`super::check`]).

mod anthropic;
mod bedrock;
mod call_ids;
#[cfg(test)]
mod dropped_tests;
mod gemini;
mod ollama;
mod openai;
mod whole;

use std::time::Duration;

use super::call::CallFailure;
use super::framing::{Frame, Framing};
use super::provider::Protocol;
use super::quirks::{AssistantPrefix, Parameter, Quirks};
use crate::catalog::Deployment;
use crate::domain::{ChatRequest, ChatResponse, Delta, FailureClass, StreamEnd, ToolChoice, Usage};

/// The tool whose arguments are the answer, where JSON is asked for by a tool that must be called.
const ANSWER_TOOL: &str = "answer_as_json";

/// What is asked of whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    /// What is asked.
    pub(super) request: &'a ChatRequest,
    /// Of whom.
    pub(super) deployment: &'a Deployment,
    /// How that provider differs from its protocol.
    pub(super) quirks: &'a Quirks,
    /// In one piece or in many.
    pub(super) delivery: Delivery,
}

/// How an answer is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// In one piece.
    Whole,
    /// In pieces.
    Stream,
}

/// A request as a provider takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Encoded {
    /// Appended to the provider's base URL; begins with a slash, may hold a query; its segments are
    /// percent-encoded.
    pub(super) path: String,
    /// Headers of the protocol, beside content type and key.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The JSON body.
    pub(super) body: serde_json::Value,
    /// What was left out, by [`Dropped`].
    pub(super) dropped: Vec<String>,
}

/// What a provider's protocol has no words for, and what an answer without would not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be sent to this provider")]
pub(super) struct Unsupported(pub(super) &'static str);

/// Names of what is left out, each once, in the order in which it was met.
#[derive(Debug, Default)]
pub(super) struct Dropped(Vec<String>);

impl Dropped {
    /// Notes a parameter.
    pub(super) fn parameter(&mut self, parameter: Parameter) {
        self.name(parameter.as_str());
    }

    /// Notes a field by its name.
    pub(super) fn name(&mut self, name: &str) {
        if self.0.iter().all(|it| it != name) {
            self.0.push(name.to_owned());
        }
    }

    /// The value, if there is one and the provider takes this parameter; else notes it.
    pub(super) fn keep<T>(
        &mut self,
        parameter: Parameter,
        value: Option<T>,
        quirks: &Quirks,
    ) -> Option<T> {
        let value = value?;
        if quirks.lacks.contains(&parameter) {
            self.parameter(parameter);
            return None;
        }
        Some(value)
    }

    /// Notes the fields of the request's dialect that only OpenAI's protocol has.
    pub(super) fn extra(&mut self, request: &ChatRequest) {
        let fields = request.extra.value().as_object();
        fields.into_iter().flatten().for_each(|(name, _)| self.name(name));
    }

    /// Notes what a protocol lacks that has fields for none of these.
    fn beyond_sampling(&mut self, request: &ChatRequest) {
        if request.parallel_tool_calls == Some(false) {
            self.parameter(Parameter::ParallelToolCalls);
        }
        if request.user.is_some() {
            self.parameter(Parameter::User);
        }
        if request.cache_prompt {
            self.parameter(Parameter::PromptCache);
        }
        if request.tools.iter().any(|it| it.strict == Some(true)) {
            self.parameter(Parameter::StrictTools);
        }
        self.extra(request);
    }

    /// All of them.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }
}

/// What an HTTP server gave back, as far as a protocol reads it.
pub(super) struct Answered<'a> {
    /// The HTTP status.
    pub(super) status: u16,
    /// What `retry-after` or `retry-after-ms` said.
    pub(super) retry_after: Option<Duration>,
    /// The whole body.
    pub(super) body: &'a [u8],
}

impl Answered<'_> {
    /// A failure of this answer.
    pub(super) fn failed(&self, class: FailureClass, usage: Usage) -> CallFailure {
        let (status, retry_after) = (Some(self.status), self.retry_after);
        CallFailure { status, retry_after, usage, ..CallFailure::of(class) }
    }
}

/// Whether a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// More frames may come.
    More,
    /// That was the protocol's end mark.
    Ended,
}

/// Reads the frames of one stream, in order.
pub(super) trait Decode: Send + Sync {
    /// Reads one frame; pieces of the answer go to `out`.
    ///
    /// # Errors
    /// The class of an error that the stream tells, or [`FailureClass::Malformed`].
    fn frame(&mut self, frame: &Frame, out: &mut Vec<Delta>) -> Result<Progress, FailureClass>;

    /// How the stream ended; called once, after [`Progress::Ended`] or when no more bytes come.
    /// Pieces that were held back go to `out`.
    ///
    /// # Errors
    /// [`FailureClass::StreamCut`] without an end mark, [`FailureClass::ContentFiltered`] or
    /// [`FailureClass::EmptyAnswer`] where the answer is one.
    fn finish(&mut self, out: &mut Vec<Delta>) -> Result<StreamEnd, FailureClass>;

    /// Tokens used so far, as far as the provider told.
    fn usage(&self) -> Usage;
}

impl Protocol {
    /// The request that asks for an answer.
    pub(super) fn encode(self, asking: &Asking<'_>) -> Result<Encoded, Unsupported> {
        match self {
            Self::OpenAi => openai::encode(asking),
            Self::Anthropic => anthropic::encode(asking),
            Self::Gemini => gemini::encode(asking),
            Self::Ollama => ollama::encode(asking),
            Self::Bedrock => bedrock::encode(asking),
        }
    }

    /// Whether an answer that was begun, by whichever model, is gone on with when it is the last
    /// message. A tool call that must be made is not: it would come after text that was to be all.
    pub(super) fn takes_prefix(self, asking: &Asking<'_>) -> bool {
        let Asking { request, deployment, quirks, .. } = *asking;
        let demanded = match request.tool_choice {
            ToolChoice::Required | ToolChoice::Tool(_) => !request.tools.is_empty(),
            ToolChoice::Auto | ToolChoice::None => false,
        };
        let taken = match self {
            Self::OpenAi => quirks.assistant_prefix != AssistantPrefix::None,
            Self::Anthropic => anthropic::takes_prefix(&deployment.model_id),
            // Both go on with a turn of the model (Google's and Ollama's documentation, 2025).
            Self::Gemini | Self::Ollama => true,
            Self::Bedrock => bedrock::takes_prefix(&deployment.model_id),
        };
        taken && !demanded
    }

    /// The answer, or how it failed; also for an answer to a streaming request that is no stream.
    pub(super) fn decode(
        self,
        answered: &Answered<'_>,
        asking: &Asking<'_>,
    ) -> Result<ChatResponse, CallFailure> {
        match self {
            Self::OpenAi => openai::decode(answered, asking),
            Self::Anthropic => anthropic::decode(answered, asking),
            Self::Gemini => gemini::decode(answered, asking),
            Self::Ollama => ollama::decode(answered, asking),
            Self::Bedrock => bedrock::decode(answered, asking),
        }
    }

    /// A reader of one stream.
    pub(super) fn decoder(self, asking: &Asking<'_>) -> Box<dyn Decode> {
        match self {
            Self::OpenAi => Box::new(openai::Decoder::new(asking)),
            Self::Anthropic => Box::new(anthropic::Decoder::new(asking)),
            Self::Gemini => Box::new(gemini::Decoder::new(asking)),
            Self::Ollama => Box::new(ollama::Decoder::new(asking)),
            Self::Bedrock => Box::new(bedrock::Decoder::new(asking)),
        }
    }

    /// How its streams are cut into frames.
    pub(super) fn framing(self) -> Framing {
        match self {
            Self::OpenAi | Self::Anthropic | Self::Gemini => Framing::Sse,
            Self::Ollama => Framing::Ndjson,
            Self::Bedrock => Framing::EventStream,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Json, Tool};
    use crate::providers::fixtures;

    #[test]
    fn whoever_goes_on_with_a_begun_answer_is_known() {
        let check = |protocol: Protocol, model_id: &str, quirk, wanted: bool| {
            let mut request = ChatRequest::from_prompt("Hello");
            let mut deployment = fixtures::deployment("test");
            deployment.model_id = model_id.to_owned();
            let quirks = Quirks { assistant_prefix: quirk, ..Quirks::default() };
            let taken = |request: &ChatRequest| {
                protocol.takes_prefix(&fixtures::asking(request, &deployment, &quirks))
            };
            assert_eq!(taken(&request), wanted, "{protocol:?} {model_id}");
            let (name, description) = ("f".to_owned(), "".into());
            request.tools =
                vec![Tool { name, description, parameters: Json::default(), strict: None }];
            assert_eq!(taken(&request), wanted, "{protocol:?} {model_id}");
            request.tool_choice = ToolChoice::Required;
            assert!(!taken(&request), "{protocol:?} {model_id}");
        };
        use AssistantPrefix as P;
        check(Protocol::OpenAi, "gpt-5", P::None, false);
        for quirk in [P::Plain, P::PrefixField, P::ContinueFinalMessage] {
            check(Protocol::OpenAi, "m", quirk, true);
        }
        check(Protocol::Gemini, "gemini-2.5-flash", P::None, true);
        check(Protocol::Ollama, "qwen3", P::None, true);
        check(Protocol::Anthropic, "claude-sonnet-4-5", P::None, true);
        check(Protocol::Anthropic, "claude-sonnet-4-6", P::None, false);
        check(Protocol::Bedrock, "anthropic.claude-sonnet-4-5-20250929-v1:0", P::None, true);
        check(Protocol::Bedrock, "anthropic.claude-opus-5-v1", P::None, false);
        check(Protocol::Bedrock, "us.amazon.nova-pro-v1:0", P::None, true);
        check(Protocol::Bedrock, "amazon.nova-2-lite-v1:0", P::None, false);
        check(Protocol::Bedrock, "meta.llama3-1-70b-instruct-v1:0", P::None, false);
    }
}
