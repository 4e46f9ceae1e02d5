//! What a chat request must be before anything is spent on it; every problem at once.
//!
//! In: a decoded [`ChatRequest`]. Out: nothing, or every [`Violation`] with the path of its field.
//! Invariant: a request that passed has bounded size. Not here: budgets (see the API layer), and
//! what a given model can take (see [`crate::ranking`]).

use super::chat::{ChatRequest, ImageSource, Message, Part, ResponseFormat, Sampling, ToolChoice};

/// Most text in one request, in bytes: about a million tokens, the largest window on the market.
pub const PROMPT_BYTES_MAX: usize = 4 << 20;
/// Most base64 of images in one request, in bytes; OpenAI's and Anthropic's bodies end near there.
const IMAGE_BYTES_MAX: usize = 24 << 20;
const MESSAGES_MAX: usize = 4_096;
const TOOLS_MAX: usize = 512;
const STOPS_MAX: usize = 16;
/// Alternatives per token; OpenAI's own limit.
const LOGPROBS_MAX: u8 = 20;
const OUTPUT_TOKENS_MAX: u64 = 1_000_000;

/// One thing wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, for instance `messages[2].text`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl Violation {
    /// A violation at a path.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl ChatRequest {
    /// Checks sizes, numbers and references.
    ///
    /// # Errors
    /// Every [`Violation`] there is, in the order of the fields.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let mut found = Vec::new();
        self.check_messages(&mut found);
        self.check_tools(&mut found);
        check_sampling(&self.sampling, &mut found);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn check_messages(&self, found: &mut Vec<Violation>) {
        let count = self.messages.len();
        if count == 0 {
            found.push(Violation::new("messages", "at least one message is needed"));
        }
        if count > MESSAGES_MAX {
            let message = format!("{count} messages, at most {MESSAGES_MAX} are allowed");
            found.push(Violation::new("messages", message));
        }
        let system_only = self.messages.iter().all(|it| matches!(it, Message::System(_)));
        if count > 0 && system_only {
            found.push(Violation::new("messages", "a message that is not a system one is needed"));
        }
        for (at, message) in self.messages.iter().enumerate().take(MESSAGES_MAX) {
            check_message(at, message, found);
        }
        let text: usize = self.messages.iter().map(Message::text_bytes).sum();
        if text > PROMPT_BYTES_MAX {
            let message = format!("{text} bytes of text, at most {PROMPT_BYTES_MAX} are allowed");
            found.push(Violation::new("messages", message));
        }
        let images: usize = self.messages.iter().map(image_bytes).sum();
        if images > IMAGE_BYTES_MAX {
            let message =
                format!("{images} bytes of images, at most {IMAGE_BYTES_MAX} are allowed");
            found.push(Violation::new("messages", message));
        }
    }

    fn check_tools(&self, found: &mut Vec<Violation>) {
        if self.tools.len() > TOOLS_MAX {
            let message = format!("{} tools, at most {TOOLS_MAX} are allowed", self.tools.len());
            found.push(Violation::new("tools", message));
        }
        for (at, tool) in self.tools.iter().enumerate().take(TOOLS_MAX) {
            if tool.name.is_empty() {
                found.push(Violation::new(format!("tools[{at}].name"), "a tool needs a name"));
            } else if self.tools[..at].iter().any(|it| it.name == tool.name) {
                let message = format!("the name `{}` is taken by an earlier tool", tool.name);
                found.push(Violation::new(format!("tools[{at}].name"), message));
            }
            if !tool.parameters.value().is_object() {
                let field = format!("tools[{at}].parameters");
                found
                    .push(Violation::new(field, "the parameters must be a JSON schema, an object"));
            }
        }
        let message = match &self.tool_choice {
            ToolChoice::Auto | ToolChoice::None => None,
            ToolChoice::Required if self.tools.is_empty() => {
                Some("a tool is required, but none is given".to_owned())
            }
            ToolChoice::Tool(name) if self.tools.iter().all(|it| it.name != *name) => {
                Some(format!("the tool `{name}` is not among the tools"))
            }
            ToolChoice::Required | ToolChoice::Tool(_) => None,
        };
        found.extend(message.map(|it| Violation::new("tool_choice", it)));
        if let ResponseFormat::JsonSchema { schema, .. } = &self.response_format
            && !schema.value().is_object()
        {
            found.push(Violation::new("response_format.schema", "the schema must be an object"));
        }
    }
}

fn check_message(at: usize, message: &Message, found: &mut Vec<Violation>) {
    match message {
        Message::System(_) => {}
        Message::User(parts) => {
            let empty = parts.iter().all(|it| matches!(it, Part::Text(text) if text.is_blank()));
            if empty {
                found.push(Violation::new(format!("messages[{at}]"), "the message is empty"));
            }
        }
        Message::Assistant { reasoning, text, tool_calls } => {
            if text.is_none() && tool_calls.is_empty() && reasoning.is_empty() {
                let message = "an assistant message needs text or tool calls";
                found.push(Violation::new(format!("messages[{at}]"), message));
            }
        }
        Message::ToolResult { tool_call_id, .. } => {
            if tool_call_id.is_empty() {
                let field = format!("messages[{at}].tool_call_id");
                found.push(Violation::new(field, "a tool result names the call it answers"));
            }
        }
    }
}

fn image_bytes(message: &Message) -> usize {
    let sizes = message.parts().iter().map(|it| match it {
        Part::Text(_) => 0,
        Part::Image(image) => match &image.source {
            ImageSource::Url(url) => url.len(),
            ImageSource::Base64 { data, .. } => data.len(),
        },
    });
    sizes.sum()
}

fn check_sampling(sampling: &Sampling, found: &mut Vec<Violation>) {
    let mut range = |field: &str, value: Option<f64>, low: f64, high: f64| {
        if let Some(value) = value.filter(|it| !(low..=high).contains(it)) {
            let message = format!("{value} is not between {low} and {high}");
            found.push(Violation::new(format!("sampling.{field}"), message));
        }
    };
    range("temperature", sampling.temperature, 0.0, 2.0);
    range("top_p", sampling.top_p, 0.0, 1.0);
    range("frequency_penalty", sampling.frequency_penalty, -2.0, 2.0);
    range("presence_penalty", sampling.presence_penalty, -2.0, 2.0);
    range("logprobs", sampling.logprobs.map(f64::from), 0.0, f64::from(LOGPROBS_MAX));
    let tokens = sampling.max_output_tokens;
    if let Some(tokens) = tokens.filter(|it| !(1..=OUTPUT_TOKENS_MAX).contains(it)) {
        let message = format!("{tokens} is not between 1 and {OUTPUT_TOKENS_MAX}");
        found.push(Violation::new("sampling.max_output_tokens", message));
    }
    if sampling.stop.len() > STOPS_MAX {
        let message =
            format!("{} stop sequences, at most {STOPS_MAX} are allowed", sampling.stop.len());
        found.push(Violation::new("sampling.stop", message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Json, Tool};

    fn fields(request: &ChatRequest) -> Vec<String> {
        let violations = request.validate().err().unwrap_or_default();
        violations.into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn a_good_request_passes() {
        assert_eq!(ChatRequest::from_prompt("hello").validate(), Ok(()));
    }

    #[test]
    fn every_problem_is_reported_with_its_path() {
        let tool = |name: &str, parameters| Tool {
            name: name.into(),
            description: "".into(),
            parameters: Json::from(parameters),
            strict: None,
        };
        let request = ChatRequest {
            messages: vec![
                Message::User(vec![Part::Text(" ".into())]),
                Message::Assistant { reasoning: vec![], text: None, tool_calls: vec![] },
                Message::tool_result("", ""),
            ],
            tools: vec![tool("a", serde_json::json!({})), tool("a", serde_json::json!(1))],
            tool_choice: ToolChoice::Tool("b".into()),
            response_format: ResponseFormat::JsonSchema {
                name: "x".into(),
                schema: Json::default(),
                strict: None,
            },
            sampling: Sampling {
                temperature: Some(3.0),
                top_p: Some(f64::NAN),
                max_output_tokens: Some(0),
                logprobs: Some(21),
                ..Sampling::default()
            },
            ..ChatRequest::default()
        };
        let wanted = [
            "messages[0]",
            "messages[1]",
            "messages[2].tool_call_id",
            "tools[1].name",
            "tools[1].parameters",
            "tool_choice",
            "response_format.schema",
            "sampling.temperature",
            "sampling.top_p",
            "sampling.logprobs",
            "sampling.max_output_tokens",
        ];
        assert_eq!(fields(&request), wanted);
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(fields(&ChatRequest::default()), ["messages"]);
        let long = ChatRequest::from_prompt("x".repeat(10 << 20));
        assert_eq!(fields(&long), ["messages"]);
        let system_only = ChatRequest {
            messages: vec![Message::System("be kind".into())],
            ..ChatRequest::default()
        };
        assert_eq!(fields(&system_only), ["messages"]);
    }
}
