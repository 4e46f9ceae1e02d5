//! The output items of a response.
//!
//! In: pieces of an answer. Out: items. Invariant: an item has the same shape in a whole answer and
//! at the end of its stream; seals leave only in their wire form.

use serde_json::{Value, json};

use crate::domain::Seal;

/// Whether an item is whole: OpenAI's `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It has begun.
    InProgress,
    /// It is whole.
    Completed,
    /// It was cut.
    Incomplete,
}

/// An output item.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// A thought.
    Reasoning {
        /// In words, as far as they are known.
        text: Option<String>,
        /// Its seal.
        seal: Option<Seal>,
    },
    /// Text.
    Message {
        /// The words.
        text: String,
        /// Log-probabilities of its tokens.
        logprobs: Vec<Value>,
    },
    /// A tool call.
    Call {
        /// The provider's id of it.
        id: String,
        /// The tool.
        name: String,
        /// JSON text.
        arguments: String,
        /// Its seal.
        seal: Option<Seal>,
    },
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

impl Item {
    /// Its id: unique in the response, and telling its kind as OpenAI's do.
    pub(super) fn id(&self, response: &str, index: usize) -> String {
        let prefix = match self {
            Self::Reasoning { .. } => "rs",
            Self::Message { .. } => "msg",
            Self::Call { .. } => "fc",
        };
        format!("{prefix}_{response}_{index}")
    }

    /// As it stands in a response.
    pub(super) fn to_json(&self, id: &str, status: Status) -> Value {
        match self {
            Self::Reasoning { text, seal } => json!({
                "id": id,
                "type": "reasoning",
                "summary": text.iter().map(|it| summary_text(it)).collect::<Vec<_>>(),
                "encrypted_content": seal.as_ref().map(Seal::to_wire),
                "status": status.as_str(),
            }),
            Self::Message { text, logprobs } => {
                // An item that has just begun has no parts yet.
                let fresh = status == Status::InProgress;
                let parts = if fresh { json!([]) } else { json!([output_text(text, logprobs)]) };
                json!({
                    "id": id,
                    "type": "message",
                    "role": "assistant",
                    "status": status.as_str(),
                    "content": parts,
                })
            }
            Self::Call { id: call_id, name, arguments, seal } => {
                let mut call = json!({
                    "id": id,
                    "type": "function_call",
                    "call_id": call_id,
                    "name": name,
                    "arguments": arguments,
                    "status": status.as_str(),
                });
                if let Some(seal) = seal {
                    call["extra_content"] = json!({"pointsman": {"seal": seal.to_wire()}});
                }
                call
            }
        }
    }
}

/// A part of a message.
pub(super) fn output_text(text: &str, logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs})
}

/// A part of a thought.
pub(super) fn summary_text(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}
