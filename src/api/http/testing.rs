//! What the tests of dialects share: a request's frame, and a stream told from its deltas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::dialect::{About, Delivery, Dialect, Event, Problem, Said, Teller};
use crate::domain::{
    ChatRequest, ChatResponse, Delta, FinishReason, ProviderName, Reasoning, Seal, StreamEnd,
    ToolCall, Usage,
};

/// Reads a body; also what is wrong with it.
pub(super) fn read<D: Dialect>(body: Value) -> (Said, Vec<String>) {
    let Value::Object(body) = body else { unreachable!("a body is an object") };
    let mut found = Vec::new();
    let said = D::read(body, &mut found);
    (said, found.into_iter().map(|it| it.field).collect())
}

pub(super) fn about(chat: ChatRequest) -> About {
    About { id: "7".into(), created_s: 1_700_000_000, model: "m".into(), chat: Arc::new(chat) }
}

pub(super) fn problem(status: u16) -> Problem {
    Problem {
        status,
        reason: "EXHAUSTED".into(),
        message: "every candidate failed".into(),
        param: None,
        details: json!({"attempts": []}),
    }
}

pub(super) fn seal(provider: &str, value: &str) -> Seal {
    Seal { provider: ProviderName::new(provider).unwrap(), value: value.into() }
}

pub(super) fn call(index: usize, seal: Option<Seal>) -> Delta {
    Delta::ToolCall { index, id: format!("c{index}"), name: "f".into(), seal }
}

pub(super) fn arguments(index: usize, fragment: &str) -> Delta {
    Delta::Arguments { index, fragment: fragment.into() }
}

pub(super) fn end(finish: FinishReason) -> StreamEnd {
    let usage = Usage {
        input_tokens: 30,
        cached_tokens: 10,
        cache_written_tokens: 5,
        output_tokens: 9,
        reasoning_tokens: 4,
    };
    StreamEnd { finish, usage }
}

/// An answer with everything in it.
pub(super) fn rich_answer() -> ChatResponse {
    let StreamEnd { finish, usage } = end(FinishReason::ToolCalls);
    let tool_call = |id: &str, arguments: &str, seal| ToolCall {
        id: id.into(),
        name: "f".into(),
        arguments: arguments.into(),
        seal,
    };
    ChatResponse {
        text: Some("hi".into()),
        reasoning: vec![
            Reasoning { text: Some("hm".into()), seal: Some(seal("anthropic", "s1")) },
            Reasoning { text: None, seal: Some(seal("anthropic", "s2")) },
            Reasoning { text: Some("so".into()), seal: None },
        ],
        tool_calls: vec![
            tool_call("c0", r#"{"x":1}"#, None),
            tool_call("c1", "{}", Some(seal("google", "t"))),
        ],
        finish,
        usage,
        logprobs: None,
    }
}

/// The same in pieces.
pub(super) fn rich_deltas() -> Vec<Delta> {
    vec![
        Delta::Reasoning("h".into()),
        Delta::Reasoning("m".into()),
        Delta::ReasoningEnd(Some(seal("anthropic", "s1"))),
        Delta::ReasoningEnd(Some(seal("anthropic", "s2"))),
        Delta::Reasoning("so".into()),
        Delta::ReasoningEnd(None),
        Delta::Text("".into()),
        Delta::Text("h".into()),
        Delta::Text("i".into()),
        call(0, None),
        arguments(0, "{\"x\""),
        arguments(0, ":1}"),
        call(1, Some(seal("google", "t"))),
    ]
}

/// Tells a whole stream.
pub(super) fn told<D: Dialect>(deltas: Vec<Delta>, finish: FinishReason) -> Vec<Value> {
    let mut teller = D::teller(about(ChatRequest::default()), Delivery::Stream);
    let mut out = Vec::new();
    deltas.into_iter().for_each(|it| teller.delta(it, &mut out));
    teller.end(end(finish), json!({"decision": "7"}), &mut out);
    parsed(&out)
}

/// The data of events; every name is that of the data's type.
pub(super) fn parsed(events: &[Event]) -> Vec<Value> {
    let read = |it: &Event| {
        let data: Value = serde_json::from_str(&it.data).unwrap();
        assert_eq!(it.name, data["type"].as_str());
        data
    };
    events.iter().map(read).collect()
}
