//! A chat request in our own shape, whichever dialect it came in.
//!
//! In: what the API layers decode. Out: what [`crate::features`], [`crate::encoder`] and the
//! protocols read. Invariant: checked by [`ChatRequest::validate`] before anything is spent. Not
//! here: budgets and preferences, which are the policy's (see [`crate::ranking`]).

use super::ability::{Ability, AbilitySet};
use super::reasoning::{Effort, Reasoning, Seal};
use super::text::{Json, Text};

/// Everything a model is asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may, must or must not call them.
    pub tool_choice: ToolChoice,
    /// Whether one answer may call several tools; `None` leaves the provider's default.
    pub parallel_tool_calls: Option<bool>,
    /// The shape the answer must have.
    pub response_format: ResponseFormat,
    /// How tokens are drawn, and how many.
    pub sampling: Sampling,
    /// How hard the model thinks before it answers; `None` leaves the provider's default.
    pub effort: Option<Effort>,
    /// Whether the caller wants the prompt kept in the provider's cache, where that must be asked
    /// for.
    pub cache_prompt: bool,
    /// The caller's own id of the person it asks for, for the provider's abuse checks.
    pub user: Option<Text>,
    /// Fields that this server does not know, an object or null: only providers that speak
    /// OpenAI's protocol are given them.
    pub extra: Json,
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Instructions of the operator or developer.
    System(Text),
    /// A person's turn.
    User(Vec<Part>),
    /// An earlier answer of a model.
    Assistant {
        /// What it thought before that.
        reasoning: Vec<Reasoning>,
        /// What it said, if anything.
        text: Option<Text>,
        /// The tools it called.
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool gave back.
    ToolResult {
        /// The call it answers.
        tool_call_id: String,
        /// Its output.
        parts: Vec<Part>,
        /// Whether the tool failed, and the output says how.
        failed: bool,
    },
}

/// A piece of a person's turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Words.
    Text(Text),
    /// A picture.
    Image(Image),
}

/// A picture, by reference or by value.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Where its bytes are.
    pub source: ImageSource,
    /// How closely it is looked at; `None` leaves the provider's default.
    pub detail: Option<ImageDetail>,
}

/// How closely a picture is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageDetail {
    /// As the provider sees fit.
    Auto,
    /// Coarsely, for few tokens.
    Low,
    /// Closely.
    High,
}

/// Where a picture's bytes are.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageSource {
    /// At a URL that the provider fetches.
    Url(Text),
    /// Here, in base64.
    Base64 {
        /// For instance `image/png`.
        media_type: String,
        /// The base64 text.
        data: Text,
    },
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// Its name, unique in the request.
    pub name: String,
    /// What it does, in words.
    pub description: Text,
    /// The JSON schema of its arguments, an object.
    pub parameters: Json,
    /// Whether the arguments must satisfy the schema; `None` leaves the provider's default.
    pub strict: Option<bool>,
}

/// A call that a model asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The provider's id of this call; results name it.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as the JSON text that the model wrote.
    pub arguments: Text,
    /// What its provider needs to see it again (Gemini's thought signatures).
    pub seal: Option<Seal>,
}

/// Whether tools may, must or must not be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// No tool.
    None,
    /// At least one tool.
    Required,
    /// This tool.
    Tool(String),
}

/// The shape the answer must have.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that satisfies a schema.
    JsonSchema {
        /// The schema's name, which OpenAI's protocol requires.
        name: String,
        /// The schema.
        schema: Json,
        /// Whether the answer must satisfy it, and is checked against it, or is only guided by it
        /// (`Some(false)`: then it only has to be JSON). `None` is checked as `Some(true)` is; the
        /// provider's own strict mode is then asked for only where it takes the schema.
        strict: Option<bool>,
    },
}

/// How tokens are drawn, and how many. `None` leaves the provider's default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sampling {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// Above 0, up to 1.
    pub top_p: Option<f64>,
    /// The most output tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Strings that end the answer; at most four.
    pub stop: Vec<String>,
    /// For providers that try to repeat themselves.
    pub seed: Option<i64>,
    /// Draw only from so many of the likeliest tokens.
    pub top_k: Option<u64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// Log-probabilities of the answer's tokens, each with so many alternatives, 0 to 20.
    pub logprobs: Option<u8>,
}

impl ChatRequest {
    /// A request with one user turn of plain text.
    pub fn from_prompt(prompt: impl Into<Text>) -> Self {
        let messages = vec![Message::User(vec![Part::Text(prompt.into())])];
        Self { messages, ..Self::default() }
    }

    /// What a model must be able to do to serve this.
    pub fn abilities_needed(&self) -> AbilitySet {
        let tools = !self.tools.is_empty() && self.tool_choice != ToolChoice::None;
        let images = self.messages.iter().any(Message::has_image);
        let format = match self.response_format {
            ResponseFormat::Text => None,
            ResponseFormat::JsonObject => Some(Ability::JsonObject),
            ResponseFormat::JsonSchema { .. } => Some(Ability::JsonSchema),
        };
        let needed = [tools.then_some(Ability::Tools), images.then_some(Ability::Images), format];
        needed.into_iter().flatten().collect()
    }

    /// Bytes of text in it: turns, and tools with their schemas; pictures are not counted.
    pub fn text_bytes(&self) -> usize {
        let turns: usize = self.messages.iter().map(Message::text_bytes).sum();
        let tool = |it: &Tool| {
            it.name.len() + it.description.len() + it.parameters.value().to_string().len()
        };
        turns + self.tools.iter().map(tool).sum::<usize>()
    }

    /// About how many tokens its text has, at the usual four bytes of English to one.
    pub fn tokens_about(&self) -> u64 {
        self.text_bytes().div_ceil(4) as u64
    }

    /// The answer that the conversation ends with, for a model to go on with.
    pub fn begun(&self) -> Option<&Text> {
        match self.messages.last()? {
            Message::Assistant { text, tool_calls, .. } if tool_calls.is_empty() => text.as_ref(),
            Message::Assistant { .. }
            | Message::System(_)
            | Message::User(_)
            | Message::ToolResult { .. } => None,
        }
    }

    /// The texts of the last turn that a person wrote, in order.
    pub fn last_user_texts(&self) -> impl Iterator<Item = &Text> {
        let last = self.messages.iter().rev().find_map(|it| match it {
            Message::User(parts) => Some(parts.as_slice()),
            Message::System(_) | Message::Assistant { .. } | Message::ToolResult { .. } => None,
        });
        last.unwrap_or_default().iter().filter_map(|it| match it {
            Part::Text(text) => Some(text),
            Part::Image(_) => None,
        })
    }

    /// The texts of all system messages, in order.
    pub fn system_texts(&self) -> impl Iterator<Item = &Text> {
        self.messages.iter().filter_map(|it| match it {
            Message::System(text) => Some(text),
            Message::User(_) | Message::Assistant { .. } | Message::ToolResult { .. } => None,
        })
    }
}

impl Message {
    /// Whether a picture is in it.
    pub fn has_image(&self) -> bool {
        self.parts().iter().any(|it| matches!(it, Part::Image(_)))
    }

    /// The parts of a person's turn or of a tool's result; other turns have none.
    pub fn parts(&self) -> &[Part] {
        match self {
            Self::User(parts) | Self::ToolResult { parts, .. } => parts,
            Self::System(_) | Self::Assistant { .. } => &[],
        }
    }

    /// A tool's result of plain text.
    pub fn tool_result(tool_call_id: impl Into<String>, text: impl Into<Text>) -> Self {
        let parts = vec![Part::Text(text.into())];
        Self::ToolResult { tool_call_id: tool_call_id.into(), parts, failed: false }
    }

    /// Bytes of text in it; pictures are not counted.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::System(text) => text.len(),
            Self::User(parts) | Self::ToolResult { parts, .. } => {
                parts.iter().map(Part::text_bytes).sum()
            }
            Self::Assistant { reasoning, text, tool_calls } => {
                let thoughts = reasoning.iter().filter_map(|it| it.text.as_ref());
                let calls = tool_calls.iter().map(|it| &it.arguments);
                thoughts.chain(calls).chain(text).map(Text::len).sum()
            }
        }
    }
}

impl Image {
    /// A picture that is looked at as the provider sees fit.
    pub fn new(source: ImageSource) -> Self {
        Self { source, detail: None }
    }
}

impl Part {
    fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Image(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abilities_follow_from_the_request() {
        let mut request = ChatRequest::from_prompt("hello");
        assert!(request.abilities_needed().is_empty());
        request.response_format = ResponseFormat::JsonObject;
        request.tools = vec![Tool {
            name: "clock".into(),
            description: "tells the time".into(),
            parameters: Json::default(),
            strict: None,
        }];
        let source = ImageSource::Url("https://example.org/cat.png".into());
        request.messages.push(Message::User(vec![Part::Image(Image::new(source))]));
        let needed: Vec<_> = request.abilities_needed().iter().collect();
        assert_eq!(needed, [Ability::Tools, Ability::Images, Ability::JsonObject]);
        request.tool_choice = ToolChoice::None;
        assert!(!request.abilities_needed().has(Ability::Tools));
    }

    #[test]
    fn the_last_user_turn_is_found_behind_tool_results() {
        let mut request = ChatRequest::from_prompt("first");
        request.messages.push(Message::User(vec![Part::Text("second".into())]));
        request.messages.push(Message::tool_result("1", "42"));
        let texts: Vec<_> = request.last_user_texts().map(Text::as_str).collect();
        assert_eq!(texts, ["second"]);
    }
}
