//! Answers as `chat.completion.chunk` events.
//!
//! In: [`Delta`]s. Out: [`Event`]s. Invariant: the role stands in the first chunk, `[DONE]` only
//! after a whole answer; our own facts stand in the last chunk before it.

use serde_json::{Map, Value, json};

use super::{error, write};
use crate::api::http::dialect::{About, Delivery, Event, Problem, Teller};
use crate::api::http::extension;
use crate::domain::{Delta, Reasoning, StreamEnd, Text};

/// Tells one answer.
pub(in super::super) struct Chunks {
    about: About,
    delivery: Delivery,
    opened: bool,
    /// The words of the block of thinking that has not ended.
    thought: String,
}

impl Chunks {
    pub(super) fn new(about: About, delivery: Delivery) -> Self {
        Self { about, delivery, opened: false, thought: String::new() }
    }

    fn chunk(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": write::id(&self.about),
            "object": "chat.completion.chunk",
            "created": self.about.created_s,
            "model": self.about.model,
            "choices": choices,
        });
        if self.delivery == Delivery::StreamWithUsage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn tell(&mut self, mut delta: Map<String, Value>, logprobs: Value, out: &mut Vec<Event>) {
        if !self.opened {
            self.opened = true;
            delta.insert("role".into(), "assistant".into());
            delta.entry("content").or_insert(Value::Null);
        }
        let choice = json!({
            "index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": null,
        });
        out.push(event(&self.chunk(json!([choice]))));
    }
}

fn event(data: &Value) -> Event {
    Event { name: None, data: data.to_string() }
}

fn field(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert(name.to_owned(), value.into());
    map
}

impl Teller for Chunks {
    fn delta(&mut self, delta: Delta, out: &mut Vec<Event>) {
        let told = match delta {
            Delta::Text(text) => field("content", text.into_string()),
            Delta::Reasoning(text) => {
                self.thought.push_str(text.as_str());
                field("reasoning_content", text.into_string())
            }
            Delta::ReasoningEnd(seal) => {
                let thought = std::mem::take(&mut self.thought);
                let text = (!thought.is_empty()).then(|| Text::from(thought));
                match write::detail(&Reasoning { text, seal }) {
                    Some(detail) => field("reasoning_details", json!([detail])),
                    None => return,
                }
            }
            Delta::ToolCall { index, id, name, seal } => {
                let function = json!({ "name": name, "arguments": "" });
                let mut call =
                    json!({ "index": index, "id": id, "type": "function", "function": function });
                if let Some(seal) = &seal {
                    call["extra_content"] = write::extra_content(seal);
                }
                field("tool_calls", json!([call]))
            }
            Delta::Arguments { index, fragment } => {
                let function = json!({ "arguments": fragment });
                field("tool_calls", json!([{ "index": index, "function": function }]))
            }
            Delta::Logprobs(json) => return self.tell(Map::new(), json.value().clone(), out),
        };
        self.tell(told, Value::Null, out);
    }

    fn switched(&mut self, details: Value, out: &mut Vec<Event>) {
        // With a choice in it, since clients look at the first without asking.
        let choice = json!({ "index": 0, "delta": {}, "logprobs": null, "finish_reason": null });
        let mut chunk = self.chunk(json!([choice]));
        chunk[extension::NAME] = details;
        out.push(event(&chunk));
    }

    fn end(&mut self, end: StreamEnd, details: Value, out: &mut Vec<Event>) {
        if !self.opened {
            self.tell(Map::new(), Value::Null, out);
        }
        let reason = write::finish_reason(end.finish);
        let choice = json!({ "index": 0, "delta": {}, "logprobs": null, "finish_reason": reason });
        let mut last = self.chunk(json!([choice]));
        if self.delivery == Delivery::StreamWithUsage {
            out.push(event(&last));
            last = self.chunk(json!([]));
            last["usage"] = write::usage(&end.usage, &details);
        }
        last[extension::NAME] = details;
        out.push(event(&last));
        out.push(Event { name: None, data: "[DONE]".into() });
    }

    fn fail(&mut self, problem: &Problem, out: &mut Vec<Event>) {
        out.push(event(&error::body(problem)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FinishReason, ProviderName, Seal, Usage};
    use std::sync::Arc;

    fn chunks(delivery: Delivery) -> Chunks {
        let about = About { id: "1".into(), created_s: 7, model: "m".into(), chat: Arc::default() };
        Chunks::new(about, delivery)
    }

    fn told(events: &[Event]) -> Vec<Value> {
        let whole = events.iter().filter(|it| it.data != "[DONE]");
        whole.map(|it| serde_json::from_str(&it.data).unwrap()).collect()
    }

    #[test]
    fn pieces_become_chunks_in_order() {
        let mut teller = chunks(Delivery::StreamWithUsage);
        let mut out = Vec::new();
        let seal = Seal { provider: ProviderName::new("p").unwrap(), value: "s".into() };
        let deltas = [
            Delta::Reasoning("h".into()),
            Delta::Reasoning("m".into()),
            Delta::ReasoningEnd(Some(seal)),
            Delta::ReasoningEnd(None),
            Delta::Text("a".into()),
            Delta::ToolCall { index: 0, id: "c".into(), name: "f".into(), seal: None },
            Delta::Arguments { index: 0, fragment: "{}".into() },
        ];
        deltas.into_iter().for_each(|it| teller.delta(it, &mut out));
        let end = StreamEnd { finish: FinishReason::ToolCalls, usage: Usage::default() };
        teller.end(end, json!({"cost_usd": 1}), &mut out);
        assert_eq!(out.last().unwrap().data, "[DONE]");
        let told = told(&out);
        let deltas: Vec<_> = told.iter().map(|it| it["choices"][0]["delta"].clone()).collect();
        let sealed = json!([
            {"type": "reasoning.text", "text": "hm", "signature": "pointsman:p:s"}
        ]);
        let call = json!([{
            "index": 0, "id": "c", "type": "function",
            "function": {"name": "f", "arguments": ""},
        }]);
        let wanted = [
            json!({"role": "assistant", "content": null, "reasoning_content": "h"}),
            json!({"reasoning_content": "m"}),
            json!({"reasoning_details": sealed}),
            json!({"content": "a"}),
            json!({"tool_calls": call}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
            json!({}),
            Value::Null,
        ];
        assert_eq!(deltas, wanted);
        assert_eq!(told[6]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!((&told[6]["usage"], &told[7]["choices"]), (&Value::Null, &json!([])));
        assert_eq!(told[7]["usage"]["total_tokens"], 0);
        assert_eq!(told[7]["pointsman"]["cost_usd"], 1);
        assert!(told.iter().all(|it| it["id"] == "chatcmpl-1" && it["model"] == "m"));
    }

    #[test]
    fn a_short_stream_has_role_finish_and_details() {
        let (mut teller, mut out) = (chunks(Delivery::Stream), Vec::new());
        let end = StreamEnd { finish: FinishReason::Length, usage: Usage::default() };
        teller.end(end, json!({}), &mut out);
        let told = told(&out);
        assert_eq!(told[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(told[1]["choices"][0]["finish_reason"], "length");
        assert!(told[1]["pointsman"].is_object() && told[1].get("usage").is_none());
    }

    #[test]
    fn a_broken_stream_has_an_error_and_no_end() {
        let (mut teller, mut out) = (chunks(Delivery::Stream), Vec::new());
        teller.delta(Delta::Text("a".into()), &mut out);
        let problem = Problem {
            status: 502,
            reason: "STALLED".into(),
            message: "why".into(),
            param: None,
            details: Value::Null,
        };
        teller.fail(&problem, &mut out);
        let last: Value = serde_json::from_str(&out.last().unwrap().data).unwrap();
        assert_eq!(last["error"]["code"], "stalled");
    }
}
