//! What makes two questions the same.
//!
//! In: a call. Out: two hashes of it: of everything that an answer may depend on, and of the same
//! without the words of the last turn. Invariant: every field of [`ChatRequest`] is taken apart here by
//! name, so that a new one does not compile until somebody thinks of it; each part is written with its
//! length, so that no two different requests write the same. Pure.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::{
    ChatRequest, Image, ImageSource, Message, Part, ResponseFormat, Text, Tool, ToolCall,
};
use crate::pipeline::Call;
use crate::ranking::route::Taken;
use crate::ranking::{Candidates, Policy, Preference};

/// A question, its caller and its wishes.
pub(super) type Key = [u8; 32];
/// The same without the words of the last turn.
pub(super) type Frame = [u8; 32];

/// What is wanted of whoever answers. Limits are not among it: the answer is there already, and whose
/// it may be is looked at in the ranking.
#[derive(Serialize)]
struct Wishes<'a> {
    preference: Preference,
    min_quality: Option<f64>,
    candidates: &'a Candidates,
    /// The branch of the operator's route: its target may have parameters of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a Taken>,
}

/// Both hashes of a call, and of the way that it takes where the operator's route says one.
pub(super) fn of(call: &Call, route: Option<&Taken>) -> (Key, Frame) {
    let mut frame = Print::default();
    frame.text(call.caller.as_ref().map_or("", |it| it.key().as_str()));
    let Policy { preference, min_quality, candidates, .. } = &call.policy;
    let (preference, min_quality) = (*preference, min_quality.map(|it| it.get()));
    frame.json(&Wishes { preference, min_quality, candidates, route });
    request(&mut frame, &call.request);
    let last = call.request.messages.iter().rposition(|it| matches!(it, Message::User(_)));
    let mut words = Print::default();
    for (at, message) in call.request.messages.iter().enumerate() {
        turn(&mut frame, message, (Some(at) == last).then_some(&mut words));
    }
    let (frame, words) = (frame.finish(), words.finish());
    let mut whole = Print::default();
    whole.bytes(&frame);
    whole.bytes(&words);
    (whole.finish(), frame)
}

#[derive(Default)]
struct Print(Sha256);

impl Print {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn content(&mut self, text: &Text) {
        self.text(text.as_str());
    }

    fn json(&mut self, value: &impl Serialize) {
        // These are plain values, which can always be written; what could not would be its own kind.
        self.bytes(&serde_json::to_vec(value).unwrap_or_default());
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Everything but the turns.
fn request(print: &mut Print, request: &ChatRequest) {
    let ChatRequest {
        messages: _,
        tools,
        tool_choice,
        parallel_tool_calls,
        response_format,
        sampling,
        effort,
        // Neither changes what is said.
        cache_prompt: _,
        user: _,
        extra,
    } = request;
    print.count(tools.len());
    for Tool { name, description, parameters, strict } in tools {
        print.text(name);
        print.content(description);
        print.json(parameters);
        print.json(strict);
    }
    print.text(&format!("{tool_choice:?} {parallel_tool_calls:?} {effort:?} {sampling:?}"));
    match response_format {
        ResponseFormat::Text => print.text("text"),
        ResponseFormat::JsonObject => print.text("object"),
        ResponseFormat::JsonSchema { name, schema, strict } => {
            print.text(name);
            print.json(schema);
            print.json(strict);
        }
    }
    print.json(extra);
}

/// A turn; its words, but not its pictures, go elsewhere where that is wanted.
fn turn(print: &mut Print, message: &Message, words: Option<&mut Print>) {
    match message {
        Message::System(text) => {
            print.text("system");
            print.content(text);
        }
        Message::User(all) => {
            print.text("user");
            parts(print, all, words);
        }
        Message::Assistant { reasoning, text, tool_calls } => {
            print.text("assistant");
            print.count(reasoning.len());
            for block in reasoning {
                print.json(&block.text);
                print.json(&block.seal.as_ref().map(|it| it.to_wire()));
            }
            print.json(text);
            print.count(tool_calls.len());
            for ToolCall { id, name, arguments, seal } in tool_calls {
                print.text(id);
                print.text(name);
                print.content(arguments);
                print.json(&seal.as_ref().map(|it| it.to_wire()));
            }
        }
        Message::ToolResult { tool_call_id, parts: all, failed } => {
            print.text("tool");
            print.text(tool_call_id);
            parts(print, all, None);
            print.json(failed);
        }
    }
}

fn parts(print: &mut Print, all: &[Part], mut words: Option<&mut Print>) {
    print.count(all.len());
    for part in all {
        match part {
            Part::Text(text) => {
                print.text("words");
                words.as_deref_mut().unwrap_or(&mut *print).content(text);
            }
            Part::Image(Image { source, detail }) => {
                print.text(&format!("image {detail:?}"));
                match source {
                    ImageSource::Url(url) => print.content(url),
                    ImageSource::Base64 { media_type, data } => {
                        print.text(media_type);
                        print.content(data);
                    }
                }
            }
        }
    }
}
