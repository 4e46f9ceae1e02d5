//! A stream as Anthropic's events.
//!
//! In: deltas in the provider's order, then an end or a problem. Out: events. Invariant: blocks
//! follow each other, one open at a time, each index told once. Where a provider lets the arguments
//! of several calls interleave, or says something inside a call, what does not belong to the open
//! call is held back until its arguments are whole JSON, or the stream ends.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{error, whole};
use crate::api::http::arguments::Progress;
use crate::api::http::dialect::{About, Event, Problem, Teller};
use crate::domain::{Delta, Seal, StreamEnd};

/// Most bytes held back in one stream; arguments are rarely over a few kilobytes.
const HELD_BYTES_MAX: usize = 1 << 20;
/// What a held delta costs besides its text, in bytes.
const HELD_DELTA_BYTES: usize = 128;

/// Tells one stream.
pub(in crate::api::http) struct MessageTeller {
    about: About,
    state: State,
    /// The index of the open block, or of the next one.
    index: usize,
    open: Open,
    /// A thought without words has begun: its seal is a signature, not redacted thinking.
    wordless: bool,
    held: VecDeque<Delta>,
    held_bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Begun,
    /// An error was told: nothing follows.
    Broken,
}

#[derive(Clone, Copy)]
enum Open {
    Nothing,
    Text,
    Thinking,
    Call { call: usize, progress: Progress },
}

impl Teller for MessageTeller {
    fn delta(&mut self, delta: Delta, out: &mut Vec<Event>) {
        self.begin(out);
        if self.state == State::Broken {
            return;
        }
        if self.must_wait(&delta) {
            self.hold(delta, out);
            return;
        }
        self.tell(delta, out);
        // Every round tells at least the first of what is held, so this ends.
        while !self.held.is_empty() && self.call_is_whole() {
            self.replay(out);
        }
    }

    fn end(&mut self, end: StreamEnd, details: Value, out: &mut Vec<Event>) {
        self.begin(out);
        if self.state == State::Broken {
            return;
        }
        self.close(out);
        while !self.held.is_empty() {
            self.replay(out);
            self.close(out);
        }
        if self.state == State::Broken {
            return;
        }
        let data = json!({
            "type": "message_delta",
            "delta": {"stop_reason": whole::stop_reason(end.finish), "stop_sequence": null},
            "usage": whole::usage(end.usage),
            "pointsman": details,
        });
        out.push(event("message_delta", &data));
        out.push(event("message_stop", &json!({"type": "message_stop"})));
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<Event>) {
        if self.state != State::Broken {
            self.state = State::Broken;
            out.push(event("error", &error::body(problem)));
        }
    }
}

impl MessageTeller {
    /// A teller that has told nothing.
    pub(super) fn new(about: About) -> Self {
        Self {
            about,
            state: State::Fresh,
            index: 0,
            open: Open::Nothing,
            wordless: false,
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    fn begin(&mut self, out: &mut Vec<Event>) {
        if self.state == State::Fresh {
            self.state = State::Begun;
            let message = whole::head(&self.about);
            out.push(event("message_start", &json!({"type": "message_start", "message": message})));
        }
    }

    fn tell(&mut self, delta: Delta, out: &mut Vec<Event>) {
        match delta {
            Delta::Text(text) => {
                if !text.is_empty() {
                    if !matches!(self.open, Open::Text) {
                        self.start(Open::Text, &json!({"type": "text", "text": ""}), out);
                    }
                    self.piece(&json!({"type": "text_delta", "text": text.as_str()}), out);
                }
            }
            Delta::Reasoning(text) if text.is_empty() => self.wordless = true,
            Delta::Reasoning(text) => {
                self.open_thinking(out);
                self.piece(&json!({"type": "thinking_delta", "thinking": text.as_str()}), out);
            }
            Delta::ReasoningEnd(seal) => self.end_thought(seal.as_ref(), out),
            Delta::ToolCall { index, id, name, seal } => {
                let open = Open::Call { call: index, progress: Progress::default() };
                self.start(open, &whole::tool_use_head(&id, &name, seal.as_ref()), out);
            }
            Delta::Arguments { index, fragment } => {
                // What comes for a call that is closed is white space, or comes too late.
                if let Open::Call { call, progress } = &mut self.open
                    && *call == index
                    && !fragment.is_empty()
                {
                    progress.push(fragment.as_str());
                    let json =
                        json!({"type": "input_json_delta", "partial_json": fragment.as_str()});
                    self.piece(&json, out);
                }
            }
            // This protocol has none.
            Delta::Logprobs(_) => {}
        }
    }

    fn open_thinking(&mut self, out: &mut Vec<Event>) {
        if !matches!(self.open, Open::Thinking) {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.start(Open::Thinking, &block, out);
        }
    }

    fn end_thought(&mut self, seal: Option<&Seal>, out: &mut Vec<Event>) {
        let wordless = std::mem::take(&mut self.wordless);
        let Some(seal) = seal else {
            if matches!(self.open, Open::Thinking) {
                self.close(out);
            }
            return;
        };
        if wordless || matches!(self.open, Open::Thinking) {
            self.open_thinking(out);
            self.piece(&json!({"type": "signature_delta", "signature": seal.to_wire()}), out);
        } else {
            self.start(Open::Thinking, &whole::redacted(seal), out);
        }
        self.close(out);
    }

    fn start(&mut self, open: Open, block: &Value, out: &mut Vec<Event>) {
        self.close(out);
        self.open = open;
        let name = "content_block_start";
        let data = json!({"type": name, "index": self.index, "content_block": block});
        out.push(event(name, &data));
    }

    fn piece(&self, delta: &Value, out: &mut Vec<Event>) {
        let name = "content_block_delta";
        out.push(event(name, &json!({"type": name, "index": self.index, "delta": delta})));
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if !matches!(self.open, Open::Nothing) {
            self.open = Open::Nothing;
            let name = "content_block_stop";
            out.push(event(name, &json!({"type": name, "index": self.index})));
            self.index += 1;
        }
    }

    fn call_is_whole(&self) -> bool {
        matches!(self.open, Open::Call { progress, .. } if progress.is_whole())
    }

    /// Whether the open call is unfinished, or something waits already, and this is no piece of
    /// that call. What tells nothing never waits.
    fn must_wait(&self, delta: &Delta) -> bool {
        let Open::Call { call, progress } = self.open else { return false };
        if progress.is_whole() && self.held.is_empty() {
            return false;
        }
        match delta {
            Delta::Arguments { index, .. } => *index != call,
            Delta::Text(text) => !text.is_empty(),
            Delta::Reasoning(_) | Delta::ReasoningEnd(Some(_)) | Delta::ToolCall { .. } => true,
            Delta::ReasoningEnd(None) | Delta::Logprobs(_) => false,
        }
    }

    fn hold(&mut self, delta: Delta, out: &mut Vec<Event>) {
        self.held_bytes += HELD_DELTA_BYTES + text_bytes(&delta);
        if self.held_bytes > HELD_BYTES_MAX {
            self.held.clear();
            let problem = Problem {
                status: 502,
                reason: "INTERLEAVED".to_owned(),
                message: "the model's tool calls interleave further than can be put in order"
                    .to_owned(),
                param: None,
                details: json!({}),
            };
            self.fail(&problem, out);
            return;
        }
        self.held.push_back(delta);
    }

    /// Tells what was held; what must wait for a call that begins in it is held again.
    fn replay(&mut self, out: &mut Vec<Event>) {
        self.held_bytes = 0;
        for delta in std::mem::take(&mut self.held) {
            if self.state == State::Broken {
                return;
            }
            if self.must_wait(&delta) {
                self.hold(delta, out);
            } else {
                self.tell(delta, out);
            }
        }
    }
}

fn text_bytes(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Reasoning(text) | Delta::Arguments { fragment: text, .. } => {
            text.len()
        }
        Delta::ReasoningEnd(seal) => seal.as_ref().map_or(0, |it| it.value.len()),
        Delta::ToolCall { id, name, seal, .. } => {
            id.len() + name.len() + seal.as_ref().map_or(0, |it| it.value.len())
        }
        Delta::Logprobs(_) => 0,
    }
}

fn event(name: &'static str, data: &Value) -> Event {
    Event { name: Some(name), data: data.to_string() }
}
