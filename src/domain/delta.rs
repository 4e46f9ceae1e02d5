//! An answer in pieces, as it is streamed, and the pieces put together again.
//!
//! In: [`Delta`]s in the order in which a provider sent them. Out: a [`ChatResponse`]. Invariant:
//! folding the deltas of a whole stream gives what the same call would have answered in one piece.
//! Not here: where the pieces come from, and whether the stream ended as it should.

use super::answer::{ChatResponse, FinishReason, Usage};
use super::chat::ToolCall;
use super::reasoning::{Reasoning, Seal};
use super::text::{Json, Text};

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// More text.
    Text(Text),
    /// More thinking in words.
    Reasoning(Text),
    /// The thinking so far is one block, and this is its seal; without words before it, the block
    /// was kept secret.
    ReasoningEnd(Option<Seal>),
    /// A tool call begins. Indices count from 0 in the order of the calls.
    ToolCall {
        /// Which call.
        index: usize,
        /// The provider's id of it.
        id: String,
        /// The tool.
        name: String,
        /// What its provider needs to see it again.
        seal: Option<Seal>,
    },
    /// More of the arguments of a call that has begun.
    Arguments {
        /// Which call.
        index: usize,
        /// JSON text, cut anywhere.
        fragment: Text,
    },
    /// Log-probabilities of the text, in OpenAI's shape: `{"content": [...]}`.
    Logprobs(Json),
}

/// How a whole stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamEnd {
    /// Why the model stopped.
    pub finish: FinishReason,
    /// What it used.
    pub usage: Usage,
}

impl Delta {
    /// Whether a caller sees something of it: text, thinking, a tool call. Everything before the
    /// first such piece can be taken back unseen.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Text(text) | Self::Reasoning(text) => !text.is_empty(),
            Self::ToolCall { .. } => true,
            Self::Arguments { .. } | Self::ReasoningEnd(_) | Self::Logprobs(_) => false,
        }
    }

    /// Bytes of it that the model wrote, as far as they are seen.
    pub fn written_bytes(&self) -> u64 {
        let bytes = match self {
            Self::Text(text) | Self::Reasoning(text) => text.len(),
            Self::Arguments { fragment, .. } => fragment.len(),
            Self::ToolCall { name, .. } => name.len(),
            Self::ReasoningEnd(_) | Self::Logprobs(_) => 0,
        };
        bytes as u64
    }
}

/// An answer that is being put together.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    text: String,
    reasoning: Vec<Reasoning>,
    thought: String,
    tool_calls: Vec<(ToolCall, String)>,
    logprobs: Vec<serde_json::Value>,
}

impl Assembly {
    /// Adds a piece. Arguments of a call that never began are dropped.
    pub fn push(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) => self.text.push_str(text.as_str()),
            Delta::Reasoning(text) => self.thought.push_str(text.as_str()),
            Delta::ReasoningEnd(seal) => self.end_thought(seal.clone()),
            Delta::ToolCall { index: _, id, name, seal } => {
                let (id, name, arguments) = (id.clone(), name.clone(), Text::default());
                let call = ToolCall { id, name, arguments, seal: seal.clone() };
                self.tool_calls.push((call, String::new()));
            }
            Delta::Arguments { index, fragment } => {
                if let Some((_, arguments)) = self.tool_calls.get_mut(*index) {
                    arguments.push_str(fragment.as_str());
                }
            }
            Delta::Logprobs(json) => {
                let content = json.value().get("content").and_then(|it| it.as_array());
                self.logprobs.extend(content.into_iter().flatten().cloned());
            }
        }
    }

    /// The text so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a tool call has begun.
    pub fn calls_tools(&self) -> bool {
        !self.tool_calls.is_empty()
    }

    /// Whether a block of thinking is open.
    pub fn is_thinking(&self) -> bool {
        !self.thought.is_empty()
    }

    /// The whole answer. Arguments that are empty become `{}`, as in an answer in one piece.
    pub fn finish(mut self, end: StreamEnd) -> ChatResponse {
        if !self.thought.is_empty() {
            self.end_thought(None);
        }
        let whole = |(call, arguments): (ToolCall, String)| {
            let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
            ToolCall { arguments: arguments.into(), ..call }
        };
        let logprobs = (!self.logprobs.is_empty())
            .then(|| Json::from(serde_json::json!({ "content": self.logprobs })));
        let text = Some(Text::from(self.text)).filter(|it| !it.is_blank());
        ChatResponse {
            text,
            reasoning: self.reasoning,
            tool_calls: self.tool_calls.into_iter().map(whole).collect(),
            finish: end.finish,
            usage: end.usage,
            logprobs,
        }
    }

    fn end_thought(&mut self, seal: Option<Seal>) {
        let thought = std::mem::take(&mut self.thought);
        let text = (!thought.is_empty()).then(|| Text::from(thought));
        if text.is_some() || seal.is_some() {
            self.reasoning.push(Reasoning { text, seal });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_the_answer() {
        let mut assembly = Assembly::default();
        let call = |index: usize| Delta::ToolCall {
            index,
            id: format!("c{index}"),
            name: "f".into(),
            seal: None,
        };
        let arguments = |index, text: &str| Delta::Arguments { index, fragment: text.into() };
        let deltas = [
            Delta::Reasoning("hm".into()),
            Delta::Reasoning("m".into()),
            Delta::ReasoningEnd(None),
            Delta::Text("a".into()),
            Delta::Text("b".into()),
            call(0),
            arguments(0, "{\"x\""),
            call(1),
            arguments(0, ":1}"),
            arguments(7, "lost"),
        ];
        deltas.iter().for_each(|it| assembly.push(it));
        let end = StreamEnd { finish: FinishReason::ToolCalls, usage: Usage::default() };
        let whole = assembly.finish(end);
        assert_eq!(whole.text.as_ref().map(Text::as_str), Some("ab"));
        assert_eq!(whole.reasoning, [Reasoning { text: Some("hmm".into()), seal: None }]);
        let told: Vec<_> = whole.tool_calls.iter().map(|it| it.arguments.as_str()).collect();
        assert_eq!(told, ["{\"x\":1}", "{}"]);
    }

    #[test]
    fn what_the_model_wrote_is_the_same_in_pieces_and_whole() {
        let call = |name: &str| {
            let (index, id, name) = (0, "not written".into(), name.into());
            Delta::ToolCall { index, id, name, seal: None }
        };
        let arguments = Delta::Arguments { index: 0, fragment: "{\"x\":1}".into() };
        let thought = Delta::Reasoning("hmm".into());
        let deltas = [thought, Delta::ReasoningEnd(None), Delta::Text("ab".into()), call("f")];
        let deltas = deltas.into_iter().chain([arguments, Delta::Logprobs(Json::default())]);
        let (mut assembly, mut bytes) = (Assembly::default(), 0);
        for delta in deltas {
            assembly.push(&delta);
            bytes += delta.written_bytes();
        }
        let end = StreamEnd { finish: FinishReason::ToolCalls, usage: Usage::default() };
        assert_eq!((bytes, assembly.finish(end).written_bytes()), (13, 13));
    }

    #[test]
    fn only_what_a_caller_sees_is_content() {
        assert!(Delta::Text("a".into()).is_content());
        assert!(!Delta::Text("".into()).is_content());
        assert!(!Delta::ReasoningEnd(None).is_content());
        assert!(!Delta::Logprobs(Json::default()).is_content());
    }
}
