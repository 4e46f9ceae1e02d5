//! The callers' dialects: how each says a conversation, and what it reads in the answer.
//!
//! In: a [`Talk`] in nobody's words. Out: a path and a body; from the answer, a [`Heard`]. Written
//! from each API's documentation, with nothing of the server's own code, so that the two can
//! disagree.

use serde_json::{Value, json};

use super::{chat, messages, responses};

/// A conversation to be continued.
#[derive(Debug, Clone, Default)]
pub(crate) struct Talk {
    pub(crate) system: Option<&'static str>,
    pub(crate) turns: Vec<Turn>,
    /// Names of tools; each takes an object with the string `city`.
    pub(crate) tools: Vec<&'static str>,
    /// Whether the answer must satisfy [`schema`].
    pub(crate) schema: bool,
}

/// One turn of it.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    User(&'static str),
    /// The words, and an image.
    Look(&'static str, Picture),
    Assistant(&'static str),
    Calls(Vec<Call>),
    /// Results, in the order of the calls.
    Results(Vec<(String, &'static str)>),
}

/// An image, by reference or by value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Picture {
    Url,
    Base64,
}

/// A tool call that was heard. The seal is what the dialect wants back with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Value,
}

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: String,
}

/// A dialect of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Messages,
    Responses,
}

pub(crate) const URL: &str = "https://example.org/cat.png";
pub(crate) const MEDIA_TYPE: &str = "image/png";
/// The smallest PNG there is: one transparent pixel.
pub(crate) const BASE64: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// The schema of JSON answers.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "city": { "type": "string" }, "people": { "type": "integer" } },
        "required": ["city", "people"],
        "additionalProperties": false,
    })
}

/// The schema of every tool's arguments.
pub(crate) fn parameters() -> Value {
    json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false,
    })
}

impl Dialect {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// The body that asks `model` to continue.
    pub(crate) fn body(self, talk: &Talk, model: &str, stream: bool) -> Value {
        let mut body = match self {
            Self::Chat => chat::body(talk),
            Self::Messages => messages::body(talk),
            Self::Responses => responses::body(talk),
        };
        body["model"] = model.into();
        if stream {
            body["stream"] = true.into();
        }
        body
    }

    /// Reads an answer in one piece.
    pub(crate) fn whole(self, body: &Value) -> Heard {
        match self {
            Self::Chat => chat::heard(&body["choices"][0]["message"], &body["choices"][0]),
            Self::Messages => messages::heard(body),
            Self::Responses => responses::heard(body),
        }
    }

    /// Reads the events of a stream; each is its name and its data.
    pub(crate) fn streamed(self, events: &[(String, String)]) -> Heard {
        match self {
            Self::Chat => chat::streamed(events),
            Self::Messages => messages::streamed(events),
            Self::Responses => responses::streamed(events),
        }
    }
}

pub(crate) fn data_url() -> String {
    format!("data:{MEDIA_TYPE};base64,{BASE64}")
}

/// A string, or nothing.
pub(crate) fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// JSON inside a string.
pub(crate) fn parsed(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}
