//! A stream as the events of OpenAI's Responses API.
//!
//! In: deltas in the provider's order, then an end or a problem. Out: events, numbered. Invariant:
//! items are numbered in the order in which they began; the items of the last event are those that
//! were told. Tool calls may be open side by side, since every event names its item. The text is
//! kept to the end, because the events that close an item repeat it; dispatch bounds an answer.

use serde_json::{Value, json};

use super::output::{Item, Status, output_text, summary_text};
use super::{error, whole};
use crate::api::http::arguments::Progress;
use crate::api::http::dialect::{About, Event, Problem, Teller};
use crate::domain::{Delta, Seal, StreamEnd, Text};

/// Tells one stream.
pub(in crate::api::http) struct ResponseTeller {
    about: About,
    begun: bool,
    over: bool,
    sequence: u64,
    items: Vec<Told>,
    /// Log-probabilities that came before their text.
    early_logprobs: Vec<Value>,
}

struct Told {
    id: String,
    item: Item,
    status: Status,
    /// For a call: our index of it, and how far its arguments are.
    call: Option<(usize, Progress)>,
}

impl Teller for ResponseTeller {
    fn delta(&mut self, delta: Delta, out: &mut Vec<Event>) {
        self.begin(out);
        if self.over {
            return;
        }
        match delta {
            Delta::Text(text) => {
                if !text.is_empty() {
                    self.text(text.as_str(), out);
                }
            }
            Delta::Reasoning(text) => {
                if !text.is_empty() {
                    self.thought(text.as_str(), out);
                }
            }
            Delta::ReasoningEnd(seal) => self.end_thought(seal, out),
            Delta::ToolCall { index, id, name, seal } => {
                self.settle(out);
                let item = Item::Call { id, name, arguments: String::new(), seal };
                self.add(item, Some((index, Progress::default())), out);
            }
            Delta::Arguments { index, fragment } => self.arguments(index, &fragment, out),
            Delta::Logprobs(json) => {
                let told = whole::content(&json);
                match self.items.last_mut() {
                    Some(Told {
                        item: Item::Message { logprobs, .. },
                        status: Status::InProgress,
                        ..
                    }) => logprobs.extend(told),
                    Some(_) | None => self.early_logprobs.extend(told),
                }
            }
        }
    }

    fn end(&mut self, end: StreamEnd, details: Value, out: &mut Vec<Event>) {
        self.begin(out);
        if self.over {
            return;
        }
        let last = self.items.len().saturating_sub(1);
        for at in 0..self.items.len() {
            let cut = at == last;
            self.close(
                at,
                if cut { whole::item_status(end.finish) } else { Status::Completed },
                out,
            );
        }
        self.over = true;
        let name = match whole::incomplete(end.finish) {
            Some(_) => "response.incomplete",
            None => "response.completed",
        };
        let response = whole::ended(&self.about, self.output(), end, details);
        self.event(name, json!({"response": response}), out);
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<Event>) {
        self.begin(out);
        if self.over {
            return;
        }
        self.over = true;
        for told in self.items.iter_mut().filter(|it| it.status == Status::InProgress) {
            told.status = Status::Incomplete;
        }
        let mut response = whole::begun(&self.about);
        response["status"] = "failed".into();
        response["error"] = error::inside(problem);
        response["output"] = self.output().into();
        response["pointsman"] = problem.details.clone();
        self.event("response.failed", json!({"response": response}), out);
    }
}

impl ResponseTeller {
    /// A teller that has told nothing.
    pub(super) fn new(about: About) -> Self {
        Self {
            about,
            begun: false,
            over: false,
            sequence: 0,
            items: Vec::new(),
            early_logprobs: Vec::new(),
        }
    }

    fn begin(&mut self, out: &mut Vec<Event>) {
        if !self.begun {
            self.begun = true;
            let response = json!({"response": whole::begun(&self.about)});
            self.event("response.created", response.clone(), out);
            self.event("response.in_progress", response, out);
        }
    }

    fn text(&mut self, piece: &str, out: &mut Vec<Event>) {
        let is_open = matches!(self.open_item(), Some(Item::Message { .. }));
        if !is_open {
            self.settle(out);
            let logprobs = std::mem::take(&mut self.early_logprobs);
            let at = self.add(Item::Message { text: String::new(), logprobs }, None, out);
            let data = json!({"content_index": 0, "part": output_text("", &[])});
            self.item_event("response.content_part.added", at, data, out);
        }
        if let Some(Item::Message { text, .. }) = self.open_item() {
            text.push_str(piece);
        }
        let data = json!({"content_index": 0, "delta": piece, "logprobs": []});
        self.item_event("response.output_text.delta", self.last(), data, out);
    }

    fn thought(&mut self, piece: &str, out: &mut Vec<Event>) {
        let is_open = matches!(self.open_item(), Some(Item::Reasoning { .. }));
        if !is_open {
            self.settle(out);
            let at = self.add(Item::Reasoning { text: None, seal: None }, None, out);
            let data = json!({"summary_index": 0, "part": summary_text("")});
            self.item_event("response.reasoning_summary_part.added", at, data, out);
        }
        if let Some(Item::Reasoning { text, .. }) = self.open_item() {
            text.get_or_insert_default().push_str(piece);
        }
        let data = json!({"summary_index": 0, "delta": piece});
        self.item_event("response.reasoning_summary_text.delta", self.last(), data, out);
    }

    fn end_thought(&mut self, sealed: Option<Seal>, out: &mut Vec<Event>) {
        match self.open_item() {
            Some(Item::Reasoning { seal, .. }) => *seal = sealed,
            Some(Item::Message { .. } | Item::Call { .. }) | None => {
                if sealed.is_none() {
                    return;
                }
                self.settle(out);
                self.add(Item::Reasoning { text: None, seal: sealed }, None, out);
            }
        }
        self.close(self.last(), Status::Completed, out);
    }

    fn arguments(&mut self, index: usize, fragment: &Text, out: &mut Vec<Event>) {
        let mut told = self.items.iter_mut().enumerate().rev();
        let hit = told.find_map(|(at, it)| match it {
            Told {
                item: Item::Call { arguments, .. },
                call: Some((call, progress)),
                status: Status::InProgress,
                ..
            } if *call == index => Some((at, arguments, progress)),
            _ => None,
        });
        // What comes for a call that is closed is white space, or comes too late.
        let Some((at, arguments, progress)) = hit else { return };
        if fragment.is_empty() {
            return;
        }
        arguments.push_str(fragment.as_str());
        progress.push(fragment.as_str());
        let data = json!({"delta": fragment.as_str()});
        self.item_event("response.function_call_arguments.delta", at, data, out);
    }

    /// The item told last, if it is still open.
    fn open_item(&mut self) -> Option<&mut Item> {
        let told = self.items.last_mut()?;
        (told.status == Status::InProgress).then_some(&mut told.item)
    }

    fn last(&self) -> usize {
        self.items.len().saturating_sub(1)
    }

    /// Closes what the next item ends: text, thinking, and calls whose arguments are whole.
    fn settle(&mut self, out: &mut Vec<Event>) {
        for at in 0..self.items.len() {
            if self.items[at].call.is_none_or(|(_, progress)| progress.is_whole()) {
                self.close(at, Status::Completed, out);
            }
        }
    }

    fn add(&mut self, item: Item, call: Option<(usize, Progress)>, out: &mut Vec<Event>) -> usize {
        let at = self.items.len();
        let id = item.id(&self.about.id, at);
        let data = json!({"output_index": at, "item": item.to_json(&id, Status::InProgress)});
        self.items.push(Told { id, item, status: Status::InProgress, call });
        self.event("response.output_item.added", data, out);
        at
    }

    /// Closes an item that is open.
    fn close(&mut self, at: usize, status: Status, out: &mut Vec<Event>) {
        let Some(told) = self.items.get_mut(at).filter(|it| it.status == Status::InProgress) else {
            return;
        };
        told.status = status;
        if let Item::Call { arguments, .. } = &mut told.item
            && arguments.trim().is_empty()
        {
            *arguments = "{}".to_owned();
        }
        let item = told.item.to_json(&told.id, status);
        for (name, data) in closing(&told.item) {
            self.item_event(name, at, data, out);
        }
        let data = json!({"output_index": at, "item": item});
        self.event("response.output_item.done", data, out);
    }

    fn output(&self) -> Vec<Value> {
        self.items.iter().map(|it| it.item.to_json(&it.id, it.status)).collect()
    }

    /// An event of one item.
    fn item_event(&mut self, name: &'static str, at: usize, mut data: Value, out: &mut Vec<Event>) {
        if let Some(told) = self.items.get(at) {
            data["item_id"] = told.id.as_str().into();
            data["output_index"] = at.into();
        }
        self.event(name, data, out);
    }

    fn event(&mut self, name: &'static str, mut data: Value, out: &mut Vec<Event>) {
        data["type"] = name.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        out.push(Event { name: Some(name), data: data.to_string() });
    }
}

/// What is told of an item before it is done.
fn closing(item: &Item) -> Vec<(&'static str, Value)> {
    match item {
        Item::Reasoning { text: None, .. } => vec![],
        Item::Reasoning { text: Some(text), .. } => vec![
            ("response.reasoning_summary_text.done", json!({"summary_index": 0, "text": text})),
            (
                "response.reasoning_summary_part.done",
                json!({"summary_index": 0, "part": summary_text(text)}),
            ),
        ],
        Item::Message { text, logprobs } => vec![
            (
                "response.output_text.done",
                json!({"content_index": 0, "text": text, "logprobs": logprobs}),
            ),
            (
                "response.content_part.done",
                json!({"content_index": 0, "part": output_text(text, logprobs)}),
            ),
        ],
        Item::Call { name, arguments, .. } => vec![(
            "response.function_call_arguments.done",
            json!({"name": name, "arguments": arguments}),
        )],
    }
}
